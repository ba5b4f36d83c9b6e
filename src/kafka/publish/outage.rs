//! What the log says of an outage: one line when it begins, at most one a minute while it lasts, and one when it ends.
//! librdkafka's words for one and the same outage alternate.

use std::time::{Duration, Instant};

/// Between two lines while it lasts.
const INTERVAL: Duration = Duration::from_secs(60);

/// The present outage, if there is one.
#[derive(Debug, Default)]
pub(super) struct Outage(Option<Since>);

#[derive(Debug)]
struct Since {
    began: Instant,
    said: Instant,
}

/// What is worth a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    Begins,
    /// For so long so far.
    Lasts(Duration),
    /// After so long.
    Ended(Duration),
}

impl Outage {
    /// What is to be said once it is known whether all is well.
    pub(super) fn next(&mut self, out: bool, now: Instant) -> Option<News> {
        match (&mut self.0, out) {
            (None, false) => None,
            (None, true) => {
                self.0 = Some(Since { began: now, said: now });
                Some(News::Begins)
            }
            (Some(since), true) => {
                if now.saturating_duration_since(since.said) < INTERVAL {
                    return None;
                }
                since.said = now;
                Some(News::Lasts(now.saturating_duration_since(since.began)))
            }
            (Some(since), false) => {
                let time = now.saturating_duration_since(since.began);
                self.0 = None;
                Some(News::Ended(time))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_said_when_it_begins_once_a_minute_and_when_it_ends() {
        let (mut outage, start) = (Outage::default(), Instant::now());
        let second = |n| Duration::from_secs(n);
        assert_eq!(outage.next(false, start), None);
        for (at, out, news) in [
            (1, true, Some(News::Begins)),
            (2, true, None),
            (60, true, None),
            (61, true, Some(News::Lasts(second(60)))),
            (62, true, None),
            (130, true, Some(News::Lasts(second(129)))),
            (140, false, Some(News::Ended(second(139)))),
            (141, false, None),
            (142, true, Some(News::Begins)),
        ] {
            assert_eq!(outage.next(out, start + second(at)), news, "after {at} s");
        }
    }
}
