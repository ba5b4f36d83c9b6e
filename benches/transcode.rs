//! `cargo bench`: JSON to Avro, ours against the straightforward way (parse to `serde_json::Value`, convert to
//! `apache_avro::types::Value`, write with `apache-avro`), on realistic bodies of every event type.
//!
//! Both do the same work in one run, in turn, so that a machine whose speed drifts treats both alike; the ratio of
//! each pair is what counts, and the median of the pairs is printed with its spread. Both give the same bytes, which
//! is checked first.

#![allow(clippy::expect_used, clippy::cast_precision_loss, reason = "a benchmark has nobody to report to")]

use std::collections::HashMap;
use std::hint::black_box;
use std::time::Instant;

use apache_avro::Schema;
use apache_avro::schema::RecordField;
use apache_avro::types::Value as Avro;
use apache_avro::writer::datum::GenericDatumWriter;
use hookbridge::bench::{Bench, Case, cases};
use serde_json::Value as Json;

const BODIES: u64 = 32;
const PAIRS: usize = 15;
/// Passes over the bodies in one timed half of a pair.
const PASSES: usize = 12;

fn main() {
    // `cargo test --benches` asks for a short run: is everything in order?
    let quick = std::env::args().any(|arg| arg == "--test");
    let (bench, cases) = cases(BODIES);
    let (pairs, passes) = if quick { (1, 1) } else { (PAIRS, PASSES) };
    println!("{:<46} {:>7} {:>10} {:>14} {:>22}", "event type", "bytes", "ours", "straightforward", "ratio (min..max)");
    let mut all = Vec::new();
    for case in &cases {
        let schema = Schema::parse_str(&case.schema).expect("a schema");
        let writer = GenericDatumWriter::builder(&schema).build().expect("a writer");
        let mut names = HashMap::new();
        collect(&schema, &mut names);
        let straight = Straight { writer: &writer, schema: &schema, names: &names, case };
        let profile = case.name.split('.').next().expect("a profile");
        check_same_bytes(&bench, &straight, profile);
        let ours = || case.bodies.iter().for_each(|body| _ = black_box(bench.transcode(profile, black_box(body))));
        let theirs = || case.bodies.iter().for_each(|body| _ = black_box(straight.transcode(black_box(body))));
        let mut measured: Vec<(f64, f64)> = (0..pairs).map(|_| (time(passes, ours), time(passes, theirs))).collect();
        measured.sort_by(|a, b| (a.1 / a.0).total_cmp(&(b.1 / b.0)));
        let ratio = |at: usize| measured[at].1 / measured[at].0;
        let (ours, theirs) = measured[pairs / 2];
        let bytes = case.bodies.iter().map(String::len).sum::<usize>() / case.bodies.len();
        println!(
            "{:<46} {bytes:>7} {:>7.2} µs {:>11.2} µs {:>6.2} ({:.2}..{:.2})",
            case.name,
            ours,
            theirs,
            ratio(pairs / 2),
            ratio(0),
            ratio(pairs - 1)
        );
        all.push(ratio(pairs / 2));
    }
    all.sort_by(f64::total_cmp);
    println!(
        "straightforward / ours over {} event types: median {:.2}, worst {:.2}, best {:.2}",
        all.len(),
        all[all.len() / 2],
        all[0],
        all[all.len() - 1]
    );
}

/// Microseconds per body.
fn time(passes: usize, work: impl Fn()) -> f64 {
    let start = Instant::now();
    for _ in 0..passes {
        work();
    }
    start.elapsed().as_secs_f64() * 1e6 / (passes as f64 * BODIES as f64)
}

fn check_same_bytes(bench: &Bench, straight: &Straight<'_>, profile: &str) {
    for body in &straight.case.bodies {
        let ours = bench.transcode(profile, body).expect("a record");
        assert!(ours[5..] == straight.transcode(body)[5..], "{}: not the same bytes for {body}", straight.case.name);
    }
}

/// What one writes first: two trees, then the bytes.
struct Straight<'a> {
    writer: &'a GenericDatumWriter<'a>,
    schema: &'a Schema,
    names: &'a HashMap<String, &'a Schema>,
    case: &'a Case,
}

impl Straight<'_> {
    fn transcode(&self, body: &str) -> Vec<u8> {
        let json: Json = serde_json::from_str(body).expect("JSON");
        let payload = self.case.payload.as_ref().map_or(&json, |name| &json[name]);
        let event = self.event(payload);
        let Schema::Record(record) = self.schema else { panic!("no record") };
        let fields = record.fields.iter().map(|field| {
            let value = match field.name.as_str() {
                "event" => event.clone(),
                "extra" => Avro::Union(0, Box::new(Avro::Null)),
                _ if self.case.whole_payload => self.convert(payload, &field.schema),
                _ => self.convert(&payload[json_name(field)], &field.schema),
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

    fn convert(&self, json: &Json, schema: &Schema) -> Avro {
        match schema {
            Schema::Union(_) if json.is_null() => Avro::Union(0, Box::new(Avro::Null)),
            Schema::Union(union) => Avro::Union(1, Box::new(self.convert(json, &union.variants()[1]))),
            Schema::Ref { name } => self.convert(json, self.names[&name.to_string()]),
            Schema::Record(record) => {
                let field = |field: &RecordField| match field.name.as_str() {
                    "extra" => (field.name.clone(), Avro::Union(0, Box::new(Avro::Null))),
                    _ => (field.name.clone(), self.convert(&json[json_name(field)], &field.schema)),
                };
                Avro::Record(record.fields.iter().map(field).collect())
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
