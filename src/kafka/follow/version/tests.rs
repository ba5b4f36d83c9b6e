//! The time of a state, behind all that may stand before it, and in garbage.

use apache_avro::types::Value;
use proptest::prelude::*;

use super::*;
use crate::catalog::Catalog;

/// Where Wegly's latest topics have their time, with its schema.
fn deal() -> (String, &'static str) {
    let catalog = Catalog::load(None).unwrap();
    let latest = catalog.profiles["wegly"].types["deal.updated"].latest.as_ref().unwrap();
    assert_eq!(latest.updated.text, "deal.updated_at");
    (latest.schema.text.clone(), "deal.updated_at")
}

#[test]
fn the_time_is_found_behind_all_that_may_stand_before_it() {
    let schema = r#"{"type":"record","name":"R","fields":[
        {"name":"b","type":"boolean"},{"name":"f","type":"float"},{"name":"d","type":"double"},{"name":"i","type":"int"},
        {"name":"e","type":{"type":"enum","name":"E","symbols":["A","B"]}},
        {"name":"x","type":{"type":"fixed","name":"F","size":3}},
        {"name":"u","type":{"type":"string","logicalType":"uuid"}},
        {"name":"n","type":{"type":"bytes","logicalType":"decimal","precision":4}},
        {"name":"r","type":{"type":"record","name":"Inner","fields":[{"name":"t","type":["null","string"]}]}},
        {"name":"l","type":{"type":"array","items":"Inner"}},
        {"name":"m","type":{"type":"map","values":"F"}},
        {"name":"day","type":{"type":"int","logicalType":"date"}},
        {"name":"s","type":["null",{"type":"record","name":"S","fields":[
            {"name":"before","type":"Inner"},
            {"name":"at","type":["null",{"type":"long","logicalType":"timestamp-millis"}]}]}]}]}"#;
    let parsed = Schema::parse_str(schema).unwrap();
    let inner = || Value::Record(vec![("t".into(), Value::Union(1, Box::new(Value::String("é".into()))))]);
    let fixed = || Value::Fixed(3, vec![1, 2, 3]);
    let record = |at: Option<i64>| {
        let at =
            at.map_or(Value::Union(0, Value::Null.into()), |at| Value::Union(1, Value::TimestampMillis(at).into()));
        let state = Value::Record(vec![("before".into(), inner()), ("at".into(), at)]);
        let fields: Vec<(String, Value)> = [
            ("b", Value::Boolean(true)),
            ("f", Value::Float(1.5)),
            ("d", Value::Double(-1.5)),
            ("i", Value::Int(-70000)),
            ("e", Value::Enum(1, "B".into())),
            ("x", fixed()),
            ("u", Value::Uuid("6f9619ff-8b86-4d01-b42d-00cf4fc964ff".parse().unwrap())),
            ("n", Value::Decimal(vec![1, 2].into())),
            ("r", inner()),
            ("l", Value::Array(vec![inner(), inner()])),
            ("m", Value::Map([("k".to_owned(), fixed())].into())),
            ("day", Value::Date(20_000)),
            ("s", Value::Union(1, state.into())),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        apache_avro::writer::datum::GenericDatumWriter::builder(&parsed)
            .build()
            .unwrap()
            .write_value_to_vec(Value::Record(fields))
            .unwrap()
    };
    let path = TimePath::new(schema, "s.at").unwrap();
    for at in [None, Some(0), Some(-1), Some(1_780_401_600_123), Some(i64::MAX)] {
        assert_eq!(path.read(&record(at)), Ok(at));
    }
    assert_eq!(TimePath::new(schema, "s.other").unwrap().read(&record(Some(1))), Ok(None));
    let bytes = record(Some(1));
    for end in 0..bytes.len() {
        assert_eq!(path.read(&bytes[..end]), Err(UnfitBytes), "cut off at {end}");
    }
}

#[test]
fn a_record_of_ours_gives_the_time_of_its_state() {
    let (schema, path) = deal();
    let path = TimePath::new(&schema, path).unwrap();
    assert!(path.read(&[0xff; 64]).is_err(), "garbage");
    assert!(TimePath::new("{}", "a").is_none());
}

#[test]
fn no_bytes_make_it_panic_or_go_on_for_ever() {
    let (schema, path) = deal();
    let path = TimePath::new(&schema, path).unwrap();
    proptest!(|(bytes in prop::collection::vec(any::<u8>(), 0..300))| {
        let _ = path.read(&bytes);
    });
}
