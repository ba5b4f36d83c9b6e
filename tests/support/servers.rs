//! The Kafka and the registry of the whole run, started once and ended when the test process ends, however it ends.
//!
//! | wanted | Kafka | registry |
//! | --- | --- | --- |
//! | named by the environment | `HOOKBRIDGE_TEST_KAFKA` | `HOOKBRIDGE_TEST_REGISTRY` |
//! | Java and Maven are there | Apache Kafka (`KRaft`, one node) | Apicurio (Java 21 or later) |
//! | neither | librdkafka's mock cluster | a stand-in (`support/registry.rs`) |
//!
//! `HOOKBRIDGE_TEST_REQUIRE_REAL=1` makes the last row an error.

use std::path::PathBuf;
use std::sync::LazyLock;
use std::thread;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;

use super::java::{self, Server};
use super::mock::Mock;
use super::registry::StandIn;
use super::{RUNTIME, say, variable};

/// The servers of this run.
pub(crate) struct Servers {
    /// As `kafka.bootstrap_servers` has it.
    pub(crate) kafka: String,
    /// As `registry.url` has it.
    pub(crate) registry: String,
    /// Where the Kafka that was started here has its partitions.
    #[allow(dead_code, reason = "only the integration tests look at them")]
    pub(crate) kafka_data: Option<PathBuf>,
    mock: Option<Mock>,
    /// Their standard inputs: closed by the kernel when this process ends, which ends them.
    _children: Vec<Server>,
    _stand_in: Option<StandIn>,
}

static SERVERS: LazyLock<Servers> = LazyLock::new(start);

/// The servers, started by the first test that asks.
pub(crate) fn servers() -> &'static Servers {
    &SERVERS
}

/// Whether a stand-in is an error.
pub(crate) fn require_real() -> bool {
    variable("HOOKBRIDGE_TEST_REQUIRE_REAL").is_some_and(|value| value != "0")
}

impl Servers {
    /// Whether Kafka is a stand-in.
    pub(crate) fn is_mock(&self) -> bool {
        self.mock.is_some()
    }

    /// Makes a topic in the real Kafka.
    #[allow(dead_code, reason = "the fault suite has a broker of its own")]
    pub(crate) fn create_topic(&self, name: &str, partitions: i32) {
        let admin: AdminClient<DefaultClientContext> =
            ClientConfig::new().set("bootstrap.servers", &self.kafka).create().expect("a client");
        let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
        let made = RUNTIME.block_on(admin.create_topics([&topic], &AdminOptions::new())).expect("an answer");
        assert!(made.iter().all(Result::is_ok), "{made:?}");
    }

    /// Makes topics where the program cannot: the mock cluster does not know `CreateTopics`.
    pub(crate) fn prepare_topics<'a>(&self, topics: impl IntoIterator<Item = &'a str>, partitions: i32) {
        if let Some(mock) = &self.mock {
            topics.into_iter().for_each(|topic| mock.create_topic(topic, partitions));
        }
    }
}

fn start() -> Servers {
    // Side by side: each takes seconds.
    let registry = thread::spawn(start_registry);
    let (kafka, kafka_words, mock, broker) = start_kafka();
    let (registry, registry_words, stand_in, other) = registry.join().expect("a registry");
    say(&format!("{kafka_words}, {registry_words}"));
    let kafka_data = broker.as_ref().map(|broker| broker.dir().join("data"));
    Servers {
        kafka,
        registry,
        kafka_data,
        mock,
        _children: broker.into_iter().chain(other).collect(),
        _stand_in: stand_in,
    }
}

fn start_kafka() -> (String, String, Option<Mock>, Option<Server>) {
    if let Some(address) = variable("HOOKBRIDGE_TEST_KAFKA") {
        let words = format!("Kafka at {address} (HOOKBRIDGE_TEST_KAFKA)");
        return (address, words, None, None);
    }
    match java::prepare_kafka("kafka", None, "", &[], java::SMALL_JVM).and_then(|kafka| kafka.start().map(|()| kafka)) {
        Ok(kafka) => {
            let words = format!("Apache Kafka {} (started here)", java::KAFKA_VERSION);
            (kafka.address, words, None, Some(kafka.server))
        }
        Err(missing) => {
            let enable = "install Java and Maven, or set HOOKBRIDGE_TEST_KAFKA";
            assert!(!require_real(), "HOOKBRIDGE_TEST_REQUIRE_REAL: no Apache Kafka: {missing}; {enable}");
            let mock = Mock::start();
            let words = format!("librdkafka's mock cluster ({missing}; {enable})");
            (mock.address.clone(), words, Some(mock), None)
        }
    }
}

fn start_registry() -> (String, String, Option<StandIn>, Option<Server>) {
    if let Some(url) = variable("HOOKBRIDGE_TEST_REGISTRY") {
        let words = format!("registry at {url} (HOOKBRIDGE_TEST_REGISTRY)");
        return (url.trim_end_matches('/').to_owned(), words, None, None);
    }
    match java::start_registry() {
        Ok((server, url)) => (url, format!("Apicurio {} (started here)", java::REGISTRY_VERSION), None, Some(server)),
        Err(missing) => {
            let enable = "install Java 21 and Maven, or set HOOKBRIDGE_TEST_REGISTRY";
            assert!(!require_real(), "HOOKBRIDGE_TEST_REQUIRE_REAL: no registry: {missing}; {enable}");
            let stand_in = RUNTIME.block_on(StandIn::start(1));
            (stand_in.url.clone(), format!("a registry stand-in ({missing}; {enable})"), Some(stand_in), None)
        }
    }
}
