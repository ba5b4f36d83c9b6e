//! Faults that only a cluster can have: it goes on without one of its nodes, and so must the bridge. And what many bridges
//! make of the freezes of one broker, held to the same limits.

mod change;
mod clock;
mod cut;
mod leaderless;
mod many;
mod nodes;

pub(super) use change::{partitions_added, partitions_moved, size_limit_lowered};
pub(super) use clock::{clock_wrong, no_wrong_clock};
pub(super) use cut::{slow_acknowledgements, unreachable, unreachable_one_way};
pub(super) use leaderless::one_partition_leaderless;
pub(super) use many::freezes_with_six_bridges;
pub(super) use nodes::{
    active_controller_killed, back_with_an_empty_disk, leader_killed, one_frozen, rolling_restart, two_of_three_down,
};
