//! A phone number in the one form in which numbers can be joined: digits of E.164.

use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumber, PhoneNumberFormat, Region};

/// Brazil's country code.
const BRAZIL: i32 = 55;
/// Longer texts are no phone numbers: E.164 has 15 digits, people put spaces and signs between them.
const LONGEST_NUMBER: usize = 60;

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
}
