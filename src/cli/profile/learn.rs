//! `hookbridge profile learn`: arguments, and what is said.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;

use super::files::{self, Standing};
use super::{ProfileError, report};
use crate::catalog::Profile;
use crate::cli::connect::{Connect, ToolNeeds};
use crate::cli::{Ending, dead_letters, on_runtime, print, progress, warn};
use crate::config::{DEFAULT_FILE, Settings};
use crate::kafka::registry::SchemaReader;
use crate::kafka::route::Routes;
use crate::outcome::Reason;
use crate::source::Source;
use crate::tools::dead_letter_index::{Filter, Letter};
use crate::tools::infer::{Base, Draft, Inputs, Sample, SampleTrial, SeenExtras, VerifyChoice, draft, try_out};
use crate::tools::read::{DecodeError, From, PlaceReader, ReadRecord, Reader, Schemas};
use crate::tools::replay;
use crate::values::amount::counted;
use crate::values::shell;

const HELP: &str = "\
From the topic of dead letters it reads those that are pending for their unknown type, and proposes
these types. From other topics it reads what stands in `extra`, and proposes fields for it. What it
writes is for review: files for catalog.dir, and a REVIEW.md beside them with counts and times. No
value is in them except those that determine types. Nothing is changed in Kafka or in the registry.

To bring it in: review, set or fill catalog.dir, restart the bridge, `hookbridge dead-letters replay`.
Run again with the same --to, it adds to what you edited there.

Examples:
  hookbridge profile learn --from hookbridge.dead-letters --to learned --config /etc/hookbridge.toml
  hookbridge profile learn --from 'acme.*' --to learned --config /etc/hookbridge.toml

Exit codes: 0 all that was found is proposed, or nothing was found, 1 some could not be, 64 wrong usage,
69 Kafka or the registry is not available, 78 configuration, or a file cannot be written.";

/// What a person reads before it is brought in; the catalog does not look at it.
const REVIEW: &str = "REVIEW.md";
/// Bodies of dead letters that are held at once.
const MOST_BYTES: usize = 64 << 20;
/// So many are read in one go.
const AT_ONCE: usize = 256;

#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(super) struct LearnArgs {
    /// Topic to learn from: that of the dead letters, or topics of events; `*` matches anything
    #[arg(long, value_name = "TOPIC")]
    from: String,
    /// Folder for the files to review
    #[arg(long, value_name = "DIR", default_value = "learned")]
    to: PathBuf,
    /// Only dead letters of this source; may be repeated
    #[arg(long, value_name = "SOURCE")]
    source: Vec<String>,
    /// Read at most this many dead letters, or records of topics
    #[arg(long, value_name = "COUNT", default_value_t = 100_000)]
    most: usize,
    #[command(flatten)]
    connect: Connect,
}

/// What was found for a profile.
struct Found {
    profile: Arc<Profile>,
    samples: Vec<Sample>,
    extras: SeenExtras,
}

impl Found {
    fn new(profile: &Arc<Profile>) -> Found {
        Found { profile: Arc::clone(profile), samples: Vec::new(), extras: SeenExtras::default() }
    }
}

/// By the profile's name.
type FoundByProfile = BTreeMap<String, Found>;

pub(super) fn run(args: &LearnArgs, file: Option<&Path>) -> Result<Ending, ProfileError> {
    let settings = args.connect.settings(file, ToolNeeds::Both)?;
    let dead_letters = Routes::plan(&settings).dead_letters.to_string();
    let found = if args.from == dead_letters {
        from_dead_letters(args, &settings, &dead_letters)?
    } else {
        match on_runtime(from_topics(args, &settings)) {
            Ok(found) => found?,
            Err(ending) => return Ok(ending),
        }
    };
    if found.is_empty() {
        print("nothing to learn\n");
        return Ok(Ending::Well);
    }
    let mut ending = Ending::Well;
    for (name, found) in &found {
        if propose(args, &settings, name, found)? == Ending::Findings {
            ending = Ending::Findings;
        }
    }
    print(&next(args, &settings, file, args.from == dead_letters));
    Ok(ending)
}

/// The bodies of pending dead letters whose type is unknown.
fn from_dead_letters(args: &LearnArgs, settings: &Settings, topic: &str) -> Result<FoundByProfile, ProfileError> {
    let filter = Filter { reasons: vec![Reason::UnknownType], sources: args.source.clone(), ..Filter::default() };
    let letters = dead_letters::read(settings, topic)?.chosen(&filter, false);
    let places = PlaceReader::of(&settings.kafka, topic)?;
    let bar = progress::bar(letters.len() as u64).with_message("reading bodies");
    let mut found = FoundByProfile::new();
    let mut bytes = 0;
    let taken: Vec<&Letter> = letters
        .iter()
        .take(args.most)
        .take_while(|letter| {
            bytes += letter.bytes;
            bytes <= MOST_BYTES
        })
        .collect();
    for letters in taken.chunks(AT_ONCE) {
        let of: BTreeMap<_, _> = letters.iter().map(|letter| (letter.place, *letter)).collect();
        for record in places.read(of.keys().copied())? {
            bar.inc(1);
            let Some(letter) = of.get(&record.place()).filter(|_| record.value.is_some()) else { continue };
            let Some(source) = settings.sources.get(&*letter.source) else { continue };
            let sample = sample(letter, source, record);
            let of_profile = found.entry(source.profile.name.clone());
            of_profile.or_insert_with(|| Found::new(&source.profile)).samples.push(sample);
        }
    }
    bar.finish_and_clear();
    let strangers = taken.iter().filter(|letter| !settings.sources.contains_key(&*letter.source)).count();
    if strangers > 0 {
        warn(format_args!("{strangers} dead letters are of sources that are not configured"));
    }
    if taken.len() < letters.len() {
        warn(format_args!("{} more dead letters were not read: run again after replay", letters.len() - taken.len()));
    }
    Ok(found)
}

/// The delivery of a dead letter, with the headers of its request: one of them may determine the type.
fn sample(letter: &Letter, source: &Arc<Source>, record: ReadRecord) -> Sample {
    let delivery = replay::restore(letter, source, record);
    Sample {
        label: letter.id.to_string(),
        text: String::from_utf8_lossy(delivery.body()).into_owned(),
        headers: delivery.headers().clone(),
        at: Some(letter.received_at),
    }
}

/// What stands in `extra` of the records of topics.
async fn from_topics(args: &LearnArgs, settings: &Settings) -> Result<FoundByProfile, ProfileError> {
    let mut reader = Reader::open(&settings.kafka, std::slice::from_ref(&args.from), From::Beginning, false)?;
    let mut schemas = Schemas::new(SchemaReader::new(&settings.registry)?);
    let profiles: BTreeMap<&str, &Arc<Profile>> =
        settings.sources.values().map(|source| (source.profile.name.as_str(), &source.profile)).collect();
    let bar = progress::bar(reader.records()).with_message("reading");
    let mut found = FoundByProfile::new();
    let mut undecoded = 0;
    for _ in 0..args.most {
        let Some(record) = reader.next()? else { break };
        bar.inc(1);
        let Some(value) = &record.value else { continue };
        let extras = match schemas.extras_of(value).await {
            Ok(extras) => extras,
            Err(error @ DecodeError::NoSchema(crate::kafka::registry::NoSchema::Unavailable { .. })) => {
                return Err(error.into());
            }
            Err(_) => {
                undecoded += 1;
                continue;
            }
        };
        for (full_name, text) in extras {
            let Some((namespace, name)) = full_name.rsplit_once('.') else { continue };
            let Some(profile) = profiles.get(namespace) else { continue };
            let of_profile = found.entry(namespace.to_owned()).or_insert_with(|| Found::new(profile));
            of_profile.extras.add(name, &text, record.timestamp, &profile.guarded);
        }
    }
    bar.finish_and_clear();
    if undecoded > 0 {
        warn(format_args!("{undecoded} records follow no schema of the registry and were left out"));
    }
    Ok(found)
}

/// Writes what is proposed for a profile, and says it.
fn propose(args: &LearnArgs, settings: &Settings, name: &str, found: &Found) -> Result<Ending, ProfileError> {
    let dir = settings.catalog_dir.as_deref();
    let standing = Standing::read(dir, name, Some(&args.to))?;
    let (faults, samples): (Vec<_>, Vec<_>) =
        found.samples.iter().cloned().partition(|sample| sample.fault().is_some());
    let inputs = Inputs {
        profile: name.to_owned(),
        schemas: Vec::new(),
        type_field: None,
        type_header: None,
        keys: Vec::new(),
        // Of a profile that is there, nothing is decided on it.
        verify: VerifyChoice { method: String::new(), header: String::new(), given: true },
    };
    let now = standing.profile.as_ref().unwrap_or(&found.profile);
    let base = Base { files: &standing.files, profile: now };
    let mut made = draft(&inputs, &samples, Some(&base), &found.extras)?;
    made.left_out.extend(faults.iter().filter_map(Sample::fault).map(|fault| fault.to_string()));
    let new = standing.with(dir, name, &made)?;
    let tried = new.map(|profile| try_out(&profile, &samples)).unwrap_or_default();
    let folder = args.to.join(name);
    let review = review(name, args, &made, &tried, found);
    let mut files = made.files.clone();
    if !files.is_empty() || !made.misfits.is_empty() {
        let before = std::fs::read_to_string(folder.join(REVIEW)).unwrap_or_default();
        files.insert(REVIEW.to_owned(), report::with_section(&before, &review));
    }
    if !files.is_empty() {
        files::write(&folder, &files)?;
    }
    print(&review);
    if made.files.is_empty() {
        print("nothing to add\n");
    } else {
        print(&report::wrote(&folder, &made));
    }
    let whole = tried.failed.is_empty() && made.left_out.is_empty() && made.misfits.is_empty();
    Ok(if whole { Ending::Well } else { Ending::Findings })
}

/// What a person reads before it is brought in.
fn review(name: &str, args: &LearnArgs, made: &Draft, tried: &SampleTrial, found: &Found) -> String {
    let mut text = format!("# {name}: what {} shows to be missing\n\n", args.from);
    if !made.types.is_empty() {
        text += &format!("{}, by type:\n\n", counted(found.samples.len() as u64, "dead letter"));
    }
    text += &report::types(name, made);
    let seen = made.added.iter().filter_map(|field| {
        let seen = found.extras.members.get(&(field.record.clone(), field.json.clone()))?;
        Some(format!("{}.{}: {} times{}", field.record, field.name, seen.count, report::span(seen)))
    });
    text += &report::list("\nseen in `extra`:\n", seen);
    if !found.samples.is_empty() {
        text += "\n";
        text += &report::trial(tried, true);
    }
    text += "\n";
    text += &report::doubts(made);
    text
}

/// What to type next.
fn next(args: &LearnArgs, settings: &Settings, file: Option<&Path>, replay: bool) -> String {
    let flag = file.map(|file| format!(" --config {}", shell::path(file))).unwrap_or_default();
    let place = match &settings.catalog_dir {
        Some(dir) if *dir == args.to => String::new(),
        Some(dir) => format!("  cp -r {}/. {}\n", shell::path(&args.to), shell::path(dir)),
        None => {
            let config = file.unwrap_or(Path::new(DEFAULT_FILE)).display();
            format!("  set in {config}: [catalog] dir = {:?}\n", args.to.display().to_string())
        }
    };
    let mut text = format!("next, when reviewed:\n{place}  hookbridge check{flag}\n  restart the bridge\n");
    if replay {
        text += &format!("  hookbridge dead-letters replay --reason unknown_type{flag}\n");
    }
    text
}
