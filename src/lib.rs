//! hookbridge: a stream bridge to Kafka. It verifies webhooks, converts them into registered Avro records, and
//! answers 2xx only when Kafka has them, or its own disk.
//!
//! ```text
//! request ─▶ http ─▶ verify ─▶ intake ─┬─▶ pipeline: prepare ─▶ route ─▶ publish ─▶ 200, or 202 for a dead letter
//!             │        └ 401           │       ▲      └ identify, encode    │
//!             │                        │     drain                          │ not now
//!             │                        │       │                            ▼
//!             └ 404 405 408 413        └────▶ spool ◀───────────────────────┘
//!               415 429 503                     └─▶ 202; full: 503
//! ```
//!
//! A file too large for a record goes to the media store, a folder or S3, before its record is published.
//!
//! `catalog` says what there is to verify and convert, `registry` which ids the schemas have. Each stage's type can
//! only be made by the stage before it: an `Unverified` body, a `Verified` delivery, a `Prepared` one with its `Encoded`
//! record or the reason why there is none, a `Record`.

#![forbid(unsafe_code)]

pub mod cli;

mod access;
mod app;
mod config;
mod outbound;
mod reload;
mod wiring;

mod http;

mod verify;

mod intake;
mod pipeline;

mod order;
mod prepare;

mod identify;
mod json;
mod time;

mod catalog;
mod derive;
mod encode;
mod hash;
mod media;

mod route;

mod publish;
mod registry;

mod spool;

mod chains;
mod drain;

mod dead_letter;
mod redact;

mod printable;
mod private;

mod audit;
mod dev;
mod docs;
mod event_id;
mod letters;
mod partition;
mod random;
mod read;
mod replay;
mod sample;
mod schema;
mod send;

#[doc(hidden)]
pub mod bench;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzz;

mod console;
mod metrics;
mod telemetry;
mod traces;
