//! The layers of `src/`, which are the modules of `lib.rs`: each imports only from layers below it, in the order of the table in
//! ARCHITECTURE.md; and no modules, in whichever layer, import each other in a circle.
//!
//! Tests within `src/` may import whatever they need.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in tests a panic is the report")]

#[path = "support/sources.rs"]
#[allow(dead_code, reason = "shared with the tests that read what is in macros")]
mod sources;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use syn::visit::{self, Visit};
use syn::{File, ItemMod, ItemUse, UseTree};

use sources::{files, is_for_tests, is_no_test};

/// A module's place: names from the root of the crate on.
type Place = Vec<String>;

/// All modules of the program, and what each names of others, from the root on.
struct Program {
    names: BTreeMap<Place, BTreeSet<Place>>,
}

impl Program {
    fn read(source: &Path) -> Program {
        let roots = ["lib.rs", "main.rs"].map(|name| source.join(name));
        let files = files(source, &is_no_test).into_iter().filter(|file| !roots.contains(file));
        let modules = files.map(|file| {
            let place = file.strip_prefix(source).unwrap().with_extension("");
            let place: Place = place.iter().map(|name| name.to_str().unwrap().to_owned()).collect();
            let names = names_in(&fs::read_to_string(&file).unwrap(), &place);
            (place, names)
        });
        Program { names: modules.collect() }
    }

    /// The module that `name` is in, or is: `json::Document` is in `json`.
    fn module_of<'a>(&self, name: &'a [String]) -> Option<&'a [String]> {
        (1..=name.len()).rev().map(|length| &name[..length]).find(|place| self.names.contains_key(*place))
    }

    /// Each import of one module from another, with the name that is imported.
    fn imports(&self) -> impl Iterator<Item = (&Place, &[String], &Place)> {
        self.names.iter().flat_map(move |(from, names)| {
            names.iter().filter_map(move |name| {
                let to = self.module_of(name)?;
                (to != &from[..]).then_some((from, to, name))
            })
        })
    }

    /// For each module that has several, which of its children import which others, by themselves or by what is in them.
    fn siblings(&self) -> BTreeMap<Place, BTreeMap<&str, BTreeSet<&str>>> {
        let mut siblings: BTreeMap<Place, BTreeMap<&str, BTreeSet<&str>>> = BTreeMap::new();
        for (from, to, _) in self.imports() {
            let common = from.iter().zip(to).take_while(|(a, b)| a == b).count();
            if let (Some(a), Some(b)) = (from.get(common), to.get(common)) {
                siblings.entry(from[..common].to_vec()).or_default().entry(a).or_default().insert(b);
            }
        }
        siblings
    }
}

/// What `text`, the module at `place`, names of the crate, from the root on.
fn names_in(text: &str, place: &Place) -> BTreeSet<Place> {
    let file: File = syn::parse_file(text).unwrap();
    let mut names = Names { place, found: BTreeSet::new() };
    names.visit_file(&file);
    names.found
}

struct Names<'a> {
    place: &'a Place,
    found: BTreeSet<Place>,
}

impl Names<'_> {
    /// Takes note of a path that begins with `crate`, `super` or `self`.
    fn note(&mut self, path: &[String]) {
        let ups = path.iter().take_while(|name| *name == "super").count();
        let place = match path.first().map(String::as_str) {
            Some("crate") => path[1..].to_vec(),
            Some("super") => [&self.place[..self.place.len() - ups], &path[ups..]].concat(),
            Some("self") => [&self.place[..], &path[1..]].concat(),
            _ => return,
        };
        self.found.insert(place);
    }

    fn note_tree(&mut self, before: &[String], tree: &UseTree) {
        let with = |name: String| [before, &[name]].concat();
        match tree {
            UseTree::Path(path) => self.note_tree(&with(path.ident.to_string()), &path.tree),
            UseTree::Name(name) => self.note(&with(name.ident.to_string())),
            UseTree::Rename(rename) => self.note(&with(rename.ident.to_string())),
            UseTree::Glob(_) => self.note(before),
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.note_tree(before, tree)),
        }
    }
}

impl<'ast> Visit<'ast> for Names<'_> {
    fn visit_item_mod(&mut self, module: &'ast ItemMod) {
        if !is_for_tests(&module.attrs) {
            visit::visit_item_mod(self, module);
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        if !is_for_tests(&item.attrs) {
            self.note_tree(&[], &item.tree);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names: Vec<_> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        self.note(&names);
        visit::visit_path(self, path);
    }
}

/// A circle of these imports, from a module back to itself.
fn circle<'a>(imports: &BTreeMap<&'a str, BTreeSet<&'a str>>) -> Option<Vec<&'a str>> {
    fn follow<'a>(
        at: &'a str,
        way: &mut Vec<&'a str>,
        left: &mut BTreeSet<&'a str>,
        imports: &BTreeMap<&'a str, BTreeSet<&'a str>>,
    ) -> Option<Vec<&'a str>> {
        if let Some(start) = way.iter().position(|name| *name == at) {
            return Some([&way[start..], &[at]].concat());
        }
        if left.contains(at) {
            return None;
        }
        way.push(at);
        let found = imports.get(at).into_iter().flatten().find_map(|next| follow(next, way, left, imports));
        way.pop();
        left.insert(at);
        found
    }
    let mut left = BTreeSet::new();
    imports.keys().find_map(|start| follow(start, &mut Vec::new(), &mut left, imports))
}

/// The layers as the table in ARCHITECTURE.md has them, from top to bottom.
fn layers(architecture: &str) -> Vec<&str> {
    let table = architecture.lines().skip_while(|line| !line.starts_with("| layer |")).skip(2);
    let rows = table.take_while(|line| line.starts_with('|'));
    rows.map(|row| row.split('`').nth(1).expect("a layer's name in `backticks`")).collect()
}

/// Imports that go up, a line each.
fn against_the_order(program: &Program, layers: &[&str]) -> Vec<String> {
    let height = |place: &[String]| layers.iter().position(|layer| *layer == place[0]);
    let up = program.imports().filter(|(from, to, _)| height(from) > height(to));
    up.map(|(from, to, name)| {
        format!(
            "{} imports {}: `{}` is above `{}` in ARCHITECTURE.md",
            from.join("::"),
            name.join("::"),
            to[0],
            from[0]
        )
    })
    .collect()
}

fn repository(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

fn program() -> Program {
    Program::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"))
}

#[test]
fn every_layer_imports_only_from_layers_below_it() {
    let (program, architecture) = (program(), repository("ARCHITECTURE.md"));
    let layers = layers(&architecture);
    let there: BTreeSet<_> = program.names.keys().map(|place| place[0].as_str()).collect();
    assert_eq!(layers.iter().copied().collect::<BTreeSet<_>>(), there, "the table in ARCHITECTURE.md, and src/");
    assert_eq!(against_the_order(&program, &layers), [""; 0]);
    assert!(program.imports().count() > 500, "the imports are found");
}

#[test]
fn no_modules_import_each_other_in_a_circle() {
    for (parent, imports) in program().siblings() {
        assert_eq!(circle(&imports), None, "in {}", parent.join("::"));
    }
}

#[test]
fn a_circle_and_an_import_that_goes_up_are_found() {
    let place = |text: &str| -> Place { text.split("::").map(str::to_owned).collect() };
    let module = |name: &str, text: &str| (place(name), names_in(text, &place(name)));
    let program = Program {
        names: BTreeMap::from([
            module("top", "use crate::{bottom::{self, x::A as B}, bottom::y};"),
            module("bottom", "fn f() -> crate::top::T { self::x::g() }"),
            module("bottom::x", "use super::y::*; #[cfg(test)] mod tests { use crate::top::T; }"),
            module("bottom::y", "fn f() { let x = super::z::f(); }"),
            module("bottom::z", "impl crate::bottom::x::T for U {}"),
        ]),
    };
    let siblings = program.siblings();
    assert_eq!(circle(&siblings[&Place::new()]), Some(vec!["bottom", "top", "bottom"]));
    assert_eq!(circle(&siblings[&place("bottom")]), Some(vec!["x", "y", "z", "x"]));
    let up = against_the_order(&program, &["top", "bottom"]);
    assert_eq!(up, ["bottom imports top::T: `top` is above `bottom` in ARCHITECTURE.md"]);
}
