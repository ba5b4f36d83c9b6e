//! The scenarios, and what is common to playing them.

mod bridge;
mod connection;
mod disk;
mod kafka;
mod rate;
mod registry;
mod shutdown;
mod topic;
mod trace;

use std::sync::LazyLock;

use libtest_mimic::{Completion, Failed};

use crate::broker::{Broker, broker};
use crate::rig::{Outcome, Rig};
use crate::support::registry::StandIn;
use crate::support::servers::require_real;
use crate::support::{RUNTIME, say};
use crate::table;

/// What is played on a rig of its own.
#[derive(Clone, Copy)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    /// What is missing to play it here, and what would help.
    missing: fn() -> Option<String>,
    play: fn(&mut Rig) -> Outcome,
}

const fn scenario(name: &'static str, play: fn(&mut Rig) -> Outcome) -> Scenario {
    Scenario { name, missing: || None, play }
}

/// In the order in which they are played.
pub(crate) const ALL: [Scenario; 17] = [
    scenario("kill_9_of_the_bridge", bridge::killed),
    scenario("kill_9_of_kafka", kafka::killed),
    scenario("kafka_down_for_long", kafka::down_for_long),
    scenario("kafka_paused", kafka::paused),
    scenario("kafka_away_at_full_speed", rate::away_at_full_speed),
    scenario("registry_away", registry::away),
    scenario("registry_replaced", registry::replaced),
    Scenario { missing: disk::no_small_disk, ..scenario("disk_full", disk::full) },
    Scenario { missing: disk::no_small_disk, ..scenario("disk_nearly_full", disk::nearly_full) },
    Scenario { missing: disk::no_failing_sync, ..scenario("sync_fails", disk::sync_fails) },
    scenario("topics_just_made", topic::just_made),
    scenario("topic_deleted_and_made_again_by_the_bridge", topic::made_again_by_the_bridge),
    scenario("topic_deleted_and_made_again_by_hand", topic::made_again_by_hand),
    scenario("sigterm_with_kafka", shutdown::with_kafka),
    scenario("sigterm_without_kafka", shutdown::without_kafka),
    scenario("connections_cut", connection::cut),
    Scenario { missing: trace::no_strace, ..scenario("every_202_follows_its_sync", trace::every_202_follows_its_sync) },
];

impl Scenario {
    /// Plays it and puts its row into the table, or says why it cannot be played here.
    pub(crate) fn run(self) -> Result<Completion, Failed> {
        let broker = broker().map_err(|why| format!("no Apache Kafka: {why}; to enable it, install Java 17 and Maven"));
        let why = match (broker, (self.missing)()) {
            (Ok(broker), None) => return self.play(broker),
            (Err(why), _) if require_real() => return Err(format!("HOOKBRIDGE_TEST_REQUIRE_REAL: {why}").into()),
            (Err(why), _) | (_, Some(why)) => why,
        };
        say(&format!("SKIPPED {}: {why}", self.name));
        Ok(Completion::ignored_with(why))
    }

    fn play(self, broker: &'static Broker) -> Result<Completion, Failed> {
        // The stand-in is there at once, and never in the way.
        static REGISTRY: LazyLock<StandIn> = LazyLock::new(|| RUNTIME.block_on(StandIn::start(1)));
        let mut rig = Rig::new(self.name, broker, &REGISTRY.url);
        let Outcome { row, complaints, .. } = (self.play)(&mut rig);
        table::add(row);
        if complaints.is_empty() {
            return Ok(Completion::Completed);
        }
        Err(format!("{}\n{}", complaints.join("\n"), rig.leave_evidence()).into())
    }
}
