//! What a profile may keep from readers, and what is said when it may not.

use super::linked::changed;
use super::*;

/// A line at the top of the profile.
fn with(line: &str, changes: &[(&str, &str, &str)]) -> Result<Catalog, String> {
    let line = format!("{line}\n[verify]");
    changed(&[&[("profile.toml", "[verify]", line.as_str())], changes].concat())
}

#[test]
fn what_is_redacted_stands_in_no_key_and_no_list_whichever_path_leads_to_it() {
    // A second way to an item, and a text in the event's own record.
    let gift = (
        "OrderPaid.avsc",
        "{\"name\":\"order\"",
        r#"{"name":"gift","type":["null","loja.Item"],"default":null},
           {"name":"kind","type":["null","string"],"default":null},{"name":"order""#,
    );
    let by = |key: &'static str| ("profile.toml", "\"order.items.sku\"", key);
    for (line, change, expected) in [
        (r#"redact = ["kind"]"#, gift, "redact[0]: kind tells the type of an event, which stands in its head"),
        (
            r#"redact = ["order.meta.sku"]"#,
            gift,
            "redact[0]: order.meta.sku: a field of loja.Order is derived of it, so it would not be gone",
        ),
        (
            r#"redact = ["order.items.phone"]"#,
            by("\"order.items.phone\""),
            ".keys[0]: order.items.phone is redacted: it would stand in the key",
        ),
        (r#"redact = ["gift.phone"]"#, gift, "a list of loja.OrderLatest is derived of what is redacted"),
    ] {
        let words = with(line, &[change]).err().unwrap_or_default();
        assert!(words.contains(expected), "{line}: {words}\nexpected {expected}");
    }
    // The same field by another way.
    let words = with("redact = [\"gift.phone\"]", &[gift, by("\"order.items.phone\"")]);
    let expected = "order.items.phone is redacted: it would stand in the key";
    assert!(words.err().unwrap_or_default().contains(expected));
}
