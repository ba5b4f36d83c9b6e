//! librdkafka's own figures, of all producers together; shown before each scrape.

use std::sync::{Mutex, PoisonError};

use prometheus::{Error, GaugeVec, IntCounterVec, IntGauge, IntGaugeVec};

use super::make::Make;
use crate::kafka::publish::{Publisher, Summary, Unwritable};

pub(crate) struct Kafka {
    queue_records: IntGauge,
    queue_bytes: IntGauge,
    connections: IntGaugeVec,
    requests: IntGaugeVec,
    retries: IntCounterVec,
    timeouts: IntCounterVec,
    replaced: IntCounterVec,
    unwritable: IntGaugeVec,
    rtt: GaugeVec,
    /// Held while the counters are brought up to date, which two scrapes at once would do twice.
    counting: Mutex<()>,
}

impl Kafka {
    pub(super) fn new(make: &Make<'_>) -> Result<Kafka, Error> {
        let of_broker = |name: &str, help: &str| make.gauges(&format!("kafka_broker_{name}"), help, &["broker"]);
        let counter = |name: &str, help: &str| make.counter(&format!("kafka_broker_{name}"), help, &["broker"]);
        let help = "Failed producers that were replaced, by reason: fatal, unreachable, stalled.";
        let replaced = make.announced("kafka_producers_replaced_total", help, "reason", &Publisher::REPLACED_FOR)?;
        let help = "Partitions that cannot be written, by reason: leaderless, under_replicated.";
        let unwritable = make.gauges("kafka_partitions_unwritable", help, &["topic", "reason"])?;
        let rtt = "Recent round-trip time of a broker, in seconds.";
        Ok(Kafka {
            queue_records: make.gauge("kafka_queue_records", "Records in librdkafka's queues or in flight.")?,
            queue_bytes: make
                .gauge("kafka_queue_bytes", "Bytes of the records in librdkafka's queues or in flight.")?,
            connections: of_broker("connections", "Usable connections to a broker.")?,
            requests: of_broker("requests", "Requests to a broker that are queued or in flight.")?,
            retries: counter("retries_total", "Requests to a broker that were retried.")?,
            timeouts: counter("timeouts_total", "Requests to a broker that timed out.")?,
            replaced,
            unwritable,
            rtt: make.seconds("kafka_broker_rtt_seconds", rtt, &["broker", "quantile"])?,
            counting: Mutex::default(),
        })
    }

    /// What the last look at Kafka found of a topic.
    pub(crate) fn show_topic(&self, found: &Unwritable<'_>) {
        for (reason, count) in [("leaderless", found.leaderless), ("under_replicated", found.under_replicated)] {
            let gauge = self.unwritable.with_label_values(&[found.topic, reason]);
            gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }

    /// `replaced` has the number of producers that were replaced, by reason.
    pub(crate) fn show(&self, summary: &Summary, replaced: impl IntoIterator<Item = (&'static str, u64)>) {
        let signed = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        self.queue_records.set(signed(summary.records));
        self.queue_bytes.set(signed(summary.bytes));
        for (id, broker) in &summary.brokers {
            let id = id.to_string();
            for (gauges, value) in [(&self.connections, broker.up), (&self.requests, broker.requests)] {
                gauges.with_label_values(&[id.as_str()]).set(value);
            }
            for (quantile, micros) in [("0.5", broker.rtt_p50), ("0.99", broker.rtt_p99)] {
                self.rtt.with_label_values(&[id.as_str(), quantile]).set(micros as f64 / 1e6);
            }
        }
        let _alone = self.counting.lock().unwrap_or_else(PoisonError::into_inner);
        for (id, failures) in &summary.failures {
            for (counters, total) in [(&self.retries, failures.retries), (&self.timeouts, failures.timeouts)] {
                let counter = counters.with_label_values(&[id.to_string().as_str()]);
                counter.inc_by(total.saturating_sub(counter.get()));
            }
        }
        for (reason, total) in replaced {
            let counter = self.replaced.with_label_values(&[reason]);
            counter.inc_by(total.saturating_sub(counter.get()));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use prometheus::Registry;
    use prometheus::proto::MetricType;

    use super::*;
    use crate::kafka::publish::Failures;

    #[test]
    fn what_only_grows_is_a_counter_and_is_counted_once() {
        let registry = Registry::new();
        let kafka = Kafka::new(&Make(&registry)).unwrap();
        let failures = Failures { retries: 3, timeouts: 1 };
        let summary = Summary { failures: BTreeMap::from([(7, failures)]), ..Summary::default() };
        kafka.show(&summary, [("stalled", 2)]);
        kafka.show(&summary, [("stalled", 2)]);
        // An older figure, of a scrape that was overtaken.
        kafka.show(&Summary { failures: BTreeMap::from([(7, Failures::default())]), ..Summary::default() }, []);
        let found: BTreeMap<_, _> = registry
            .gather()
            .into_iter()
            .filter(|family| family.get_field_type() == MetricType::COUNTER)
            .map(|family| {
                let counts = family.get_metric().iter().map(|metric| metric.get_counter().get_value());
                (family.name().to_owned(), counts.sum::<f64>())
            })
            .collect();
        let expected = [
            ("kafka_broker_retries_total", 3.0),
            ("kafka_broker_timeouts_total", 1.0),
            ("kafka_producers_replaced_total", 2.0),
        ];
        assert_eq!(found, expected.map(|(name, value)| (name.to_owned(), value)).into());
    }
}
