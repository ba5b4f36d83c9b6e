//! `HOOKBRIDGE__A__B` in the environment goes over the file; and what was meant to, but has another name.

use std::collections::{BTreeMap, BTreeSet};

use toml::{Table, Value};

use super::fault::ConfigFault;
use super::schema::{ANY_NAME, FOREIGN, known_keys, takes_list};
use super::unknown_key::alias;
use super::variable_name::{PREFIX, is_meant, plain, variable};
use super::written_where::FaultPlace;
use crate::values::similar::closest;
use crate::values::toml_reading;

/// Of names that are meant for hookbridge, whether as keys or not.
const FAMILY: &str = "HOOKBRIDGE_";
/// Variables that commands read, behind `HOOKBRIDGE_`.
const OF_COMMANDS: [&str; 2] = ["config", "secret"];
/// The one property of librdkafka that has an underscore.
const LOG_LEVEL: &str = "log_level";

/// What the environment put over the file.
#[derive(Default)]
pub(super) struct Overlay {
    /// Key by key: the variable that sets it.
    pub(super) variables: BTreeMap<String, String>,
    pub(super) faults: Vec<ConfigFault>,
}

impl Overlay {
    /// Puts `HOOKBRIDGE__KAFKA__TOPIC_PREFIX=x` where `kafka.topic_prefix` stands. A part finds an existing key whatever its case
    /// and whether it has `-` or `.` where the variable has `_`; a new key is the part in small letters.
    pub(super) fn put(&mut self, table: &mut Table, name: &str, value: &str) {
        let Some(path) = name.strip_prefix(PREFIX) else { return };
        let mut parts: Vec<&str> = path.split("__").collect();
        let Some(last) = parts.pop().filter(|last| !last.is_empty() && !parts.contains(&"")) else {
            return self.fail(
                name,
                "names no key",
                "expected HOOKBRIDGE__SECTION__KEY, such as HOOKBRIDGE__KAFKA__PARTITIONS",
            );
        };
        let (mut here, mut key) = (table, String::new());
        for part in parts {
            let found = find(here, part);
            key.push_str(&format!("{found}."));
            let Value::Table(inner) = here.entry(found).or_insert_with(|| Value::Table(Table::new())) else {
                return self.fail(
                    name,
                    "the key before its last `__` has a value and is not a table",
                    "remove one of the two",
                );
            };
            here = inner;
        }
        let mut found = find(here, last);
        if !here.contains_key(&found) {
            // librdkafka's properties have dots, and HTTP's headers dashes, which no variable's name can have.
            match key.as_str() {
                "kafka.properties." if found != LOG_LEVEL => found = found.replace('_', "."),
                "tracing.otlp_headers." => found = found.replace('_', "-"),
                _ => {}
            }
        }
        // A list can be given as TOML has it, where one may stand; everything else is text, which each key reads as it needs.
        let value = if value.trim_start().starts_with('[') && takes_list(&format!("{key}{found}")) {
            let parsed = toml_reading::parse(&format!("v = {value}")).ok().and_then(|mut table| table.remove("v"));
            let Some(array) = parsed else {
                return self.fail(
                    name,
                    "not a list in TOML",
                    "expected one such as '[\"a\", \"b\"]', with each text in quotes",
                );
            };
            array
        } else {
            Value::String(value.to_owned())
        };
        self.variables.insert(format!("{key}{found}"), name.to_owned());
        here.insert(found, value);
    }

    /// Calls what flags set by their names.
    pub(super) fn name(&mut self, flags: &BTreeMap<String, String>) {
        let set = self.variables.values_mut();
        for name in set.chain(self.faults.iter_mut().filter_map(|fault| fault.place.variable.as_mut())) {
            if let Some(flag) = flags.get(name) {
                name.clone_from(flag);
            }
        }
    }

    fn fail(&mut self, name: &str, what: &str, remedy: &str) {
        self.faults.push(about(name, String::new(), what.to_owned(), remedy.to_owned()));
    }
}

/// Something about a variable.
fn about(variable: &str, key: String, what: String, remedy: String) -> ConfigFault {
    let place = FaultPlace { variable: Some(variable.to_owned()), key, ..FaultPlace::default() };
    ConfigFault { place, what, remedy: Some(remedy) }
}

fn find(table: &Table, part: &str) -> String {
    let part = part.to_ascii_lowercase();
    table.keys().find(|key| plain(key) == part).cloned().unwrap_or(part)
}

/// What the environment has that looks as if it were meant for a key, and sets none.
#[derive(Default)]
pub(super) struct Stray {
    pub(super) faults: Vec<ConfigFault>,
    pub(super) warnings: Vec<ConfigFault>,
}

/// Looks through the names that begin with `HOOKBRIDGE_` and do not set a key. One that is a key's name but for its underscores
/// or its case is a fault, as an unknown key is; one that comes close is warned of. Names that `text` uses in a `${…}` are none of
/// these, nor those that Kubernetes gives every container for a Service.
pub(super) fn stray_variables(env: &BTreeMap<String, String>, table: &Table, text: &str) -> Stray {
    let mut stray = Stray::default();
    let in_family = |name: &&String| name.get(..FAMILY.len()).is_some_and(|start| start.eq_ignore_ascii_case(FAMILY));
    let names: Vec<&String> = env.keys().filter(in_family).filter(|name| !name.starts_with(PREFIX)).collect();
    if names.is_empty() {
        return stray;
    }
    let keys = keys_with_sources(table);
    for name in names {
        let rest = single(&name[FAMILY.len()..]);
        if text.contains(&format!("${{{name}}}")) || is_of_others(name, &rest) {
            continue;
        }
        let foreign = |section: &&&str| rest.starts_with(&format!("{}_", single(section)));
        if OF_COMMANDS.contains(&rest.as_str()) {
            let remedy = format!("did you mean {FAMILY}{}?", rest.to_ascii_uppercase());
            stray.warnings.push(about(name, String::new(), "sets nothing".to_owned(), remedy));
        } else if let Some(key) = keys.iter().find(|key| single(key) == rest) {
            stray.faults.push(unused(
                name,
                key,
                "names a key, but its underscores or its case are wrong, so it sets nothing",
            ));
        } else if let Some(section) = FOREIGN.iter().find(foreign) {
            let key = format!("{section}.{}", &rest[section.len() + 1..]);
            stray.faults.push(unused(name, &key, "looks like a key, but sets nothing"));
        } else if is_meant(name) {
            // With two underscores it is for hookbridge, whatever it names.
            stray.faults.push(in_capitals(name, &rest, &keys));
        } else if let Some(key) = near(&rest, &keys) {
            stray.warnings.push(unused(name, key, "looks like a key, but sets nothing"));
        }
    }
    stray
}

/// Whether a name of the family belongs to no key: commands read it, or Kubernetes sets it.
fn is_of_others(name: &str, rest: &str) -> bool {
    let is_of_commands = OF_COMMANDS.iter().any(|word| name == format!("{FAMILY}{}", word.to_ascii_uppercase()));
    is_of_commands || name.starts_with(FAMILY) && is_of_kubernetes(rest)
}

/// A name in small letters, or in some.
fn in_capitals(name: &str, rest: &str, keys: &BTreeSet<String>) -> ConfigFault {
    let what = "must be in capital letters, so it sets nothing";
    match near(rest, keys) {
        Some(key) => unused(name, key, what),
        None => {
            let remedy = format!("did you mean {}?", name.to_ascii_uppercase());
            about(name, String::new(), what.to_owned(), remedy)
        }
    }
}

fn unused(name: &str, key: &str, what: &str) -> ConfigFault {
    about(name, key.to_owned(), what.to_owned(), format!("did you mean {}?", variable(key)))
}

/// A name with one underscore between its parts.
fn single(name: &str) -> String {
    let parts: Vec<String> = plain(name).split('_').filter(|part| !part.is_empty()).map(str::to_owned).collect();
    parts.join("_")
}

/// `HOOKBRIDGE_SERVICE_HOST`, `HOOKBRIDGE_PORT`, `HOOKBRIDGE_PORT_8080_TCP_ADDR` and so on; also those of a Service
/// `hookbridge-admin`.
fn is_of_kubernetes(rest: &str) -> bool {
    let parts: Vec<&str> = rest.split('_').collect();
    let has_service = parts.windows(2).any(|pair| matches!(pair, ["service", "host" | "port"]));
    let port = parts.iter().position(|part| *part == "port");
    let behind = port.and_then(|at| parts.get(at + 1));
    has_service || port.is_some_and(|_| behind.is_none_or(|next| next.parse::<u16>().is_ok()))
}

/// All keys, with the names of the sources that there are; sections are none.
fn keys_with_sources(table: &Table) -> BTreeSet<String> {
    let known = known_keys();
    let is_section = |key: &String| known.iter().any(|other| other.starts_with(&format!("{key}.")));
    let names: Vec<&String> =
        table.get("sources").and_then(Value::as_table).into_iter().flat_map(Table::keys).collect();
    let mut keys = BTreeSet::new();
    for key in known.iter().filter(|key| !is_section(key) && !FOREIGN.contains(&key.as_str())) {
        match key.split_once(ANY_NAME) {
            None => _ = keys.insert(key.clone()),
            Some((before, after)) => keys.extend(names.iter().map(|name| format!("{before}{name}{after}"))),
        }
    }
    keys
}

/// The key that `rest` comes close to, in a section that it names.
fn near<'a>(rest: &str, keys: &'a BTreeSet<String>) -> Option<&'a String> {
    let aliased = keys.iter().find(|key| {
        let (section, last) = key.rsplit_once('.').unwrap_or(("", key));
        let behind = rest.strip_prefix(&single(section)).and_then(|rest| rest.strip_prefix('_'));
        behind.is_some_and(|name| alias(name, [last]).is_some())
    });
    if aliased.is_some() {
        return aliased;
    }
    let spelled: Vec<(String, &String)> = keys.iter().map(|key| (single(key), key)).collect();
    let of_section = spelled
        .iter()
        .filter(|(_, key)| key.split_once('.').is_some_and(|(section, _)| rest.starts_with(&format!("{section}_"))));
    let names: Vec<&str> = of_section.map(|(name, _)| name.as_str()).collect();
    let meant = closest(rest, names)?.to_owned();
    spelled.into_iter().find(|(name, _)| *name == meant).map(|(_, key)| key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_of_kubernetes_are_none_of_ours() {
        for name in [
            "SERVICE_HOST",
            "SERVICE_PORT",
            "SERVICE_PORT_HTTP",
            "PORT",
            "PORT_8080_TCP",
            "PORT_8080_TCP_ADDR",
            "ADMIN_PORT",
            "ADMIN_SERVICE_HOST",
            "KAFKA_PORT_9092_TCP_PROTO",
        ] {
            assert!(is_of_kubernetes(&single(name)), "{name}");
        }
        for name in ["KAFKA_BOOTSTRAP_SERVERS", "HTTP_LISTEN", "DATA_DIR"] {
            assert!(!is_of_kubernetes(&single(name)), "{name}");
        }
    }

    #[test]
    fn a_name_that_sets_nothing_is_noticed() {
        let table: Table = "[sources.whazing-acme]\ntokens = \"x\"".parse().unwrap();
        let stray = |name: &str| {
            let env = BTreeMap::from([(name.to_owned(), "s3cret".to_owned())]);
            let Stray { faults, warnings } = stray_variables(&env, &table, "url = \"${HOOKBRIDGE_REGISTRY_URL}\"");
            let faults = faults.iter().map(|fault| format!("fault {fault}"));
            faults.chain(warnings.iter().map(|fault| format!("warning {fault}"))).collect::<Vec<_>>().join("\n")
        };
        for (name, level, meant) in [
            ("HOOKBRIDGE_KAFKA_BOOTSTRAP_SERVERS", "fault", "HOOKBRIDGE__KAFKA__BOOTSTRAP_SERVERS"),
            ("HOOKBRIDGE_KAFKA__BOOTSTRAP_SERVERS", "fault", "HOOKBRIDGE__KAFKA__BOOTSTRAP_SERVERS"),
            ("hookbridge__kafka__partitions", "fault", "HOOKBRIDGE__KAFKA__PARTITIONS"),
            ("Hookbridge__kafka__brokers", "fault", "HOOKBRIDGE__KAFKA__BOOTSTRAP_SERVERS"),
            ("HookBridge__Kafka__Partition", "fault", "HOOKBRIDGE__KAFKA__PARTITIONS"),
            ("hookbridge__sources__acme__secrets", "fault", "HOOKBRIDGE__SOURCES__ACME__SECRETS"),
            ("hookbridge__nonsense", "fault", "HOOKBRIDGE__NONSENSE"),
            ("hookbridge_config", "warning", "HOOKBRIDGE_CONFIG"),
            ("Hookbridge_Secret", "warning", "HOOKBRIDGE_SECRET"),
            ("hookbridge_data_dir", "fault", "HOOKBRIDGE__DATA_DIR"),
            ("HOOKBRIDGE_KAFKA_BROKERS", "warning", "HOOKBRIDGE__KAFKA__BOOTSTRAP_SERVERS"),
            ("HOOKBRIDGE_DATA_DIR", "fault", "HOOKBRIDGE__DATA_DIR"),
            ("HOOKBRIDGE_KAFKA_PROPERTIES_SASL_PASSWORD", "fault", "HOOKBRIDGE__KAFKA__PROPERTIES__SASL_PASSWORD"),
            ("HOOKBRIDGE_SOURCES_WHAZING_ACME_TOKENS", "fault", "HOOKBRIDGE__SOURCES__WHAZING_ACME__TOKENS"),
            ("HOOKBRIDGE_KAFKA_BOOTSTRAP_SERVER", "warning", "HOOKBRIDGE__KAFKA__BOOTSTRAP_SERVERS"),
        ] {
            let words = stray(name);
            assert!(words.starts_with(&format!("{level} {name}: ")), "{words}");
            assert!(words.ends_with(&format!("did you mean {meant}?")) && !words.contains("s3cret"), "{words}");
        }
        for name in
            ["HOOKBRIDGE_CONFIG", "HOOKBRIDGE_REGISTRY_URL", "HOOKBRIDGE_VERSION", "HOOKBRIDGE_KAFKA_SERVICE_HOST"]
        {
            assert_eq!(stray(name), "");
        }
    }
}
