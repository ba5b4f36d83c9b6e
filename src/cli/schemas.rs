//! `hookbridge schemas`: what the catalog has, and how it stands with the registry.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::{fs, iter};

use clap::{Args, Subcommand};
use serde_json::Value;

use super::connect::{Connect, ToolNeeds};
use super::levels::low_levels;
use super::{Ending, fail, fail_config, fail_start, on_runtime, print, warn};
use crate::app::bridge::StartError;
use crate::catalog::EventType;
use crate::catalog::schema::{self, SchemaField};
use crate::config::Settings;
use crate::kafka::registry::{Registry, SubjectReport, SubjectStatus};
use crate::kafka::route::Routes;

const HELP: &str = "\
Examples:
  hookbridge schemas list
  hookbridge schemas show wegly.LeadStageChanged
  hookbridge schemas export --dir schemas            one file per named type, in dependency order
  hookbridge schemas export --dir schemas --bundle   one self-contained file per record
  hookbridge schemas check --registry http://localhost:8081
  hookbridge schemas register --registry http://localhost:8081

Every schema is compared with all versions of its subject, whatever level the registry has (that
stands behind the subject): each version has to read what any other wrote, and no field is removed
or changed.

Exit codes: 0 all well, 1 a version does not go with the schema, 69 the registry cannot be used,
78 configuration or, for `register`, a schema that is refused: before any is registered, unless
the registry itself refuses it only when it is registered.";

#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(super) struct SchemasArgs {
    #[command(subcommand)]
    command: SchemasCommand,
    #[command(flatten)]
    connect: Connect,
}

#[derive(Debug, Subcommand)]
enum SchemasCommand {
    /// List every event type with its records, topics and subjects
    List,
    /// Show a type's fields as a tree, with their docs
    Show {
        /// Full name of a record or of a type in it, such as wegly.LeadStageChanged
        name: String,
    },
    /// Write the schemas to files
    Export {
        /// The folder to write to; it is created if missing
        #[arg(long)]
        dir: PathBuf,
        /// Write self-contained files, one for each record type
        #[arg(long)]
        bundle: bool,
    },
    /// Register the schemas that the registry does not have, if none of them is refused
    Register,
    /// Compare the schemas with all versions that the registry has; write nothing
    Check,
}

pub(super) fn run(args: &SchemasArgs, file: Option<&Path>) -> Ending {
    let needs = match &args.command {
        SchemasCommand::Register | SchemasCommand::Check => ToolNeeds::Registry,
        SchemasCommand::List | SchemasCommand::Show { .. } | SchemasCommand::Export { .. } => ToolNeeds::Sources,
    };
    let settings = match args.connect.settings(file, needs) {
        Ok(settings) => settings,
        Err(error) => return fail_config(&error),
    };
    let shown = match &args.command {
        SchemasCommand::List => list(&settings),
        SchemasCommand::Show { name } => match show(&settings, name) {
            Some(text) => text,
            None => return fail(&format!("unknown type {name}: see `hookbridge schemas list`"), Ending::Usage),
        },
        SchemasCommand::Export { dir, bundle } => match export(&settings, dir, *bundle) {
            Ok(text) => text,
            Err(error) => return fail(&format!("{}: {error}", dir.display()), Ending::Configuration),
        },
        SchemasCommand::Register => return with_registry(&settings, true),
        SchemasCommand::Check => return with_registry(&settings, false),
    };
    print(&shown);
    Ending::Well
}

fn list(settings: &Settings) -> String {
    let routes = Routes::plan(settings);
    let mut text = format!("{:<16} {:<38} {:<44} {:<30} subject\n", "source", "event type", "record", "topic");
    for source in settings.sources.values() {
        for event_type in source.profile.types.values() {
            let Some(route) = routes.get(&source.name, &event_type.name) else { continue };
            let (name, record) = (&event_type.name, &event_type.schema.name);
            let of_events = [&route.main].into_iter().chain(&route.joins).map(|target| (record, target));
            let of_state = event_type.latest.as_ref().map(|latest| &latest.schema.name).zip(route.latest.as_ref());
            for (record, target) in of_events.chain(of_state) {
                let (source, topic, subject) = (&source.name, &target.topic, &target.subject.name);
                let _ = writeln!(text, "{source:<16} {name:<38} {record:<44} {topic:<30} {subject}");
            }
        }
    }
    text
}

/// All named types, by full name, and the order they can be read in.
fn types(settings: &Settings) -> (BTreeMap<String, Value>, Vec<String>) {
    let mut types = BTreeMap::new();
    let mut order = Vec::new();
    for schema in settings.sources.values().flat_map(|s| s.profile.types.values()).flat_map(EventType::schemas) {
        let Ok(schema) = serde_json::from_str(&schema.text) else { continue };
        for (name, record) in schema::named(&schema) {
            if types.insert(name.clone(), record).is_none() {
                order.push(name);
            }
        }
    }
    (types, order)
}

fn show(settings: &Settings, name: &str) -> Option<String> {
    let (types, _) = types(settings);
    let record = types.get(name)?;
    let mut text = format!("{name}\n  {}\n", record["doc"].as_str().unwrap_or_default());
    tree(&mut text, &types, record, 1, &mut vec![name.to_owned()]);
    Some(text)
}

/// A line per field; a record's own fields below it, unless that type was shown before.
fn tree(text: &mut String, types: &BTreeMap<String, Value>, record: &Value, depth: usize, shown: &mut Vec<String>) {
    for SchemaField { name, json, ty, nullable, doc } in schema::fields(record) {
        let indent: String = iter::repeat_n("  ", depth).collect();
        let optional = if nullable { "?" } else { "" };
        let sent_as = if json == name { String::new() } else { format!("  (sent as {json})") };
        let _ = writeln!(text, "{:<48} {doc}{sent_as}", format!("{indent}{name}: {ty}{optional}"));
        let inner = ty.trim_start_matches("array of ");
        if let Some(record) = types.get(inner).filter(|_| !shown.iter().any(|name| name == inner)) {
            shown.push(inner.to_owned());
            tree(text, types, record, depth + 1, shown);
        }
    }
}

fn export(settings: &Settings, dir: &Path, bundle: bool) -> io::Result<String> {
    fs::create_dir_all(dir)?;
    let mut written = String::new();
    let mut write = |file: String, schema: &Value| {
        let path = dir.join(file);
        let _ = writeln!(written, "{}", path.display());
        fs::write(path, format!("{schema:#}\n"))
    };
    if bundle {
        for schema in settings.sources.values().flat_map(|s| s.profile.types.values()).flat_map(EventType::schemas) {
            let text: Value = serde_json::from_str(&schema.text)?;
            write(format!("{}.avsc", schema.name), &text)?;
        }
    } else {
        let (types, order) = types(settings);
        for (number, name) in order.iter().enumerate() {
            // Numbered, so that `*.avsc` is the order in which compilers want them.
            write(format!("{:03}-{name}.avsc", number + 1), &types[name])?;
        }
    }
    Ok(written)
}

fn with_registry(settings: &Settings, register: bool) -> Ending {
    let routes = Routes::plan(settings);
    let registry = match Registry::without_cache(&settings.registry, routes.subjects) {
        Ok(registry) => registry,
        Err(error) => return fail_config(&error),
    };
    let ended = on_runtime(async {
        let reports = registry.reports().await.map_err(|error| fail(&error, Ending::Unavailable))?;
        if register {
            registry.start().await.map_err(|refusals| fail_start(&StartError::Refused(refusals)))?;
            registry.trouble().map_or(Ok(()), |words| Err(fail(&words, Ending::Unavailable)))?;
        }
        Ok::<_, Ending>(reports)
    });
    let reports = match ended {
        Ok(Ok(reports)) => reports,
        Ok(Err(ending)) | Err(ending) => return ending,
    };
    let (text, findings) = table(&reports, register);
    print(&text);
    if let Some(words) = low_levels(&settings.registry.url, &reports) {
        warn(format_args!("{words}"));
    }
    if findings == 0 { Ending::Well } else { Ending::Findings }
}

/// A line per subject with its level, and below it what more stands against its schema; and how much that is.
fn table(reports: &[SubjectReport], register: bool) -> (String, usize) {
    let mut text = String::new();
    let mut findings = 0;
    for SubjectReport { subject, status, conflicts, level } in reports {
        let (word, further) = match status {
            SubjectStatus::Registered(id) => (format!("same        id {id}"), &conflicts[..]),
            SubjectStatus::New | SubjectStatus::Compatible if register => {
                let id = subject.id().map_or_else(|| "unknown".into(), |id| id.to_string());
                (format!("registered  id {id}"), &[][..])
            }
            SubjectStatus::New => ("new         not registered yet".into(), &[][..]),
            SubjectStatus::Compatible => ("compatible  a new version".into(), &[][..]),
            SubjectStatus::Refused(reasons) => {
                let (first, further) =
                    reasons.split_first().map_or(("", &[][..]), |(first, rest)| (first.as_str(), rest));
                findings += 1;
                (format!("REFUSED     {first}"), further)
            }
        };
        let level = level.as_deref().unwrap_or("unknown");
        let _ = writeln!(text, "{:<56} {level:<19} {word}", subject.name);
        for reason in further {
            let _ = writeln!(text, "{:<76} against it:  {reason}", "");
        }
        findings += further.len();
    }
    (text, findings)
}
