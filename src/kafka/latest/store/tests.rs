//! What is saved is there again, and a damaged file is made anew.

use super::super::{Channel, Claim, LatestTopics, Waits, WriteEnd};
use super::*;

fn topics() -> Vec<Arc<str>> {
    vec!["a-latest".into(), "b-latest".into()]
}

fn opened(dir: &Path) -> (LatestStore, Arc<LatestTopics>) {
    let latest = LatestTopics::new(topics(), 1000);
    let (store, saved) = LatestStore::open(dir, latest.topics()).unwrap();
    latest.load(saved);
    (store, latest)
}

fn claim(latest: &Arc<LatestTopics>, topic: &str, key: &str, at: Option<i64>) -> Claim {
    latest.claim(topic, key, StateVersion::of(at), (Channel::Apart, Waits::Long))
}

fn write(latest: &Arc<LatestTopics>, topic: &str, key: &str, at: Option<i64>, offset: i64) {
    let Claim::Now(ticket) = claim(latest, topic, key, at) else { panic!("{key} is superseded") };
    ticket.end(WriteEnd::Written(0, offset));
}

fn is_old(latest: &Arc<LatestTopics>, topic: &str, key: &str, at: Option<i64>) -> bool {
    matches!(claim(latest, topic, key, at), Claim::Superseded)
}

#[test]
fn what_was_saved_is_known_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let (mut store, latest) = opened(dir.path());
    store.begin("cluster").unwrap();
    write(&latest, "a-latest", "k", Some(10), 0);
    write(&latest, "b-latest", "k", None, 0);
    write(&latest, "b-latest", "gone", Some(5), 1);
    store.save(&latest.take_unsaved(false).unwrap()).unwrap();
    latest.note_read("b-latest", 0, 2, "gone", None);
    latest.read_up_to("b-latest", 0, 3);
    store.save(&latest.take_unsaved(false).unwrap()).unwrap();
    // This is not saved: the topic has it.
    write(&latest, "a-latest", "k", Some(20), 1);
    drop((store, latest));

    let (store, latest) = opened(dir.path());
    assert_eq!(store.cluster().unwrap().as_deref(), Some("cluster"));
    assert_eq!((latest.next("a-latest", 0), latest.next("b-latest", 0)), (1, 3));
    assert!(is_old(&latest, "a-latest", "k", Some(9)) && !is_old(&latest, "a-latest", "k", Some(10)));
    assert!(!is_old(&latest, "b-latest", "k", None));
    assert!(!is_old(&latest, "b-latest", "gone", None), "a tombstone came behind it");
    assert_eq!(latest.counts().0, 2);
}

#[test]
fn all_is_saved_again_when_it_could_not_be_before() {
    let dir = tempfile::tempdir().unwrap();
    let (mut store, latest) = opened(dir.path());
    write(&latest, "a-latest", "k", Some(10), 0);
    drop(latest.take_unsaved(false));
    store.save(&latest.take_unsaved(true).unwrap()).unwrap();
    drop(store);
    assert!(is_old(&opened(dir.path()).1, "a-latest", "k", Some(9)));
}

#[test]
fn a_topic_that_is_not_ours_any_more_goes_and_another_cluster_has_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (mut store, latest) = opened(dir.path());
    write(&latest, "a-latest", "k", Some(10), 0);
    write(&latest, "b-latest", "k", Some(10), 0);
    store.save(&latest.take_unsaved(false).unwrap()).unwrap();
    drop(store);
    let (_, saved) = LatestStore::open(dir.path(), &topics()[1..]).unwrap();
    assert_eq!((saved.states.len(), saved.next), (1, vec![(0, 0, 1)]));
    let (mut store, _) = opened(dir.path());
    store.begin("another").unwrap();
    drop(store);
    assert!(!is_old(&opened(dir.path()).1, "b-latest", "k", Some(9)));
}

#[test]
fn a_file_that_cannot_be_used_is_made_anew() {
    for text in ["not a database at all, and long enough to be looked at as one", ""] {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(FILE), text).unwrap();
        let (mut store, latest) = opened(dir.path());
        write(&latest, "a-latest", "k", Some(10), 0);
        store.save(&latest.take_unsaved(false).unwrap()).unwrap();
        drop(store);
        assert!(is_old(&opened(dir.path()).1, "a-latest", "k", Some(9)));
    }
}
