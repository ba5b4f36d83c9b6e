//! The straightforward way from JSON to Avro: what one writes first.

use std::collections::HashMap;
use std::slice;

use apache_avro::Schema;
use apache_avro::schema::RecordField;
use apache_avro::types::Value as Avro;
use apache_avro::writer::datum::GenericDatumWriter;
use hookbridge::bench::{Bench, Case, Converted, Place, phone};
use serde_json::Value as Json;

/// Two trees, then the bytes.
pub(crate) struct Straight<'a> {
    case: &'a Case,
    fields: &'a [RecordField],
    names: HashMap<String, &'a Schema>,
    event: GenericDatumWriter<'a>,
    /// Of the entity's last state, and the name of its snapshot.
    latest: Option<(GenericDatumWriter<'a>, &'a str)>,
}

/// The schemas of a case, parsed.
pub(crate) struct Schemas {
    event: Schema,
    latest: Option<Schema>,
}

impl Schemas {
    pub(crate) fn of(case: &Case) -> Schemas {
        let parse = |text: &String| Schema::parse_str(text).expect("a schema");
        Schemas { event: parse(&case.schema), latest: case.latest.as_ref().map(|latest| parse(&latest.schema)) }
    }
}

impl<'a> Straight<'a> {
    /// Made once for each type.
    pub(crate) fn new(schemas: &'a Schemas, case: &'a Case) -> Straight<'a> {
        let mut names = HashMap::new();
        collect(&schemas.event, &mut names);
        let latest = schemas.latest.as_ref().map(|schema| (writer(schema), &*fields(schema)[1].name));
        Straight { case, fields: fields(&schemas.event), names, event: writer(&schemas.event), latest }
    }
}

fn writer(schema: &Schema) -> GenericDatumWriter<'_> {
    GenericDatumWriter::builder(schema).build().expect("a writer")
}

fn fields(schema: &Schema) -> &[RecordField] {
    let Schema::Record(record) = schema else { panic!("no record") };
    &record.fields
}

impl Straight<'_> {
    /// Checks that both ways give the same.
    pub(crate) fn check(&self, bench: &Bench) {
        for body in &self.case.bodies {
            let ours = bench.convert(&self.case.profile, body).expect("a record");
            assert_eq!(ours, self.convert(body), "{}: {body}", self.case.name());
        }
    }

    pub(crate) fn convert(&self, body: &str) -> Converted {
        let json: Json = serde_json::from_str(body).expect("JSON");
        let payload = self.case.payload.as_ref().map_or(&json, |name| &json[name]);
        let key = id(at(payload, &self.case.key)).expect("a key");
        let mut head = Some(self.head(payload, &key));
        let fields = self.fields.iter().map(|field| {
            let value = match field.name.as_str() {
                "event" => head.take().expect("one head"),
                "extra" => optional(None),
                _ if self.case.whole_payload => self.value(payload, &field.schema),
                _ => self.field(payload, self.fields, field),
            };
            (field.name.clone(), value)
        });
        let record = Avro::Record(fields.collect());
        let event = framed(&self.event, &record);
        let Avro::Record(mut fields) = record else { panic!("no record") };
        let latest = self.latest.as_ref().zip(self.case.latest.as_ref()).map(|((writer, snapshot), latest)| {
            // What is in both moves from one to the other.
            let mut take = |wanted: &str| {
                let at = fields.iter().position(|(name, _)| name == wanted).expect("a field");
                fields.swap_remove(at)
            };
            let mut record = vec![take("event"), take(snapshot)];
            record.extend(latest.list.as_ref().map(|place| ("phones".to_owned(), list(payload, place))));
            record.push(("extra".to_owned(), optional(None)));
            (instant(at(payload, &latest.updated)), framed(writer, &Avro::Record(record)))
        });
        let links = self.case.links.iter().map(|places| distinct(payload, places)).collect();
        Converted { key, event, links, latest }
    }

    fn head(&self, payload: &Json, key: &str) -> Avro {
        let occurred = self.case.times.iter().find_map(|steps| instant(at(payload, steps)));
        Avro::Record(vec![
            ("id".into(), Avro::Uuid("9a67c00d-b2c5-8677-8489-2cf44ff60965".parse().expect("a UUID"))),
            ("type".into(), Avro::String(self.case.event_type.clone())),
            ("source".into(), Avro::String(self.case.profile.clone())),
            ("entity_id".into(), Avro::String(key.into())),
            ("occurred_at".into(), optional(occurred.map(Avro::TimestampMillis))),
            ("received_at".into(), Avro::TimestampMillis(1_780_401_600_000)),
        ])
    }

    /// One of `fields`, which are those of the object `json`.
    fn field(&self, json: &Json, fields: &[RecordField], field: &RecordField) -> Avro {
        match field.custom_attributes.get("derive") {
            _ if field.name == "extra" => optional(None),
            None => self.value(&json[json_name(field)], &field.schema),
            Some(how) => {
                let from = fields.iter().find(|from| how["from"] == *from.name).expect("a field beside it");
                optional(derived(how, &json[json_name(from)]).map(Avro::String))
            }
        }
    }

    fn value(&self, json: &Json, schema: &Schema) -> Avro {
        match schema {
            Schema::Union(_) if json.is_null() => optional(None),
            Schema::Union(union) => Avro::Union(1, Box::new(self.value(json, &union.variants()[1]))),
            Schema::Ref { name } => self.value(json, self.names[&name.to_string()]),
            Schema::Record(record) => {
                let value = |field: &RecordField| (field.name.clone(), self.field(json, &record.fields, field));
                Avro::Record(record.fields.iter().map(value).collect())
            }
            Schema::Array(array) => {
                Avro::Array(json.as_array().expect("an array").iter().map(|j| self.value(j, &array.items)).collect())
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
    if let Some(member) = how["member"].as_str() {
        return id(&from[member]);
    }
    match (how["reference"].as_str(), from) {
        // It may stand in JSON that stands in a string, or be that string.
        (Some(member), Json::String(inner)) => match serde_json::from_str::<Json>(inner) {
            Ok(inner) => id(&inner[member]),
            Err(_) => id(from),
        },
        (Some(member), _) => id(&from[member]),
        (None, _) => phone(&id(from)?, how.get("whatsapp").is_some()),
    }
}

fn framed(writer: &GenericDatumWriter<'_>, record: &Avro) -> Vec<u8> {
    let mut framed = vec![0, 0, 0, 0, 1];
    writer.write_value_ref(&mut framed, record).expect("a record");
    framed
}

fn at<'a>(payload: &'a Json, steps: &[String]) -> &'a Json {
    steps.iter().fold(payload, |json, step| &json[step])
}

/// What is found at `places`, each once.
fn distinct(payload: &Json, places: &[Place]) -> Vec<String> {
    let mut found = Vec::new();
    for place in places {
        reach(payload, &place.steps, place.how.as_ref(), &mut found);
    }
    found
}

fn reach(json: &Json, steps: &[String], how: Option<&Json>, found: &mut Vec<String>) {
    match (json, steps) {
        (Json::Array(items), [_, ..]) => {
            for item in items {
                reach(item, steps, how, found);
            }
        }
        (_, [step, rest @ ..]) => reach(&json[step], rest, how, found),
        (_, []) => {
            let new = how.map_or_else(|| id(json), |how| derived(how, json));
            found.extend(new.filter(|new| !found.contains(new)));
        }
    }
}

fn list(payload: &Json, place: &Place) -> Avro {
    let texts: Vec<_> = distinct(payload, slice::from_ref(place)).into_iter().map(Avro::String).collect();
    optional((!texts.is_empty()).then_some(Avro::Array(texts)))
}

/// A text, or a number.
fn id(json: &Json) -> Option<String> {
    match json {
        Json::String(text) => Some(text.clone()),
        Json::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn optional(value: Option<Avro>) -> Avro {
    match value {
        Some(value) => Avro::Union(1, Box::new(value)),
        None => Avro::Union(0, Box::new(Avro::Null)),
    }
}

fn instant(json: &Json) -> Option<i64> {
    if json.is_null() { None } else { Some(millis(json)) }
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
