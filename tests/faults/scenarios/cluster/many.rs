//! Six bridges on one broker that freezes again and again. Its controller takes it for gone, and tells clients that there
//! are no brokers at all, which some versions of librdkafka never get over (confluentinc/librdkafka#5301).

use std::thread::sleep;
use std::time::Duration;

use crate::load::Plan;
use crate::rig::{Outcome, Rig};
use crate::size::{pick, plan};

const FREEZE: Duration = Duration::from_secs(19);
/// Besides the scenario's own.
const OTHERS: [&str; 5] = ["second_bridge", "third_bridge", "fourth_bridge", "fifth_bridge", "sixth_bridge"];

pub(in crate::scenarios) fn freezes_with_six_bridges(rig: &mut Rig) -> Outcome {
    let mut others: Vec<Rig> = OTHERS.map(|name| Rig::new(name, rig.kafka, &rig.setup.registry_url)).into();
    for rig in everyone(rig, &mut others) {
        rig.start_settled(Plan { entities: 60, rate: Some(40), ..plan() });
    }
    for round in 1..=pick(1, 20) {
        // The last one has as much behind it as all the others then.
        everyone(rig, &mut others).last().expect("six").wait_more(100);
        rig.kafka.pause();
        let began: Vec<_> = everyone(rig, &mut others).map(|rig| rig.tell(&format!("freeze {round}"))).collect();
        sleep(FREEZE);
        rig.kafka.resume();
        let ended: Vec<_> = everyone(rig, &mut others).map(|rig| rig.tell("it goes on")).collect();
        for (rig, (began, ended)) in everyone(rig, &mut others).zip(began.into_iter().zip(ended)) {
            rig.healed(began, ended);
        }
    }
    let mut outcome = rig.finish();
    for mut rig in others {
        let Outcome { row, complaints, .. } = rig.finish();
        let name = row.name.clone();
        outcome.row.add(&row);
        let evidence = (!complaints.is_empty()).then(|| rig.leave_evidence());
        outcome.complaints.extend(complaints.into_iter().chain(evidence).map(|words| format!("{name}: {words}")));
    }
    outcome
}

fn everyone<'a>(rig: &'a mut Rig, others: &'a mut [Rig]) -> impl Iterator<Item = &'a mut Rig> {
    std::iter::once(rig).chain(others)
}
