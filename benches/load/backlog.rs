//! How fast a backlog leaves the spool, by how many keys it is of: beside how fast the same events are taken when nothing
//! waits, which it has to exceed for a backlog to leave under load.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use hookbridge::bench::TOKEN;

use crate::cluster::{Broker, Cluster};
use crate::contender::Contender;
use crate::report::{self, Backlog};
use crate::sender::{Pace, connect, send};
use crate::stage::on_one_thread;
use crate::support::eventually;

/// Keys that a backlog is of: a busy one, a few, many.
const KEYS: [usize; 3] = [1, 4, 1000];
/// Connections that events are sent on.
const CONNECTIONS: usize = 64;
/// How often is looked whether the backlog is gone.
const LOOK: Duration = Duration::from_millis(10);
/// What the slowest of them may take.
const LIMIT: Duration = Duration::from_secs(600);

/// A message of one of `keys` tickets, as Whazing sends it.
fn message(number: usize, keys: usize) -> Vec<u8> {
    let body = format!(
        r#"{{"messageId":"{number}","fromMe":false,"messageBody":"{}","ticket":{{"id":{}}}}}"#,
        "word ".repeat(100),
        number % keys + 1
    );
    let head = format!(
        "POST /webhooks/whazing HTTP/1.1\r\nhost: localhost\r\nx-n8n-api-key: {TOKEN}\r\ncontent-type: \
         application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    (head + &body).into_bytes()
}

/// Lets `events` wait until Kafka is there again, and times how they leave; then sends as many again. So for each number of keys.
pub(crate) fn measure(cluster: &Cluster, events: usize, rounds: usize) {
    let Broker::StandIn { mock, after } = &cluster.broker else {
        panic!("a Kafka that goes away at once and comes back at once: give --stand-in TIME");
    };
    let mut rows = Vec::new();
    for keys in KEYS {
        let requests: Arc<[_]> = (0..events).map(|number| message(number, keys)).collect();
        let each = (0..rounds).map(|round| {
            let contender = Contender::alone(cluster, &format!("backlog-{keys}-{round}"));
            let running = contender.start();
            let send = || {
                on_one_thread(async {
                    let connections = connect(running.address, CONNECTIONS).await;
                    send(connections, &requests, events as u64, Pace::Closed).await
                })
            };
            let waiting = || running.metric("hookbridge_spool_records");
            let straight = send();
            assert!(straight.answers.keys().eq([&200]), "nothing waits: {:?}", straight.answers);

            mock.go_down();
            eventually("Kafka is away", LIMIT, || (running.metric("hookbridge_kafka_up") == 0).then_some(()));
            let spooled = send();
            assert!(spooled.answers.keys().eq([&202]), "all wait: {:?}", spooled.answers);
            mock.come_up();
            eventually("the first ones leave", LIMIT, || (waiting() < events as u64).then_some(()));
            let (began, left) = (Instant::now(), waiting());
            while waiting() > 0 {
                assert!(began.elapsed() < LIMIT, "{} events wait", waiting());
                thread::sleep(LOOK);
            }
            let leaves = left as f64 / began.elapsed().as_secs_f64();
            Backlog { leaves, taken: events as f64 / straight.took.as_secs_f64() }
        });
        rows.push((keys, each.collect()));
    }
    report::backlogs(*after, events, CONNECTIONS, &rows);
}
