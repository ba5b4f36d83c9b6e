//! `hookbridge dead-letters replay`: arguments, and what is said of each and at the end.

use std::cell::RefCell;

use clap::Args;
use indicatif::ProgressBar;
use tokio_util::sync::CancellationToken;

use super::{Which, read, sum};
use crate::app::bridge::{self, StartError};
use crate::cli::connect::Connect;
use crate::cli::shutdown::Shutdown;
use crate::cli::{Ending, fail, fail_config, fail_start, on_runtime, print, progress, warn};
use crate::config::Settings;
use crate::disk::private::keep_new_files_private;
use crate::flow::pipeline::Pipeline;
use crate::kafka::follow::Follower;
use crate::kafka::registry::Registry;
use crate::tools::dead_letter_index::Letter;
use crate::tools::read::PlaceReader;
use crate::tools::replay::{Fate, Replay};
use crate::values::printable;

const HELP: &str = "\
Needs a configuration with the sources of the dead letters. Each dead letter is converted by the
current catalog, in the order received, keeps its event id, and is marked as replayed once Kafka has
acknowledged its record. One that still cannot be converted stays, and is listed with the current
reason. The *-latest topics are not written unless --latest is given, and then only with a state that is
no older than the one there; for that they are read from the beginning first, which may take a while.
Ctrl-C stops after the dead letters in flight. You can interrupt and repeat a replay: a replayed dead
letter is not replayed again, unless an outage or a kill came before its mark was written.

Examples:
  hookbridge dead-letters replay --reason unknown_type --dry-run --config hookbridge.toml
  hookbridge dead-letters replay --id d646e635-c932-82f7-81ca-e8e3c55c5e5f --config hookbridge.toml
  hookbridge dead-letters replay --source wegly --from 2026-06-02 --config hookbridge.toml
  hookbridge dead-letters replay --all --config hookbridge.toml

Exit codes: 0 all replayed, or nothing to do, 1 some stay dead letters or are left, 64 wrong usage, 69 Kafka or
the registry is not available, 78 configuration, or the registry refuses a schema.";

#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(super) struct ReplayArgs {
    #[command(flatten)]
    which: Which,
    /// Replay all that are pending
    #[arg(long)]
    all: bool,
    /// Show what would happen to each; write neither records nor schemas
    #[arg(long)]
    dry_run: bool,
    /// Write to the *-latest topics too: the dead letter's state replaces one that is no newer
    #[arg(long)]
    latest: bool,
    #[command(flatten)]
    pub(super) connect: Connect,
}

pub(super) fn run(settings: &Settings, args: &ReplayArgs) -> Ending {
    if args.which.is_none() && !args.all {
        return fail(
            &"choose dead letters with --id, --reason, --source, --type, --from or --to, or take --all",
            Ending::Usage,
        );
    }
    on_runtime(replay(settings, args)).and_then(|ended| ended).unwrap_or_else(|ending| ending)
}

async fn replay(settings: &Settings, args: &ReplayArgs) -> Result<Ending, Ending> {
    // Large files may be put into the media folder.
    keep_new_files_private();
    let shutdown = Shutdown::listen().map_err(|error| unavailable(&error))?;
    let pipeline = bridge::pipeline(settings).map_err(|error| fail_config(&error))?;
    let topic = pipeline.routes.dead_letters.to_string();
    let letters = tokio::task::block_in_place(|| read(settings, &topic)).map_err(|error| unavailable(&error))?;
    let filter = args.which.filter();
    let unknown: Vec<_> = filter.ids.iter().filter(|&&id| !letters.has(id)).collect();
    for id in &unknown {
        warn(format_args!("{topic}: no dead letter {id}"));
    }
    let found_all = unknown.is_empty();
    let letters = letters.chosen(&filter, false);
    if letters.is_empty() {
        say("nothing to replay");
        return Ok(if found_all { Ending::Well } else { Ending::Findings });
    }
    let registry = Registry::without_cache(&settings.registry, pipeline.routes.subjects.clone())
        .map_err(|error| fail_config(&error))?;
    if args.dry_run {
        registry.look().await.map_err(|error| unavailable(&error))?;
    } else {
        registry.start().await.map_err(|refusals| fail_start(&StartError::Refused(refusals)))?;
        if let Some(words) = registry.trouble() {
            return Err(unavailable(&words));
        }
        pipeline.publisher.start().await;
        if args.latest {
            read_latest(&registry, &pipeline).await?;
        }
        let mut sources = letters.iter().filter_map(|letter| settings.sources.get(&*letter.source));
        if sources.any(|source| source.profile.has_media()) {
            pipeline.media.prepare().map_err(|error| fail_config(&error))?;
        }
    }
    let places = PlaceReader::of(&settings.kafka, &topic).map_err(|error| unavailable(&error))?;
    let stop = CancellationToken::new();
    let told_to_end = stop.clone();
    let signals = tokio::spawn(async move {
        shutdown.wait().await;
        told_to_end.cancel();
    });
    let replay = Replay {
        pipeline,
        places,
        sources: &settings.sources,
        ack_timeout: settings.http.ack_timeout,
        dry_run: args.dry_run,
        latest: args.latest,
        stop,
    };
    let bar = progress::bar(letters.len() as u64).with_message("replaying");
    let tally = RefCell::new(ReplayTally::default());
    let tell = |letter: &Letter, fate: &Fate| {
        tell(letter, fate, &bar);
        tally.borrow_mut().add(fate);
    };
    let ended = replay.run(&letters, &tell).await;
    bar.finish_and_clear();
    signals.abort();
    let tally = tally.into_inner();
    let left = letters.len() - tally.told;
    say(&tally.sum(args.dry_run, left));
    ended.map_err(|error| unavailable(&error))?;
    Ok(if tally.published + tally.ignored == letters.len() && found_all { Ending::Well } else { Ending::Findings })
}

/// Reads which states the latest topics hold.
async fn read_latest(registry: &Registry, pipeline: &Pipeline) -> Result<(), Ending> {
    let bar = progress::bar(0).with_message("reading the latest topics");
    let told = bar.clone();
    let mut follower = Follower::new(&pipeline.publisher, &pipeline.routes, registry.reader(), None);
    let read = follower.read_once(move |read, of| {
        told.set_length(of);
        told.set_position(read);
    });
    let read = read.await;
    bar.finish_and_clear();
    read.map_err(|error| unavailable(&error))
}

fn unavailable(words: &dyn std::fmt::Display) -> Ending {
    fail(words, Ending::Unavailable)
}

fn say(line: &str) {
    print(&format!("{line}\n"));
}

/// A line for what is not plainly published; in a dry run, for each.
fn tell(letter: &Letter, fate: &Fate, bar: &ProgressBar) {
    let words = match fate {
        Fate::Published => None,
        Fate::Ignored => Some("ignored by the profile".to_owned()),
        Fate::WouldBeIgnored => Some("would be ignored by the profile".to_owned()),
        Fate::WouldBePublished(topic) => Some(format!("would be published to {topic}")),
        Fate::Stays(rejection) => Some(format!("stays: {}: {}", rejection.reason.code(), rejection.error)),
        Fate::SchemaRefused(subject) => Some(format!("stays: the registry refuses the schema of {subject}")),
        Fate::NoSource => Some(format!("stays: the source {} is not configured", letter.source)),
        Fate::Gone => Some("skipped: it is no longer in the topic".to_owned()),
    };
    if let Some(words) = words {
        let event_type = letter.event_type.as_deref().unwrap_or("unknown");
        let line = format!("{} {} {event_type} {words}", letter.id, letter.source);
        bar.suspend(|| say(&printable::line(&line)));
    }
    bar.inc(1);
}

/// How many have which fate.
#[derive(Default)]
struct ReplayTally {
    told: usize,
    published: usize,
    /// Marked without a record.
    ignored: usize,
    /// Why, one each.
    stay: Vec<&'static str>,
}

impl ReplayTally {
    fn add(&mut self, fate: &Fate) {
        self.told += 1;
        match fate {
            Fate::Published | Fate::WouldBePublished(_) => self.published += 1,
            Fate::Ignored | Fate::WouldBeIgnored => self.ignored += 1,
            Fate::Stays(rejection) => self.stay.push(rejection.reason.code()),
            Fate::SchemaRefused(_) => self.stay.push("schema refused"),
            Fate::NoSource => self.stay.push("source not configured"),
            Fate::Gone => self.stay.push("gone"),
        }
    }

    /// `published 3; 2 stay: unknown_type 2; left 0`
    fn sum(&self, dry_run: bool, left: usize) -> String {
        let (published, stay) = if dry_run { ("would be published", "would stay") } else { ("published", "stay") };
        let ignored = if self.ignored > 0 { format!("{} ignored; ", self.ignored) } else { String::new() };
        let stay = sum(|all| format!("{all} {stay}"), self.stay.iter().copied());
        format!("{published} {}; {ignored}{stay}; left {left}", self.published)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::{Reason, Rejection};

    #[test]
    fn the_sum_says_what_became_of_all_and_how_many_are_left() {
        let mut tally = ReplayTally::default();
        tally.add(&Fate::Published);
        tally.add(&Fate::Stays(Rejection { reason: Reason::MissingKey, error: String::new() }));
        tally.add(&Fate::NoSource);
        assert_eq!(tally.sum(false, 7), "published 1; 2 stay: missing_key 1, source not configured 1; left 7");
        assert_eq!(ReplayTally::default().sum(true, 0), "would be published 0; 0 would stay; left 0");
    }
}
