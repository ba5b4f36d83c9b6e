//! What is made of a field and not sent: the reference to a record of another system, and a phone number in one form.

use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumber, PhoneNumberFormat, Region};

use crate::json::{Document, Kind, Node};

/// How a value is made of another.
#[derive(Clone, Debug)]
pub(crate) enum How {
    /// JSON of open shape: the text itself, or this member of an object, also where that JSON stands in a string.
    Reference { member: String },
    /// A phone number as digits of E.164; one without a country's code is taken to be of this region.
    Phone { region: Region },
}

/// Nesting of a reference that is JSON in a string; an object with one member is meant.
const REFERENCE_DEPTH: usize = 32;
/// Longer texts are no phone numbers: E.164 has 15 digits, people put spaces and signs between them.
const LONGEST_NUMBER: usize = 40;

/// What is made of the value at `node`; nothing when it is not of that kind, or blank.
pub(crate) fn derive(doc: &Document<'_>, node: Node, how: &How) -> Option<String> {
    let made = match how {
        How::Reference { member } => reference(doc, node, member),
        How::Phone { region } => phone(&text(doc, node)?, *region),
    };
    made.filter(|text| !text.trim().is_empty())
}

/// A string, or a number as spelled.
fn text(doc: &Document<'_>, node: Node) -> Option<String> {
    match doc.kind(node) {
        Kind::Number => Some(doc.raw(node).to_owned()),
        _ => doc.text(node).filter(|text| !text.lone_surrogate).map(|text| text.text.into_owned()),
    }
}

fn reference(doc: &Document<'_>, node: Node, member: &str) -> Option<String> {
    let of = |doc: &Document<'_>, object| doc.get(object, member).and_then(|value| text(doc, value));
    match doc.kind(node) {
        Kind::Object => of(doc, node),
        Kind::String | Kind::Escaped => {
            let text = text(doc, node)?;
            // Whoever put an object into a string meant what it holds.
            let inner = Document::scan(text.as_bytes(), REFERENCE_DEPTH).ok();
            match inner.filter(|inner| inner.kind(Node::ROOT) == Kind::Object) {
                Some(inner) => of(&inner, Node::ROOT),
                None => Some(text),
            }
        }
        _ => None,
    }
}

/// A number in the one form in which numbers can be joined: country code and number, digits only, such as
/// `5511987654321`. What WhatsApp puts behind a number (`:12@s.whatsapp.net`) is left away; what is no valid number, such
/// as a group's id, gives nothing.
fn phone(text: &str, region: Region) -> Option<String> {
    let number = text.split([':', '@']).next()?.trim();
    if number.len() > LONGEST_NUMBER || number.chars().any(char::is_alphabetic) {
        return None;
    }
    let digits: String = number.chars().filter(char::is_ascii_digit).collect();
    let (whole, of_region) = (|| valid(&format!("+{digits}"), region), || valid(&digits, region));
    if number.starts_with('+') {
        whole()
    } else if digits.len() == number.len() {
        // WhatsApp writes whole numbers in digits alone; people leave away their own country's code.
        whole().or_else(of_region)
    } else {
        of_region().or_else(whole)
    }
}

fn valid(number: &str, region: Region) -> Option<String> {
    let mut number = PHONE_NUMBER_UTIL.parse(number, Some(region)).ok()?;
    add_ninth_digit(&mut number);
    if !PHONE_NUMBER_UTIL.is_valid_number(&number) {
        return None;
    }
    Some(PHONE_NUMBER_UTIL.format(&number, PhoneNumberFormat::E164).trim_start_matches('+').to_owned())
}

/// Brazilian mobile numbers got a 9 in front of their eight digits between 2012 and 2016 (Anatel, resolution 553/2010);
/// WhatsApp still knows those who came before by the old number. Eight digits that begin with 6 to 9 are a mobile's, behind
/// an area code of two.
fn add_ninth_digit(number: &mut PhoneNumber) {
    const BRAZIL: i32 = 55;
    const EIGHT_DIGITS: u64 = 100_000_000;
    let (area, subscriber) = (number.national_number / EIGHT_DIGITS, number.national_number % EIGHT_DIGITS);
    if number.country_code == BRAZIL && (11..=99).contains(&area) && subscriber >= 60_000_000 {
        number.national_number = (area * 10 + 9) * EIGHT_DIGITS + subscriber;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::MAX_DEPTH;

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
            // With a sign in it, somebody of the region wrote it; digits alone are a whole number.
            ("(47) 9999-9999", Some("5547999999999")),
            ("4799999999", Some("4799999999")),
            // A landline has eight digits.
            ("551133334444", Some("551133334444")),
            ("(11) 3333-4444", Some("551133334444")),
            ("0800 123 4567", Some("558001234567")),
            // Elsewhere.
            ("351912345678", Some("351912345678")),
            ("+1 202-555-0123", Some("12025550123")),
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
        ] {
            assert_eq!(phone(written, Region::BR).as_deref(), expected, "{written}");
        }
    }

    #[test]
    fn a_reference_is_found_in_every_shape_it_comes_in() {
        let how = How::Reference { member: "externalKey".into() };
        for (json, expected) in [
            (r#""deal-1""#, Some("deal-1")),
            (r#"{"other": 1, "externalKey": "deal-2"}"#, Some("deal-2")),
            (r#""{\"externalKey\": \"deal-3\"}""#, Some("deal-3")),
            (r#"{"externalKey": 42}"#, Some("42")),
            (r#""[not json""#, Some("[not json")),
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
            let doc = Document::scan(json.as_bytes(), MAX_DEPTH).unwrap();
            assert_eq!(derive(&doc, Node::ROOT, &how).as_deref(), expected, "{json}");
        }
    }
}
