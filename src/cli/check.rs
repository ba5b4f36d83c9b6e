//! `hookbridge check`: looks at everything, says all it finds, and leaves everything as it was.

mod report;

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::{fs, io};

use bytes::Bytes;
use clap::Args;
use openssl::asn1::Asn1Time;
use openssl::x509::X509;
use rustix::process::geteuid;

use super::connect::Connect;
use super::levels::low_levels;
use super::{Ending, fail_config, on_runtime};
use crate::app::preflight::unusable;
use crate::config::{ConfigError, Settings};
use crate::disk::access::explain;
use crate::http::Identity;
use crate::kafka::plain_words;
use crate::kafka::publish::{Differing, OneReplica, Publisher, TopicState, View, span};
use crate::kafka::registry::{Registry, SubjectReport, SubjectStatus};
use crate::kafka::route::Routes;
use crate::media::{self, Unfit};
use crate::observe::metrics::CERTIFICATE_WARNING_DAYS;
use crate::observe::traces::{Collector, NotCollected};
use crate::spool::{self, SpoolStore};
use crate::values::amount::{counted, size};
use crate::values::time;
use report::{CheckLevel, CheckPart, Report};

/// Clocks that differ by more, in milliseconds, are a finding.
const CLOCK_TOLERANCE: i64 = 2 * 60 * 1000;

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// Check what needs no server: the configuration, secrets, the catalog, certificates, `data_dir` and the media folder
    #[arg(long)]
    offline: bool,
    /// Print all findings as one JSON document
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connect: Connect,
}

pub(super) fn run(args: &CheckArgs, file: &Path) -> Ending {
    let settings = match args.connect.settings_of_bridge(file, unusable) {
        Ok(settings) => settings,
        Err(error) if args.json => return report::unusable(&error),
        Err(error) => return fail_config(&error),
    };
    let mut report = Report::new(args.json, settings.written.clone());
    on_runtime(async {
        match check(&settings, file, args.offline, &mut report).await {
            Ok(()) => report.verdict(),
            Err(error) if args.json => report::unusable(&error),
            Err(error) => fail_config(&error),
        }
    })
    .unwrap_or_else(|ending| ending)
}

async fn check(settings: &Settings, file: &Path, is_offline: bool, report: &mut Report) -> Result<(), ConfigError> {
    let routes = Routes::plan(settings);
    let media = media::Store::new(&settings.media)?;
    let sources = settings.sources.keys().cloned().collect::<Vec<_>>().join(", ");
    let from = if file.exists() { file.display().to_string() } else { "of the environment".to_owned() };
    report.ok(CheckPart::Configuration, &format!("configuration {from}: sources {sources}"));
    for warning in &settings.warnings {
        report.fault(CheckLevel::Warn, warning);
    }
    for warning in &routes.warnings {
        report.warn(CheckPart::Topics, warning, None);
    }
    let types = settings.sources.values().map(|source| source.profile.types.len()).sum::<usize>();
    report
        .ok(CheckPart::Configuration, &format!("catalog: the schemas of {types} event types of these sources compile"));
    data_dir(settings, report);
    spool(settings, report);
    if settings.sources.values().any(|source| source.profile.has_media()) && !(is_offline && media.folder().is_none()) {
        media_store(settings, &media, report).await;
    }
    certificates(settings, report);
    if !is_offline {
        servers(settings, &routes, report).await?;
    }
    Ok(())
}

/// What needs Kafka, the registry and the collector.
async fn servers(settings: &Settings, routes: &Routes, report: &mut Report) -> Result<(), ConfigError> {
    let publisher = Publisher::new(settings, routes)?;
    let registry = Registry::new(&settings.registry, &settings.data_dir, routes.subjects.clone())?;
    let collector = settings.tracing.as_ref().map(Collector::new).transpose()?;
    kafka(settings, &publisher, report).await;
    schemas(settings, &registry, report).await;
    clock(&registry, report).await;
    if let Some(collector) = collector {
        spans(&collector, report).await;
    }
    Ok(())
}

/// Whether the folder can be used is tried out, since neither rights nor owner say all of it.
fn data_dir(settings: &Settings, report: &mut Report) {
    const PART: CheckPart = CheckPart::DataDir;
    let dir = &settings.data_dir;
    let shown = dir.display();
    let there = match fs::metadata(dir) {
        Ok(found) if !found.is_dir() => {
            return report.fail(PART, &format!("data_dir {shown}: not a directory"), Some("name a folder"));
        }
        found => found,
    };
    let words = |error: &io::Error| explain(dir, error);
    match (there, try_writing(dir)) {
        (_, Err(error)) => {
            let remedy = "make it writable for this user, or name another folder";
            report.fail(PART, &format!("data_dir {shown}: cannot be written: {}", words(&error)), Some(remedy));
        }
        (Ok(found), Ok(())) if found.mode() & 0o077 != 0 && found.uid() != geteuid().as_raw() => {
            let what =
                format!("data_dir {shown}: other users may look into it, and it belongs to user {}", found.uid());
            report.warn(PART, &what, Some("chmod 700, since bodies of events wait in it"));
        }
        (Ok(_), Ok(())) => report.ok(PART, &format!("data_dir {shown}")),
        (Err(_), Ok(())) => report.ok(PART, &format!("data_dir {shown}: does not exist yet, `serve` will create it")),
    }
}

/// Makes a folder in `dir`, or in what of its path exists, and removes it again.
fn try_writing(dir: &Path) -> io::Result<()> {
    let trial = existing(dir)?.join(format!(".hookbridge-check-{}", std::process::id()));
    fs::create_dir(&trial)?;
    fs::remove_dir(&trial)
}

/// What of the path `dir` exists.
fn existing(dir: &Path) -> io::Result<PathBuf> {
    let dir = std::path::absolute(dir)?;
    Ok(dir.ancestors().find(|at| fs::symlink_metadata(at).is_ok()).unwrap_or(Path::new("/")).to_owned())
}

fn spool(settings: &Settings, report: &mut Report) {
    let dir = &settings.data_dir;
    let disk = existing(dir).unwrap_or_else(|_| dir.clone());
    if let Some(words) = spool::scarce(&disk, settings.spool.min_free_bytes) {
        report.fail(CheckPart::Spool, &format!("spool: {words}"), None);
    }
    match SpoolStore::look(dir).and_then(|store| store.map_or(Ok(Vec::new()), |store| store.waiting())) {
        Ok(waiting) => {
            let (records, bytes) = waiting.iter().fold((0, 0), |(r, b), w| (r + w.records, b + w.bytes));
            let share = bytes as f64 / settings.spool.max_bytes.max(1) as f64;
            let (deliveries, verb) = (counted(records, "delivery"), if records == 1 { "waits" } else { "wait" });
            let held = size(bytes);
            let what = format!("spool: {deliveries} {verb}, {held}, {:.0} % of spool.max_bytes", share * 100.0);
            let remedy = Some("make room, raise spool.max_bytes, or bring Kafka back so that they are published");
            match share {
                _ if spool::is_full(bytes, settings.spool.max_bytes) => report.fail(CheckPart::Spool, &what, remedy),
                0.8.. => report.warn(CheckPart::Spool, &what, remedy),
                _ => report.ok(CheckPart::Spool, &what),
            }
        }
        Err(error) => report.fail(CheckPart::Spool, &format!("spool {}: {error}", dir.display()), None),
    }
    for file in spool::put_aside(dir) {
        let what = format!("spool: {} was damaged and put aside", file.display());
        report.warn(CheckPart::Spool, &what, Some("the .txt file beside it lists what is lost"));
    }
}

/// The one thing that is changed: a small object is written and deleted again, since nothing else tells.
async fn media_store(settings: &Settings, store: &media::Store, report: &mut Report) {
    let url = store.url();
    let (inline, record) = (store.inline_max_bytes, settings.kafka.max_record_bytes);
    if inline.div_ceil(3).saturating_mul(4) > record {
        let what = format!(
            "media.inline_max_bytes is {}: in base64 such a file is larger than kafka.max_record_bytes ({}), and its event \
             becomes a dead letter",
            size(inline as u64),
            size(record as u64)
        );
        report.warn(CheckPart::Media, &what, Some("lower the first or raise the second"));
    }
    if store.folder().is_some_and(|folder| !folder.exists()) {
        return report.ok(CheckPart::Media, &format!("media store {url}: does not exist yet, `serve` will create it"));
    }
    if let Some((used, max_bytes)) = store.fullness()
        && used >= max_bytes / 5 * 4
    {
        let what = format!(
            "{} of media.max_bytes ({}) are used: when it is full, events with large files wait in the spool",
            size(used),
            size(max_bytes)
        );
        report.warn(CheckPart::Media, &what, Some("delete the files that no reader needs"));
    }
    match store.probe().await {
        Ok(()) => report.ok(CheckPart::Media, &format!("media store {url}: a file was written and deleted")),
        Err(unfit @ Unfit::Delete(_)) => {
            let what = format!("media store {url}: {unfit}; harmless, since `serve` never deletes");
            report.warn(CheckPart::Media, &what, None);
        }
        Err(unfit) if store.folder().is_some() => {
            report.fail(CheckPart::Media, &format!("media store {url}: {unfit}"), None);
        }
        Err(unfit) => report.down(CheckPart::Media, &format!("media store {url}: {unfit}")),
    }
}

/// Kafka says of a certificate that has ended no more than that it does not like it; senders say it to nobody.
fn certificates(settings: &Settings, report: &mut Report) {
    const KEY: &str = "ssl.certificate.location";
    if let Some(file) = settings.kafka.properties.get(KEY) {
        certificate(&format!("kafka.properties.{KEY}"), Path::new(file.expose()), report);
    }
    if let Some(tls) = &settings.http.tls {
        match Identity::read(tls) {
            Ok(_) => certificate("http.tls.certificate_file", &tls.certificate_file, report),
            Err(error) => error.faults().iter().for_each(|fault| report.fault(CheckLevel::Fail, fault)),
        }
    }
}

/// How long each certificate of a file is still valid.
fn certificate(key: &str, file: &Path, report: &mut Report) {
    let read = std::fs::read(file).map_err(|e| e.to_string());
    let certificates = read.and_then(|pem| X509::stack_from_pem(&pem).map_err(|e| e.to_string()));
    let (certificates, now, soon) =
        match (certificates, Asn1Time::days_from_now(0), Asn1Time::days_from_now(CERTIFICATE_WARNING_DAYS)) {
            (Ok(certificates), Ok(now), Ok(soon)) => (certificates, now, soon),
            (Err(words), ..) => return report.fail(CheckPart::Certificates, &format!("{key}: {words}"), None),
            (_, Err(error), _) | (.., Err(error)) => {
                return report.fail(CheckPart::Certificates, &format!("{key}: {error}"), None);
            }
        };
    for certificate in certificates {
        let name = certificate.subject_name().entries().last().and_then(|entry| entry.data().to_string().ok());
        let name = name.map_or_else(String::new, |name| format!(" CN = {name}"));
        let end = certificate.not_after();
        if end < now {
            report.fail(
                CheckPart::Certificates,
                &format!("{key}: the certificate{name} expired on {end}"),
                Some("replace it"),
            );
        } else if end < soon {
            report.warn(
                CheckPart::Certificates,
                &format!("{key}: the certificate{name} expires soon, on {end}"),
                Some("replace it"),
            );
        } else {
            report.ok(CheckPart::Certificates, &format!("{key}: the certificate{name} is valid until {end}"));
        }
    }
}

async fn kafka(settings: &Settings, publisher: &Publisher, report: &mut Report) {
    let servers = &settings.kafka.bootstrap_servers;
    let view = match publisher.look(false).await {
        Ok(view) => view,
        Err(error) => return report.down(CheckPart::Kafka, &plain_words::at(servers, &error.to_string())),
    };
    report.ok(CheckPart::Kafka, &format!("kafka {servers}"));
    let missing: Vec<_> = view.topics.iter().filter(|topic| topic.partitions.is_none()).collect();
    for TopicState { name, error, .. } in &missing {
        if let Some(words) = error {
            report.fail(CheckPart::Topics, &format!("topic {name}: {words}"), None);
        } else if settings.kafka.create_topics {
            report.ok(CheckPart::Topics, &format!("topic {name}: does not exist yet, `serve` will create it"));
        } else {
            report.fail(
                CheckPart::Topics,
                &format!("topic {name}: missing, and kafka.create_topics is false"),
                Some("create it"),
            );
        }
    }
    let there = format!("topics: {} of {} exist", view.topics.len() - missing.len(), view.topics.len());
    report.ok(CheckPart::Topics, &there);
    let to_be_made = settings.kafka.create_topics.then_some(settings.kafka.partitions);
    if let Some(words) = view.uneven(to_be_made) {
        report.fail(CheckPart::Topics, &words, None);
    }
    partitions(publisher, &view, report).await;
    topic_configs(publisher, &view, report).await;
}

/// Kafka may be there, and still not take what belongs to some partitions.
async fn partitions(publisher: &Publisher, view: &View, report: &mut Report) {
    for topic in publisher.watch().degraded(view).await {
        for words in topic.findings() {
            report.fail(CheckPart::Topics, &words, None);
        }
        if let Some(words) = topic.warning() {
            report.warn(CheckPart::Topics, &words, None);
        }
    }
}

/// A topic that somebody made by hand may be too small for a body, or forget after a week.
async fn topic_configs(publisher: &Publisher, view: &View, report: &mut Report) {
    let differing = match publisher.differing_configs(view).await {
        Ok(differing) => differing,
        Err(error) => {
            return report.warn(CheckPart::Topics, &format!("topics: cannot read their configuration: {error}"), None);
        }
    };
    for Differing { topic, key, is, due } in differing {
        let what = format!("topic {topic}: {key} is {is}, expected {due}");
        report.fail(CheckPart::Topics, &what, Some("set it with kafka-configs"));
    }
    match publisher.one_replica(view).await {
        Err(error) => report.warn(CheckPart::Topics, &format!("topics: cannot read their replicas: {error}"), None),
        Ok(Some(OneReplica { words, mendable: true })) => report.fail(CheckPart::Topics, &words, None),
        // With so few brokers, Kafka cannot do better.
        Ok(Some(OneReplica { words, mendable: false })) => report.warn(CheckPart::Topics, &words, None),
        Ok(None) => {}
    }
}

async fn schemas(settings: &Settings, registry: &Registry, report: &mut Report) {
    let url = &settings.registry.url;
    let reports = match registry.reports().await {
        Ok(reports) => reports,
        Err(error) => return report.down(CheckPart::Registry, &error.at(url)),
    };
    report.ok(CheckPart::Registry, &format!("registry {url}"));
    if let Some(words) = low_levels(url, &reports) {
        report.warn(CheckPart::Schemas, &words, None);
    }
    let (mut registered, mut new) = (0, 0);
    for SubjectReport { subject, status, conflicts, .. } in &reports {
        let against = match status {
            SubjectStatus::Refused(reasons) => reasons,
            SubjectStatus::Registered(_) => conflicts,
            SubjectStatus::New | SubjectStatus::Compatible => &Vec::new(),
        };
        registered += usize::from(matches!(status, SubjectStatus::Registered(_)));
        new += usize::from(matches!(status, SubjectStatus::New | SubjectStatus::Compatible));
        for reason in against {
            report.fail(CheckPart::Schemas, &format!("subject {}: {reason}", subject.name), None);
        }
    }
    report.ok(CheckPart::Schemas, &format!("schemas: {registered} registered, {new} new"));
}

/// Kafka refuses records that are from more than an hour ahead of its own clock. It does not tell that clock; the registry does.
async fn clock(registry: &Registry, report: &mut Report) {
    let Some(told) = registry.time().await else { return };
    let ahead = time::now_millis() - told;
    if ahead.abs() > CLOCK_TOLERANCE {
        let how = if ahead > 0 { "ahead of" } else { "behind" };
        let what = format!("clock: this machine's clock is {} {how} the registry's", span(ahead.abs()));
        report.fail(CheckPart::Clock, &what, Some("synchronise it with NTP"));
    }
}

/// A collector takes no spans at all as it takes some.
async fn spans(collector: &Collector, report: &mut Report) {
    let url = collector.url();
    match collector.take(Bytes::new()).await {
        Ok(_) => report.ok(CheckPart::Tracing, &format!("collector {url}")),
        Err(NotCollected::Now(words)) => report.down(CheckPart::Tracing, &format!("collector {url}: {words}")),
        Err(NotCollected::Ever(words)) => report.fail(CheckPart::Tracing, &format!("collector {url}: {words}"), None),
    }
}
