//! Libraries of C that stand between a program and the system: compiled here, and preloaded into the bridge.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::java;

/// Compiles `source`, a path below `tests/`, into `dir`; or says why it cannot be.
pub(crate) fn compile(source: &str, dir: &Path) -> Result<PathBuf, String> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(source);
    let library = dir.join(source.file_stem().expect("a file")).with_extension("so");
    let mut compiler = Command::new("cc");
    java::run(compiler.args(["-shared", "-fPIC", "-Wall", "-Werror", "-o"]).arg(&library).arg(source))?;
    Ok(library)
}

/// What runs a program with `library`, and with `variables` that tell it what to do.
pub(crate) fn runner(library: &Path, variables: &[(&str, &Path)]) -> Vec<String> {
    let variables = [("LD_PRELOAD", library)].into_iter().chain(variables.iter().copied());
    let variables = variables.map(|(name, value)| format!("{name}={}", value.display()));
    std::iter::once("env".to_owned()).chain(variables).collect()
}
