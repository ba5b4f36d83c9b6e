//! `[kafka]`: where records go, and librdkafka's properties.

use std::collections::BTreeMap;

use super::KafkaSettings;
use super::Producers;
use super::bounds::{MOST_OF_MESSAGE, bounded, bytes, flatten, or, topic_prefix};
use super::fault::Faults;
use super::kafka_security;
use super::units::{Bytes, Choice, OneOrMany, SwitchOrNames, Text, WholeNumber};
use super::written::WrittenKafka;
use crate::catalog::{FurtherTopics, JoinTopics};
use crate::values::secret::Secret;

/// `kafka.producers` at the most, since each has threads and connections of its own.
const MAX_PRODUCERS: u32 = 64;

/// `event`, which every record begins with, takes some 200 bytes, and the names and times of an entity as much again.
const LEAST_RECORD: usize = 500;

/// librdkafka properties that the promises rest on, and their aliases.
const FIXED_PROPERTIES: [&str; 17] = [
    "acks",
    "request.required.acks",
    "enable.idempotence",
    "enable.gapless.guarantee",
    "transactional.id",
    "partitioner",
    "message.timeout.ms",
    "delivery.timeout.ms",
    "request.timeout.ms",
    "transaction.timeout.ms",
    "retries",
    "message.send.max.retries",
    "max.in.flight",
    "max.in.flight.requests.per.connection",
    "message.max.bytes",
    "allow.auto.create.topics",
    "delivery.report.only.error",
];

impl WrittenKafka {
    pub(super) fn resolve(self, faults: &mut Faults) -> KafkaSettings {
        let max_record_bytes = bounded(
            "kafka.max_record_bytes",
            Bytes(bytes(self.max_record_bytes, 1_000_000)),
            Bytes(1_000_000),
            |most| (LEAST_RECORD..=MOST_OF_MESSAGE).contains(&most.0),
            "from 500 bytes to 900 MiB (a smaller record holds no event, a larger one Kafka's client does not take)",
            faults,
        );
        let further_topics = FurtherTopics {
            joins: self.join_topics.map_or(JoinTopics::Default, join_topics),
            timelines: or(self.timeline_topics, false),
            latest: or(self.latest_topics, true),
        };
        let bootstrap_servers = bootstrap_servers(self.bootstrap_servers, faults);
        let properties = properties(&self.properties, faults);
        kafka_security::check(&properties, &bootstrap_servers, faults);
        KafkaSettings {
            bootstrap_servers,
            topics: or(self.topics, Choice::default()).0,
            topic_prefix: topic_prefix("kafka.topic_prefix", self.topic_prefix, faults),
            create_topics: or(self.create_topics, true),
            partitions: or(self.partitions, WholeNumber(12)).0,
            replication_factor: bounded(
                "kafka.replication_factor",
                or(self.replication_factor, WholeNumber(-1)),
                WholeNumber(-1),
                |replicas| replicas.0 != 0,
                "1 to 100, or -1 for the broker's default",
                faults,
            )
            .0,
            timestamps: or(self.timestamp, Choice::default()).0,
            producers: producers(self.producers, faults),
            // A broker takes batches of 1,048,588 bytes unless told otherwise; the rest is for what wraps a record.
            max_record_bytes: max_record_bytes.0,
            latest_keys: or(self.latest_keys, WholeNumber(500_000)).0 as usize,
            further_topics,
            properties,
        }
    }
}

fn producers(written: Option<Text<String>>, faults: &mut Faults) -> Producers {
    let Some(Text(text)) = written else { return Producers::Auto };
    match text.trim().parse() {
        Ok(count) if (1..=MAX_PRODUCERS).contains(&count) => Producers::Count(count),
        _ if text.trim() == "auto" => Producers::Auto,
        _ => {
            faults.unfit("kafka.producers", &format!("\"auto\" or a number from 1 to {MAX_PRODUCERS}"));
            Producers::Auto
        }
    }
}

fn join_topics(written: SwitchOrNames) -> JoinTopics {
    match written {
        SwitchOrNames::Word(word) => match word.as_str() {
            "true" => JoinTopics::Default,
            "false" => JoinTopics::None,
            "all" => JoinTopics::All,
            _ => JoinTopics::Only(vec![word]),
        },
        SwitchOrNames::Names(names) => JoinTopics::Only(names),
    }
}

/// In a list, or separated by commas as Kafka's own tools have them.
fn bootstrap_servers(written: Option<OneOrMany>, faults: &mut Faults) -> String {
    const KEY: &str = "kafka.bootstrap_servers";
    let OneOrMany(written) = written.unwrap_or_default();
    let servers: Vec<&str> = written.iter().flat_map(|text| text.expose().split(',')).map(str::trim).collect();
    let servers: Vec<&str> = servers.into_iter().filter(|server| !server.is_empty()).collect();
    if servers.is_empty() {
        faults.missing(KEY, "localhost:9092");
    }
    for server in &servers {
        if let Some(remedy) = flaw_of(server) {
            let shown = faults.written().part(KEY, server);
            faults.add_with(KEY, format!("expected HOST:PORT, got {shown}"), remedy);
        }
    }
    servers.join(",")
}

/// What is wrong with one address; librdkafka also takes a protocol in front, and its own port if there is none.
fn flaw_of(server: &str) -> Option<String> {
    if server.contains('@') {
        return Some("user and password belong in kafka.properties: sasl.username and sasl.password".to_owned());
    }
    let protocols = ["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"];
    let address = match server.split_once("://") {
        Some((protocol, address)) if protocols.contains(&protocol.to_ascii_lowercase().as_str()) => address,
        Some(_) => return Some("remove what stands before the host: Kafka's addresses have no http://".to_owned()),
        None => server,
    };
    if !address.starts_with('[') && address.matches(':').count() > 1 && !address.contains([';', ' ', ',']) {
        return Some("an IPv6 address stands in brackets, such as [::1]:9092".to_owned());
    }
    let (host, port) = match address.rsplit_once(':') {
        // `[::1]` without a port.
        _ if address.ends_with(']') => (address, None),
        Some((host, port)) => (host, Some(port)),
        None => (address, None),
    };
    if host.is_empty() {
        return Some("the host is missing".to_owned());
    }
    if host.contains(|c: char| c.is_whitespace() || ";/@\"'".contains(c)) {
        return Some("separate several with commas, or write a list such as [\"one:9092\", \"two:9092\"]".to_owned());
    }
    let is_port = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0));
    (!is_port).then(|| "the port must be from 1 to 65535".to_owned())
}

fn properties(written: &toml::Table, faults: &mut Faults) -> BTreeMap<String, Secret> {
    const SECTION: &str = "kafka.properties";
    let mut properties = BTreeMap::new();
    flatten(SECTION, "", written, &mut properties, faults);
    // librdkafka takes a topic's property with `topic.` in front as well.
    let bare = |name: &str| name.strip_prefix("topic.").unwrap_or(name).to_owned();
    for name in properties.keys() {
        let (what, remedy) = match bare(name).as_str() {
            "bootstrap.servers" | "metadata.broker.list" => ("must not be set here", "use kafka.bootstrap_servers"),
            "statistics.interval.ms" => {
                ("must not be set: hookbridge sets it, since its metrics depend on it", "remove it")
            }
            // OpenSSL's own provider goes when the first client of Kafka that loaded it ends, and every other connection with it.
            "ssl.providers" => ("must not be set: TLS of the whole process would end with it", "remove it"),
            fixed if FIXED_PROPERTIES.contains(&fixed) => {
                ("must not be set: hookbridge sets it, since its promises to senders depend on it", "remove it")
            }
            _ => continue,
        };
        faults.add_with(format!("{SECTION}.{name}"), what, remedy);
    }
    properties.retain(|name, _| !faults.has(&format!("{SECTION}.{name}")));
    properties
}

#[cfg(test)]
mod tests {
    use super::flaw_of;

    #[test]
    fn an_address_of_kafka_is_a_host_and_a_port() {
        for good in ["a:1", "a", "10.0.0.1:9092", "[::1]:9092", "[::1]", "SASL_SSL://a.example:65535"] {
            assert_eq!(flaw_of(good), None, "{good}");
        }
        for bad in
            ["a:0", "a:65536", "a:x", "a:", ":9092", "http://a:9092", "a:9092;b:9092", "a b:1", "u@a:1", "::1:9092"]
        {
            assert!(flaw_of(bad).is_some(), "{bad}");
        }
    }
}
