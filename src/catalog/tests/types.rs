//! Types of schemas: what is taken, and what is said of the rest.

use std::fs;

use serde_json::{Value, json};

use crate::catalog::Catalog;

const SHOP: &str = "tests/catalogs";

/// What the catalog says of the shop with `find` in `file` replaced.
fn with(file: &str, find: &str, replace: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("shop")).unwrap();
    for name in ["profile.toml", "OrderPaid.avsc"] {
        let text = fs::read_to_string(format!("{SHOP}/shop/{name}")).unwrap();
        assert!(name != file || text.contains(find), "{find}");
        let text = if name == file { text.replacen(find, replace, 1) } else { text };
        fs::write(dir.path().join("shop").join(name), text).unwrap();
    }
    let words = Catalog::load(Some(dir.path())).err().map(|error| error.to_string()).unwrap_or_default();
    words.replace(&format!("{}/", dir.path().display()), "")
}

#[test]
fn what_is_wrong_with_a_type_is_said_with_its_line() {
    for (find, replace, due) in [
        (
            "\"precision\": 10, ",
            "\"precision\": 39, ",
            "/fields/2/type/1/precision: expected the number of digits, 1 to 38 (line 9)",
        ),
        ("\"scale\": 2}", "\"scale\": 11}", "/fields/2/type/1/scale: expected the number of digits behind the point"),
        ("\"%d/%m/%Y\"", "\"%d/%m\"", "/fields/8/type/1/format: \"%d/%m\" does not determine a date (line 15)"),
        ("\"%s%.f\"", "\"%Y-%m-%d %H:%M:%S %Z\"", "/fields/6/type/1/format: \"%Y-%m-%d %H:%M:%S %Z\": %Z says nothing"),
        ("\"%s%.f\"", "[]", "/fields/6/type/1/format: expected a format such as"),
        (
            "[\"null\", \"bytes\"]",
            "[\"null\", {\"type\": \"bytes\", \"format\": \"x\"}]",
            "/format: expected it with an instant",
        ),
        (", \"default\": \"UNKNOWN\"", "", "/fields/11/type/default: expected one of the symbols"),
        (
            "\"in-transit\": \"IN_TRANSIT\"",
            "\"in-transit\": \"GONE\"",
            "/json/in-transit: expected one of the symbols, got \"GONE\"",
        ),
        ("\"in-transit\": \"IN_TRANSIT\"", "\"PAID\": \"PAID\"", "\"PAID\" has a spelling already"),
        ("\"shop.OrderStatus\"]", "\"shop.OrderState\"]", "/fields/12/type: no such type: shop.OrderState (line 19)"),
        ("\"name\": \"OrderLine\"", "\"name\": \"OrderStatus\"", "another type already has the name shop.OrderStatus"),
        (
            "{\"name\": \"sku\", \"type\": [\"null\", \"string\"]",
            "{\"name\": \"sku\", \"type\": [\"null\", \"text?\"]",
            "no such type: shop.text?",
        ),
        (
            "{\"type\": \"map\", \"values\": [\"null\", \"string\"]}",
            "{\"type\": \"fixed\", \"size\": 4}",
            "the catalog does not support this type",
        ),
        ("[\"null\", \"int\"]}", "[\"int\", \"null\"]}", "/fields/15/type/1/items: the only supported union is"),
    ] {
        let words = with("OrderPaid.avsc", find, replace);
        assert!(words.starts_with("shop/OrderPaid.avsc: ") && words.contains(due), "{words}\nexpected {due}");
    }
    let words = with("profile.toml", "key = \"number\"", "key = \"nummer\"");
    assert_eq!(words, "shop/profile.toml: types.\"order.paid\".key: shop.OrderPaid has no field `nummer` (line 11)");
}

#[test]
fn types_within_others_are_written_out_once_and_known_by_name() {
    let catalog = Catalog::load(Some(SHOP.as_ref())).unwrap();
    let text = &catalog.profiles["shop"].types["order.paid"].schema.text;
    let schema: Value = serde_json::from_str(text).unwrap();
    let ty = |at: usize| &schema["fields"][at]["type"];
    assert_eq!((ty(11)["name"].as_str(), ty(11)["namespace"].as_str()), (Some("OrderStatus"), Some("shop")));
    assert_eq!(ty(12)[1], "shop.OrderStatus");
    assert_eq!(ty(11)["json"], json!({"paid": "PAID", "in-transit": "IN_TRANSIT"}));
    assert_eq!(ty(16)[1]["items"]["fields"][2]["type"], json!(["null", "shop.OrderStatus"]));
    assert_eq!(ty(17)[1]["values"], "shop.OrderLine");
    assert!(apache_avro::Schema::parse_str(text).is_ok());
    let types = crate::catalog::schema::named(&schema);
    let names: Vec<_> = types.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["hookbridge.Event", "shop.OrderStatus", "shop.OrderLine", "shop.OrderPaid"]);
    let (_, record) = types.last().unwrap();
    let words: Vec<_> = crate::catalog::schema::fields(record).map(|field| field.ty).collect();
    for word in
        ["decimal(10, 2)", "timestamp-micros", "time", "shop.OrderStatus", "map of string?", "array of int?", "float"]
    {
        assert!(words.iter().any(|found| found == word), "{word} in {words:?}");
    }
}
