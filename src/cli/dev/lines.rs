//! The lines of `dev`: one for each request when it is answered, and one for each event where a delivery holds several. A thread of
//! its own writes them, so that no sender waits for whoever reads.

use std::io;
use std::io::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use anstream::{AutoStream, ColorChoice};
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};

use crate::outcome::{Accepted, EachAccepted, RequestEnd, RequestWatcher, SettledEvent, SettledRequest, WrittenAt};
use crate::values::printable;

/// Lines that wait for whoever reads them; more are dropped.
const WAITING: usize = 16_384;
/// How wide the columns begin: names of sources, and most types; keys are of one length or of another.
const WIDTHS: [usize; 3] = [7, 16, 0];
/// A column is no wider than this; what is longer moves the rest of its line. A UUID has 36 characters.
const WIDEST: usize = 36;
/// Characters of a key that are shown.
const KEY_SHOWN: usize = 80;
/// In place of what is not known.
const NOTHING: &str = "-";

/// Who is told of each request and writes its line to standard output. What is still to be written is when the guard is dropped.
pub(super) fn watch() -> (RequestWatcher, WorkerGuard) {
    let has_colours = AutoStream::choice(&io::stdout()) != ColorChoice::Never;
    let builder = NonBlockingBuilder::default().lossy(true).buffered_lines_limit(WAITING).thread_name("lines");
    let (writer, guard) = builder.finish(io::stdout());
    let table = Mutex::new((RequestTable { has_colours, widths: WIDTHS }, writer));
    let watcher = move |request: SettledRequest| {
        let mut table = table.lock().unwrap_or_else(PoisonError::into_inner);
        let (table, writer) = &mut *table;
        // Whoever closed the pipe does not want to know.
        let _ = writer.write_all(table.lines(&request).as_bytes());
    };
    (Arc::new(watcher), guard)
}

/// Columns that grow with what is in them: source, type, key.
struct RequestTable {
    has_colours: bool,
    widths: [usize; 3],
}

impl RequestTable {
    fn lines(&mut self, request: &SettledRequest) -> String {
        let (status, source) = (request.status.to_string(), request.source.as_deref().unwrap_or(NOTHING));
        match &request.end {
            RequestEnd::Refused(refusal) => {
                self.row(&status, source, &[], &format!("refused ({}): {}", refusal.reason(), refusal.advice()))
            }
            RequestEnd::Handshake => self.row(&status, source, &[], "handshake"),
            RequestEnd::Accepted(events, None) => {
                events.iter().map(|event| self.event(&status, source, event)).collect()
            }
            RequestEnd::Accepted(events, Some(each)) => {
                let head = self.row(&status, source, &[], &counts(*each));
                let events = events.iter().map(|event| self.event(" ", " ", event));
                [head].into_iter().chain(events).collect()
            }
        }
    }

    fn event(&mut self, status: &str, source: &str, event: &SettledEvent) -> String {
        let known = [&event.event_type, &event.key].map(|known| known.as_deref().unwrap_or(NOTHING));
        self.row(status, source, &known, &ending(event))
    }

    /// A line: status, source, further columns, and the rest.
    fn row(&mut self, status: &str, source: &str, columns: &[&str], rest: &str) -> String {
        let colour = match status.as_bytes().first() {
            _ if !self.has_colours => None,
            Some(b'2') if status == "200" => Some("32"),
            Some(b'2') => Some("33"),
            Some(b'4' | b'5') => Some("31"),
            _ => None,
        };
        let mut line = format!("{status:3}");
        if let Some(colour) = colour {
            line = format!("\x1b[{colour}m{line}\x1b[0m");
        }
        for (text, width) in [source].iter().chain(columns).zip(&mut self.widths) {
            let text = printable::line(text);
            let shown: String = text.chars().take(KEY_SHOWN).collect();
            *width = shown.chars().count().clamp(*width, WIDEST.max(*width));
            line += &format!("  {shown:width$}", width = *width);
        }
        format!("{line}  {rest}\n")
    }
}

/// What became of an event.
fn ending(event: &SettledEvent) -> String {
    let written =
        event.written.as_ref().map(|WrittenAt { topic, partition, offset }| format!("{topic}/{partition}@{offset}"));
    match (event.accepted, written) {
        (Accepted::Published, Some(written)) => written,
        (Accepted::DeadLettered(reason), Some(written)) => {
            format!("dead letter ({}): {written}; see: hookbridge dead-letters show {}", reason.code(), event.id)
        }
        (Accepted::DeadLettered(reason), None) => format!("dead letter ({}), in the spool", reason.code()),
        (Accepted::Spooled, _) => "in the spool: Kafka does not take it now".into(),
        (Accepted::Ignored, _) => "ignored: its profile does not want it".into(),
        (Accepted::Published, None) => Accepted::PUBLISHED.into(),
    }
}

/// How many events of a delivery were accepted how.
fn counts(each: EachAccepted) -> String {
    let (all, named): (u32, Vec<_>) = each.named().fold((0, Vec::new()), |(all, mut named), (name, count)| {
        named.push(format!("{count} {name}"));
        (all + count, named)
    });
    format!("{all} {}: {}", if all == 1 { "event" } else { "events" }, named.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::{Reason, Refusal};

    fn event(event_type: Option<&str>, key: Option<&str>, accepted: Accepted, at: Option<(&str, i64)>) -> SettledEvent {
        SettledEvent {
            id: "71a70497".to_owned(),
            part: 0,
            event_type: event_type.map(str::to_owned),
            key: key.map(str::to_owned),
            accepted,
            written: at.map(|(topic, offset)| WrittenAt { topic: topic.into(), partition: 4, offset }),
        }
    }

    fn request(source: Option<&str>, status: u16, end: RequestEnd) -> SettledRequest {
        SettledRequest { source: source.map(str::to_owned), status, end }
    }

    fn all() -> Vec<SettledRequest> {
        let published = event(Some("deal.won"), Some("f60ccb4a"), Accepted::Published, Some(("wegly.deal", 0)));
        let letter = Accepted::DeadLettered(Reason::UnknownType);
        let each = EachAccepted { published: 1, dead_lettered: 1, ignored: 2, ..EachAccepted::default() };
        let dead = event(None, None, letter, Some(("hookbridge.dead-letters", 7)));
        vec![
            request(Some("wegly"), 200, RequestEnd::Accepted(vec![published.clone()], None)),
            request(Some("whazing"), 202, RequestEnd::Accepted(vec![dead.clone()], None)),
            request(
                Some("wegly"),
                202,
                RequestEnd::Accepted(vec![event(Some("lead.lost"), Some("1"), Accepted::Spooled, None)], None),
            ),
            request(Some("wegly"), 200, RequestEnd::Accepted(vec![event(None, None, Accepted::Ignored, None)], None)),
            request(Some("meta"), 200, RequestEnd::Handshake),
            request(Some("meta"), 202, RequestEnd::Accepted(vec![published, dead], Some(each))),
            request(Some("wegly"), 401, RequestEnd::Refused(Refusal::Stale)),
            request(None, 404, RequestEnd::Refused(Refusal::UnknownSource)),
        ]
    }

    fn lines(has_colours: bool) -> String {
        let mut table = RequestTable { has_colours, widths: WIDTHS };
        all().iter().map(|request| table.lines(request)).collect()
    }

    #[test]
    fn each_request_has_a_line_that_stands_below_those_before_it() {
        let expected = "\
200  wegly    deal.won          f60ccb4a  wegly.deal/4@0
202  whazing  -                 -         dead letter (unknown_type): hookbridge.dead-letters/4@7; see: hookbridge dead-letters show 71a70497
202  wegly    lead.lost         1         in the spool: Kafka does not take it now
200  wegly    -                 -         ignored: its profile does not want it
200  meta     handshake
202  meta     4 events: 1 published, 1 dead_lettered, 2 ignored
              deal.won          f60ccb4a  wegly.deal/4@0
              -                 -         dead letter (unknown_type): hookbridge.dead-letters/4@7; see: hookbridge dead-letters show 71a70497
401  wegly    refused (stale): the signature is right, but its time is too far from now; compare the clocks; else somebody repeated the delivery
404  -        refused (unknown_source): the path names no source of the configuration; correct the address at the sender, or add the source
";
        assert_eq!(lines(false), expected);
    }

    #[test]
    fn the_status_has_a_colour_where_that_is_allowed() {
        let lines = lines(true);
        assert!(lines.starts_with("\u{1b}[32m200\u{1b}[0m  wegly    deal.won"), "{lines}");
        assert!(
            lines.contains("\u{1b}[33m202\u{1b}[0m  whazing") && lines.contains("\u{1b}[31m404\u{1b}[0m  -"),
            "{lines}"
        );
        assert!(!lines.contains("\u{1b}[32m   "), "{lines}");
    }

    #[test]
    fn a_key_does_nothing_to_a_terminal_and_does_not_fill_it() {
        let mut table = RequestTable { has_colours: false, widths: WIDTHS };
        let key = format!("a\u{1b}[2J{}", "x".repeat(1000));
        let event = event(Some("t"), Some(&key), Accepted::Published, Some(("wegly.deal", 0)));
        let line = table.lines(&request(Some("wegly"), 200, RequestEnd::Accepted(vec![event], None)));
        assert!(line.contains("a\\u{1b}[2Jxx") && line.chars().count() < 160 && line.lines().count() == 1, "{line}");
        assert_eq!(table.widths[2], WIDEST);
    }
}
