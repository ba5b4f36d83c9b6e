//! Phone numbers: a table of spellings, and what no spelling may bring about.

use proptest::prelude::*;

use super::*;

/// Spellings, and what is read: made for review, one a line.
const SPELLINGS: &str = include_str!("spellings.tsv");

/// How a field is read.
type Read = fn(&str) -> Option<String>;

fn of_people(text: &str) -> Option<String> {
    phone(text, Region::BR, false)
}

fn of_whatsapp(text: &str) -> Option<String> {
    phone(text, Region::BR, true)
}

/// The field, the text and the number of each line of the table.
fn spellings() -> impl Iterator<Item = (&'static str, String, Option<String>)> {
    SPELLINGS.lines().filter(|line| !line.starts_with("# ") && *line != "#").map(|line| {
        let [field, text, number] = line.split('\t').collect::<Vec<_>>()[..] else { panic!("three columns: {line}") };
        (field, unescaped(text), (number != "-").then(|| number.to_owned()))
    })
}

/// `\u{200e}` as the sign it stands for.
fn unescaped(text: &str) -> String {
    let mut parts = text.split("\\u{");
    let mut unescaped = parts.next().unwrap().to_owned();
    for part in parts {
        let (hex, rest) = part.split_once('}').unwrap();
        unescaped.push(char::from_u32(u32::from_str_radix(hex, 16).unwrap()).unwrap());
        unescaped.push_str(rest);
    }
    unescaped
}

#[test]
fn every_spelling_gives_its_number_or_none() {
    let mut wrong = vec![];
    for (field, text, number) in spellings() {
        let fields: &[(&str, Read)] = match field {
            "people" => &[("people", of_people)],
            "whatsapp" => &[("whatsapp", of_whatsapp)],
            "both" => &[("people", of_people), ("whatsapp", of_whatsapp)],
            _ => panic!("{field}"),
        };
        for (name, read) in fields {
            let found = read(&text);
            if found != number {
                wrong.push(format!("{name}: {text:?}: expected {number:?}, got {found:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(spellings().count() > 1000);
}

#[test]
fn other_regions_have_local_numbers_of_their_own() {
    for (region, written, expected) in [
        (Region::PT, "912 345 678", "351912345678"),
        (Region::PT, "5511987654321", "5511987654321"),
        (Region::DE, "0176 1234567", "491761234567"),
        (Region::DE, "491761234567", "491761234567"),
        (Region::US, "(202) 555-0123", "12025550123"),
        (Region::US, "12025550123", "12025550123"),
        (Region::MX, "55 1234 5678", "525512345678"),
        (Region::MX, "5215512345678", "525512345678"),
        (Region::AR, "011 15-2345-6789", "541123456789"),
        (Region::AR, "5491123456789", "541123456789"),
        (Region::IT, "06 1234 5678", "390612345678"),
    ] {
        assert_eq!(phone(written, region, true).as_deref(), Some(expected), "{written}");
    }
}

/// Numbers as people and WhatsApp write them, whole or local, and ends of numbers, extensions and agents.
fn pieces() -> impl Strategy<Value = String> {
    let table = spellings().filter(|(_, text, number)| number.is_some() && text.len() > 7).map(|(_, text, _)| text);
    prop_oneof![
        3 => proptest::sample::select(table.collect::<Vec<_>>()),
        1 => r"[0-9]{1,6}",
        1 => r"9[0-9]{4}-[0-9]{4}",
        1 => r"[2-5][0-9]{3}-[0-9]{4}",
        1 => r"\([1-9][1-9]\) (9[0-9]{4}|[2-9][0-9]{3})-[0-9]{4}",
        1 => r"[1-9][1-9]9?[0-9]{8}",
        1 => r"55[1-9][1-9]9?[6-9][0-9]{7}(@s.whatsapp.net|@c.us|)",
    ]
}

/// What stands between two numbers, and never within one.
const BETWEEN: [&str; 22] = [
    "/", " / ", ",", ", ", ";", "; ", "|", " | ", "&", " e ", " ou ", " or ", "\n", "\t", "\\", "_", ":", "@", " - +",
    " ramal ", " x", "#",
];

/// The parts of a text that may hold a number each, with the signs that are written within numbers.
fn parts(text: &str) -> Vec<String> {
    let digits = |part: &str| part.chars().filter(char::is_ascii_digit).collect::<String>();
    let within =
        |c: char| c.is_ascii_digit() || " -().[]/\u{a0}\u{2011}–".contains(c) || super::spelling::is_invisible(c);
    let wide = text.split(|c: char| !within(c)).map(digits);
    let narrow = text.split(|c: char| !c.is_ascii_digit()).map(digits);
    wide.chain(narrow).filter(|part| !part.is_empty()).collect()
}

/// Whether `number` is in these digits, the last of which are its last: but for Brazil's code, which the region adds, its
/// ninth digit, and what is dialled first in Mexico and Argentina.
fn is_in(digits: &str, number: &str) -> bool {
    if let Some(national) = number.strip_prefix("55") {
        let mobile = (national.len() == 11).then(|| format!("{}{}", &national[..2], &national[3..]));
        return digits.ends_with(national) || mobile.is_some_and(|without| digits.ends_with(&without));
    }
    let dialled_at_home = number.strip_prefix("54").is_some_and(|national| {
        (2..=4).any(|area| digits.ends_with(&format!("{}15{}", &national[..area], &national[area..])))
    });
    dialled_at_home
        || (1..=3).any(|code| {
            let (code, national) = number.split_at(code);
            digits.strip_suffix(national).is_some_and(|first| first.contains(code) && first.len() <= code.len() + 7)
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(5_000))]

    #[test]
    fn of_two_numbers_neither_lends_the_other_digits(
        first in pieces(), second in pieces(), between in proptest::sample::select(&BETWEEN[..]),
    ) {
        // 31/90000-0000 is one number.
        prop_assume!(!between.contains('/') || first.chars().filter(char::is_ascii_digit).count() > 4);
        let text = format!("{first}{between}{second}");
        for read in [of_people, of_whatsapp] {
            if let Some(number) = read(&text) {
                // What stands behind `tel:11…` is read as in a field of people's, and so on.
                let alone = [of_people(&first), of_whatsapp(&first), of_people(&second), of_whatsapp(&second)];
                prop_assert!(alone.contains(&Some(number.clone())), "{text:?}: {number}");
            }
        }
    }

    #[test]
    fn all_digits_are_of_one_number_in_the_text(
        text in proptest::collection::vec(
            prop_oneof![
                4 => r"[0-9]{1,5}",
                4 => proptest::sample::select(vec![
                    "+", "55", "+55", "11", "(11)", "51", "0", "00", "15", "9", "(", ")", " ", " ", "-", ".", "/", ",", ";", ":", "_",
                    "52", "521", "54", "549", "49", "+1", "98765-4321", "3333-4444", "987654321", "33334444", "0xx", "ramal ", " x",
                    ";ext=", "@s.whatsapp.net", "@c.us", "@lid", "tel:", "whatsapp:", "wa.me/", "#", "\u{200e}", "\n", "e",
                ]).prop_map(str::to_owned),
            ],
            1..9,
        ).prop_map(|parts| parts.concat()),
    ) {
        for read in [of_people, of_whatsapp] {
            if let Some(number) = read(&text) {
                prop_assert!(parts(&text).iter().any(|digits| is_in(digits, &number)), "{text:?}: {number}");
            }
        }
    }

    #[test]
    fn brazils_local_numbers_are_never_foreign(area in 0..67usize, subscriber in "(9[1-9]|[2-9])[0-9]{7}", written in 0..6usize) {
        const AREAS: &str = "1112131415161718192122242728313233343537384142434445464748495153545561626364656667686971737475777981\
            8283848586878889919293949596979899";
        let area = &AREAS[area * 2..area * 2 + 2];
        let (front, back) = subscriber.split_at(subscriber.len() - 4);
        let text = [
            format!("{area}{subscriber}"),
            format!("({area}) {front}-{back}"),
            format!("{area} {front}-{back}"),
            format!("0{area}{subscriber}"),
            format!("(0xx{area}) {front}-{back}"),
            format!("0 15 {area} {front} {back}"),
        ][written].clone();
        let ninth = if subscriber.len() == 8 && subscriber.as_bytes()[0] >= b'6' { "9" } else { "" };
        let expected = Some(format!("55{area}{ninth}{subscriber}"));
        prop_assert_eq!(of_people(&text), expected.clone());
        let whatsapps = of_whatsapp(&text);
        prop_assert!(whatsapps == expected || (written == 0 && whatsapps.is_none()), "{text}: {whatsapps:?}");
    }

    #[test]
    fn any_text_is_read(text in any::<String>(), region in 0..3usize, whatsapp in any::<bool>()) {
        let _ = phone(&text, [Region::BR, Region::US, Region::AR][region], whatsapp);
    }
}
