//! The ids as the registry last told them, on disk, so that a start does not need it.
//!
//! `schema-ids.json`: registry URL → subject → SHA-256 of the schema's text (hex) → id. Another URL, subject or
//! schema finds nothing. The file is replaced as a whole; a damaged one is as good as none.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use sha2::{Digest as _, Sha256};

use crate::kafka::route::Subject;

type Ids = BTreeMap<String, BTreeMap<String, BTreeMap<String, u32>>>;

pub(super) struct Cache {
    /// Nothing is written without one.
    path: Option<PathBuf>,
    url: String,
    ids: Mutex<Ids>,
}

impl Cache {
    pub(super) fn open(dir: &Path, url: &str) -> Cache {
        let path = dir.join("schema-ids.json");
        let ids = match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_else(|error| {
                tracing::warn!(path = %path.display(), %error, "the cached schema ids are damaged; they will be read from the registry again");
                Ids::default()
            }),
            Err(_) => Ids::default(),
        };
        Cache { path: Some(path), url: url.to_owned(), ids: Mutex::new(ids) }
    }

    /// One that knows nothing and keeps nothing.
    pub(super) fn none(url: &str) -> Cache {
        Cache { path: None, url: url.to_owned(), ids: Mutex::default() }
    }

    pub(super) fn id(&self, subject: &Subject) -> Option<u32> {
        self.ids.lock().ok()?.get(&self.url)?.get(&subject.name)?.get(&digest(subject)).copied()
    }

    /// Keeps what is known of `subjects`, and forgets what is not true any more.
    pub(super) fn store(&self, subjects: &[Arc<Subject>]) {
        let Ok(mut current) = self.ids.lock() else { return };
        let mut ids = current.clone();
        let here = ids.entry(self.url.clone()).or_default();
        for subject in subjects {
            let schemas = here.entry(subject.name.clone()).or_default();
            match subject.id() {
                Some(id) => schemas.insert(digest(subject), id),
                None => schemas.remove(&digest(subject)),
            };
        }
        if *current == ids {
            return;
        }
        if let Some(path) = &self.path
            && let Err(error) = write(path, &ids)
        {
            tracing::warn!(path = %path.display(), %error, "cannot write the cache of schema ids");
        }
        *current = ids;
    }
}

fn write(path: &Path, ids: &Ids) -> io::Result<()> {
    let new = path.with_extension("json.new");
    let mut file = File::create(&new)?;
    serde_json::to_writer_pretty(&file, ids)?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    fs::rename(&new, path)
}

fn digest(subject: &Subject) -> String {
    base16ct::lower::encode_string(&Sha256::digest(&subject.schema))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_known_for_its_url_subject_and_schema_only() {
        let dir = tempfile::tempdir().unwrap();
        let subject = Arc::new(Subject::new("a-value".into(), "\"string\"".into()));
        subject.set_id(Some(7));
        Cache::open(dir.path(), "http://a").store(&[Arc::clone(&subject)]);

        let again = Cache::open(dir.path(), "http://a");
        assert_eq!(again.id(&subject), Some(7));
        assert_eq!(again.id(&Subject::new("b-value".into(), "\"string\"".into())), None);
        assert_eq!(again.id(&Subject::new("a-value".into(), "\"long\"".into())), None);
        assert_eq!(Cache::open(dir.path(), "http://b").id(&subject), None);

        fs::write(dir.path().join("schema-ids.json"), "{\"http").unwrap();
        assert_eq!(Cache::open(dir.path(), "http://a").id(&subject), None);
    }
}
