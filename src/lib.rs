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

mod app;
mod tools;

mod console;
mod http;

mod flow;

mod kafka;
mod media;
mod spool;

mod convert;

mod catalog;
mod config;
mod source;

mod blocking;
mod disk;
mod observe;
mod ordering;
mod outbound;
mod outcome;
mod values;

#[doc(hidden)]
pub use tools::bench;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub use tools::fuzz;
