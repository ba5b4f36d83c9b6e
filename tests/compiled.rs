//! Every Rust file is compiled: a file of tests that no `mod` names never runs, and nobody notices.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in tests a panic is the report")]

#[path = "support/sources.rs"]
#[allow(dead_code, reason = "shared with the tests that read what is in the files")]
mod sources;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use syn::{Attribute, Expr, Item, Lit, Meta};

use sources::files;

/// The roots of what Cargo builds: `src/lib.rs`, `src/main.rs`, `build.rs`, and in `tests` and `benches` each file, and `main.rs` of each folder.
fn roots(repository: &Path) -> Vec<PathBuf> {
    let mut roots: Vec<_> = ["src/lib.rs", "src/main.rs", "build.rs"].map(|file| repository.join(file)).into();
    for folder in ["tests", "benches"] {
        for entry in fs::read_dir(repository.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let root = if path.is_dir() { path.join("main.rs") } else { path };
            if root.exists() && is_rust(&root) {
                roots.push(root);
            }
        }
    }
    roots
}

fn is_rust(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "rs")
}

/// Whether it is neither a package of its own nor what Cargo writes.
fn is_ours(path: &Path) -> bool {
    let name = path.file_name().unwrap().to_str().unwrap();
    !(path.is_dir() && (name.starts_with('.') || name == "target" || path.join("Cargo.toml").exists()))
}

/// Adds `file` and what its `mod`s name; those of a root, and of a file that `#[path]` names, are beside it.
fn follow(file: &Path, is_root: bool, compiled: &mut BTreeSet<PathBuf>) {
    let file = file.canonicalize().unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    if !compiled.insert(file.clone()) {
        return;
    }
    let beside = file.parent().unwrap();
    let folder = if is_root { beside.to_owned() } else { beside.join(file.file_stem().unwrap()) };
    for item in syn::parse_file(&fs::read_to_string(&file).unwrap()).unwrap().items {
        let Item::Mod(module) = item else { continue };
        if module.content.is_some() {
            continue;
        }
        let named = module.attrs.iter().find_map(path_of);
        match named {
            Some(path) => follow(&beside.join(path), true, compiled),
            None => follow(&folder.join(format!("{}.rs", module.ident)), false, compiled),
        }
    }
}

/// What `#[path = "..."]` says.
fn path_of(attribute: &Attribute) -> Option<String> {
    let Meta::NameValue(pair) = &attribute.meta else { return None };
    match &pair.value {
        Expr::Lit(literal) if pair.path.is_ident("path") => match &literal.lit {
            Lit::Str(text) => Some(text.value()),
            _ => None,
        },
        _ => None,
    }
}

#[test]
fn no_file_is_left_out() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).canonicalize().unwrap();
    let mut compiled = BTreeSet::new();
    for root in roots(&repository) {
        follow(&root, true, &mut compiled);
    }
    let all: BTreeSet<_> = files(&repository, &is_ours).into_iter().collect();
    assert!(all.len() > 300, "{} files", all.len());
    let left_out: Vec<_> = all.difference(&compiled).collect();
    assert!(left_out.is_empty(), "no `mod` names these: {left_out:#?}");
}
