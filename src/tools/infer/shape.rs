//! What was seen at one place of the samples: which kinds of values, how often, and which Avro type takes all of them. Where a
//! schema says what may be there, it is as if samples had shown that.
//!
//! A type is only chosen when the encoder takes every value that was seen, by the encoder's own functions: so no sample leaves
//! anything in `extra`.

use indexmap::IndexMap;

use super::naming;
use crate::convert::spelling;
use crate::values::json::{Document, Kind, Node};
use crate::values::time;
use crate::values::uuid_text::uuid;

/// Objects deeper than this are JSON of open shape.
const DEEPEST: usize = 16;
/// An object of more names than these has data for names.
const MOST_MEMBERS: usize = 300;
/// How often an object that a schema describes counts as seen.
pub(super) const DESCRIBED: u64 = 4;
/// 2000-01-01 and 2100-01-01 in seconds: what lies between may be a Unix time.
const UNIX_YEARS: std::ops::Range<f64> = 946_684_800.0..4_102_444_800.0;

/// What was seen at one place.
#[derive(Clone, Debug, Default)]
pub(super) struct Shape {
    /// How often there was anything, null included.
    pub(super) seen: u64,
    pub(super) nulls: u64,
    pub(super) scalars: ScalarFacts,
    pub(super) object: Option<ObjectShape>,
    /// How often it was an array.
    pub(super) arrays: u64,
    pub(super) items: Option<Box<Shape>>,
    /// How often it was nested too deep to look into.
    pub(super) deep: u64,
    /// Why its schema gives no type, if one is there and does not.
    pub(super) open: Option<&'static str>,
    /// The only texts that it can be by its schema.
    pub(super) listed: Vec<String>,
    /// What its schema says that it is.
    pub(super) doc: Option<String>,
}

/// What was seen of an object.
#[derive(Clone, Debug, Default)]
pub(super) struct ObjectShape {
    pub(super) seen: u64,
    pub(super) members: IndexMap<String, Shape>,
    /// The most members that one had.
    most: usize,
    /// What its schema is called, and says that it is.
    pub(super) name: Option<String>,
    pub(super) doc: Option<String>,
    /// Whether it is only taken for granted that all members are always there, since its schema does not say which are.
    pub(super) all_assumed: bool,
}

/// How many of the values that are neither null, array nor object have each property.
#[derive(Clone, Debug, Default)]
pub(super) struct ScalarFacts {
    pub(super) booleans: u64,
    pub(super) numbers: u64,
    pub(super) strings: u64,
    /// How many the encoder would not take as these.
    pub(super) no_boolean: u64,
    pub(super) no_long: u64,
    pub(super) no_double: u64,
    pub(super) no_uuid: u64,
    pub(super) no_instant: u64,
    pub(super) no_date: u64,
    /// Numbers spelled with a point or an exponent.
    pub(super) fractions: u64,
    /// Those that have none by their schema.
    pub(super) whole: u64,
    /// Those that may have one by their schema, though nothing shows that they do.
    pub(super) loose: u64,
    /// How often such a number was taken for a whole one, because it is a key.
    pub(super) as_key: u64,
    /// Numbers that are no Unix time of this century.
    pub(super) no_unix: u64,
    /// Strings that are ISO 8601, and those of them with a time of day, and with digits beyond milliseconds.
    pub(super) iso: u64,
    pub(super) with_time: u64,
    pub(super) finer: u64,
    /// Strings that are decimals.
    pub(super) decimals: u64,
    /// Strings of digits with zeros in front, which a number would lose.
    pub(super) padded: u64,
    /// Strings that look like a date in a spelling that is not taken.
    pub(super) odd_dates: u64,
    /// Strings without anything in them.
    pub(super) blank: u64,
}

/// The Avro type that takes all that was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Inferred {
    Boolean,
    Long,
    Double,
    String,
    Uuid,
    Timestamp,
    Date,
    Json,
    /// A record: its members are seen by their own.
    Object,
    Array(Box<Inferred>),
}

impl Inferred {
    /// Whether there is an object in it.
    pub(super) fn has_object(&self) -> bool {
        match self {
            Inferred::Object => true,
            Inferred::Array(items) => items.has_object(),
            _ => false,
        }
    }
}

impl Shape {
    /// Takes in the value at `node`, which is `depth` objects deep.
    pub(super) fn add(&mut self, doc: &Document<'_>, node: Node, depth: usize) {
        self.seen += 1;
        match doc.kind(node) {
            Kind::Null => self.nulls += 1,
            Kind::Object if depth >= DEEPEST => self.deep += 1,
            Kind::Object => self.object.get_or_insert_default().add(doc, node, depth + 1),
            Kind::Array => {
                self.arrays += 1;
                for item in doc.items(node) {
                    self.items.get_or_insert_default().add(doc, item, depth);
                }
            }
            _ => self.scalars.add(doc, node),
        }
    }

    /// Takes in all that another has seen.
    pub(super) fn merge(&mut self, other: &Shape) {
        self.listed = match (self.seen, &self.listed[..], &other.listed[..]) {
            (0, _, listed) => listed.to_vec(),
            (_, [], _) | (.., []) => Vec::new(),
            (_, a, b) => a.iter().chain(b.iter().filter(|value| !a.contains(value))).cloned().collect(),
        };
        self.open = self.open.or(other.open);
        self.doc = self.doc.take().or_else(|| other.doc.clone());
        self.seen += other.seen;
        self.nulls += other.nulls;
        self.arrays += other.arrays;
        self.deep += other.deep;
        self.scalars.merge(&other.scalars);
        if let Some(object) = &other.object {
            self.object.get_or_insert_default().merge(object);
        }
        if let Some(items) = &other.items {
            self.items.get_or_insert_default().merge(items);
        }
    }

    /// Whether there was a value each time.
    pub(super) fn always(&self, of: &ObjectShape) -> bool {
        self.nulls == 0 && self.seen == of.seen
    }

    /// The object that it is, or is an array of.
    pub(super) fn inner_object(&self) -> Option<&ObjectShape> {
        self.object.as_ref().or_else(|| self.items.as_ref()?.inner_object())
    }

    /// The type for a field called `name` in JSON.
    pub(super) fn inferred(&self, name: &str) -> Inferred {
        if self.deep > 0 || self.open.is_some() {
            return Inferred::Json;
        }
        match (self.scalars.count() > 0, &self.object, self.arrays > 0) {
            (true, None, false) => self.scalars.inferred(name),
            (false, Some(object), false) if !object.is_open() => Inferred::Object,
            (false, None, true) => Inferred::Array(Box::new(match &self.items {
                // An item cannot be null.
                Some(items) if items.nulls == 0 => items.inferred(name),
                _ => Inferred::Json,
            })),
            // Nothing but nulls, or values of several kinds.
            _ => Inferred::Json,
        }
    }
}

impl ObjectShape {
    /// One that a schema describes, without members.
    pub(super) fn described(all_assumed: bool) -> ObjectShape {
        ObjectShape { seen: DESCRIBED, most: MOST_MEMBERS, all_assumed, ..ObjectShape::default() }
    }

    /// Takes in the object at `node`.
    pub(super) fn add(&mut self, doc: &Document<'_>, node: Node, depth: usize) {
        self.seen += 1;
        let mut members = 0;
        for (key, value) in doc.members(node) {
            let Some(key) = doc.text(key) else { continue };
            self.members.entry(key.text.into_owned()).or_default().add(doc, value, depth);
            members += 1;
        }
        self.most = self.most.max(members);
    }

    pub(super) fn merge(&mut self, other: &ObjectShape) {
        let is_first = self.seen == 0;
        self.name = if is_first || self.name == other.name { other.name.clone() } else { None };
        self.doc = self.doc.take().or_else(|| other.doc.clone());
        self.all_assumed |= other.all_assumed;
        self.seen += other.seen;
        self.most = self.most.max(other.most);
        for (name, shape) in &other.members {
            self.members.entry(name.clone()).or_default().merge(shape);
        }
    }

    /// Whether its names are data, as those of a map are: then it is JSON of open shape.
    pub(super) fn is_open(&self) -> bool {
        let names_differ = self.seen >= 3 && self.members.len() > 2 * self.most.max(2);
        self.members.is_empty()
            || self.members.len() > MOST_MEMBERS
            || self.members.keys().any(|name| naming::is_data(name))
            || (names_differ && self.members.values().all(|member| member.object.is_none() && member.arrays == 0))
    }
}

impl ScalarFacts {
    fn add(&mut self, doc: &Document<'_>, node: Node) {
        let tally = |count: &mut u64, holds: bool| *count += u64::from(holds);
        tally(&mut self.no_boolean, spelling::boolean(doc, node).is_none());
        tally(&mut self.no_long, spelling::long(doc, node).is_none());
        tally(&mut self.no_double, spelling::double(doc, node).is_none());
        tally(&mut self.no_instant, spelling::timestamp(doc, node).is_none());
        let text = doc.text(node).map(|text| text.text);
        tally(&mut self.no_uuid, text.as_deref().and_then(uuid).is_none());
        tally(&mut self.no_date, text.as_deref().and_then(time::parse_date).is_none());
        match (doc.kind(node), text) {
            (Kind::Number, _) => {
                self.numbers += 1;
                tally(&mut self.fractions, doc.raw(node).contains(['.', 'e', 'E']));
                let number = doc.raw(node).parse().unwrap_or_default();
                let unix = UNIX_YEARS.contains(&number) || UNIX_YEARS.contains(&(number / 1000.0));
                tally(&mut self.no_unix, !unix);
            }
            (_, Some(text)) => {
                self.strings += 1;
                let iso = time::parse_iso(&text);
                tally(&mut self.iso, iso.is_some());
                tally(&mut self.with_time, iso.as_ref().is_some_and(|iso| iso.has_time));
                tally(&mut self.finer, iso.is_some() && is_finer_than_millis(&text));
                tally(&mut self.decimals, spelling::double(doc, node).is_some());
                tally(
                    &mut self.padded,
                    text.starts_with('0') && text.as_bytes().get(1).is_some_and(u8::is_ascii_digit),
                );
                tally(&mut self.odd_dates, iso.is_none() && looks_like_a_date(&text));
                tally(&mut self.blank, text.trim().is_empty());
            }
            _ => self.booleans += 1,
        }
    }

    fn merge(&mut self, other: &ScalarFacts) {
        for (count, more) in [
            (&mut self.booleans, other.booleans),
            (&mut self.numbers, other.numbers),
            (&mut self.strings, other.strings),
            (&mut self.no_boolean, other.no_boolean),
            (&mut self.no_long, other.no_long),
            (&mut self.no_double, other.no_double),
            (&mut self.no_uuid, other.no_uuid),
            (&mut self.no_instant, other.no_instant),
            (&mut self.no_date, other.no_date),
            (&mut self.fractions, other.fractions),
            (&mut self.whole, other.whole),
            (&mut self.loose, other.loose),
            (&mut self.as_key, other.as_key),
            (&mut self.no_unix, other.no_unix),
            (&mut self.iso, other.iso),
            (&mut self.with_time, other.with_time),
            (&mut self.finer, other.finer),
            (&mut self.decimals, other.decimals),
            (&mut self.padded, other.padded),
            (&mut self.odd_dates, other.odd_dates),
            (&mut self.blank, other.blank),
        ] {
            *count += more;
        }
    }

    pub(super) fn count(&self) -> u64 {
        self.booleans + self.numbers + self.strings
    }

    /// Whether all are numbers without a fraction, but for what a schema does not say.
    pub(super) fn may_be_whole(&self) -> bool {
        self.loose > 0 && self.loose == self.fractions && self.loose == self.no_long && self.booleans == 0
    }

    fn inferred(&self, name: &str) -> Inferred {
        if self.as_key > 0 && self.may_be_whole() {
            return Inferred::Long;
        }
        let may_be_unix = naming::tells_time(name) && self.no_unix == 0 && self.no_instant == 0;
        match (self.booleans > 0, self.numbers > 0, self.strings > 0) {
            (true, false, false) => Inferred::Boolean,
            (true, ..) => Inferred::Json,
            (false, true, _) if may_be_unix && self.iso == self.strings => Inferred::Timestamp,
            // Digits in text go with numbers, unless a number would not give them back.
            (false, true, _) if self.padded > 0 => Inferred::String,
            (false, true, _) if self.no_double == 0 && naming::is_measure(name) && self.whole < self.numbers => {
                Inferred::Double
            }
            (false, true, _) if self.fractions == 0 && self.no_long == 0 => Inferred::Long,
            (false, true, _) if self.no_double == 0 => Inferred::Double,
            (false, true, _) => Inferred::String,
            _ if self.no_uuid == 0 => Inferred::Uuid,
            _ if self.no_date == 0 => Inferred::Date,
            _ if self.no_instant == 0 && self.iso == self.strings => Inferred::Timestamp,
            _ => Inferred::String,
        }
    }
}

/// Whether a second has more than three digits behind its point, and not only zeros.
fn is_finer_than_millis(iso: &str) -> bool {
    let fraction = iso.rsplit_once(['.', ',']).map_or("", |(_, fraction)| fraction);
    let digits = fraction.bytes().take_while(u8::is_ascii_digit);
    digits.skip(3).any(|digit| digit != b'0')
}

/// `02/06/2026`, `02.06.2026 13:00`, `2026/06/02`, `Tue, 02 Jun 2026 ...`: three numbers, one of them a year.
fn looks_like_a_date(text: &str) -> bool {
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let mut parts = text.split(['/', '.', '-', ' ', ':', 'T', ',']).filter(|part| !part.is_empty());
    let first: Vec<&str> = parts.by_ref().take(4).collect();
    let year = |part: &&str| is_number(part) && part.len() == 4 && (part.starts_with("19") || part.starts_with("20"));
    let numbers = first.iter().filter(|part| is_number(part)).count();
    text.len() <= 40 && first.len() >= 3 && numbers >= 2 && first.iter().any(year)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::json::MAX_DEPTH;

    fn of(name: &str, values: &[&str]) -> Inferred {
        let mut shape = Shape::default();
        for value in values {
            shape.add(&Document::scan(value.as_bytes(), MAX_DEPTH).unwrap(), Node::ROOT, 0);
        }
        shape.inferred(name)
    }

    fn array(items: Inferred) -> Inferred {
        Inferred::Array(Box::new(items))
    }

    #[test]
    fn the_type_is_one_that_takes_all_values() {
        for (values, expected) in [
            (&["true", "false", "null"][..], Inferred::Boolean),
            (&["1", "-7"], Inferred::Long),
            (&["3", "3.5"], Inferred::Double),
            (&["3.0"], Inferred::Double),
            (&["1", "9223372036854775808"], Inferred::Double),
            (&["1", "0.12345678901234567890"], Inferred::String),
            (&["12.5", "\"12.50\""], Inferred::Double),
            (&["1", "\"x\""], Inferred::String),
            (&["1", "\"007\""], Inferred::String),
            (&["1", "\"7\""], Inferred::Long),
            (&["\"42\""], Inferred::String),
            (&["\"11111111-1111-4111-8111-111111111111\""], Inferred::Uuid),
            (&["\"11111111-1111-4111-8111-111111111111\"", "\"\""], Inferred::String),
            (&["\"2026-06-02T12:00:00Z\"", "\"2026-06-02 12:00:00\""], Inferred::Timestamp),
            (&["\"2026-06-02T12:00:00Z\"", "\"2026-06-02\""], Inferred::Timestamp),
            (&["\"2026-06-02\""], Inferred::Date),
            (&["\"2026-06-02\"", "\"02/06/2026\""], Inferred::String),
            (&["true", "1"], Inferred::Json),
            (&["{\"a\":1}", "\"a\""], Inferred::Json),
            (&["null"], Inferred::Json),
            (&["{}"], Inferred::Json),
            (&["{\"a\":1}", "{}"], Inferred::Object),
            (&["{\"11999\":1}"], Inferred::Json),
            (&["[]"], array(Inferred::Json)),
            (&["[1]", "[]"], array(Inferred::Long)),
            (&["[1,null]"], array(Inferred::Json)),
            (&["[[{\"a\":1}]]"], array(array(Inferred::Object))),
        ] {
            assert_eq!(of("thing", values), expected, "{values:?}");
        }
    }

    #[test]
    fn a_number_is_an_instant_only_by_its_name_and_its_size() {
        assert_eq!(of("created", &["1780401600"]), Inferred::Timestamp);
        assert_eq!(of("createdAt", &["1780401600123", "\"2026-06-02T12:00:00Z\""]), Inferred::Timestamp);
        assert_eq!(of("created", &["1780401600", "7"]), Inferred::Long);
        assert_eq!(of("phone", &["1780401600"]), Inferred::Long);
    }

    #[test]
    fn what_is_measured_may_have_a_fraction_though_no_sample_has() {
        assert_eq!(of("dailyRate", &["149"]), Inferred::Double);
        assert_eq!(of("rateId", &["149"]), Inferred::Long);
        assert_eq!(of("amount", &["9007199254740993"]), Inferred::Long);
    }

    #[test]
    fn names_that_are_data_make_an_object_of_open_shape() {
        let map = |n: u32| format!("{{\"color{n}\":\"x\",\"size{n}\":\"y\"}}");
        let maps: Vec<_> = ["a", "b", "c", "d", "e"].iter().zip(1..).map(|(_, n)| map(n)).collect();
        assert_eq!(of("attributes", &maps.iter().map(String::as_str).collect::<Vec<_>>()), Inferred::Json);
    }

    #[test]
    fn a_date_in_another_spelling_is_noticed() {
        for text in ["02/06/2026", "02.06.2026 13:00", "2026/06/02", "Tue, 02 Jun 2026 12:00:00 GMT", "Jun 2, 2026"] {
            assert!(looks_like_a_date(text), "{text}");
        }
        for text in ["", "2026", "+55 11 98765-4321", "12.50", "a/b/c", "v1.2.3"] {
            assert!(!looks_like_a_date(text), "{text}");
        }
    }
}
