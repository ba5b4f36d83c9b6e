//! The table by itself: order, bounds of a reading, other lanes, another process, space given back.

use super::*;

fn row<'a>(seq: i64, lane: &'a str, body: &'a [u8]) -> NewRow<'a> {
    NewRow {
        seq,
        lane,
        source: "wegly",
        event_type: Some("deal.won"),
        id: "71a70497-d88a-8bc7-96be-c6d240058775",
        received_at: 1_780_401_600_000 + seq,
        bytes: body.len() as u64 + 256,
        headers: b"content-type: application/json\n",
        body,
    }
}

fn filled(dir: &Path, rows: &[NewRow<'_>]) -> SpoolStore {
    let mut store = SpoolStore::create(dir).unwrap();
    store.commit(|connection| rows.iter().try_for_each(|row| insert(connection, row))).unwrap();
    store
}

fn seqs(rows: &[Row]) -> Vec<i64> {
    rows.iter().map(|row| row.seq).collect()
}

#[test]
fn a_lane_is_read_in_order_from_a_place_on_and_no_further_than_told() {
    let dir = tempfile::tempdir().unwrap();
    let rows = [row(1, "a", b"1"), row(2, "b", b"2"), row(3, "a", b"3"), row(4, "a", b"\xff\0"), row(5, "a", b"5")];
    let store = filled(dir.path(), &rows);
    assert_eq!(seqs(&store.read("a", (0, 5), 10, 10_000).unwrap()), [1, 3, 4, 5]);
    assert_eq!(seqs(&store.read("a", (1, 4), 10, 10_000).unwrap()), [3, 4]);
    assert_eq!(seqs(&store.read("a", (0, 5), 2, 10_000).unwrap()), [1, 3]);
    assert_eq!(seqs(&store.read("a", (0, 5), 10, 600).unwrap()), [1, 3], "by bytes");
    assert_eq!(seqs(&store.read("a", (0, 5), 10, 1).unwrap()), [1], "one at least");
    let whole = &store.read("a", (3, 5), 1, 1).unwrap()[0];
    assert_eq!((&*whole.body, &*whole.headers), (&b"\xff\0"[..], &b"content-type: application/json\n"[..]));
    assert_eq!(store.last_seq().unwrap(), 5);
}

#[test]
fn what_waits_is_summed_up_by_kind_and_without_a_temporary_file() {
    let dir = tempfile::tempdir().unwrap();
    let other = |seq, event_type| NewRow { event_type, ..row(seq, "a", b"22") };
    let rows = [row(1, "b", b"1"), other(2, None), other(3, Some("deal.lost")), row(4, "a", b"1"), row(5, "b", b"1")];
    let store = filled(dir.path(), &rows);
    let kinds = store.waiting().unwrap();
    let kind = |w: &Waiting| (w.lane.clone(), w.event_type.clone(), w.records, w.bytes, w.oldest - 1_780_401_600_000);
    let expected = [
        ("b", Some("deal.won"), 2, 514, 1),
        ("a", None, 1, 258, 2),
        ("a", Some("deal.lost"), 1, 258, 3),
        ("a", Some("deal.won"), 1, 257, 4),
    ];
    let expected = expected.map(|(lane, kind, n, bytes, at)| (lane.to_owned(), kind.map(str::to_owned), n, bytes, at));
    assert_eq!(kinds.iter().map(kind).collect::<Vec<_>>(), expected);
    let plan = store.rows(&format!("EXPLAIN QUERY PLAN {ALL_WAITING}"), [], |row| row.get::<_, String>(3)).unwrap();
    assert!(plan.iter().all(|step| step.contains("COVERING INDEX by_lane")), "{plan:?}");
}

#[test]
fn what_was_committed_is_there_for_another_reader_and_after_a_reopening() {
    let dir = tempfile::tempdir().unwrap();
    assert!(SpoolStore::look(dir.path()).unwrap().is_none(), "looking makes no file");
    let mut store = filled(dir.path(), &[row(1, "a", b"1"), row(2, "b", b"22")]);
    let other = SpoolStore::look(dir.path()).unwrap().unwrap();
    let waiting = other.waiting().unwrap();
    assert_eq!(
        waiting.iter().map(|w| (&*w.lane, w.records, w.bytes)).collect::<Vec<_>>(),
        [("a", 1, 257), ("b", 1, 258)]
    );
    store.commit(|connection| relocate(connection, 1, 3, "b", b"why\n").and_then(|_| delete(connection, 2))).unwrap();
    let moved = other.read("b", (0, 9), 9, 9_000).unwrap();
    assert_eq!(seqs(&moved), [3]);
    assert_eq!(&*moved[0].headers, b"why\ncontent-type: application/json\n");
    assert!(other.read("a", (0, 9), 9, 9_000).unwrap().is_empty());
    drop((store, other));
    let mut ids = Vec::new();
    let listed = SpoolStore::create(dir.path()).unwrap().each(|row| {
        ids.push((row.seq, row.lane, row.body.len()));
        true
    });
    listed.unwrap();
    assert_eq!(ids, [(3, "b".to_owned(), 0)]);
}

#[test]
fn a_transaction_that_fails_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = filled(dir.path(), &[row(1, "a", b"1")]);
    let twice = [row(2, "a", b"2"), row(1, "a", b"again")];
    assert!(store.commit(|connection| twice.iter().try_for_each(|row| insert(connection, row))).is_err());
    assert_eq!(seqs(&store.read("a", (0, 9), 9, 9_000).unwrap()), [1]);
}

#[test]
fn what_waits_follows_its_topic_to_a_new_name() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = filled(dir.path(), &[row(1, "old.a", b"1"), row(2, "b", b"2"), row(3, "old.a", b"3")]);
    store.reroute(|waiting| waiting.lane.replace("old.", "new.")).unwrap();
    assert_eq!(seqs(&store.read("new.a", (0, 9), 9, 9_000).unwrap()), [1, 3]);
    assert_eq!(seqs(&store.read("b", (0, 9), 9, 9_000).unwrap()), [2]);
}

#[test]
fn space_is_given_back() {
    let dir = tempfile::tempdir().unwrap();
    let body = vec![b'x'; 100_000];
    let rows: Vec<_> = (1..=50).map(|seq| row(seq, "a", &body)).collect();
    let mut store = filled(dir.path(), &rows);
    store.checkpoint().unwrap();
    let full = std::fs::metadata(dir.path().join(FILE)).unwrap().len();
    assert!(full > 5_000_000, "{full}");
    store.commit(|connection| (1..=50).try_for_each(|seq| delete(connection, seq).map(drop))).unwrap();
    while store.shrink(100).unwrap() {}
    store.checkpoint().unwrap();
    let empty = std::fs::metadata(dir.path().join(FILE)).unwrap().len();
    assert!(empty < 100_000, "{empty}");
}

#[test]
fn a_file_of_another_layout_or_that_is_no_database_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(SpoolStore::create(dir.path()).unwrap());
    let connection = Connection::open(dir.path().join(FILE)).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    drop(connection);
    let words = SpoolStore::create(dir.path()).err().unwrap().to_string();
    assert!(words.contains("spool.db: its layout is 99"), "{words}");

    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join(FILE), vec![b'?'; 8192]).unwrap();
    assert!(SpoolStore::create(dir.path()).err().unwrap().to_string().contains("not a database"));
}

#[test]
fn a_torn_last_write_costs_only_what_was_not_committed() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path(), &[row(1, "a", b"1"), row(2, "a", b"2")]);
    // As a crash leaves it: the log is there, and ends in the middle of a write.
    let log = std::fs::read(dir.path().join("spool.db-wal")).unwrap();
    let file = std::fs::read(dir.path().join(FILE)).unwrap();
    drop(store);
    let crashed = tempfile::tempdir().unwrap();
    std::fs::write(crashed.path().join(FILE), file).unwrap();
    let torn = [&log[..], &log[log.len() - 4120..log.len() - 1000]].concat();
    std::fs::write(crashed.path().join("spool.db-wal"), torn).unwrap();
    let store = SpoolStore::create(crashed.path()).unwrap();
    assert_eq!(seqs(&store.read("a", (0, 9), 9, 9_000).unwrap()), [1, 2]);
}
