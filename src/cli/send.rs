//! `hookbridge send`: arguments, progress and report.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{Ending, fail, fail_config, on_runtime, print};
use crate::catalog::{Catalog, EventType, Profile};
use crate::config::ConfigError;
use crate::outbound;
use crate::source::verify::Signer;
use crate::tools::dev::demo_credential;
use crate::tools::sample::Sampler;
use crate::tools::send::{self, Pace, SendTarget, Signed, Tally};
use crate::values::printable;
use crate::values::time::now_millis;

/// How long an answer is waited for: longer than any bridge takes to give one.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

const HELP: &str = "\
Bodies are made from the catalog, with fresh ids and dates; chat messages are linked to deals sent
before them. Deals, leads and phone numbers are the same in every run, so that samples of Wegly and
Whazing can be joined by deal, by reference and by number. A load (--rate) does not wait for answers: latency is measured from the scheduled time
of each event. Ctrl-C stops and prints the report.

Examples:
  hookbridge send wegly deal.won                        one event, to `hookbridge dev`
  hookbridge send whazing --count 100                   all types in turn
  hookbridge send wegly chat.message_received --rate 500 --for 60s
  hookbridge send wegly lead.created --dry-run          the curl command
  hookbridge send wegly --list                          the event types
  hookbridge send wegly-acme --profile wegly --secret \"$SECRET\" --url http://127.0.0.1:8080

Exit codes: 0 every event got a 2xx, 1 some did not, 64 wrong usage.";

#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(super) struct SendArgs {
    /// Name of the source to send as
    source: String,
    /// Event type; without it, all types of the profile in turn
    event_type: Option<String>,
    /// Profile of the source [default: the source's name]
    #[arg(long)]
    profile: Option<String>,
    /// Address of the bridge
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    url: String,
    /// Certificate authorities in PEM, in addition to the system's
    #[arg(long, value_name = "FILE")]
    ca_file: Option<std::path::PathBuf>,
    /// The source's secret or token [default: that of `hookbridge dev`]
    #[arg(long, env = "HOOKBRIDGE_SECRET", hide_env_values = true)]
    secret: Option<String>,
    /// How many events
    #[arg(long, short = 'n', conflicts_with = "duration")]
    count: Option<u64>,
    /// Events per second, without waiting for answers
    #[arg(long)]
    rate: Option<f64>,
    /// How long to send at --rate
    #[arg(long = "for", value_name = "TIME", requires = "rate", value_parser = humantime::parse_duration)]
    duration: Option<Duration>,
    /// Seed of the random choices; the same seed repeats them
    #[arg(long)]
    seed: Option<u64>,
    /// Print the curl commands instead of sending
    #[arg(long)]
    dry_run: bool,
    /// List the event types
    #[arg(long)]
    list: bool,
    /// A folder with further profiles (catalog.dir)
    #[arg(long, value_name = "DIR")]
    catalog: Option<std::path::PathBuf>,
}

pub(super) fn run(args: &SendArgs) -> Ending {
    let catalog = match Catalog::load(args.catalog.as_deref()) {
        Ok(catalog) => catalog,
        Err(error) => return fail_config(&error.into()),
    };
    let profile_name = args.profile.as_ref().unwrap_or(&args.source);
    let Some(profile) = catalog.profiles.get(profile_name) else {
        let known = catalog.profiles.keys().cloned().collect::<Vec<_>>().join(", ");
        return fail(
            &format!("unknown profile {profile_name}, expected one of {known}: name it with --profile"),
            Ending::Usage,
        );
    };
    if args.list {
        let lines = profile.types.keys().map(|name| name.to_owned() + "\n");
        let _ = io::stdout().write_all(lines.collect::<String>().as_bytes());
        return Ending::Well;
    }
    let types: Vec<&EventType> = match &args.event_type {
        None => profile.types.values().collect(),
        Some(name) => match profile.types.get(name) {
            Some(event_type) => vec![event_type],
            None => return fail(&format!("unknown event type {name}: see --list"), Ending::Usage),
        },
    };
    if args.rate.is_some_and(|rate| !(rate > 0.0 && rate <= 1e6)) {
        return fail(&"--rate must be above 0 and at most 1,000,000", Ending::Usage);
    }
    send(args, profile, &types)
}

fn send(args: &SendArgs, profile: &Profile, types: &[&EventType]) -> Ending {
    let Ok(secret) = args.secret.clone().unwrap_or_else(|| demo_credential(profile)).parse();
    let signer = match Signer::new(&profile.verification, &secret) {
        Ok(signer) => signer,
        Err(flaw) => return fail(&format!("--secret: {flaw}"), Ending::Usage),
    };
    let target = SendTarget { url: args.url.trim_end_matches('/').to_owned(), source: args.source.clone(), signer };
    let seed = args.seed.unwrap_or_else(|| now_millis().unsigned_abs());
    let mut sampler = Sampler::new(profile, seed, now_millis());
    let count = match (args.count, args.duration, args.rate) {
        (Some(count), ..) => count,
        (None, Some(duration), Some(rate)) => (duration.as_secs_f64() * rate).round() as u64,
        (None, None, Some(_)) => u64::MAX,
        _ => 1,
    };
    let mut made = 0;
    let mut next = || {
        let event_type = types.get(usize::try_from(made).ok()? % types.len()).filter(|_| made < count)?;
        made += 1;
        Some(target.sign(profile, &event_type.name, sampler.body(event_type)))
    };
    if args.dry_run {
        while let Some(signed) = next() {
            if writeln!(io::stdout(), "{}", signed.curl()).is_err() {
                break;
            }
        }
        return Ending::Well;
    }
    let client = match client(args.ca_file.as_deref()) {
        Ok(client) => client,
        Err(error) => return fail(&error, Ending::Usage),
    };
    let pace = args.rate.map_or(Pace::OneByOne, Pace::Rate);
    match on_runtime(with_progress(&client, pace, count, next)) {
        Ok(tally) => report(&tally),
        Err(ending) => ending,
    }
}

/// Why nothing can be sent.
#[derive(Debug, thiserror::Error)]
enum SendError {
    #[error(transparent)]
    CaFile(#[from] ConfigError),
    #[error(transparent)]
    Client(#[from] reqwest::Error),
}

fn client(ca_file: Option<&Path>) -> Result<reqwest::Client, SendError> {
    Ok(outbound::client(ca_file, "--ca-file")?.timeout(ANSWER_TIMEOUT).build()?)
}

async fn with_progress(
    client: &reqwest::Client,
    pace: Pace,
    count: u64,
    mut next: impl FnMut() -> Option<Signed>,
) -> Tally {
    let bar = match count {
        1 => ProgressBar::hidden(),
        u64::MAX => ProgressBar::new_spinner(),
        count => ProgressBar::new(count),
    };
    if !io::stderr().is_terminal() {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    if let Ok(style) = ProgressStyle::with_template("{wide_bar} {pos}/{len} {per_sec} {eta}") {
        bar.set_style(style);
    }
    // Ctrl-C ends the sending, not the report on it.
    let stopped = Arc::new(AtomicBool::new(false));
    let stop = Arc::clone(&stopped);
    let listening = tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            stop.store(true, Ordering::Relaxed);
        }
    });
    let next = || if stopped.load(Ordering::Relaxed) { None } else { next() };
    let tally = send::run(client, pace, next, |_| bar.inc(1)).await;
    listening.abort();
    bar.finish_and_clear();
    tally
}

fn report(tally: &Tally) -> Ending {
    let seconds = tally.took.as_secs_f64();
    let mut text = format!("sent {} in {seconds:.1} s ({:.1}/s)\n", tally.sent, tally.sent as f64 / seconds.max(1e-9));
    for (outcome, count) in &tally.answers {
        text += &format!("  {:<24} {count:>10}\n", printable::line(outcome));
    }
    let ms = |share| tally.percentile(share).as_secs_f64() * 1000.0;
    let (p50, p90, p99, max) = (ms(0.5), ms(0.9), ms(0.99), ms(1.0));
    text +=
        &format!("latency from scheduled time: p50 {p50:.1} ms, p90 {p90:.1} ms, p99 {p99:.1} ms, max {max:.1} ms\n");
    print(&text);
    if tally.all_accepted() { Ending::Well } else { Ending::Findings }
}
