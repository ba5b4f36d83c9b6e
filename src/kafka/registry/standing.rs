//! How a schema stands with what the registry has under its subject: judged here, at the level that is promised, whatever
//! the registry lets through; then by the registry, which may have rules of its own.

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use super::client::{Client, Search, SubjectVersion};
use super::error::RegistryError;
use crate::catalog::compatibility::{Incompatibility, incompatibilities};
use crate::config::RegistryMode;
use crate::kafka::route::Subject;

/// How many versions of one subject are asked for at once.
const AT_ONCE: usize = 4;

/// What the registry would do with a subject's schema, and whether it may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SubjectStatus {
    /// It is there, with this id.
    Registered(u32),
    /// The subject is not there.
    New,
    /// The subject is there, and this schema goes with what it has.
    Compatible,
    /// Why it is not to be registered, a sentence each.
    Refused(Vec<String>),
}

/// How `subject` stands; writes nothing.
pub(super) async fn standing(
    client: &Client,
    mode: RegistryMode,
    subject: &Subject,
) -> Result<SubjectStatus, RegistryError> {
    if mode == RegistryMode::Lookup {
        return Ok(match client.equal_version(subject).await? {
            Some(id) => SubjectStatus::Registered(id),
            None => SubjectStatus::Refused(vec![
                "no registered version equals this schema, and registry.mode \"lookup\" registers none".into(),
            ]),
        });
    }
    match client.find(subject).await? {
        Search::Found(id) => return Ok(SubjectStatus::Registered(id)),
        Search::NoSubject => return Ok(SubjectStatus::New),
        Search::NoSchema => {}
    }
    let numbers = client.versions(subject).await?;
    let found = differences(subject, None, &texts(client, subject, numbers).await?);
    if !found.is_empty() {
        return Ok(SubjectStatus::Refused(found));
    }
    let reasons = client.incompatibilities(subject).await?;
    Ok(reasons.map_or(SubjectStatus::Compatible, |reasons| SubjectStatus::Refused(vec![reasons])))
}

/// What stands between `subject`'s schema, registered with `id`, and the other versions. A foreign schema may have been let in.
pub(super) async fn conflicts(client: &Client, subject: &Subject, id: u32) -> Result<Vec<String>, RegistryError> {
    let numbers = client.versions(subject).await?;
    // Its own alone is what most subjects have.
    if numbers.len() < 2 {
        return Ok(Vec::new());
    }
    Ok(differences(subject, Some(id), &texts(client, subject, numbers).await?))
}

/// The versions that are still there, in order; or the first error that comes.
async fn texts(client: &Client, subject: &Subject, numbers: Vec<u32>) -> Result<Vec<SubjectVersion>, RegistryError> {
    let versions = stream::iter(numbers).map(|number| client.version(subject, number)).buffer_unordered(AT_ONCE);
    let mut versions: Vec<_> = versions.try_filter_map(async |version| Ok(version)).try_collect().await?;
    versions.sort_by_key(|version| version.version);
    Ok(versions)
}

/// In what the schema does not go with each of `versions`, a sentence each, with the versions it is about. That with `id` is
/// the schema itself, and those behind it have to go with it.
fn differences(subject: &Subject, id: Option<u32>, versions: &[SubjectVersion]) -> Vec<String> {
    let ours = versions.iter().position(|version| id.is_some() && version.id == id);
    let mut found: Vec<(Incompatibility, Vec<u32>)> = Vec::new();
    for (place, version) in versions.iter().enumerate().filter(|(place, _)| Some(*place) != ours) {
        let is_later = ours.is_some_and(|ours| place > ours);
        for finding in between(version, &subject.schema, is_later) {
            match found.iter_mut().find(|(known, _)| *known == finding) {
                Some((_, of)) => of.push(version.version),
                None => found.push((finding, vec![version.version])),
            }
        }
    }
    found.iter().map(|(finding, of)| sentence(finding, of)).collect()
}

fn between(version: &SubjectVersion, schema: &str, is_later: bool) -> Vec<Incompatibility> {
    let not_avro = |format: &str| {
        let reason = format!("it is no Avro schema but {format}");
        vec![Incompatibility { record: String::new(), field: String::new(), reason }]
    };
    if let Some(format) = version.format.as_deref().filter(|format| !format.eq_ignore_ascii_case("AVRO")) {
        return not_avro(format);
    }
    match (serde_json::from_str(&version.text), serde_json::from_str(schema)) {
        (Ok(theirs), Ok(ours)) if is_later => incompatibilities(&ours, &theirs),
        (Ok(theirs), Ok(ours)) => incompatibilities(&theirs, &ours),
        _ => not_avro("something else"),
    }
}

fn sentence(finding: &Incompatibility, versions: &[u32]) -> String {
    let numbers: Vec<_> = versions.iter().map(ToString::to_string).collect();
    let word = if versions.len() == 1 { "version" } else { "versions" };
    format!("{finding} ({word} {})", numbers.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(field: &str) -> String {
        format!(r#"{{"type":"record","name":"x.A","fields":[{field}]}}"#)
    }

    fn version(version: u32, text: String) -> SubjectVersion {
        SubjectVersion { version, id: Some(version + 10), text, format: None }
    }

    #[test]
    fn each_finding_is_told_once_with_its_versions_in_the_direction_in_which_they_follow() {
        let (long, string) = (r#"{"name":"f","type":"long"}"#, r#"{"name":"f","type":"string"}"#);
        let subject = Subject::new("a-value".into(), schema(string));
        let versions = [version(1, schema(long)), version(2, schema(long)), version(4, schema(""))];
        assert_eq!(
            differences(&subject, None, &versions),
            [
                "f (in x.A): type changed from long to string (versions 1, 2)",
                "f (in x.A): required and new: without a default it cannot be read from records written before it (version 4)",
            ]
        );
        let versions = [version(1, schema(string)), version(2, schema(long)), version(3, schema(""))];
        assert_eq!(
            differences(&subject, Some(11), &versions),
            ["f (in x.A): type changed from string to long (version 2)", "f (in x.A): removed (version 3)"]
        );
    }

    #[test]
    fn what_is_no_avro_is_told_as_such() {
        let subject = Subject::new("a-value".into(), schema(""));
        let mut json = version(1, schema(""));
        json.format = Some("JSON".into());
        let versions = [json, version(2, "syntax = \"proto3\"".into())];
        assert_eq!(
            differences(&subject, None, &versions),
            ["it is no Avro schema but JSON (version 1)", "it is no Avro schema but something else (version 2)"]
        );
    }
}
