//! Why this process cannot use a file or folder, in words that name the remedy.
//!
//! In containers the usual reasons are an owner, a mode or a disk that somebody else has set: a new volume belongs to
//! root, a `umask` of 077 hides a configuration, a volume is full. The bare words of the kernel name none of these.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::process::{getegid, geteuid};

/// What `error` means for `path`, for a log or a message; the path stands before it there.
pub(crate) fn explain(path: &Path, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::PermissionDenied => match closest(path) {
            Some((at, metadata)) => format!("{error}: {}", not_ours(at, &metadata)),
            None => error.to_string(),
        },
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            format!("{error}: free space on its disk, or use another disk")
        }
        io::ErrorKind::ReadOnlyFilesystem => format!("{error}: mount its disk writable, or use another disk"),
        _ => error.to_string(),
    }
}

/// Whether `error` is the disk's, and not a mistake in a setting: it may be over by itself.
pub(crate) fn is_of_the_disk(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    let kinds = [Kind::StorageFull, Kind::QuotaExceeded, Kind::ReadOnlyFilesystem, Kind::StaleNetworkFileHandle];
    kinds.contains(&error.kind()) || error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error())
}

/// The last part of `path` that can be looked at: what stops us is this, or may not be entered.
fn closest(path: &Path) -> Option<(&Path, Metadata)> {
    path.ancestors().find_map(|at| Some((at, fs::metadata(at).ok()?)))
}

fn not_ours(at: &Path, metadata: &Metadata) -> String {
    let (user, group) = (geteuid().as_raw(), getegid().as_raw());
    let (at, owner, owners) = (at.display(), metadata.uid(), metadata.gid());
    format!(
        "this process is user {user}, group {group}; {at} belongs to user {owner}, group {owners}, mode {:04o}. Change its \
         owner (chown {user}:{group} {at}) or its mode (chmod)",
        metadata.mode() & 0o7777,
    )
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_words_name_the_folder_that_stops_us_and_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o500)).unwrap();
        let missing = dir.path().join("data/spool.db");
        let words = explain(&missing, &io::Error::from_raw_os_error(13));
        let (at, user) = (dir.path().display(), geteuid().as_raw());
        for part in
            ["Permission denied".to_owned(), format!("{at} belongs to"), "mode 0500".into(), format!("chown {user}:")]
        {
            assert!(words.contains(&part), "{part}: {words}");
        }
        assert!(explain(&missing, &io::Error::from_raw_os_error(28)).contains("free space"));
        assert!(explain(&missing, &io::Error::from_raw_os_error(30)).contains("mount its disk writable"));
        assert_eq!(explain(&missing, &io::Error::from_raw_os_error(2)), io::Error::from_raw_os_error(2).to_string());
    }
}
