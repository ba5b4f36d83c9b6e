//! A configuration without a file: the environment alone.

use std::collections::BTreeMap;
use std::path::Path;
use std::{env, io};

use super::environment::PREFIX;

/// The file that is read when none is named.
pub(crate) const DEFAULT_FILE: &str = "hookbridge.toml";

/// The variables of the environment that set keys, by their names.
pub(crate) fn variables() -> Vec<String> {
    let names = env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    names.filter(|name| name.starts_with(PREFIX)).collect()
}

/// What was read of `file`; or nothing, where nobody named a file, there is none, and the environment has keys instead.
pub(super) fn or_nothing(file: &Path, read: io::Result<String>) -> io::Result<String> {
    match read {
        Err(error)
            if error.kind() == io::ErrorKind::NotFound
                && file == Path::new(DEFAULT_FILE)
                && !variables().is_empty() =>
        {
            Ok(String::new())
        }
        read => read,
    }
}

/// The environment, and these variables over it.
pub(crate) fn environment_and<'a>(
    variables: impl IntoIterator<Item = (&'a str, Option<&'a str>)>,
) -> BTreeMap<String, String> {
    let environment = env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)));
    let given = variables.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())));
    environment.chain(given).collect()
}
