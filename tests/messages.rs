//! Every message of the program in one list, so that a person who does not know the code can read them all at once:
//! `cargo test --test messages -- --nocapture`.
//!
//! A message is a string with a space in it, or the help of a command, outside tests. Those of one file stand together, with
//! the lines they are on. The list also has some texts that nobody reads, such as SQL: better too many than one too few.
//! No message may use a phrase that stands in [`HABITS`].

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in tests a panic is the report")]

#[path = "support/sources.rs"]
mod sources;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use sources::{each_token, files, is_for_tests, is_no_test};
use syn::buffer::{Cursor, TokenBuffer};
use syn::visit::{self, Visit};
use syn::{
    Attribute, Expr, ExprLit, Field, Item, ItemEnum, ItemFn, ItemImpl, ItemMod, ItemStruct, Lit, LitStr, Macro, Meta,
    Variant,
};

/// What has to be read twice, and what to say instead. Lower case; a phrase is found as whole words.
const HABITS: [(&str, &str); 29] = [
    ("are away", "\"are unavailable\""),
    ("are due", "\"expected …\""),
    ("are none", "what was found, and what was expected"),
    ("are there", "\"exist\""),
    ("are to be", "\"must be\", or who does it"),
    ("as it came", "\"as received\""),
    ("called back", "\"purged\""),
    ("contradicts", "\"set A or B, not both\""),
    ("derived of", "\"derived from\""),
    ("get through", "\"are delivered\" or \"resumed\""),
    ("gets through", "\"is delivered\" or \"resumed\""),
    ("give up", "\"stop\" or \"fail\""),
    ("given up", "\"stopped\", \"failed\" or \"dropped\""),
    ("gives up", "\"stops\" or \"fails\""),
    ("got through", "\"was delivered\""),
    ("is away", "\"is unavailable\""),
    ("is due", "\"expected …\""),
    ("is none", "what was found, and what was expected"),
    ("is told", "\"is reported\", \"is logged\" or \"is sent\""),
    ("it would stand", "where it would be shown"),
    ("made here", "\"made by hookbridge\""),
    ("not there yet", "\"does not exist yet\""),
    ("once more", "\"again\""),
    ("rests on", "\"depends on\""),
    ("takes nothing", "\"rejects …\""),
    ("tells", "\"determines\", \"shows\" or \"reports\""),
    ("told", "\"reported\", \"logged\" or \"sent\""),
    ("under way", "\"in flight\" or \"running\""),
    ("was due", "\"was scheduled\" or \"expected …\""),
];

/// Texts in other languages that people read, too: their paragraphs are messages.
const TEXTS: [&str; 3] = ["src/console/page.html", "src/console/page.js", "hookbridge.toml"];

/// A message and where it stands.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Message {
    line: usize,
    text: String,
}

/// The messages of one file of Rust.
fn messages_in(text: &str) -> BTreeSet<Message> {
    let mut found = Messages::default();
    found.visit_file(&syn::parse_file(text).unwrap());
    found.found
}

#[derive(Default)]
struct Messages {
    found: BTreeSet<Message>,
    /// In an item whose doc comments are the help of a command.
    in_help: bool,
}

impl Messages {
    fn note(&mut self, literal: &LitStr) {
        let text = literal.value();
        if text.trim().contains(' ') {
            self.found.insert(Message { line: literal.span().start().line, text });
        }
    }

    /// All literals of a macro or an attribute, which need not be Rust.
    fn note_tokens(&mut self, at: Cursor<'_>) {
        each_token(at, &mut |at| {
            if let Some((literal, _)) = at.literal()
                && let Lit::Str(literal) = Lit::new(literal)
            {
                self.note(&literal);
            }
        });
    }

    /// Visits an item, with its doc comments if clap shows them.
    fn item(&mut self, attributes: &[Attribute], visit: impl FnOnce(&mut Self)) {
        if is_for_tests(attributes) {
            return;
        }
        let outside = self.in_help;
        self.in_help = is_for_clap(attributes);
        self.note_help(attributes);
        visit(self);
        self.in_help = outside;
    }

    /// Takes note of a whole doc comment as one message.
    fn note_help(&mut self, attributes: &[Attribute]) {
        if !self.in_help {
            return;
        }
        let lines = attributes.iter().filter_map(|attribute| match &attribute.meta {
            Meta::NameValue(doc) if doc.path.is_ident("doc") => match &doc.value {
                Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text.value().trim().to_owned()),
                _ => None,
            },
            _ => None,
        });
        let text = lines.collect::<Vec<_>>().join("\n");
        if let (false, Some(first)) = (text.is_empty(), attributes.first()) {
            self.found.insert(Message { line: first.pound_token.span.start().line, text });
        }
    }
}

impl<'ast> Visit<'ast> for Messages {
    fn visit_item(&mut self, item: &'ast Item) {
        match item {
            Item::Const(item) if is_for_tests(&item.attrs) => {}
            Item::Static(item) if is_for_tests(&item.attrs) => {}
            _ => visit::visit_item(self, item),
        }
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        self.item(&item.attrs, |this| visit::visit_item_mod(this, item));
    }

    fn visit_item_fn(&mut self, item: &'ast ItemFn) {
        self.item(&item.attrs, |this| visit::visit_item_fn(this, item));
    }

    fn visit_item_impl(&mut self, item: &'ast ItemImpl) {
        self.item(&item.attrs, |this| visit::visit_item_impl(this, item));
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.item(&item.attrs, |this| visit::visit_impl_item_fn(this, item));
    }

    fn visit_item_struct(&mut self, item: &'ast ItemStruct) {
        self.item(&item.attrs, |this| visit::visit_item_struct(this, item));
    }

    fn visit_item_enum(&mut self, item: &'ast ItemEnum) {
        self.item(&item.attrs, |this| visit::visit_item_enum(this, item));
    }

    fn visit_field(&mut self, field: &'ast Field) {
        self.note_help(&field.attrs);
        visit::visit_field(self, field);
    }

    fn visit_variant(&mut self, variant: &'ast Variant) {
        self.note_help(&variant.attrs);
        visit::visit_variant(self, variant);
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        let ignored = ["doc", "allow", "expect", "cfg", "cfg_attr", "derive"];
        if let Meta::List(list) = &attribute.meta
            && !ignored.iter().any(|name| list.path.is_ident(name))
        {
            self.note_tokens(TokenBuffer::new2(list.tokens.clone()).begin());
        }
    }

    fn visit_macro(&mut self, called: &'ast Macro) {
        self.note_tokens(TokenBuffer::new2(called.tokens.clone()).begin());
    }

    fn visit_lit_str(&mut self, literal: &'ast LitStr) {
        self.note(literal);
    }
}

/// Derives a trait of clap, which makes help of doc comments.
fn is_for_clap(attributes: &[Attribute]) -> bool {
    let traits = ["Parser", "Args", "Subcommand", "ValueEnum"];
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::List(list) if list.path.is_ident("derive") => {
            list.tokens.to_string().split(|c: char| !c.is_alphanumeric()).any(|word| traits.contains(&word))
        }
        _ => false,
    })
}

/// The habits in `text`, each with what to say instead; not in the names of what is filled in.
fn habits(text: &str) -> Vec<(&'static str, &'static str)> {
    let text: String = text.split('{').map(|part| part.split_once('}').map_or(part, |(_, after)| after)).collect();
    let words = text.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ");
    HABITS.into_iter().filter(|(phrase, _)| holds(&words, phrase)).collect()
}

/// Whether `text` has `phrase` as whole words.
fn holds(text: &str, phrase: &str) -> bool {
    let is_word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    text.match_indices(phrase).any(|(at, found)| {
        !is_word(text[..at].chars().next_back()) && !is_word(text[at + found.len()..].chars().next())
    })
}

/// Every file that has messages, with them.
fn all() -> Vec<(String, BTreeSet<Message>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let name = |path: &Path| path.strip_prefix(root).unwrap().display().to_string();
    let read = |path: &Path| fs::read_to_string(path).unwrap();
    let rust = files(&root.join("src"), &is_no_test).into_iter().map(|path| (name(&path), messages_in(&read(&path))));
    let texts = TEXTS.map(|path| (path.to_owned(), paragraphs(&read(&root.join(path)))));
    rust.chain(texts).filter(|(_, messages)| !messages.is_empty()).collect()
}

/// Lines that follow each other without an empty one between them, as one message.
fn paragraphs(text: &str) -> BTreeSet<Message> {
    let mut found: Vec<Message> = Vec::new();
    let mut after_empty = true;
    for (at, line) in text.lines().enumerate() {
        let line = line.trim().trim_start_matches("# ");
        match found.last_mut().filter(|_| !after_empty) {
            Some(paragraph) => paragraph.text += &format!("\n{line}"),
            None => found.push(Message { line: at + 1, text: line.to_owned() }),
        }
        after_empty = line.is_empty();
    }
    found.into_iter().filter(|paragraph| paragraph.text.contains(' ')).collect()
}

#[test]
fn no_message_has_to_be_read_twice() {
    let (mut list, mut found) = (String::new(), Vec::new());
    for (file, messages) in all() {
        writeln!(list, "\n{file}").unwrap();
        for Message { line, text } in messages {
            writeln!(list, "{line:>5}  {}", text.trim_end().replace('\n', "\n       ")).unwrap();
            let habits = habits(&text).into_iter();
            found.extend(habits.map(|(phrase, instead)| format!("{file}:{line}: \"{phrase}\": say {instead}")));
        }
    }
    println!("{list}");
    assert_eq!(found, [""; 0], "{}", found.join("\n"));
}

#[test]
fn messages_are_found_wherever_they_stand() {
    let text = r#"
        //! A header is none.
        #[derive(Args)]
        struct Arguments {
            /// The help
            /// of a flag
            #[arg(long, help = "a help text", default_value = "word")]
            flag: bool,
        }
        /// A comment is none.
        #[derive(Debug, Error)]
        enum Problem {
            /// A comment is none.
            #[error("an error: {0}")]
            One(String),
        }
        fn log() {
            tracing::warn!(topic, "a log line");
            let message = format!("an inner {}", f(["a nested one", "word"]));
            const WORDS: &str = "a constant";
        }
        #[cfg(test)]
        mod tests { const TEXT: &str = "no message"; }
        #[cfg(test)]
        fn only_in_tests() -> &'static str { "no message" }
    "#;
    let found = messages_in(text);
    let texts: BTreeSet<_> = found.iter().map(|message| message.text.as_str()).collect();
    let expected = [
        "The help\nof a flag",
        "a help text",
        "an error: {0}",
        "a log line",
        "an inner {}",
        "a nested one",
        "a constant",
    ];
    assert_eq!(texts, BTreeSet::from(expected));
    assert!(all().iter().map(|(_, messages)| messages.len()).sum::<usize>() > 1000, "the program's are found");
}

#[test]
fn a_habit_is_found_as_whole_words_over_a_line_end() {
    assert_eq!(habits("Is\n  due, a string").first().map(|(phrase, _)| *phrase), Some("is due"));
    assert_eq!(habits("this due diligence is {told}"), []);
    assert!(HABITS.iter().all(|(phrase, instead)| *phrase == phrase.to_lowercase() && !instead.is_empty()));
}
