//! Tests of the judge of traces: small made-up ones, some of which it must refuse.

use std::collections::BTreeMap;

use libtest_mimic::Trial;

use crate::trace::check;

pub(crate) fn trials() -> Vec<Trial> {
    let tests: [(&str, fn()); 8] = [
        ("a_202_after_the_sync_of_its_write_is_covered", a_202_after_the_sync_of_its_write_is_covered),
        ("a_202_before_the_sync_has_ended_is_refused", a_202_before_the_sync_has_ended_is_refused),
        (
            "a_sync_that_began_before_the_write_ended_does_not_count",
            a_sync_that_began_before_the_write_ended_does_not_count,
        ),
        ("a_sync_that_failed_does_not_count", a_sync_that_failed_does_not_count),
        ("a_sync_of_another_file_does_not_count", a_sync_of_another_file_does_not_count),
        ("a_write_that_failed_does_not_count", a_write_that_failed_does_not_count),
        ("a_202_without_any_write_is_refused", a_202_without_any_write_is_refused),
        ("one_sync_covers_all_that_was_written_before", one_sync_covers_all_that_was_written_before),
    ];
    tests
        .into_iter()
        .map(|(name, test)| {
            Trial::test(format!("trace::{name}"), move || {
                test();
                Ok(())
            })
        })
        .collect()
}

const WRITE: &str = r#"11 pwrite64(9</data/spool.db-wal>, "\0\1toktok-1\2", 4096, 56) = 4096"#;
const SYNC: &str = "11 fdatasync(9</data/spool.db-wal>) = 0";
const ANSWER: &str = r#"12 writev(20<socket:[77]>, [{iov_base="HTTP/1.1 202 Accepted\r\n\r\n{\"id\":\"id-1\",\"outcome\":\"spooled\"}"}], 1) = 150"#;

fn judge(lines: &[&str]) -> Result<usize, Vec<String>> {
    let tokens = [("id-1".to_owned(), "tok-1".to_owned()), ("id-2".to_owned(), "tok-2".to_owned())];
    check(&lines.join("\n"), "spool", &BTreeMap::from(tokens))
}

fn a_202_after_the_sync_of_its_write_is_covered() {
    assert_eq!(judge(&[WRITE, SYNC, ANSWER]), Ok(1));
    assert_eq!(judge(&[]), Ok(0));
}

fn a_202_before_the_sync_has_ended_is_refused() {
    assert!(judge(&[WRITE, ANSWER, SYNC]).is_err());
    let begun = "11 fdatasync(9</data/spool.db-wal> <unfinished ...>";
    let ended = "11 <... fdatasync resumed>) = 0";
    assert!(judge(&[WRITE, begun, ANSWER, ended]).is_err());
    assert!(judge(&[WRITE, begun, ANSWER]).is_err());
    assert_eq!(judge(&[WRITE, begun, ended, ANSWER]), Ok(1));
}

fn a_sync_that_began_before_the_write_ended_does_not_count() {
    assert!(judge(&[SYNC, WRITE, ANSWER]).is_err());
    let begun = r#"13 pwrite64(9</data/spool.db-wal>, "\0\1tok-1\2", 4096, 56 <unfinished ...>"#;
    let ended = "13 <... pwrite64 resumed>) = 4096";
    assert!(judge(&[begun, SYNC, ended, ANSWER]).is_err());
    assert_eq!(judge(&[begun, ended, SYNC, ANSWER]), Ok(1));
}

fn a_sync_that_failed_does_not_count() {
    let failed = "11 fdatasync(9</data/spool.db-wal>) = -1 EIO (Input/output error)";
    assert!(judge(&[WRITE, failed, ANSWER]).is_err());
}

fn a_sync_of_another_file_does_not_count() {
    assert!(judge(&[WRITE, "11 fsync(8</data/spool.db>) = 0", ANSWER]).is_err());
    assert!(judge(&[WRITE, "11 fsync(8</data/schema-ids.json>) = 0", ANSWER]).is_err());
}

fn a_write_that_failed_does_not_count() {
    let failed = r#"11 pwrite64(9</data/spool.db-wal>, "tok-1", 4096, 56) = -1 ENOSPC (No space left on device)"#;
    assert!(judge(&[failed, SYNC, ANSWER]).is_err());
}

fn a_202_without_any_write_is_refused() {
    assert!(judge(&[SYNC, ANSWER]).is_err());
    assert!(judge(&[WRITE, SYNC, &ANSWER.replace("id-1", "id-2")]).is_err());
    assert!(judge(&[WRITE, SYNC, &ANSWER.replace("id-1", "id-3")]).is_err());
}

fn one_sync_covers_all_that_was_written_before() {
    let (write, answer) = (WRITE.replace("tok-1", "tok-2"), ANSWER.replace("id-1", "id-2"));
    assert_eq!(judge(&[WRITE, &write, SYNC, &answer, ANSWER]), Ok(2));
}
