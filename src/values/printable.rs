//! What others wrote, for a terminal: without a character by which it could do more than be read.
//!
//! A sender's text may hold what moves the cursor, sets a title or the clipboard (ESC, CSI and OSC, also as one character of
//! C1), or turns the order of what is read around. Such characters are spelled out. They are always, not only on a terminal: what
//! is piped into a file is looked at in one later.

use std::borrow::Cow;

/// `text` on one line.
pub(crate) fn line(text: &str) -> Cow<'_, str> {
    spelled(text, acts, |c, out| out.extend(c.escape_default()))
}

/// `text` with its lines and tabs.
pub(crate) fn text(text: &str) -> Cow<'_, str> {
    spelled(text, acts_beside_white_space, |c, out| out.extend(c.escape_default()))
}

/// JSON text that stays JSON and says the same.
pub(crate) fn json(json: &str) -> Cow<'_, str> {
    spelled(json, acts_beside_white_space, |c, out| {
        for unit in c.encode_utf16(&mut [0; 2]) {
            *out += &format!("\\u{unit:04x}");
        }
    })
}

/// A line that has colours of ours in it, and so may have no others' escapes: the rest is spelled out.
pub(crate) fn coloured(line: &str) -> Cow<'_, str> {
    if !line.contains(acts) {
        return Cow::Borrowed(line);
    }
    let mut out = String::with_capacity(line.len() + 16);
    let mut rest = line;
    while let Some(at) = rest.find('\u{1b}') {
        out += &self::line(&rest[..at]);
        let colour = colour(&rest[at..]);
        out += if colour.is_empty() { "\\u{1b}" } else { colour };
        rest = &rest[at + colour.len().max(1)..];
    }
    out += &self::line(rest);
    Cow::Owned(out)
}

/// The sequence that sets a colour at the beginning of `text`, which begins with ESC; empty when it is another one.
fn colour(text: &str) -> &str {
    let Some(parameters) = text.strip_prefix("\u{1b}[") else { return "" };
    let end = parameters.find(|c: char| !c.is_ascii_digit() && c != ';');
    let end = end.filter(|&end| parameters[end..].starts_with('m'));
    end.map_or("", |end| &text[..end + 3])
}

fn spelled(text: &str, wanted: fn(char) -> bool, spell: impl Fn(char, &mut String)) -> Cow<'_, str> {
    if !text.contains(wanted) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if wanted(c) { spell(c, &mut out) } else { out.push(c) }
    }
    Cow::Owned(out)
}

fn acts_beside_white_space(c: char) -> bool {
    acts(c) && !matches!(c, '\n' | '\t')
}

/// Whether it is more than to be read: C0, DEL and C1; what changes the direction of text; ends of lines; what nobody sees, but
/// for the joiners that emoji and some scripts are made with.
fn acts(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// A key of the sender's, cut to a length that can stand in a sentence.
pub(crate) fn clip(key: &str) -> String {
    const LONGEST: usize = 64;
    match key.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{}…", &key[..at]),
        None => key.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_acts_on_a_terminal_is_spelled_out() {
        for (from, expected) in [
            ("a\u{1b}[2Jb", "a\\u{1b}[2Jb"),
            ("\u{1b}]0;title\u{7}", "\\u{1b}]0;title\\u{7}"),
            ("\u{9b}31m\u{9d}0;t\u{9c}", "\\u{9b}31m\\u{9d}0;t\\u{9c}"),
            ("\u{7f}\u{8}\r", "\\u{7f}\\u{8}\\r"),
            ("abc\u{202e}fed\u{2066}\u{2069}", "abc\\u{202e}fed\\u{2066}\\u{2069}"),
            ("\u{feff}\u{200b}\u{2028}\u{e0041}", "\\u{feff}\\u{200b}\\u{2028}\\u{e0041}"),
            ("São 👨\u{200d}👩\u{200d}👧 \u{5d0}\\", "São 👨\u{200d}👩\u{200d}👧 \u{5d0}\\"),
        ] {
            assert_eq!(line(from), expected);
            assert_eq!(text(from), expected);
        }
        assert_eq!(line("a\n\tb"), "a\\n\\tb");
        assert_eq!(text("a\n\tb"), "a\n\tb");
    }

    #[test]
    fn our_colours_stay_and_no_other_sequence_does() {
        for (from, expected) in [
            ("\u{1b}[1;31mERROR\u{1b}[0m a", "\u{1b}[1;31mERROR\u{1b}[0m a"),
            ("\u{1b}[2J\u{1b}[m\u{1b}", "\\u{1b}[2J\u{1b}[m\\u{1b}"),
            ("\u{1b}]8;;x\u{7}\u{9b}1m\n", "\\u{1b}]8;;x\\u{7}\\u{9b}1m\\n"),
            ("\u{1b}[1\u{1b}[1m", "\\u{1b}[1\u{1b}[1m"),
            ("plain", "plain"),
        ] {
            assert_eq!(coloured(from), expected);
        }
    }

    proptest! {
        #[test]
        fn json_says_the_same_and_nothing_in_it_acts(sent in any::<String>(), beside in "[\u{1b}\u{7f}-\u{9f}\u{202a}-\u{202e}\u{e0041}\\\\\"]{0,8}") {
            let value = serde_json::Value::from(sent + &beside);
            let written = value.to_string();
            let printed = json(&written);
            prop_assert!(!printed.contains(acts), "{printed:?}");
            prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&printed).unwrap(), value);
        }
    }
}
