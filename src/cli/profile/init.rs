//! `hookbridge profile init`: arguments, and what is said.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use http::{HeaderName, HeaderValue};

use super::files::{self, Standing};
use super::{ProfileError, report, samples};
use crate::catalog::is_profile_name;
use crate::cli::{Ending, print};
use crate::tools::infer::{Base, Inputs, Sample, SeenExtras, VerifyChoice, draft, try_out};
use crate::values::amount::counted;
use crate::values::shell;

const HELP: &str = "\
Reads sample bodies, or the JSON Schemas of bodies, and writes a profile: what determines the type, a
record for each type, records that several share, ids, instants, keys and times. Everything but the
way to the key may be null, so that the types can grow. It converts all samples by what it wrote, and
lists what it was unsure of. Nothing is sent anywhere.

Run it again with more samples: it adds fields and types, and changes nothing that is there, so
that docs, keys and names that you edited stay. What would not be compatible is listed.

A folder's files are .json, .jsonl or .ndjson: one body, or a list of them, or one on each line.
A file may also be a JSON Schema, or an OpenAPI document with webhooks, in JSON or YAML (.yaml,
.yml). Member descriptions become docs, and the member with a fixed value in every schema
determines the type.
If a header of the request determines the type, name it with --type-header, and name each sample's
folder by its value (push/1.json, orders/create/1.json), or its file (push.json, push-2.json).

Examples:
  hookbridge profile init acme --from samples/
  hookbridge profile init acme --from samples/ --to catalog --type-field kind --key order.created=order.number
  hookbridge profile init acme --from samples/ --verify token --verify-header x-acme-token
  hookbridge profile init acme --from samples/ --type-header x-acme-topic
  hookbridge profile init acme --from openapi.yaml --key order.created=data.id

Exit codes: 0 every sample converts, 1 some do not, or nothing determines their types, 64 wrong usage,
78 the catalog in --to is not usable, or a file cannot be read or written.";

#[derive(Clone, Copy, Debug, ValueEnum)]
enum VerifyMethod {
    /// The header holds HMAC-SHA256 of the raw body
    HmacSha256,
    /// The header holds a shared token
    Token,
}

#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(super) struct InitArgs {
    /// Name of the profile: `[a-z][a-z0-9_]*`
    name: String,
    /// Folders or files with sample bodies, JSON Schemas or OpenAPI documents
    #[arg(long, required = true, value_name = "PATH")]
    from: Vec<PathBuf>,
    /// The catalog's folder; the profile becomes a folder in it
    #[arg(long, value_name = "DIR", default_value = "catalog")]
    to: PathBuf,
    /// Member of the bodies whose value determines the event type
    #[arg(long, value_name = "MEMBER")]
    type_field: Option<String>,
    /// Header whose value determines the event type: that of a sample is the name of its folder or file
    #[arg(long, value_name = "NAME", conflicts_with = "type_field")]
    type_header: Option<HeaderName>,
    /// Key of a type, or of all types with such a member, as a path in the JSON; may be repeated
    #[arg(long, value_name = "[TYPE=]PATH", value_parser = key)]
    key: Vec<(Option<String>, String)>,
    /// How requests are verified; of a new profile
    #[arg(long, value_enum, value_name = "METHOD")]
    verify: Option<VerifyMethod>,
    /// Header with the signature or the token [default: x-NAME-signature, or x-NAME-token]
    #[arg(long, value_name = "NAME")]
    verify_header: Option<String>,
}

fn key(text: &str) -> Result<(Option<String>, String), String> {
    let (of, path) = match text.split_once('=') {
        Some((of, path)) => (Some(of.to_owned()), path),
        None => (None, text),
    };
    if path.split('.').any(str::is_empty) || of.as_deref().is_some_and(str::is_empty) {
        Err("expected PATH or TYPE=PATH".into())
    } else {
        Ok((of, path.to_owned()))
    }
}

impl InitArgs {
    fn verify(&self) -> VerifyChoice {
        let (method, what) = match self.verify {
            None | Some(VerifyMethod::HmacSha256) => ("hmac-sha256", "signature"),
            Some(VerifyMethod::Token) => ("token", "token"),
        };
        let header = self.verify_header.clone();
        let header = header.unwrap_or_else(|| format!("x-{}-{what}", self.name.replace('_', "-")));
        VerifyChoice { method: method.to_owned(), header, given: self.verify.is_some() && self.verify_header.is_some() }
    }
}

pub(super) fn run(args: &InitArgs) -> Result<Ending, ProfileError> {
    if !is_profile_name(&args.name) || args.name == "hookbridge" {
        return Err(ProfileError::Name(args.name.clone()));
    }
    let samples::SampleFiles { samples, schemas } = samples::read(&args.from, args.type_header.as_ref())?;
    let sources = sources(samples.len(), schemas.len());
    let dir = args.to.is_dir().then_some(&*args.to);
    // A folder that is to become a profile may be there, still empty.
    let standing = Standing::read(dir, &args.name, None)?;
    let inputs = Inputs {
        profile: args.name.clone(),
        schemas,
        type_field: args.type_field.clone(),
        type_header: args.type_header.clone(),
        keys: args.key.clone(),
        verify: args.verify(),
    };
    let base = standing.profile.as_ref().map(|profile| Base { files: &standing.files, profile });
    let mut made = draft(&inputs, &samples, base.as_ref(), &SeenExtras::default())?;
    if base.is_none() && made.files.is_empty() {
        print(&report::doubts(&made));
        return Ok(Ending::Findings);
    }
    if base.is_none() && !inputs.verify.given {
        let how = &inputs.verify;
        let what = format!("[verify]: samples do not show it; {} in `{}` is a guess", how.method, how.header);
        made.notes.insert(0, what);
    }
    let folder = args.to.join(&args.name);
    let Some(profile) = standing.with(dir, &args.name, &made)? else {
        print(&report::doubts(&made));
        return Ok(Ending::Findings);
    };
    if !made.files.is_empty() {
        files::write(&folder, &made.files)?;
    }
    let tried = try_out(&profile, &samples);
    let mut text = format!("{}: {sources}, {}\n", args.name, counted(made.types.len() as u64, "event type"));
    text += &report::types(&args.name, &made);
    text += &if made.files.is_empty() { "nothing to add\n".to_owned() } else { report::wrote(&folder, &made) };
    if !samples.is_empty() {
        text += &report::trial(&tried, false);
    }
    text += &report::doubts(&made);
    text += &next(args, &samples);
    print(&text);
    Ok(if tried.failed.is_empty() && made.left_out.is_empty() { Ending::Well } else { Ending::Findings })
}

/// `3 samples, 1 schema file`
fn sources(samples: usize, schemas: usize) -> String {
    let [bodies, files] =
        [(samples, "sample"), (schemas, "schema file")].map(|(count, what)| counted(count as u64, what));
    match (samples, schemas) {
        (_, 0) => bodies,
        (0, _) => files,
        (_, _) => format!("{bodies}, {files}"),
    }
}

/// What to type next.
fn next(args: &InitArgs, samples: &[Sample]) -> String {
    let (name, dir) = (&args.name, shell::path(&args.to));
    let folder = shell::path(&args.to.join(name));
    // `try` takes a file with one body.
    let one = samples.iter().find_map(|sample| Some((sample, file_of(&args.from, &sample.label)?)));
    let try_it = one.map(|(sample, file)| {
        let header = |(name, value): (&HeaderName, &HeaderValue)| {
            let value = value.to_str().unwrap_or_default();
            format!(" -H {}", shell::word(&format!("{name}: {value}")))
        };
        let headers = sample.headers.iter().map(header).collect::<String>();
        format!("  hookbridge try {} --source {name} --catalog {dir}{headers}\n", shell::path(&file))
    });
    let try_it = try_it.unwrap_or_default();
    format!(
        "next:\n  grep -rn TODO {folder}\n{try_it}  hookbridge dev --catalog {dir}\n  hookbridge send {name} --catalog {dir}\n"
    )
}

/// The file that has only the sample of this label, if it is a file of its own.
fn file_of(from: &[PathBuf], label: &str) -> Option<PathBuf> {
    from.iter().find_map(|path| {
        let file = if path.is_dir() { path.join(label) } else { path.clone() };
        (file.is_file() && file.ends_with(label)).then_some(file)
    })
}
