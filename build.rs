//! Lists the files under `avro/`, and the profiles under `examples/vendors/`, so that `catalog/files.rs` can compile them in, and
//! finds out the commit that is built, for `hookbridge --version`. A build script rather than a macro crate because Cargo then rebuilds when a file is added or changed.
//!
//! Nothing of the time or the place of the build goes into the program: the same sources make the same one.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, io};

/// Filled in by `git archive`, by which tarballs are made: see .gitattributes.
const ARCHIVED: &str = "$Format:%H$";

/// What the program is made of. Cargo compiles again when one of them changes, so looking at them again costs nothing more.
const SOURCES: [&str; 6] = ["avro", "build.rs", "Cargo.lock", "Cargo.toml", "examples/vendors", "src"];

fn main() -> io::Result<()> {
    for source in SOURCES {
        println!("cargo:rerun-if-changed={source}");
    }
    let root = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    write_list(&root.join("avro"), "avro.rs")?;
    write_list(&root.join("examples/vendors"), "gallery.rs")?;
    println!("cargo:rustc-env=HOOKBRIDGE_BUILD_COMMIT={}", commit(&root));
    Ok(())
}

/// Writes the list of the profiles and schemas in the folders of `root`: their paths, and their texts.
fn write_list(root: &Path, to: &str) -> io::Result<()> {
    let is_of_a_profile = |file: &Path| {
        file.file_name().is_some_and(|name| name == "profile.toml") || file.extension().is_some_and(|e| e == "avsc")
    };
    let mut list = String::from("&[\n");
    for folder in sorted(root)?.into_iter().filter(|folder| folder.is_dir()) {
        for file in sorted(&folder)?.into_iter().filter(|file| is_of_a_profile(file)) {
            let name = file.strip_prefix(root).map_err(io::Error::other)?;
            let (name, file) = (name.display().to_string(), file.display().to_string());
            writeln!(list, "    ({name:?}, include_str!({file:?})),").map_err(io::Error::other)?;
        }
    }
    list.push_str("]\n");
    fs::write(Path::new(&variable("OUT_DIR")?).join(to), list)
}

/// The commit: what `HOOKBRIDGE_COMMIT` says, for builds that have no `.git` (the image), a tarball's, or git's own word, with
/// `-dirty` when the sources differ from it; else `unknown`.
fn commit(root: &Path) -> String {
    println!("cargo:rerun-if-env-changed=HOOKBRIDGE_COMMIT");
    let named = variable("HOOKBRIDGE_COMMIT").ok().filter(|name| is_commit(name));
    let archived = Some(ARCHIVED.to_owned()).filter(|name| is_commit(name));
    named.or(archived).or_else(|| checked_out(root)).unwrap_or_else(|| "unknown".to_owned())
}

/// A name of a commit as git gives it; `unknown` and the like are not.
fn is_commit(name: &str) -> bool {
    let digits = name.strip_suffix("-dirty").unwrap_or(name);
    (7..=64).contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
}

/// The commit that is checked out in `root`, unless `root` is somewhere within another project.
fn checked_out(root: &Path) -> Option<String> {
    let top = git(root, &["rev-parse", "--show-toplevel"])?;
    if fs::canonicalize(top).ok()? != fs::canonicalize(root).ok()? {
        return None;
    }
    // A commit alone changes no source, and would make each developer's next test run compile everything again. So only what is
    // shipped looks for new ones; another build has the commit that its sources were compiled at.
    if variable("PROFILE").is_ok_and(|profile| profile == "release") {
        for log in ["HEAD", "logs/HEAD"] {
            let file = git(root, &["rev-parse", "--git-path", log]).map(|path| root.join(path));
            if let Some(file) = file.filter(|file| file.exists()) {
                println!("cargo:rerun-if-changed={}", file.display());
            }
        }
    }
    let commit = git(root, &["rev-parse", "HEAD"])?;
    let status = ["--no-optional-locks", "status", "--porcelain", "--"];
    let changes = git(root, &[&status[..], &SOURCES].concat())?;
    Some(if changes.is_empty() { commit } else { format!("{commit}-dirty") })
}

/// What git answers, if there is a git.
fn git(root: &Path, args: &[&str]) -> Option<String> {
    let output = Command::new("git").current_dir(root).args(args).output().ok()?;
    let answer = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| answer.trim_end().to_owned())
}

#[allow(clippy::disallowed_methods, reason = "this is how Cargo speaks to a build script")]
fn variable(name: &str) -> io::Result<String> {
    env::var(name).map_err(io::Error::other)
}

fn sorted(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = fs::read_dir(folder)?.map(|e| e.map(|e| e.path())).collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}
