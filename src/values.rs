//! Values and what is made of them: no configuration, no state, no I/O.

pub(crate) mod amount;
pub(crate) mod derive;
pub(crate) mod formats;
pub(crate) mod hash;
pub(crate) mod json;
pub(crate) mod phone;
pub(crate) mod printable;
pub(crate) mod redact;
pub(crate) mod secret;
pub(crate) mod shell;
pub(crate) mod showable;
pub(crate) mod similar;
pub(crate) mod time;
pub(crate) mod toml_reading;
pub(crate) mod toml_schema;
pub(crate) mod traceparent;
pub(crate) mod uuid_text;
