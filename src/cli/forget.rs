//! `hookbridge forget`: a tombstone in a latest topic.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::Path;
use std::sync::Arc;

use clap::Args;

use super::connect::{Connect, ToolNeeds};
use super::{Ending, fail, fail_config, on_runtime, print};
use crate::config::Settings;
use crate::kafka::plain_words;
use crate::kafka::publish::{Patience, PublishError, Publisher};
use crate::kafka::route::{self, Role, Routes};
use crate::values::{printable, time};

const HELP: &str = "\
Writes a tombstone, a record with this key and no value: tables built on the topic drop the entity,
and compaction removes its states from the topic some time later. A later event of the entity, or one
that still waits in a spool, brings it back. Other topics do not change: their records go when their
retention ends. On a terminal it asks first; without one it requires --yes.

Examples:
  hookbridge forget wegly.deal-latest 11111111-1111-4111-8111-111111111111 --dry-run
  hookbridge forget wegly.deal-latest 11111111-1111-4111-8111-111111111111
  hookbridge forget wegly.deal-latest 11111111-1111-4111-8111-111111111111 --yes --config /etc/hookbridge.toml

Exit codes: 0 written, or --dry-run, 1 the answer was no, 64 wrong usage, not a latest topic, not an id
of that topic, or neither a terminal nor --yes, 69 Kafka is not available or rejects it,
78 configuration.";

#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(super) struct ForgetArgs {
    /// A latest topic, by its whole name, such as wegly.deal-latest
    topic: String,
    /// The entity's id
    key: String,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
    /// Say what would be written, and write nothing
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
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
    match tombstone(settings, args).await {
        Ok(()) => Ending::Well,
        Err(ending) => ending,
    }
}

async fn tombstone(settings: &Settings, args: &ForgetArgs) -> Result<(), Ending> {
    let routes = Routes::plan(settings);
    let (topic, key) = place(&routes, args)?;
    let servers = &settings.kafka.bootstrap_servers;
    let is_settled = args.yes || args.dry_run;
    let can_ask = io::stdin().is_terminal() && io::stderr().is_terminal();
    if !is_settled && !can_ask {
        let words = format!(
            "nobody can be asked, since this is no terminal: to forget {key} in {topic} on Kafka {servers}, add --yes"
        );
        return Err(fail(&words, Ending::Usage));
    }
    let publisher = Publisher::new(settings, &routes).map_err(|error| fail_config(&error))?;
    let view = publisher
        .look(false)
        .await
        .map_err(|error| fail(&plain_words::with_remedy(servers, &error.to_string()), Ending::Unavailable))?;
    if view.topics.iter().any(|state| *state.name == *topic && state.partitions.is_none()) {
        return Err(fail(&format!("kafka {servers}: missing topic {topic}"), Ending::Unavailable));
    }
    let what = format!("a tombstone for {key} to {topic} on Kafka {servers}");
    if args.dry_run {
        print(&format!("would write {what}\n"));
        return Ok(());
    }
    if !args.yes && !is_wanted(&what) {
        return Err(fail(&"nothing was written", Ending::Findings));
    }
    let tombstone = route::tombstone(&topic, key, time::now_millis());
    match publisher.publish(tombstone, Patience::Sender).report.await {
        Ok(_) => {
            print(&format!("wrote {what}\n"));
            Ok(())
        }
        Err(error @ PublishError::Unreported { .. }) => {
            Err(fail(&format!("{error}: it may have been written"), Ending::Unavailable))
        }
        Err(error) => Err(fail(&error, Ending::Unavailable)),
    }
}

/// The topic, and the key as it is written there.
fn place(routes: &Routes, args: &ForgetArgs) -> Result<(Arc<str>, String), Ending> {
    let Some(topic) = routes.topics.iter().find(|spec| *spec.name == *args.topic && spec.role == Role::Latest) else {
        let latest = routes.topics.iter().filter(|spec| spec.role == Role::Latest).map(|spec| &*spec.name);
        let latest = latest.collect::<Vec<_>>().join(", ");
        let known =
            if latest.is_empty() { "kafka.latest_topics is false".into() } else { format!("expected one of {latest}") };
        return Err(fail(&format!("{}: not a latest topic: {known}", args.topic), Ending::Usage));
    };
    // A tombstone for an id that is written otherwise would forget nothing.
    let Some(key) = routes.canonical_key(&topic.name, &args.key) else {
        let words = format!("{}: not an id in the form of the keys of {}", args.key, args.topic);
        return Err(fail(&words, Ending::Usage));
    };
    Ok((Arc::clone(&topic.name), key))
}

/// Asks whoever is at the terminal.
fn is_wanted(what: &str) -> bool {
    let question = format!("Write {what}? Tables built on the topic drop the entity. [y/N] ");
    let asked = write!(io::stderr(), "{}", printable::line(&question)).and_then(|()| io::stderr().flush());
    let mut answer = String::new();
    asked.and_then(|()| io::stdin().read_line(&mut answer)).is_ok()
        && ["y", "yes"].contains(&answer.trim().to_ascii_lowercase().as_str())
}
