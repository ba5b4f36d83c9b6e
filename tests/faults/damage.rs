//! Damages a database and its log in the ways of disks, and tells what that has hit. Pure: bytes in, bytes out.

use std::ops::Range;

use crate::events::Event;

/// Bytes of a page of the database, of what comes before it in the log, and of the log's head.
const PAGE: usize = 4096;
const FRAME_HEAD: usize = 24;
const LOG_HEAD: usize = 32;
/// Leaves and branches of an index begin with these.
const OF_INDEX: [u8; 2] = [0x0a, 0x02];

/// Numbers that look random, the same in each run.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn throw(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % below.max(1)
    }
}

/// A database and its log, byte by byte.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Files {
    pub(crate) file: Vec<u8>,
    pub(crate) log: Vec<u8>,
}

/// One of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    File,
    Log,
}

/// How a disk damages a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Way {
    /// 64 bytes, each anywhere.
    Scattered,
    /// 64 bytes in one place.
    InARow,
    /// Some pages have other contents.
    Pages,
    /// A page is where another should be, and here too.
    Misdirected,
    Zeros,
    /// The end is gone.
    Cut,
    /// The first bytes, which say what the file is.
    Head,
}

impl Way {
    pub(crate) const ALL: [Way; 7] =
        [Way::Scattered, Way::InARow, Way::Pages, Way::Misdirected, Way::Zeros, Way::Cut, Way::Head];

    /// Damages `bytes`.
    pub(crate) fn spoil(self, bytes: &mut Vec<u8>, dice: &mut Dice) {
        let length = bytes.len();
        let pages = length / PAGE;
        match self {
            Way::Scattered => (0..64).for_each(|_| bytes[dice.throw(length)] = dice.throw(256) as u8),
            Way::InARow => fill(bytes, dice.throw(length), 64, || dice.throw(256) as u8),
            Way::Pages => {
                for _ in 0..=dice.throw(6) {
                    let at = dice.throw(pages) * PAGE;
                    fill(bytes, at, PAGE, || dice.throw(256) as u8);
                }
            }
            Way::Misdirected => {
                let (from, to) = (dice.throw(pages) * PAGE, dice.throw(pages) * PAGE);
                bytes.copy_within(from..from + PAGE, to);
            }
            Way::Zeros => fill(bytes, dice.throw(length), 512 << dice.throw(8), || 0),
            Way::Cut => bytes.truncate(dice.throw(length)),
            Way::Head => fill(bytes, 0, 1 + dice.throw(100), || dice.throw(256) as u8),
        }
    }
}

fn fill(bytes: &mut [u8], at: usize, count: usize, mut byte: impl FnMut() -> u8) {
    bytes.iter_mut().skip(at).take(count).for_each(|place| *place = byte());
}

/// What a damage has hit: pages as they were before it.
pub(crate) struct Hit<'a> {
    pages: Vec<&'a [u8]>,
    /// What says which deliveries there are: the index, or the head of a file.
    pub(crate) index: bool,
    /// What the last transaction wrote to the log. A log to which that was never written whole looks the same.
    pub(crate) end: bool,
}

impl<'a> Hit<'a> {
    /// Compares files before and after.
    pub(crate) fn of(before: &'a Files, after: &Files) -> Hit<'a> {
        let (mut pages, mut index, mut end) = (Vec::new(), false, false);
        for (part, was, is) in [(Part::File, &before.file, &after.file), (Part::Log, &before.log, &after.log)] {
            let changed = units(part, was.len()).filter(|unit| is.get(unit.clone()) != Some(&was[unit.clone()]));
            for unit in changed {
                let page = match part {
                    Part::File => &was[unit.clone()],
                    Part::Log => was[unit.clone()].get(FRAME_HEAD..).unwrap_or_default(),
                };
                index |= unit.start == 0 || page.first().is_some_and(|kind| OF_INDEX.contains(kind));
                end |= part == Part::Log && unit.end > last_transaction(was);
                pages.push(&was[unit]);
            }
        }
        Hit { pages, index, end }
    }

    /// Whether any of what there was of an event is hit: its id, or a part of its body, which has its token everywhere.
    pub(crate) fn has(&self, event: &Event) -> bool {
        let holds = |page: &[u8], part: &[u8]| page.windows(part.len()).any(|window| window == part);
        // The last page of a large body may have less of it than a token.
        let ends = |page: &[u8]| {
            let rests = (1..=2 * event.token.len()).filter_map(|end| event.body.get(event.body.len() - end..));
            [4, FRAME_HEAD + 4].iter().any(|&at| rests.clone().any(|rest| page[at.min(page.len())..].starts_with(rest)))
        };
        self.pages.iter().any(|page| {
            holds(page, event.token.as_bytes()) || holds(page, event.id.as_bytes()) || (is_rest(page) && ends(page))
        })
    }
}

/// Whether a page may be one that holds the rest of a large row: it begins with the number of the next one, or 0.
fn is_rest(page: &[u8]) -> bool {
    let begins = |at: usize| page.get(at..at + 2) == Some(&[0, 0]);
    begins(0) || begins(FRAME_HEAD)
}

/// Where in a log the frames of the last transaction begin: behind the frame that completes the one before it.
fn last_transaction(log: &[u8]) -> usize {
    let completes =
        |frame: &Range<usize>| log.get(frame.start + 4..frame.start + 8).is_some_and(|pages| pages != [0; 4]);
    let ends: Vec<_> = units(Part::Log, log.len()).skip(1).filter(completes).map(|frame| frame.end).collect();
    ends.len().checked_sub(2).map_or(LOG_HEAD, |before| ends[before])
}

/// The parts of a file that are written at once: pages, or the log's head and its frames.
fn units(part: Part, length: usize) -> impl Iterator<Item = Range<usize>> {
    let (head, each) = match part {
        Part::File => (0, PAGE),
        Part::Log => (LOG_HEAD.min(length), FRAME_HEAD + PAGE),
    };
    let first = (head > 0).then_some(0..head);
    first.into_iter().chain((head..length).step_by(each).map(move |at| at..(at + each).min(length)))
}
