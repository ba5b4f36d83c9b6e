//! Keeps the data directory from the other users of the machine: what waits in it are bodies, with personal data.
//!
//! Folders are 0700 and files 0600, whatever the umask says and whatever they were before. A media folder outside the data
//! directory is there for others to read: what is new in it has the rights that the operator's umask gives.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::thread;

use rustix::fs::{FileType, Mode, OFlags, fchmod, fstat, getxattr, open};
use rustix::process::umask;

use crate::disk::access::explain;

/// What others may do with a file or folder.
const OTHERS: u32 = 0o077;

/// The umask that the process was started with, once it has another.
static OPERATORS: OnceLock<u32> = OnceLock::new();

/// Every file and folder that this process makes from here on is for its user alone.
pub(crate) fn keep_new_files_private() {
    let before = umask(Mode::RWXG | Mode::RWXO);
    let _ = OPERATORS.set(before.as_raw_mode());
}

/// Gives a new file or folder outside the data directory the rights that it would have without the umask of ours.
///
/// # Errors
/// When its rights cannot be changed.
pub(crate) fn share(path: &Path) -> io::Result<()> {
    OPERATORS.get().map_or(Ok(()), |&mask| share_by(path, mask))
}

fn share_by(path: &Path, mask: u32) -> io::Result<()> {
    // A default ACL of the folder's goes before any umask.
    let has_acl = |folder: &Path| getxattr(folder, "system.posix_acl_default", &mut [0_u8; 0][..]).is_ok();
    if path.parent().is_some_and(has_acl) {
        return Ok(());
    }
    let found = fs::metadata(path)?;
    let all = if found.is_dir() { 0o777 } else { 0o666 };
    let rights = all & !mask;
    let is = found.mode() & 0o7777;
    // That of another instance is as it made it.
    if is | rights == is { Ok(()) } else { fs::set_permissions(path, fs::Permissions::from_mode(is | rights)) }
}

/// Takes from others what they may do with `dir` and all that is in it. What cannot be changed, since it belongs to somebody
/// else, is logged. Folders in it may hold very many files: those are looked at beside what comes next.
///
/// Call it before a database in `dir` is opened: to close a file of SQLite's takes its locks from it.
pub(crate) fn make_private(dir: &Path) {
    let mut look = Look::default();
    // It may be a link to where the data are.
    look.at(&fs::canonicalize(dir).unwrap_or_else(|_| dir.to_owned()));
    let folders: Vec<_> = look.folders.drain(..).collect();
    let mut inner = Vec::new();
    for folder in folders {
        look.within(&folder);
        inner.append(&mut look.folders);
    }
    look.report(dir);
    if inner.is_empty() {
        return;
    }
    let dir = dir.to_owned();
    let rest = move || {
        let mut look = Look { folders: inner, ..Look::default() };
        while let Some(folder) = look.folders.pop() {
            look.within(&folder);
        }
        look.report(&dir);
    };
    if let Err(error) = thread::Builder::new().name("private".into()).spawn(rest) {
        tracing::warn!(%error, "cannot check whether other users may read the folders in data_dir");
    }
}

/// What was found, and done.
#[derive(Default)]
struct Look {
    /// Still to be looked into.
    folders: Vec<PathBuf>,
    /// How many others had rights to, and the first.
    closed: Option<(u64, PathBuf)>,
    /// How many others still have rights to; the first, and why.
    open: Option<(u64, PathBuf, io::Error)>,
}

impl Look {
    fn within(&mut self, folder: &Path) {
        // What cannot be listed is not read by us, either.
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            self.at(&entry.path());
        }
    }

    fn at(&mut self, path: &Path) {
        match close(path) {
            Ok(PathAccess { was_open, is_folder }) => {
                if was_open {
                    self.closed.get_or_insert_with(|| (0, path.to_owned())).0 += 1;
                }
                if is_folder {
                    self.folders.push(path.to_owned());
                }
            }
            Err(error) if is_open(path) => self.open.get_or_insert_with(|| (0, path.to_owned(), error)).0 += 1,
            Err(_) => {}
        }
    }

    fn report(&self, dir: &Path) {
        let data_dir = dir.display();
        if let Some((count, first)) = &self.closed {
            let first = first.display();
            tracing::info!(%data_dir, count, %first, "other users had access to files in data_dir; their access is removed");
        }
        if let Some((count, first, error)) = &self.open {
            let reason = explain(first, error);
            let first = first.display();
            tracing::warn!(%data_dir, count, %first, reason, "other users have access to files in data_dir");
        }
    }
}

struct PathAccess {
    was_open: bool,
    is_folder: bool,
}

/// Leaves the owner's rights alone of those that there are. No link is followed.
fn close(path: &Path) -> io::Result<PathAccess> {
    // Opening what is no file must not wait for its other end.
    let file = open(path, OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty())?;
    let mode = fstat(&file)?.st_mode;
    let (is_folder, owners) = match FileType::from_raw_mode(mode) {
        FileType::Directory => (true, 0o700),
        FileType::RegularFile => (false, 0o600),
        _ => return Ok(PathAccess { was_open: false, is_folder: false }),
    };
    let was_open = mode & OTHERS != 0;
    if was_open {
        fchmod(&file, Mode::from_raw_mode(mode & owners))?;
    }
    Ok(PathAccess { was_open, is_folder })
}

/// Whether others have rights to a file or folder that could not be closed.
fn is_open(path: &Path) -> bool {
    let found = fs::symlink_metadata(path);
    found.is_ok_and(|found| (found.is_file() || found.is_dir()) && found.mode() & OTHERS != 0)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::time::{Duration, Instant};

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().mode() & 0o7777
    }

    fn make(path: &Path, mode: u32) {
        if path.extension().is_some() {
            fs::write(path, "x").unwrap();
        } else {
            fs::create_dir(path).unwrap();
        }
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn what_others_could_read_is_closed_to_them_at_any_depth_and_nothing_outside() {
        let outside = tempfile::tempdir().unwrap();
        let theirs = outside.path().join("theirs.txt");
        make(&theirs, 0o644);
        let base = tempfile::tempdir().unwrap();
        let dir = base.path().join("data");
        let expected = [
            ("", 0o2775, 0o700),
            ("spool.db", 0o644, 0o600),
            ("spool.db-wal", 0o666, 0o600),
            ("run.sh", 0o755, 0o600),
            ("read-only.db", 0o444, 0o400),
            ("private.db", 0o600, 0o600),
            ("media", 0o777, 0o700),
            ("media/ab", 0o755, 0o700),
            ("media/ab/file.bin", 0o664, 0o600),
        ];
        for (name, before, _) in expected {
            make(&dir.join(name).components().collect::<PathBuf>(), before);
        }
        symlink(&theirs, dir.join("link.txt")).unwrap();
        symlink(outside.path(), dir.join("linked")).unwrap();
        let linked = base.path().join("linked-data");
        symlink(&dir, &linked).unwrap();

        let before = mode(outside.path());
        make_private(&linked);
        let end = Instant::now() + Duration::from_secs(30);
        while expected.iter().any(|(name, _, after)| mode(&dir.join(name)) != *after) {
            let is: Vec<_> = expected.iter().map(|(name, ..)| (name, mode(&dir.join(name)))).collect();
            assert!(Instant::now() < end, "{is:?}");
            thread::yield_now();
        }
        assert_eq!((mode(&theirs), mode(outside.path())), (0o644, before));
    }

    #[test]
    fn what_is_to_be_shared_has_the_rights_that_the_umask_gives() {
        let dir = tempfile::tempdir().unwrap();
        let (file, folder, wide) = (dir.path().join("a.bin"), dir.path().join("ab"), dir.path().join("w.bin"));
        make(&file, 0o600);
        make(&folder, 0o700);
        make(&wide, 0o666);
        for path in [&file, &folder, &wide] {
            share_by(path, 0o027).unwrap();
        }
        assert_eq!([mode(&file), mode(&folder), mode(&wide)], [0o640, 0o750, 0o666]);
        assert!(share_by(&dir.path().join("none"), 0o027).is_err());
    }

    #[test]
    fn what_belongs_to_somebody_else_is_told_and_stops_nothing() {
        let mut look = Look::default();
        // A file of the kernel's: its mode cannot be changed, not even by root.
        let file = Path::new("/proc/sys/kernel/ostype");
        if !file.exists() {
            return println!("SKIPPED: no /proc/sys here");
        }
        look.at(file);
        let (count, first, _) = look.open.unwrap();
        assert_eq!((count, first.as_path()), (1, file));
        assert!(look.closed.is_none());
        look.open = None;
        look.at(Path::new("/proc/there/is/no/such"));
        assert!(look.open.is_none());
    }
}
