//! The schemas' ids: from the registry, or from what it said last time.
//!
//! ```text
//! pass:  look up every subject ─▶ check the missing ones' compatibility ─▶ register them ─▶ ids, also to disk
//!        (lookup mode: only look, for a version that is equal)
//! ```
//!
//! Nothing waits for the first pass but events of types whose id is not known. A schema without a known id that the
//! registry refuses then stops the program. Later passes run every `registry.verify_interval`, since a registry can be
//! replaced by one with other ids: a refusal then marks its type and leaves the others alone, and so it does in the first
//! pass where the id is known from before. While the registry cannot be reached, ids known from before are used.

mod cache;
mod client;
mod error;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::stream::{self, StreamExt as _};
use serde::Serialize;
use tokio::sync::Notify;

use crate::config::{ConfigError, RegistryMode, RegistrySettings};
use crate::kafka::route::Subject;
use cache::Cache;
pub(crate) use client::Client;
pub(crate) use client::SchemaReader;
use client::Search;
use error::RegistryError;
pub(crate) use error::{ClientError, NoSchema, RegistryUnavailable};

/// How many requests are under way at once.
const CONCURRENCY: usize = 8;
/// First wait after a failed pass; doubled each time up to `verify_interval`, or up to [`URGENT_RETRY`].
const FIRST_RETRY: Duration = Duration::from_secs(1);
/// The longest wait while an id is not known: events wait for it.
const URGENT_RETRY: Duration = Duration::from_secs(2);

/// A schema the registry refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct RefusedSchema {
    pub(crate) subject: String,
    pub(crate) reasons: String,
}

/// What the registry would do with a subject's schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SubjectStatus {
    /// It is there, with this id.
    Registered(u32),
    /// The subject is not there.
    New,
    /// The subject is there, and this schema goes with what it has.
    Compatible,
    Refused(String),
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
    client: ArcSwap<Client>,
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
            client: ArcSwap::from_pointee(Client::new(settings)?),
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

    /// The schemas it refuses.
    #[must_use]
    pub(crate) fn refusals(&self) -> Vec<RefusedSchema> {
        self.state.lock().map(|state| state.refusals.clone()).unwrap_or_default()
    }

    /// The first pass. It is no error when the registry cannot be reached.
    ///
    /// # Errors
    /// The registry's own reasons for every schema it refuses, when the id of one of them is not known from before.
    /// Nothing was written then.
    pub(crate) async fn start(&self) -> Result<(), Vec<RefusedSchema>> {
        match self.pass(true).await {
            Ok(refusals) if refusals.is_empty() => {
                tracing::info!(subjects = self.subjects.len(), "schema ids verified with the registry");
                Ok(())
            }
            Ok(refusals) if self.marked(&refusals) => {
                report(&refusals);
                Ok(())
            }
            Ok(refusals) => Err(self.explain(refusals).await),
            Err(error) => {
                let (known, all) = self.known();
                tracing::warn!(known, all, reason = %error, "the registry is unavailable; using the cached schema ids until it is back");
                Ok(())
            }
        }
    }

    /// Some registries give their reasons only when they refuse to register. What they called incompatible they do
    /// refuse, so nothing is written.
    async fn explain(&self, mut refusals: Vec<RefusedSchema>) -> Vec<RefusedSchema> {
        for refusal in refusals.iter_mut().filter(|r| r.reasons == client::NO_REASONS) {
            let Some(subject) = self.subjects.iter().find(|s| s.name == refusal.subject) else { continue };
            if let Err(RegistryError::Refused { reasons, .. }) = self.client.load_full().register(subject).await {
                refusal.reasons = reasons;
            }
        }
        refusals
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

    /// Asks with this client from here on, at once.
    pub(crate) fn replace(&self, client: Client) {
        self.client.store(client.into());
        self.replaced.notify_one();
    }

    /// Verifies the ids from time to time, until the task is dropped.
    pub(crate) async fn keep(&self) {
        let mut retry = FIRST_RETRY;
        loop {
            let away = self.trouble().is_some();
            let wait = if away { retry } else { self.verify_interval };
            let _ = tokio::time::timeout(wait, self.replaced.notified()).await;
            let before = self.refusals();
            match self.pass(false).await {
                Ok(refusals) => {
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

    /// Whether all refused subjects are marked as such.
    fn marked(&self, refusals: &[RefusedSchema]) -> bool {
        let refused = |name: &str| self.subjects.iter().any(|subject| subject.name == name && subject.is_refused());
        refusals.iter().all(|refusal| refused(&refusal.subject))
    }

    /// Looks at every subject, and in register mode registers what is missing and welcome. In the `first` pass, one
    /// refusal of a schema without a known id is enough for nothing to be written.
    async fn pass(&self, first: bool) -> Result<Vec<RefusedSchema>, RegistryUnavailable> {
        let outcome = self.try_pass(first).await;
        if let Ok(mut state) = self.state.lock() {
            state.unavailable = outcome.as_ref().err().map(ToString::to_string);
            if let Ok(refusals) = &outcome {
                state.refusals.clone_from(refusals);
            }
        }
        outcome
    }

    async fn try_pass(&self, first: bool) -> Result<Vec<RefusedSchema>, RegistryUnavailable> {
        let standings = self.standings().await?;
        let (mut refusals, mut new, mut stops) = (Vec::new(), Vec::new(), false);
        for (subject, standing) in standings {
            match standing {
                SubjectStatus::Registered(id) => learn(&subject, id),
                SubjectStatus::New | SubjectStatus::Compatible => new.push(subject),
                SubjectStatus::Refused(reasons) => {
                    stops |= first && subject.id().is_none();
                    refusals.push(RefusedSchema { subject: subject.name.clone(), reasons });
                }
            }
        }
        if stops {
            return Ok(refusals);
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
                Err(RegistryError::Refused { subject, reasons }) => refusals.push(RefusedSchema { subject, reasons }),
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
        unavailable.map_or(Ok(refusals), Err)
    }

    /// What the registry would do with each subject; writes nothing.
    ///
    /// # Errors
    /// When the registry cannot be used.
    pub(crate) async fn standings(&self) -> Result<Vec<(Arc<Subject>, SubjectStatus)>, RegistryUnavailable> {
        let looks = stream::iter(self.subjects.clone()).map(|subject| async move {
            let standing = match standing(&self.client.load_full(), self.mode, &subject).await {
                Err(RegistryError::Refused { reasons, .. }) => Ok(SubjectStatus::Refused(reasons)),
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
}

async fn standing(client: &Client, mode: RegistryMode, subject: &Subject) -> Result<SubjectStatus, RegistryError> {
    if mode == RegistryMode::Lookup {
        return Ok(match client.equal_version(subject).await? {
            Some(id) => SubjectStatus::Registered(id),
            None => SubjectStatus::Refused(
                "no registered version equals this schema, and registry.mode \"lookup\" registers none".into(),
            ),
        });
    }
    match client.find(subject).await? {
        Search::Found(id) => return Ok(SubjectStatus::Registered(id)),
        Search::NoSubject => return Ok(SubjectStatus::New),
        Search::NoSchema => {}
    }
    let reasons = client.incompatibilities(subject).await?;
    Ok(reasons.map_or(SubjectStatus::Compatible, SubjectStatus::Refused))
}

/// Says what the registry refuses.
fn report<'a>(refusals: impl IntoIterator<Item = &'a RefusedSchema>) {
    for RefusedSchema { subject, reasons } in refusals {
        tracing::error!(subject, reasons, "the registry refuses a schema; events of this type wait in the spool");
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
