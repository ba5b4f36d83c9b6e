//! Lists the files under `avro/` so that `catalog/files.rs` can compile them in. A build script rather than a macro
//! crate because Cargo then rebuilds when a file is added or changed.

use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    println!("cargo:rerun-if-changed=avro");
    let root = Path::new(&variable("CARGO_MANIFEST_DIR")?).join("avro");
    let mut list = String::from("&[\n");
    for folder in sorted(&root)? {
        for file in sorted(&folder)? {
            let name = file.strip_prefix(&root).map_err(io::Error::other)?;
            let (name, file) = (name.display().to_string(), file.display().to_string());
            writeln!(list, "    ({name:?}, include_str!({file:?})),").map_err(io::Error::other)?;
        }
    }
    list.push_str("]\n");
    fs::write(Path::new(&variable("OUT_DIR")?).join("avro.rs"), list)
}

#[allow(clippy::disallowed_methods, reason = "this is how Cargo speaks to a build script")]
fn variable(name: &str) -> io::Result<String> {
    env::var(name).map_err(io::Error::other)
}

fn sorted(folder: &Path) -> io::Result<Vec<std::path::PathBuf>> {
    let mut paths = fs::read_dir(folder)?.map(|e| e.map(|e| e.path())).collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}
