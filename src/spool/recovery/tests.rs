//! Files that were damaged at random places: each opens, nothing altered is given, and what was not hit is there.

use std::collections::{BTreeMap, BTreeSet};

use super::super::opening::{Opened, Opening};
use super::super::pages::{PAGE, be16};
use super::super::rows::in_page;
use super::super::store::delete;
use super::super::{ALTERED, ROW_BYTES, seal};
use super::*;
use crate::source::verify::event_id;

/// Numbers that look random, the same in each run.
struct Dice(u64);

impl Dice {
    fn throw(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % below
    }
}

fn delivery(seq: i64, padding: usize) -> Row {
    let body = format!(r#"{{"marker":"<{seq}>","padding":"{}"}}"#, "x".repeat(padding)).into_bytes();
    let (lines, received_at) = (b"content-type: application/json\n", 1_780_401_600_000 + seq);
    let headers = [&seal::line(Some("deal.won"), received_at, lines), &lines[..]].concat();
    Row {
        seq,
        lane: if seq % 3 == 0 { "wegly.lead" } else { "wegly.deal" }.into(),
        source: "wegly".into(),
        event_type: Some("deal.won".into()),
        id: event_id("wegly", &body),
        received_at,
        bytes: (headers.len() + body.len()) as u64 + ROW_BYTES,
        headers,
        body,
    }
}

/// A spool as a kill leaves it.
struct Killed {
    file: Vec<u8>,
    log: Vec<u8>,
    rows: BTreeMap<i64, Row>,
}

impl Killed {
    /// The pages of deliveries that have one only.
    fn pages_of_small(&self) -> BTreeMap<i64, usize> {
        let dir = tempfile::tempdir().unwrap();
        self.copy(dir.path());
        let (pages, mut found) = (pages(dir.path()).unwrap().unwrap(), BTreeMap::new());
        for number in pages.numbers().filter(|&number| pages.is_used(number).unwrap()) {
            let in_page = in_page::<io::Error>(&pages.page(number).unwrap(), |next| pages.page(next), &mut |row| {
                if let FoundRow::Whole(row) = row
                    && row.body.len() < 500
                {
                    found.insert(row.seq, number as usize - 1);
                }
                Ok(())
            });
            in_page.unwrap();
        }
        found
    }

    fn copy(&self, dir: &Path) {
        fs::write(dir.join(FILE), &self.file).unwrap();
        fs::write(dir.join("spool.db-wal"), &self.log).unwrap();
    }
}

/// `in_log` of its deliveries are in the log only. Every fifth was there, and has left.
fn make(dice: &mut Dice, in_log: usize) -> Killed {
    let made = tempfile::tempdir().unwrap();
    let mut store = SpoolStore::create(made.path()).unwrap();
    let mut rows: BTreeMap<i64, Row> = BTreeMap::new();
    for seq in 1..=200 {
        let padding = [20, 300, 3000, 20_000][dice.throw(4)];
        let row = delivery(seq, if dice.throw(3) == 0 { padding } else { 40 });
        store.commit(|connection| insert(connection, &NewRow::of(&row, seq))).unwrap();
        rows.insert(seq, row);
        if seq % 5 == 0 {
            let gone = seq - dice.throw(4) as i64;
            store.commit(|connection| delete(connection, gone)).unwrap();
            rows.remove(&gone);
        }
        if seq as usize == 200 - in_log {
            store.checkpoint().unwrap();
        }
    }
    let read = |name| fs::read(made.path().join(name)).unwrap();
    Killed { file: read(FILE), log: read("spool.db-wal"), rows }
}

fn killed(dir: &Path, dice: &mut Dice, in_log: usize) -> BTreeMap<i64, Row> {
    let killed = make(dice, in_log);
    killed.copy(dir);
    killed.rows
}

fn open(dir: &Path) -> Opened {
    let opening = Opening { dir: dir.to_owned(), lane_of: Box::new(|waiting| waiting.lane.clone()) };
    opening.open().unwrap_or_else(|error| panic!("{}: {error}", dir.display()))
}

/// What is given of a spool that was opened, and how many are known to be lost. Deliveries that turn out to be altered are recovered from,
/// as the writer does it.
fn given(dir: &Path) -> (BTreeMap<i64, Row>, u64) {
    let opened = open(dir);
    let lost = opened.recovered.as_ref().map_or(0, |recovered| recovered.lost);
    match read(&opened) {
        Ok(rows) => (rows, lost),
        Err(error) => {
            assert!(matches!(error, SpoolError::Damaged(_)), "nobody would recover it: {error:?}");
            drop(opened);
            let opening = Opening { dir: dir.to_owned(), lane_of: Box::new(|waiting| waiting.lane.clone()) };
            let again = opening.recover(&error.to_string(), || ()).unwrap();
            (read(&again).unwrap(), lost + again.recovered.map_or(0, |recovered| recovered.lost))
        }
    }
}

fn read(opened: &Opened) -> Result<BTreeMap<i64, Row>, SpoolError> {
    let mut rows = BTreeMap::new();
    for lane in ["wegly.deal", "wegly.lead"] {
        let mut after = 0;
        loop {
            let read = opened.reader.read(lane, (after, i64::MAX), 50, 1 << 30)?;
            let Some(last) = read.last() else { break };
            after = last.seq;
            rows.extend(read.into_iter().filter(seal::is_whole).map(|row| (row.seq, row)));
        }
    }
    Ok(rows)
}

/// Overwrites 64 bytes of a file, all in one place or each anywhere; gives the places.
fn damage(path: &Path, dice: &mut Dice) -> Vec<usize> {
    let mut bytes = fs::read(path).unwrap();
    let length = bytes.len();
    let first = dice.throw(length);
    let scattered = dice.throw(2) == 0;
    let places: Vec<_> = (0..64).map(|n| if scattered { dice.throw(length) } else { (first + n) % length }).collect();
    for &place in &places {
        bytes[place] = dice.throw(256) as u8;
    }
    fs::write(path, bytes).unwrap();
    places
}

fn find_in(bytes: &[u8], part: &str) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part.as_bytes())
}

#[test]
fn a_file_that_is_whole_is_opened_as_it_is() {
    let mut dice = Dice(1);
    for in_log in [0, 3, 150] {
        let dir = tempfile::tempdir().unwrap();
        let rows = killed(dir.path(), &mut dice, in_log);
        assert_eq!(given(dir.path()), (rows, 0));
        assert_eq!(put_aside(dir.path()), Vec::<PathBuf>::new());
    }
}

#[test]
fn the_pages_alone_give_all_that_there_is_and_nothing_that_has_left() {
    let mut dice = Dice(2);
    for in_log in [0, 3, 150] {
        let dir = tempfile::tempdir().unwrap();
        let rows = killed(dir.path(), &mut dice, in_log);
        let recovered = recover(dir.path(), "to see what it gives", || ()).unwrap();
        assert_eq!((recovered.records, recovered.lost), (rows.len() as u64, 0));
        assert_eq!(given(dir.path()), (rows, 0));
        assert_eq!(put_aside(dir.path()).len(), 1);
    }
}

#[test]
fn a_damaged_file_costs_only_what_was_hit() {
    let (mut dice, mut hit, mut lost_in_all) = (Dice(3), 0, 0);
    let made = [(); 5].map(|()| make(&mut dice, 0));
    let places = made.each_ref().map(Killed::pages_of_small);
    for round in 0..200 {
        let dir = tempfile::tempdir().unwrap();
        made[round % 5].copy(dir.path());
        let rows = &made[round % 5].rows;
        let path = dir.path().join(FILE);
        let pages: BTreeSet<usize> = damage(&path, &mut dice).into_iter().map(|place| place / PAGE).collect();
        let (given, lost) = given(dir.path());
        for (seq, row) in &given {
            assert_eq!(Some(row), rows.get(seq), "round {round}: nothing is altered, moved, or there again");
        }
        for (seq, page) in &places[round % 5] {
            assert!(pages.contains(page) || given.contains_key(seq), "round {round}: {seq} was not hit");
        }
        hit += usize::from(given.len() < rows.len());
        lost_in_all += lost;
        // What is altered in its body only is found when it is read. And a damaged row may have got a number that there never was.
        let missing = (rows.len() - given.len()) as u64;
        assert!(lost <= missing + 2, "round {round}: {lost} lost, {missing} missing");
    }
    assert!(hit > 50 && lost_in_all > 50, "{hit} rounds hit something, {lost_in_all} lost");
}

#[test]
fn a_damaged_log_costs_only_what_was_hit() {
    let mut dice = Dice(4);
    let made = [(); 5].map(|()| make(&mut dice, 100));
    let mut most = 0;
    for round in 0..200 {
        let dir = tempfile::tempdir().unwrap();
        made[round % 5].copy(dir.path());
        let rows = &made[round % 5].rows;
        damage(&dir.path().join("spool.db-wal"), &mut dice);
        let (given, _) = given(dir.path());
        for (seq, row) in &given {
            // One whose removal was hit may be there again: delivered twice is not lost.
            assert!(rows.get(seq).is_none_or(|due| due == row), "round {round}: {seq} is altered: {row:?}");
            assert!(seal::is_whole(row));
        }
        let ids: BTreeSet<_> = given.values().map(|row| &row.id).collect();
        assert_eq!(ids.len(), given.len(), "round {round}: each is there once");
        let missing = rows.keys().filter(|seq| !given.contains_key(seq)).count();
        most = most.max(missing);
    }
    assert!(most < 40, "{most} of about 160 are missing after 64 bytes of the log were altered");
}

#[test]
fn a_log_whose_head_and_first_frame_are_altered_is_read_all_the_same() {
    let mut dice = Dice(7);
    let made = make(&mut dice, 100);
    for bytes in [16, 40, 60, 300] {
        let dir = tempfile::tempdir().unwrap();
        made.copy(dir.path());
        let log = dir.path().join("spool.db-wal");
        let mut altered = fs::read(&log).unwrap();
        altered[..bytes].fill(0xaa);
        fs::write(&log, altered).unwrap();
        let (given, _) = given(dir.path());
        let missing = made.rows.keys().filter(|seq| !given.contains_key(seq)).count();
        assert!(missing < 10, "{missing} are missing after the first {bytes} bytes of the log were altered");
        assert_eq!(put_aside(dir.path()).len(), 1, "it is said");
    }
}

#[test]
fn a_frame_of_the_log_whose_sum_is_altered_costs_nothing() {
    const FRAME: usize = 24 + PAGE;
    let mut dice = Dice(10);
    let made = make(&mut dice, 40);
    for frame in 0..made.log.len() / FRAME {
        let dir = tempfile::tempdir().unwrap();
        made.copy(dir.path());
        let mut altered = made.log.clone();
        altered[32 + frame * FRAME + 20] ^= 0x55;
        fs::write(dir.path().join("spool.db-wal"), altered).unwrap();
        let (given, _) = given(dir.path());
        let missing: Vec<_> = made.rows.keys().filter(|seq| !given.contains_key(seq)).collect();
        assert!(missing.is_empty(), "frame {frame}: {missing:?} are missing");
    }
}

/// Where the numbers of deliveries stand in a log: the last byte of each.
fn places_of_numbers(log: &[u8]) -> Vec<usize> {
    const FRAME: usize = 24 + PAGE;
    let mut places = Vec::new();
    for start in (0..log.len() / FRAME).map(|frame| 32 + frame * FRAME + 24) {
        let page = &log[start..start + PAGE];
        let cells = if page[0] == 0x0d { be16(page, 3) } else { 0 };
        for cell in (0..cells).map(|cell| be16(page, 8 + 2 * cell)) {
            let end_of_number = |from: usize| (from..PAGE).find(|&at| page[at] & 0x80 == 0).unwrap();
            places.push(start + end_of_number(end_of_number(cell) + 1));
        }
    }
    places
}

#[test]
fn a_delivery_whose_number_is_altered_in_the_log_is_there_once() {
    let (mut dice, mut recoveries) = (Dice(12), 0);
    let made = make(&mut dice, 40);
    for place in places_of_numbers(&made.log).into_iter().step_by(5) {
        let dir = tempfile::tempdir().unwrap();
        made.copy(dir.path());
        let mut altered = made.log.clone();
        altered[place] ^= 0x41;
        fs::write(dir.path().join("spool.db-wal"), altered).unwrap();
        // The end of a log that was altered looks as one that was never written whole.
        let Some(recovered) = open(dir.path()).recovered else { continue };
        recoveries += 1;
        let (given, _) = given(dir.path());
        let ids: BTreeSet<_> = given.values().map(|row| &row.id).collect();
        let counts = (ids.len(), recovered.records as usize, recovered.lost);
        assert_eq!(counts, (given.len(), given.len(), 0), "byte {place}: {recovered:?}");
        // One whose removal was hit may be there again.
        assert!(made.rows.iter().all(|(seq, row)| given.get(seq) == Some(row)), "byte {place}: each has its number");
    }
    assert!(recoveries > 20, "{recoveries}");
}

#[test]
fn two_deliveries_that_are_equal_stay_two() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = SpoolStore::create(dir.path()).unwrap();
    let row = delivery(1, 0);
    for seq in [1, 2] {
        store.commit(|connection| insert(connection, &NewRow::of(&row, seq))).unwrap();
    }
    drop(store);
    let recovered = recover(dir.path(), "to see what it gives", || ()).unwrap();
    assert_eq!((recovered.records, recovered.lost), (2, 0));
}

#[test]
fn a_text_that_is_none_any_more_is_a_damage() {
    let mut dice = Dice(9);
    let made = make(&mut dice, 0);
    let rows = made.rows.values().filter(|row| row.body.len() < 500);
    for text in rows.take(3).map(|row| &row.id) {
        let dir = tempfile::tempdir().unwrap();
        made.copy(dir.path());
        let mut altered = made.file.clone();
        let at = find_in(&altered, text).unwrap();
        altered[at] = 0xff;
        fs::write(dir.path().join(FILE), altered).unwrap();
        let (given, lost) = given(dir.path());
        assert_eq!((made.rows.len() - given.len(), lost), (1, 1));
    }
}

#[test]
fn a_page_of_garbage_makes_up_no_deliveries_that_would_be_lost() {
    let mut dice = Dice(8);
    let made = make(&mut dice, 0);
    let pages = made.pages_of_small();
    for (round, page) in pages.values().collect::<BTreeSet<_>>().into_iter().enumerate() {
        let dir = tempfile::tempdir().unwrap();
        made.copy(dir.path());
        let mut altered = made.file.clone();
        altered[page * PAGE..(page + 1) * PAGE].fill_with(|| dice.throw(256) as u8);
        altered[page * PAGE] = 0x0d;
        fs::write(dir.path().join(FILE), altered).unwrap();
        let (given, lost) = given(dir.path());
        let missing = (made.rows.len() - given.len()) as u64;
        assert!(missing > 0 && lost <= missing + 2, "round {round}: {lost} lost, {missing} missing");
    }
}

#[test]
fn what_is_no_database_at_all_is_put_aside() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(FILE), vec![b'?'; 50_000]).unwrap();
    assert_eq!(given(dir.path()), (BTreeMap::new(), 0));
    let aside = put_aside(dir.path());
    assert_eq!(fs::read(&aside[0]).unwrap(), vec![b'?'; 50_000]);
    assert!(fs::read_to_string(aside[0].with_extension("txt")).unwrap().contains("0 deliveries recovered, 0 lost"));
}

#[test]
fn an_interrupted_recovery_is_begun_anew_or_completed() {
    let mut dice = Dice(5);
    let dir = tempfile::tempdir().unwrap();
    let rows = killed(dir.path(), &mut dice, 10);
    fs::write(dir.path().join(RECOVERING), "half a file").unwrap();
    assert_eq!(recover(dir.path(), "first", || ()).unwrap().records, rows.len() as u64);
    // As a kill leaves it after the log was renamed: the new file is complete, the old one still in its place.
    fs::rename(dir.path().join(FILE), dir.path().join(RECOVERED)).unwrap();
    fs::write(dir.path().join(FILE), "the damaged one").unwrap();
    assert_eq!(given(dir.path()), (rows, 0));
    assert_eq!(put_aside(dir.path()).len(), 2);
    assert!(!dir.path().join(RECOVERED).exists());
}

#[test]
fn a_delivery_that_was_not_recovered_can_be_later_when_its_file_is_repaired() {
    let mut dice = Dice(6);
    let dir = tempfile::tempdir().unwrap();
    let rows = killed(dir.path(), &mut dice, 0);
    let path = dir.path().join(FILE);
    let whole = fs::read(&path).unwrap();
    let mut bytes = whole.clone();
    let seq = rows.values().find(|row| row.body.len() < 500).unwrap().seq;
    let at = find_in(&bytes, &format!("<{seq}>")).unwrap();
    bytes[at] = b'!';
    fs::write(&path, bytes).unwrap();
    let recovered = recover(dir.path(), "one is altered", || ()).unwrap();
    assert_eq!((recovered.records, recovered.lost, recovered.named[0].seq), (rows.len() as u64 - 1, 1, seq));
    let report = fs::read_to_string(recovered.file.with_extension("txt")).unwrap();
    assert!(report.contains(&format!("\n{seq} 2026-06-02T")), "{report}");

    let again = recover_again(dir.path(), &recovered.file).unwrap();
    assert_eq!(again, Again { added: 0, known: rows.len() as u64 - 1, damaged: 1 });
    fs::write(&recovered.file, whole).unwrap();
    let again = recover_again(dir.path(), &recovered.file).unwrap();
    assert_eq!(again, Again { added: 1, known: rows.len() as u64 - 1, damaged: 0 });
    let (given, _) = given(dir.path());
    let bodies = |rows: &BTreeMap<i64, Row>| rows.values().map(|row| row.body.clone()).collect::<BTreeSet<_>>();
    assert_eq!(bodies(&given), bodies(&rows));
    assert_eq!(given.last_key_value().unwrap().1.id, rows[&seq].id, "at the end");
    let again = recover_again(dir.path(), &recovered.file).unwrap();
    assert_eq!(again.added, 0, "once");
}

#[test]
fn another_program_s_database_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let connection = Connection::open(dir.path().join(FILE)).unwrap();
    connection.execute_batch("CREATE TABLE theirs (a)").unwrap();
    drop(connection);
    let opening = Opening { dir: dir.path().to_owned(), lane_of: Box::new(|_| ALTERED.into()) };
    assert!(opening.open().err().unwrap().to_string().contains("not a spool"));
}
