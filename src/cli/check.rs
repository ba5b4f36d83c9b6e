//! `hookbridge check`: looks at everything, says all it finds, and leaves everything as it was.

use std::path::Path;

use bytes::Bytes;
use openssl::asn1::Asn1Time;
use openssl::x509::X509;
use rustix::fs::Access;

use super::levels::low_levels;
use super::{Ending, fail_config, on_runtime, print};
use crate::config::{self, Settings};
use crate::http::Identity;
use crate::kafka::publish::{Differing, OneReplica, Publisher, TopicState, View, span};
use crate::kafka::registry::{Registry, SubjectReport, SubjectStatus};
use crate::kafka::route::Routes;
use crate::media::{self, Unfit};
use crate::observe::traces::{Collector, NotCollected};
use crate::spool::{self, SpoolStore};
use crate::values::time;

/// A certificate that ends before so many days have passed is warned of.
const CERTIFICATE_WARNING_DAYS: u32 = 14;

/// Clocks that differ by more, in milliseconds, are a finding.
const CLOCK_TOLERANCE: i64 = 2 * 60 * 1000;

/// What came up so far.
#[derive(Default)]
struct Report {
    findings: usize,
    unavailable: usize,
}

/// Prints a line.
fn say(line: &str) {
    print(&format!("{line}\n"));
}

fn well(what: &str) {
    say(&format!("ok     {what}"));
}

fn warn(what: &str) {
    say(&format!("warn   {what}"));
}

impl Report {
    fn finding(&mut self, what: &str) {
        self.findings += 1;
        say(&format!("FAIL   {what}"));
    }

    fn unavailable(&mut self, what: &str) {
        self.unavailable += 1;
        say(&format!("DOWN   {what}"));
    }

    fn verdict(&self) -> Ending {
        match (self.unavailable, self.findings) {
            (0, 0) => {
                say("all well");
                Ending::Well
            }
            (0, findings) => {
                say(&format!("{findings} finding(s)"));
                Ending::Findings
            }
            (unavailable, findings) => {
                say(&format!("{unavailable} not available, {findings} finding(s)"));
                Ending::Unavailable
            }
        }
    }
}

pub(super) fn run(file: &Path) -> Ending {
    let settings = match config::load(file) {
        Ok(settings) => settings,
        Err(error) => return fail_config(&error),
    };
    on_runtime(check(&settings, file)).unwrap_or_else(|ending| ending)
}

async fn check(settings: &Settings, file: &Path) -> Ending {
    let routes = Routes::plan(settings);
    let publisher = match Publisher::new(settings, &routes) {
        Ok(publisher) => publisher,
        Err(error) => return fail_config(&error),
    };
    let registry = match Registry::new(&settings.registry, &settings.data_dir, routes.subjects.clone()) {
        Ok(registry) => registry,
        Err(error) => return fail_config(&error),
    };
    let media = match media::Store::new(&settings.media) {
        Ok(media) => media,
        Err(error) => return fail_config(&error),
    };
    let collector = match settings.tracing.as_ref().map(Collector::new).transpose() {
        Ok(collector) => collector,
        Err(error) => return fail_config(&error),
    };
    let mut report = Report::default();
    let sources = settings.sources.keys().cloned().collect::<Vec<_>>().join(", ");
    well(&format!("configuration {}: sources {sources}", file.display()));
    for warning in &routes.warnings {
        warn(warning);
    }
    data_dir(settings, &mut report);
    spool(settings, &mut report);
    if settings.sources.values().any(|source| source.profile.has_media()) {
        media_store(settings, &media, &mut report).await;
    }
    certificates(settings, &mut report);
    kafka(settings, &publisher, &mut report).await;
    schemas(settings, &registry, &mut report).await;
    clock(&registry, &mut report).await;
    if let Some(collector) = collector {
        spans(&collector, &mut report).await;
    }
    report.verdict()
}

fn data_dir(settings: &Settings, report: &mut Report) {
    let dir = &settings.data_dir;
    match std::fs::metadata(dir) {
        Ok(found) if !found.is_dir() => report.finding(&format!("data_dir {}: not a directory", dir.display())),
        Ok(_) if rustix::fs::access(dir, Access::WRITE_OK).is_err() => {
            report.finding(&format!("data_dir {}: not writable by this user", dir.display()));
        }
        Ok(_) => well(&format!("data_dir {}", dir.display())),
        Err(_) => well(&format!("data_dir {}: does not exist yet, `serve` will create it", dir.display())),
    }
}

fn spool(settings: &Settings, report: &mut Report) {
    let dir = &settings.data_dir;
    if let Some(words) = spool::scarce(dir, settings.spool.min_free_bytes) {
        report.finding(&format!("spool: {words}"));
    }
    match SpoolStore::look(dir).and_then(|store| store.map_or(Ok(Vec::new()), |store| store.waiting())) {
        Ok(waiting) => {
            let (records, bytes) = waiting.iter().fold((0, 0), |(r, b), w| (r + w.records, b + w.bytes));
            well(&format!("spool: {records} deliveries waiting, {bytes} bytes"));
        }
        Err(error) => report.finding(&format!("spool {}: {error}", dir.display())),
    }
    for file in spool::put_aside(dir) {
        warn(&format!(
            "spool: {} was damaged and put aside; the .txt file beside it lists what is lost",
            file.display()
        ));
    }
}

/// The one thing that is changed: a small object is written and deleted again, since nothing else tells.
async fn media_store(settings: &Settings, store: &media::Store, report: &mut Report) {
    let url = store.url();
    let (inline, record) = (store.inline_max_bytes, settings.kafka.max_record_bytes);
    if inline.div_ceil(3).saturating_mul(4) > record {
        warn(&format!(
            "media.inline_max_bytes is {inline}: in base64 such a file is larger than kafka.max_record_bytes ({record}), and \
             its event becomes a dead letter: lower the first or raise the second"
        ));
    }
    if store.folder().is_some_and(|folder| !folder.exists()) {
        return well(&format!("media store {url}: does not exist yet, `serve` will create it"));
    }
    if let Some((used, max_bytes)) = store.fullness()
        && used >= max_bytes / 5 * 4
    {
        warn(&format!(
            "{used} of media.max_bytes ({max_bytes}) are used: when it is full, events with large files wait in the spool"
        ));
    }
    match store.probe().await {
        Ok(()) => well(&format!("media store {url}: a file was written and deleted")),
        Err(unfit @ Unfit::Delete(_)) => {
            warn(&format!("media store {url}: {unfit}; harmless, since `serve` never deletes"));
        }
        Err(unfit) if store.folder().is_some() => report.finding(&format!("media store {url}: {unfit}")),
        Err(unfit) => report.unavailable(&format!("media store {url}: {unfit}")),
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
            Err(error) => report.finding(&error.to_string()),
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
            (Err(words), ..) => return report.finding(&format!("{key}: {words}")),
            (_, Err(error), _) | (.., Err(error)) => return report.finding(&format!("{key}: {error}")),
        };
    for certificate in certificates {
        let name = certificate.subject_name().entries().last().and_then(|entry| entry.data().to_string().ok());
        let name = name.map_or_else(String::new, |name| format!(" CN = {name}"));
        let end = certificate.not_after();
        if end < now {
            report.finding(&format!("{key}: the certificate{name} expired on {end}: replace it"));
        } else if end < soon {
            warn(&format!("{key}: the certificate{name} expires soon, on {end}"));
        } else {
            well(&format!("{key}: the certificate{name} is valid until {end}"));
        }
    }
}

async fn kafka(settings: &Settings, publisher: &Publisher, report: &mut Report) {
    let servers = &settings.kafka.bootstrap_servers;
    let view = match publisher.look(false).await {
        Ok(view) => view,
        Err(error) => return report.unavailable(&format!("kafka {servers}: {error}")),
    };
    well(&format!("kafka {servers}"));
    let missing: Vec<_> = view.topics.iter().filter(|topic| topic.partitions.is_none()).collect();
    for TopicState { name, error, .. } in &missing {
        if let Some(words) = error {
            report.finding(&format!("topic {name}: {words}"));
        } else if settings.kafka.create_topics {
            well(&format!("topic {name}: does not exist yet, `serve` will create it"));
        } else {
            report.finding(&format!("topic {name}: missing, and kafka.create_topics is false: create it"));
        }
    }
    well(&format!("topics: {} of {} exist", view.topics.len() - missing.len(), view.topics.len()));
    let to_be_made = settings.kafka.create_topics.then_some(settings.kafka.partitions);
    if let Some(words) = view.uneven(to_be_made) {
        report.finding(&words);
    }
    partitions(publisher, &view, report).await;
    topic_configs(publisher, &view, report).await;
}

/// Kafka may be there, and still not take what belongs to some partitions.
async fn partitions(publisher: &Publisher, view: &View, report: &mut Report) {
    for topic in publisher.watch().degraded(view).await {
        for words in topic.findings() {
            report.finding(&words);
        }
        if let Some(words) = topic.warning() {
            warn(&words);
        }
    }
}

/// A topic that somebody made by hand may be too small for a body, or forget after a week.
async fn topic_configs(publisher: &Publisher, view: &View, report: &mut Report) {
    let differing = match publisher.differing_configs(view).await {
        Ok(differing) => differing,
        Err(error) => return warn(&format!("topics: cannot read their configuration: {error}")),
    };
    for Differing { topic, key, is, due } in differing {
        report.finding(&format!("topic {topic}: {key} is {is}, expected {due}: set it with kafka-configs"));
    }
    match publisher.one_replica(view).await {
        Err(error) => warn(&format!("topics: cannot read their replicas: {error}")),
        Ok(Some(OneReplica { words, mendable: true })) => report.finding(&words),
        // With so few brokers, Kafka cannot do better.
        Ok(Some(OneReplica { words, mendable: false })) => warn(&words),
        Ok(None) => {}
    }
}

async fn schemas(settings: &Settings, registry: &Registry, report: &mut Report) {
    let url = &settings.registry.url;
    let reports = match registry.reports().await {
        Ok(reports) => reports,
        Err(error) => return report.unavailable(&format!("registry {url}: {error}")),
    };
    well(&format!("registry {url}"));
    if let Some(words) = low_levels(url, &reports) {
        warn(&words);
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
            report.finding(&format!("subject {}: {reason}", subject.name));
        }
    }
    well(&format!("schemas: {registered} registered, {new} new"));
}

/// Kafka refuses records that are from more than an hour ahead of its own clock. It does not tell that clock; the registry does.
async fn clock(registry: &Registry, report: &mut Report) {
    let Some(told) = registry.time().await else { return };
    let ahead = time::now_millis() - told;
    if ahead.abs() > CLOCK_TOLERANCE {
        let how = if ahead > 0 { "ahead of" } else { "behind" };
        report.finding(&format!(
            "clock: this machine's clock is {} {how} the registry's: synchronise it with NTP",
            span(ahead.abs())
        ));
    }
}

/// A collector takes no spans at all as it takes some.
async fn spans(collector: &Collector, report: &mut Report) {
    let url = collector.url();
    match collector.take(Bytes::new()).await {
        Ok(_) => well(&format!("collector {url}")),
        Err(NotCollected::Now(words)) => report.unavailable(&format!("collector {url}: {words}")),
        Err(NotCollected::Ever(words)) => report.finding(&format!("collector {url}: {words}")),
    }
}
