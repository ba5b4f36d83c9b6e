//! The command line: what there is, and what each ending's exit code is.

mod audit;
mod check;
mod completions;
mod connect;
mod dead_letters;
mod dev;
mod docs;
mod forget;
mod health;
mod init;
mod levels;
mod listening;
mod manual;
mod partition;
mod profile;
mod progress;
mod reference;
mod schemas;
mod send;
mod serve;
mod shutdown;
mod spool;
mod tail;
mod trial;

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::LazyLock;

use clap::{Parser, Subcommand};
use tokio::runtime::Runtime;

use crate::app::bridge::StartError;
use crate::build_info::BUILD;
use crate::config::{ConfigError, DEFAULT_FILE};
use crate::values::printable;
use crate::values::time::now_millis;

/// What `--version` prints; `-V` prints its first line.
static LONG_VERSION: LazyLock<String> = LazyLock::new(|| BUILD.to_string());

/// Verifies webhooks, converts them to Avro records and publishes them to Kafka.
#[derive(Debug, Parser)]
#[command(name = "hookbridge", version, long_version = LONG_VERSION.as_str(), max_term_width = 100, after_help = EXIT_CODES)]
struct Cli {
    /// Configuration file; environment variables `HOOKBRIDGE__SECTION__KEY` override it [default: hookbridge.toml in this folder]
    #[arg(long, short, global = true, value_name = "FILE", env = "HOOKBRIDGE_CONFIG")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve webhooks until SIGTERM or Ctrl-C (the default)
    #[command(after_help = "Example:\n  hookbridge serve --config /etc/hookbridge.toml")]
    Serve,
    /// Check configuration, media store, Kafka, topics and registry
    #[command(after_help = CHECK_HELP)]
    Check(check::CheckArgs),
    /// Write a small hookbridge.toml for the vendors that you name
    Init(init::InitConfigArgs),
    /// Ask a running bridge whether it is alive, or ready
    Health(health::HealthArgs),
    /// Try it out: start everything in one process
    Dev(dev::DevArgs),
    /// Show what would become of a request, offline
    Try(trial::TryArgs),
    /// Make, sign and post sample events
    Send(send::SendArgs),
    /// Print the event catalogue, this command reference or man pages as a document
    Docs(docs::DocsArgs),
    /// Print what a shell needs to complete commands and options
    Completions(completions::CompletionsArgs),
    /// Make a vendor's profile from sample bodies, or add to it what came since
    Profile(profile::ProfileArgs),
    /// List, show, export, register or check the schemas
    Schemas(schemas::SchemasArgs),
    /// Read topics back as JSON
    Tail(tail::TailArgs),
    /// Print the partition that a key goes to
    Where(partition::WhereArgs),
    /// Write a tombstone to a latest topic
    Forget(forget::ForgetArgs),
    /// List, show or replay events that could not be converted
    DeadLetters(dead_letters::DeadLettersArgs),
    /// Show what is waiting on disk, or publish it without accepting webhooks
    Spool(spool::SpoolArgs),
    /// Count the events in the topics, the dead letters and the spool, and list those that are missing
    Audit(audit::AuditArgs),
}

const EXIT_CODES: &str = "\
Example:
  hookbridge --config hookbridge.toml serve

Exit codes:
  0   success
  1   a check has findings, or some events were not accepted, replayed or found, or a case differs
  64  wrong usage
  69  something the command needs is not available (Kafka, the registry, an address to listen on)
  78  the configuration, the catalog or a schema is not usable";

const CHECK_HELP: &str = "\
Prints one line per finding, then one verdict. Creates and registers nothing, except for a small object
in the media store and an empty folder in data_dir, which it deletes again. `warn` lines do not change
the exit code. Topics where a 200 may mean that only one replica has the event are a finding with three
brokers or more, and a `warn` with fewer.

Everything that is wrong with the configuration is reported at once, with file, line and key.

Examples:
  hookbridge check --config /etc/hookbridge.toml
  hookbridge check --offline                      without Kafka, the registry, a bucket and the collector
  hookbridge check --json | jq '.findings[] | select(.level == \"fail\")'

Exit codes: 0 all well, 1 findings, 69 Kafka, the registry or a bucket cannot be
reached, 78 configuration.";

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Well,
    Findings,
    Usage,
    Unavailable,
    Configuration,
}

impl Ending {
    /// The codes of BSD's `sysexits.h`, where they have one.
    fn code(self) -> u8 {
        match self {
            Ending::Well => 0,
            Ending::Findings => 1,
            Ending::Usage => 64,
            Ending::Unavailable => 69,
            Ending::Configuration => 78,
        }
    }
}

impl From<Ending> for ExitCode {
    fn from(ending: Ending) -> Self {
        ExitCode::from(ending.code())
    }
}

/// Runs `work` to its end; what may still run then is nothing that anyone waits for.
fn on_runtime<T>(work: impl Future<Output = T>) -> Result<T, Ending> {
    let runtime = Runtime::new().map_err(|error| fail(&error, Ending::Unavailable))?;
    let done = runtime.block_on(work);
    runtime.shutdown_background();
    Ok(done)
}

/// Why a word of the command line is no time.
#[derive(Debug, thiserror::Error)]
enum NoTime {
    #[error("expected a time such as 2026-06-02T12:00:00Z")]
    Instant,
    #[error("expected a time such as 2026-06-02T12:00:00Z, or how long ago, such as 5m")]
    Since,
}

/// A time on the command line, in milliseconds since 1970.
fn instant(text: &str) -> Result<i64, NoTime> {
    crate::values::time::parse_iso(text).map(|iso| iso.millis).ok_or(NoTime::Instant)
}

/// A time on the command line, or how long ago it is, in milliseconds since 1970.
fn since(text: &str) -> Result<i64, NoTime> {
    instant(text).ok().or_else(|| ago(text)).ok_or(NoTime::Since)
}

/// The time that is `text` ago, such as 5m.
fn ago(text: &str) -> Option<i64> {
    let back = i64::try_from(humantime::parse_duration(text).ok()?.as_millis()).unwrap_or(i64::MAX);
    Some(now_millis().saturating_sub(back).max(0))
}

/// Says something on standard error, if that takes it.
fn warn(words: impl std::fmt::Display) {
    let _ = writeln!(io::stderr(), "hookbridge: {}", printable::text(&words.to_string()));
}

/// Prints what may hold words of a sender's or a server's. Whoever closes the pipe has seen enough.
fn print(text: &str) {
    let _ = io::stdout().write_all(printable::text(text).as_bytes());
}

/// Says why it ends, on standard error.
fn fail(error: &dyn std::fmt::Display, ending: Ending) -> Ending {
    warn(error);
    ending
}

/// Says all that is wrong, one fault a line.
fn fail_config(error: &ConfigError) -> Ending {
    for fault in error.faults() {
        warn(fault);
    }
    Ending::Configuration
}

fn fail_start(error: &StartError) -> Ending {
    match error {
        StartError::Locked(_) | StartError::Spool(_) => fail(error, Ending::Unavailable),
        StartError::Refused(_) => fail(error, Ending::Configuration),
        StartError::Config(error) => fail_config(error),
    }
}

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(message) => {
            // A closed pipe is no reason to fail.
            let _ = message.print();
            return if message.use_stderr() { Ending::Usage } else { Ending::Well }.into();
        }
    };
    // Who names the file that is read by default wants that file, and not the environment in its place.
    let given = cli.config.map(|file| if file == Path::new(DEFAULT_FILE) { Path::new(".").join(file) } else { file });
    let given = given.as_deref();
    let file = given.unwrap_or(Path::new(DEFAULT_FILE));
    let ending = match cli.command.unwrap_or(Command::Serve) {
        Command::Serve => serve::run(file),
        Command::Check(args) => check::run(&args, file),
        Command::Init(args) => init::run(&args, given),
        Command::Health(args) => health::run(&args, file),
        Command::Dev(args) => dev::run(args, given),
        Command::Try(args) => trial::run(&args, given),
        Command::Send(args) => send::run(&args, given),
        Command::Docs(args) => docs::run(&args, given),
        Command::Completions(args) => completions::run(&args),
        Command::Profile(args) => profile::run(&args, given),
        Command::Schemas(args) => schemas::run(&args, given),
        Command::Tail(args) => tail::run(&args, given),
        Command::Where(args) => partition::run(&args, given),
        Command::Forget(args) => forget::run(&args, given),
        Command::DeadLetters(args) => dead_letters::run(&args, given),
        Command::Spool(args) => spool::run(args, file),
        Command::Audit(args) => audit::run(&args, given),
    };
    ending.into()
}
