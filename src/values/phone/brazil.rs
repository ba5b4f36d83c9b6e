//! Brazil's numbers, with and without what is dialled in front of them.
//!
//! The library would read them too, but it takes more off than we do (the 90 of collect calls, which begins Turkey's numbers),
//! does not look at where the groups of digits end, and takes four times as long.

use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumber, PhoneNumberType};

use super::spelling::Spelling;

/// The country's code.
pub(super) const CODE: &str = "55";
/// Digits of a mobile number with its area code.
pub(super) const LONGEST: usize = 11;
/// Carriers that are dialled between 0 and the area code, as the library's metadata has them.
const CARRIERS: [&str; 13] = ["12", "14", "15", "21", "22", "23", "25", "31", "41", "43", "55", "65", "99"];
const EIGHT_DIGITS: u64 = 100_000_000;

pub(super) fn is_carrier(digits: &str) -> bool {
    digits.get(..2).is_some_and(|first| CARRIERS.contains(&first))
}

/// The digits from `from` on, which stand behind the country's code or without it.
pub(super) fn read(spelling: &Spelling, from: usize) -> Option<PhoneNumber> {
    let mut from = from;
    let mut digits = spelling.digits.get(from..)?;
    if let Some(dialled) = digits.strip_prefix('0') {
        let behind_carrier = if matches!(dialled.len(), 12 | 13) && is_carrier(dialled) { 2 } else { 0 };
        from += 1 + behind_carrier;
        digits = &dialled[behind_carrier..];
    }
    if !(8..=LONGEST).contains(&digits.len())
        || digits.starts_with('0')
        || !(spelling.is_plain() || is_grouped(digits, &spelling.groups(from)))
    {
        return None;
    }
    let national_number = with_ninth_digit(digits.parse().ok()?);
    let number = PhoneNumber { country_code: 55, national_number, ..PhoneNumber::default() };
    (PHONE_NUMBER_UTIL.get_number_type(&number) != PhoneNumberType::Unknown).then_some(number)
}

/// Whether the groups are those of one number. `3333-4444 12` has the digits of a landline of area 33, but is a number
/// without its area code and something else behind.
fn is_grouped(digits: &str, groups: &[usize]) -> bool {
    // 800 and the like stand for an area; 4004-1234 has none.
    let area = match digits.len() {
        8 => 0,
        _ if digits[1..].starts_with("00") => 3,
        _ => 2,
    };
    match groups {
        [_] => true,
        [first, ..] if *first == area => true,
        [first, rest @ ..] => {
            let Some(first) = first.checked_sub(area) else { return false };
            matches!((first, rest), (4 | 5, [4]) | (1, [4, 4]))
        }
        [] => false,
    }
}

/// Mobile numbers got a 9 in front of their eight digits between 2012 and 2016 (Anatel, resolution 553/2010); WhatsApp still
/// knows those who came before by the old number. Eight digits that begin with 6 to 9 are a mobile's, behind an area code of two.
fn with_ninth_digit(national: u64) -> u64 {
    let (area, subscriber) = (national / EIGHT_DIGITS, national % EIGHT_DIGITS);
    if (11..=99).contains(&area) && subscriber >= 60_000_000 {
        (area * 10 + 9) * EIGHT_DIGITS + subscriber
    } else {
        national
    }
}
