//! The consumer that topics are read with, and why it cannot.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, Producer as _, ProducerContext};

use super::ReadError;
use crate::config::{KafkaSettings, PROBE};
use crate::kafka::plain_words;

/// How long it may take to find out why there is no connection.
const ASK_WHY: Duration = Duration::from_secs(2);
/// How long librdkafka may take to say it.
const HEAR_WHY: Duration = Duration::from_millis(100);

/// A consumer that is assigned its partitions, and leaves nothing behind.
pub(super) type Consumer = BaseConsumer<Known>;

/// What a consumer connects with.
pub(super) struct Known {
    servers: String,
    client: ClientConfig,
}

impl ClientContext for Known {}
impl ConsumerContext for Known {}

/// A consumer. Where it has to begin at a record that is gone, it goes on with the `earliest` there is or the `latest`.
pub(super) fn connect(kafka: &KafkaSettings, when_gone: &str) -> Result<Consumer, ReadError> {
    let mut client = ClientConfig::new();
    client.set("ssl.ca.location", PROBE).set("client.id", "hookbridge");
    client.extend(kafka.properties.iter().map(|(name, value)| (name.clone(), value.expose().to_owned())));
    client.set("bootstrap.servers", &kafka.bootstrap_servers);
    let mut config = client.clone();
    config
        .set("group.id", "hookbridge-reader")
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "false")
        .set("auto.offset.reset", when_gone);
    let known = Known { servers: kafka.bootstrap_servers.clone(), client };
    config.create_with_context(known).map_err(ReadError::Consumer)
}

/// What `consumer` could not do, and why.
pub(super) fn failed(consumer: &Consumer, error: &KafkaError) -> ReadError {
    let Known { servers, client } = &**consumer.context();
    let reason = if plain_words::is_about_connections(error) { reason(client) } else { None };
    ReadError::Kafka { servers: servers.clone(), words: plain_words::of_error_with(error, reason.as_deref()) }
}

/// Why no connection comes about. The consumers of `rdkafka` do not pass it on, its producers do.
fn reason(client: &ClientConfig) -> Option<String> {
    let producer: BaseProducer<ConnectionWords> = client.create_with_context(ConnectionWords::default()).ok()?;
    producer.client().fetch_metadata(None, ASK_WHY).err()?;
    producer.poll(HEAR_WHY);
    producer.context().0.lock().unwrap_or_else(PoisonError::into_inner).take()
}

#[derive(Default)]
struct ConnectionWords(Mutex<Option<String>>);

impl ClientContext for ConnectionWords {
    fn error(&self, error: KafkaError, reason: &str) {
        // That all are down says less than why one is.
        if error.rdkafka_error_code() != Some(RDKafkaErrorCode::AllBrokersDown) {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason.to_owned());
        }
    }
}

impl ProducerContext for ConnectionWords {
    type DeliveryOpaque = ();
    fn delivery(&self, _: &rdkafka::message::DeliveryResult<'_>, (): ()) {}
}
