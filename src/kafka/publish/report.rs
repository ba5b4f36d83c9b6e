//! librdkafka's delivery reports: what became of a record.
//!
//! **Only Kafka's own answer counts.** With several requests under way, as the senders' producers have them, librdkafka takes the success of a batch for that of the batch
//! before it: a broker would have refused the gap. But a leader that has no state of this producer (its topic was made anew, its
//! disk was lost) takes any batch as the first: it turns the earlier one away ("not leader yet"), takes the later one, and a record
//! is reported that Kafka never had (confluentinc/confluent-kafka-go#921). Such a report has no offset, since none was ever
//! given (`rd_kafka_dr_implicit_ack`). So a record is acknowledged when its report has one, and else it is sent again.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::error::KafkaError;
use rdkafka::message::OwnedMessage;
use rdkafka::producer::DeliveryFuture;
use tokio::time::{Instant, timeout, timeout_at};

use super::clients::SCAN_INTERVAL;
use super::evidence::TopicPartition;
use super::producer::Producer;
use super::slot::{self, ProducerSlot};

/// How long after a record has timed out its report may still come before everything under way is called back, and how long
/// after that.
const GRACE: Duration = Duration::from_secs(1);

/// What became of a record that librdkafka had.
#[derive(Debug)]
pub(super) enum DeliveryReport {
    /// Kafka has it, in this partition, at this offset.
    Acknowledged(i32, i64),
    /// librdkafka concludes that Kafka has it; Kafka did not say so.
    Inferred,
    /// It is given back, where librdkafka had it.
    Failed(KafkaError, Option<OwnedMessage>),
    /// librdkafka did not say.
    Missing,
}

/// Waits for the delivery report of a record that was sent to `place` at `sent`. Should librdkafka not give one in time,
/// everything it has under way is called back, which makes it report at once.
pub(super) async fn of(
    slot: &ProducerSlot,
    producer: &Arc<Producer>,
    place: &TopicPartition,
    sent: Instant,
    report: DeliveryFuture,
) -> DeliveryReport {
    tokio::pin!(report);
    let told = if let Ok(told) = timeout(slot.long(), &mut report).await {
        told
    } else {
        // Until the report is there, whoever looks after the producers knows.
        let _slow = slot.note_slow(producer, place.clone(), sent);
        let latest = sent + slot.message_timeout + SCAN_INTERVAL + GRACE;
        match timeout_at(latest, &mut report).await {
            Ok(told) => told,
            Err(_) if slot.is_endless => report.await,
            Err(_) => {
                tracing::warn!("librdkafka gave no delivery report in time; all records of this producer are purged");
                slot::purge(producer);
                let Ok(told) = timeout(GRACE, report).await else { return DeliveryReport::Missing };
                told
            }
        }
    };
    match told {
        Ok(Ok(delivery)) if delivery.offset >= 0 => DeliveryReport::Acknowledged(delivery.partition, delivery.offset),
        Ok(Ok(_)) => DeliveryReport::Inferred,
        Ok(Err((error, record))) => DeliveryReport::Failed(error, Some(record)),
        // A report that can no longer come: its producer is gone.
        Err(_) => DeliveryReport::Failed(KafkaError::Canceled, None),
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::config::ClientConfig;
    use rdkafka::mocking::MockCluster;
    use rdkafka::producer::{FutureRecord, Producer as _};
    use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
    use tokio::time::sleep;

    use super::super::producer::{Context, create};
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);

    /// The mock cluster knows no producer's sequence, as a leader that lost its state.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_record_that_only_a_later_one_speaks_for_is_not_acknowledged() {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic("t", 1, 1).unwrap();
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", cluster.bootstrap_servers()).set("enable.idempotence", "true");
        config.set("max.in.flight.requests.per.connection", "5").set("linger.ms", "0");
        let slot = ProducerSlot::new("a producer".to_owned(), &config, PATIENCE, &[]);
        let producer = Arc::new(create(&config, &Context::apart()).unwrap());
        let send = |payload| {
            let record = FutureRecord::<str, str>::to("t").key("k").payload(payload);
            producer.send_result(record).ok().unwrap()
        };
        let place = ("t".into(), 0);
        let report = |report| of(&slot, &producer, &place, Instant::now(), report);
        assert!(matches!(report(send("before")).await, DeliveryReport::Acknowledged(0, _)));

        cluster.broker_round_trip_time(1, Duration::from_millis(500)).unwrap();
        let refused = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION];
        cluster.request_errors(RDKafkaApiKey::Produce, &refused);
        let refused = send("refused");
        // A request of its own, while the other waits for its answer.
        sleep(Duration::from_millis(100)).await;
        let later = send("later");
        assert!(matches!(report(refused).await, DeliveryReport::Inferred));
        assert!(matches!(report(later).await, DeliveryReport::Acknowledged(0, _)));
        let (_, records) = producer.client().fetch_watermarks("t", 0, PATIENCE).unwrap();
        assert_eq!(records, 2, "the one before, and the later one");
    }
}
