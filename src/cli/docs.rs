//! `hookbridge docs`: the event catalogue, the commands and the JSON Schemas of the files as documents, and man pages.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use schemars::Schema;

use super::connect::Connect;
use super::{Ending, fail, fail_config, manual, reference};
use crate::catalog::profile_schema;
use crate::config::settings_schema;
use crate::tools::docs;

const HELP: &str = "\
Examples:
  hookbridge docs events > events.md
  hookbridge docs asyncapi --out asyncapi.json
  hookbridge docs cli --out cli.md
  hookbridge docs config-schema --out hookbridge.schema.json
  hookbridge docs man --out man      (a folder: one page for each command)
  hookbridge docs man | man -l -";

#[derive(Clone, Copy, Debug, ValueEnum)]
enum DocumentKind {
    /// An `AsyncAPI` 3 document
    Asyncapi,
    /// A Markdown page with the `--help` of every command
    Cli,
    /// The JSON Schema of `hookbridge.toml`, for editors
    ConfigSchema,
    /// A Markdown page with every event type
    Events,
    /// Man pages
    Man,
    /// The JSON Schema of `profile.toml`, for editors
    ProfileSchema,
}

#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(super) struct DocsArgs {
    /// Which document
    kind: DocumentKind,
    /// Write to this file instead of standard output; `man` takes a folder, and without one prints the page of the program
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    connect: Connect,
}

pub(super) fn run(args: &DocsArgs, file: Option<&Path>) -> Ending {
    let out = args.out.as_deref();
    let settings = || args.connect.settings_if_named(file);
    let made = match args.kind {
        DocumentKind::Asyncapi => settings().map(|settings| docs::asyncapi(&settings)),
        DocumentKind::Events => settings().map(|settings| docs::events(&settings)),
        DocumentKind::Cli => Ok(reference::page()),
        DocumentKind::ConfigSchema => Ok(schema_text(&settings_schema())),
        DocumentKind::ProfileSchema => Ok(schema_text(&profile_schema())),
        DocumentKind::Man => return man(out),
    };
    match (made, out) {
        (Err(error), _) => fail_config(&error),
        (Ok(text), Some(path)) => written(path, std::fs::write(path, text)),
        (Ok(text), None) => printed(text.as_bytes()),
    }
}

fn man(folder: Option<&Path>) -> Ending {
    match folder {
        Some(folder) => written(folder, manual::write(folder)),
        None => printed(&manual::page()),
    }
}

fn written(path: &Path, result: io::Result<()>) -> Ending {
    match result {
        Ok(()) => Ending::Well,
        Err(error) => fail(&format!("{}: {error}", path.display()), Ending::Configuration),
    }
}

fn printed(text: &[u8]) -> Ending {
    // Whoever closes the pipe has seen enough.
    let _ = io::stdout().write_all(text);
    Ending::Well
}

fn schema_text(schema: &Schema) -> String {
    format!("{:#}\n", schema.as_value())
}

#[cfg(test)]
mod schema_tests;
