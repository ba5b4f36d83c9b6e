//! Dead letters through today's catalog again.
//!
//! ```text
//! places ─chunk─▶ bodies ─prepare─▶ chains ─┬─ one after the other ─▶ publish ─▶ mark
//!                                           └─ keys side by side ──▶ stays, with today's reason
//! ```
//!
//! The mark is written when Kafka has acknowledged the record: who is interrupted between the two publishes the event a
//! second time, with the same id, and loses nothing. Those of one key go in the order in which they were received.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::blocking::off_the_hot_path;
use crate::convert::prepare::Prepared;
use crate::convert::split::Several;
use crate::flow::chains::chains;
use crate::flow::drain::patience;
use crate::flow::pipeline::{NotTaken, Pipeline};
use crate::kafka::dead_letter::{self, HTTP};
use crate::kafka::part_headers;
use crate::kafka::publish::{Patience, PublishError};

use crate::outcome::{End, Rejection, Unwritten};
use crate::source::Source;
use crate::source::verify::{Part, Verified};
use crate::tools::dead_letter_index::Letter;
use crate::tools::read::{PlaceReader, ReadError, ReadRecord};
use crate::values::time;

/// At most so many dead letters are in memory at once,
const CHUNK: usize = 256;
/// and, but for the first, so many bytes of bodies: what one large body may take anyway.
const CHUNK_BYTES: usize = 16 << 20;

/// What became of a dead letter, or would become of it.
#[derive(Debug)]
pub(crate) enum Fate {
    /// In its topic, and marked.
    Published,
    /// Its profile says by now that nobody wants it: it is written nowhere, and marked.
    Ignored,
    /// Today's reason. It is the dead letter that it was.
    Stays(Rejection),
    /// Its source is not configured.
    NoSource,
    /// It is no longer in the topic.
    Gone,
    /// In a dry run: to this topic.
    WouldBePublished(Arc<str>),
    /// In a dry run: nobody wants it.
    WouldBeIgnored,
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
        if deliveries.iter().any(|(_, delivery)| !delivery.source().profile.split.is_empty()) {
            return self.turn_in_order(&deliveries, tell).await;
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

    /// The same where some may hold several events: one after the other, whatever their keys are.
    async fn turn_in_order(
        &self,
        deliveries: &[(&Letter, Verified)],
        tell: &impl Fn(&Letter, &Fate),
    ) -> Result<(), ReplayError> {
        for (letter, delivery) in deliveries {
            if self.stop.is_cancelled() {
                break;
            }
            let fate = match self.pipeline.split(delivery).await {
                Ok(Some(several)) => self.several(delivery, &several).await?,
                // What cannot be taken apart is found to stay.
                Ok(None) | Err(_) if self.dry_run => self.dry_run(self.prepare(delivery).await),
                Ok(None) | Err(_) => self.one(self.prepare(delivery).await).await?,
            };
            tell(letter, &fate);
        }
        Ok(())
    }

    /// A dead letter with several events: all of them, then its mark. While one cannot be converted, none is published.
    async fn several(&self, delivery: &Verified, several: &Several) -> Result<Fate, ReplayError> {
        let mut first = None;
        for part in several.deliveries(delivery) {
            let place = part.part().map_or(0, |part| part.place);
            match self.dry_run(self.prepare(&part).await) {
                Fate::Stays(Rejection { reason, error }) => {
                    return Ok(Fate::Stays(Rejection { reason, error: format!("event {place}: {error}") }));
                }
                Fate::WouldBePublished(topic) => first = first.or(Some(topic)),
                Fate::WouldBeIgnored => {}
                fate => return Ok(fate),
            }
        }
        if self.dry_run {
            return Ok(first.map_or(Fate::WouldBeIgnored, Fate::WouldBePublished));
        }
        for part in several.deliveries(delivery) {
            if let Some(fate) = self.publish(self.prepare(&part).await).await?.err() {
                return Ok(fate);
            }
        }
        let end = if first.is_some() { End::Published } else { End::Ignored };
        self.mark(delivery.id().to_owned(), end).await
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
        match self.publish(prepared).await? {
            Ok(end) => self.mark(id, end).await,
            Err(fate) => Ok(fate),
        }
    }

    /// The records of one; or that it stays.
    async fn publish(&self, prepared: Prepared<'_>) -> Result<Result<End, Fate>, ReplayError> {
        let patience = patience(self.ack_timeout, prepared.delivery.body().len() as u64);
        match self.pipeline.publish(prepared, Instant::now() + patience).await {
            Ok(end) => Ok(Ok(end)),
            Err(NotTaken::Ever(rejection)) => Ok(Err(Fate::Stays(rejection))),
            Err(NotTaken::Now(deferred)) => Err(ReplayError::Deferred(deferred.why)),
        }
    }

    async fn mark(&self, id: String, end: End) -> Result<Fate, ReplayError> {
        let mark = dead_letter::mark(&self.pipeline.routes.dead_letters, id.clone(), time::now_millis(), end);
        match self.pipeline.publisher.publish(mark, Patience::Command).report.await {
            Ok(_) => Ok(if end == End::Ignored { Fate::Ignored } else { Fate::Published }),
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
            Err(Unwritten::Ignored) => Fate::WouldBeIgnored,
            Err(Unwritten::Rejected(rejection)) => Fate::Stays(rejection),
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

/// The delivery as it was taken in. Its id is the dead letter's: of a body that was redacted it could not be made again. One of
/// several events that came together stays that.
pub(crate) fn restore(letter: &Letter, source: &Arc<Source>, found: ReadRecord) -> Verified {
    let part = part_of(&found);
    let mut lines = Vec::new();
    for (name, value) in &found.headers {
        if let Some(name) = name.strip_prefix(HTTP) {
            lines.extend([name.as_bytes(), b": ", value, b"\n"].concat());
        }
    }
    let body = found.value.unwrap_or_default().into();
    Verified::kept(letter.id.to_string(), Arc::clone(source), &lines, body, letter.received_at).with_part(part)
}

/// Which of several events that came together a record is of.
pub(crate) fn part_of(found: &ReadRecord) -> Option<Part> {
    part_headers::read(|name| found.header(name))
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
