//! The pages of an SQLite file and of its log, read without SQLite: what a damaged file still holds.
//!
//! ```text
//! spool.db      page 1 (header, table of tables) · 2 (pointer map) · 3 … · 822 (pointer map) …
//! spool.db-wal  header · frame (24 bytes, page) · frame …         the newest frame of a page stands for it
//! ```
//!
//! The formats are those of <https://www.sqlite.org/fileformat2.html>; numbers are big-endian. Only what our own layout has is
//! known: pages of 4096 bytes without a reserve, and a pointer map, which says of each page what it is used for.

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use crate::disk::access::is_of_the_disk;

/// Bytes of a page.
pub(super) const PAGE: usize = 4096;
const LOG_HEADER: usize = 32;
const FRAME_HEADER: usize = 24;
/// The first page of a pointer map; each tells of the pages that follow it, 5 bytes for each.
const FIRST_MAP: u32 = 2;
const MAPPED: u32 = PAGE as u32 / 5;

/// What the pointer map says of a page that holds rows, or could.
const ROOT: u8 = 1;
const FREE: u8 = 2;
const BRANCH: u8 = 5;

pub(super) fn be16(bytes: &[u8], at: usize) -> usize {
    bytes.get(at..at + 2).map_or(0, |b| usize::from(u16::from_be_bytes([b[0], b[1]])))
}

pub(super) fn be32(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).map_or(0, |b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]))
}

/// The log beside a file.
struct Log {
    file: File,
    /// Where the newest frame of each page is, as of the last transaction that was completed.
    committed: BTreeMap<u32, u64>,
    /// What was written after that.
    tail: BTreeMap<u32, u64>,
    /// Frames that are not as they were written: the number of their page, or what they hold.
    doubtful: BTreeMap<u32, u64>,
    is_damaged: bool,
}

/// All pages, the log's before the file's.
pub(super) struct Pages {
    file: File,
    in_file: u32,
    log: Option<Log>,
    free: HashSet<u32>,
    free_is_known: bool,
}

impl Pages {
    /// Opens the file at `path`, and the log beside it.
    ///
    /// # Errors
    /// When one of them cannot be read.
    pub(super) fn open(path: &Path, log: &Path) -> io::Result<Pages> {
        let file = File::open(path)?;
        let in_file = file.metadata()?.len().div_ceil(PAGE as u64) as u32;
        let log = match File::open(log) {
            Ok(log) => Some(Log::read(log)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let mut pages = Pages { file, in_file, log, free: HashSet::new(), free_is_known: false };
        pages.free_is_known = pages.walk_free_list()?;
        Ok(pages)
    }

    /// Whether frames of the log were altered after they had been written.
    pub(super) fn log_is_damaged(&self) -> bool {
        self.log.as_ref().is_some_and(|log| log.is_damaged)
    }

    pub(super) fn numbers(&self) -> impl Iterator<Item = u32> {
        let beyond = self.log.iter().flat_map(|log| log.committed.keys()).filter(|&&number| number > self.in_file);
        (1..=self.in_file).chain(beyond.copied())
    }

    /// A page as of the last transaction; what is missing of it is zero.
    pub(super) fn page(&self, number: u32) -> io::Result<Vec<u8>> {
        let in_log = self.log.as_ref().and_then(|log| log.committed.get(&number));
        match (in_log, &self.log) {
            (Some(&at), Some(log)) => read_page(&log.file, at),
            _ => read_page(&self.file, u64::from(number.saturating_sub(1)) * PAGE as u64),
        }
    }

    /// The pages that were written after the last transaction that is known to be complete, and those that may be others than
    /// their number says. Where the end of that transaction was damaged, they are what counts.
    pub(super) fn later(&self) -> impl Iterator<Item = io::Result<Vec<u8>>> {
        let places = |log: &'_ Log| log.tail.values().chain(log.doubtful.values()).copied().collect::<Vec<_>>();
        self.log.iter().flat_map(move |log| places(log).into_iter().map(|at| read_page(&log.file, at)))
    }

    /// A page as it was written last, be it one of these.
    pub(super) fn later_page(&self, number: u32) -> io::Result<Vec<u8>> {
        let in_log = |log: &Log| {
            let places = [&log.tail, &log.doubtful, &log.committed].map(|places| places.get(&number).copied());
            places.into_iter().flatten().max()
        };
        match self.log.as_ref().and_then(|log| Some((log, in_log(log)?))) {
            Some((log, at)) => read_page(&log.file, at),
            None => self.page(number),
        }
    }

    /// Whether rows can be in a page: one that was given back keeps what it held. Where the list of free pages and the pointer
    /// map disagree, it is in use.
    pub(super) fn is_used(&self, number: u32) -> io::Result<bool> {
        let is_listed = self.free.contains(&number);
        Ok(match self.kind(number)? {
            Some(FREE) => self.free_is_known && !is_listed,
            Some(_) => true,
            None => !is_listed,
        })
    }

    /// What the pointer map says of a page; `None` where it says what cannot be.
    fn kind(&self, number: u32) -> io::Result<Option<u8>> {
        let Some(behind) = number.checked_sub(FIRST_MAP + 1) else { return Ok(Some(ROOT)) };
        let map = FIRST_MAP + behind / (MAPPED + 1) * (MAPPED + 1);
        if number == map + MAPPED + 1 {
            // A map itself.
            return Ok(None);
        }
        let kind = self.page(map)?[(number - map - 1) as usize * 5];
        Ok((ROOT..=BRANCH).contains(&kind).then_some(kind))
    }

    /// Notes the pages that are on the list of free ones; says whether the list is whole.
    fn walk_free_list(&mut self) -> io::Result<bool> {
        let first = self.page(1)?;
        let (mut trunk, count) = (be32(&first, 32), be32(&first, 36) as usize);
        let highest = self.numbers().max().unwrap_or(0);
        while trunk != 0 && trunk <= highest && self.free.insert(trunk) {
            let page = self.page(trunk)?;
            let leaves = (be32(&page, 4) as usize).min(PAGE / 4 - 2);
            self.free.extend((0..leaves).map(|leaf| be32(&page, 8 + 4 * leaf)));
            trunk = be32(&page, 0);
        }
        let mut is_whole = trunk == 0 && self.free.len() == count;
        for &free in &self.free {
            is_whole &= matches!(self.kind(free)?, None | Some(FREE));
        }
        Ok(is_whole)
    }
}

/// A page; one that the disk cannot read any more is zero, as what is missing of it.
fn read_page(file: &File, at: u64) -> io::Result<Vec<u8>> {
    let mut page = vec![0; PAGE];
    match read_at(file, at, &mut page) {
        Err(error) if !is_of_the_disk(&error) => Err(error),
        _ => Ok(page),
    }
}

/// Fills `into` from `at` on, as far as the file goes.
fn read_at(file: &File, mut at: u64, mut into: &mut [u8]) -> io::Result<usize> {
    let mut read = 0;
    while !into.is_empty() {
        match file.read_at(into, at) {
            Ok(0) => break,
            Ok(bytes) => {
                read += bytes;
                at += bytes as u64;
                into = &mut into[bytes..];
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(read)
}

impl Log {
    /// Finds the frames of the log's present run: older ones behind them have other salts.
    fn read(file: File) -> io::Result<Log> {
        let mut log = Log {
            file,
            committed: BTreeMap::new(),
            tail: BTreeMap::new(),
            doubtful: BTreeMap::new(),
            is_damaged: false,
        };
        let mut header = [0; LOG_HEADER];
        if read_at(&log.file, 0, &mut header)? < LOG_HEADER {
            return Ok(log);
        }
        let by = Sums { is_big_endian: header[3] & 1 == 1 };
        let stored = (be32(&header, 24), be32(&header, 28));
        let is_whole = by.of((0, 0), &header[..24]) == stored;
        let by = if is_whole { by } else { Sums { is_big_endian: cfg!(target_endian = "big") } };
        let salts = if is_whole { Some(header[16..24].to_vec()) } else { salts_of_frames(&log.file, by)? };
        let Some(salts) = salts else { return Ok(log) };
        let mut before = is_whole.then_some(stored);
        // Something does not fit what was before it. Where a later frame does, it was not the end.
        let mut gap = !is_whole;
        let (mut at, mut frame) = (LOG_HEADER as u64, vec![0; FRAME_HEADER + PAGE]);
        while read_at(&log.file, at, &mut frame)? == frame.len() {
            let stored = (be32(&frame, 16), be32(&frame, 20));
            let fits = before.is_some_and(|before| by.of_frame(before, &frame) == stored);
            if salts[..] == frame[8..16] {
                log.is_damaged |= fits && gap;
                gap |= !fits;
                let into = if fits { &mut log.tail } else { &mut log.doubtful };
                into.insert(be32(&frame, 0), at + FRAME_HEADER as u64);
                if fits && be32(&frame, 4) != 0 {
                    let done = std::mem::take(&mut log.tail);
                    log.committed.extend(done);
                }
            } else {
                gap = true;
            }
            before = Some(stored);
            at += frame.len() as u64;
        }
        Ok(log)
    }
}

/// The salts of a log whose head does not tell them: those of the first two frames of which the one follows the other, since
/// the very first may be altered as well; where there are no two, those of the first.
fn salts_of_frames(file: &File, by: Sums) -> io::Result<Option<Vec<u8>>> {
    let (mut first, mut before) = (None, None);
    let (mut at, mut frame) = (LOG_HEADER as u64, vec![0; FRAME_HEADER + PAGE]);
    while read_at(file, at, &mut frame)? == frame.len() {
        let salts = frame[8..16].to_vec();
        let stored = (be32(&frame, 16), be32(&frame, 20));
        if let Some((salts_before, stored_before)) = &before
            && *salts_before == salts
            && by.of_frame(*stored_before, &frame) == stored
        {
            return Ok(Some(salts));
        }
        first.get_or_insert_with(|| salts.clone());
        before = Some((salts, stored));
        at += frame.len() as u64;
    }
    Ok(first)
}

/// The sums that SQLite keeps of frames.
#[derive(Clone, Copy)]
struct Sums {
    is_big_endian: bool,
}

impl Sums {
    /// The sum of a frame that follows one of which this is the sum.
    fn of_frame(self, before: (u32, u32), frame: &[u8]) -> (u32, u32) {
        self.of(self.of(before, &frame[..8]), &frame[FRAME_HEADER..])
    }

    fn of(self, (mut s0, mut s1): (u32, u32), bytes: &[u8]) -> (u32, u32) {
        let word = |bytes: &[u8]| {
            let bytes = [bytes[0], bytes[1], bytes[2], bytes[3]];
            if self.is_big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
        };
        for pair in bytes.chunks_exact(8) {
            s0 = s0.wrapping_add(word(pair)).wrapping_add(s1);
            s1 = s1.wrapping_add(word(&pair[4..])).wrapping_add(s0);
        }
        (s0, s1)
    }
}
