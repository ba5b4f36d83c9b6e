//! Moves a partition: `AlterPartitionReassignments` of Kafka's protocol, by hand, since librdkafka has no call for it.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

const API_KEY: i16 = 45;
/// The first version there is; its arrays, strings and headers are of the flexible kind.
const API_VERSION: i16 = 0;
const LIMIT: Duration = Duration::from_secs(30);

/// Has Kafka begin to move a partition to these nodes, by the first of `addresses`; it goes on by itself.
pub(crate) fn start(addresses: &str, topic: &str, partition: i32, replicas: &[i32]) {
    let address = addresses.split(',').next().expect("an address");
    let mut connection = TcpStream::connect(address).expect("Kafka listens");
    connection.set_read_timeout(Some(LIMIT)).expect("a time limit");
    let request = request(topic, partition, replicas);
    let length = i32::try_from(request.len()).expect("short").to_be_bytes();
    connection.write_all(&[&length, request.as_slice()].concat()).expect("Kafka reads");
    let mut length = [0; 4];
    connection.read_exact(&mut length).expect("Kafka answers");
    let mut answer = vec![0; usize::try_from(i32::from_be_bytes(length)).expect("a length")];
    connection.read_exact(&mut answer).expect("Kafka answers");
    // Correlation id, no tags, throttle time; then the error of the whole, an absent message, and the topics.
    assert_eq!(answer[9..11], [0, 0], "Kafka moves no partition: {}", String::from_utf8_lossy(&answer));
    let of_partition = answer.len() - 6;
    assert_eq!(answer[of_partition..][..2], [0, 0], "{topic} {partition}: {}", String::from_utf8_lossy(&answer));
}

fn request(topic: &str, partition: i32, replicas: &[i32]) -> Vec<u8> {
    const NO_TAGS: u8 = 0;
    let mut bytes = Vec::new();
    bytes.extend(API_KEY.to_be_bytes());
    bytes.extend(API_VERSION.to_be_bytes());
    bytes.extend(1_i32.to_be_bytes()); // correlation id
    bytes.extend((-1_i16).to_be_bytes()); // no name of the client
    bytes.push(NO_TAGS);
    bytes.extend((LIMIT.as_millis() as i32).to_be_bytes());
    bytes.push(length(1)); // topics
    bytes.push(length(topic.len()));
    bytes.extend(topic.as_bytes());
    bytes.push(length(1)); // partitions
    bytes.extend(partition.to_be_bytes());
    bytes.push(length(replicas.len()));
    bytes.extend(replicas.iter().flat_map(|node| node.to_be_bytes()));
    bytes.extend([NO_TAGS; 3]); // of the partition, of the topic, of the request
    bytes
}

/// A flexible length is one more than it says; one byte will do for what is sent here.
fn length(of: usize) -> u8 {
    u8::try_from(of + 1).ok().filter(|length| *length < 0x80).expect("a short name")
}
