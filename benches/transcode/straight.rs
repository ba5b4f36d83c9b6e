//! The straightforward way from JSON to Avro: what one writes first.

use std::collections::HashMap;

use apache_avro::Schema;
use apache_avro::schema::RecordField;
use apache_avro::types::Value as Avro;
use apache_avro::writer::datum::GenericDatumWriter;
use hookbridge::bench::{Bench, Case, phone};
use serde_json::Value as Json;

/// Two trees, then the bytes.
pub(crate) struct Straight<'a> {
    writer: GenericDatumWriter<'a>,
    schema: &'a Schema,
    names: HashMap<String, &'a Schema>,
    case: &'a Case,
}

impl<'a> Straight<'a> {
    /// Made once for each type; `schema` is the case's, parsed.
    pub(crate) fn new(schema: &'a Schema, case: &'a Case) -> Straight<'a> {
        let mut names = HashMap::new();
        collect(schema, &mut names);
        Straight { writer: GenericDatumWriter::builder(schema).build().expect("a writer"), schema, names, case }
    }
}

impl Straight<'_> {
    /// Checks that both ways give the same bytes, and gives the profile's name.
    pub(crate) fn check(&self, bench: &Bench) -> &str {
        let profile = self.case.name.split('.').next().expect("a profile");
        for body in &self.case.bodies {
            let ours = bench.transcode(profile, body).expect("a record");
            assert!(ours[5..] == self.transcode(body)[5..], "{}: not the same bytes for {body}", self.case.name);
        }
        profile
    }

    pub(crate) fn transcode(&self, body: &str) -> Vec<u8> {
        let json: Json = serde_json::from_str(body).expect("JSON");
        let payload = self.case.payload.as_ref().map_or(&json, |name| &json[name]);
        let event = self.event(payload);
        let Schema::Record(record) = self.schema else { panic!("no record") };
        let fields = record.fields.iter().map(|field| {
            let value = match field.name.as_str() {
                "event" => event.clone(),
                "extra" => Avro::Union(0, Box::new(Avro::Null)),
                _ if self.case.whole_payload => self.convert(payload, &field.schema),
                _ => self.value(payload, &record.fields, field),
            };
            (field.name.clone(), value)
        });
        let mut framed = vec![0, 0, 0, 0, 1];
        self.writer.write_value(&mut framed, Avro::Record(fields.collect())).expect("a record");
        framed
    }

    fn event(&self, payload: &Json) -> Avro {
        let at = |steps: &[String]| steps.iter().fold(payload, |json, step| &json[step]).clone();
        let event_type = self.case.name.split_once('.').expect("a type").1;
        let key = match at(&self.case.key) {
            Json::String(text) => text,
            other => other.to_string(),
        };
        let time = self.case.times.iter().map(|steps| at(steps)).find(|value| !value.is_null());
        let occurred = match time {
            Some(value) => Avro::Union(1, Box::new(Avro::TimestampMillis(millis(&value)))),
            None => Avro::Union(0, Box::new(Avro::Null)),
        };
        Avro::Record(vec![
            ("id".into(), Avro::Uuid("9a67c00d-b2c5-8677-8489-2cf44ff60965".parse().expect("a UUID"))),
            ("type".into(), Avro::String(event_type.into())),
            ("source".into(), Avro::String(self.case.name.split('.').next().expect("a profile").into())),
            ("entity_id".into(), Avro::String(key)),
            ("occurred_at".into(), occurred),
            ("received_at".into(), Avro::TimestampMillis(1_780_401_600_000)),
        ])
    }

    /// One of `fields`, which are those of the object `json`.
    fn value(&self, json: &Json, fields: &[RecordField], field: &RecordField) -> Avro {
        match field.custom_attributes.get("derive") {
            _ if field.name == "extra" => Avro::Union(0, Box::new(Avro::Null)),
            None => self.convert(&json[json_name(field)], &field.schema),
            Some(how) => {
                let from = fields.iter().find(|from| how["from"] == *from.name).expect("a field beside it");
                optional(derived(how, &json[json_name(from)]))
            }
        }
    }

    fn convert(&self, json: &Json, schema: &Schema) -> Avro {
        match schema {
            Schema::Union(_) if json.is_null() => Avro::Union(0, Box::new(Avro::Null)),
            Schema::Union(union) => Avro::Union(1, Box::new(self.convert(json, &union.variants()[1]))),
            Schema::Ref { name } => self.convert(json, self.names[&name.to_string()]),
            Schema::Record(record) => {
                let value = |field: &RecordField| (field.name.clone(), self.value(json, &record.fields, field));
                Avro::Record(record.fields.iter().map(value).collect())
            }
            Schema::Array(array) => {
                Avro::Array(json.as_array().expect("an array").iter().map(|j| self.convert(j, &array.items)).collect())
            }
            Schema::Boolean => Avro::Boolean(json.as_bool().expect("a boolean")),
            Schema::Long => Avro::Long(json.as_i64().expect("a whole number")),
            Schema::Double => Avro::Double(json.as_f64().expect("a number")),
            Schema::TimestampMillis => Avro::TimestampMillis(millis(json)),
            Schema::Date => Avro::Date(i32::try_from(millis(json) / 86_400_000).expect("a date")),
            Schema::Uuid(_) => Avro::Uuid(json.as_str().and_then(|s| s.parse().ok()).expect("a UUID")),
            Schema::String => match json {
                Json::String(text) => Avro::String(text.clone()),
                open => Avro::String(open.to_string()),
            },
            other => panic!("not in the catalog: {other:?}"),
        }
    }
}

/// What is not sent, but made of what is: the member of an object, or a phone number in one form, by the same library as ours.
fn derived(how: &Json, from: &Json) -> Option<String> {
    let text = |json: &Json| match json {
        Json::String(text) => Some(text.clone()),
        Json::Number(number) => Some(number.to_string()),
        _ => None,
    };
    match (how["reference"].as_str(), from) {
        // It may stand in JSON that stands in a string, or be that string.
        (Some(member), Json::String(inner)) => match serde_json::from_str::<Json>(inner) {
            Ok(inner) => text(&inner[member]),
            Err(_) => text(from),
        },
        (Some(member), _) => text(&from[member]),
        (None, _) => phone(&text(from)?, how.get("whatsapp").is_some()),
    }
}

fn optional(text: Option<String>) -> Avro {
    match text {
        Some(text) => Avro::Union(1, Box::new(Avro::String(text))),
        None => Avro::Union(0, Box::new(Avro::Null)),
    }
}

fn millis(json: &Json) -> i64 {
    match json {
        Json::Number(seconds) => seconds.as_i64().expect("seconds") * 1000,
        other => {
            let text = other.as_str().expect("a date");
            let text = if text.len() == 10 { format!("{text}T00:00:00Z") } else { text.to_owned() };
            let time = humantime::parse_rfc3339(&text).expect("a date");
            time.duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_millis() as i64
        }
    }
}

fn json_name(field: &RecordField) -> &str {
    field.custom_attributes.get("json").and_then(Json::as_str).unwrap_or(&field.name)
}

/// Named types by full name.
fn collect<'a>(schema: &'a Schema, names: &mut HashMap<String, &'a Schema>) {
    match schema {
        Schema::Record(record) => {
            names.insert(record.name.to_string(), schema);
            record.fields.iter().for_each(|field| collect(&field.schema, names));
        }
        Schema::Union(union) => union.variants().iter().for_each(|variant| collect(variant, names)),
        Schema::Array(array) => collect(&array.items, names),
        _ => {}
    }
}
