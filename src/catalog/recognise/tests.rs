//! Rules by which a type is told: what they mean, and which are refused.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

#[derive(Deserialize)]
struct Rules {
    recognise: Vec<WrittenRule>,
}

/// The rules of `text`, checked with three types; or what is wrong, with its place.
fn rules(text: &str) -> Result<Vec<Rule>, String> {
    let written: Rules = toml::from_str(text).map_err(|e| e.to_string())?;
    let types = BTreeSet::from(["issue.opened", "issue.closed", "push"]);
    let rules = resolve(&written.recognise).and_then(|rules| check(&rules, &types, "x-sig").map(|()| rules));
    rules.map_err(|flaw| flaw.of("p").to_string())
}

/// A rule that yields all types, behind those that are tried.
const ALL: &str = "\n[[recognise]]\nfield = \"type\"";

fn flaw(rule: &str) -> String {
    rules(&format!("[[recognise]]\n{rule}{ALL}")).err().unwrap_or_default()
}

#[test]
fn a_rule_says_what_a_value_means() {
    let text = r#"
[[recognise]]
header = "X-GitHub-Event"
values = { push = "push" }
ignore = ["ping", "test.*"]
patterns = [{ like = "issue.*.opened", type = "issue.opened" }, { like = "issue.*", type = "issue.closed" }]
otherwise = "next"
[[recognise]]
template = "{meta.entity}.{header:x-action}"
default = "push"
"#;
    let rules = rules(text).unwrap();
    let meaning =
        |rule: usize, value: &str| format!("{:?}", rules[rule].meaning(value, || None, |name| name == "issue.opened"));
    for (rule, value, expected) in [
        (0, "push", "Type(\"push\")"),
        (0, "ping", "Ignored"),
        (0, "test.", "Ignored"),
        (0, "issue.7.opened", "Type(\"issue.opened\")"),
        (0, "issue.7.closed", "Type(\"issue.closed\")"),
        (0, "issue", "Next"),
        // It has a list, so its values are no types.
        (0, "issue.opened", "Type(\"issue.closed\")"),
        (1, "issue.opened", "Type(\"issue.opened\")"),
        (1, "issue.moved", "Type(\"push\")"),
    ] {
        assert_eq!(meaning(rule, value), expected, "{rule} {value}");
    }
    assert_eq!(rules[1].pieces.len(), 3);
    assert_eq!(rules[0].label, "header X-GitHub-Event");
}

#[test]
fn what_a_rule_does_not_say_right_is_named_with_its_place() {
    for (rule, expected) in [
        ("values = { a = \"push\" }", "p: recognise[0]: expected one of `field`, `path`, `header` and `template`"),
        ("otherwise = \"next\"", "p: recognise[0]: expected one of"),
        ("field = \"a\"\npath = \"b\"", "p: recognise[0]: expected only one of"),
        ("path = \"a..b\"", "p: recognise[0].path: \"a..b\" is not a path"),
        ("header = \"a b\"", "p: recognise[0].header: \"a b\" is not the name of a header"),
        ("template = \"a\"", "p: recognise[0].template: expected `{path}`"),
        ("template = \"{a\"", "p: recognise[0].template: `{` without `}`"),
        ("template = \"a}\"", "p: recognise[0].template: `}` without `{`"),
        ("template = \"{header:}\"", "p: recognise[0].template: \"\" is not the name"),
        (
            "field = \"a\"\ndefault = \"push\"\notherwise = \"next\"",
            "p: recognise[0].default: set `default` or `otherwise`, not both",
        ),
        ("field = \"a\"\nvalues = { a = \"lost\" }", "p: recognise[0].values.\"a\": no such event type: lost"),
        ("field = \"a\"\npatterns = [{ like = \"a\", type = \"lost\" }]", "p: recognise[0].patterns[0].type: no such"),
        ("field = \"a\"\ndefault = \"lost\"", "p: recognise[0].default: no such event type: lost"),
    ] {
        let words = flaw(rule);
        assert!(words.starts_with(expected), "{rule}: {words}\nexpected {expected}");
    }
}

#[test]
fn what_can_never_match_is_a_mistake() {
    for (rule, expected) in [
        ("header = \"X-Sig\"", "p: recognise[0]: can never match: x-sig holds a credential"),
        ("template = \"{header:cookie}.{a}\"", "p: recognise[0]: can never match: cookie holds a credential"),
        ("field = \"a\"\nvalues = {}", "p: recognise[0]: can never match: it lists no values"),
        (
            "template = \"{a}.{b}\"\nvalues = { ab = \"push\" }",
            "p: recognise[0].values.\"ab\": can never match: no {a}.{b}",
        ),
        ("header = \"a\"\nvalues = { \" a\" = \"push\" }", "p: recognise[0].values.\" a\": can never match"),
        ("template = \"{a}/{b}\"", "p: recognise[0]: can never match: no event type is called like a {a}/{b}"),
        ("field = \"a\"\nignore = [\"*\"]", "p: recognise[0]: can never match: no event type is called"),
        (
            "field = \"a\"\nvalues = { b = \"push\" }\nignore = [\"b\"]",
            "p: recognise[0].ignore[0]: can never match: `values.\"b\"` takes all of it",
        ),
        (
            "field = \"a\"\npatterns = [{ like = \"a*\", type = \"push\" }, { like = \"ab*\", type = \"push\" }]",
            "p: recognise[0].patterns[1]: can never match: `patterns[0]` takes all of it",
        ),
        (
            "field = \"a\"\npatterns = [{ like = \"*\", type = \"push\" }]\notherwise = \"next\"",
            "p: recognise[0].otherwise: can never match: `patterns[0]` takes all values",
        ),
        ("default = \"push\"", "p: recognise[1]: can never match: recognise[0] applies first, and decides"),
        ("field = \"type\"", "p: recognise[1]: can never match: recognise[0] applies first"),
        ("path = \"type\"\nvalues = { a = \"push\" }", "p: recognise[1]: can never match: recognise[0] applies first"),
        ("given = \"type\"\nfield = \"kind\"\nvalues = { a = \"push\" }", "p: recognise[1]: can never match"),
    ] {
        let words = flaw(rule);
        assert!(words.starts_with(expected), "{rule}: {words}\nexpected {expected}");
    }
    let twice = "[[recognise]]\nfield = \"a\"\nvalues = { x = \"push\" }\notherwise = \"next\"\n";
    let words = rules(&format!("{twice}{twice}{}", &ALL[1..])).unwrap_err();
    assert_eq!(words, "p: recognise[1].values.\"x\": can never match: `recognise[0].values.\"x\"` takes all of it");
    // Inside of what the first needs, the second is never asked.
    let words = rules("[[recognise]]\nfield = \"a\"\n[[recognise]]\npath = \"a.b\"").unwrap_err();
    assert_eq!(words, "p: recognise[1]: can never match: recognise[0] applies first, and decides");
    let words = rules("[[recognise]]\nheader = \"a\"\nvalues = { a = \"push\" }").unwrap_err();
    assert_eq!(words, "p: types.\"issue.closed\": no rule of `recognise` yields this event type");
}

#[test]
fn rules_that_can_match_are_no_mistake() {
    for rule in [
        "path = \"type.name\"\nvalues = { a = \"push\" }",
        "header = \"x-event\"\nignore = [\"ping\"]",
        "template = \"{type}.{action}\"\nvalues = { \"a.b\" = \"push\" }",
        "given = \"test\"\notherwise = \"ignore\"",
        "given = \"test\"\ndefault = \"push\"",
        "field = \"type\"\nvalues = { a = \"push\" }\notherwise = \"next\"",
        "field = \"type\"\nignore = [\"test\"]\notherwise = \"next\"\nvalues = { a = \"push\" }",
    ] {
        assert_eq!(flaw(rule), "", "{rule}");
    }
}

#[test]
fn a_member_is_kept_unless_the_type_says_the_same() {
    let text = r#"
[[recognise]]
field = "kind"
values = { p = "push" }
patterns = [{ like = "i*", type = "issue.opened" }]
default = "issue.closed"
"#;
    let rules = rules(text).unwrap();
    let told = |name: &str| told_fields(&rules, name, &KeySlots::new(["other"])).len();
    assert_eq!((told("push"), told("issue.opened"), told("issue.closed")), (1, 0, 0));
    assert!(!rules[0].is_told_by_all());
}

#[test]
fn a_sample_of_a_value_means_its_type() {
    let text = r#"
[[recognise]]
template = "{header:x-event}.{body.action}"
ignore = ["sample.*"]
values = { "a.b" = "push" }
patterns = [{ like = "issue*.opened", type = "issue.opened" }]
otherwise = "next"
[[recognise]]
default = "issue.closed"
"#;
    let rules = rules(text).unwrap();
    let value = rules[0].sample_value("issue.opened").unwrap();
    assert_eq!(value, "issuesample.opened");
    let parts: Vec<_> = rules[0].parts_of(&value).into_iter().map(|(_, part)| part).collect();
    assert_eq!(parts, ["issuesample", "opened"]);
    assert_eq!(rules[0].sample_value("issue.closed"), None);
    assert_eq!(rules[1].sample_value("issue.closed").as_deref(), Some(""));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    /// What was refused as unreachable is, and what was taken is not: by trying texts.
    #[test]
    fn a_pattern_that_is_refused_never_decides(likes in prop::collection::vec("[ab*]{1,4}", 2..4), texts in prop::collection::vec("[abz]{0,6}", 40)) {
        let list: Vec<_> = likes.iter().map(|like| format!("{{ like = \"{like}\", type = \"push\" }}")).collect();
        let words = flaw(&format!("header = \"h\"\npatterns = [{}]", list.join(", ")));
        let patterns: Vec<_> = likes.iter().map(|like| Pattern::new(like)).collect();
        let first = |text: &str| patterns.iter().position(|pattern| pattern.matches(text));
        if let Some(at) = (0..likes.len()).find(|at| words.starts_with(&format!("p: recognise[0].patterns[{at}]: "))) {
            prop_assert!(texts.iter().all(|text| first(text) != Some(at)));
        } else {
            prop_assert_eq!(words, "");
            // A letter that no pattern has tells each from those before it, unless they cover it only together.
            for (at, pattern) in patterns.iter().enumerate() {
                let alone = patterns[..at].iter().all(|before| !before.covers(pattern));
                prop_assert!(alone);
            }
        }
    }
}
