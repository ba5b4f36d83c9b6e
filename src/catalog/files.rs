//! Where the catalog's files come from: compiled in, then `catalog.dir` on top.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::CatalogError;
use crate::disk::access::explain;

/// What some editors put in front of a text.
const BOM: char = '\u{feff}';

/// (path below `avro/`, text), made by `build.rs`.
static EMBEDDED: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/avro.rs"));

/// (path below `examples/vendors/`, text): profiles to begin with.
static GALLERY: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/gallery.rs"));

/// The profiles of the gallery, by name, each with its files.
pub(crate) fn gallery() -> BTreeMap<&'static str, BTreeMap<&'static str, &'static str>> {
    let mut profiles: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
    for (path, text) in GALLERY {
        if let Some((profile, name)) = path.split_once('/') {
            profiles.entry(profile).or_default().insert(name, *text);
        }
    }
    profiles
}

/// The folder of the types every profile shares. Its name cannot be a profile's.
pub(super) const HEAD_FOLDER: &str = "hookbridge";

/// The file that makes a folder a profile.
pub(super) const PROFILE_FILE: &str = "profile.toml";

/// A file of the catalog.
pub(super) struct CatalogFile {
    /// How errors call it: `avro/wegly/profile.toml`, or its path below `catalog.dir`.
    pub(super) label: String,
    pub(super) text: String,
    /// Whether it began with a byte-order mark, which is not in `text`.
    pub(super) is_marked: bool,
}

/// The files of one profile, by name.
pub(super) type Folder = BTreeMap<String, CatalogFile>;

/// All folders, by name.
pub(super) fn read(dir: Option<&Path>) -> Result<BTreeMap<String, Folder>, CatalogError> {
    let mut folders: BTreeMap<String, Folder> = BTreeMap::new();
    for (path, text) in EMBEDDED {
        if let Some((folder, name)) = path.split_once('/') {
            let file = CatalogFile { label: format!("avro/{path}"), text: (*text).to_owned(), is_marked: false };
            folders.entry(folder.to_owned()).or_default().insert(name.to_owned(), file);
        }
    }
    for folder in dir.map(list).transpose()?.unwrap_or_default() {
        // A README beside the profiles, say.
        if !folder.is_dir() {
            continue;
        }
        let name = file_name(&folder)?;
        if name == HEAD_FOLDER {
            return Err(unusable(&folder, "this name is reserved for the types that all profiles share"));
        }
        if !is_profile_name(&name) {
            return Err(unusable(
                &folder,
                "a profile's name must match [a-z][a-z0-9_]*, because it becomes an Avro namespace",
            ));
        }
        for path in list(&folder)?.into_iter().filter(|path| is_of_a_profile(path)) {
            let text = fs::read_to_string(&path).map_err(|e| unusable(&path, &explain(&path, &e)))?;
            let is_marked = text.starts_with(BOM);
            let text = text.strip_prefix(BOM).map_or(text.clone(), str::to_owned);
            let file = CatalogFile { label: path.display().to_string(), text, is_marked };
            folders.entry(name.clone()).or_default().insert(file_name(&path)?, file);
        }
    }
    Ok(folders)
}

/// The texts of the profile `name`, by their files' names; none where there is no such profile.
///
/// # Errors
/// When a file cannot be read.
pub(crate) fn profile_files(dir: Option<&Path>, name: &str) -> Result<BTreeMap<String, String>, CatalogError> {
    let folder = read(dir)?.remove(name).unwrap_or_default();
    Ok(folder.into_iter().map(|(file, CatalogFile { text, .. })| (file, text)).collect())
}

/// Puts `texts` into the folder of the profile `name`.
pub(super) fn put(folders: &mut BTreeMap<String, Folder>, name: &str, texts: &BTreeMap<String, String>) {
    let folder = folders.entry(name.to_owned()).or_default();
    for (file, text) in texts {
        folder.insert(
            file.clone(),
            CatalogFile { label: format!("{name}/{file}"), text: text.clone(), is_marked: false },
        );
    }
}

fn is_of_a_profile(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == PROFILE_FILE) || path.extension().is_some_and(|e| e == "avsc")
}

/// Whether a profile may be called so: the name becomes an Avro namespace.
pub(crate) fn is_profile_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

/// What lies in `folder`, sorted, without hidden files.
fn list(folder: &Path) -> Result<Vec<PathBuf>, CatalogError> {
    let entries = fs::read_dir(folder).and_then(|entries| entries.map(|e| e.map(|e| e.path())).collect());
    let mut paths: Vec<PathBuf> = entries.map_err(|e| unusable(folder, &e.to_string()))?;
    paths.retain(|p| !p.file_name().is_some_and(|n| n.to_string_lossy().starts_with('.')));
    paths.sort();
    Ok(paths)
}

fn file_name(path: &Path) -> Result<String, CatalogError> {
    let name = path.file_name().and_then(|n| n.to_str());
    name.map(str::to_owned).ok_or_else(|| unusable(path, "its name is not UTF-8"))
}

fn unusable(path: &Path, what: &str) -> CatalogError {
    CatalogError::new(&path.display().to_string(), "", what)
}
