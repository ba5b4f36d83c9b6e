//! `hookbridge forget`: a tombstone in a latest topic.

use std::path::Path;

use clap::Args;

use super::connect::{Connect, ToolNeeds};
use super::{Ending, fail, fail_config, on_runtime};
use crate::config::Settings;
use crate::kafka::publish::{Patience, PublishError, Publisher};
use crate::kafka::route::{self, Role, Routes};
use crate::values::time;

const HELP: &str = "\
Writes a tombstone, a record with this key and no value: tables built on the topic drop the entity,
and compaction removes its states from the topic some time later. A later event of the entity, or one
that still waits in a spool, brings it back. Other topics do not change: their records go when their
retention ends.

Example:
  hookbridge forget wegly.deal-latest 11111111-1111-4111-8111-111111111111 --config hookbridge.toml

Exit codes: 0 written, 64 wrong usage, not a latest topic, or not an id of that topic, 69 Kafka is not
available or rejects it, 78 configuration.";

#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(super) struct ForgetArgs {
    /// A latest topic, by its whole name, such as wegly.deal-latest
    topic: String,
    /// The entity's id
    key: String,
    #[command(flatten)]
    connect: Connect,
}

pub(super) fn run(args: &ForgetArgs, file: Option<&Path>) -> Ending {
    let settings = match args.connect.settings(file, ToolNeeds::Kafka) {
        Ok(settings) => settings,
        Err(error) => return fail_config(&error),
    };
    on_runtime(forget(&settings, args)).unwrap_or_else(|ending| ending)
}

async fn forget(settings: &Settings, args: &ForgetArgs) -> Ending {
    let routes = Routes::plan(settings);
    let Some(topic) = routes.topics.iter().find(|spec| *spec.name == *args.topic && spec.role == Role::Latest) else {
        let latest = routes.topics.iter().filter(|spec| spec.role == Role::Latest).map(|spec| &*spec.name);
        let latest = latest.collect::<Vec<_>>().join(", ");
        let known =
            if latest.is_empty() { "kafka.latest_topics is false".into() } else { format!("expected one of {latest}") };
        return fail(&format!("{}: not a latest topic: {known}", args.topic), Ending::Usage);
    };
    // A tombstone for an id that is written otherwise would forget nothing.
    let Some(key) = routes.canonical_key(&topic.name, &args.key) else {
        return fail(&format!("{}: not an id in the form of the keys of {}", args.key, args.topic), Ending::Usage);
    };
    let publisher = match Publisher::new(settings, &routes) {
        Ok(publisher) => publisher,
        Err(error) => return fail_config(&error),
    };
    match publisher.look(false).await {
        Err(error) => return fail(&error, Ending::Unavailable),
        Ok(view) if view.topics.iter().any(|s| s.name == topic.name && s.partitions.is_none()) => {
            return fail(
                &format!("kafka {}: missing topic {}", settings.kafka.bootstrap_servers, topic.name),
                Ending::Unavailable,
            );
        }
        Ok(_) => {}
    }
    let tombstone = route::tombstone(&topic.name, key, time::now_millis());
    match publisher.publish(tombstone, Patience::Sender).report.await {
        Ok(_) => Ending::Well,
        Err(error @ PublishError::Unreported { .. }) => {
            fail(&format!("{error}: it may have been written"), Ending::Unavailable)
        }
        Err(error) => fail(&error, Ending::Unavailable),
    }
}
