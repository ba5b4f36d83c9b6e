//! What the bridge keeps on disk is for its user alone, whatever the umask and whatever was there before.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use crate::support::bridge::{SOON, Setup};
use crate::support::eventually;

/// Everything below `path`, and itself, with its mode.
fn modes(path: &Path) -> Vec<(PathBuf, u32)> {
    // A file of the database's may go meanwhile.
    let Ok(found) = fs::symlink_metadata(path) else { return Vec::new() };
    let mut all = vec![(path.to_owned(), found.mode() & 0o777)];
    if found.is_dir() {
        fs::read_dir(path).unwrap().flatten().for_each(|entry| all.extend(modes(&entry.path())));
    }
    all
}

#[test]
fn nobody_else_has_rights_to_what_is_in_the_data_directory() {
    let mut setup = Setup::new("private");
    setup.runner = ["sh", "-c", "umask 0; exec \"$0\" \"$@\""].map(String::from).to_vec();
    let data = setup.data_dir();
    let earlier = data.join("media/aa");
    fs::create_dir_all(&earlier).unwrap();
    fs::write(earlier.join("file"), "kept by an earlier run").unwrap();
    fs::write(data.join("schema-ids.json"), "{}").unwrap();
    for (path, mode) in modes(&data) {
        let loose = if path.is_dir() { 0o777 } else { 0o666 };
        fs::set_permissions(&path, Permissions::from_mode(mode | loose)).unwrap();
    }

    let bridge = setup.start();
    let large = "A".repeat(3 << 20);
    let body = format!(r#"{{"messageId":"m","fromMe":false,"mediaBase64":"{large}","ticket":{{"id":77}}}}"#);
    assert_eq!(bridge.deliver("whazing", body).sum(), (200, "published".into()));
    // Folders in it are looked at in the background.
    let all = eventually("all is closed to others", SOON, || {
        let all = modes(&data);
        all.iter().all(|(_, mode)| [0, mode & 0o700].contains(&(mode & 0o777))).then_some(all)
    });
    for name in ["lock", "spool.db", "spool.db-wal", "schema-ids.json", "media/aa/file"] {
        assert!(all.iter().any(|(path, _)| *path == data.join(name)), "{name} is not there: {all:?}");
    }
    let files = all.iter().filter(|(path, _)| path.starts_with(data.join("media")) && path.is_file());
    assert_eq!(files.count(), 2, "{all:?}");
    assert!(all.iter().all(|(path, mode)| *mode == if path.is_dir() { 0o700 } else { 0o600 }), "{all:?}");
    bridge.says("their access is removed");
}
