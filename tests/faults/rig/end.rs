//! The end of every scenario: all that Kafka has is held against all that senders were told.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{DRAIN, Deleted, Outcome, READ, Rig};
use crate::check::{self, Verdict};
use crate::events::{LINKED, LINKED_FROM};
use crate::history::{Answer, Sent};
use crate::metrics;
use crate::record::Found;
use crate::setting::Setting;
use crate::support::bridge::TOPICS;
use crate::support::{eventually, reader};
use crate::table::Row;
use crate::topics;

impl<K: Setting> Rig<K> {
    /// Lets the load come to its end and the spool drain, reads everything, and holds it against the history.
    pub(crate) fn finish(&mut self) -> Outcome {
        self.tell("the load ends");
        let mut load = self.load.take().expect("a load");
        load.finish(DRAIN);
        let admin = self.bridge().admin;
        eventually("the spool is empty", DRAIN, || (metrics::spool_records(admin) == 0).then_some(()));
        self.tell("the spool is empty");
        let identity = metrics::identity(admin);
        self.drop_bridge();
        let mut complaints = std::mem::take(&mut self.complaints);
        complaints.extend(identity);

        let records = self.read();
        let mut sent = self.history.sent.lock().expect("the history");
        for sent in sent.values_mut() {
            let gone = |at: Duration| {
                let of = |d: &&Deleted| d.topic == sent.event.topic;
                self.deleted.iter().filter(of).any(|d| (d.from..d.until).contains(&at))
            };
            sent.may_be_gone = sent.accepted().is_some_and(|(at, _)| gone(at));
        }
        let verdict = check::check(&sent, &records, self.order);
        complaints.extend(verdict.complaints());
        complaints.extend(self.complaints_of_links(&sent));
        for event in sent.values().filter(|sent| sent.accepted().is_none()).take(3) {
            complaints.push(format!("never accepted: {event}"));
        }
        drop(sent);
        complaints.extend(self.bad_answers());
        let row = self.row(&verdict);
        // Kafka takes the longer to come up the more topics it has.
        let of = |prefix: &String| TOPICS.map(|name| format!("{prefix}{name}"));
        let topics: Vec<_> = self.prefixes.iter().flat_map(of).collect();
        topics::delete(&self.kafka.address(), &topics.iter().map(String::as_str).collect::<Vec<_>>());
        Outcome { row, records, complaints }
    }

    /// The same for the records that events have besides their own: a promise is one of all of them.
    fn complaints_of_links(&self, sent: &BTreeMap<String, Sent>) -> Vec<String> {
        let mut linked = sent.clone();
        linked.retain(|_, sent| sent.event.topic == LINKED_FROM);
        for sent in linked.values_mut() {
            sent.event.topic = LINKED;
            // What became a dead letter instead is looked for elsewhere.
            sent.may_be_gone |= sent.event.large;
        }
        let verdict = check::check(&linked, &self.read_topic(LINKED), self.order);
        verdict.complaints().into_iter().map(|words| format!("{LINKED}: {words}")).collect()
    }

    /// What Kafka has of the topics that events were sent to.
    fn read(&mut self) -> Vec<Found> {
        let mut records = std::mem::take(&mut self.before);
        for name in READ {
            records.extend(self.read_topic(name));
        }
        records
    }

    /// One topic, under each prefix that it had.
    pub(super) fn read_topic(&self, name: &str) -> Vec<Found> {
        let mut found = Vec::new();
        for prefix in &self.prefixes {
            let records = reader::read_from(&self.kafka.address(), &format!("{prefix}{name}"));
            found.extend(records.iter().enumerate().map(|(place, record)| Found::of(place, prefix, record)));
        }
        found
    }

    fn bad_answers(&self) -> Vec<String> {
        let sent = self.history.sent.lock().expect("the history");
        let bad = |answer: &Answer| match answer {
            Answer::Odd(_) | Answer::Silence => true,
            Answer::Refused { retry_after, .. } => !retry_after,
            Answer::Accepted(_) | Answer::Broken(_) => false,
        };
        let bad = sent.values().filter(|sent| sent.attempts.iter().any(|attempt| bad(&attempt.answer)));
        let bad: Vec<_> = bad.map(|sent| format!("an answer that should not be: {sent}")).collect();
        let count = bad.len();
        bad.into_iter().take(3).chain((count > 3).then(|| format!("{count} events with such answers"))).collect()
    }

    /// A line of the table that has nothing but its name.
    pub(crate) fn empty_row(&self) -> Row {
        Row { name: self.name.replace('_', " "), ..Row::default() }
    }

    fn row(&self, verdict: &Verdict) -> Row {
        let outcome = |wanted: &str| {
            self.history.count(|attempt| matches!(&attempt.answer, Answer::Accepted(outcome) if outcome == wanted))
        };
        Row {
            attempts: self.history.count(|_| true),
            published: outcome("published"),
            spooled: outcome("spooled"),
            dead_lettered: outcome("dead_lettered"),
            present: verdict.present,
            lost: verdict.lost.len(),
            disorder: verdict.disorder.len(),
            duplicates: verdict.duplicates,
            faults: verdict.differing.len() + verdict.strangers.len(),
            recovery: self.recoveries.iter().max().copied(),
            every_key: self.healings.iter().map(|healing| healing.every_key).max(),
            drained: self.healings.iter().map(|healing| healing.drained).max(),
            ..self.empty_row()
        }
    }
}
