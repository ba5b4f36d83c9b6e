//! What was hit must be told: a check that takes everything for hit finds no loss.

use libtest_mimic::{Failed, Trial};

use crate::damage::{Dice, Files, Hit, Way};
use crate::events::{Entity, Event, entities};

const PAGE: usize = 4096;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::test("damage_tests::each_way_changes_what_it_should", each_way_changes_what_it_should),
        Trial::test("damage_tests::an_event_is_hit_where_its_bytes_are", an_event_is_hit_where_its_bytes_are),
        Trial::test("damage_tests::the_index_is_told_from_the_rows", the_index_is_told_from_the_rows),
    ]
}

fn ensure(holds: bool, words: &str) -> Result<(), Failed> {
    if holds { Ok(()) } else { Err(words.into()) }
}

fn event(number: u32) -> Event {
    entities(1).iter().map(|entity: &Entity| entity.event(number, 0)).next().unwrap()
}

fn each_way_changes_what_it_should() -> Result<(), Failed> {
    let whole: Vec<u8> = (0..40 * PAGE).map(|at| (at / PAGE) as u8 + 1).collect();
    for way in Way::ALL {
        let changed = (0..50).filter(|&seed| {
            let mut bytes = whole.clone();
            way.spoil(&mut bytes, &mut Dice(seed));
            bytes != whole
        });
        ensure(changed.count() > 40, &format!("{way:?} changes nothing"))?;
    }
    Ok(())
}

fn an_event_is_hit_where_its_bytes_are() -> Result<(), Failed> {
    let (one, two) = (event(1), event(2));
    let page = |part: &[u8]| [&[0x0d; 100][..], part, &vec![0; PAGE - 100 - part.len()]].concat();
    let rest = [&[0, 0, 0, 0][..], &one.body[one.body.len() - 5..], &vec![0; PAGE - 9]].concat();
    let file = [page(b""), page(&one.body), page(two.id.as_bytes()), rest, page(&two.body)].concat();
    let frame = |part: &[u8]| [&[7; 24][..], &page(part)].concat();
    let before = Files { file, log: [&[9; 32][..], &frame(&one.body), &frame(&two.body)].concat() };
    let hit = |change: &dyn Fn(&mut Files)| {
        let mut after = before.clone();
        change(&mut after);
        let hit = Hit::of(&before, &after);
        (hit.has(&one), hit.has(&two))
    };
    for (place, is_hit) in
        [(10, [false; 2]), (PAGE, [true, false]), (2 * PAGE, [false, true]), (4 * PAGE, [false, true])]
    {
        ensure(hit(&|files| files.file[place] ^= 1) == is_hit.into(), &format!("byte {place} of the file"))?;
    }
    ensure(hit(&|files| files.file[3 * PAGE + 50] ^= 1).0, "the end of a body that another page has")?;
    ensure(hit(&|files| files.file.truncate(4 * PAGE + 1)) == (false, true), "a cut")?;
    ensure(hit(&|files| files.log[0] ^= 1) == (false, false), "the log's head")?;
    ensure(hit(&|files| files.log[32] ^= 1) == (true, false), "the head of a frame")?;
    ensure(hit(&|files| files.log.truncate(32 + 24 + PAGE)) == (false, true), "a log that is cut")?;
    for (place, is_end) in [(40, false), (before.log.len() - 1, true)] {
        let mut after = before.clone();
        after.log[place] ^= 1;
        ensure(Hit::of(&before, &after).end == is_end, &format!("byte {place} of the log, as its end"))?;
    }
    Ok(())
}

fn the_index_is_told_from_the_rows() -> Result<(), Failed> {
    let file = [vec![0x0d; PAGE], vec![0x0d; PAGE], vec![0x0a; PAGE]].concat();
    let before = Files { file, log: Vec::new() };
    for (page, is_index) in [(0, true), (1, false), (2, true)] {
        let mut after = before.clone();
        after.file[page * PAGE + 9] ^= 1;
        ensure(Hit::of(&before, &after).index == is_index, &format!("page {page}"))?;
    }
    Ok(())
}
