//! What an operator sees of refused requests: counters by source and reason, a line of the log now and then, and the newest of each
//! source. The sender sees nothing of it.
//!
//! Strangers decide how many there are. So a source and a reason have a line at once, and then one at most every
//! [`INTERVAL`], which says how many requests it stands for: over all lines that is the count. And nothing here is made of a request's bytes: what names no source counts for
//! [`NO_SOURCE`].

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use prometheus::{Error, IntCounter};
use tokio::time::sleep;

use super::make::Make;
use super::tallies::SeriesValue;
use crate::config::Settings;
use crate::outcome::Refusal;

/// The source of requests that name none of the configuration. No source can be called that.
pub(crate) const NO_SOURCE: &str = "(none)";

/// The module whose lines of the log are those of refusals.
pub(crate) const LOGS_AS: &str = module_path!();

/// Between two lines of the log about one source and reason.
const INTERVAL: Duration = Duration::from_secs(10);
/// How often is looked for lines that became due while nothing more was refused.
const LOOK: Duration = Duration::from_secs(2);

/// The newest request of a source that was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NewestRefusal {
    /// Milliseconds since 1970.
    pub(crate) at: i64,
    /// The status of its answer.
    pub(crate) status: u16,
    pub(crate) refusal: Refusal,
}

/// All sources' refusals.
pub(crate) struct Refusals {
    sources: BTreeMap<String, SourceRefusals>,
}

/// Those of one source.
struct SourceRefusals {
    /// By reason, as [`Refusal::ALL`] has them.
    reasons: Vec<ReasonCount>,
    newest: Mutex<Option<NewestRefusal>>,
}

struct ReasonCount {
    refused: IntCounter,
    /// Those answered with 401 alone; only where the reason is one of them.
    unauthorized: Option<IntCounter>,
    pace: Mutex<LogPace>,
}

/// When the next line may be written.
#[derive(Debug, Default)]
struct LogPace {
    logged: Option<Instant>,
    /// Refusals since that line, and the status of the last of them.
    held_back: u64,
    status: u16,
}

impl LogPace {
    fn note(&mut self, status: u16) {
        self.held_back += 1;
        self.status = status;
    }

    /// How many refusals a line now would stand for, and their status; `None` if there are none, or it is too early.
    fn due(&mut self, now: Instant) -> Option<(u64, u16)> {
        let early = self.logged.is_some_and(|logged| now.saturating_duration_since(logged) < INTERVAL);
        if self.held_back == 0 || early {
            return None;
        }
        self.logged = Some(now);
        self.rest()
    }

    /// How many refusals no line stands for yet, and their status; `None` if there are none.
    fn rest(&mut self) -> Option<(u64, u16)> {
        let held_back = std::mem::take(&mut self.held_back);
        (held_back > 0).then_some((held_back, self.status))
    }
}

impl Refusals {
    pub(super) fn new(make: &Make<'_>, settings: &Settings) -> Result<Refusals, Error> {
        let help = "Requests that were refused, by source and reason; the source is (none) where the path names none.";
        let refused = make.counter("refused_total", help, &["source", "reason"])?;
        let help =
            "Those of hookbridge_refused_total that were answered 401: missing, malformed, wrong, stale, several.";
        let unauthorized = make.counter("unauthorized_total", help, &["source", "reason"])?;
        let of = |source: &str| {
            let reasons = Refusal::ALL.iter().map(|refusal| {
                let labels = [source, refusal.reason()];
                ReasonCount {
                    refused: refused.with_label_values(&labels),
                    unauthorized: (refusal.is_unauthorized() && source != NO_SOURCE)
                        .then(|| unauthorized.with_label_values(&labels)),
                    pace: Mutex::default(),
                }
            });
            (source.to_owned(), SourceRefusals { reasons: reasons.collect(), newest: Mutex::default() })
        };
        let sources = settings.sources.keys().map(String::as_str).chain([NO_SOURCE]);
        Ok(Refusals { sources: sources.map(of).collect() })
    }

    /// A request was refused with `status` at `at` (milliseconds since 1970). `source` is the configured one that it was for.
    pub(crate) fn note(&self, source: Option<&str>, refusal: Refusal, status: u16, at: i64) {
        let Some((source, of)) = self.sources.get_key_value(source.unwrap_or(NO_SOURCE)) else { return };
        let counted = &of.reasons[refusal as usize];
        counted.refused.inc();
        counted.unauthorized.iter().for_each(IntCounter::inc);
        *locked(&of.newest) = Some(NewestRefusal { at, status, refusal });
        let due = {
            let mut pace = locked(&counted.pace);
            pace.note(status);
            pace.due(Instant::now())
        };
        if let Some((requests, status)) = due {
            log(source, refusal, status, requests);
        }
    }

    /// Writes the lines of what was held back once they are due, whether or not more is refused.
    pub(crate) async fn keep_log(&self) {
        loop {
            sleep(LOOK).await;
            self.log_held_back(|pace| pace.due(Instant::now()));
        }
    }

    /// Writes the lines of all that was held back: nobody will later.
    pub(crate) fn log_rest(&self) {
        self.log_held_back(LogPace::rest);
    }

    fn log_held_back(&self, which: impl Fn(&mut LogPace) -> Option<(u64, u16)>) {
        for (source, of) in &self.sources {
            for (refusal, counted) in Refusal::ALL.iter().zip(&of.reasons) {
                let due = which(&mut locked(&counted.pace));
                if let Some((requests, status)) = due {
                    log(source, *refusal, status, requests);
                }
            }
        }
    }

    /// How many there were, by source and reason.
    pub(super) fn tally(&self) -> Vec<SeriesValue<2>> {
        let of = |(source, refusals): (&String, &SourceRefusals)| {
            let reasons = Refusal::ALL.iter().zip(&refusals.reasons);
            let tally = |(refusal, counted): (&Refusal, &ReasonCount)| {
                ([source.clone(), refusal.reason().to_owned()], counted.refused.get())
            };
            reasons.map(tally).collect::<Vec<_>>()
        };
        self.sources.iter().flat_map(of).collect()
    }

    /// The newest refusal of each source that has had one since the start, by the source's name, or `(none)`.
    pub(crate) fn newest(&self) -> impl Iterator<Item = (&str, NewestRefusal)> {
        self.sources.iter().filter_map(|(source, of)| Some((source.as_str(), (*locked(&of.newest))?)))
    }
}

fn locked<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A stranger who knocks somewhere is nothing to warn of; a sender that is not let in is.
fn log(source: &str, refusal: Refusal, status: u16, requests: u64) {
    let (reason, advice) = (refusal.reason(), refusal.advice());
    if source == NO_SOURCE {
        tracing::info!(source, reason, status, requests, "refused: {advice}");
    } else {
        tracing::warn!(source, reason, status, requests, "refused: {advice}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_has_a_line_at_once_and_those_after_it_one_together() {
        let mut pace = LogPace::default();
        let began = Instant::now();
        assert_eq!(pace.due(began), None, "nothing was refused");
        let mut lines = Vec::new();
        // A thousand a second, for 25 s.
        for millisecond in 0..25_000 {
            pace.note(401);
            lines.extend(pace.due(began + Duration::from_millis(millisecond)));
        }
        assert_eq!(lines, [(1, 401), (10_000, 401), (10_000, 401)]);
        let later = began + 2 * INTERVAL;
        assert_eq!(pace.due(later + INTERVAL), Some((4999, 401)), "those held back are not forgotten");
        assert_eq!(pace.due(later + 2 * INTERVAL), None);
        pace.note(503);
        assert_eq!((pace.rest(), pace.rest()), (Some((1, 503)), None));
    }
}
