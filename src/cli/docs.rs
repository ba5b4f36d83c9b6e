//! `hookbridge docs`: the event catalogue and the commands as documents.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::connect::Connect;
use super::{Ending, fail, fail_config, reference};
use crate::config::ConfigError;
use crate::tools::docs;

const HELP: &str = "\
Examples:
  hookbridge docs events > events.md
  hookbridge docs asyncapi --out asyncapi.json
  hookbridge docs cli --out cli.md";

#[derive(Clone, Copy, Debug, ValueEnum)]
enum DocumentKind {
    /// An `AsyncAPI` 3 document
    Asyncapi,
    /// A Markdown page with the `--help` of every command
    Cli,
    /// A Markdown page with every event type
    Events,
}

#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(super) struct DocsArgs {
    /// Which document
    kind: DocumentKind,
    /// Write to this file instead of standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    connect: Connect,
}

pub(super) fn run(args: &DocsArgs, file: Option<&Path>) -> Ending {
    let text = match text(args, file) {
        Ok(text) => text,
        Err(error) => return fail_config(&error),
    };
    match &args.out {
        Some(path) => match std::fs::write(path, text) {
            Ok(()) => Ending::Well,
            Err(error) => fail(&format!("{}: {error}", path.display()), Ending::Configuration),
        },
        None => {
            // Whoever closes the pipe has seen enough.
            let _ = io::stdout().write_all(text.as_bytes());
            Ending::Well
        }
    }
}

fn text(args: &DocsArgs, file: Option<&Path>) -> Result<String, ConfigError> {
    Ok(match args.kind {
        DocumentKind::Asyncapi => docs::asyncapi(&args.connect.settings(file)?),
        DocumentKind::Events => docs::events(&args.connect.settings(file)?),
        DocumentKind::Cli => reference::page(),
    })
}
