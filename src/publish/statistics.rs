//! What librdkafka says of itself, every few seconds, for the metrics.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::Deserialize;

/// How often each producer tells.
pub(super) const INTERVAL: Duration = Duration::from_secs(5);
/// `nodeid` of what is only an address yet.
const NO_NODE: i32 = -1;

/// One broker, as all producers together see it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Broker {
    /// Connections that can be used.
    pub(crate) up: i64,
    /// Requests that wait to be sent, or for their answer.
    pub(crate) requests: i64,
    pub(crate) retries: u64,
    pub(crate) timeouts: u64,
    /// Microseconds from a request to its answer, lately: the worst of the producers' medians and 99th percentiles.
    pub(crate) rtt_p50: i64,
    pub(crate) rtt_p99: i64,
}

/// All producers together.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    /// Records in the queues or under way, and their bytes.
    pub(crate) records: u64,
    pub(crate) bytes: u64,
    /// By the broker's id.
    pub(crate) brokers: BTreeMap<i32, Broker>,
}

/// What is needed of a producer's statistics (librdkafka's STATISTICS.md). There is more, most of it for each partition of each
/// topic: it is not kept.
#[derive(Debug, Deserialize)]
pub(super) struct Statistics {
    name: String,
    /// Seconds since 1970.
    time: i64,
    msg_cnt: u64,
    msg_size: u64,
    brokers: BTreeMap<String, BrokerStatistics>,
}

#[derive(Debug, Deserialize)]
struct BrokerStatistics {
    nodeid: i32,
    state: String,
    outbuf_cnt: i64,
    waitresp_cnt: i64,
    txretries: u64,
    req_timeouts: u64,
    #[serde(default)]
    rtt: Window,
}

/// In microseconds.
#[derive(Debug, Default, Deserialize)]
struct Window {
    p50: i64,
    p99: i64,
}

/// The last word of each producer, by its name in librdkafka.
#[derive(Debug, Default)]
pub(super) struct Told(Mutex<BTreeMap<String, Statistics>>);

impl Told {
    pub(super) fn take(&self, statistics: Statistics) {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        told.insert(statistics.name.clone(), statistics);
        // A producer that was replaced tells no more; those that live tell in turn.
        let newest = told.values().map(|s| s.time).max().unwrap_or_default();
        told.retain(|_, s| newest - s.time <= 3 * INTERVAL.as_secs() as i64);
    }

    pub(super) fn summary(&self) -> Summary {
        let mut summary = Summary::default();
        for statistics in self.0.lock().unwrap_or_else(PoisonError::into_inner).values() {
            summary.records += statistics.msg_cnt;
            summary.bytes += statistics.msg_size;
            for told in statistics.brokers.values().filter(|broker| broker.nodeid != NO_NODE) {
                let broker = summary.brokers.entry(told.nodeid).or_default();
                broker.up += i64::from(told.state == "UP");
                broker.requests += told.outbuf_cnt + told.waitresp_cnt;
                broker.retries += told.txretries;
                broker.timeouts += told.req_timeouts;
                broker.rtt_p50 = broker.rtt_p50.max(told.rtt.p50);
                broker.rtt_p99 = broker.rtt_p99.max(told.rtt.p99);
            }
        }
        summary
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(name: &str, time: i64, broker: &str) -> Statistics {
        let text = format!(
            r#"{{"name":"{name}","client_id":"c","type":"producer","ts":1,"time":{time},"age":1,"replyq":0,"msg_cnt":2,"msg_size":30,
            "msg_max":1,"msg_size_max":1,"simple_cnt":0,"metadata_cache_cnt":0,"brokers":{{{broker}}},"topics":{{}},"tx":0,
            "tx_bytes":0,"rx":0,"rx_bytes":0,"txmsgs":0,"txmsg_bytes":0,"rxmsgs":0,"rxmsg_bytes":0}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    fn broker(id: i32, p99: i64) -> String {
        format!(
            r#""b{id}":{{"name":"b","nodeid":{id},"nodename":"n","source":"learned","state":"UP","stateage":1,"outbuf_cnt":1,
            "outbuf_msg_cnt":0,"waitresp_cnt":2,"waitresp_msg_cnt":0,"tx":0,"txbytes":0,"txerrs":0,"txretries":4,"txidle":0,
            "req_timeouts":5,"rx":0,"rxbytes":0,"rxerrs":0,"rxcorriderrs":0,"rxpartial":0,"rxidle":0,"req":{{}},"zbuf_grow":0,
            "buf_grow":0,"toppars":{{}},"rtt":{{"min":0,"max":0,"avg":0,"sum":0,"cnt":0,"stddev":0,"hdrsize":0,"p50":7,"p75":0,
            "p90":0,"p95":0,"p99":{p99},"p99_99":0,"outofrange":0}}}}"#
        )
    }

    #[test]
    fn producers_are_added_up_and_those_that_tell_no_more_are_left_out() {
        let all = Told::default();
        all.take(told("gone", 100, &broker(1, 9)));
        all.take(told("one", 200, &[broker(1, 9), broker(-1, 99)].join(",")));
        all.take(told("two", 201, &broker(1, 11)));
        let summary = all.summary();
        assert_eq!((summary.records, summary.bytes), (4, 60));
        let both = Broker { up: 2, requests: 6, retries: 8, timeouts: 10, rtt_p50: 7, rtt_p99: 11 };
        assert_eq!(summary.brokers, BTreeMap::from([(1, both)]));
    }
}
