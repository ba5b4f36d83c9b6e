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

use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use serde::Serialize;
use tokio::sync::Notify;

use crate::config::{ConfigError, RegistryMode, RegistrySettings};
use crate::kafka::route::Subject;
use cache::Cache;
pub(crate) use client::Client;
pub(crate) use client::SchemaReader;
use error::RegistryError;
pub(crate) use error::{ClientError, NoSchema, RegistryUnavailable};
pub(crate) use standing::SubjectStatus;
use standing::{conflicts, standing};

/// How many requests are under way at once.
const CONCURRENCY: usize = 8;
/// First wait after a failed pass; doubled each time up to `verify_interval`, or up to [`URGENT_RETRY`].
const FIRST_RETRY: Duration = Duration::from_secs(1);
/// The longest wait while an id is not known: events wait for it.
const URGENT_RETRY: Duration = Duration::from_secs(2);

/// A schema that does not go with what its subject has, or that the registry does not want.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct RefusedSchema {
    pub(crate) subject: String,
    pub(crate) reasons: String,
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
        RegistryState { unavailable: Some("not connected yet".into()), refusals: Vec::new() }
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
    /// Another client is in force.
    replaced: Notify,
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
            replaced: Notify::new(),
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
                SubjectStatus::Registered(id) => learn(&subject, id),
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
        self.replaced.notify_one();
    }

    /// Verifies the ids from time to time, until the task is dropped.
    pub(crate) async fn keep(&self) {
        self.warn_of_its_level().await;
        let mut retry = FIRST_RETRY;
        loop {
            let away = self.trouble().is_some();
            let wait = if away { retry } else { self.verify_interval };
            let _ = tokio::time::timeout(wait, self.replaced.notified()).await;
            let before = self.refusals();
            match self.pass(false).await {
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
                    let longest = if known < all { URGENT_RETRY } else { self.verify_interval };
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
        let (mut refusals, mut new, mut stops) = (Vec::new(), Vec::new(), false);
        for (subject, standing) in standings {
            match standing {
                SubjectStatus::Registered(id) => learn(&subject, id),
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
                Ok(id) => learn(&subject, id),
                Err(RegistryError::Refused { subject: name, reasons }) => {
                    stops |= first && subject.id().is_none();
                    refusals.push(RefusedSchema { subject: name, reasons });
                }
                Err(RegistryError::Unavailable(error)) => unavailable = Some(error),
            }
        }
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
        let looks = stream::iter(self.subjects.clone()).map(|subject| async move {
            let standing = match standing(&self.client.load_full(), self.mode, &subject).await {
                Err(RegistryError::Refused { reasons, .. }) => Ok(SubjectStatus::Refused(vec![reasons])),
                Err(RegistryError::Unavailable(error)) => Err(error),
                Ok(standing) => Ok(standing),
            };
            standing.map(|standing| (subject, standing))
        });
        let mut looks = looks.buffered(CONCURRENCY);
        let mut standings = Vec::with_capacity(self.subjects.len());
        while let Some(standing) = looks.next().await {
            standings.push(standing?);
        }
        Ok(standings)
    }

    /// How each subject stands, with the registry's levels and what stands between registered versions; writes nothing.
    ///
    /// # Errors
    /// When the registry cannot be used.
    pub(crate) async fn reports(&self) -> Result<Vec<SubjectReport>, RegistryUnavailable> {
        let standings = self.standings().await?;
        let client = &self.client.load_full();
        let general = &client.level(None).await;
        let reports = stream::iter(standings).map(|(subject, status)| async move {
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
                Ok(conflicts) => Ok(SubjectReport { subject, status, conflicts, level }),
                Err(RegistryError::Unavailable(error)) => Err(error),
                Err(refused @ RegistryError::Refused { .. }) => Err(RegistryUnavailable(refused.to_string())),
            }
        });
        reports.buffered(CONCURRENCY).try_collect().await
    }
}

/// Says what is refused.
fn report<'a>(refusals: impl IntoIterator<Item = &'a RefusedSchema>) {
    for RefusedSchema { subject, reasons } in refusals {
        tracing::error!(subject, reasons, "a schema is refused; events of this type wait in the spool");
    }
}

/// Takes over what the registry said.
fn learn(subject: &Subject, id: u32) {
    match subject.id() {
        Some(before) if before != id => {
            tracing::warn!(
                subject = subject.name,
                before,
                now = id,
                "the registry has a different id for a schema than before; the new one is used"
            );
        }
        _ => {}
    }
    subject.set_id(Some(id));
}
