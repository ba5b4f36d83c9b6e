//! Carries a client's connection to the mock cluster, which was made for librdkafka's own tests: other clients cannot
//! read some of its answers, and some of their requests it cannot read, or even ends the process over.
//!
//! | in this | the cluster | here |
//! | --- | --- | --- |
//! | `ApiVersions` newer than version 2 | answers in a form of its own: Java reads an order to wait for 20 minutes out of it | version 0 with the error code, as KIP-511 says; the client asks again |
//! | requests with "flexible" fields, `LeaveGroup` 3 | misreads some of them, or leaves fields out | not offered |
//! | `ConsumerGroupHeartbeat` (KIP-848) | fails an assertion if a client names topics and has no pattern, as Java does | not offered |
//! | `Metadata`, `FindCoordinator` | gives its own port, which changes from run to run, on 127.0.0.1 | the address that the client connected to |
//!
//! A request that is not offered ends the connection, as it does in Kafka. All else passes as it is. The layouts are those
//! of Kafka's protocol guide.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::{io, ops};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

const METADATA: i16 = 3;
const FIND_COORDINATOR: i16 = 10;
const API_VERSIONS: i16 = 18;

/// What is offered: the number of a request, and its oldest and newest version. The newest is the last before those with
/// "flexible" fields.
const OFFERED: [(i16, i16, i16); 18] = [
    (0, 0, 8),                // Produce
    (1, 0, 11),               // Fetch
    (2, 0, 5),                // ListOffsets
    (METADATA, 0, 8),         // The newest that `broker_host` can read.
    (8, 0, 7),                // OffsetCommit
    (9, 0, 5),                // OffsetFetch
    (FIND_COORDINATOR, 0, 2), // The newest that `coordinator_host` can read.
    (11, 0, 5),               // JoinGroup
    (12, 0, 3),               // Heartbeat
    (13, 0, 2),               // LeaveGroup: 3 has members, and the cluster's answer has none
    (14, 0, 3),               // SyncGroup
    (API_VERSIONS, 0, 2),
    (22, 0, 1), // InitProducerId
    (23, 2, 2), // OffsetForLeaderEpoch
    (24, 0, 1), // AddPartitionsToTxn
    (25, 0, 1), // AddOffsetsToTxn
    (26, 0, 1), // EndTxn
    (28, 0, 2), // TxnOffsetCommit
];

const UNSUPPORTED_VERSION: i16 = 35;
/// Kafka's own limit of a request, `socket.request.max.bytes`.
const FRAME_LIMIT: u32 = 100 << 20;

/// Requests, by number and version, whose answers are to be changed; by the correlation id that an answer will carry.
type Awaited = Mutex<HashMap<i32, (i16, i16)>>;

/// Carries a connection until either side ends it.
///
/// # Errors
/// When the cluster cannot be reached, a connection breaks, or the client asks for what is not offered.
pub(crate) async fn carry(mut client: TcpStream, cluster: &str) -> io::Result<()> {
    let here = client.local_addr()?;
    let mut cluster = TcpStream::connect(cluster).await?;
    // Each frame is one write; none should wait for the acknowledgement of the one before.
    client.set_nodelay(true)?;
    cluster.set_nodelay(true)?;
    let awaited = Awaited::default();
    let ((from_client, to_client), (from_cluster, to_cluster)) = (client.split(), cluster.split());
    let requests = frames(from_client, to_cluster, |request| ask(request, &awaited));
    let answers = frames(from_cluster, to_client, |answer| mend(answer, here, &awaited));
    tokio::select! { ended = requests => ended, ended = answers => ended }
}

/// Carries frames, each changed by `change`, until the connection ends.
async fn frames(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    change: impl Fn(&mut Vec<u8>) -> Option<()>,
) -> io::Result<()> {
    loop {
        let length = match from.read_u32().await {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            length => length?,
        };
        if length > FRAME_LIMIT {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut frame = vec![0; length as usize];
        from.read_exact(&mut frame).await?;
        change(&mut frame).ok_or(io::ErrorKind::InvalidData)?;
        frame.splice(..0, (frame.len() as u32).to_be_bytes());
        to.write_all(&frame).await?;
    }
}

fn offers(number: i16, version: i16) -> bool {
    OFFERED.iter().any(|(offered, oldest, newest)| *offered == number && (*oldest..=*newest).contains(&version))
}

/// Remembers a request whose answer is to be changed; nothing if it is not offered.
fn ask(request: &mut [u8], awaited: &Awaited) -> Option<()> {
    let (number, version, correlation) = (i16_at(request, 0)?, i16_at(request, 2)?, i32_at(request, 4)?);
    if !offers(number, version) {
        if number != API_VERSIONS {
            return None;
        }
        // The cluster answers in turn; what it answers does not matter.
        request[2..4].copy_from_slice(&0_i16.to_be_bytes());
    }
    if [API_VERSIONS, METADATA, FIND_COORDINATOR].contains(&number) {
        awaited.lock().unwrap_or_else(PoisonError::into_inner).insert(correlation, (number, version));
    }
    Some(())
}

/// Changes an answer, if it is to be changed; nothing if it cannot be read.
fn mend(answer: &mut Vec<u8>, here: SocketAddr, awaited: &Awaited) -> Option<()> {
    let correlation = i32_at(answer, 0)?;
    let asked = awaited.lock().unwrap_or_else(PoisonError::into_inner).remove(&correlation);
    match asked {
        Some((API_VERSIONS, version)) => *answer = offer(correlation, version),
        Some((METADATA, version)) => readdress(answer, broker_host(version), here)?,
        Some((FIND_COORDINATOR, version)) => {
            let at = coordinator_host(answer, version)?;
            readdress(answer, at, here)?;
        }
        _ => {}
    }
    Some(())
}

/// The answer to `ApiVersions`; in version 0 where the version is not known.
fn offer(correlation: i32, version: i16) -> Vec<u8> {
    let error = if offers(API_VERSIONS, version) { 0 } else { UNSUPPORTED_VERSION };
    let mut answer =
        [&correlation.to_be_bytes()[..], &error.to_be_bytes(), &(OFFERED.len() as i32).to_be_bytes()].concat();
    for (number, oldest, newest) in OFFERED {
        answer.extend([number, oldest, newest].into_iter().flat_map(i16::to_be_bytes));
    }
    if error == 0 && version >= 1 {
        answer.extend(0_i32.to_be_bytes()); // the throttle time
    }
    answer
}

/// Where the host of the one broker begins: after the correlation id, the throttle time, the number of brokers and the
/// broker's own number.
fn broker_host(version: i16) -> usize {
    4 + if version >= 3 { 4 } else { 0 } + 4 + 4
}

/// Where the coordinator's host begins: after the correlation id, the throttle time, the error and its message, and the
/// broker's number.
fn coordinator_host(answer: &[u8], version: i16) -> Option<usize> {
    let error = if version >= 1 { 4 + 4 } else { 4 };
    let message = error + 2;
    Some(if version >= 1 { text(answer, message)?.end } else { message } + 4)
}

/// Puts `here` where a host and a port stand; leaves a host that is null.
fn readdress(answer: &mut Vec<u8>, at: usize, here: SocketAddr) -> Option<()> {
    let host = text(answer, at)?;
    if !host.is_empty() {
        let ours = here.ip().to_string();
        let (length, port) = ((ours.len() as i16).to_be_bytes(), i32::from(here.port()).to_be_bytes());
        answer.get(at..host.end + 4)?;
        answer.splice(at..host.end + 4, [&length[..], ours.as_bytes(), &port].concat());
    }
    Some(())
}

/// Where the bytes of a text stand whose length stands at `at`; null has none.
fn text(bytes: &[u8], at: usize) -> Option<ops::Range<usize>> {
    let length = usize::try_from(i16_at(bytes, at)?).unwrap_or(0);
    Some(at + 2..at + 2 + length)
}

fn i16_at(bytes: &[u8], at: usize) -> Option<i16> {
    Some(i16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn i32_at(bytes: &[u8], at: usize) -> Option<i32> {
    Some(i32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: &str = "10.0.0.7:9092";

    fn request(number: i16, version: i16) -> Vec<u8> {
        [&number.to_be_bytes()[..], &version.to_be_bytes(), &7_i32.to_be_bytes(), &[0, 1, b'c']].concat()
    }

    /// What a client gets that asked for `number`, if the cluster answers with `answer`.
    fn mended(number: i16, version: i16, answer: &[u8]) -> Option<Vec<u8>> {
        let awaited = Awaited::default();
        ask(&mut request(number, version), &awaited)?;
        let mut answer = answer.to_vec();
        mend(&mut answer, HERE.parse().unwrap(), &awaited)?;
        Some(answer)
    }

    #[test]
    fn an_unknown_version_of_api_versions_is_answered_in_version_0_with_the_error() {
        let mut asked = request(API_VERSIONS, 4);
        ask(&mut asked, &Awaited::default()).unwrap();
        assert_eq!(asked, request(API_VERSIONS, 0));
        let answer = mended(API_VERSIONS, 4, &7_i32.to_be_bytes()).unwrap();
        assert_eq!(answer[..10], [0, 0, 0, 7, 0, 35, 0, 0, 0, OFFERED.len() as u8]);
        assert_eq!(answer.len(), 10 + 6 * OFFERED.len());
        let known = mended(API_VERSIONS, 2, &7_i32.to_be_bytes()).unwrap();
        assert_eq!((&known[4..6], known.len()), (&[0, 0][..], answer.len() + 4));
    }

    #[test]
    fn what_is_not_offered_ends_the_connection() {
        for (number, version) in [(68, 1), (71, 0), (11, 6), (13, 3), (METADATA, 9), (23, 1), (-1, 0)] {
            assert!(ask(&mut request(number, version), &Awaited::default()).is_none(), "{number} {version}");
        }
        assert!(ask(&mut request(0, 8), &Awaited::default()).is_some());
        assert!(ask(&mut [0, 0, 0], &Awaited::default()).is_none());
    }

    #[test]
    fn brokers_and_coordinators_are_where_the_client_connected() {
        let place = |host: &[u8], port: [u8; 4]| [&[0, 0, 0, 1, 0, host.len() as u8], host, &port].concat();
        let theirs = place(b"127.0.0.1", [0, 0, 0x84, 0xdb]);
        let ours = place(b"10.0.0.7", [0, 0, 0x23, 0x84]);
        let cases: [(i16, i16, &[u8]); 5] = [
            (METADATA, 0, &[0, 0, 0, 7, 0, 0, 0, 1]),
            (METADATA, 8, &[0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 1]),
            (FIND_COORDINATOR, 0, &[0, 0, 0, 7, 0, 0]),
            (FIND_COORDINATOR, 2, &[0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0xff, 0xff]),
            (FIND_COORDINATOR, 2, &[0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 2, b'n', b'o']),
        ];
        for (number, version, before) in cases {
            let [theirs, ours] = [&theirs, &ours].map(|place| [before, place, &[9, 9]].concat());
            assert_eq!(mended(number, version, &theirs).unwrap(), ours, "{number} {version}");
            assert_eq!(mended(number, version, &theirs[..theirs.len() - 3]), None, "{number} {version}, cut off");
        }
        let nowhere =
            [0, 0, 0, 7, 0, 0, 0, 0, 0, 15, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
        assert_eq!(mended(FIND_COORDINATOR, 1, &nowhere).unwrap(), nowhere);
    }

    #[test]
    fn other_answers_pass_as_they_are() {
        let fetched = [0, 0, 0, 7, 1, 2, 3];
        assert_eq!(mended(1, 11, &fetched).unwrap(), fetched);
    }
}
