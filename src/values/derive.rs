//! What is made of a field and not sent: the reference to a record of another system, and a phone number in one form.

use std::borrow::Cow;

use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumber, PhoneNumberFormat, Region};

use crate::values::json::{Document, Kind, MAX_DEPTH, Node};
use crate::values::uuid_text::uuid;

/// How a value is made of another.
#[derive(Clone, Debug)]
pub(crate) enum How {
    /// JSON of open shape: the text itself, or this member of an object, also where that JSON stands in a string.
    Reference { member: String },
    /// A phone number as digits of E.164; one without a country's code is taken to be of this region. WhatsApp writes whole
    /// numbers as digits alone; people leave away their own country's code.
    Phone { region: Region, whatsapp: bool },
}

impl How {
    /// `region` is the two letters of a country.
    pub(crate) fn phone(region: &str, whatsapp: bool) -> Result<How, String> {
        let known = region
            .parse()
            .ok()
            .filter(|&region| PHONE_NUMBER_UTIL.get_supported_regions().any(|known| known == region));
        match known {
            Some(region) => Ok(How::Phone { region, whatsapp }),
            None => Err(format!("{region:?}: expected the two letters of a country, such as \"BR\"")),
        }
    }
}

/// Brazil's country code.
const BRAZIL: i32 = 55;
/// Longer ones are no references: they stand in keys and headers, once for each record.
const LONGEST_REFERENCE: usize = 1024;
/// Longer texts are no phone numbers: E.164 has 15 digits, people put spaces and signs between them.
const LONGEST_NUMBER: usize = 60;

/// What is made of the value at `node`; nothing when it is not of that kind, or blank.
pub(crate) fn derive(doc: &Document<'_>, node: Node, how: &How) -> Option<String> {
    match how {
        How::Reference { member } => reference(doc, node, member),
        How::Phone { region, whatsapp } => phone(&text(doc, node)?, *region, *whatsapp),
    }
}

/// A string, or a number as spelled.
fn text<'a>(doc: &Document<'a>, node: Node) -> Option<Cow<'a, str>> {
    match doc.kind(node) {
        Kind::Number => Some(doc.raw(node).into()),
        _ => doc.text(node).filter(|text| !text.lone_surrogate).map(|text| text.text),
    }
}

fn reference(doc: &Document<'_>, node: Node, member: &str) -> Option<String> {
    let found = match doc.kind(node) {
        Kind::Object => member_of(doc, node, member),
        Kind::String | Kind::Escaped => {
            let outer = text(doc, node)?;
            // Whoever put JSON into a string meant what it holds.
            match Document::scan(outer.as_bytes(), MAX_DEPTH) {
                Err(_) => Some(outer.into_owned()),
                Ok(inner) => match inner.kind(Node::ROOT) {
                    Kind::Object => member_of(&inner, Node::ROOT, member),
                    Kind::Null | Kind::Array => None,
                    Kind::String | Kind::Escaped => text(&inner, Node::ROOT).map(Cow::into_owned),
                    _ => Some(outer.into_owned()),
                },
            }
        }
        _ => None,
    };
    let found = found.filter(|text| !text.trim().is_empty() && text.len() <= LONGEST_REFERENCE)?;
    // A UUID as keys have it, so that it meets them.
    Some(uuid(&found).map_or(found, |uuid| uuid.to_string()))
}

/// A member of an object, if there is one of this name: of two, no two readers take the same.
fn member_of(doc: &Document<'_>, object: Node, name: &str) -> Option<String> {
    let mut found = doc.all(object, name);
    let value = found.next()?;
    if found.next().is_some() { None } else { text(doc, value).map(Cow::into_owned) }
}

/// A number in the one form in which numbers can be joined: country code and number, digits only, such as
/// `5511987654321`. What is no valid number, or a name of WhatsApp's that is none (a group's id), gives nothing.
pub(crate) fn phone(text: &str, region: Region, whatsapp: bool) -> Option<String> {
    let (number, domain) = text.split_once('@').unwrap_or((text, "c.us"));
    if text.len() > LONGEST_NUMBER || !["c.us", "s.whatsapp.net"].contains(&domain) {
        return None;
    }
    // A device of the account stands behind a colon.
    let number = number.split(':').next()?.trim();
    let mut with_sign = String::with_capacity(1 + number.len());
    with_sign.push('+');
    let mut has_country = false;
    for c in number.chars() {
        match c {
            '0'..='9' => with_sign.push(c),
            '+' => has_country |= with_sign.len() == 1,
            // Other digits than these are not read, so a number with one would be read wrong.
            _ if c.is_alphanumeric() => return None,
            _ => {}
        }
    }
    let digits = &with_sign[1..];
    if has_country {
        return valid(&with_sign, region);
    }
    if let Some(dialled) = digits.strip_prefix("00") {
        return valid(&format!("+{dialled}"), region);
    }
    let (whole, of_region) = (|| valid(&with_sign, region), || valid(digits, region));
    if whatsapp && digits.len() == number.len() { whole().or_else(of_region) } else { of_region().or_else(whole) }
}

fn valid(number: &str, region: Region) -> Option<String> {
    let read = || PHONE_NUMBER_UTIL.parse(number, Some(region)).ok();
    let mut number = brazilian(number, region).or_else(read)?;
    add_ninth_digit(&mut number);
    if !PHONE_NUMBER_UTIL.is_valid_number(&number) {
        return None;
    }
    let mut e164 = PHONE_NUMBER_UTIL.format(&number, PhoneNumberFormat::E164).into_owned();
    if e164.starts_with('+') {
        e164.remove(0);
    }
    Some(e164)
}

/// What the library reads `number` as, when it is one of Brazil's with its country's code, which most are: reading is three
/// quarters of what a number takes there. It takes off 0 and 90, which are dialled first, so numbers with these are left to it.
fn brazilian(number: &str, region: Region) -> Option<PhoneNumber> {
    let digits = match number.strip_prefix('+') {
        Some(digits) => digits,
        None if region == Region::BR => number,
        None => return None,
    };
    let national = digits.strip_prefix("55")?;
    if !(10..=11).contains(&national.len()) || national.starts_with('0') || national.starts_with("90") {
        return None;
    }
    Some(PhoneNumber { country_code: BRAZIL, national_number: national.parse().ok()?, ..PhoneNumber::default() })
}

/// Brazilian mobile numbers got a 9 in front of their eight digits between 2012 and 2016 (Anatel, resolution 553/2010);
/// WhatsApp still knows those who came before by the old number. Eight digits that begin with 6 to 9 are a mobile's, behind
/// an area code of two.
fn add_ninth_digit(number: &mut PhoneNumber) {
    const EIGHT_DIGITS: u64 = 100_000_000;
    let (area, subscriber) = (number.national_number / EIGHT_DIGITS, number.national_number % EIGHT_DIGITS);
    if number.country_code == BRAZIL && (11..=99).contains(&area) && subscriber >= 60_000_000 {
        number.national_number = (area * 10 + 9) * EIGHT_DIGITS + subscriber;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]
        #[test]
        fn brazils_numbers_are_read_as_the_library_reads_them(number in r"\+?55(90|[0-9]{2})?[0-9]{7,11}") {
            for region in [Region::BR, Region::PT] {
                let read = PHONE_NUMBER_UTIL.parse(&number, Some(region)).ok();
                prop_assert!(brazilian(&number, region).is_none_or(|ours| Some(ours) == read), "{:?}", read);
            }
        }
    }

    #[test]
    fn digits_alone_are_a_whole_number_of_whatsapps_and_a_local_one_of_people() {
        assert!(brazilian("5511987654321", Region::BR).is_some() && brazilian("5511987654321", Region::PT).is_none());
        for (written, whatsapps, peoples) in [
            ("5511987654321", "5511987654321", "5511987654321"),
            ("351912345678", "351912345678", "351912345678"),
            ("4799999999", "4799999999", "5547999999999"),
            ("51987654321", "51987654321", "5551987654321"),
            ("11987654321", "5511987654321", "5511987654321"),
        ] {
            assert_eq!(phone(written, Region::BR, true).as_deref(), Some(whatsapps), "{written}");
            assert_eq!(phone(written, Region::BR, false).as_deref(), Some(peoples), "{written}");
        }
    }

    #[test]
    fn a_number_has_one_form_however_it_is_written() {
        for (written, expected) in [
            ("5511987654321", Some("5511987654321")),
            ("+55 11 98765-4321", Some("5511987654321")),
            ("+55 (11) 98765-4321", Some("5511987654321")),
            ("(11) 98765-4321", Some("5511987654321")),
            ("011987654321", Some("5511987654321")),
            ("11987654321", Some("5511987654321")),
            ("5511987654321@c.us", Some("5511987654321")),
            ("5511987654321:12@s.whatsapp.net", Some("5511987654321")),
            // Mobile numbers of before the ninth digit.
            ("551187654321", Some("5511987654321")),
            ("558177654321", Some("5581977654321")),
            ("+55 47 9999-9999", Some("5547999999999")),
            ("(47) 9999-9999", Some("5547999999999")),
            // A landline has eight digits.
            ("551133334444", Some("551133334444")),
            ("(11) 3333-4444", Some("551133334444")),
            ("0800 123 4567", Some("558001234567")),
            // Elsewhere.
            ("351912345678", Some("351912345678")),
            ("+1 202-555-0123", Some("12025550123")),
            ("(+34) 987 654 321", Some("34987654321")),
            ("\u{200e}+51 987 654 321", Some("51987654321")),
            ("00 351 912 345 678", Some("351912345678")),
            ("005511987654321", Some("5511987654321")),
            // No numbers.
            ("120363041234567890", None),
            ("5511987654321-1400000000", None),
            ("+11987654321", None),
            ("98765-4321", None),
            ("123", None),
            ("", None),
            ("0800-FLORES", None),
            ("ramal 12", None),
            ("١١٩٨٧٦٥٤٣٢١", None),
            ("+55 11 98765-432１", None),
            ("551187654321@g.us", None),
            ("5511987654321@newsletter", None),
            ("49832240512809@lid", None),
        ] {
            assert_eq!(phone(written, Region::BR, true).as_deref(), expected, "{written}");
        }
    }

    fn reference_of(json: &str, how: &How) -> Option<String> {
        derive(&Document::scan(json.as_bytes(), MAX_DEPTH).unwrap(), Node::ROOT, how)
    }

    #[test]
    fn a_reference_is_found_in_every_shape_it_comes_in() {
        let how = How::Reference { member: "externalKey".into() };
        let long = |length| format!("\"{}\"", "x".repeat(length));
        assert!(reference_of(&long(LONGEST_REFERENCE), &how).is_some());
        assert_eq!(reference_of(&long(LONGEST_REFERENCE + 1), &how), None);
        for (json, expected) in [
            (r#""deal-1""#, Some("deal-1")),
            (r#"{"other": 1, "externalKey": "deal-2"}"#, Some("deal-2")),
            (r#""{\"externalKey\": \"deal-3\"}""#, Some("deal-3")),
            (r#"{"externalKey": 42}"#, Some("42")),
            (r#""[not json""#, Some("[not json")),
            (r#""\"deal-5\"""#, Some("deal-5")),
            (r#""42""#, Some("42")),
            (r#""0A000000-0000-4000-8000-0000000000D1""#, Some("0a000000-0000-4000-8000-0000000000d1")),
            (r#""null""#, None),
            (r#""[\"deal-6\"]""#, None),
            (r#"{"externalKey": "a", "externalKey": "b"}"#, None),
            (r#""{\"other\": 1}""#, None),
            (r#"{"externalKey": "  "}"#, None),
            (r#"{"externalKey": null}"#, None),
            (r#"{"externalKey": {"a": 1}}"#, None),
            (r#""""#, None),
            (r#""\ud800""#, None),
            ("null", None),
            ("42", None),
            (r#"["deal-4"]"#, None),
        ] {
            assert_eq!(reference_of(json, &how).as_deref(), expected, "{json}");
        }
    }
}
