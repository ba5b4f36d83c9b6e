//! A phone number in the one form in which numbers can be joined: digits of E.164.
//!
//! What is read, and as what, is written down in `docs/phones.md`: `spelling` takes the digits of one number out of a text,
//! and what these digits mean is decided here. One rule stands above the others: when in doubt, there is no number. A missing
//! number costs a join, a wrong one joins two strangers.

mod brazil;
mod spelling;
#[cfg(test)]
mod tests;

use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumber, PhoneNumberFormat, PhoneNumberType, Region};

use spelling::{Country, Spelling};

const MEXICO: &str = "52";
const ARGENTINA: i32 = 54;
/// Some plans of numbering have longer numbers.
const LONGEST_E164: usize = 15;
/// WhatsApp's anonymous ids, LIDs, have up to 15 digits, most of them 14 or more, and some are valid landlines of countries whose
/// numbers have no fixed length. Landlines of 14 digits are next to none.
const LONGEST_LANDLINE: usize = 13;

/// The number in `text` as digits, country code first, such as `5511987654321`; nothing for what holds no number, or several,
/// or one that can be read in two ways.
///
/// A number without its country's code is one of `region`. `whatsapp` is for fields that WhatsApp fills: there, digits alone are
/// usually a whole number, and a local one only when no country has it. In other fields it is the other way round.
pub(crate) fn phone(text: &str, region: Region, whatsapp: bool) -> Option<String> {
    let spelling = Spelling::read(text)?;
    let number = match spelling.country {
        Country::Given => international(&spelling, 0),
        Country::Dialled => dialled(&spelling, region),
        Country::Open if whatsapp || spelling.is_whatsapps => whatsapps(&spelling, region),
        Country::Open => peoples(&spelling, region),
    }?;
    let mut e164 = PHONE_NUMBER_UTIL.format(&number, PhoneNumberFormat::E164).into_owned();
    if e164.starts_with('+') {
        e164.remove(0);
    }
    (e164.len() <= LONGEST_E164).then_some(e164)
}

/// In a field that people fill: a local number, or else a whole one.
fn peoples(spelling: &Spelling, region: Region) -> Option<PhoneNumber> {
    local(spelling, region).or_else(|| {
        let whole = international(spelling, 0)?;
        // What looks like a local number, and is none, was mistyped, or is no phone number: a CPF.
        let looks_local = spelling.shows_area() || (region == Region::BR && spelling.digits.len() <= brazil::LONGEST);
        (!looks_local || is_of(&whole, region)).then_some(whole)
    })
}

/// In a field that WhatsApp fills: a whole number, or else a local one. `51987654321` may be of Peru, or of Porto Alegre.
fn whatsapps(spelling: &Spelling, region: Region) -> Option<PhoneNumber> {
    if spelling.shows_area() {
        return peoples(spelling, region);
    }
    match (international(spelling, 0), local(spelling, region)) {
        // Elsewhere than in Brazil, area codes are dialled with a 0 in front, or no number is as long with the country's code.
        (Some(whole), Some(local)) if whole == local || (region != Region::BR && is_of(&whole, region)) => Some(whole),
        (Some(_), Some(_)) => None,
        (whole, local) => whole.or(local),
    }
}

/// Behind `00`, where Brazil also dials the carrier.
fn dialled(spelling: &Spelling, region: Region) -> Option<PhoneNumber> {
    let whole = international(spelling, 2);
    let by_carrier = (region == Region::BR && brazil::is_carrier(&spelling.digits[2..]))
        .then(|| international(spelling, 4))
        .flatten();
    match (whole, by_carrier) {
        (Some(_), Some(_)) => None,
        (whole, by_carrier) => whole.or(by_carrier),
    }
}

/// The digits from `from` on as a whole number, the country's code first.
fn international(spelling: &Spelling, from: usize) -> Option<PhoneNumber> {
    let digits = spelling.digits.get(from..)?;
    if digits.starts_with(brazil::CODE) {
        return brazil::read(spelling, from + brazil::CODE.len());
    }
    // A 1 was dialled to mobile numbers until 2019, and WhatsApp keeps it; the others were dialled within the country.
    let mexican = digits.strip_prefix(MEXICO).and_then(|national| {
        let dialled_first = ["1", "01", "044", "045"].into_iter().find_map(|first| national.strip_prefix(first));
        dialled_first.filter(|national| national.len() == 10)
    });
    let written = mexican.map_or_else(|| format!("+{digits}"), |national| format!("+{MEXICO}{national}"));
    let (number, kind) = valid(PHONE_NUMBER_UTIL.parse(&written, None).ok()?)?;
    let is_mobile = matches!(kind, PhoneNumberType::Mobile | PhoneNumberType::FixedLineOrMobile);
    let is_open = spelling.country == Country::Open;
    let fits = is_mobile || digits.len() <= LONGEST_LANDLINE - usize::from(is_open);
    // The library adds San Marino's area code, which then is not in the text.
    let is_written = number.country_code == ARGENTINA || digits.ends_with(&number.national_number.to_string());
    // 1 202 555 0123, but not 120 255 501 23.
    let code = number.country_code.checked_ilog10()? as usize + 1;
    let is_apart = !is_open || spelling.is_plain() || spelling.groups(from)[0] == code;
    (fits && is_written && is_apart).then_some(number)
}

/// The digits as a number of `region`, without the country's code.
fn local(spelling: &Spelling, region: Region) -> Option<PhoneNumber> {
    if region == Region::BR {
        return brazil::read(spelling, 0);
    }
    valid(PHONE_NUMBER_UTIL.parse(&spelling.digits, Some(region)).ok()?).map(|(number, _)| number)
}

/// The number in its one form, and its type, if it is valid.
fn valid(mut number: PhoneNumber) -> Option<(PhoneNumber, PhoneNumberType)> {
    // Argentina's mobile numbers are dialled with a 9 from abroad, with 15 at home, and written with either or neither. The
    // ten digits behind are the subscriber's, and no landline's.
    const MOBILE: u64 = 90_000_000_000;
    const TEN_DIGITS: u64 = 10_000_000_000;
    let mut kind = PHONE_NUMBER_UTIL.get_number_type(&number);
    if number.country_code == ARGENTINA {
        let as_mobile = number.national_number % TEN_DIGITS + MOBILE;
        if kind == PhoneNumberType::Unknown && number.national_number < TEN_DIGITS {
            kind = PHONE_NUMBER_UTIL.get_number_type(&PhoneNumber { national_number: as_mobile, ..number.clone() });
        }
        if number.national_number == as_mobile {
            number.national_number -= MOBILE;
        }
    }
    (kind != PhoneNumberType::Unknown).then_some((number, kind))
}

fn is_of(number: &PhoneNumber, region: Region) -> bool {
    PHONE_NUMBER_UTIL.get_country_code_for_region(region) == Some(number.country_code)
}
