//! The schemas' ids: from the registry, or from what it said last time.
//!
//! ```text
//! pass:  look up every subject ─▶ compare the missing ones with all their versions ─▶ register them ─▶ ids, also to disk
//!        (lookup mode: only look, for a version that is equal)
//! ```
//!
//! Nothing waits for the first pass but events of types whose id is not known. A schema without a known id that is
//! refused then, here or by the registry, when it is compared or when it is to be registered, stops the program. Later passes run every `registry.verify_interval`, since a registry can be
//! replaced by one with other ids: a refusal then marks its type and leaves the others alone, and so it does in the first
//! pass where the id is known from before. While the registry cannot be reached, ids known from before are used.

mod cache;
mod canonical;
mod client;
mod error;
mod standing;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::stream::{self, Stream, StreamExt as _, TryStreamExt as _};
use serde::Serialize;
use tokio::sync::{Notify, oneshot};

use crate::config::{ConfigError, RegistryMode, RegistrySettings};
use crate::kafka::route::Subject;
use crate::values::time::now_millis;
use cache::Cache;
pub(crate) use client::Client;
pub(crate) use client::SchemaReader;
use error::RegistryError;
pub(crate) use error::{ClientError, NoSchema, RegistryUnavailable};
pub(crate) use standing::SubjectStatus;
use standing::{conflicts, standing};

/// How many requests are under way at once.
const CONCURRENCY: usize = 8;
/// First wait after a failed pass; doubled each time up to [`LONGEST_RETRY`] or [`URGENT_RETRY`].
const FIRST_RETRY: Duration = Duration::from_secs(1);
/// The longest wait while an id is not known: events wait for it.
const URGENT_RETRY: Duration = Duration::from_secs(2);
/// The longest wait otherwise, if `verify_interval` is no shorter: a registry that comes back may have other ids.
const LONGEST_RETRY: Duration = Duration::from_secs(5);

/// What is said of the registry until it was asked for the first time.
pub(crate) const NOT_ASKED: &str = "not connected yet";

/// A schema that does not go with what its subject has, or that the registry does not want.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct RefusedSchema {
    pub(crate) subject: String,
    pub(crate) reasons: String,
}

/// An id that is another than before.
struct ChangedId {
    subject: String,
    before: u32,
    now: u32,
}

/// The level at which a registry lets in what we promise, and nothing else.
pub(crate) const PROMISED_LEVEL: &str = "FULL_TRANSITIVE";

/// How a subject stands, looked at more closely than a start needs.
pub(crate) struct SubjectReport {
    pub(crate) subject: Arc<Subject>,
    pub(crate) status: SubjectStatus,
    /// What stands between a registered schema and other versions of its subject, a sentence each.
    pub(crate) conflicts: Vec<String>,
    /// The registry's own level of compatibility, where it says.
    pub(crate) level: Option<String>,
}

impl SubjectReport {
    /// The level, if it lets in less than we promise.
    pub(crate) fn low_level(&self) -> Option<&str> {
        self.level.as_deref().filter(|level| *level != PROMISED_LEVEL)
    }
}

/// What a look at all subjects came to.
struct PassOutcome {
    refusals: Vec<RefusedSchema>,
    /// Whether a start ends with that: it is the first look, and one of them has no id from before.
    stops: bool,
}

struct RegistryState {
    unavailable: Option<String>,
    refusals: Vec<RefusedSchema>,
}

impl RegistryState {
    fn not_asked() -> RegistryState {
        RegistryState { unavailable: Some(NOT_ASKED.into()), refusals: Vec::new() }
    }
}

/// All subjects and their ids.
pub(crate) struct Registry {
    client: Arc<ArcSwap<Client>>,
    cache: Cache,
    mode: RegistryMode,
    verify_interval: Duration,
    subjects: Vec<Arc<Subject>>,
    state: Mutex<RegistryState>,
    /// To be asked at once: another client is in force, or ids are to be verified.
    now: Notify,
    /// Who waits for a pass that begins from now on.
    waiting: Mutex<Vec<oneshot::Sender<()>>>,
    changed: Mutex<ChangedIds>,
}

/// Ids that turned out to be others than before, since the start.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ChangedIds {
    pub(crate) count: u64,
    /// When that was seen last, in milliseconds since 1970.
    pub(crate) at: i64,
}

impl Registry {
    /// Prepares the client and gives the subjects the ids that were known last time.
    ///
    /// # Errors
    /// When `registry.ca_file` cannot be used.
    pub(crate) fn new(
        settings: &RegistrySettings,
        cache_dir: &std::path::Path,
        subjects: Vec<Arc<Subject>>,
    ) -> Result<Registry, ConfigError> {
        Registry::with(Cache::open(cache_dir, &settings.url), settings, subjects)
    }

    /// For tools: nothing is known from before, and nothing is kept.
    ///
    /// # Errors
    /// When `registry.ca_file` cannot be used.
    pub(crate) fn without_cache(
        settings: &RegistrySettings,
        subjects: Vec<Arc<Subject>>,
    ) -> Result<Registry, ConfigError> {
        Registry::with(Cache::none(&settings.url), settings, subjects)
    }

    fn with(cache: Cache, settings: &RegistrySettings, subjects: Vec<Arc<Subject>>) -> Result<Registry, ConfigError> {
        for subject in &subjects {
            subject.set_id(cache.id(subject));
        }
        Ok(Registry {
            client: Arc::new(ArcSwap::from_pointee(Client::new(settings)?)),
            cache,
            mode: settings.mode,
            verify_interval: settings.verify_interval,
            subjects,
            state: Mutex::new(RegistryState::not_asked()),
            now: Notify::new(),
            waiting: Mutex::default(),
            changed: Mutex::default(),
        })
    }

    /// How many subjects have an id, and how many there are.
    #[must_use]
    pub(crate) fn known(&self) -> (usize, usize) {
        (self.subjects.iter().filter(|s| s.id().is_some()).count(), self.subjects.len())
    }

    /// Why the registry cannot be reached, if so.
    #[must_use]
    pub(crate) fn trouble(&self) -> Option<String> {
        self.state.lock().ok()?.unavailable.clone()
    }

    /// The schemas that are refused.
    #[must_use]
    pub(crate) fn refusals(&self) -> Vec<RefusedSchema> {
        self.state.lock().map(|state| state.refusals.clone()).unwrap_or_default()
    }

    /// The first pass. It is no error when the registry cannot be reached.
    ///
    /// # Errors
    /// The reasons for every schema that is refused, when the id of one of them is not known from before. Nothing was
    /// written then, but for the others where the registry refuses no sooner than a schema is to be registered.
    pub(crate) async fn start(&self) -> Result<(), Vec<RefusedSchema>> {
        match self.pass(true).await {
            Ok(PassOutcome { refusals, .. }) if refusals.is_empty() => {
                tracing::info!(subjects = self.subjects.len(), "schema ids verified with the registry");
                Ok(())
            }
            Ok(PassOutcome { refusals, stops: true }) => Err(refusals),
            Ok(PassOutcome { refusals, .. }) => {
                report(&refusals);
                Ok(())
            }
            Err(error) => {
                let (known, all) = self.known();
                tracing::warn!(known, all, reason = %error, "the registry is unavailable; using the cached schema ids until it is back");
                Ok(())
            }
        }
    }

    /// Takes over the ids of what is registered, and what is refused; writes nothing.
    ///
    /// # Errors
    /// When the registry cannot be used.
    pub(crate) async fn look(&self) -> Result<(), RegistryUnavailable> {
        for (subject, standing) in self.standings().await? {
            match standing {
                SubjectStatus::Registered(id) => _ = learn(&subject, id),
                SubjectStatus::New | SubjectStatus::Compatible => {}
                SubjectStatus::Refused(_) => subject.set_refused(true),
            }
        }
        Ok(())
    }

    /// A client as `settings` has it, once the registry has answered it. While it does not answer the one in force either, there
    /// is nothing to be seen, and it may be what mends it.
    ///
    /// # Errors
    /// When `registry.ca_file` cannot be used, or the registry does not take the client.
    pub(crate) async fn prepare(&self, settings: &RegistrySettings) -> Result<Client, ClientError> {
        let client = Client::new(settings)?;
        if self.trouble().is_none()
            && let Some(subject) = self.subjects.first()
            && let Err(RegistryError::Unavailable(error)) = standing(&client, self.mode, subject).await
        {
            return Err(ClientError::NoAnswer(error));
        }
        Ok(client)
    }

    /// The time by the registry's clock, in milliseconds since 1970, give or take a second; `None` when it does not say.
    pub(crate) async fn time(&self) -> Option<i64> {
        self.client.load_full().time().await
    }

    /// Reads schemas with the client in force.
    pub(crate) fn reader(&self) -> SchemaReader {
        SchemaReader::with(&self.client)
    }

    /// Asks with this client from here on, at once.
    pub(crate) fn replace(&self, client: Client) {
        self.client.store(client.into());
        self.now.notify_one();
    }

    /// The registry may be replaced from here on: no id is used until [`Registry::verify_ids`].
    pub(crate) fn doubt_ids(&self) {
        self.subjects.iter().for_each(|subject| subject.set_doubted(true));
    }

    /// Has [`Registry::keep`] ask the registry whether the ids are still right. If it does not answer, they are used as they are.
    pub(crate) async fn verify_ids(&self) {
        let (tell, told) = oneshot::channel();
        self.waiting().push(tell);
        self.now.notify_one();
        // It is told, unless nobody keeps the ids any more.
        let _ = told.await;
        self.subjects.iter().for_each(|subject| subject.set_doubted(false));
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<oneshot::Sender<()>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the ids that are known may be used.
    pub(crate) fn are_ids_verified(&self) -> bool {
        !self.subjects.iter().any(|subject| subject.is_doubted())
    }

    /// Ids that turned out to be others than before, since the start.
    pub(crate) fn changed_ids(&self) -> ChangedIds {
        *self.changed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note_changed(&self, changed: &[ChangedId]) {
        if !changed.is_empty() {
            let mut noted = self.changed.lock().unwrap_or_else(PoisonError::into_inner);
            *noted = ChangedIds { count: noted.count + changed.len() as u64, at: now_millis() };
            drop(noted);
            report_changed(changed);
        }
    }

    /// Verifies the ids from time to time, until the task is dropped.
    pub(crate) async fn keep(&self) {
        self.warn_of_its_level().await;
        let mut retry = FIRST_RETRY;
        loop {
            let away = self.trouble().is_some();
            let wait = if away { retry } else { self.verify_interval };
            let _ = tokio::time::timeout(wait, self.now.notified()).await;
            let (before, waiting) = (self.refusals(), std::mem::take(&mut *self.waiting()));
            let outcome = self.pass(false).await;
            // Whoever does not wait any more needs no answer.
            for tell in waiting {
                let _ = tell.send(());
            }
            match outcome {
                Ok(PassOutcome { refusals, .. }) => {
                    if away {
                        tracing::info!("the registry is available again; schema ids verified");
                    }
                    report(refusals.iter().filter(|refusal| !before.contains(refusal)));
                    retry = FIRST_RETRY;
                }
                Err(error) => {
                    if !away {
                        tracing::warn!(reason = %error, "the registry is unavailable; the known schema ids stay in use");
                    }
                    let (known, all) = self.known();
                    let longest = if known < all { URGENT_RETRY } else { LONGEST_RETRY.min(self.verify_interval) };
                    retry = (retry * 2).min(longest.max(FIRST_RETRY));
                }
            }
        }
    }

    /// Our own check does not keep others from registering what breaks readers.
    async fn warn_of_its_level(&self) {
        if let Some(level) = self.client.load_full().level(None).await.filter(|level| level != PROMISED_LEVEL) {
            let promised = PROMISED_LEVEL;
            tracing::warn!(
                level,
                promised,
                "the registry lets in schemas that break readers: set its compatibility level"
            );
        }
    }

    /// Looks at every subject, and in register mode registers what is missing and welcome. In the `first` pass, one
    /// refusal of a schema without a known id is enough for nothing to be written.
    async fn pass(&self, first: bool) -> Result<PassOutcome, RegistryUnavailable> {
        let outcome = self.try_pass(first).await;
        if let Ok(mut state) = self.state.lock() {
            state.unavailable = outcome.as_ref().err().map(ToString::to_string);
            if let Ok(PassOutcome { refusals, .. }) = &outcome {
                state.refusals.clone_from(refusals);
            }
        }
        outcome
    }

    async fn try_pass(&self, first: bool) -> Result<PassOutcome, RegistryUnavailable> {
        let standings = self.standings().await?;
        let (mut refusals, mut new, mut changed, mut stops) = (Vec::new(), Vec::new(), Vec::new(), false);
        for (subject, standing) in standings {
            match standing {
                SubjectStatus::Registered(id) => changed.extend(learn(&subject, id)),
                SubjectStatus::New | SubjectStatus::Compatible => new.push(subject),
                SubjectStatus::Refused(reasons) => {
                    stops |= first && subject.id().is_none();
                    let reasons = client::clip(reasons.join("; "));
                    refusals.push(RefusedSchema { subject: subject.name.clone(), reasons });
                }
            }
        }
        if stops {
            return Ok(PassOutcome { refusals, stops });
        }
        let registered = stream::iter(new).map(|subject| async move {
            let id = self.client.load_full().register(&subject).await;
            (subject, id)
        });
        let registered: Vec<_> = registered.buffer_unordered(CONCURRENCY).collect().await;
        let mut unavailable = None;
        for (subject, id) in registered {
            match id {
                Ok(id) => changed.extend(learn(&subject, id)),
                Err(RegistryError::Refused { subject: name, reasons }) => {
                    stops |= first && subject.id().is_none();
                    refusals.push(RefusedSchema { subject: name, reasons });
                }
                Err(RegistryError::Unavailable(error)) => unavailable = Some(error),
            }
        }
        self.note_changed(&changed);
        for subject in &self.subjects {
            let refused = refusals.iter().any(|r| r.subject == subject.name);
            subject.set_refused(refused);
            if refused {
                // An id from before belongs to a registry that is no more.
                subject.set_id(None);
            }
        }
        self.cache.store(&self.subjects);
        match unavailable {
            Some(error) if !stops => Err(error),
            _ => Ok(PassOutcome { refusals, stops }),
        }
    }

    /// What the registry would do with each subject; writes nothing.
    ///
    /// # Errors
    /// When the registry cannot be used.
    pub(crate) async fn standings(&self) -> Result<Vec<(Arc<Subject>, SubjectStatus)>, RegistryUnavailable> {
        let looks = stream::iter(self.subjects.clone().into_iter().enumerate()).map(|(place, subject)| async move {
            let standing = match standing(&self.client.load_full(), self.mode, &subject).await {
                Err(RegistryError::Refused { reasons, .. }) => Ok(SubjectStatus::Refused(vec![reasons])),
                Err(RegistryError::Unavailable(error)) => Err(error),
                Ok(standing) => Ok(standing),
            };
            standing.map(|standing| (place, (subject, standing)))
        });
        in_order(looks.buffer_unordered(CONCURRENCY)).await
    }

    /// How each subject stands, with the registry's levels and what stands between registered versions; writes nothing.
    ///
    /// # Errors
    /// When the registry cannot be used.
    pub(crate) async fn reports(&self) -> Result<Vec<SubjectReport>, RegistryUnavailable> {
        let standings = self.standings().await?;
        let client = &self.client.load_full();
        let general = &client.level(None).await;
        let reports = stream::iter(standings.into_iter().enumerate()).map(|(place, (subject, status))| async move {
            let level = match status {
                SubjectStatus::New => None,
                _ => client.level(Some(&subject)).await,
            };
            let conflicts = match status {
                SubjectStatus::Registered(id) => conflicts(client, &subject, id).await,
                _ => Ok(Vec::new()),
            };
            let level = level.or_else(|| general.clone());
            match conflicts {
                Ok(conflicts) => Ok((place, SubjectReport { subject, status, conflicts, level })),
                Err(RegistryError::Unavailable(error)) => Err(error),
                Err(refused @ RegistryError::Refused { .. }) => Err(RegistryUnavailable(refused.to_string())),
            }
        });
        in_order(reports.buffer_unordered(CONCURRENCY)).await
    }
}

/// What all of them give, by their places; or the first error that comes: an answer that does not come hides it from nobody.
async fn in_order<T>(
    answers: impl Stream<Item = Result<(usize, T), RegistryUnavailable>>,
) -> Result<Vec<T>, RegistryUnavailable> {
    let placed: BTreeMap<_, _> = answers.try_collect().await?;
    Ok(placed.into_values().collect())
}

/// Says what is refused.
fn report<'a>(refusals: impl IntoIterator<Item = &'a RefusedSchema>) {
    for RefusedSchema { subject, reasons } in refusals {
        tracing::error!(subject, reasons, "a schema is refused; events of this type wait in the spool");
    }
}

/// Says that ids are others than before: the registry was replaced, or restored.
fn report_changed(changed: &[ChangedId]) {
    if let Some(ChangedId { subject, before, now }) = changed.first() {
        tracing::warn!(
            schemas = changed.len(),
            subject,
            before,
            now,
            "the registry has other ids for schemas than before, and they are used from now on; records written before \
             name ids that it may not know"
        );
    }
}

/// Takes over what the registry said; gives what it had before, if that is another id.
fn learn(subject: &Subject, now: u32) -> Option<ChangedId> {
    let before = subject.id();
    subject.set_id(Some(now));
    let before = before.filter(|before| *before != now)?;
    Some(ChangedId { subject: subject.name.clone(), before, now })
}
