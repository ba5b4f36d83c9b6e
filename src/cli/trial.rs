//! `hookbridge try`: what would become of a request, and files of cases.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use clap::{Args, ValueEnum};
use http::{HeaderMap, Method, Uri};

use super::{Ending, fail, fail_config, instant, print};
use crate::config::{self, ConfigError, Settings};
use crate::tools::dev;
use crate::tools::trial::{CasesError, OfflineBridge, TrialRequest, add_header, assume_json, read_cases};
use crate::values::amount::counted;
use crate::values::time::now_millis;

const HELP: &str = "\
Shows, without Kafka, a registry or a running bridge: whether the signature or token is right and
why not, the event's type and the rule that determines it, its key, and every record with its topic,
partition and value; and what went to `extra`, with the reason. Nothing is written anywhere.
Senders never see the reasons. The output holds what the body holds.

Sources are those of --config, otherwise those of `hookbridge dev`: wegly, whazing, and one for each
profile of --catalog, with the secret or token that `hookbridge dev --catalog` prints.

A file of cases (TOML; bodies beside it) for CI:
  [[case]]
  name = \"a deal is won\"
  source = \"wegly\"
  body = \"won.json\"                 # or json = '{...}'
  headers = { x-wegly-signature = \"...\" }    # or unsigned = true
  at = \"2026-06-02T12:00:00Z\"       # when it is received; path = \"...\": what follows the source
                                    # method = \"GET\", query = \"...\": of a handshake
  [case.expect]                     # status, outcome, reason, answer: those given must be the same
  outcome = \"published\"
  [[case.expect.event]]             # one for each event, in order: type, id, key, occurred_at,
  type = \"deal.won\"                 # topics and extra (complete, in any order), record (a part of it)
  topics = [\"wegly.deal\", \"wegly.deal-latest\"]
  extra = []
  record = '{\"deal\": {\"value\": 12.5}}'

Examples:
  hookbridge try won.json --source wegly --unsigned
  hookbridge try won.json --source wegly -H \"x-wegly-signature: $SIGNATURE\" --config hookbridge.toml
  hookbridge try order.json --source shop --catalog catalog --unsigned --json
  hookbridge try --source meta --method GET --query 'hub.mode=subscribe&hub.verify_token=x&hub.challenge=1'
  hookbridge try --cases cases.toml --catalog catalog

Exit codes: 0 it would be published, or a handshake answered, or all cases are as expected; 1 it would be refused or a dead
letter, or a case differs; 64 wrong usage; 78 the configuration, the catalog or a file of cases is not usable.";

#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(super) struct TryArgs {
    /// File with the body; `-` is standard input
    #[arg(required_unless_present_any = ["cases", "method", "query"], requires = "source")]
    body: Option<PathBuf>,
    /// Name of the source that sends it
    #[arg(long, short, value_name = "NAME", conflicts_with = "cases")]
    source: Option<String>,
    /// A header of the request, may be repeated; without a content type it is application/json
    #[arg(long = "header", short = 'H', value_name = "NAME: VALUE", conflicts_with = "cases")]
    headers: Vec<String>,
    /// What follows `/webhooks/SOURCE/` in the path, such as a token
    #[arg(long, value_name = "PATH", conflicts_with = "cases")]
    path: Option<String>,
    /// Method of the request; a GET may be a handshake
    #[arg(long, value_enum, value_name = "METHOD", ignore_case = true, requires = "source", conflicts_with = "cases")]
    method: Option<TryMethod>,
    /// What follows `?` in the request's address; a handshake may be recognised by it
    #[arg(long, value_name = "QUERY", requires = "source", conflicts_with = "cases")]
    query: Option<String>,
    /// The body comes without its signature or token: take it as if it had the right one
    #[arg(long, conflicts_with = "cases")]
    unsigned: bool,
    /// When it is received [default: now]
    #[arg(long, value_name = "TIME", value_parser = instant)]
    at: Option<i64>,
    /// Print one JSON object
    #[arg(long, conflicts_with = "cases")]
    json: bool,
    /// Try all cases of this file, and compare
    #[arg(long, value_name = "FILE", conflicts_with = "body")]
    cases: Option<PathBuf>,
    /// A folder with further profiles (catalog.dir)
    #[arg(long, value_name = "DIR")]
    catalog: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum TryMethod {
    #[value(name = "GET")]
    Get,
    #[value(name = "POST")]
    Post,
}

pub(super) fn run(args: &TryArgs, file: Option<&Path>) -> Ending {
    let bridge = match settings(args, file).and_then(|settings| OfflineBridge::new(&settings)) {
        Ok(bridge) => bridge,
        Err(error) => return fail_config(&error),
    };
    let now = args.at.unwrap_or_else(now_millis);
    match &args.cases {
        Some(cases) => run_cases(&bridge, cases, now),
        None => match request(args, now) {
            Ok(request) => run_one(&bridge, request, args.json),
            Err(error) => fail(&error, Ending::Usage),
        },
    }
}

/// Those of the configuration file, or of `dev`.
fn settings(args: &TryArgs, file: Option<&Path>) -> Result<Settings, ConfigError> {
    if let Some(file) = file {
        let catalog = args.catalog.as_ref().map(|dir| dir.display().to_string());
        return config::load_with(file, [("--catalog", "HOOKBRIDGE__CATALOG__DIR", catalog.as_deref())]);
    }
    dev::demo_settings("127.0.0.1:9092", "http://127.0.0.1:8081", args.catalog.as_deref())
}

/// Why there is no request to try.
#[derive(Debug, thiserror::Error)]
enum RequestError {
    #[error("{path}: {error}")]
    Body { path: String, error: io::Error },
    #[error("--header {0:?}: expected `name: value`")]
    Header(String),
    #[error("--query {0:?}: expected what may follow `?` in an address, with spaces and other letters written as %20")]
    Query(String),
}

fn request(args: &TryArgs, received_at: i64) -> Result<TrialRequest, RequestError> {
    let body = match args.body.as_deref() {
        Some(path) => body(path).map_err(|error| RequestError::Body { path: path.display().to_string(), error })?,
        None => Bytes::new(),
    };
    let method = match args.method {
        Some(TryMethod::Get) => Method::GET,
        Some(TryMethod::Post) | None => Method::POST,
    };
    if let Some(query) = &args.query
        && format!("/?{query}").parse::<Uri>().is_err()
    {
        return Err(RequestError::Query(query.clone()));
    }
    let mut headers = HeaderMap::new();
    for header in &args.headers {
        let added = header.split_once(':').and_then(|(name, value)| add_header(&mut headers, name, value));
        added.ok_or_else(|| RequestError::Header(header.clone()))?;
    }
    assume_json(&mut headers);
    let source = args.source.clone().unwrap_or_default();
    let (path, query) = (args.path.clone(), args.query.clone());
    Ok(TrialRequest { source, method, headers, path, query, body, unsigned: args.unsigned, received_at })
}

fn body(path: &Path) -> io::Result<Bytes> {
    if path != Path::new("-") {
        return fs::read(path).map(Bytes::from);
    }
    let mut body = Vec::new();
    io::stdin().read_to_end(&mut body)?;
    Ok(body.into())
}

fn run_one(bridge: &OfflineBridge, request: TrialRequest, as_json: bool) -> Ending {
    let trial = match bridge.try_out(request) {
        Ok(trial) => trial,
        Err(error) => return fail(&error, Ending::Usage),
    };
    if as_json {
        print(&(trial.json() + "\n"));
    } else {
        print(&trial.text());
    }
    if trial.is_well() { Ending::Well } else { Ending::Findings }
}

fn run_cases(bridge: &OfflineBridge, file: &Path, now: i64) -> Ending {
    let cases = match read_cases(file, now) {
        Ok(cases) => cases,
        Err(error @ CasesError::Unreadable { .. }) => return fail(&error, Ending::Usage),
        Err(error @ CasesError::Unusable { .. }) => return fail(&error, Ending::Configuration),
    };
    let (count, mut failed) = (cases.len(), 0);
    for case in cases {
        let differences = match bridge.try_out(case.request) {
            Ok(trial) => case.expect.differences(&trial),
            Err(unknown) => vec![unknown.to_string()],
        };
        failed += usize::from(!differences.is_empty());
        let word = if differences.is_empty() { "ok    " } else { "FAIL  " };
        print(&format!("{word} {}\n", case.name));
        for difference in differences {
            print(&format!("         {difference}\n"));
        }
    }
    print(&format!("{}, {failed} failed\n", counted(count as u64, "case")));
    if failed == 0 { Ending::Well } else { Ending::Findings }
}
