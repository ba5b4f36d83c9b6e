//! What the bridge would make of one request, worked out offline: nothing is connected to, and nothing is written.
//!
//! ```text
//! TrialRequest ─door─▶ Verified, or the answer (also to a handshake) ─▶ prepare ─▶ route ─▶ records, each decoded again
//!                 └ refused for its proof: the same, as if it had been let in
//! ```
//!
//! Each step is the flow's own, so what is shown here is what would be written.

mod cases;
mod door;
mod events;
mod kept;
mod report;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method};

use crate::config::{ConfigError, Settings};
use crate::kafka::route::Routes;
use crate::media::Store;
use crate::outcome::Accepted;
use crate::source::Source;
use crate::source::handshake;
use crate::source::verify::{Verified, event_id};

pub(crate) use cases::{CasesError, add_header, assume_json, read_cases};
use door::TurnedAway;
pub(crate) use report::Trial;
use report::{TrialAnswer, TrialProof, TriedEvent};

/// A request as its sender would make it.
pub(crate) struct TrialRequest {
    pub(crate) source: String,
    pub(crate) method: Method,
    pub(crate) headers: HeaderMap,
    /// What follows `/webhooks/{source}/` in its path.
    pub(crate) path: Option<String>,
    /// Without its `?`.
    pub(crate) query: Option<String>,
    pub(crate) body: Bytes,
    /// Whether it comes without a signature or token, and is taken as if it had the right one.
    pub(crate) unsigned: bool,
    /// Milliseconds since 1970.
    pub(crate) received_at: i64,
}

/// The bridge of a configuration, without its servers.
pub(crate) struct OfflineBridge {
    sources: BTreeMap<String, Arc<Source>>,
    routes: Routes,
    store: Store,
    max_record_bytes: usize,
    partitions: u32,
}

/// No source of the configuration has this name.
#[derive(Debug, thiserror::Error)]
#[error("unknown source {name}, expected one of {known}")]
pub(crate) struct NoSuchSource {
    name: String,
    known: String,
}

impl OfflineBridge {
    /// # Errors
    /// When the media store's options do not fit together.
    pub(crate) fn new(settings: &Settings) -> Result<OfflineBridge, ConfigError> {
        Ok(OfflineBridge {
            sources: settings.sources.clone(),
            routes: Routes::plan(settings),
            store: Store::new(&settings.media)?,
            max_record_bytes: settings.kafka.max_record_bytes,
            partitions: u32::try_from(settings.kafka.partitions).unwrap_or(1),
        })
    }

    /// What would become of `request`.
    ///
    /// # Errors
    /// When there is no such source.
    pub(crate) fn try_out(&self, request: TrialRequest) -> Result<Trial, NoSuchSource> {
        let Some(source) = self.sources.get(&request.source) else {
            let known = self.sources.keys().cloned().collect::<Vec<_>>().join(", ");
            return Err(NoSuchSource { name: request.source, known });
        };
        if let Some(asked) = door::handshake(source, &request) {
            return Ok(Trial::of_handshake(source, asked));
        }
        let (proof, delivery, refused) = match door::pass(source, &request) {
            Ok(delivery) if request.unsigned => (TrialProof::Unchecked, delivery, None),
            Ok(delivery) => (TrialProof::Right(door::what_proves(source, &request)), delivery, None),
            // What is said of the proof is of use, and so is what would have become of the rest.
            Err(TurnedAway { refusal, why, unproven: true }) => {
                (TrialProof::Wrong(why), as_if_let_in(source, &request), Some(TrialAnswer::Refused(refusal)))
            }
            Err(TurnedAway { refusal, why, unproven: false }) => {
                let answer = TrialAnswer::Refused(refusal);
                return Ok(Trial {
                    proof: TrialProof::NotReached(why),
                    answer,
                    events: Vec::new(),
                    ..Trial::of(source)
                });
            }
        };
        if let Some(answer) = handshake::answer_to_body(&delivery) {
            return Ok(match proof {
                TrialProof::Wrong(_) => {
                    Trial { proof, answer: refused.unwrap_or(TrialAnswer::Handshake), ..Trial::of(source) }
                }
                proof => Trial { proof, ..Trial::of_handshake(source, Ok(answer)) },
            });
        }
        let events = self.events(&delivery);
        let answer = refused.unwrap_or_else(|| TrialAnswer::Accepted(answer_to(&events)));
        Ok(Trial { proof, answer, events, ..Trial::of(source) })
    }
}

/// The delivery that a request without the right proof would have been. It goes nowhere.
fn as_if_let_in(source: &Arc<Source>, request: &TrialRequest) -> Verified {
    let id = event_id(&source.name, &request.body);
    let lines: Vec<u8> = request
        .headers
        .iter()
        .flat_map(|(name, value)| [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\n"].concat())
        .collect();
    Verified::kept(id, Arc::clone(source), &lines, request.body.clone(), request.received_at)
}

/// What the sender is answered, once Kafka has everything.
fn answer_to(events: &[TriedEvent]) -> Accepted {
    let of_event = |event: &TriedEvent| match &event.rejection {
        Some(why) => Accepted::DeadLettered(why.reason),
        None if event.ignored => Accepted::Ignored,
        None => Accepted::Published,
    };
    events.iter().map(of_event).reduce(Accepted::and).unwrap_or(Accepted::Ignored)
}
