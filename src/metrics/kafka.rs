//! librdkafka's own figures, of all producers together; shown before each scrape.

use prometheus::{Error, GaugeVec, IntGauge, IntGaugeVec};

use super::make::Make;
use crate::publish::Summary;

pub(crate) struct Kafka {
    queue_records: IntGauge,
    queue_bytes: IntGauge,
    connections: IntGaugeVec,
    requests: IntGaugeVec,
    retries: IntGaugeVec,
    timeouts: IntGaugeVec,
    rtt: GaugeVec,
}

impl Kafka {
    pub(super) fn new(make: &Make<'_>) -> Result<Kafka, Error> {
        let of_broker = |name: &str, help: &str| make.gauges(&format!("kafka_broker_{name}"), help, &["broker"]);
        let rtt = "Seconds to a broker's answer, lately.";
        Ok(Kafka {
            queue_records: make.gauge("kafka_queue_records", "Records in librdkafka's queues or under way.")?,
            queue_bytes: make
                .gauge("kafka_queue_bytes", "Bytes of the records in librdkafka's queues or under way.")?,
            connections: of_broker("connections", "Connections to a broker that can be used.")?,
            requests: of_broker("requests", "Requests to a broker that wait or are under way.")?,
            retries: of_broker("retries", "Requests to a broker that were sent again, so far.")?,
            timeouts: of_broker("timeouts", "Requests to a broker that timed out, so far.")?,
            rtt: make.seconds("kafka_broker_rtt_seconds", rtt, &["broker", "quantile"])?,
        })
    }

    pub(crate) fn show(&self, summary: &Summary) {
        let signed = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        self.queue_records.set(signed(summary.records));
        self.queue_bytes.set(signed(summary.bytes));
        for (id, broker) in &summary.brokers {
            let id = id.to_string();
            for (gauges, value) in [
                (&self.connections, broker.up),
                (&self.requests, broker.requests),
                (&self.retries, signed(broker.retries)),
                (&self.timeouts, signed(broker.timeouts)),
            ] {
                gauges.with_label_values(&[id.as_str()]).set(value);
            }
            for (quantile, micros) in [("0.5", broker.rtt_p50), ("0.99", broker.rtt_p99)] {
                self.rtt.with_label_values(&[id.as_str(), quantile]).set(micros as f64 / 1e6);
            }
        }
    }
}
