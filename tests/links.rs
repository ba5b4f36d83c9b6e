//! Every link of the documentation leads somewhere: relative links and `#anchors` in Markdown, and pages that comments,
//! alerts and dashboards name, such as `docs/operations.md#replicas`. It needs no server and nothing of the program.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in tests a panic is the report")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

/// The files of the repository and their texts; empty for what is not text.
struct Tree {
    files: BTreeMap<String, String>,
}

impl Tree {
    fn of_the_repository() -> Tree {
        // Also what is new and not committed yet, but nothing that is ignored.
        let listed =
            Command::new("git").args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]).output();
        let listed = listed.expect("git is needed to list the files of the repository");
        assert!(listed.status.success(), "git ls-files: {}", String::from_utf8_lossy(&listed.stderr));
        let names = String::from_utf8(listed.stdout).unwrap();
        let names = names.split('\0').filter(|name| Path::new(name).is_file());
        Tree { files: names.map(|name| (name.to_owned(), fs::read_to_string(name).unwrap_or_default())).collect() }
    }

    fn has(&self, path: &str) -> bool {
        let folder = format!("{path}/");
        path.is_empty() || self.files.contains_key(path) || self.files.keys().any(|name| name.starts_with(&folder))
    }

    /// Everything that is wrong, a line each.
    fn broken(&self) -> Vec<String> {
        let mut broken = Vec::new();
        for (file, text) in self.files.iter().filter(|(file, _)| is_read(file)) {
            let links = if is_markdown(file) { links(text) } else { Vec::new() };
            broken.extend(links.into_iter().filter_map(|link| {
                // Within the page itself, or from its folder on.
                let whole = if link.starts_with('#') { format!("/{file}{link}") } else { link.clone() };
                let from = if whole.starts_with('/') { "" } else { folder(file) };
                Some(format!("{file}: {link}: {}", self.trouble(from, &whole)?))
            }));
            // In Markdown `page.md#x` is a link's, and was followed as such.
            let mentions = mentions(text).into_iter().filter(|word| !is_markdown(file) || word.starts_with("docs/"));
            let mentions = mentions.filter_map(|mention| {
                // From the root, beside the file that has it, or in the text of a page that is made from the file.
                let everywhere = ["", folder(file), "docs"].map(|from| self.trouble(from, &mention));
                let [Some(trouble), Some(_), Some(_)] = everywhere else { return None };
                Some(format!("{file}: {mention}: {trouble}"))
            });
            broken.extend(mentions);
        }
        broken.sort();
        broken.dedup();
        broken
    }

    /// Why a link in a file of `folder` leads nowhere.
    fn trouble(&self, folder: &str, link: &str) -> Option<String> {
        let (path, anchor) = link.split_once('#').map_or((link, None), |(path, anchor)| (path, Some(anchor)));
        let Some(path) = resolve(folder, path) else { return Some("outside of the repository".to_owned()) };
        if !self.has(&path) {
            return Some(format!("no file {path}"));
        }
        let anchor = anchor?;
        let text = self.files.get(&path).filter(|_| is_markdown(&path));
        let there = text.is_some_and(|text| anchors(text).contains(anchor));
        (!there).then(|| format!("no heading #{anchor} in {path}"))
    }
}

fn is_markdown(file: &str) -> bool {
    Path::new(file).extension().is_some_and(|extension| extension == "md")
}

/// Not this file, whose examples are broken, nor what is kept as it once was.
fn is_read(file: &str) -> bool {
    file != "tests/links.rs" && !file.starts_with("fuzz/corpus/") && !file.starts_with("docs/vendors/")
}

fn folder(file: &str) -> &str {
    file.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// The path from the root on of `path`, as seen from `folder`.
fn resolve(folder: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            _ => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// The lines that are not in a fenced block of code.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    let mut fenced = false;
    text.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fenced && !fence
    })
}

/// The targets of `[text](target)` that are within the repository.
fn links(text: &str) -> Vec<String> {
    let prose: String = lines(text).flat_map(|line| [without_code(line), "\n".to_owned()]).collect();
    let targets = prose.split("](").skip(1).filter_map(|rest| rest.split([')', ' ', '\n']).next());
    let relative = targets.filter(|target| !target.contains("://") && !target.starts_with("mailto:"));
    relative.map(str::to_owned).collect()
}

/// A line without `code`, in which brackets are no links.
fn without_code(line: &str) -> String {
    line.split('`').step_by(2).collect::<Vec<_>>().join("code")
}

/// Pages that a text names by their path, such as `docs/operations.md#replicas` in a comment.
fn mentions(text: &str) -> Vec<String> {
    let is_path = |symbol: char| symbol.is_ascii_alphanumeric() || "/_.-#".contains(symbol);
    let words = text.split(|symbol| !is_path(symbol)).map(|word| word.trim_end_matches(['.', '-', '#']));
    let page = |word: &&str| {
        let path = word.split('#').next().unwrap_or_default();
        is_markdown(path) && !word.starts_with("..") && (word.starts_with("docs/") || word.contains(".md#"))
    };
    words.filter(page).map(str::to_owned).collect()
}

/// The anchors of a page's headings, as GitHub makes them.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut anchors = BTreeSet::new();
    for line in lines(text) {
        let title = line.trim_start_matches('#');
        let Some(title) = title.strip_prefix(' ').filter(|_| line.starts_with('#')) else { continue };
        let kept = |symbol: &char| symbol.is_alphanumeric() || " -_".contains(*symbol);
        let slug: String = title.trim().to_lowercase().chars().filter(kept).collect();
        let slug = slug.replace(' ', "-");
        let again = (1..).map(|number| format!("{slug}-{number}"));
        let free = std::iter::once(slug.clone()).chain(again).find(|anchor| !anchors.contains(anchor));
        anchors.extend(free);
    }
    anchors
}

#[test]
fn every_link_leads_somewhere() {
    let broken = Tree::of_the_repository().broken();
    assert!(broken.is_empty(), "broken links:\n{}", broken.join("\n"));
}

#[test]
fn every_page_is_in_the_index() {
    let tree = Tree::of_the_repository();
    let named: BTreeSet<String> = links(&tree.files["docs/README.md"]).into_iter().collect();
    let pages = tree.files.keys().filter_map(|file| file.strip_prefix("docs/"));
    let pages = pages.filter(|page| is_markdown(page) && !page.contains('/') && *page != "README.md");
    let missing: Vec<&str> = pages.filter(|page| !named.contains(*page)).collect();
    assert!(missing.is_empty(), "docs/README.md has no line for {missing:?}");
}

#[test]
fn broken_links_are_found_and_others_are_not() {
    let page = "# Top\n## What `x` is\n## Again\n## Again\n```\n# no heading\n[a](no-link)\n```\n";
    let one = |file: &str, text: &str| {
        let mut files = BTreeMap::from([("docs/page.md".to_owned(), page.to_owned())]);
        files.insert(file.to_owned(), text.to_owned());
        Tree { files }.broken()
    };
    for good in [
        "[a](docs/page.md)",
        "[a](docs)",
        "[a](docs/page.md#what-x-is)",
        "[a](docs/page.md#again-1)",
        "[two\nlines](docs/page.md)",
        "[a](#here)\n\n# Here",
        "[a](https://example.com/nowhere#x)",
        "`[a](nowhere.md)`",
        "```\n[a](nowhere.md)\n```",
        "See docs/page.md.",
        "See docs/page.md#again.",
    ] {
        assert_eq!(one("README.md", good), Vec::<String>::new(), "{good}");
    }
    for (file, bad, words) in [
        ("README.md", "[a](docs/pages.md)", "no file docs/pages.md"),
        ("README.md", "[a](page.md)", "no file page.md"),
        ("README.md", "[two\nlines](docs/Page.md)", "no file docs/Page.md"),
        ("README.md", "[a](docs/page.md#nothing)", "no heading #nothing"),
        ("README.md", "[a](docs/page.md#no-heading)", "no heading #no-heading"),
        ("README.md", "[a](docs/page.md#again-2)", "no heading #again-2"),
        ("README.md", "[a](#nothing)", "no heading #nothing"),
        ("README.md", "[a](../elsewhere.md)", "outside of the repository"),
        ("docs/other.md", "[a](docs/page.md)", "no file docs/docs/page.md"),
        ("docs/other.md", "[a](../README.md#x)", "no file README.md"),
        ("src/main.rs", "// See docs/pages.md.", "no file docs/pages.md"),
        ("alerts.yml", "runbook: docs/page.md#nothing", "no heading #nothing in docs/page.md"),
        ("CONTRIBUTING.md", "```\ncargo run  # see docs/pages.md\n```", "no file docs/pages.md"),
    ] {
        let broken = one(file, bad);
        assert!(matches!(&broken[..], [only] if only.contains(words)), "{bad}: {broken:?}");
    }
}
