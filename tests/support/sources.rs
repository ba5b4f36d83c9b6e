//! The project's own sources, as the tests that read them need them. Not a test: included by its path.

use std::fs;
use std::path::{Path, PathBuf};

use syn::buffer::Cursor;
use syn::{Attribute, Meta};

/// All files of Rust below `folder` for which `wanted` holds, in order; a folder for which it does not is not looked into.
pub(crate) fn files(folder: &Path, wanted: &impl Fn(&Path) -> bool) -> Vec<PathBuf> {
    let mut entries: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    let entries = entries.into_iter().filter(|path| wanted(path));
    let files = entries.flat_map(|path| if path.is_dir() { files(&path, wanted) } else { vec![path] });
    files.filter(|path| path.extension().is_some_and(|extension| extension == "rs")).collect()
}

/// Whether it is none of the tests that stand within `src/` in files of their own.
pub(crate) fn is_no_test(path: &Path) -> bool {
    path.file_stem().is_some_and(|name| name != "tests")
}

/// `#[test]`, or `#[cfg(test)]`.
pub(crate) fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::Path(path) => path.is_ident("test"),
        Meta::List(list) => list.path.is_ident("cfg") && list.tokens.to_string() == "test",
        Meta::NameValue(_) => false,
    })
}

/// Stops at each token from `at` on, within brackets too: of a macro or an attribute, which need not be Rust.
pub(crate) fn each_token<'a>(mut at: Cursor<'a>, visit: &mut impl FnMut(Cursor<'a>)) {
    while !at.eof() {
        if let Some((inside, _, _, after)) = at.any_group() {
            each_token(inside, visit);
            at = after;
            continue;
        }
        visit(at);
        at = at.token_tree().expect("not at the end").1;
    }
}
