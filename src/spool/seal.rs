//! Tells a delivery that the disk has altered from one that it has not.
//!
//! An event's id covers its source and body (where several came together, a line among the headers does), and a line before its headers, the *seal*, covers these and what stands in other
//! columns. A version that does not know the line skips it, as no header has such a name. What an earlier version wrote has
//! none: then the id alone is checked.

use sha2::{Digest as _, Sha256};

use super::store::Row;
use crate::outcome::DEAD_LETTER_LINE;
use crate::source::verify::{PART_LINE, Part, event_id};

/// Begins the line: 16 hexadecimal digits follow, and the end of the line.
const SEAL: &[u8] = b":seal ";
const LINE: usize = SEAL.len() + 17;

/// The line that seals `headers`, which follow it up to the next such line.
pub(super) fn line(event_type: Option<&str>, received_at: i64, headers: &[u8]) -> Vec<u8> {
    let sum = Sha256::new()
        .chain_update(event_type.unwrap_or_default())
        .chain_update([0])
        .chain_update(received_at.to_be_bytes())
        .chain_update(headers)
        .finalize();
    let digits = base16ct::lower::encode_string(&sum[..8]);
    [SEAL, digits.as_bytes(), b"\n"].concat()
}

/// Whether a delivery is what was written.
pub(super) fn is_whole(row: &Row) -> bool {
    let is_its_id = Part::is_whole(&row.headers, &row.id, &row.body);
    is_its_id.unwrap_or_else(|| event_id(&row.source, &row.body) == row.id)
        && is_sealed(row.event_type.as_deref(), row.received_at, &row.headers)
}

/// Whether all seals in `headers` are right. One that was moved has two of them.
fn is_sealed(event_type: Option<&str>, received_at: i64, mut headers: &[u8]) -> bool {
    while headers.starts_with(SEAL) && headers.len() >= LINE {
        let (seal, rest) = headers.split_at(LINE);
        let end = next(rest).unwrap_or(rest.len());
        if line(event_type, received_at, &rest[..end]) != seal {
            return false;
        }
        headers = &rest[end..];
    }
    // A line that is none has a damaged seal in its place.
    let is_line = |line: &[u8]| {
        line.is_empty()
            || [DEAD_LETTER_LINE, PART_LINE].iter().any(|begin| line.starts_with(begin.as_bytes()))
            || line.windows(2).any(|w| w == b": ")
    };
    headers.split(|&byte| byte == b'\n').all(is_line)
}

/// Where the next line that is a seal begins. No value of a header can look like one: it does not begin a line.
fn next(headers: &[u8]) -> Option<usize> {
    if headers.starts_with(SEAL) {
        return Some(0);
    }
    let begins = |window: &[u8]| window[0] == b'\n' && &window[1..] == SEAL;
    headers.windows(SEAL.len() + 1).position(begins).map(|at| at + 1)
}

/// The same headers without seals.
pub(super) fn strip(headers: &mut Vec<u8>) {
    while let Some(at) = next(headers) {
        let end = headers.len().min(at + LINE);
        headers.drain(at..end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Alter = fn(&mut Row);

    fn sealed(headers: &[u8]) -> Row {
        let body = br#"{"n":1}"#.to_vec();
        Row {
            seq: 7,
            lane: "wegly.deal".into(),
            id: event_id("wegly", &body),
            source: "wegly".into(),
            event_type: Some("deal.won".into()),
            received_at: 1_780_401_600_000,
            bytes: 300,
            headers: [&line(Some("deal.won"), 1_780_401_600_000, headers), headers].concat(),
            body,
        }
    }

    #[test]
    fn whatever_is_altered_is_noticed() {
        let whole = sealed(b"content-type: application/json\nx-kept: a:seal 0123456789abcdef\n");
        assert!(is_whole(&whole));
        let altered: [(&str, Alter); 6] = [
            ("body", |row| row.body[3] ^= 1),
            ("id", |row| row.id.replace_range(0..1, "g")),
            ("source", |row| row.source = "wegly2".into()),
            ("type", |row| row.event_type = None),
            ("time", |row| row.received_at += 1),
            ("headers", |row| *row.headers.last_mut().unwrap() = b' '),
        ];
        for (what, alter) in altered {
            let mut row = whole.clone();
            alter(&mut row);
            assert!(!is_whole(&row), "{what}");
        }
    }

    #[test]
    fn one_that_was_moved_is_whole_and_reads_as_before() {
        let mut row = sealed(b"content-type: application/json\n");
        let verdict = b":dead_letter kafka_rejected too large\n";
        let before = [&line(Some("deal.won"), row.received_at, verdict), &verdict[..]].concat();
        row.headers.splice(0..0, before);
        assert!(is_whole(&row));
        let mut altered = row.clone();
        altered.headers[30] ^= 1;
        assert!(!is_whole(&altered));
        strip(&mut row.headers);
        assert_eq!(row.headers, b":dead_letter kafka_rejected too large\ncontent-type: application/json\n");
    }

    #[test]
    fn what_an_earlier_version_wrote_is_known_by_its_id() {
        let mut row = sealed(b"");
        row.headers = b"content-type: application/json\n".to_vec();
        assert!(is_whole(&row));
        row.body[0] = b'[';
        assert!(!is_whole(&row));
    }
}
