//! What must hold after every fault on the cluster: soon each key's new events get 200 again, and what waits has left.

use std::thread::sleep;
use std::time::Duration;

use super::Rig;
use crate::load::Plan;
use crate::metrics;
use crate::setting::Setting;

/// From the end of a fault until new events of every key get 200.
const EVERY_KEY: Duration = Duration::from_secs(30);
/// From the end of a fault until the spool is empty: twice the outage, but this for a short one.
const LEAST_TO_DRAIN: Duration = Duration::from_secs(15);
/// What has not come by then, at the least, is not waited for: it may be stuck for good.
const PATIENCE: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(200);

/// From the end of a fault until the bridge had no trace of it any more; no less than [`PATIENCE`] if it was not waited for.
pub(crate) struct Healing {
    pub(crate) every_key: Duration,
    pub(crate) drained: Duration,
}

impl<K: Setting> Rig<K> {
    /// Starts as [`Rig::start`] does, and goes on until every key had its 200 and nothing waits: the first records of new topics
    /// take long enough on a busy machine that some are spooled, which is not to be taken for what the fault does.
    pub(crate) fn start_settled(&mut self, plan: Plan) {
        self.start(plan);
        let began = self.tell("events come in");
        self.wait_healed(began, PATIENCE);
        self.tell("every key had its 200, and nothing waits");
    }

    /// Waits until the bridge is over a fault that `began` and `ended`, and complains when that takes too long.
    pub(crate) fn healed(&mut self, began: Duration, ended: Duration) {
        let to_drain = LEAST_TO_DRAIN.max(2 * ended.saturating_sub(began));
        let patience = PATIENCE.max(to_drain);
        let healing = self.wait_healed(ended, patience);
        if healing.every_key.max(healing.drained) < patience {
            self.expect_within("every key's new events got 200", healing.every_key, EVERY_KEY);
            self.expect_within("the spool was empty", healing.drained, to_drain);
            self.tell(&format!(
                "every key had its 200 after {:.1} s, the spool was empty after {:.1} s",
                healing.every_key.as_secs_f64(),
                healing.drained.as_secs_f64()
            ));
        }
        self.recoveries.extend(self.history.first_published(ended, None).map(|at| at.saturating_sub(ended)));
        self.healings.push(healing);
    }

    fn wait_healed(&mut self, ended: Duration, patience: Duration) -> Healing {
        let (keys, admin) = (self.load().entities(), self.bridge().admin);
        let (mut every_key, mut drained) = (None, None);
        loop {
            let since = self.history.now().saturating_sub(ended);
            let waiting = metrics::spool_records(admin);
            if waiting == 0 {
                drained.get_or_insert(since);
            }
            let served = self.history.served_since(ended);
            if served.len() == keys {
                every_key = served.values().max().map(|last| last.saturating_sub(ended));
            }
            if let (Some(every_key), Some(drained)) = (every_key, drained) {
                return Healing { every_key, drained };
            }
            if since > patience {
                let unserved: Vec<_> = (0..keys).filter(|key| !served.contains_key(key)).take(10).collect();
                self.complain(format!(
                    "not over the fault {patience:?} after its end: {waiting} records in the spool, {} of {keys} keys without a \
                     200, such as {unserved:?}",
                    keys - served.len()
                ));
                return Healing { every_key: every_key.unwrap_or(patience), drained: drained.unwrap_or(patience) };
            }
            sleep(POLL);
        }
    }

    fn expect_within(&mut self, what: &str, took: Duration, limit: Duration) {
        if took > limit {
            self.complain(format!(
                "{what} only {:.1} s after the end of the fault; the limit is {limit:?}",
                took.as_secs_f64()
            ));
        }
    }

    /// Goes on, and fails at the end of the scenario.
    pub(crate) fn complain(&mut self, words: String) {
        self.tell(&format!("WRONG: {words}"));
        self.complaints.push(words);
    }
}
