//! `[media]`: what is kept out of records, and where.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::address::AddressRule;
use super::bounds::{MOST_OF_MESSAGE, PIB, bounded, bytes, flatten};
use super::fault::Faults;
use super::media_options;
use super::units::Bytes;
use super::written::WrittenMedia;
use super::{ConfigError, Written};
use crate::values::secret::Secret;
use crate::values::showable;

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
const MAX_BYTES: usize = 10 << 30;
/// In a folder that takes no file, every event with one would wait in the spool.
const LEAST_BYTES: usize = 1000;

impl WrittenMedia {
    pub(super) fn resolve(self, data_dir: &Path, max_record_bytes: usize, faults: &mut Faults) -> MediaSettings {
        // Five eighths of a record are five sixths of it in base64; the rest of the event takes its share too.
        let default = (512 << 10).min(max_record_bytes / 8 * 5);
        let mut options = BTreeMap::new();
        flatten("media.options", "", &self.options, &mut options, faults);
        media_options::check(&options, faults);
        let folder = data_dir.join("media");
        let place = match self.url {
            Some(url) => place(&url.0, options, faults.written()),
            None if options.is_empty() => absolute("data_dir", &folder).map(MediaPlace::Folder),
            None => {
                let error = ConfigError::key("media.options", "only for a bucket, and media.url is not set");
                Err(error.or_remedy("set media.url = \"s3://...\" too, or remove these"))
            }
        };
        let is_faulty = place.is_err();
        let place = faults.or(place, MediaPlace::Folder(folder));
        if matches!(place, MediaPlace::S3 { .. }) && self.max_bytes.is_some() {
            faults.add_with("media.max_bytes", "only for a folder, and media.url is a bucket", "remove it");
        }
        let max_bytes = bounded(
            "media.max_bytes",
            Bytes(bytes(self.max_bytes, MAX_BYTES)),
            Bytes(MAX_BYTES),
            |most| (LEAST_BYTES..=PIB).contains(&most.0),
            "from 1 kB to 1 PiB",
            faults,
        );
        let data_dir = absolute("data_dir", data_dir);
        let data_dir = faults.or(data_dir, PathBuf::new());
        let shared = matches!(&place, MediaPlace::Folder(folder) if !is_faulty && !folder.starts_with(data_dir));
        let inline_max_bytes = bounded(
            "media.inline_max_bytes",
            Bytes(bytes(self.inline_max_bytes, default)),
            Bytes(default),
            |most| most.0 <= MOST_OF_MESSAGE,
            "from 0 to 900 MiB, since Kafka's client takes no larger record",
            faults,
        );
        MediaSettings { inline_max_bytes: inline_max_bytes.0, place, max_bytes: max_bytes.0 as u64, shared }
    }
}

const MEDIA_URL: AddressRule<'_> = AddressRule {
    key: "media.url",
    schemes: &["s3", "file"],
    expected: "s3://bucket/prefix or file:///folder",
    no_credentials: Some("must not hold credentials, since it is shown: put them in media.options"),
    no_query: Some(NO_QUERY),
};
const NO_QUERY: &str = "must have no port, `?` or `#`: use media.options";

fn place(text: &str, options: BTreeMap<String, Secret>, written: &Written) -> Result<MediaPlace, ConfigError> {
    let fail = |what: &str| Err(ConfigError::key("media.url", what));
    let url = MEDIA_URL.parse(text, written)?;
    if url.port().is_some() {
        return fail(NO_QUERY);
    }
    if url.scheme() == "file" {
        if !text.to_ascii_lowercase().starts_with("file:///") || url.path() == "/" {
            return fail(&written.unfit("media.url", "an absolute path, such as file:///folder"));
        }
        if !options.is_empty() {
            let error = ConfigError::key("media.options", "only for a bucket, and media.url is a folder");
            return Err(error.or_remedy("remove them"));
        }
        let Ok(folder) = url.to_file_path() else { return fail("expected an absolute path, such as file:///folder") };
        return Ok(MediaPlace::Folder(absolute("media.url", &folder)?));
    }
    let Some(bucket) = url.host_str().filter(|host| !host.is_empty()) else {
        return fail(&written.unfit("media.url", "a bucket, such as s3://bucket/prefix"));
    };
    let Ok(prefix) = object_store::path::Path::from_url_path(url.path()) else {
        return fail("the part after the bucket is not a valid object path");
    };
    Ok(MediaPlace::S3 { bucket: bucket.to_owned(), prefix: prefix.to_string(), options })
}

/// Records name a folder for readers that are started elsewhere.
fn absolute(key: &str, folder: &Path) -> Result<PathBuf, ConfigError> {
    std::path::absolute(folder).map_err(|e| ConfigError::key(key, format!("{}: {e}", showable::path(folder))))
}
