//! No type name of `src/` has two meanings: each struct, enum, union, trait and alias is defined once, whichever module it is
//! in, so that a name found by searching is the one that was meant. Tests within `src/` may use any names.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in tests a panic is the report")]

#[path = "support/sources.rs"]
mod sources;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use syn::buffer::TokenBuffer;
use syn::visit::{self, Visit};
use syn::{Item, Macro};

use sources::{each_token, files, is_for_tests, is_no_test};

/// The names of the types that `text`, a file of Rust, defines, each as often as it does.
fn types_in(text: &str) -> Vec<String> {
    let mut types = Types::default();
    types.visit_file(&syn::parse_file(text).unwrap());
    types.0
}

#[derive(Default)]
struct Types(Vec<String>);

impl Types {
    fn note(&mut self, name: &syn::Ident) {
        self.0.push(name.to_string());
    }
}

impl<'ast> Visit<'ast> for Types {
    fn visit_item(&mut self, item: &'ast Item) {
        let (attributes, name) = match item {
            Item::Struct(item) => (&item.attrs, Some(&item.ident)),
            Item::Enum(item) => (&item.attrs, Some(&item.ident)),
            Item::Union(item) => (&item.attrs, Some(&item.ident)),
            Item::Trait(item) => (&item.attrs, Some(&item.ident)),
            Item::Type(item) => (&item.attrs, Some(&item.ident)),
            Item::Mod(item) => (&item.attrs, None),
            Item::Fn(item) => (&item.attrs, None),
            Item::Impl(item) => (&item.attrs, None),
            _ => return visit::visit_item(self, item),
        };
        if !is_for_tests(attributes) {
            if let Some(name) = name {
                self.note(name);
            }
            visit::visit_item(self, item);
        }
    }

    /// What a macro defines, as far as its tokens name it.
    fn visit_macro(&mut self, called: &'ast Macro) {
        each_token(TokenBuffer::new2(called.tokens.clone()).begin(), &mut |at| {
            if let Some((keyword, after)) = at.ident()
                && ["struct", "enum", "union", "trait"].iter().any(|word| keyword == word)
                && let Some((name, _)) = after.ident()
            {
                self.note(&name);
            }
        });
    }
}

/// The files that define each name, once for each time they do.
fn definitions<'a>(texts: impl IntoIterator<Item = (&'a str, &'a str)>) -> BTreeMap<String, Vec<&'a str>> {
    let mut definitions: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (file, text) in texts {
        for name in types_in(text) {
            definitions.entry(name).or_default().push(file);
        }
    }
    definitions
}

/// What is defined more than once, a line each.
fn doubled(definitions: &BTreeMap<String, Vec<&str>>) -> Vec<String> {
    let doubled = definitions.iter().filter(|(_, files)| files.len() > 1);
    let line = |(name, files): (&String, &Vec<&str>)| {
        format!("{name} is defined in {}: give all but one of them a name that says which it is", files.join(", "))
    };
    doubled.map(line).collect()
}

#[test]
fn no_type_name_has_two_meanings() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let name = |path: &Path| path.strip_prefix(&source).unwrap().display().to_string();
    let texts = files(&source, &is_no_test).into_iter().map(|path| (name(&path), fs::read_to_string(&path).unwrap()));
    let texts: Vec<_> = texts.collect();
    let definitions = definitions(texts.iter().map(|(file, text)| (&**file, &**text)));
    assert!(definitions.len() > 400, "the types are found: {}", definitions.len());
    let doubled = doubled(&definitions);
    assert_eq!(doubled, [""; 0], "{}", doubled.join("\n"));
}

#[test]
fn names_with_two_meanings_are_found() {
    let one = "
        struct Row; trait Twice { type State; }
        fn f() { enum Inner { A } }
        macro_rules! make { ($name:ident) => { pub(super) enum Made { $name } struct $name; } }
        #[cfg(test)] mod tests { struct Row; }
        #[cfg(test)] struct Row;
    ";
    let other =
        "type Row = u8; enum Made {} union Other { a: u8 } impl Iterator for Row { type State = u8; } struct Inner;";
    let definitions = definitions([("one.rs", one), ("other.rs", other)]);
    assert_eq!(definitions.keys().collect::<Vec<_>>(), ["Inner", "Made", "Other", "Row", "Twice"]);
    let found = doubled(&definitions);
    let expected = ["Inner", "Made", "Row"].map(|name| format!("{name} is defined in one.rs, other.rs: give all"));
    assert_eq!(found.len(), expected.len(), "{found:?}");
    assert!(found.iter().zip(expected).all(|(found, expected)| found.starts_with(&expected)), "{found:?}");
}
