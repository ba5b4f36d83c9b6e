//! Records as rdkafka has them.

use rdkafka::message::{Header, Message as _, OwnedHeaders, OwnedMessage};
use rdkafka::producer::FutureRecord;

use crate::kafka::route::Record;

/// `record` with this time, in milliseconds since 1970.
pub(super) fn to_kafka(record: &Record, timestamp: i64) -> FutureRecord<'_, str, [u8]> {
    let mut headers = OwnedHeaders::new_with_capacity(record.headers.len());
    for (key, value) in &record.headers {
        headers = headers.insert(Header { key, value: Some(&**value) });
    }
    let of_key = FutureRecord::to(&record.topic).key(record.key.as_str());
    FutureRecord { payload: record.value.as_deref(), ..of_key.headers(headers).timestamp(timestamp) }
}

/// A record that librdkafka gave back, as it was. Its time has to be told: librdkafka has none for what failed.
pub(super) fn to_kafka_again(record: &mut OwnedMessage, timestamp: i64) -> FutureRecord<'_, [u8], [u8]> {
    let headers = record.detach_headers();
    let (key, payload) = (record.key(), record.payload());
    FutureRecord { key, payload, headers, ..FutureRecord::to(record.topic()).timestamp(timestamp) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rdkafka::message::{Headers as _, Timestamp};

    #[test]
    fn a_record_that_was_given_back_is_sent_as_it_was() {
        let headers = OwnedHeaders::new()
            .insert(Header { key: "ce_id", value: Some("1") })
            .insert(Header { key: "empty", value: Some("") });
        for payload in [None, Some(Vec::new()), Some(vec![0, 1])] {
            let (key, topic) = (Some(b"k".to_vec()), "t".to_owned());
            let at = Timestamp::NotAvailable;
            let mut given = OwnedMessage::new(payload.clone(), key, topic, at, 3, 0, Some(headers.clone()));
            let again = to_kafka_again(&mut given, 7);
            assert_eq!((again.topic, again.partition, again.timestamp), ("t", None, Some(7)));
            assert_eq!((again.key, again.payload), (Some(&b"k"[..]), payload.as_deref()));
            let told: Vec<_> = again.headers.iter().flat_map(|headers| headers.iter()).collect();
            let due = [("ce_id", &b"1"[..]), ("empty", b"")].map(|(key, value)| Header { key, value: Some(value) });
            assert_eq!(told, due);
        }
    }
}
