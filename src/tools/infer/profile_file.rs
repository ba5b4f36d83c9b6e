//! `profile.toml`: what it says already, and the text with types added. What a person wrote stays as it is.

use std::collections::BTreeMap;

use http::HeaderName;
use toml_edit::{DocumentMut, InlineTable, Item, Table, TableLike, Value, value};

/// An event type to be written.
#[derive(Clone, Debug)]
pub(crate) struct NewType {
    pub(crate) name: String,
    pub(crate) record: String,
    pub(crate) topic: String,
    pub(crate) key: String,
    pub(crate) time: Vec<String>,
    pub(crate) told_by: ToldBy,
}

/// What determines a type that is new.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ToldBy {
    pub(crate) place: ToldPlace,
    pub(crate) value: String,
}

/// Where its value stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum ToldPlace {
    /// A member of the body, or one further inside with dots between.
    Member(String),
    /// A header of the request.
    Header(HeaderName),
    /// Where the rule of this number, which is there already, looks.
    Rule(usize),
}

impl ToldPlace {
    /// How a new rule says where it looks.
    fn written(&self) -> Option<(&'static str, &str)> {
        match self {
            ToldPlace::Member(path) if path.contains('.') => Some(("path", path)),
            ToldPlace::Member(name) => Some(("field", name)),
            ToldPlace::Header(name) => Some(("header", name.as_str())),
            ToldPlace::Rule(_) => None,
        }
    }
}

/// How a new profile says that requests are verified.
#[derive(Clone, Debug)]
pub(crate) struct VerifyChoice {
    pub(crate) method: String,
    pub(crate) header: String,
    /// Whether a person said so.
    pub(crate) given: bool,
}

/// What a profile's file says, as far as inferring needs it.
pub(super) struct KnownProfile {
    doc: DocumentMut,
    pub(super) payload: Option<String>,
    rules: Vec<KnownRule>,
    pub(super) types: BTreeMap<String, KnownType>,
}

struct KnownRule {
    /// The member of the body that it looks at, if it looks at one alone.
    field: Option<String>,
    /// Value to type; `None` where the value is the type.
    values: Option<BTreeMap<String, String>>,
}

pub(super) struct KnownType {
    pub(super) record: String,
    /// The field that the payload as a whole is.
    pub(super) payload: Option<String>,
}

impl KnownProfile {
    /// Reads a file that the catalog has read without complaint.
    pub(super) fn read(text: &str) -> Option<KnownProfile> {
        let doc: DocumentMut = text.parse().ok()?;
        let text = |table: &dyn TableLike, key: &str| table.get(key).and_then(Item::as_str).map(str::to_owned);
        let payload = doc.get("envelope").and_then(Item::as_table_like).and_then(|envelope| text(envelope, "payload"));
        let rule = |table: &dyn TableLike| {
            let values = table.get("values").and_then(Item::as_table_like);
            let values = values.map(|values| {
                values.iter().filter_map(|(value, name)| Some((value.to_owned(), name.as_str()?.to_owned()))).collect()
            });
            KnownRule { field: text(table, "field").or_else(|| text(table, "path")), values }
        };
        let rules = doc.get("recognise").and_then(Item::as_array_of_tables);
        let rules = rules.into_iter().flatten().map(|table| rule(table)).collect();
        let types = doc.get("types").and_then(Item::as_table_like).map(|types| {
            types
                .iter()
                .filter_map(|(name, ty)| {
                    let ty = ty.as_table_like()?;
                    Some((name.to_owned(), KnownType { record: text(ty, "record")?, payload: text(ty, "payload") }))
                })
                .collect()
        });
        Some(KnownProfile { payload, rules, types: types.unwrap_or_default(), doc })
    }

    /// The member of the body that the first rule which looks at one alone looks at.
    pub(super) fn type_member(&self) -> Option<&str> {
        self.rules.iter().find_map(|rule| rule.field.as_deref())
    }

    /// Members that tell that a body is an `event_type`: they have no field, unless the record has one.
    pub(super) fn telling(&self, event_type: &str) -> Vec<String> {
        let tells = |rule: &&KnownRule| {
            rule.values.as_ref().is_none_or(|values| values.values().any(|name| name == event_type))
        };
        self.rules.iter().filter(tells).filter_map(|rule| rule.field.clone()).collect()
    }

    /// The text with `new` types added; `None` where it is written in a way that nothing can be added to.
    pub(super) fn with_types(mut self, new: &[NewType]) -> Option<String> {
        for ty in new {
            let ToldPlace::Rule(at) = ty.told_by.place else { return None };
            self.tell(at, &ty.told_by.value, &ty.name)?;
            let types = self.doc.get_mut("types")?.as_table_like_mut()?;
            types.insert(&ty.name, Item::Value(Value::InlineTable(line(ty))));
        }
        Some(self.doc.to_string())
    }

    /// Lets the rule number `at` know that `value` is the type `name`.
    fn tell(&mut self, at: usize, value: &str, name: &str) -> Option<()> {
        let known: Vec<String> = self.types.keys().cloned().collect();
        let rule = self.doc.get_mut("recognise")?.as_array_of_tables_mut()?.get_mut(at)?;
        if self.rules.get(at)?.values.is_none() {
            if value == name {
                return Some(());
            }
            // Until now each value was the type; now there is one that is not.
            let mut values = Table::new();
            for name in &known {
                values.insert(name, toml_edit::value(name));
            }
            rule.insert("values", Item::Table(values));
            self.rules[at].values = Some(BTreeMap::new());
        }
        rule.get_mut("values")?.as_table_like_mut()?.insert(value, toml_edit::value(name));
        Some(())
    }
}

fn line(ty: &NewType) -> InlineTable {
    let mut line = InlineTable::new();
    line.insert("record", ty.record.as_str().into());
    line.insert("topic", ty.topic.as_str().into());
    line.insert("key", ty.key.as_str().into());
    line.insert("time", Value::Array(ty.time.iter().map(String::as_str).collect()));
    line
}

/// The text of a new file.
pub(super) fn new_file(profile: &str, verify: &VerifyChoice, types: &[NewType]) -> String {
    let quoted = |text: &str| value(text).to_string();
    let mut text = format!(
        "# {profile}: how to verify its webhooks, how to recognise an event's type, and where each event goes.\n\
         # Begun by `hookbridge profile init`: look it through, and fill in each TODO of the .avsc files beside it.\n\
         # `key` and `time` are paths in the Avro record; see docs/vendors.md.\n\n"
    );
    if !verify.given {
        text += "# TODO: samples do not show how the vendor proves who sends; its page does.\n\
                 #   method = \"hmac-sha256\": `header` holds HMAC-SHA256 of the raw body; the source has `secrets`\n\
                 #   method = \"token\": `header` holds a shared token; the source has `tokens`\n";
    }
    text += &format!("[verify]\nmethod = {}\nheader = {}\n", quoted(&verify.method), quoted(&verify.header));
    let mut places: Vec<&ToldPlace> = Vec::new();
    for ty in types {
        if !places.contains(&&ty.told_by.place) {
            places.push(&ty.told_by.place);
        }
    }
    for place in places {
        let Some((key, name)) = place.written() else { continue };
        let what = if key == "header" { "header" } else { "member" };
        let head = format!("\n# The value of this {what} determines the type.\n[[recognise]]");
        text += &format!("{head}\n{key} = {}\n\n[recognise.values]\n", quoted(name));
        for ty in types.iter().filter(|ty| ty.told_by.place == *place) {
            text += &format!("{} = {}\n", quoted(&ty.told_by.value), quoted(&ty.name));
        }
    }
    text += "\n[types]\n";
    for ty in types {
        text += &format!("{} = {}\n", quoted(&ty.name), line(ty));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new_type(name: &str, value: &str) -> NewType {
        NewType {
            name: name.into(),
            record: "New".into(),
            topic: "new".into(),
            key: "id".into(),
            time: vec!["at".into()],
            told_by: ToldBy { place: ToldPlace::Rule(0), value: value.into() },
        }
    }

    const LINE: &str = r#"{ record = "New", topic = "new", key = "id", time = ["at"] }"#;

    #[test]
    fn a_type_is_added_and_all_else_stays() {
        let head = "# mine\n[[recognise]]\nfield = \"kind\"   # here\n";
        let tail = "\n[types]\n\"a.b\" = { record = \"AB\" } # old\n";
        let text = format!("{head}values = {{ A = \"a.b\" }}\n{tail}");
        let added = KnownProfile::read(&text).unwrap().with_types(&[new_type("c.d", "C D")]).unwrap();
        assert!(added.starts_with(head), "{added}");
        assert!(added.ends_with(&format!("{tail}\"c.d\" = {LINE}\n")), "{added}");
        let read: toml::Table = toml::from_str(&added).unwrap();
        let values: Vec<_> = read["recognise"][0]["values"].as_table().unwrap().iter().collect();
        assert_eq!(values, [(&"A".to_owned(), &"a.b".into()), (&"C D".to_owned(), &"c.d".into())]);
    }

    #[test]
    fn a_rule_whose_values_are_the_types_gets_values_once_one_is_not() {
        let text = "[[recognise]]\nfield = \"kind\"\n\n[types]\n\"a.b\" = { record = \"AB\" }\n";
        let same = KnownProfile::read(text).unwrap().with_types(&[new_type("c.d", "c.d")]).unwrap();
        assert_eq!(same, format!("{text}\"c.d\" = {LINE}\n"));
        let other = KnownProfile::read(text).unwrap().with_types(&[new_type("c.d", "CD"), new_type("e", "e")]).unwrap();
        let read: toml::Table = toml::from_str(&other).unwrap();
        let values = read["recognise"][0]["values"].as_table().unwrap();
        assert_eq!(values.len(), 3, "{other}");
        assert_eq!(values["CD"].as_str(), Some("c.d"));
    }

    #[test]
    fn a_value_is_added_to_the_rule_that_does_not_know_it() {
        let text = "[[recognise]]\ntemplate = \"{a}.{b}\"\n\n[[recognise]]\nheader = \"x-topic\"\nvalues = { A = \"a.b\" }\n\n[types]\n\"a.b\" = { record = \"AB\" }\n";
        let mut new = new_type("c.d", "C");
        new.told_by.place = ToldPlace::Rule(1);
        let added = KnownProfile::read(text).unwrap().with_types(&[new]).unwrap();
        let read: toml::Table = toml::from_str(&added).unwrap();
        assert_eq!(read["recognise"][1]["values"]["C"].as_str(), Some("c.d"));
        assert_eq!(read["recognise"][0].as_table().unwrap().len(), 1, "{added}");
    }
}
