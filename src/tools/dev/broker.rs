//! A broker for trying out: librdkafka's mock cluster, which speaks Kafka's protocol on TCP and keeps its records in
//! memory. Not for production: 5 MiB per partition, then the oldest records go, and all of them with the process.
//!
//! The cluster's own port changes from run to run, and it was made for one client only. So clients connect to a steady
//! port, and [`translate`](super::translate) carries what they say.

use std::sync::mpsc;
use std::thread;

use rdkafka::error::KafkaError;
use rdkafka::mocking::MockCluster;
use tokio::net::TcpListener;

use super::translate::carry;

/// What a partition keeps, as librdkafka has it.
pub(crate) const BYTES_PER_PARTITION: usize = 5 << 20;

/// Why there is no broker.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BrokerError {
    /// librdkafka's own words.
    #[error(transparent)]
    Kafka(#[from] KafkaError),
    /// The cluster's thread is gone.
    #[error(transparent)]
    Gone(#[from] mpsc::RecvError),
}

/// A running broker; it ends when this is dropped.
pub(crate) struct EmbeddedBroker {
    /// The cluster's own address.
    address: String,
    /// The cluster's thread waits for this to go away.
    _alive: mpsc::Sender<()>,
}

impl EmbeddedBroker {
    /// Starts one broker with these topics; it can make no others.
    ///
    /// # Errors
    /// librdkafka's own words.
    pub(crate) fn start(topics: Vec<String>, partitions: i32) -> Result<EmbeddedBroker, BrokerError> {
        let (alive, gone) = mpsc::channel::<()>();
        let (tell, told) = mpsc::channel();
        // The cluster cannot change threads, so it has one of its own.
        thread::spawn(move || {
            let made = MockCluster::new(1).and_then(|cluster| {
                topics.iter().try_for_each(|topic| cluster.create_topic(topic, partitions, 1))?;
                Ok(cluster)
            });
            let _ = tell.send(made.as_ref().map(MockCluster::bootstrap_servers).map_err(Clone::clone));
            let _ = gone.recv();
        });
        let address = told.recv()??;
        Ok(EmbeddedBroker { address, _alive: alive })
    }

    /// Carries connections on `listener` to the cluster, until the task is dropped.
    pub(crate) async fn forward(&self, listener: TcpListener) {
        loop {
            match listener.accept().await {
                Ok((client, _)) => {
                    let address = self.address.clone();
                    // Whatever ends a connection, its client notices.
                    tokio::spawn(async move { carry(client, &address).await });
                }
                Err(error) => tracing::warn!(%error, "cannot accept a connection to the broker"),
            }
        }
    }
}
