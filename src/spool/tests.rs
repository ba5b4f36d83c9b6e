//! Who reads while the file grows, and what room the limits leave.

use std::time::Duration;

use bytes::Bytes;

use super::*;
use crate::source::verify::event_id;

/// A disk that hangs holds up who reads. Meanwhile a delivery may get to the file of which its sender was told to send it again, and
/// who began to read before does not know that.
#[tokio::test]
#[allow(clippy::await_holding_lock, reason = "it is held as by a disk that hangs")]
async fn what_comes_while_a_reader_is_held_up_is_not_given_to_it() {
    let text = crate::tools::dev::configuration("k:1", "http://r", true, Path::new("data"));
    let settings = crate::config::from_text("spool", &text, &crate::config::Environment::default()).unwrap();
    let metrics = Metrics::new(&settings, &[], std::iter::empty()).unwrap();
    let limits = SpoolSettings { max_bytes: 1 << 20, max_lane_bytes: 1 << 20, min_free_bytes: 0 };
    let dir = tempfile::tempdir().unwrap();
    let (spool, _to_drain) = Spool::open(dir.path(), limits, Arc::new(metrics), |w| w.lane.clone()).unwrap();
    let (lane, spool) = (spool.lane("wegly.deal"), Arc::new(spool));
    let append = async |body: &'static str| {
        let (source, id) = (Arc::clone(&settings.sources["wegly"]), event_id("wegly", body.as_bytes()));
        let delivery = Verified::kept(id, source, b"", Bytes::from_static(body.as_bytes()), 0);
        let until = Instant::now() + Duration::from_secs(60);
        let before = spool.visible();
        spool.append(&lane, &delivery, None, None, (vec![1], &[]), until).await.unwrap();
        while spool.visible() == before {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    append("before").await;
    let held = spool.shared.reader();
    let places = (0, spool.visible());
    let reading = tokio::spawn({
        let (spool, lane) = (Arc::clone(&spool), Arc::clone(&lane));
        async move { spool.read(&lane, places).await.unwrap() }
    });
    append("meanwhile").await;
    drop(held);
    let bodies = |rows: Vec<Row>| rows.into_iter().map(|row| row.body).collect::<Vec<_>>();
    assert_eq!(bodies(reading.await.unwrap()), [b"before"]);
    assert_eq!(spool.read(&lane, (0, spool.visible())).await.unwrap().len(), 2);
}

#[test]
fn room_is_what_the_nearest_limit_leaves() {
    let limits = SpoolSettings { max_bytes: 100 << 20, max_lane_bytes: 50 << 20, min_free_bytes: 64 << 20 };
    let mib = |bytes: u64| bytes << 20;
    for (held, free, expected) in [
        (0, Some(mib(1000)), 100),
        (40, Some(mib(1000)), 60),
        // 64 MiB are reserved, and 16 for the log.
        (0, Some(mib(110)), 30),
        (0, Some(mib(80)), 0),
        (0, Some(0), 0),
        (101, Some(mib(1000)), 0),
        (40, None, 60),
    ] {
        let room = SpoolRoom::within(&limits, mib(held), free);
        assert_eq!(room, SpoolRoom { bytes: mib(expected), free }, "{held} MiB held");
    }
}
