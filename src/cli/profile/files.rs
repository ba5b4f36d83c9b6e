//! A profile's files: read with what a draft adds, held against what was there, and written.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use super::ProfileError;
use crate::catalog::{Catalog, Profile, profile_files};
use crate::tools::infer::{Draft, changes_that_break};

/// A profile as it is before anything is added.
pub(super) struct Standing {
    /// By their names; none where there is no such profile yet.
    pub(super) files: BTreeMap<String, String>,
    pub(super) profile: Option<Arc<Profile>>,
}

impl Standing {
    /// That of the catalog of `dir`, with the files of `over` in place of its own.
    pub(super) fn read(dir: Option<&Path>, name: &str, over: Option<&Path>) -> Result<Standing, ProfileError> {
        let mut files = profile_files(dir, name)?;
        if let Some(folder) = over.map(|over| over.join(name)).filter(|folder| folder.is_dir()) {
            files.extend(read_folder(&folder)?);
        }
        let profile = if files.is_empty() { None } else { load(dir, name, &files)? };
        Ok(Standing { files, profile })
    }

    /// The profile with what `draft` adds.
    pub(super) fn with(
        &self,
        dir: Option<&Path>,
        name: &str,
        draft: &Draft,
    ) -> Result<Option<Arc<Profile>>, ProfileError> {
        let mut files = self.files.clone();
        files.extend(draft.files.clone());
        let new = load(dir, name, &files)?;
        let broken = self.profile.as_ref().zip(new.as_ref()).map(|(old, new)| changes_that_break(old, new));
        match broken.filter(|broken| !broken.is_empty()) {
            Some(broken) => Err(ProfileError::Breaks(broken.join("; "))),
            None => Ok(new),
        }
    }
}

/// The files of a profile that stand in `folder`.
fn read_folder(folder: &Path) -> Result<BTreeMap<String, String>, ProfileError> {
    let fail = |error| ProfileError::file(folder, error);
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder).map_err(fail)? {
        let path = entry.map_err(fail)?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if name == "profile.toml" || (path.extension().is_some_and(|ending| ending == "avsc") && !name.starts_with('.'))
        {
            let text = fs::read_to_string(&path).map_err(|error| ProfileError::file(&path, error))?;
            files.insert(name, text);
        }
    }
    Ok(files)
}

fn load(
    dir: Option<&Path>,
    name: &str,
    files: &BTreeMap<String, String>,
) -> Result<Option<Arc<Profile>>, ProfileError> {
    Ok(Catalog::load_with(dir, name, files)?.profiles.remove(name))
}

/// Writes `files` into `folder`; that which names the others last, so that a folder is never half a profile.
pub(super) fn write(folder: &Path, files: &BTreeMap<String, String>) -> Result<(), ProfileError> {
    fs::create_dir_all(folder).map_err(|error| ProfileError::file(folder, error))?;
    let (profile, others): (Vec<_>, Vec<_>) = files.iter().partition(|(name, _)| *name == "profile.toml");
    for (name, text) in others.into_iter().chain(profile) {
        let path = folder.join(name);
        fs::write(&path, text).map_err(|error| ProfileError::file(&path, error))?;
    }
    Ok(())
}
