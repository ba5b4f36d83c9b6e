//! What `avro/` says: the profiles, their event types, and per type the record, topic, key and times.
//!
//! ```text
//! avro/hookbridge/Event.avsc    the head of every record
//! avro/<profile>/profile.toml   how to verify, how to recognise a type, and each type's record, topic, key, times
//! avro/<profile>/<Name>.avsc    one Avro record per named type, full name <profile>.<Name>
//! ```
//!
//! The files are compiled into the binary; `catalog.dir` adds to them or replaces them, file by file. All of it is
//! loaded, resolved and checked at start, and what is wrong is an error that names the file and the place in it.
//! After that nothing about a vendor is code: a third vendor is a folder.

mod avsc;
pub(crate) mod compatibility;
mod derived;
mod error;
mod event_type;
mod files;
mod guard;
mod handshake;
mod inline;
mod linked;
mod locate;
mod media;
mod path;
mod pattern;
mod plan;
mod profile;
mod recognise;
pub(crate) mod schema;
mod split;
mod template;
mod types;
mod verification;
mod written;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path as FilePath;
use std::sync::Arc;

use crate::values::hash::Hasher;

pub(crate) use avsc::Type;
pub(crate) use error::{CatalogError, CatalogFlaw};
use error::{Flaw, FlawAt};
pub(crate) use event_type::{EventType, FurtherTopics, Join, JoinKind, JoinTopics, Latest, Schema};
pub(crate) use files::{gallery, is_profile_name, profile_files};
pub(crate) use handshake::{AnswerPart, AnswerType, Handshake, HandshakeMethod, HandshakeProof};
pub(crate) use locate::toml_line;
pub(crate) use path::Path;
pub(crate) use plan::{FieldKind, FieldPlan, Guard, KeySlots};
pub(crate) use profile::Profile;
pub(crate) use recognise::{Meaning, Rule, RulePiece, RulePlace};
pub(crate) use split::Split;
pub(crate) use types::{DecimalSize, EnumSymbols};
pub(crate) use verification::{MessagePart, Method, ProofEncoding, SecretEncoding, Verification};
pub(crate) use written::profile_schema;

/// All profiles, by name.
pub(crate) struct Catalog {
    pub(crate) profiles: BTreeMap<String, Arc<Profile>>,
    /// The files that begin with a byte-order mark.
    pub(crate) marked: Vec<String>,
}

impl Catalog {
    /// Loads the files compiled in, with those of `dir` added or put in their place.
    ///
    /// # Errors
    /// When a file cannot be read, or says something that does not hold together.
    pub(crate) fn load(dir: Option<&FilePath>) -> Result<Catalog, CatalogError> {
        Catalog::of(files::read(dir)?)
    }

    /// The same, with `texts` added to the profile `name` or put in the place of its files, by their names.
    ///
    /// # Errors
    /// When a file cannot be read, or says something that does not hold together.
    pub(crate) fn load_with(
        dir: Option<&FilePath>,
        name: &str,
        texts: &BTreeMap<String, String>,
    ) -> Result<Catalog, CatalogError> {
        let mut folders = files::read(dir)?;
        files::put(&mut folders, name, texts);
        Catalog::of(folders)
    }

    /// That of one profile of these files, without those compiled in, which take long to read many times.
    #[cfg(test)]
    pub(crate) fn alone(name: &str, texts: &BTreeMap<String, String>) -> Result<Catalog, CatalogError> {
        let mut folders = files::read(None)?;
        folders.retain(|folder, _| folder == files::HEAD_FOLDER);
        files::put(&mut folders, name, texts);
        Catalog::of(folders)
    }

    fn of(mut folders: BTreeMap<String, files::Folder>) -> Result<Catalog, CatalogError> {
        let head = folders.remove(files::HEAD_FOLDER).unwrap_or_default();
        let head = avsc::load_all(files::HEAD_FOLDER, &head)?;
        let marked = folders.values().flat_map(files::Folder::values).filter(|file| file.is_marked);
        let marked = marked.map(|file| file.label.clone()).collect();
        let (mut profiles, mut failed) = (BTreeMap::new(), None::<CatalogError>);
        for (name, folder) in folders {
            let text = |label: &str| folder.values().find(|file| file.label == label).map(|file| file.text.as_str());
            match load_profile(&name, &folder, &head).map_err(|error| error.located(text)) {
                Ok(profile) => _ = profiles.insert(name, Arc::new(profile)),
                Err(error) => {
                    failed = Some(match failed {
                        Some(before) => before.and(error),
                        None => error,
                    });
                }
            }
        }
        failed.map_or(Ok(Catalog { profiles, marked }), Err)
    }

    /// Gives every profile the operator's key, for what it hashes.
    pub(crate) fn hash_with(&mut self, hasher: &Hasher) {
        for profile in self.profiles.values_mut().filter_map(Arc::get_mut) {
            profile.hasher = hasher.clone();
        }
    }

    /// Leaves away the further topics of events that are not `wanted`.
    pub(crate) fn keep(&mut self, wanted: &FurtherTopics) {
        for profile in self.profiles.values_mut().filter_map(Arc::get_mut) {
            for event_type in profile.types.values_mut() {
                event_type.joins.retain(|join| wanted.has(join));
                event_type.latest.take_if(|_| !wanted.latest);
            }
        }
    }

    /// The names of all join topics, in order, timelines aside.
    pub(crate) fn join_topics(&self) -> BTreeSet<&str> {
        let joins = self.profiles.values().flat_map(|p| p.types.values()).flat_map(|ty| &ty.joins);
        joins.filter(|join| join.kind != JoinKind::Timeline).map(|join| join.topic.as_str()).collect()
    }
}

/// Reads and checks the profile in `folder`; `head` are the types that all profiles share.
fn load_profile(name: &str, folder: &files::Folder, head: &avsc::RecordSchemas) -> Result<Profile, CatalogError> {
    let mut records = avsc::load_all(name, folder)?;
    records.extend(head.iter().map(|(name, record)| (name.clone(), record.clone())));
    profile::resolve(name, folder, records)
}

#[cfg(test)]
mod tests;
