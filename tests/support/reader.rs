//! Reads topics back: every record of every partition, by assignment, decoded with the schema that the registry has
//! under the record's id, by `apache-avro`, which had no part in encoding it.

use std::collections::BTreeMap;
use std::sync::{LazyLock, Mutex};
use std::time::{Duration, Instant};

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::types::Value as Avro;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use rdkafka::{Offset, TopicPartitionList};
use serde_json::{Value, json};

use super::servers::servers;
use super::{eventually, registry};

const LIMIT: Duration = Duration::from_secs(30);

/// A record as Kafka has it.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) topic: String,
    pub(crate) partition: i32,
    pub(crate) timestamp: i64,
    pub(crate) key: String,
    pub(crate) headers: Vec<(String, String)>,
    /// Empty for a tombstone.
    pub(crate) value: Vec<u8>,
}

impl Record {
    pub(crate) fn of(message: &BorrowedMessage<'_>) -> Record {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let headers = message.headers().into_iter().flat_map(|headers| headers.iter());
        Record {
            topic: message.topic().to_owned(),
            partition: message.partition(),
            timestamp: message.timestamp().to_millis().expect("a timestamp"),
            key: text(message.key().expect("a key")),
            headers: headers.map(|h| (h.key.to_owned(), text(h.value.unwrap_or_default()))).collect(),
            value: message.payload().unwrap_or_default().to_vec(),
        }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// The schema's id, after Confluent's zero byte.
    pub(crate) fn schema_id(&self) -> u32 {
        assert_eq!(self.value[0], 0, "Confluent's frame begins with a zero");
        u32::from_be_bytes(self.value[1..5].try_into().expect("four bytes"))
    }

    /// The schema's text, from the run's registry.
    pub(crate) fn schema(&self) -> String {
        static TEXTS: LazyLock<Mutex<BTreeMap<u32, String>>> = LazyLock::new(Mutex::default);
        let id = self.schema_id();
        let mut texts = TEXTS.lock().expect("the schemas");
        let fetch = || {
            let found = registry::fetch(&format!("{}/schemas/ids/{id}", servers().registry));
            found["schema"].as_str().unwrap_or_else(|| panic!("no schema {id}: {found}")).to_owned()
        };
        texts.entry(id).or_insert_with(fetch).clone()
    }

    /// The record as JSON: instants are milliseconds, dates are days.
    pub(crate) fn decode(&self) -> Value {
        let schema = Schema::parse_str(&self.schema()).expect("a schema");
        let mut bytes = &self.value[5..];
        let value = GenericDatumReader::builder(&schema).build().and_then(|reader| reader.read_value(&mut bytes));
        let value = value.unwrap_or_else(|error| panic!("{}: {error}", self.topic));
        assert!(bytes.is_empty(), "bytes after the record");
        plain(value)
    }
}

fn plain(value: Avro) -> Value {
    match value {
        Avro::Null => Value::Null,
        Avro::Boolean(yes) => yes.into(),
        Avro::Int(n) | Avro::Date(n) => n.into(),
        Avro::Long(n) | Avro::TimestampMillis(n) => n.into(),
        Avro::Double(n) => json!(n),
        Avro::String(text) => text.into(),
        Avro::Uuid(uuid) => uuid.to_string().into(),
        Avro::Union(_, inner) => plain(*inner),
        Avro::Array(items) => items.into_iter().map(plain).collect(),
        Avro::Record(fields) => fields.into_iter().map(|(name, value)| (name, plain(value))).collect(),
        other => panic!("no type of ours: {other:?}"),
    }
}

/// Every record of `topic`, partition by partition.
pub(crate) fn read(topic: &str) -> Vec<Record> {
    read_from(&servers().kafka, topic)
}

/// The same, from a Kafka of the test's own: what is there when it is called, though more may come meanwhile.
pub(crate) fn read_from(bootstrap: &str, topic: &str) -> Vec<Record> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("group.id", "reads by assignment")
        .set("enable.auto.commit", "false")
        .create()
        .expect("a consumer");
    let metadata = consumer.fetch_metadata(Some(topic), LIMIT).expect("metadata");
    let partitions = metadata.topics()[0].partitions().len();
    assert!(partitions > 0, "no topic {topic}");
    let mut assigned = TopicPartitionList::new();
    // By partition, the offset before which its records are still to come.
    let mut due = BTreeMap::new();
    for partition in 0..i32::try_from(partitions).expect("few") {
        // A topic that was just made may not have its leaders yet.
        let (low, high) = eventually(&format!("watermarks of {topic}"), LIMIT, || {
            consumer.fetch_watermarks(topic, partition, LIMIT).ok()
        });
        if high > low {
            due.insert(partition, high);
        }
        assigned.add_partition_offset(topic, partition, Offset::Beginning).expect("a partition");
    }
    consumer.assign(&assigned).expect("assigned");
    let mut records = Vec::new();
    let started = Instant::now();
    while !due.is_empty() {
        assert!(started.elapsed() < LIMIT, "{} records of {topic}, and not yet those before {due:?}", records.len());
        let Some(Ok(message)) = consumer.poll(Duration::from_millis(200)) else { continue };
        let Some(&high) = due.get(&message.partition()) else { continue };
        if message.offset() + 1 >= high {
            due.remove(&message.partition());
        }
        if message.offset() >= high {
            continue;
        }
        records.push(Record::of(&message));
    }
    records
}
