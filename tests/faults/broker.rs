//! The Kafka that is killed, paused and started again: a real one, the suite's own, always on the same directory and
//! port.

use std::sync::{LazyLock, Mutex};

use crate::setting::Setting;
use crate::support::bridge::Setup;
use crate::support::java::{self, Kafka};
use crate::support::proxy::Proxy;
use crate::topics;

/// After a kill it must not wait 9 s until its controller has given up its former self.
const PROPERTIES: &str = "broker.session.timeout.ms=2000\nbroker.heartbeat.interval.ms=500\n";

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Up,
    Paused,
    Down,
}

pub(crate) struct Broker {
    kafka: Kafka,
    /// Before its back door.
    front: Proxy,
    state: Mutex<State>,
}

/// The broker, or what is missing to have one.
pub(crate) fn broker() -> Result<&'static Broker, &'static str> {
    static BROKER: LazyLock<Result<Broker, String>> = LazyLock::new(|| {
        let front = Proxy::closed();
        let kafka = java::prepare_kafka("kafka-of-faults", Some(front.address), PROPERTIES, &[], java::SMALL_JVM)?;
        kafka.start()?;
        Ok(Broker { kafka, front, state: Mutex::new(State::Up) })
    });
    BROKER.as_ref().map_err(String::as_str)
}

impl Broker {
    /// The same Kafka by way of a proxy, which can be closed and opened within a moment.
    pub(crate) fn front(&self) -> String {
        self.front.address.to_string()
    }

    /// Closes that way, and cuts what is on it.
    pub(crate) fn close_front(&self) {
        self.front.close();
    }

    /// Opens that way.
    pub(crate) fn open_front(&self) {
        self.front.open(&self.kafka.back_door);
    }

    /// `kill -9`.
    pub(crate) fn kill(&self) {
        self.kafka.server.order("KILL");
        *self.state.lock().expect("its state") = State::Down;
    }

    /// Starts it after a kill, and waits until it listens.
    pub(crate) fn start(&self) {
        self.kafka.start().expect("Kafka comes up again");
        *self.state.lock().expect("its state") = State::Up;
    }

    /// `SIGSTOP`: connections stay, and nothing is answered on them.
    pub(crate) fn pause(&self) {
        self.kafka.server.order("STOP");
        *self.state.lock().expect("its state") = State::Paused;
    }

    /// `SIGCONT`.
    pub(crate) fn resume(&self) {
        self.kafka.server.order("CONT");
        *self.state.lock().expect("its state") = State::Up;
    }

    /// Makes a topic, as soon as one of that name that was deleted is gone.
    pub(crate) fn create_topic(&self, name: &str, partitions: i32) {
        topics::create(&self.kafka.address, name, partitions, None);
    }
}

impl Setting for Broker {
    fn configure(&self, setup: &mut Setup) {
        setup.bootstrap.clone_from(&self.kafka.address);
    }

    fn address(&self) -> String {
        self.kafka.address.clone()
    }

    fn mend(&self) {
        let state = *self.state.lock().expect("its state");
        match state {
            State::Up => {}
            State::Paused => self.resume(),
            State::Down => self.start(),
        }
    }
}
