//! What librdkafka says of itself, every few seconds, for the metrics.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::Deserialize;

/// How often each producer tells.
pub(super) const INTERVAL: Duration = Duration::from_secs(5);
/// How long the last word of a producer that tells no more is kept.
const KEPT: Duration = Duration::from_secs(600);
/// `nodeid` of what is only an address yet.
const NO_NODE: i32 = -1;

/// One broker, as all producers together see it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Broker {
    /// Connections that can be used.
    pub(crate) up: i64,
    /// Requests that wait to be sent, or for their answer.
    pub(crate) requests: i64,
    /// Microseconds from a request to its answer, lately: the worst of the producers' medians and 99th percentiles.
    pub(crate) rtt_p50: i64,
    pub(crate) rtt_p99: i64,
}

/// Requests to one broker that failed, since the process started. Never smaller than before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Failures {
    /// Sent again.
    pub(crate) retries: u64,
    pub(crate) timeouts: u64,
}

/// All producers together.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    /// Records in the queues or under way, and their bytes.
    pub(crate) records: u64,
    pub(crate) bytes: u64,
    /// By the broker's id.
    pub(crate) brokers: BTreeMap<i32, Broker>,
    /// By the broker's id, those that no producer knows any more included.
    pub(crate) failures: BTreeMap<i32, Failures>,
}

/// What is needed of a producer's statistics (librdkafka's STATISTICS.md). There is more, most of it for each partition of each
/// topic: it is not kept.
#[derive(Debug, Deserialize)]
pub(super) struct Statistics {
    name: String,
    /// Microseconds of a clock that nobody sets.
    ts: i64,
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
    rtt: RoundTrips,
}

/// In microseconds.
#[derive(Debug, Default, Deserialize)]
struct RoundTrips {
    p50: i64,
    p99: i64,
}

/// What the producers told.
#[derive(Debug, Default)]
pub(super) struct ProducerStats(Mutex<History>);

#[derive(Debug, Default)]
struct History {
    /// The last word of each producer, by its name in librdkafka.
    producers: BTreeMap<String, Statistics>,
    /// Of all producers, those that are gone included.
    failures: BTreeMap<i32, Failures>,
}

impl ProducerStats {
    pub(super) fn take(&self, statistics: Statistics) {
        let mut history = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let History { producers, failures: sums } = &mut *history;
        let before = producers.get(&statistics.name);
        for broker in statistics.known_brokers() {
            // A new producer counts from 0, and so does one that forgot a broker and met it again.
            let earlier = before.map(|before| before.failures(broker.nodeid)).unwrap_or_default();
            let since = |now: u64, earlier: u64| now.checked_sub(earlier).unwrap_or(now);
            let sum = sums.entry(broker.nodeid).or_default();
            sum.retries += since(broker.txretries, earlier.retries);
            sum.timeouts += since(broker.req_timeouts, earlier.timeouts);
        }
        producers.insert(statistics.name.clone(), statistics);
        // The last word of a producer that is gone is kept for a while: one that was only late must not count twice.
        let newest = history.newest();
        history.producers.retain(|_, s| newest - s.ts <= KEPT.as_micros() as i64);
    }

    pub(super) fn summary(&self) -> Summary {
        let history = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut summary = Summary { failures: history.failures.clone(), ..Summary::default() };
        // A producer that was replaced tells no more; those that live tell in turn.
        let newest = history.newest();
        let living = history.producers.values().filter(|s| newest - s.ts <= 3 * INTERVAL.as_micros() as i64);
        for statistics in living {
            summary.records += statistics.msg_cnt;
            summary.bytes += statistics.msg_size;
            for told in statistics.known_brokers() {
                let broker = summary.brokers.entry(told.nodeid).or_default();
                broker.up += i64::from(told.state == "UP");
                broker.requests += told.outbuf_cnt + told.waitresp_cnt;
                broker.rtt_p50 = broker.rtt_p50.max(told.rtt.p50);
                broker.rtt_p99 = broker.rtt_p99.max(told.rtt.p99);
            }
        }
        summary
    }
}

impl History {
    /// When a producer last told, by the clock of the statistics.
    fn newest(&self) -> i64 {
        self.producers.values().map(|s| s.ts).max().unwrap_or_default()
    }
}

impl Statistics {
    fn known_brokers(&self) -> impl Iterator<Item = &BrokerStatistics> {
        self.brokers.values().filter(|broker| broker.nodeid != NO_NODE)
    }

    /// What this producer counted of one broker so far.
    fn failures(&self, nodeid: i32) -> Failures {
        let broker = self.known_brokers().find(|broker| broker.nodeid == nodeid);
        broker.map_or_else(Failures::default, |b| Failures { retries: b.txretries, timeouts: b.req_timeouts })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What producer `name` tells `seconds` after the start.
    fn told(name: &str, seconds: i64, broker: &str) -> Statistics {
        let ts = seconds * 1_000_000;
        let text = format!(
            r#"{{"name":"{name}","client_id":"c","type":"producer","ts":{ts},"time":7,"age":1,"replyq":0,"msg_cnt":2,"msg_size":30,
            "msg_max":1,"msg_size_max":1,"simple_cnt":0,"metadata_cache_cnt":0,"brokers":{{{broker}}},"topics":{{}},"tx":0,
            "tx_bytes":0,"rx":0,"rx_bytes":0,"txmsgs":0,"txmsg_bytes":0,"rxmsgs":0,"rxmsg_bytes":0}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    fn broker(id: i32, p99: i64, retries: u64, timeouts: u64) -> String {
        format!(
            r#""b{id}":{{"name":"b","nodeid":{id},"nodename":"n","source":"learned","state":"UP","stateage":1,"outbuf_cnt":1,
            "outbuf_msg_cnt":0,"waitresp_cnt":2,"waitresp_msg_cnt":0,"tx":0,"txbytes":0,"txerrs":0,"txretries":{retries},"txidle":0,
            "req_timeouts":{timeouts},"rx":0,"rxbytes":0,"rxerrs":0,"rxcorriderrs":0,"rxpartial":0,"rxidle":0,"req":{{}},"zbuf_grow":0,
            "buf_grow":0,"toppars":{{}},"rtt":{{"min":0,"max":0,"avg":0,"sum":0,"cnt":0,"stddev":0,"hdrsize":0,"p50":7,"p75":0,
            "p90":0,"p95":0,"p99":{p99},"p99_99":0,"outofrange":0}}}}"#
        )
    }

    #[test]
    fn producers_are_added_up_and_those_that_tell_no_more_are_left_out() {
        let all = ProducerStats::default();
        all.take(told("gone", 100, &broker(1, 9, 0, 0)));
        all.take(told("one", 200, &[broker(1, 9, 0, 0), broker(-1, 99, 1, 1)].join(",")));
        all.take(told("two", 201, &broker(1, 11, 0, 0)));
        let summary = all.summary();
        assert_eq!((summary.records, summary.bytes), (4, 60));
        let both = Broker { up: 2, requests: 6, rtt_p50: 7, rtt_p99: 11 };
        assert_eq!(summary.brokers, BTreeMap::from([(1, both)]));
    }

    #[test]
    fn retries_and_timeouts_only_grow_whatever_becomes_of_a_producer() {
        let all = ProducerStats::default();
        let mut before = Failures::default();
        let mut expect = |name: &str, seconds, (retries, timeouts), expected: (u64, u64)| {
            all.take(told(name, seconds, &broker(1, 0, retries, timeouts)));
            let now = all.summary().failures[&1];
            assert_eq!((now.retries, now.timeouts), expected, "{name} after {seconds} s");
            assert!(now.retries >= before.retries && now.timeouts >= before.timeouts);
            before = now;
        };
        expect("one", 5, (0, 0), (0, 0));
        expect("two", 6, (3, 1), (3, 1));
        expect("one", 10, (4, 2), (7, 3));
        expect("one", 15, (4, 3), (7, 4));
        // Another takes the place of both, and begins at 0.
        expect("three", 60, (0, 0), (7, 4));
        expect("three", 65, (1, 0), (8, 4));
        // One that was only late goes on from where it was.
        expect("two", 70, (5, 1), (10, 4));
        // The broker was forgotten and met again.
        expect("three", 75, (0, 2), (10, 6));
        // Long after, only what lives is remembered, and the sums are as they were.
        expect("three", 800, (2, 2), (12, 6));
        assert_eq!(all.0.lock().unwrap().producers.len(), 1);
    }
}
