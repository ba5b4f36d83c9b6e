//! Reads a JSON text once and notes where its values stand, so that later stages can copy them verbatim.
//!
//! Why not a value tree: the encoder needs the *spelling* of numbers, strings and unknown parts (nothing may be lost),
//! wants no allocation per value, and must tell duplicate keys and lone surrogates apart. A [`Document`] is the text
//! and a flat list of nodes in document order; each knows where it starts, ends, and which node follows its subtree.
//!
//! The grammar is RFC 8259 with nothing added: no byte-order mark, no bytes before or after, no control characters in
//! strings. The scan is a loop, never a recursion, so depth costs heap and not stack.

mod number;
mod string;

use std::ops::Range;

pub(crate) use number::{double, long, long_in_string, scaled};
pub(crate) use string::{Unescaped, unescape};

/// Deepest nesting of arrays and objects that is taken. Readers downstream have limits of their own (Jackson 1000,
/// Python's json 1000 or so); this stays well below them.
pub(crate) const MAX_DEPTH: usize = 512;

/// Most values and keys in a body: at 16 bytes each, their places take 64 MiB.
pub(crate) const MAX_VALUES: usize = 4 << 20;

/// What kind of value a node is. `Escaped` is a string with at least one backslash in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Null,
    True,
    False,
    Number,
    String,
    Escaped,
    Array,
    Object,
}

impl Kind {
    /// The word for it in an error sentence.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Kind::Null => "null",
            Kind::True | Kind::False => "a boolean",
            Kind::Number => "a number",
            Kind::String | Kind::Escaped => "a string",
            Kind::Array => "an array",
            Kind::Object => "an object",
        }
    }
}

/// A value's place in a [`Document`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Node(u32);

impl Node {
    /// The document's outermost value.
    pub(crate) const ROOT: Node = Node(0);
}

#[derive(Clone, Copy)]
struct NodeEntry {
    start: u32,
    end: u32,
    /// Index of the node after this one and all it contains.
    next: u32,
    kind: Kind,
}

/// Why a text is not JSON, and where.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("byte {at}: {what}")]
pub(crate) struct SyntaxError {
    pub(crate) at: usize,
    pub(crate) what: &'static str,
}

/// A JSON text whose grammar was checked, and the places of its values.
pub(crate) struct Document<'a> {
    text: &'a str,
    nodes: Vec<NodeEntry>,
}

impl<'a> Document<'a> {
    /// Checks `bytes` and notes its values, refusing nesting deeper than `max_depth`.
    pub(crate) fn scan(bytes: &'a [u8], max_depth: usize) -> Result<Self, SyntaxError> {
        let text = std::str::from_utf8(bytes).map_err(|e| SyntaxError { at: e.valid_up_to(), what: "not UTF-8" })?;
        if u32::try_from(bytes.len()).is_err() {
            return Err(SyntaxError { at: 0, what: "longer than 4 GiB" });
        }
        if bytes.starts_with(b"\xEF\xBB\xBF") {
            return Err(SyntaxError { at: 0, what: "byte-order mark before the document" });
        }
        let mut scanner = Scanner { bytes, at: 0, nodes: Vec::with_capacity((bytes.len() / 12 + 4).min(MAX_VALUES)) };
        scanner.document(max_depth)?;
        Ok(Document { text, nodes: scanner.nodes })
    }

    fn entry(&self, node: Node) -> NodeEntry {
        self.nodes[node.0 as usize]
    }

    pub(crate) fn kind(&self, node: Node) -> Kind {
        self.entry(node).kind
    }

    /// The value as it is written.
    pub(crate) fn raw(&self, node: Node) -> &'a str {
        &self.text[self.range(node)]
    }

    /// Where the value stands in the text.
    pub(crate) fn range(&self, node: Node) -> Range<usize> {
        let entry = self.entry(node);
        entry.start as usize..entry.end as usize
    }

    /// What stands between a string's quotes, escapes and all.
    pub(crate) fn inner(&self, string: Node) -> &'a str {
        let span = self.range(string);
        &self.text[span.start + 1..span.end - 1]
    }

    /// The text of a string, or `None` for any other value. Lone surrogates become U+FFFD.
    pub(crate) fn text(&self, node: Node) -> Option<Unescaped<'a>> {
        match self.kind(node) {
            Kind::String => Some(Unescaped::plain(self.inner(node))),
            Kind::Escaped => Some(unescape(self.inner(node))),
            _ => None,
        }
    }

    /// Whether the key or string `node` spells `name`, however it is escaped.
    pub(crate) fn spells(&self, node: Node, name: &str) -> bool {
        match self.kind(node) {
            Kind::String => self.inner(node) == name,
            Kind::Escaped => {
                let text = unescape(self.inner(node));
                !text.lone_surrogate && text.text == name
            }
            _ => false,
        }
    }

    /// The members of an object, as (key, value); none for any other value.
    pub(crate) fn members(&self, object: Node) -> impl Iterator<Item = (Node, Node)> + '_ {
        let (mut at, end) = self.children(object, Kind::Object);
        std::iter::from_fn(move || {
            (at < end).then(|| {
                let (key, value) = (Node(at), Node(at + 1));
                at = self.entry(value).next;
                (key, value)
            })
        })
    }

    /// The items of an array; none for any other value.
    pub(crate) fn items(&self, array: Node) -> impl Iterator<Item = Node> + '_ {
        let (mut at, end) = self.children(array, Kind::Array);
        std::iter::from_fn(move || {
            (at < end).then(|| {
                let item = Node(at);
                at = self.entry(item).next;
                item
            })
        })
    }

    fn children(&self, node: Node, kind: Kind) -> (u32, u32) {
        let entry = self.entry(node);
        if entry.kind == kind { (node.0 + 1, entry.next) } else { (0, 0) }
    }

    /// Shows what `steps` lead to from `node`, through every item of the lists on the way.
    pub(crate) fn reach(&self, node: Node, steps: &[Box<str>], show: &mut impl FnMut(Node)) {
        let Some((step, rest)) = steps.split_first() else { return show(node) };
        let mut within = |object| {
            if let Some(value) = self.get(object, step) {
                self.reach(value, rest, show);
            }
        };
        match self.kind(node) {
            Kind::Array => self.items(node).for_each(within),
            _ => within(node),
        }
    }

    /// The first member of `object` that is called `name`.
    pub(crate) fn get(&self, object: Node, name: &str) -> Option<Node> {
        self.all(object, name).next()
    }

    /// The members of `object` that are called `name`.
    pub(crate) fn all(&self, object: Node, name: &str) -> impl Iterator<Item = Node> {
        self.members(object).filter(move |&(key, _)| self.spells(key, name)).map(|(_, value)| value)
    }
}

struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
    nodes: Vec<NodeEntry>,
}

impl Scanner<'_> {
    fn fail<T>(&self, what: &'static str) -> Result<T, SyntaxError> {
        Err(SyntaxError { at: self.at, what })
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn skip_whitespace(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    fn document(&mut self, max_depth: usize) -> Result<(), SyntaxError> {
        let mut open: Vec<usize> = Vec::with_capacity(8);
        'value: loop {
            self.skip_whitespace();
            if self.nodes.len() >= MAX_VALUES {
                return self.fail("too many values");
            }
            let start = self.at;
            match self.peek() {
                None if start == 0 => return self.fail("empty"),
                None => return self.fail("the document is cut off"),
                Some(opening @ (b'{' | b'[')) => {
                    if open.len() == max_depth {
                        return self.fail("nested too deep");
                    }
                    let kind = if opening == b'{' { Kind::Object } else { Kind::Array };
                    open.push(self.nodes.len());
                    self.at += 1;
                    self.push(start, kind);
                    self.skip_whitespace();
                    match (kind, self.peek()) {
                        (Kind::Object, Some(b'}')) | (Kind::Array, Some(b']')) => {}
                        (Kind::Object, _) => {
                            self.key()?;
                            continue 'value;
                        }
                        _ => continue 'value,
                    }
                }
                Some(b'"') => self.string()?,
                Some(b't') => self.word(b"true", Kind::True)?,
                Some(b'f') => self.word(b"false", Kind::False)?,
                Some(b'n') => self.word(b"null", Kind::Null)?,
                Some(b'-' | b'0'..=b'9') => self.number()?,
                Some(_) => return self.fail("not the beginning of a JSON value"),
            }
            // A value ended: what follows belongs to the container around it.
            while let Some(&container) = open.last() {
                self.skip_whitespace();
                match (self.nodes[container].kind, self.peek()) {
                    (Kind::Object, Some(b',')) => {
                        self.at += 1;
                        self.skip_whitespace();
                        self.key()?;
                        continue 'value;
                    }
                    (_, Some(b',')) => {
                        self.at += 1;
                        continue 'value;
                    }
                    (Kind::Object, Some(b'}')) | (Kind::Array, Some(b']')) => {
                        self.at += 1;
                        open.pop();
                        let next = self.nodes.len() as u32;
                        let entry = &mut self.nodes[container];
                        entry.end = self.at as u32;
                        entry.next = next;
                    }
                    (_, None) => return self.fail("the document is cut off"),
                    _ => return self.fail("expected a comma or the closing bracket"),
                }
            }
            self.skip_whitespace();
            return if self.at == self.bytes.len() { Ok(()) } else { self.fail("unexpected bytes after the document") };
        }
    }

    /// Notes the value that began at `start` and ends here.
    fn push(&mut self, start: usize, kind: Kind) {
        let next = self.nodes.len() as u32 + 1;
        self.nodes.push(NodeEntry { start: start as u32, end: self.at as u32, next, kind });
    }

    fn key(&mut self) -> Result<(), SyntaxError> {
        if self.peek() != Some(b'"') {
            return self.fail("expected a key in quotes");
        }
        self.string()?;
        self.skip_whitespace();
        if self.peek() != Some(b':') {
            return self.fail("expected a colon");
        }
        self.at += 1;
        Ok(())
    }

    fn word(&mut self, word: &[u8], kind: Kind) -> Result<(), SyntaxError> {
        if !self.bytes[self.at..].starts_with(word) {
            return self.fail("not the beginning of a JSON value");
        }
        let start = self.at;
        self.at += word.len();
        self.push(start, kind);
        Ok(())
    }

    fn string(&mut self) -> Result<(), SyntaxError> {
        let start = self.at;
        let mut kind = Kind::String;
        self.at += 1;
        loop {
            self.at = string::plain_end(self.bytes, self.at);
            match self.peek() {
                None => return self.fail("the document ends inside a string"),
                Some(b'"') => {
                    self.at += 1;
                    self.push(start, kind);
                    return Ok(());
                }
                Some(b'\\') => {
                    kind = Kind::Escaped;
                    self.at += match &self.bytes[self.at + 1..] {
                        [b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', ..] => 2,
                        [b'u', a, b, c, d, ..] if [a, b, c, d].iter().all(|h| h.is_ascii_hexdigit()) => 6,
                        _ => return self.fail("not a valid escape"),
                    };
                }
                Some(_) => return self.fail("unescaped control character in a string"),
            }
        }
    }

    fn digits(&mut self) -> Result<(), SyntaxError> {
        let start = self.at;
        while self.peek().is_some_and(|b| b.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at == start { self.fail("expected a digit") } else { Ok(()) }
    }

    fn number(&mut self) -> Result<(), SyntaxError> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        self.push(start, Kind::Number);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn places_are_found_again() {
        let text = r#" {"a": [1, {"b": "x\n"}, []], "\u0063": -0.5e+3 , "d":{} } "#;
        let doc = Document::scan(text.as_bytes(), 8).unwrap();
        assert_eq!(doc.kind(Node::ROOT), Kind::Object);
        let a = doc.get(Node::ROOT, "a").unwrap();
        assert_eq!(doc.items(a).map(|n| doc.raw(n)).collect::<Vec<_>>(), ["1", r#"{"b": "x\n"}"#, "[]"]);
        assert_eq!(doc.raw(doc.get(Node::ROOT, "c").unwrap()), "-0.5e+3");
        assert_eq!(doc.raw(doc.get(Node::ROOT, "d").unwrap()), "{}");
        assert_eq!(doc.members(Node::ROOT).count(), 3);
    }

    #[test]
    fn what_is_not_json_is_refused_at_its_place() {
        let cases: &[(&[u8], usize, &str)] = &[
            (b"", 0, "empty"),
            (b"  ", 2, "cut off"),
            (b"{} x", 3, "after"),
            (b"\xEF\xBB\xBF{}", 0, "byte-order"),
            (b"\"\xFF\"", 1, "UTF-8"),
            (b"\"a\nb\"", 2, "control"),
            (b"[1,]", 3, "beginning"),
            (b"{\"a\" 1}", 5, "colon"),
            (b"01", 1, "after"),
            (b"\"\\u12g4\"", 1, "escape"),
            (b"[[[[]]]]", 3, "deep"),
        ];
        for (bytes, at, what) in cases {
            let error = Document::scan(bytes, 3).err().unwrap();
            assert!(error.at == *at && error.what.contains(what), "{bytes:?}: {error}");
        }
    }

    #[test]
    fn depth_costs_no_stack() {
        let text = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
        assert!(Document::scan(text.as_bytes(), usize::MAX).is_ok());
        assert_eq!(Document::scan(text.as_bytes(), MAX_DEPTH).err().unwrap().what, "nested too deep");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]
        /// serde_json is the judge: the same texts are JSON.
        #[test]
        fn the_grammar_is_the_one_serde_json_takes(text in r#"([\[\]{}:,"\\u0-9eE.+\- tfn]|true|false|null|"[a-z\\]*"|\\u[0-9a-f]{4}){0,24}"#) {
            let judged: Result<&serde_json::value::RawValue, _> = serde_json::from_str(&text);
            prop_assert_eq!(Document::scan(text.as_bytes(), usize::MAX).is_ok(), judged.is_ok(), "{}", text);
        }
    }
}
