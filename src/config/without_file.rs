//! A configuration without a file: the environment alone; and what flags put over it.

use std::collections::BTreeMap;
use std::path::Path;
use std::{env, io};

use super::variable_name::{PREFIX, is_meant};

/// The file that is read when none is named.
pub(crate) const DEFAULT_FILE: &str = "hookbridge.toml";

/// The variables of the environment that set keys, by their names.
pub(crate) fn variables() -> Vec<String> {
    let names = env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    names.filter(|name| name.starts_with(PREFIX)).collect()
}

/// The environment, with what flags say over it.
#[derive(Debug, Default)]
pub(crate) struct Environment {
    pub(super) values: BTreeMap<String, String>,
    /// By the variable that a flag stands for: the flag.
    pub(super) flags: BTreeMap<String, String>,
}

/// A flag, the variable that it stands for, and what it says, if it is given.
pub(crate) type KeyFlag<'a> = (&'static str, &'static str, Option<&'a str>);

impl From<BTreeMap<String, String>> for Environment {
    fn from(values: BTreeMap<String, String>) -> Environment {
        Environment { values, flags: BTreeMap::new() }
    }
}

impl Environment {
    /// That of the process, and these flags over it.
    pub(crate) fn and<'a>(flags: impl IntoIterator<Item = KeyFlag<'a>>) -> Environment {
        let values = env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)));
        let mut environment = Environment::from(values.collect::<BTreeMap<_, _>>());
        for (flag, variable, value) in flags {
            if let Some(value) = value {
                environment.values.insert(variable.to_owned(), value.to_owned());
                environment.flags.insert(variable.to_owned(), flag.to_owned());
            }
        }
        environment
    }
}

/// Whether the environment has what was meant for keys.
fn has_keys() -> bool {
    env::vars_os().any(|(name, _)| name.to_str().is_some_and(is_meant))
}

/// What was read of `file`; or `None`, where nobody named a file, there is none, and the environment has keys instead.
pub(super) fn or_nothing(file: &Path, read: io::Result<String>) -> io::Result<Option<String>> {
    match read {
        Err(error) if error.kind() == io::ErrorKind::NotFound && file == Path::new(DEFAULT_FILE) && has_keys() => {
            Ok(None)
        }
        read => read.map(Some),
    }
}
