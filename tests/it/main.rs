//! The integration tests: the built program, driven over HTTP and signals, against a real Kafka and a real registry
//! where they can be had (`../support/servers.rs` says which), and read back by clients that are not ours.
//!
//! ```text
//! support/sender ──▶ hookbridge (support/bridge) ──▶ Kafka, registry (support/servers) ──▶ support/reader, read_back.py
//! ```
//!
//! Each test has a topic prefix and a data directory of its own, so all run at once.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in tests a panic is the report")]

#[path = "../support/support.rs"]
mod support;

mod admin_door;
mod audit;
mod batches;
mod check;
mod connect;
mod console;
mod console_browser;
mod damage;
mod dead_letters;
mod dead_letters_replay;
mod dev;
mod doors;
mod examples;
mod examples_house;
mod first_configuration;
mod foreign_client;
mod forget;
mod gallery;
mod h2_frames;
mod hashed;
mod installed;
mod kafka_security;
mod latest_order;
mod latest_topics;
mod leaderless;
mod linked;
mod media;
mod memory;
mod metrics;
mod one_rule;
mod outages;
mod overload;
mod partitions;
mod phones;
mod private_files;
mod producers;
mod profile;
mod publishes;
mod readers;
mod recognised;
mod refusals;
mod refused_bodies;
mod refuses;
mod registry_answers;
mod registry_changes;
mod registry_levels;
mod reload;
mod sends;
mod shutdown;
mod siege;
mod signatures;
mod smuggling;
mod split;
mod spool;
mod strangers;
mod tail;
mod tampering;
mod terminal;
mod third_vendor;
mod tls;
mod tracing;
mod trial;
mod types;
mod unwritable_log;
mod vendor_doors;
mod verdicts;
mod wrong_clock;
mod wrong_configurations;
