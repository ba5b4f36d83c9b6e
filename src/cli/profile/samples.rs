//! Sample bodies and schemas in files, schemas in YAML too. Those whose type stands in a header of the request have it in the names of
//! their folders or files.

use std::fs;
use std::path::{Path, PathBuf};

use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use serde_saphyr::DeserializeError;

use super::ProfileError;
use crate::tools::infer::{Sample, SchemaFile};

/// What was found in files.
#[derive(Default)]
pub(super) struct SampleFiles {
    pub(super) samples: Vec<Sample>,
    pub(super) schemas: Vec<SchemaFile>,
}

/// Samples and schemas.
const JSON: [&str; 3] = ["json", "jsonl", "ndjson"];
/// Schemas only.
const YAML: [&str; 2] = ["yaml", "yml"];

/// All samples and schemas at `paths`, files and folders; in a folder, those of its files that end in one of [`JSON`] or [`YAML`].
/// Samples get `type_header` with the type that their place names.
pub(super) fn read(paths: &[PathBuf], type_header: Option<&HeaderName>) -> Result<SampleFiles, ProfileError> {
    let mut found = SampleFiles::default();
    for path in paths {
        let before = found.samples.len() + found.schemas.len();
        for file in files(path)? {
            let text = fs::read_to_string(&file).map_err(|error| ProfileError::file(&file, error))?;
            let inside = file.strip_prefix(path).ok().filter(|rest| !rest.as_os_str().is_empty());
            let label = inside.unwrap_or(&file).display().to_string();
            let type_name = type_of(inside.unwrap_or(Path::new(&file_name(&file))));
            if has_ending(&file, &YAML) {
                let document = of_yaml(&text)
                    .map_err(|error| ProfileError::Yaml { path: file.clone(), error: Box::new(error) })?;
                let schema = SchemaFile::of(&label, &type_name, document);
                found.schemas.push(schema.ok_or(ProfileError::NoSchema(file))?);
                continue;
            }
            match SchemaFile::read(&label, &type_name, &text) {
                Some(schema) => found.schemas.push(schema),
                None => {
                    let headers = type_header.map(|name| header(name, &type_name));
                    found.samples.extend(of_file(&label, &text, &headers.unwrap_or_default()));
                }
            }
        }
        if found.samples.len() + found.schemas.len() == before {
            return Err(ProfileError::NoSamples(path.clone()));
        }
    }
    Ok(found)
}

/// The files of samples at `path`, sorted.
fn files(path: &Path) -> Result<Vec<PathBuf>, ProfileError> {
    let fail = |error| ProfileError::file(path, error);
    if !fs::metadata(path).map_err(fail)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut entries = Vec::new();
    for entry in fs::read_dir(path).map_err(fail)? {
        entries.push(entry.map_err(fail)?.path());
    }
    entries.sort();
    let mut found = Vec::new();
    for entry in entries {
        let is_hidden = entry.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if is_hidden {
            continue;
        }
        if entry.is_dir() {
            found.extend(files(&entry)?);
        } else if has_ending(&entry, &JSON) || has_ending(&entry, &YAML) {
            found.push(entry);
        }
    }
    Ok(found)
}

fn has_ending(file: &Path, endings: &[&str]) -> bool {
    file.extension().is_some_and(|ending| endings.iter().any(|one| ending == *one))
}

/// The document that is written in YAML. As YAML 1.2 has it, `yes` and `no` are texts.
fn of_yaml(text: &str) -> Result<Value, DeserializeError> {
    let options = serde_saphyr::options! {
        with_snippet: false,
        strict_booleans: true,
        // The largest documents of vendors have a million nodes.
        budget: serde_saphyr::budget! { max_nodes: 5_000_000, max_events: 20_000_000 },
    };
    serde_saphyr::from_str_with_options(text, options)
}

fn file_name(file: &Path) -> String {
    file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// The header `name` of a sample of a type, if there is one.
fn header(name: &HeaderName, type_name: &str) -> HeaderMap {
    let value = HeaderValue::from_str(type_name).ok().filter(|value| !value.is_empty());
    value.map(|value| (name.clone(), value)).into_iter().collect()
}

/// The type that a place names: `push/1.json`, `push.json` and `push-2.json` are of `push`, `orders/create/1.json` of
/// `orders/create`.
fn type_of(place: &Path) -> String {
    let folder = place.parent().filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder {
        let names: Vec<_> = folder.iter().map(|name| name.to_string_lossy()).collect();
        return names.join("/");
    }
    let name = place.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let before = name.trim_end_matches(|c: char| c.is_ascii_digit());
    let is_number = before.is_empty() || (before.len() < name.len() && before.ends_with(['-', '_', '.', ' ']));
    if is_number { before.trim_end_matches(['-', '_', '.', ' ']).to_owned() } else { name }
}

/// One body, a list of bodies, or one on each line.
fn of_file(label: &str, text: &str, headers: &HeaderMap) -> Vec<Sample> {
    let text = text.trim_start_matches('\u{FEFF}').trim();
    let sample =
        |label: String, text: &str| Sample { label, text: text.to_owned(), headers: headers.clone(), at: None };
    let is_json = |text: &str| serde_json::from_str::<&serde_json::value::RawValue>(text).is_ok();
    if !is_json(text) {
        let lines: Vec<_> = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()).collect();
        if lines.len() > 1 && lines.iter().all(|(_, line)| is_json(line)) {
            return lines.iter().map(|(at, line)| sample(format!("{label}:{}", at + 1), line.trim())).collect();
        }
    }
    // A body is an object, so a list is one of bodies.
    match serde_json::from_str::<Vec<&serde_json::value::RawValue>>(text) {
        Ok(items) => items.iter().enumerate().map(|(at, item)| sample(format!("{label}[{at}]"), item.get())).collect(),
        Err(_) => vec![sample(label.to_owned(), text)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_one_body_or_several() {
        let of = |text: &str| -> Vec<(String, String)> {
            of_file("a.json", text, &HeaderMap::new()).into_iter().map(|sample| (sample.label, sample.text)).collect()
        };
        let one = |label: &str, text: &str| (label.to_owned(), text.to_owned());
        assert_eq!(of("\u{FEFF} {\"a\":\n1} \n"), [one("a.json", "{\"a\":\n1}")]);
        assert_eq!(of("{\"a\":1}\n\n{\"a\":2}\r\n"), [one("a.json:1", "{\"a\":1}"), one("a.json:3", "{\"a\":2}")]);
        assert_eq!(of("[{\"a\":1},\n{\"a\":2.50}]"), [one("a.json[0]", "{\"a\":1}"), one("a.json[1]", "{\"a\":2.50}")]);
        // What is no JSON is told of as what it is.
        assert_eq!(of("{\"a\":1}\n{"), [one("a.json", "{\"a\":1}\n{")]);
    }

    #[test]
    fn the_place_of_a_sample_names_its_type() {
        for (place, expected) in [
            ("push/1.json", "push"),
            ("orders/create/2026-06-02.json", "orders/create"),
            ("push.json", "push"),
            ("push-2.json", "push"),
            ("pull_request_12.json", "pull_request"),
            ("order.created.3.jsonl", "order.created"),
            ("push 2.json", "push"),
            ("sha256.json", "sha256"),
            ("v2-order.json", "v2-order"),
            ("7.json", ""),
        ] {
            assert_eq!(type_of(Path::new(place)), expected, "{place}");
        }
    }
}
