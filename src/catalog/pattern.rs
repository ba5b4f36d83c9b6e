//! Texts with `*` in them, as a profile has them for the values of senders.

/// A text in which each `*` stands for any characters, also for none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern {
    /// What stands between the `*`.
    parts: Vec<Box<str>>,
}

/// A character, or `None` for any number of any characters.
type Symbol = Option<char>;

impl Pattern {
    pub(crate) fn new(text: &str) -> Pattern {
        Pattern { parts: text.split('*').map(Into::into).collect() }
    }

    /// The pattern of `text` alone, whatever is in it.
    pub(super) fn exact(text: &str) -> Pattern {
        Pattern { parts: vec![text.into()] }
    }

    /// The pattern that has any characters between these.
    pub(super) fn around<'a>(parts: impl Iterator<Item = &'a str>) -> Pattern {
        Pattern { parts: parts.map(Into::into).collect() }
    }

    /// Whether `text` is one of those it stands for. Takes time in proportion to the text, whatever is in it.
    pub(crate) fn matches(&self, text: &str) -> bool {
        let [first, middle @ .., last] = &self.parts[..] else {
            return self.parts.first().is_some_and(|only| **only == *text);
        };
        let inner = text.strip_prefix(&**first).and_then(|rest| rest.strip_suffix(&**last));
        let Some(mut rest) = inner else { return false };
        for part in middle {
            let Some(at) = rest.find(&**part) else { return false };
            rest = &rest[at + part.len()..];
        }
        true
    }

    /// A text that it stands for, with `filling` for each `*`.
    pub(crate) fn sample(&self, filling: &str) -> String {
        self.parts.join(filling)
    }

    /// Whether it stands for every text that `other` stands for.
    pub(super) fn covers(&self, other: &Pattern) -> bool {
        // Any characters of the other are taken as one more character, which only our own `*` takes.
        pair_up(&self.symbols(), &other.symbols(), false)
    }

    /// Whether there is a text that both stand for.
    pub(super) fn meets(&self, other: &Pattern) -> bool {
        pair_up(&self.symbols(), &other.symbols(), true)
    }

    fn symbols(&self) -> Vec<Symbol> {
        let mut symbols = Vec::new();
        for (index, part) in self.parts.iter().enumerate() {
            if index > 0 {
                symbols.push(None);
            }
            symbols.extend(part.chars().map(Some));
        }
        symbols
    }
}

/// Whether the symbols of `a` take all of `b`: a `*` of `a` takes any run of `b`, and that of `b` any run of `a`, if it takes
/// part at all (`both`); characters go together if they are the same.
fn pair_up(a: &[Symbol], b: &[Symbol], both: bool) -> bool {
    // From the ends: whether what is left of both from here on goes together.
    let mut fits = vec![vec![false; b.len() + 1]; a.len() + 1];
    for i in (0..=a.len()).rev() {
        for j in (0..=b.len()).rev() {
            let (ours, theirs) = (a.get(i), b.get(j));
            let skips_ours = ours == Some(&None) && (fits[i + 1][j] || (theirs.is_some() && fits[i][j + 1]));
            let skips_theirs = both && theirs == Some(&None) && (fits[i][j + 1] || (ours.is_some() && fits[i + 1][j]));
            let pair =
                ours.zip(theirs).is_some_and(|(ours, theirs)| ours.is_some() && ours == theirs && fits[i + 1][j + 1]);
            fits[i][j] = (ours.is_none() && theirs.is_none()) || skips_ours || skips_theirs || pair;
        }
    }
    fits[0][0]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_star_stands_for_any_characters_and_for_none() {
        for (pattern, text, expected) in [
            ("a.*", "a.b", true),
            ("a.*", "a.", true),
            ("a.*", "a", false),
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("*.b", "a.b", true),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
        ] {
            assert_eq!(Pattern::new(pattern).matches(text), expected, "{pattern} {text}");
        }
        assert!(Pattern::exact("a*").matches("a*") && !Pattern::exact("a*").matches("ab"));
        assert_eq!(Pattern::new("a*b*").sample("x"), "axbx");
    }

    #[test]
    fn what_covers_another_takes_all_of_its_texts() {
        for (a, b, covers, meets) in [
            ("a*", "ab", true, true),
            ("a*", "a*b", true, true),
            ("a*b", "a*", false, true),
            ("*a", "b*", false, true),
            ("a*", "b*", false, false),
            ("*.*", "created", false, false),
            ("*", "*", true, true),
            ("a", "a", true, true),
        ] {
            let (a, b) = (Pattern::new(a), Pattern::new(b));
            assert_eq!((a.covers(&b), a.meets(&b)), (covers, meets), "{a:?} {b:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]
        #[test]
        fn covering_and_meeting_agree_with_matching(a in "[ab*]{0,5}", b in "[ab*]{0,5}", text in "[ab]{0,6}") {
            let (a, b) = (Pattern::new(&a), Pattern::new(&b));
            let (of_a, of_b) = (a.matches(&text), b.matches(&text));
            prop_assert!(!(a.covers(&b) && of_b) || of_a);
            prop_assert!(!(of_a && of_b) || a.meets(&b));
            // A fresh character and none at all: what covers takes both, and what does not cover misses a text with one of them.
            let fresh = [b.sample("z"), b.sample("")];
            prop_assert!(!a.covers(&b) || fresh.iter().all(|text| a.matches(text)));
            prop_assert!(a.covers(&b) || !a.matches(&fresh[0]));
        }
    }
}
