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

// From top to bottom: a layer imports only from layers below it (tests/layers.rs). ARCHITECTURE.md says what each does.

// Commands, and what they are made of beside the flow.
pub mod cli;
mod tools;

// What the program is when it serves.
mod app;
mod http;

mod console;
mod health;

// The way of a delivery.
mod flow;

mod spool;

mod observe;

mod kafka;

mod convert;

mod media;
mod outbound;

// What is known from the start.
mod config;
mod source;

mod catalog;

// Words and values that all share.
mod ordering;
mod outcome;

mod blocking;
mod build_info;
mod disk;
mod values;

#[doc(hidden)]
pub use tools::bench;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub use tools::fuzz;
