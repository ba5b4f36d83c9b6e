//! What of the configuration those cannot use who are given it: librdkafka, the HTTP clients, TLS, the media store. All of it is
//! found before anything starts, with what the configuration itself finds; nothing is connected to.

use crate::config::{ConfigError, Settings};
use crate::http::Identity;
use crate::kafka::publish::unfit_properties;
use crate::kafka::registry::SchemaReader;
use crate::media;
use crate::observe::traces::Collector;

/// Everything that is not usable.
pub(crate) fn unusable(settings: &Settings) -> Vec<ConfigError> {
    let mut found = unfit_properties(settings);
    found.extend(SchemaReader::new(&settings.registry).err());
    found.extend(media::Store::new(&settings.media).err());
    found.extend(settings.tracing.as_ref().and_then(|tracing| Collector::new(tracing).err()));
    found.extend(settings.http.tls.as_ref().and_then(|tls| Identity::read(tls).err()));
    found
}
