//! `[media]`: what is kept out of records, and where.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::address::AddressRule;
use super::resolve::flatten;
use super::{ConfigError, Secret, WrittenMedia};

/// `[media]`
pub(crate) struct MediaSettings {
    /// A file with more bytes is kept out of its record.
    pub(crate) inline_max_bytes: usize,
    pub(crate) place: MediaPlace,
    /// What a folder holds at most.
    pub(crate) max_bytes: u64,
    /// Whether that is a folder outside `data_dir`, for others to read.
    pub(crate) shared: bool,
}

/// Where files are kept.
#[derive(Debug)]
pub(crate) enum MediaPlace {
    /// An absolute path.
    Folder(PathBuf),
    S3 {
        bucket: String,
        /// In front of every object's name; without slashes around it.
        prefix: String,
        /// As `object_store` names them; values may be secrets.
        options: BTreeMap<String, Secret>,
    },
}

/// As much as waits in the spool.
const MAX_BYTES: u64 = 10 << 30;

impl WrittenMedia {
    pub(super) fn resolve(self, data_dir: &Path, max_record_bytes: usize) -> Result<MediaSettings, ConfigError> {
        // Five eighths of a record are five sixths of it in base64; the rest of the event takes its share too.
        let default = (512 << 10).min(max_record_bytes / 8 * 5);
        let mut options = BTreeMap::new();
        flatten("media.options", "", &self.options, &mut options)?;
        let place = match self.url {
            Some(url) => place(&url.0, options)?,
            None if options.is_empty() => MediaPlace::Folder(absolute("data_dir", &data_dir.join("media"))?),
            None => {
                return Err(ConfigError::key(
                    "media.options",
                    "only for a bucket: set media.url = \"s3://...\" too, or remove these",
                ));
            }
        };
        let max_bytes = match (&place, self.max_bytes) {
            (MediaPlace::S3 { .. }, Some(_)) => {
                return Err(ConfigError::key(
                    "media.max_bytes",
                    "only for a folder, and media.url is a bucket: remove it",
                ));
            }
            (_, written) => written.map_or(MAX_BYTES, |text| text.0.0 as u64),
        };
        let data_dir = absolute("data_dir", data_dir)?;
        let shared = matches!(&place, MediaPlace::Folder(folder) if !folder.starts_with(data_dir));
        let inline_max_bytes = self.inline_max_bytes.map_or(default, |text| text.0.0);
        Ok(MediaSettings { inline_max_bytes, place, max_bytes, shared })
    }
}

const MEDIA_URL: AddressRule = AddressRule {
    key: "media.url",
    schemes: &["s3", "file"],
    expected: "expected s3://bucket/prefix or file:///folder",
    no_credentials: "must not hold credentials, since it is shown: put them in media.options",
    no_query: "must have no port, `?` or `#`: use media.options",
};

fn place(url: &str, options: BTreeMap<String, Secret>) -> Result<MediaPlace, ConfigError> {
    let fail = |what: &str| Err(ConfigError::key("media.url", what));
    let url = MEDIA_URL.parse(url)?;
    if url.port().is_some() {
        return fail(MEDIA_URL.no_query);
    }
    if url.scheme() == "file" {
        if !options.is_empty() {
            return Err(ConfigError::key("media.options", "only for a bucket, and media.url is a folder: remove them"));
        }
        let Ok(folder) = url.to_file_path() else { return fail("expected an absolute path, such as file:///folder") };
        return Ok(MediaPlace::Folder(absolute("media.url", &folder)?));
    }
    let Some(bucket) = url.host_str().filter(|host| !host.is_empty()) else {
        return fail("expected a bucket, such as s3://bucket/prefix");
    };
    let Ok(prefix) = object_store::path::Path::from_url_path(url.path()) else {
        return fail("the part after the bucket is not a valid object path");
    };
    Ok(MediaPlace::S3 { bucket: bucket.to_owned(), prefix: prefix.to_string(), options })
}

/// Records name a folder for readers that are started elsewhere.
fn absolute(key: &str, folder: &Path) -> Result<PathBuf, ConfigError> {
    std::path::absolute(folder).map_err(|e| ConfigError::key(key, format!("{}: {e}", folder.display())))
}
