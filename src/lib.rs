//! hookbridge: a stream bridge to Kafka. It verifies webhooks, converts them into registered Avro records, and
//! answers only when Kafka has them.
//!
//! ```text
//! request ─▶ http ─▶ verify ─▶ identify ─▶ encode ─▶ route ─▶ publish ─▶ 200
//!             │        │           └──────────┴─▶ dead_letter ─▶ publish ─▶ 202
//!             │        └ 401                                        └ 503
//!             └ 404 405 408 413 415 429 503
//! ```
//!
//! `catalog` says what there is to verify and convert, `registry` which ids the schemas have. Each stage's type can
//! only be made by the stage before it: an `Unverified` body, a `Verified` delivery, an `Identified` event, an
//! `Encoded` record.

#![forbid(unsafe_code)]

pub mod cli;

mod app;
mod config;

mod http;
mod pipeline;

mod verify;

mod identify;
mod json;
mod time;

mod catalog;
mod encode;

mod route;

mod publish;
mod registry;

mod drain;
mod spool;

mod dead_letter;
mod redact;

mod dev;
mod docs;
mod random;
mod read;
mod sample;
mod schema;
mod send;

#[doc(hidden)]
pub mod bench;

mod metrics;
mod telemetry;
