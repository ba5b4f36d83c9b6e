//! Logs: one line per fact, on standard error; text on a terminal, JSON otherwise. Never a body, never a secret.
//!
//! A thread of its own writes them. Nothing waits for whoever reads the log, and nothing fails because nobody does: a line
//! that cannot be written (a full disk, a closed pipe, a reader that sleeps) is dropped and counted.

use std::borrow::Cow;
use std::io::{self, IsTerminal as _, Stderr, Write};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use anstream::{AutoStream, ColorChoice};
use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::fmt;

use crate::config::{Format, Logging};
use crate::values::printable;

/// Lines that wait for the writer at the most; a line has some hundred bytes.
const LINES: usize = 8192;

/// Lines that standard error did not take.
static UNWRITTEN: AtomicU64 = AtomicU64::new(0);
/// Counts the lines that found no place in the queue.
static CROWDED_OUT: OnceLock<ErrorCounter> = OnceLock::new();

/// What a line is made of, and so what may stand in it.
#[derive(Clone, Copy)]
enum LineFormat {
    Json,
    Text,
    /// Text for a terminal.
    Coloured,
}

impl LineFormat {
    /// `line` on one line, without what a terminal would act on: it may quote what a sender or a server wrote.
    fn printable(self, line: &str) -> Cow<'_, str> {
        match self {
            LineFormat::Json => printable::json(line),
            LineFormat::Text => printable::line(line),
            LineFormat::Coloured => printable::coloured(line),
        }
    }
}

/// Standard error, which takes what it can, a line at a time.
struct Lines(Stderr, LineFormat);

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let words = String::from_utf8_lossy(line);
        let printed = self.1.printable(words.strip_suffix('\n').unwrap_or(&words));
        if self.0.write_all(format!("{printed}\n").as_bytes()).is_err() {
            UNWRITTEN.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// How many log lines were dropped since the start.
pub(crate) fn dropped_lines() -> u64 {
    let crowded_out = CROWDED_OUT.get().map_or(0, ErrorCounter::dropped_lines);
    UNWRITTEN.load(Ordering::Relaxed) + crowded_out as u64
}

/// Writes what is still to be written when it is dropped, for about a second at the most.
pub(crate) struct Logs(#[expect(dead_code, reason = "it is there to be dropped")] WorkerGuard);

/// Starts logging, until what it gives is dropped; a second call changes nothing.
#[must_use]
pub(crate) fn init(logging: Logging) -> Logs {
    let terminal = io::stderr().is_terminal();
    // By NO_COLOR and TERM a terminal may be one that is to have none.
    let colours = AutoStream::choice(&io::stderr()) != ColorChoice::Never;
    let made = match logging.format {
        Format::Auto | Format::Text if terminal && colours => LineFormat::Coloured,
        Format::Auto if terminal => LineFormat::Text,
        Format::Text => LineFormat::Text,
        Format::Auto | Format::Json => LineFormat::Json,
    };
    let builder = NonBlockingBuilder::default().lossy(true).buffered_lines_limit(LINES).thread_name("log");
    let (writer, guard) = builder.finish(Lines(io::stderr(), made));
    let _ = CROWDED_OUT.set(writer.error_counter());
    let builder = fmt().with_env_filter(logging.filter).with_writer(writer).with_target(false);
    // It would be told on standard error, too.
    let builder = builder.log_internal_errors(false);
    // An error means that logging is set up already, which is what was wanted.
    let _ = match made {
        LineFormat::Json => {
            builder.json().flatten_event(true).with_current_span(false).with_span_list(false).try_init()
        }
        LineFormat::Text => builder.with_ansi(false).try_init(),
        LineFormat::Coloured => builder.with_ansi(true).try_init(),
    };
    Logs(guard)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_line_and_says_what_others_wrote() {
        let sent = "a\u{9b}2J\u{202e}\nWARN forged";
        assert_eq!(LineFormat::Text.printable(sent), "a\\u{9b}2J\\u{202e}\\nWARN forged");
        assert_eq!(LineFormat::Coloured.printable(sent), "a\\u{9b}2J\\u{202e}\\nWARN forged");
        let json = serde_json::json!({ "reason": sent }).to_string();
        assert_eq!(LineFormat::Json.printable(&json), "{\"reason\":\"a\\u009b2J\\u202e\\nWARN forged\"}");
    }
}
