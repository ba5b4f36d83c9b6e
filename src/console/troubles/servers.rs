//! Troubles of what the bridge depends on: Kafka, the registry, its own disk.

use super::{LITTLE_ROOM, OpenTrouble, Severity, Situation};
use crate::console::spooled::{LaneFigures, SpoolFigures};
use crate::values::amount::{counted, size};
use crate::values::shell;

/// Seconds.
const HOUR: f64 = 3600.0;
/// So long, in milliseconds, it is shown that the registry has other ids; as the alert has it.
const IDS_SHOWN: i64 = 60 * 60 * 1000;

pub(super) fn of(situation: &Situation<'_>) -> Vec<OpenTrouble> {
    [not_ready, kafka, partitions, spool_refuses, spool_waits, little_room, registry, schemas, ids, damage]
        .iter()
        .filter_map(|judge| judge(situation))
        .collect()
}

fn not_ready(situation: &Situation<'_>) -> Option<OpenTrouble> {
    let health = situation.health;
    if health.ready || health.ending {
        return None;
    }
    let missing = format!("{} of {} schema ids are known", health.known, health.all);
    let kafka = health.kafka.clone().unwrap_or(missing);
    let spool = health.spool.clone().unwrap_or_default();
    Some(OpenTrouble {
        code: "not_ready".into(),
        severity: Severity::Critical,
        title: "No event can be accepted".into(),
        detail: format!("Kafka: {kafka}. Spool: {spool}."),
        server: format!("Kafka {}; {}", situation.around.kafka, situation.around.data_dir),
        todo: "Let the bridge accept events first: make room for the spool, or repair its disk. Then bring Kafka back."
            .into(),
        commands: situation.around.flags.check().into_iter().collect(),
        runbook: "HookbridgeNotReady",
        ..OpenTrouble::default()
    })
}

fn kafka(situation: &Situation<'_>) -> Option<OpenTrouble> {
    let reason = situation.health.kafka.as_ref()?;
    Some(OpenTrouble {
        code: "kafka".into(),
        title: "Kafka cannot be used".into(),
        detail: reason.clone(),
        server: format!("Kafka {}", situation.around.kafka),
        todo: "Bring Kafka back: look at its brokers, and at the network to them. What waits is published by itself afterwards."
            .into(),
        commands: situation.around.flags.check().into_iter().collect(),
        runbook: "HookbridgeKafkaDown",
        ..OpenTrouble::default()
    })
}

fn partitions(situation: &Situation<'_>) -> Option<OpenTrouble> {
    let partitions = situation.health.partitions.as_ref()?;
    Some(OpenTrouble {
        code: "partitions".into(),
        title: "Some partitions cannot be written".into(),
        detail: format!("{partitions}. Events of their keys wait on disk; the others are published."),
        server: format!("Kafka {}", situation.around.kafka),
        todo: "Start the brokers that lead these partitions; the command names them.".into(),
        commands: situation.around.flags.check().into_iter().collect(),
        runbook: "HookbridgePartitionsUnwritable",
        ..OpenTrouble::default()
    })
}

fn spool_refuses(situation: &Situation<'_>) -> Option<OpenTrouble> {
    let reason = situation.health.spool.as_ref()?;
    let severity = if situation.health.kafka.is_some() { Severity::Critical } else { Severity::Warning };
    Some(OpenTrouble {
        code: "spool".into(),
        severity,
        title: "The spool rejects events".into(),
        detail: format!("{reason}. What Kafka does not take at once gets 503."),
        server: situation.around.data_dir.clone(),
        todo: if reason.contains("spool.max_") {
            "Raise spool.max_bytes or spool.max_lane_bytes if the disk has room, and restart; or bring Kafka back."
        } else {
            "Make room on this disk; if it fails, look at the kernel's log (dmesg)."
        }
        .into(),
        commands: vec![disk_usage(situation), situation.around.inspect_spool.clone()],
        runbook: "Making room",
        ..OpenTrouble::default()
    })
}

fn disk_usage(situation: &Situation<'_>) -> String {
    format!("df -h {}", shell::word(&situation.around.data_dir))
}

/// `12 % of spool.max_bytes`, and how long the rest lasts.
fn room(spool: &SpoolFigures) -> String {
    let share = if spool.share < 0.01 { "Under 1".to_owned() } else { format!("{:.0}", spool.share * 100.0) };
    let share = format!("{share} % of spool.max_bytes used");
    match spool.full_in {
        _ if spool.room_bytes == 0 => format!("{share}; no room is left"),
        Some(seconds) if seconds < 60.0 => format!("{share}; full within a minute if it goes on like this"),
        Some(seconds) if seconds < HOUR => {
            format!("{share}; full in {:.0} min if it goes on like this", seconds / 60.0)
        }
        Some(seconds) if seconds < 48.0 * HOUR => {
            format!("{share}; full in {:.0} h if it goes on like this", seconds / HOUR)
        }
        _ => share,
    }
}

fn spool_waits(situation: &Situation<'_>) -> Option<OpenTrouble> {
    let spool = situation.spool;
    if spool.records == 0 {
        return None;
    }
    let full = spool.share > 1.0 - LITTLE_ROOM || spool.full_in.is_some_and(|seconds| seconds < HOUR);
    let grows = spool.growth.is_some_and(|growth| growth > 0.0);
    let events = waiting(spool.records);
    let title = if spool.share > 1.0 - LITTLE_ROOM {
        format!("The spool is nearly full: {events}")
    } else if grows {
        format!("The spool grows: {events}")
    } else {
        format!("{events} in the spool")
    };
    // What all of them wait for is said once.
    let why = |lane: &LaneFigures| {
        if situation.health.kafka.is_some() { String::new() } else { format!(": {}", lane.reason) }
    };
    let lanes = spool.lanes.iter().take(3).map(|lane| format!("{}{}", lane.lane, why(lane)));
    let more = spool.lanes.len().saturating_sub(3);
    let lanes = lanes.chain((more > 0).then(|| format!("and {more} more"))).collect::<Vec<_>>();
    let todo = if situation.health.kafka.is_some() {
        "Bring Kafka back; make room if that takes longer than the room lasts."
    } else if spool.growth.is_some_and(|growth| growth < 0.0) {
        "Nothing, while the number falls: they are being published now."
    } else {
        "Remove what holds up each lane, as its reason says. A lane is published by itself then."
    };
    Some(OpenTrouble {
        code: "spool_waits".into(),
        severity: if full { Severity::Critical } else { Severity::Warning },
        title,
        detail: format!("{}. Lanes: {}.", room(spool), lanes.join("; ")),
        server: situation.around.data_dir.clone(),
        since: spool.oldest_at,
        todo: todo.into(),
        commands: vec![situation.around.inspect_spool.clone()],
        runbook: match (full, situation.health.kafka.is_some()) {
            (true, _) => "HookbridgeSpoolFull",
            (_, true) => "HookbridgeKafkaDown",
            _ => "HookbridgeLaneWaiting",
        },
        ..OpenTrouble::default()
    })
}

fn waiting(records: u64) -> String {
    if records == 1 { "1 event waits".into() } else { format!("{records} events wait") }
}

fn little_room(situation: &Situation<'_>) -> Option<OpenTrouble> {
    let spool = situation.spool;
    let left = spool.room_share();
    if left >= LITTLE_ROOM || situation.health.spool.is_some() {
        return None;
    }
    // Not the disk is what limits it.
    let by_limit = spool.limit_bytes.saturating_sub(spool.bytes) <= spool.room_bytes;
    let todo = if by_limit {
        "Bring Kafka back so that it empties; or raise spool.max_bytes if the disk has room, and restart."
    } else {
        "Make room on this disk, or set spool.max_bytes to what the disk really has."
    };
    Some(OpenTrouble {
        code: "spool_room".into(),
        severity: if situation.waits() { Severity::Critical } else { Severity::Warning },
        title: "Little room is left in the spool".into(),
        detail: format!("{}, {:.0} % of spool.max_bytes.", size(spool.room_bytes), left * 100.0),
        server: situation.around.data_dir.clone(),
        todo: todo.into(),
        commands: vec![disk_usage(situation)],
        runbook: "HookbridgeSpoolRoomLow",
        ..OpenTrouble::default()
    })
}

fn registry(situation: &Situation<'_>) -> Option<OpenTrouble> {
    let (health, reason) = (situation.health, situation.health.registry.as_ref()?);
    let unknown = health.all.saturating_sub(health.known + health.refused.len());
    let effect = if unknown == 0 && health.kafka.is_some() {
        "All schema ids are known".into()
    } else if unknown == 0 {
        "All schema ids are known, so events are published".into()
    } else {
        format!("Events of {} without an id wait on disk", counted(unknown as u64, "schema"))
    };
    Some(OpenTrouble {
        code: "registry".into(),
        title: "The schema registry cannot be used".into(),
        detail: format!("{reason}. {effect}."),
        server: format!("registry {}", situation.around.registry),
        todo: "Bring the registry back. Do not upgrade hookbridge and do not delete schema-ids.json until then.".into(),
        commands: vec![situation.around.flags.tool("schemas check")],
        runbook: "HookbridgeRegistryDown",
        ..OpenTrouble::default()
    })
}

fn schemas(situation: &Situation<'_>) -> Option<OpenTrouble> {
    let health = situation.health;
    let refused: Vec<_> = health.refused.iter().map(|one| format!("{}: {}", one.subject, one.reasons)).collect();
    let unknown = health.all.saturating_sub(health.known + refused.len());
    let (code, title, detail, runbook) = if !refused.is_empty() {
        let title = format!("{} refused", counted(refused.len() as u64, "schema"));
        ("schemas_refused", title, refused.join("; "), "HookbridgeSchemasRefused")
    } else if unknown > 0 && health.registry.is_none() {
        let title = format!("{} without an id", counted(unknown as u64, "schema"));
        ("schemas_unknown", title, "Events of their types wait on disk.".into(), "HookbridgeSchemasUnknown")
    } else {
        return None;
    };
    Some(OpenTrouble {
        code: code.into(),
        title,
        detail,
        server: format!("registry {}", situation.around.registry),
        todo: "See what the command says of each: usually somebody registered another schema under that subject."
            .into(),
        commands: vec![situation.around.flags.tool("schemas check")],
        runbook,
        ..OpenTrouble::default()
    })
}

fn ids(situation: &Situation<'_>) -> Option<OpenTrouble> {
    let changed = situation.health.changed_ids;
    if changed.count == 0 || situation.now - changed.at > IDS_SHOWN {
        return None;
    }
    Some(OpenTrouble {
        code: "schema_ids_changed".into(),
        title: format!("The registry has other ids for {}", counted(changed.count, "schema")),
        detail: "New records have the new ids. Records written before have ids that the registry may not know any more, so that they cannot be read."
            .into(),
        server: format!("registry {}", situation.around.registry),
        since: Some(changed.at),
        todo: "Find out who replaced or restored the registry, and restore its topic with the old ids if records from before are still to be read."
            .into(),
        commands: vec![situation.around.flags.tool("schemas list")],
        runbook: "HookbridgeSchemaIdsChanged",
        ..OpenTrouble::default()
    })
}

fn damage(situation: &Situation<'_>) -> Option<OpenTrouble> {
    let note = situation.health.damage.as_ref()?;
    Some(OpenTrouble {
        code: "spool_damaged".into(),
        title: "A file of the spool was damaged".into(),
        detail: note.clone(),
        server: situation.around.data_dir.clone(),
        todo: "Look at the disk, read the .txt file beside it, and ask the senders for what is lost.".into(),
        commands: vec![format!("ls -l {}", shell::word(&situation.around.data_dir))],
        runbook: "A damaged spool",
        ..OpenTrouble::default()
    })
}
