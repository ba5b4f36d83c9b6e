//! What librdkafka says, in plain words: without its codes, states and counts, and with the cause.

use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

use super::property_words::of_property;

/// Why something failed.
pub(crate) fn of_error(error: &KafkaError) -> String {
    if let KafkaError::ClientConfig(_, words, key, _) = error {
        return format!("kafka.properties.{key}: {}", of_property(words));
    }
    match error.rdkafka_error_code().or(admin_code(error)) {
        None => error.to_string(),
        Some(Code::BrokerTransportFailure | Code::AllBrokersDown) => "no connection".to_owned(),
        Some(Code::OperationTimedOut | Code::RequestTimedOut) => "no answer in time".to_owned(),
        Some(code) => of_code(code),
    }
}

/// Why a record was not written, with what to do where Kafka's administrator can do something.
pub(crate) fn of_write(error: &KafkaError) -> String {
    let words = match error.rdkafka_error_code() {
        Some(Code::TopicAuthorizationFailed) => {
            "not authorized (TOPIC_AUTHORIZATION_FAILED): grant this principal WRITE on it"
        }
        Some(Code::ClusterAuthorizationFailed) => {
            "not authorized (CLUSTER_AUTHORIZATION_FAILED): grant this principal IDEMPOTENT_WRITE"
        }
        Some(Code::NotEnoughReplicas | Code::NotEnoughReplicasAfterAppend) => {
            "fewer replicas are in sync than min.insync.replicas asks for (NOT_ENOUGH_REPLICAS): look at the brokers"
        }
        Some(Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition) => {
            "Kafka does not know this topic or partition"
        }
        Some(Code::NotLeaderForPartition | Code::LeaderNotAvailable) => "the partition has no leader yet",
        Some(Code::MessageTimedOut) => "not acknowledged in time",
        Some(Code::MessageSizeTooLarge | Code::InvalidMessageSize | Code::MessageBatchTooLarge) => {
            "the record is larger than kafka.max_record_bytes, or than max.message.bytes of the topic"
        }
        Some(Code::InvalidTimestamp) => "the record is older or newer than its topic takes (InvalidTimestamp)",
        Some(Code::PolicyViolation) => "a policy of the brokers refuses the record",
        Some(Code::KafkaStorageError) => "the disk of a broker fails: look at the log of the broker",
        Some(_) | None => return of_error(error),
    };
    words.to_owned()
}

/// The same for who knows a reason that librdkafka gave before, which says more of a lost connection.
pub(crate) fn of_error_with(error: &KafkaError, reason: Option<&str>) -> String {
    match reason.filter(|_| is_about_connections(error)) {
        Some(reason) => of_reason(reason),
        None => of_error(error),
    }
}

/// A code's own description.
fn of_code(code: Code) -> String {
    let words = code.to_string();
    let inner = words.split_once(" (").and_then(|(_, inner)| inner.strip_suffix(')')).unwrap_or(&words);
    inner.trim_start_matches("Local: ").trim_start_matches("Broker: ").to_owned()
}

fn admin_code(error: &KafkaError) -> Option<Code> {
    if let KafkaError::AdminOp(code) = error { Some(*code) } else { None }
}

/// Whether a reason that librdkafka gave for its connections says more.
pub(crate) fn is_about_connections(error: &KafkaError) -> bool {
    let code = error.rdkafka_error_code().or(admin_code(error));
    let about = [
        Code::BrokerTransportFailure,
        Code::AllBrokersDown,
        Code::OperationTimedOut,
        Code::RequestTimedOut,
        Code::Resolve,
        Code::Authentication,
        Code::SSL,
    ];
    code.is_some_and(|code| about.contains(&code))
}

/// Why a connection failed: `127.0.0.1:9092: connection refused`, of
/// `127.0.0.1:9092/bootstrap: Connect to ipv4#127.0.0.1:9092 failed: Connection refused (after 0ms in state CONNECT)`.
pub(crate) fn of_reason(reason: &str) -> String {
    let mut reason = reason;
    if let Some(rest) = reason.strip_prefix("[thrd:").and_then(|rest| rest.split_once("]: ")) {
        reason = rest.1;
    }
    if let Some((words, _)) = reason.rsplit_once(" (after ").filter(|_| reason.ends_with(')')) {
        reason = words;
    }
    let (broker, words) = match reason.split_once(": ") {
        Some((broker, words)) if !broker.contains(' ') => (broker, words),
        _ => ("", reason),
    };
    let address = broker.split_once("://").map_or(broker, |(_, address)| address);
    let address = address.split_once('/').map_or(address, |(address, _)| address);
    let words = plain(words);
    if address.is_empty() { words } else { format!("{address}: {words}") }
}

fn plain(words: &str) -> String {
    let connect = words.strip_prefix("Connect to ").and_then(|words| words.split_once(" failed: "));
    let words = connect.map_or(words, |(_, words)| words);
    if let Some((_, words)) = words.strip_prefix("Failed to resolve ").and_then(|words| words.split_once(": ")) {
        return format!("cannot resolve the host name: {words}");
    }
    let words = words.split_once(" in state ").map_or(words, |(words, _)| words);
    // `SASL` and `SSL` stay as they are.
    let mut letters = words.chars();
    match (letters.next(), letters.clone().next()) {
        (Some(first), Some(second)) if second.is_lowercase() => first.to_lowercase().chain(letters).collect(),
        _ => words.to_owned(),
    }
}

/// `kafka SERVERS: WORDS`, where the words may begin with the one server themselves.
pub(crate) fn at(servers: &str, words: &str) -> String {
    let words = words.strip_prefix(servers).and_then(|words| words.strip_prefix(": ")).unwrap_or(words);
    format!("kafka {servers}: {words}")
}

/// The same for commands, with what to do where nobody is.
pub(crate) fn with_remedy(servers: &str, words: &str) -> String {
    let nobody = words.ends_with("connection refused");
    let remedy = if nobody { ": nothing listens there: start it, or name another with --kafka" } else { "" };
    at(servers, words) + remedy
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_lose_what_only_librdkafka_s_authors_need_and_keep_the_cause() {
        for (reason, expected) in [
            (
                "127.0.0.1:9/bootstrap: Connect to ipv4#127.0.0.1:9 failed: Connection refused (after 0ms in state CONNECT, 1 identical error(s) suppressed)",
                "127.0.0.1:9: connection refused",
            ),
            (
                "[thrd:ssl://b:9093/1]: ssl://b:9093/1: SSL handshake failed: certificate verify failed (after 2ms in state SSL_HANDSHAKE)",
                "b:9093: SSL handshake failed: certificate verify failed",
            ),
            (
                "no.such:9092/bootstrap: Failed to resolve 'no.such:9092': Name or service not known (after 3ms in state CONNECT)",
                "no.such:9092: cannot resolve the host name: Name or service not known",
            ),
            (
                "sasl_plaintext://b:1/bootstrap: SASL authentication error: Authentication failed: Invalid username (after 5ms in state AUTH_REQ)",
                "b:1: SASL authentication error: Authentication failed: Invalid username",
            ),
            (
                "b:1/bootstrap: Connection setup timed out in state CONNECT (after 30000ms in state CONNECT)",
                "b:1: connection setup timed out",
            ),
            ("1/1 brokers are down", "1/1 brokers are down"),
        ] {
            assert_eq!(of_reason(reason), expected);
        }
        assert_eq!(at("b:1", "b:1: connection refused"), "kafka b:1: connection refused");
        assert_eq!(at("b:1,c:1", "b:1: connection refused"), "kafka b:1,c:1: b:1: connection refused");
    }

    #[test]
    fn errors_have_no_codes_and_no_values() {
        for (error, expected) in [
            (KafkaError::MetadataFetch(Code::BrokerTransportFailure), "no connection"),
            (KafkaError::AdminOp(Code::OperationTimedOut), "no answer in time"),
            (KafkaError::MetadataFetch(Code::TopicAuthorizationFailed), "Topic authorization failed"),
        ] {
            assert_eq!(of_error(&error), expected);
        }
        for (code, expected) in [
            (
                Code::TopicAuthorizationFailed,
                "not authorized (TOPIC_AUTHORIZATION_FAILED): grant this principal WRITE on it",
            ),
            (Code::MessageTimedOut, "not acknowledged in time"),
            (Code::BrokerTransportFailure, "no connection"),
            (Code::InvalidRecord, "Broker failed to validate record"),
        ] {
            assert_eq!(of_write(&KafkaError::MessageProduction(code)), expected);
        }
        let refused = KafkaError::MetadataFetch(Code::TopicAuthorizationFailed);
        assert_eq!(of_error_with(&refused, Some("b:1/1: Connection refused")), "Topic authorization failed");
    }
}
