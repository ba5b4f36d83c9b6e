//! The rows that a damaged file still holds, found page by page.
//!
//! ```text
//! leaf of the table    0x0d … cells, each: bytes, seq, record (the columns of a delivery), the rest of it in other pages
//! page of the index    0x0a or 0x02 … cells, each: bytes, record (lane, seq, source, type, received_at, bytes)
//! ```
//!
//! The index says what there was, and so what is lost. A row counts only if its id and its seal are right. The formats are those
//! of <https://www.sqlite.org/fileformat2.html>.

use std::collections::HashSet;
use std::io;

use super::pages::{PAGE, Pages, be16, be32};
use super::store::Row;
use super::{ROW_BYTES, seal};

const TABLE_LEAF: u8 = 0x0d;
const INDEX_LEAF: u8 = 0x0a;
const INDEX_BRANCH: u8 = 0x02;
/// Bytes of a cell's record that are in its own page: of a table's at most the first number, of an index's the second.
const MOST_OF_ROW: usize = PAGE - 35;
const MOST_OF_ENTRY: usize = (PAGE - 12) * 64 / 255 - 23;
/// So many at least, where the rest is elsewhere.
const LEAST: usize = (PAGE - 12) * 32 / 255 - 23;
/// Bytes of a record that one page holds which has nothing else.
const PER_PAGE: usize = PAGE - 4;
/// No delivery is larger, by far.
const LARGEST: usize = 512 << 20;

/// What a page holds.
pub(super) enum FoundRow {
    /// A delivery as it was written.
    Whole(Row),
    /// One that is not, or of which a part is gone; by its number.
    Damaged(i64),
    /// What the index says of one.
    Listed(Row),
}

/// Hands all that is in `pages` to `each`, in no order.
///
/// # Errors
/// When a page cannot be read, or `each` fails.
pub(super) fn find<E: From<io::Error>>(
    pages: &Pages,
    mut each: impl FnMut(FoundRow) -> Result<(), E>,
) -> Result<(), E> {
    for number in pages.numbers() {
        if pages.is_used(number)? {
            in_page(&pages.page(number)?, |next| pages.page(next), &mut each)?;
            if pages.log_is_damaged() {
                // The rest of a row may be in a frame of which only the one before was altered.
                let mut whole = |found| if let FoundRow::Whole(_) = found { each(found) } else { Ok(()) };
                in_page(&pages.page(number)?, |next| pages.later_page(next), &mut whole)?;
            }
        }
    }
    find_later(pages, each)
}

/// The same of what was written after the last transaction that is known to be complete.
pub(super) fn find_later<E: From<io::Error>>(
    pages: &Pages,
    mut each: impl FnMut(FoundRow) -> Result<(), E>,
) -> Result<(), E> {
    pages.later().try_for_each(|page| in_page(&page?, |next| pages.later_page(next), &mut each))
}

/// Hands all that is in one page to `each`; `more` gives the pages that it leads to.
pub(super) fn in_page<E: From<io::Error>>(
    page: &[u8],
    more: impl Fn(u32) -> io::Result<Vec<u8>>,
    each: &mut impl FnMut(FoundRow) -> Result<(), E>,
) -> Result<(), E> {
    // Page 1 begins with the file's header, and has no rows of ours.
    let (kind, cells) = (page[0], be16(page, 3));
    let pointers = if kind == INDEX_BRANCH { 12 } else { 8 };
    if ![TABLE_LEAF, INDEX_LEAF, INDEX_BRANCH].contains(&kind) {
        return Ok(());
    }
    let cells: Vec<_> = (0..cells.min(PAGE / 2)).map(|cell| be16(page, pointers + 2 * cell)).collect();
    let is_sound = is_sound(page, pointers, &cells);
    for cell in cells {
        let found = match kind {
            TABLE_LEAF => row(page, cell, &more)?,
            INDEX_LEAF => entry(page, cell, &more)?,
            _ => entry(page, cell + 4, &more)?,
        };
        match found {
            // What looks like the rest of a row is nothing where all of the page was overwritten.
            Some(FoundRow::Damaged(_)) if !is_sound => {}
            Some(found) => each(found)?,
            None => {}
        }
    }
    Ok(())
}

/// Whether what a page says of itself holds together: its cells are behind the list of them, and none is before where they
/// are said to begin.
fn is_sound(page: &[u8], pointers: usize, cells: &[usize]) -> bool {
    let content = match be16(page, 5) {
        0 => PAGE,
        begins => begins,
    };
    cells.len() == be16(page, 3)
        && pointers + 2 * cells.len() <= content
        && cells.iter().all(|&cell| (content..PAGE).contains(&cell))
}

fn row(page: &[u8], cell: usize, more: &impl Fn(u32) -> io::Result<Vec<u8>>) -> io::Result<Option<FoundRow>> {
    let mut rest = page.get(cell..).unwrap_or_default();
    let (Some(bytes), Some(seq)) = (varint(&mut rest), varint(&mut rest)) else { return Ok(None) };
    let record = record(rest, bytes as usize, MOST_OF_ROW, more)?;
    let row = record.as_deref().and_then(columns).and_then(|columns| match columns[..] {
        [Column::Null, lane, source, event_type, id, received_at, _, headers, body] => Some(Row {
            seq,
            lane: lane.text()?,
            source: source.text()?,
            event_type: event_type.text_or_null().ok()?,
            id: id.text()?,
            received_at: received_at.int()?,
            // No seal covers it.
            bytes: (headers.bytes()?.len() + body.bytes()?.len()) as u64 + ROW_BYTES,
            headers: headers.bytes()?.to_vec(),
            body: body.bytes()?.to_vec(),
        }),
        _ => None,
    });
    Ok(Some(row.filter(seal::is_whole).map_or(FoundRow::Damaged(seq), FoundRow::Whole)))
}

fn entry(page: &[u8], cell: usize, more: &impl Fn(u32) -> io::Result<Vec<u8>>) -> io::Result<Option<FoundRow>> {
    let mut rest = page.get(cell..).unwrap_or_default();
    let Some(bytes) = varint(&mut rest) else { return Ok(None) };
    let record = record(rest, bytes as usize, MOST_OF_ENTRY, more)?;
    let listed = record.as_deref().and_then(columns).and_then(|columns| match columns[..] {
        [lane, seq, source, event_type, received_at, _, again] if seq.int()? == again.int()? => Some(Row {
            seq: seq.int()?,
            lane: lane.text()?,
            source: source.text()?,
            event_type: event_type.text_or_null().ok()?,
            id: String::new(),
            received_at: received_at.int()?,
            bytes: 0,
            headers: Vec::new(),
            body: Vec::new(),
        }),
        _ => None,
    });
    Ok(listed.map(FoundRow::Listed))
}

/// The `bytes` of a record that begins with `rest` and goes on in other pages; `None` where these do not hold it.
fn record(
    rest: &[u8],
    bytes: usize,
    most: usize,
    more: &impl Fn(u32) -> io::Result<Vec<u8>>,
) -> io::Result<Option<Vec<u8>>> {
    let here = if bytes <= most {
        bytes
    } else {
        let here = LEAST + bytes.saturating_sub(LEAST) % PER_PAGE;
        if here <= most { here } else { LEAST }
    };
    let (Some(begin), true) = (rest.get(..here), bytes <= LARGEST) else { return Ok(None) };
    let mut record = begin.to_vec();
    let (mut next, mut seen) = (be32(rest, here), HashSet::new());
    while record.len() < bytes {
        if next == 0 || !seen.insert(next) {
            return Ok(None);
        }
        let page = more(next)?;
        record.extend_from_slice(&page[4..4 + PER_PAGE.min(bytes - record.len())]);
        next = be32(&page, 0);
    }
    Ok(Some(record))
}

/// A value of a record.
#[derive(Clone, Copy)]
enum Column<'a> {
    Null,
    Int(i64),
    Text(&'a [u8]),
    Blob(&'a [u8]),
}

impl<'a> Column<'a> {
    fn int(self) -> Option<i64> {
        if let Column::Int(value) = self { Some(value) } else { None }
    }

    fn bytes(self) -> Option<&'a [u8]> {
        if let Column::Blob(bytes) = self { Some(bytes) } else { None }
    }

    fn text(self) -> Option<String> {
        let Column::Text(bytes) = self else { return None };
        String::from_utf8(bytes.to_vec()).ok()
    }

    fn text_or_null(self) -> Result<Option<String>, ()> {
        if let Column::Null = self { Ok(None) } else { self.text().map(Some).ok_or(()) }
    }
}

/// The values of a record; `None` where they do not fill it exactly.
fn columns(record: &[u8]) -> Option<Vec<Column<'_>>> {
    let mut head = record;
    let length = usize::try_from(varint(&mut head)?).ok()?;
    let (mut head, mut rest) = (record.get(record.len() - head.len()..length)?, record.get(length..)?);
    let mut columns = Vec::new();
    while !head.is_empty() {
        let kind = u64::try_from(varint(&mut head)?).ok()?;
        let bytes = match kind {
            0 | 8 | 9 => 0,
            1..=4 => kind as usize,
            5 => 6,
            6 => 8,
            12.. => usize::try_from((kind - 12) / 2).ok()?,
            // A floating-point number, or none that is in use.
            _ => return None,
        };
        let value = rest.get(..bytes)?;
        rest = &rest[bytes..];
        columns.push(match kind {
            0 => Column::Null,
            8 | 9 => Column::Int(kind as i64 - 8),
            1..=6 => Column::Int(signed(value)),
            _ if kind % 2 == 0 => Column::Blob(value),
            _ => Column::Text(value),
        });
    }
    rest.is_empty().then_some(columns)
}

fn signed(bytes: &[u8]) -> i64 {
    let first = if bytes.first().is_some_and(|&byte| byte >= 0x80) { -1 } else { 0 };
    bytes.iter().fold(first, |value, &byte| value << 8 | i64::from(byte))
}

/// A number of 1 to 9 bytes: 7 bits of each, and all 8 of the ninth.
fn varint(rest: &mut &[u8]) -> Option<i64> {
    let mut value = 0_u64;
    for at in 0..9 {
        let byte = *rest.get(at)?;
        if at == 8 {
            value = value << 8 | u64::from(byte);
        } else {
            value = value << 7 | u64::from(byte & 0x7f);
            if byte & 0x80 != 0 {
                continue;
            }
        }
        *rest = &rest[at + 1..];
        return Some(value as i64);
    }
    None
}
