//! `hookbridge profile`: a vendor's profile made from sample bodies, and what is to be added to it by what came since.

mod files;
mod init;
mod learn;
mod report;
mod samples;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_saphyr::{DeserializeError, UserMessageFormatter};

use super::{Ending, fail};
use crate::catalog::CatalogError;
use crate::config::ConfigError;
use crate::tools::infer::InferError;
use crate::tools::read::{DecodeError, ReadError};
use init::InitArgs;
use learn::LearnArgs;

#[derive(Debug, Args)]
pub(super) struct ProfileArgs {
    #[command(subcommand)]
    command: ProfileCommand,
}

#[derive(Debug, Subcommand)]
enum ProfileCommand {
    /// Make a profile from sample bodies or JSON Schemas, or add to one what more samples show
    Init(InitArgs),
    /// Propose the types and fields that dead letters, or `extra` in a topic, show to be missing
    Learn(LearnArgs),
}

/// Why nothing was written.
#[derive(Debug, thiserror::Error)]
enum ProfileError {
    #[error(
        "{0:?}: expected a name that matches [a-z][a-z0-9_]* and is not hookbridge, because it becomes an Avro namespace"
    )]
    Name(String),
    #[error("{}: no samples: expected .json files, each with a body or a JSON Schema, or with a body on each line, or schemas in .yaml files", .0.display())]
    NoSamples(PathBuf),
    #[error("{}: expected YAML that could be JSON: {}", .path.display(), .error.render_with_formatter(&UserMessageFormatter))]
    Yaml { path: PathBuf, error: Box<DeserializeError> },
    #[error("{}: expected a JSON Schema or an OpenAPI document, because bodies are JSON", .0.display())]
    NoSchema(PathBuf),
    #[error("{}: {error}", .path.display())]
    File { path: PathBuf, error: std::io::Error },
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Infer(#[from] InferError),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Decode(#[from] DecodeError),
    #[error("nothing was written, since it would not go together with what is there: {0}")]
    Breaks(String),
}

impl ProfileError {
    fn file(path: &Path, error: std::io::Error) -> ProfileError {
        ProfileError::File { path: path.to_owned(), error }
    }

    fn ending(&self) -> Ending {
        match self {
            ProfileError::Name(_)
            | ProfileError::NoSamples(_)
            | ProfileError::Yaml { .. }
            | ProfileError::NoSchema(_) => Ending::Usage,
            ProfileError::Infer(_) | ProfileError::Breaks(_) => Ending::Findings,
            ProfileError::File { .. } | ProfileError::Catalog(_) | ProfileError::Config(_) => Ending::Configuration,
            ProfileError::Read(_) | ProfileError::Decode(_) => Ending::Unavailable,
        }
    }
}

pub(super) fn run(args: &ProfileArgs, file: Option<&Path>) -> Ending {
    let done = match &args.command {
        ProfileCommand::Init(args) => init::run(args),
        ProfileCommand::Learn(args) => learn::run(args, file),
    };
    done.unwrap_or_else(|error| fail(&error, error.ending()))
}
