//! `hookbridge send`: arguments, progress and report.

mod body;
mod report;
mod target;

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use indicatif::ProgressBar;
use reqwest::redirect::Policy;
use tokio::time::sleep;

use super::shutdown::Shutdown;
use super::{Ending, fail, fail_config, on_runtime, print, progress, warn};
use crate::catalog::{EventType, Profile};
use crate::config::ConfigError;
use crate::outbound;
use crate::tools::sample::Sampler;
use crate::tools::send::{self, Pace, SendAnswer, SendLabel, SendTarget, Signed, Tally};
use crate::values::time::now_millis;
use target::{Destination, SendAs, TargetError, meant};

/// How long an answer is waited for: longer than any bridge takes to give one.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// Of so many events each gets a line; of more, what counts is the sum.
const FEW: u64 = 20;

const HELP: &str = "\
Posts to the bridge of the configuration: --config, else hookbridge.toml in this folder, else the
environment, else the `hookbridge dev` that runs here. From there are the address (http.listen,
http.tls), the profile of the source, and its first secret or token. If a `hookbridge dev` listens at
the address, and no file is named, its secrets are taken. --url and --secret override.

Without --body, bodies are made from the catalog, with fresh ids and dates; chat messages are linked
to deals sent before them. Deals, leads and phone numbers are the same in every run, so that samples
of Wegly and Whazing can be joined by deal, by reference and by number. With --body, your own JSON is
signed and posted byte by byte as it is; its event type is found by the profile's rules, and has to be
named only where the vendor sends it in a header.

Of up to 20 events each gets a line: event id, type, topic, outcome. A load (--rate) does not wait for
answers: latency is measured from the scheduled time of each event. Ctrl-C and SIGTERM stop and print
the sum.

For a profile that verifies by Ed25519, --secret takes the private key: 32 bytes, or 64 with the
public key, in hex or base64. The bridge has only the public one.

Examples:
  hookbridge send wegly deal.won                        one event
  hookbridge send wegly --body won.json                 a body of your own
  jq -c . won.json | hookbridge send wegly --body - --config /etc/hookbridge.toml
  hookbridge send whazing --count 100                   all types in turn
  hookbridge send wegly chat.message_received --rate 500 --for 60s
  hookbridge send wegly lead.created --dry-run          the curl command
  hookbridge send wegly --list                          the event types
  hookbridge send wegly-acme --profile wegly --secret \"$SECRET\" --url http://127.0.0.1:8080

Exit codes: 0 every event got a 2xx, 1 some did not, 64 wrong usage, 69 nothing answered,
78 configuration.";

#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(super) struct SendArgs {
    /// Name of the source to send as
    source: String,
    /// Event type; without it, all types of the profile in turn, or that of --body
    event_type: Option<String>,
    /// File with a body to post instead of made ones; `-` is standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["rate", "duration", "seed", "list"])]
    body: Option<PathBuf>,
    /// A header of each request, may be repeated; it replaces one of that name
    #[arg(long = "header", short = 'H', value_name = "NAME: VALUE")]
    headers: Vec<String>,
    /// Profile of the source [default: that of the configuration, else the source's name]
    #[arg(long)]
    profile: Option<String>,
    /// Address of the bridge [default: that of the configuration]
    #[arg(long)]
    url: Option<String>,
    /// Certificate authorities in PEM, in addition to the system's
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// The source's secret or token; for Ed25519 the private key [default: the first of the configuration]
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
    /// A folder with further profiles [default: catalog.dir of the configuration]
    #[arg(long, value_name = "DIR")]
    catalog: Option<PathBuf>,
}

/// Why nothing is sent.
#[derive(Debug, thiserror::Error)]
enum SendError {
    #[error(transparent)]
    Target(#[from] TargetError),
    #[error("unknown event type {name}: {}", meant(.name, .known, "see --list"))]
    UnknownType { name: String, known: Vec<String> },
    #[error("--rate must be above 0 and at most 1,000,000")]
    Rate,
    #[error("--header {0:?}: expected `name: value`")]
    Header(String),
    #[error("--body {}: {error}", .path.display())]
    Body { path: PathBuf, error: io::Error },
    #[error(transparent)]
    CaFile(ConfigError),
    #[error(transparent)]
    Client(#[from] reqwest::Error),
}

impl SendError {
    fn ending(&self) -> Ending {
        match self {
            SendError::Target(TargetError::Config(_) | TargetError::NoPort) => Ending::Configuration,
            _ => Ending::Usage,
        }
    }
}

pub(super) fn run(args: &SendArgs, file: Option<&Path>) -> Ending {
    send(args, file).unwrap_or_else(|error| match &error {
        SendError::Target(TargetError::Config(error)) => fail_config(error),
        error => fail(error, error.ending()),
    })
}

fn send(args: &SendArgs, file: Option<&Path>) -> Result<Ending, SendError> {
    let sender = SendAs::find(args, file)?;
    let profile = &*sender.profile;
    if args.list {
        let lines = profile.types.keys().map(|name| name.to_owned() + "\n");
        let _ = io::stdout().write_all(lines.collect::<String>().as_bytes());
        return Ok(Ending::Well);
    }
    let types: Vec<&EventType> = match &args.event_type {
        None => profile.types.values().collect(),
        Some(name) => vec![profile.types.get(name).ok_or_else(|| {
            let known = profile.types.keys().cloned().collect();
            SendError::UnknownType { name: name.clone(), known }
        })?],
    };
    if args.rate.is_some_and(|rate| !(rate > 0.0 && rate <= 1e6)) {
        return Err(SendError::Rate);
    }
    let headers = args.headers.iter().map(|header| parsed(header)).collect::<Result<_, _>>()?;
    let own = args.body.as_ref().map(|path| {
        let body = body::read(path).map_err(|error| SendError::Body { path: path.clone(), error })?;
        let of_body = body::event_type_of(&body, profile);
        if let (Some(named), Some(found)) = (&args.event_type, &of_body)
            && named != found
        {
            warn(format_args!("--body {}: the body is {found}, not {named}", path.display()));
        }
        Ok::<_, SendError>((body, of_body.or_else(|| args.event_type.clone())))
    });
    let own = own.transpose()?;
    let mut to = sender.destination(args)?;
    let target = SendTarget { url: to.url.clone(), source: args.source.clone(), signer: to.signer.take(), headers };
    let count = count(args);
    let mut next = events(args, profile, &types, own, &target, count);
    if args.dry_run {
        let file = args.body.as_ref().map(|path| path.display().to_string());
        while let Some(signed) = next() {
            if writeln!(io::stdout(), "{}", signed.curl(file.as_deref())).is_err() {
                break;
            }
        }
        return Ok(Ending::Well);
    }
    let client = client(args, &to)?;
    let pace = args.rate.map_or(Pace::OneByOne, Pace::Rate);
    let topics = sender.topics();
    let show = |label: &SendLabel, answer: &SendAnswer| print(&(report::line(label, answer, &topics) + "\n"));
    let show = (args.rate.is_none() && count <= FEW).then_some(show);
    match on_runtime(with_progress(&client, pace, count, args.duration, next, show)) {
        Ok(Ok(tally)) => Ok(ended(&tally, &to, args, profile)),
        Ok(Err(error)) => Ok(fail(&error, Ending::Unavailable)),
        Err(ending) => Ok(ending),
    }
}

/// Says the sum, and what to do about what was not accepted.
fn ended(tally: &Tally, to: &Destination, args: &SendArgs, profile: &Profile) -> Ending {
    // Where nobody is, there is nothing to sum up.
    if !tally.none_answered() || args.rate.is_some() {
        print(&report::sum(tally, args.rate));
    }
    let is_timed = profile.verification.tolerance.is_some();
    let ending = match (tally.none_answered(), tally.all_accepted()) {
        (true, _) => Ending::Unavailable,
        (false, true) => Ending::Well,
        (false, false) => Ending::Findings,
    };
    if let Some(words) = tally.dead_letter.as_ref().and_then(report::dead_letter) {
        warn(words);
    }
    for answer in tally.faults.values() {
        fail(&report::remedy(answer, to, &args.source, is_timed), ending);
    }
    ending
}

fn parsed(header: &str) -> Result<(String, String), SendError> {
    let parts = header.split_once(':').map(|(name, value)| (name.trim(), value.trim()));
    let is_one = |(name, value): &(&str, &str)| {
        name.parse::<http::HeaderName>().is_ok() && value.parse::<http::HeaderValue>().is_ok()
    };
    let parts = parts.filter(is_one).ok_or_else(|| SendError::Header(header.to_owned()))?;
    Ok((parts.0.to_ascii_lowercase(), parts.1.to_owned()))
}

fn count(args: &SendArgs) -> u64 {
    match (args.count, args.duration, args.rate) {
        (Some(count), ..) => count,
        (None, Some(duration), Some(rate)) => (duration.as_secs_f64() * rate).round() as u64,
        (None, None, Some(_)) => u64::MAX,
        _ => 1,
    }
}

/// The requests, one after the other: of the body that is given, or of made ones, all types in turn.
fn events<'a>(
    args: &SendArgs,
    profile: &'a Profile,
    types: &'a [&EventType],
    own: Option<(Bytes, Option<String>)>,
    target: &'a SendTarget,
    count: u64,
) -> impl FnMut() -> Option<Signed> + use<'a> {
    let seed = args.seed.unwrap_or_else(|| now_millis().unsigned_abs());
    let mut sampler = Sampler::new(profile, seed, now_millis());
    let mut made = 0;
    move || {
        let at = usize::try_from(made).ok().filter(|_| made < count)?;
        made += 1;
        if let Some((body, event_type)) = &own {
            return Some(target.sign(profile, event_type.as_deref(), body.clone()));
        }
        let event_type = types.get(at % types.len().max(1))?;
        Some(target.sign(profile, Some(&event_type.name), sampler.delivery(event_type).into()))
    }
}

fn client(args: &SendArgs, to: &Destination) -> Result<reqwest::Client, SendError> {
    let mut builder = outbound::client(args.ca_file.as_deref(), "--ca-file").map_err(SendError::CaFile)?;
    if let Some(tls) = &to.tls {
        let own = outbound::certificates(&tls.certificate, "http.tls.certificate_file").map_err(TargetError::Config)?;
        builder = own.into_iter().fold(builder, reqwest::ClientBuilder::add_root_certificate);
        builder = builder.resolve(&tls.name, tls.address);
    }
    // A redirection would make a GET of it, without the body.
    Ok(builder.redirect(Policy::none()).timeout(ANSWER_TIMEOUT).build()?)
}

async fn with_progress(
    client: &reqwest::Client,
    pace: Pace,
    count: u64,
    duration: Option<Duration>,
    next: impl FnMut() -> Option<Signed>,
    show: Option<impl Fn(&SendLabel, &SendAnswer)>,
) -> io::Result<Tally> {
    let bar = match count {
        0..=FEW => ProgressBar::hidden(),
        u64::MAX => progress::spinner(),
        count => progress::bar(count),
    };
    let bar = bar.with_message("sending");
    // A signal ends the sending, not the report on it.
    let shutdown = Shutdown::listen()?;
    let stop = shutdown.token();
    if let Some(time) = duration {
        let stop = stop.clone();
        tokio::spawn(async move {
            sleep(time).await;
            stop.cancel();
        });
    }
    let mut answered = false;
    let answer_came = |label: &SendLabel, answer: &SendAnswer| {
        bar.inc(1);
        answered |= matches!(answer, SendAnswer::Said { .. });
        // Nobody is there: to ask for each of the others would not help.
        if !answered && matches!(pace, Pace::OneByOne) {
            stop.cancel();
        }
        if let Some(show) = &show {
            show(label, answer);
        }
    };
    let tally = send::run(client, pace, &stop, next, answer_came).await;
    bar.finish_and_clear();
    Ok(tally)
}
