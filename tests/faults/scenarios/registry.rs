//! The registry is away, or another one takes its place. It is the stand-in (`support/registry.rs`), behind a proxy:
//! a real one cannot be replaced by an empty one with other ids within a moment.

use std::thread::sleep;
use std::time::Duration;

use crate::history::Answer;
use crate::record::Value;
use crate::rig::{Outcome, Rig};
use crate::size::{accepted, pick, plan};
use crate::support::bridge::SUBJECTS;
use crate::support::proxy::{Proxy, split_url};
use crate::support::registry::StandIn;
use crate::support::{RUNTIME, eventually};

/// Until a replaced registry must have been noticed: `registry.verify_interval` is 1 s here.
const NOTICED: Duration = Duration::from_secs(20);
/// Until the ids of a registry that has all subjects must be in use.
const IN_USE: Duration = Duration::from_secs(3);

/// The bridge's registry is behind `proxy`, and looked at often.
fn put_behind(rig: &mut Rig, proxy: &Proxy) {
    rig.setup.registry_url = format!("http://{}", proxy.address);
    rig.setup.registry = "verify_interval = \"1s\"\n".into();
}

fn stand_in(first_id: usize) -> (StandIn, String) {
    let registry = RUNTIME.block_on(StandIn::start(first_id));
    let (address, _) = split_url(&registry.url);
    (registry, address)
}

/// Down at the first start, so that no id is known; then there; then down during the run; and down at a start with
/// cached ids.
pub(super) fn away(rig: &mut Rig) -> Outcome {
    let (_registry, address) = stand_in(1);
    let proxy = Proxy::closed();
    put_behind(rig, &proxy);
    rig.start_bridge();
    rig.send(plan());
    sleep(Duration::from_secs(3));
    let too_soon = rig.history.first_published(Duration::ZERO, None);
    proxy.open(&address);
    let since = rig.tell("the registry comes for the first time");
    rig.recovered(since);
    rig.wait_more(pick(100, 1000));

    proxy.close();
    let gone = rig.tell("the registry goes");
    rig.wait_more(pick(200, 2000));
    let back = rig.tell("that was without the registry");
    let refused = |a: &&Answer| matches!(a, Answer::Refused { .. });
    let refused = rig.history.count(|a| a.began >= gone && a.ended <= back && refused(&&a.answer));
    rig.kill_bridge();
    let since = rig.start_bridge();
    rig.recovered(since);
    rig.wait_more(pick(100, 1000));
    proxy.open(&address);
    rig.tell("the registry is back");
    rig.wait_accepted(accepted());
    let mut outcome = rig.finish();
    if let Some(at) = too_soon {
        outcome.complaints.push(format!("published at {at:?}, without any id"));
    }
    if refused != 0 {
        outcome.complaints.push(format!("{refused} refusals though all ids were known"));
    }
    outcome
}

/// An empty registry with other ids takes the place of the one that was there: while all is well, and while Kafka is
/// away.
pub(super) fn replaced(rig: &mut Rig) -> Outcome {
    const SECOND: u32 = 1001;
    const THIRD: u32 = 2001;
    let (_first, address) = stand_in(1);
    let proxy = Proxy::closed();
    proxy.open(&address);
    put_behind(rig, &proxy);
    rig.put_proxy_before_kafka();
    rig.start(plan());
    rig.wait_more(pick(100, 1000));

    let second = replace(rig, &proxy, SECOND);
    rig.wait_more(pick(200, 2000));

    rig.cut_kafka_off();
    sleep(Duration::from_secs(2));
    let third = replace(rig, &proxy, THIRD);
    rig.give_kafka_back();
    rig.wait_accepted(accepted());
    let mut outcome = rig.finish();

    // What was received when the new ids must have been known has them.
    let mut stale = Vec::new();
    for record in &outcome.records {
        let Value::Avro(avro) = &record.value else { continue };
        let received = rig.history.at(avro.received_at);
        let least = if received > third {
            THIRD
        } else if received > second {
            SECOND
        } else {
            1
        };
        if avro.schema_id < least {
            stale.push(format!("{record}: received at {received:?}, its schema id is {}", avro.schema_id));
        }
    }
    if let Some(first) = stale.first() {
        outcome.complaints.push(format!("{} records with an id of the registry before: {first}", stale.len()));
    }
    outcome
}

/// Puts an empty registry in the place of the present one; says from when on its ids must be in use. It lives as long
/// as the process.
fn replace(rig: &mut Rig, proxy: &Proxy, first_id: u32) -> Duration {
    let (registry, address) = stand_in(first_id as usize);
    proxy.open(&address);
    rig.tell(&format!("an empty registry, whose ids begin with {first_id}"));
    eventually("the schemas are registered again", NOTICED, || (registry.subjects() == SUBJECTS).then_some(()));
    std::mem::forget(registry);
    rig.tell("it has all subjects") + IN_USE
}
