//! The scenarios, and what is common to playing them.

mod bridge;
mod cluster;
mod connection;
mod damage;
mod disk;
mod hanging;
mod kafka;
mod rate;
mod registry;
mod shutdown;
mod start;
mod topic;
mod trace;

use std::sync::LazyLock;

use libtest_mimic::{Completion, Failed};

use crate::broker::broker;
use crate::cluster::{Cluster, cluster};
use crate::rig::{Outcome, Rig};
use crate::setting::Setting;
use crate::size::full;
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
    /// Too long for every merge: only in the full form.
    at_leisure: bool,
    play: Play,
}

/// By what it is played against.
#[derive(Clone, Copy)]
enum Play {
    OneBroker(fn(&mut Rig) -> Outcome),
    Cluster(fn(&mut Rig<Cluster>) -> Outcome),
}

const fn scenario(name: &'static str, play: fn(&mut Rig) -> Outcome) -> Scenario {
    Scenario { name, missing: || None, at_leisure: false, play: Play::OneBroker(play) }
}

const fn on_cluster(name: &'static str, play: fn(&mut Rig<Cluster>) -> Outcome) -> Scenario {
    Scenario { name, missing: || None, at_leisure: false, play: Play::Cluster(play) }
}

const fn at_leisure(scenario: Scenario) -> Scenario {
    Scenario { at_leisure: true, ..scenario }
}

/// In the order in which they are played.
pub(crate) const ALL: [Scenario; 36] = [
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
    Scenario { missing: hanging::no_hanging_disk, ..scenario("disk_hangs", hanging::hangs) },
    Scenario { missing: disk::no_small_disk, ..scenario("disk_full_at_the_start", start::disk_full) },
    Scenario { missing: disk::no_small_disk, ..scenario("disk_read_only_at_the_start", start::disk_read_only) },
    scenario("spool_damaged", damage::spool_damaged),
    scenario("topics_just_made", topic::just_made),
    scenario("topic_deleted_and_made_again_by_the_bridge", topic::made_again_by_the_bridge),
    scenario("topic_deleted_and_made_again_by_hand", topic::made_again_by_hand),
    scenario("sigterm_with_kafka", shutdown::with_kafka),
    scenario("sigterm_without_kafka", shutdown::without_kafka),
    scenario("connections_cut", connection::cut),
    Scenario { missing: trace::no_strace, ..scenario("every_202_follows_its_sync", trace::every_202_follows_its_sync) },
    on_cluster("cluster_leader_killed", cluster::leader_killed),
    at_leisure(on_cluster("cluster_active_controller_killed", cluster::active_controller_killed)),
    on_cluster("cluster_rolling_restart", cluster::rolling_restart),
    at_leisure(on_cluster("cluster_two_of_three_down", cluster::two_of_three_down)),
    on_cluster("cluster_one_frozen", cluster::one_frozen),
    at_leisure(on_cluster("cluster_one_unreachable", cluster::unreachable)),
    at_leisure(on_cluster("cluster_one_unreachable_one_way", cluster::unreachable_one_way)),
    at_leisure(on_cluster("cluster_slow_acknowledgements", cluster::slow_acknowledgements)),
    at_leisure(on_cluster("cluster_partitions_moved", cluster::partitions_moved)),
    at_leisure(on_cluster("cluster_partitions_added", cluster::partitions_added)),
    at_leisure(on_cluster("cluster_size_limit_lowered", cluster::size_limit_lowered)),
    at_leisure(on_cluster("cluster_back_with_an_empty_disk", cluster::back_with_an_empty_disk)),
    at_leisure(Scenario {
        missing: cluster::no_wrong_clock,
        ..on_cluster("cluster_clock_of_the_bridge_wrong", cluster::clock_wrong)
    }),
    scenario("cluster_freezes_with_six_bridges", cluster::freezes_with_six_bridges),
    on_cluster("cluster_one_partition_leaderless", cluster::one_partition_leaderless),
];

impl Scenario {
    /// Plays it and puts its row into the table, or says why it cannot be played here.
    pub(crate) fn run(self) -> Result<Completion, Failed> {
        if self.at_leisure && !full() {
            return Ok(self.skipped("only in the full form (HOOKBRIDGE_FAULTS=full)".into()));
        }
        if let Some(why) = (self.missing)() {
            return Ok(self.skipped(why));
        }
        let played = match self.play {
            Play::OneBroker(play) => broker().map(|broker| self.play_on(broker, play)),
            Play::Cluster(play) => cluster().map(|cluster| self.play_on(cluster, play)),
        };
        match played {
            Ok(result) => result,
            Err(why) if require_real() => Err(format!("HOOKBRIDGE_TEST_REQUIRE_REAL: no Apache Kafka: {why}").into()),
            Err(why) => Ok(self.skipped(format!("no Apache Kafka: {why}; to enable it, install Java 17 and Maven"))),
        }
    }

    fn skipped(self, why: String) -> Completion {
        say(&format!("SKIPPED {}: {why}", self.name));
        Completion::ignored_with(why)
    }

    fn play_on<K: Setting>(self, kafka: &'static K, play: fn(&mut Rig<K>) -> Outcome) -> Result<Completion, Failed> {
        // The stand-in is there at once, and never in the way.
        static REGISTRY: LazyLock<StandIn> = LazyLock::new(|| RUNTIME.block_on(StandIn::start(1)));
        let mut rig = Rig::new(self.name, kafka, &REGISTRY.url);
        let Outcome { row, complaints, .. } = play(&mut rig);
        table::add(row);
        if complaints.is_empty() {
            return Ok(Completion::Completed);
        }
        Err(format!("{}\n{}", complaints.join("\n"), rig.leave_evidence()).into())
    }
}
