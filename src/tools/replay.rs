//! Dead letters through today's catalog again.
//!
//! ```text
//! places ─chunk─▶ bodies ─prepare─▶ chains ─┬─ one after the other ─▶ publish ─▶ mark
//!                                           └─ keys side by side ──▶ stays, with today's reason
//! ```
//!
//! The mark is written when Kafka has acknowledged the record: who is interrupted between the two publishes the event a
//! second time, with the same id, and loses nothing. Those of one key go in the order in which they were received.

mod order;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::blocking::off_the_hot_path;
use crate::convert::prepare::Prepared;
use crate::flow::drain::patience;
use crate::flow::pipeline::{NotTaken, Pipeline};
use crate::kafka::dead_letter::{self, HTTP};
use crate::kafka::publish::{Patience, PublishError};
use crate::outcome::Rejection;
use crate::source::Source;
use crate::source::verify::Verified;
use crate::tools::dead_letter_index::Letter;
use crate::tools::read::{PlaceReader, ReadError, ReadRecord};
use crate::values::time;
use order::chains;

/// At most so many dead letters are in memory at once,
const CHUNK: usize = 256;
/// and, but for the first, so many bytes of bodies: what one large body may take anyway.
const CHUNK_BYTES: usize = 16 << 20;

/// What became of a dead letter, or would become of it.
#[derive(Debug)]
pub(crate) enum Fate {
    /// In its topic, and marked.
    Published,
    /// Today's reason. It is the dead letter that it was.
    Stays(Rejection),
    /// Its source is not configured.
    NoSource,
    /// It is no longer in the topic.
    Gone,
    /// In a dry run: to this topic.
    WouldBePublished(Arc<str>),
    /// In a dry run: this subject's schema. Nothing would be replayed at all then.
    SchemaRefused(String),
}

/// Why replaying ends early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReplayError {
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Kafka, the registry or the media store does not take an event now.
    #[error("{0}")]
    Deferred(String),
    #[error("{error}; {id} is published, but not marked as replayed: a repeated replay publishes it again")]
    NotMarked { id: String, error: PublishError },
}

/// What replaying needs.
pub(crate) struct Replay<'a> {
    pub(crate) pipeline: Pipeline,
    pub(crate) places: PlaceReader<'a>,
    pub(crate) sources: &'a BTreeMap<String, Arc<Source>>,
    pub(crate) ack_timeout: Duration,
    /// Nothing is written.
    pub(crate) dry_run: bool,
    /// Latest topics are written too.
    pub(crate) latest: bool,
    /// Ends it: what is under way is finished, nothing new begun.
    pub(crate) stop: CancellationToken,
}

impl Replay<'_> {
    /// Replays `letters` in order, and tells each one's fate as it is known.
    ///
    /// # Errors
    /// When Kafka cannot be read or does not take a record now. What was told before has happened.
    pub(crate) async fn run(&self, mut letters: &[Letter], tell: &impl Fn(&Letter, &Fate)) -> Result<(), ReplayError> {
        while !letters.is_empty() && !self.stop.is_cancelled() {
            let (chunk, rest) = letters.split_at(chunk(letters));
            letters = rest;
            self.turn(chunk, tell).await?;
        }
        Ok(())
    }

    async fn turn(&self, letters: &[Letter], tell: &impl Fn(&Letter, &Fate)) -> Result<(), ReplayError> {
        let wanted = letters.iter().filter(|letter| self.sources.contains_key(&*letter.source));
        let bodies = tokio::task::block_in_place(|| self.places.read(wanted.map(|letter| letter.place)))?;
        let mut bodies: BTreeMap<_, _> = bodies.into_iter().map(|found| (found.place(), found)).collect();
        let mut deliveries = Vec::with_capacity(letters.len());
        for letter in letters {
            match (self.sources.get(&*letter.source), bodies.remove(&letter.place)) {
                (None, _) => tell(letter, &Fate::NoSource),
                (Some(_), None) => tell(letter, &Fate::Gone),
                (Some(source), Some(found)) => deliveries.push((letter, restore(letter, source, found))),
            }
        }
        if self.dry_run {
            for (letter, delivery) in &deliveries {
                tell(letter, &self.dry_run(self.prepare(delivery).await));
            }
            return Ok(());
        }
        let mut prepared = Vec::with_capacity(deliveries.len());
        for (letter, delivery) in &deliveries {
            prepared.push((letter, self.prepare(delivery).await));
        }
        // Should Kafka not take one, the others end as well: it is asked no more.
        let halt = self.stop.child_token();
        let mut chains: FuturesUnordered<_> = chains(prepared)
            .map(async |chain| {
                for (letter, prepared) in chain {
                    if halt.is_cancelled() {
                        break;
                    }
                    tell(letter, &self.one(prepared).await.inspect_err(|_| halt.cancel())?);
                }
                Ok(())
            })
            .collect();
        let mut ended = Ok(());
        while let Some(chain) = chains.next().await {
            ended = ended.and(chain);
        }
        ended
    }

    /// What is to be written of one: what is an entity's last state now, a dead letter of long ago does not know.
    async fn prepare<'a>(&self, delivery: &'a Verified) -> Prepared<'a> {
        let mut prepared = self.pipeline.prepare(delivery).await;
        if let Ok(made) = &mut prepared.made
            && !self.latest
        {
            made.parts.records.latest = None;
        }
        prepared
    }

    /// One dead letter: its records, then its mark.
    async fn one(&self, prepared: Prepared<'_>) -> Result<Fate, ReplayError> {
        let id = prepared.delivery.id().to_owned();
        let patience = patience(self.ack_timeout, prepared.delivery.body().len() as u64);
        match self.pipeline.publish(prepared, Instant::now() + patience).await {
            Ok(()) => {}
            Err(NotTaken::Ever(rejection)) => return Ok(Fate::Stays(rejection)),
            Err(NotTaken::Now(deferred)) => return Err(ReplayError::Deferred(deferred.why)),
        }
        let mark = dead_letter::mark(&self.pipeline.routes.dead_letters, id.clone(), time::now_millis());
        match self.pipeline.publisher.publish(mark, Patience::Command).report.await {
            Ok(_) => Ok(Fate::Published),
            Err(error) => Err(ReplayError::NotMarked { id, error }),
        }
    }

    fn dry_run(&self, prepared: Prepared<'_>) -> Fate {
        let bytes = prepared.delivery.body().len();
        match off_the_hot_path(bytes, || self.pipeline.dry_run(prepared)) {
            Ok(route) => match route.refused() {
                Some(subject) => Fate::SchemaRefused(subject.name.clone()),
                None => Fate::WouldBePublished(Arc::clone(&route.main.topic)),
            },
            Err(rejection) => Fate::Stays(rejection),
        }
    }
}

/// How many of `letters` are taken at once.
fn chunk(letters: &[Letter]) -> usize {
    let mut bytes = 0;
    let fit = letters.iter().take(CHUNK).take_while(|letter| {
        bytes += letter.bytes;
        bytes <= CHUNK_BYTES
    });
    fit.count().clamp(1, letters.len())
}

/// The delivery as it was taken in. Its id is the dead letter's: of a body that was redacted it could not be made again.
pub(crate) fn restore(letter: &Letter, source: &Arc<Source>, found: ReadRecord) -> Verified {
    let mut lines = Vec::new();
    for (name, value) in &found.headers {
        if let Some(name) = name.strip_prefix(HTTP) {
            lines.extend([name.as_bytes(), b": ", value, b"\n"].concat());
        }
    }
    let body = found.value.unwrap_or_default().into();
    Verified::kept(letter.id.to_string(), Arc::clone(source), &lines, body, letter.received_at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::read::RecordPlace;

    #[test]
    fn a_chunk_is_bounded_in_records_and_bytes_but_has_one_at_least() {
        let letter = |bytes| Letter {
            id: "d646e635-c932-82f7-81ca-e8e3c55c5e5f".parse().unwrap(),
            place: RecordPlace { partition: 0, offset: 0 },
            received_at: 0,
            reason: "".into(),
            source: "".into(),
            event_type: None,
            error: "".into(),
            bytes,
            copies: 1,
            replayed_at: None,
        };
        let of = |sizes: &[usize]| chunk(&sizes.iter().map(|&bytes| letter(bytes)).collect::<Vec<_>>());
        assert_eq!(of(&[1; 1000]), CHUNK);
        assert_eq!(of(&[1, 1, 1]), 3);
        assert_eq!(of(&[32 << 20, 1]), 1);
        assert_eq!(of(&[1, 16 << 20, 1]), 1);
        assert_eq!(of(&[8 << 20, 8 << 20, 1]), 2);
    }
}
