//! Random bodies, made from the plan of an event's record: what fits, in odd spellings, and what does not.

use crate::catalog::{EventType, FieldKind, Profile};
use crate::convert::encode::judge::{KNOWN_TIMES, SentJson};
use crate::tools::random::Random;
use crate::values::time::Resolution;

impl Random {
    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub(super) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

/// How often a value is other than documented.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Odd {
    Never,
    Often,
}

/// A body of `event_type`.
pub(super) fn body(random: &mut Random, profile: &Profile, event_type: &EventType, odd: Odd) -> SentJson {
    let payload = match event_type.payload_slot {
        None => record(random, profile, event_type.record, odd, 0),
        Some(slot) => {
            let FieldKind::Record(inner) = profile.records[event_type.record].fields[slot].kind else { unreachable!() };
            record(random, profile, inner, odd, 1)
        }
    };
    let SentJson::Object(members) = payload else { unreachable!() };
    let mut members: Vec<_> = members.into_iter().filter(|(_, key, _)| !tells(profile, key)).collect();
    let mut telling = Vec::new();
    for rule in &profile.recognise {
        let (Some(field), Some(value)) = (rule.field(), rule.sample_value(&event_type.name)) else { continue };
        let bare = ["true", "false"].contains(&value.as_str());
        telling.push((field.to_owned(), if bare { value } else { quoted(&value) }));
    }
    let telling: Vec<_> = telling.into_iter().map(|(key, text)| (key.clone(), key, SentJson::Scalar(text))).collect();
    match &profile.payload {
        None => {
            members.extend(telling);
            shuffle(random, &mut members);
            SentJson::Object(members)
        }
        Some(name) => {
            let mut around = telling;
            around.push((name.clone(), name.clone(), SentJson::Object(members)));
            if odd == Odd::Often && random.chance(20) {
                around.push(("tentativa".into(), "tentativa".into(), any(random, 0)));
            }
            shuffle(random, &mut around);
            SentJson::Object(around)
        }
    }
}

fn tells(profile: &Profile, key: &str) -> bool {
    profile.payload.is_none() && profile.recognise.iter().any(|rule| rule.field() == Some(key))
}

fn shuffle<T>(random: &mut Random, items: &mut [T]) {
    for at in (1..items.len()).rev() {
        items.swap(at, random.below(at + 1));
    }
}

fn record(random: &mut Random, profile: &Profile, index: usize, odd: Odd, depth: usize) -> SentJson {
    let mut members = Vec::new();
    for field in &profile.records[index].fields {
        if field.kind.is_made() {
            continue;
        }
        let value = match (field.optional, odd, random.below(100)) {
            (true, _, 0..25) => continue,
            (true, _, 25..35) => SentJson::Scalar("null".into()),
            (true, Odd::Often, 35..50) => any(random, 0),
            // Deep required ids go wrong sometimes; the outermost would only make the body a fault.
            (false, Odd::Often, 0..8) if depth > 1 => any(random, 0),
            _ => fitting(random, profile, &field.kind, odd, depth),
        };
        members.push((spelled_key(random, &field.json, odd), field.json.to_string(), value));
    }
    if odd == Odd::Often {
        for n in 0..random.below(4) {
            let key = format!("{}{n}", random.word(&["novo", "extra", "ação", "event", "x.y", "$a", ""]));
            members.push((spelled_key(random, &key, odd), key, any(random, 0)));
        }
    }
    shuffle(random, &mut members);
    SentJson::Object(members)
}

fn spelled_key(random: &mut Random, key: &str, odd: Odd) -> String {
    match key.chars().next() {
        Some(first) if odd == Odd::Often && random.chance(5) => {
            format!("\\u{:04x}{}", u32::from(first), &key[first.len_utf8()..])
        }
        _ => key.to_owned(),
    }
}

fn fitting(random: &mut Random, profile: &Profile, kind: &FieldKind, odd: Odd, depth: usize) -> SentJson {
    let digits = random.next() as i64 >> random.below(63);
    SentJson::Scalar(match kind {
        FieldKind::Boolean => random.word(&["true", "false", "\"true\"", "\"False\"", "0", "1", "\"1\""]).to_string(),
        FieldKind::Long => match random.below(4) {
            0 => format!("\"{digits}\""),
            1 => format!("{}.0", digits % 1_000_000),
            2 => format!("{}e{}", digits % 1000, random.below(4)),
            _ => digits.to_string(),
        },
        FieldKind::Double => {
            let value = digits as f64 / 1024.0;
            if random.chance(30) { format!("\"{value}\"") } else { value.to_string() }
        }
        FieldKind::String if random.chance(10) => format!("{}.50", digits % 1000),
        FieldKind::String => string(random, Odd::Never),
        FieldKind::Uuid => uuid(random),
        FieldKind::Int => (digits as i32).to_string(),
        FieldKind::Float => ((digits % 1_000_000) as f32 / 64.0).to_string(),
        FieldKind::Decimal(size) => decimal(random, size.precision.min(9), size.scale),
        FieldKind::Bytes => random.word(&["\"\"", "\"+/8=\"", "\"-_8\"", "\"aGk\"", "\"AAAA\""]).to_string(),
        FieldKind::Enum(symbols) => quoted(symbols.spellings().nth(random.below(2)).unwrap()),
        FieldKind::Timestamp(Resolution::Micros, None) => quoted(KNOWN_TIMES[0].0),
        FieldKind::Timestamp(Resolution::Micros, Some(_)) => quoted(random.pick(&KNOWN_TIMES[1..3]).0),
        FieldKind::Timestamp(Resolution::Millis, Some(_)) => quoted(random.pick(&KNOWN_TIMES[3..5]).0),
        FieldKind::Date(Some(_)) => quoted(KNOWN_TIMES[5].0),
        FieldKind::TimeOfDay(Resolution::Millis, _) => quoted(KNOWN_TIMES[6].0),
        FieldKind::TimeOfDay(Resolution::Micros, _) => quoted(random.pick(&KNOWN_TIMES[7..]).0),
        FieldKind::Timestamp(Resolution::Millis, None) => timestamp(random),
        FieldKind::Nullable(_) if random.chance(30) => "null".into(),
        FieldKind::Nullable(inner) => return fitting(random, profile, inner, odd, depth),
        FieldKind::Map(values) => {
            let members = (0..random.below(4)).map(|n| {
                let key = format!("k{n}");
                (key.clone(), key, fitting(random, profile, values, odd, depth + 1))
            });
            return SentJson::Object(members.collect());
        }
        FieldKind::Date(None) => {
            format!("\"{:04}-{:02}-{:02}\"", 1 + random.below(9999), 1 + random.below(12), 1 + random.below(28))
        }
        FieldKind::Json { .. } => return any_but_null(random),
        FieldKind::MediaObject { .. } | FieldKind::Derived { .. } => unreachable!("never sent"),
        FieldKind::Record(inner) => return record(random, profile, *inner, odd, depth + 1),
        FieldKind::Array(items) => {
            let count = random.below(4);
            return SentJson::Array((0..count).map(|_| fitting(random, profile, items, odd, depth + 1)).collect());
        }
    })
}

/// A number with at most so many digits behind its point, as a number or in a string.
fn decimal(random: &mut Random, precision: u32, scale: u32) -> String {
    let unscaled = random.next() as i64 % 10_i64.pow(precision);
    let text = match random.below(3) {
        0 => format!("{unscaled}e-{scale}"),
        1 => format!("{}", unscaled / 10_i64.pow(scale.min(precision))),
        _ => format!("{}.{:02}", unscaled % 1000, random.below(100)),
    };
    if random.chance(50) { quoted(&text) } else { text }
}

fn uuid(random: &mut Random) -> String {
    let hex = format!("{:016x}{:016x}", random.next(), random.next());
    let uuid = format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]);
    quoted(&if random.chance(20) { uuid.to_uppercase() } else { uuid })
}

fn timestamp(random: &mut Random) -> String {
    let (day, second) = (1 + random.below(28), random.below(60));
    match random.below(6) {
        0 => format!("\"2026-06-{day:02}\""),
        1 => format!("\"2026-06-{day:02} 23:59:{second:02}\""),
        2 => format!("\"2026-06-{day:02}T01:02:{second:02}.123456-03:00\""),
        3 => format!("{}", 1_780_000_000 + random.below(1_000_000)),
        4 => format!("\"{}\"", 1_780_000_000_000_u64 + random.next() % 1_000_000),
        _ => format!("\"2026-06-{day:02}T12:00:{second:02}.000Z\""),
    }
}

fn any_but_null(random: &mut Random) -> SentJson {
    loop {
        match any(random, 0) {
            SentJson::Scalar(null) if null == "null" => {}
            other => return other,
        }
    }
}

/// Any JSON value, odd ones above all.
fn any(random: &mut Random, depth: usize) -> SentJson {
    let kinds = if depth < 4 { 9 } else { 7 };
    SentJson::Scalar(match random.below(kinds) {
        0 => "null".into(),
        1 => random.word(&["true", "false"]).to_string(),
        2 => random
            .word(&["0", "-0", "1e2", "3.0", "1.5", "-1E-7", "1e400", "12345678901234567890", "0.1", "99999999999999"])
            .to_string(),
        3 => random
            .word(&[
                "\"\"",
                "\" \"",
                "\"42\"",
                "\"1.5\"",
                "\"hoje\"",
                "\"2026-02-30\"",
                "\"2026-06-02T25:00:00Z\"",
                "\"0x1\"",
            ])
            .to_string(),
        4 => uuid(random),
        5 => timestamp(random),
        6 => string(random, Odd::Often),
        7 => return SentJson::Array((0..random.below(4)).map(|_| any(random, depth + 1)).collect()),
        _ => {
            let members = (0..random.below(4)).map(|n| (format!("k{n}"), format!("k{n}"), any(random, depth + 1)));
            return SentJson::Object(members.collect());
        }
    })
}

fn string(random: &mut Random, odd: Odd) -> String {
    let mut text = String::from("\"");
    for _ in 0..random.below(12) {
        text.push_str(random.word(&[
            "a",
            "Z",
            "ção",
            "😀",
            "\\n",
            "\\\"",
            "\\\\",
            "\\u00e7",
            "\\ud83d\\ude00",
            "/",
            " ",
            "\\/",
        ]));
    }
    if odd == Odd::Often && random.chance(30) {
        text.push_str(random.word(&["\\ud83d", "\\ude00x", "\\uD800\\uD800"]));
    }
    text + "\""
}

fn quoted(text: &str) -> String {
    format!("\"{text}\"")
}
