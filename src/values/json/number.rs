//! Numbers, read from their spelling, so that `1e2` is a hundred and no digit goes through a `double` unasked.

/// A JSON number, or digits from a string, as a whole number: `3.0` and `1e2` are whole, `3.5` is not.
pub(crate) fn long(spelling: &str) -> Option<i64> {
    // The common case by far; `parse` also takes a leading `+`, which no JSON number has.
    if let Ok(whole) = spelling.parse::<i64>() {
        return Some(whole);
    }
    match scaled(spelling, 0)? {
        (whole, true) => i64::try_from(whole).ok(),
        _ => None,
    }
}

/// Digits in a string, with or without a minus, as a whole number.
pub(crate) fn long_in_string(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

/// A JSON number, or a decimal from a string (`12`, `-0.5`, `1e3`), as a double, if the double gives the number back: its shortest
/// text is the same number. `0.10` and `1e2` are; `9007199254740993`, `0.12345678901234567890` and `1e400` are not.
pub(crate) fn double(spelling: &str) -> Option<f64> {
    parts(spelling)?;
    let value = spelling.parse().ok()?;
    // So many digits always come back; an exponent may lead to where a double has fewer.
    let short = spelling.len() <= f64::DIGITS as usize && !spelling.contains(['e', 'E']);
    (short || gives_back(value, spelling)).then_some(value)
}

fn gives_back(value: f64, spelling: &str) -> bool {
    // Large whole numbers may be held to the last digit, though fewer would tell them apart.
    let held = || scaled(spelling, 0).is_some_and(|(whole, exact)| exact && value as i128 == whole);
    value.is_finite() && (is_same(&format!("{value:e}"), spelling) || held())
}

/// Whether two spellings are the same number.
fn is_same(a: &str, b: &str) -> bool {
    match (significant(a), significant(b)) {
        (Some((a_sign, a_digits, a_point)), Some((b_sign, b_digits, b_point))) => {
            (a_sign, a_point) == (b_sign, b_point) && a_digits.eq(b_digits)
        }
        _ => false,
    }
}

/// Sign, the digits from the first to the last that is not zero, and how many stand before the point.
fn significant(spelling: &str) -> Option<(bool, impl Iterator<Item = u8>, i64)> {
    let (negative, whole, fraction, exponent) = parts(spelling)?;
    let digits = || whole.bytes().chain(fraction.bytes());
    let leading_zeros = digits().take_while(|&b| b == b'0').count();
    let trailing_zeros = digits().rev().take_while(|&b| b == b'0').count();
    let count = (whole.len() + fraction.len() - leading_zeros).saturating_sub(trailing_zeros);
    let point = if count == 0 { 0 } else { whole.len() as i64 - leading_zeros as i64 + exponent };
    Some((negative, digits().skip(leading_zeros).take(count), point))
}

/// A JSON number, or a decimal from a string, as a float, if the float gives the number back: see [`double`].
pub(crate) fn float(spelling: &str) -> Option<f32> {
    parts(spelling)?;
    let value: f32 = spelling.parse().ok()?;
    let held = || scaled(spelling, 0).is_some_and(|(whole, exact)| exact && value as i128 == whole);
    (value.is_finite() && (is_same(&format!("{value:e}"), spelling) || held())).then_some(value)
}

/// The most digits of a [`decimal`]: as many as `i128` holds whatever they are, and as databases take.
pub(crate) const MOST_PRECISION: u32 = 38;

/// A JSON number, or a decimal from a string, times ten to the power of `scale`, if that is a whole number of at most `precision`
/// digits.
pub(crate) fn decimal(spelling: &str, precision: u32, scale: u32) -> Option<i128> {
    let (unscaled, exact) = scaled_within(spelling, i64::from(scale), i64::from(MOST_PRECISION))?;
    let fits = unscaled.unsigned_abs() < 10_u128.checked_pow(precision)?;
    (exact && fits).then_some(unscaled)
}

/// `spelling` times ten to the power of `shift`, cut to a whole number, and whether nothing was cut.
/// `None` when it is no number, or past 10^30 or so: far beyond any use we have for it.
pub(crate) fn scaled(spelling: &str, shift: i64) -> Option<(i128, bool)> {
    scaled_within(spelling, shift, 30)
}

/// The same; `None` when it has more than `most` digits.
fn scaled_within(spelling: &str, shift: i64, most: i64) -> Option<(i128, bool)> {
    let (negative, whole, fraction, exponent) = parts(spelling)?;
    let digits = || whole.bytes().chain(fraction.bytes());
    let Some(leading_zeros) = digits().position(|b| b != b'0') else {
        return Some((0, true));
    };
    // How many digits stand before the decimal point, counted from the first that is not zero.
    let before_point = whole.len() as i64 - leading_zeros as i64 + exponent.saturating_add(shift);
    if before_point > most {
        return None;
    }
    let keep = usize::try_from(before_point).unwrap_or(0);
    let mut significant = digits().skip(leading_zeros);
    let mut value: i128 = 0;
    for _ in 0..keep {
        value = value * 10 + i128::from(significant.next().unwrap_or(b'0') - b'0');
    }
    let exact = significant.all(|b| b == b'0');
    Some((if negative { -value } else { value }, exact))
}

/// Sign, digits before and after the point, and exponent. Leading zeros are taken: strings may have them.
fn parts(spelling: &str) -> Option<(bool, &str, &str, i64)> {
    let (negative, rest) = match spelling.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, spelling),
    };
    let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => {
            let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
            all_digits(digits)?;
            // An exponent that overflows is as good as the largest: the digits decide whether that matters.
            let size = digits.parse::<i64>().unwrap_or(i64::MAX / 4).min(i64::MAX / 4);
            (mantissa, if exponent.starts_with('-') { -size } else { size })
        }
        None => (rest, 0),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => {
            all_digits(fraction)?;
            (whole, fraction)
        }
        None => (mantissa, ""),
    };
    all_digits(whole)?;
    Some((negative, whole, fraction, exponent))
}

fn all_digits(text: &str) -> Option<()> {
    (!text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())).then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn whole_numbers_are_known_by_value_not_by_spelling() {
        for (spelling, expected) in [
            ("0", Some(0)),
            ("-0", Some(0)),
            ("3.0", Some(3)),
            ("1e2", Some(100)),
            ("1.25E+2", Some(125)),
            ("12300e-2", Some(123)),
            ("9223372036854775807", Some(i64::MAX)),
            ("-9223372036854775808", Some(i64::MIN)),
            ("9223372036854775808", None),
            ("0e999999999999999999999", Some(0)),
            ("1e999999999999999999999", None),
            ("1e-999999999999999999999", None),
            ("3.5", None),
            ("0.001", None),
        ] {
            assert_eq!(long(spelling), expected, "{spelling}");
        }
    }

    #[test]
    fn strings_of_digits_are_whole_numbers_and_nothing_else_is() {
        for (text, expected) in [
            ("42", Some(42)),
            ("-7", Some(-7)),
            ("007", Some(7)),
            ("", None),
            ("-", None),
            ("+5", None),
            ("3.0", None),
            (" 5", None),
            ("٣", None),
        ] {
            assert_eq!(long_in_string(text), expected, "{text:?}");
        }
    }

    #[test]
    fn scaling_cuts_and_says_so() {
        assert_eq!(scaled("1717320000.1239", 3), Some((1_717_320_000_123, false)));
        assert_eq!(scaled("-1.9999", 3), Some((-1999, false)));
        assert_eq!(scaled("1.5e3", 3), Some((1_500_000, true)));
        assert_eq!(scaled("0.0000", 3), Some((0, true)));
        assert_eq!(scaled("0.00049", 3), Some((0, false)));
    }

    #[test]
    fn decimals_are_doubles_and_words_are_not() {
        assert_eq!(double("150.00"), Some(150.0));
        assert_eq!(double("-1e3"), Some(-1000.0));
        for text in ["", "NaN", "inf", "1,5", ".5", "5.", "+1", "1 "] {
            assert_eq!(double(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_double_is_taken_only_if_it_gives_the_number_back() {
        for spelling in [
            "0",
            "-0",
            "0.0",
            "0e999999999999999999999",
            "0.1",
            "1.10",
            "1e2",
            "100.000000000000000000000",
            "000000000000000000007.50",
            "0.30000000000000004",
            "9007199254740991",
            "9007199254740992",
            "9007199254740994.0",
            "-123456789012345680000",
            "1180591620717411303424",
            "1e22",
            "10000000000000000000000",
            "1.7976931348623157e308",
            "2.2250738585072014E-308",
            "5e-324",
            "0.000000000000000000000000000001",
        ] {
            let value = double(spelling).unwrap_or_else(|| panic!("{spelling}"));
            assert_eq!(Ok(value), spelling.parse(), "{spelling}");
        }
        for spelling in [
            "9007199254740993",
            "9007199254740993.0",
            "900719925474099.3e1",
            "-9007199254740993",
            "12345678901234567.89",
            "0.1234567890123456789",
            "1180591620717411303425",
            "123456789012345678901234567890",
            "1.23456789e-320",
            "3e-324",
            "1e-400",
            "1e400",
            "1e999999999999999999999",
            "1e-999999999999999999999",
        ] {
            assert_eq!(double(spelling), None, "{spelling}");
        }
    }

    #[test]
    fn decimals_are_exact_or_none() {
        for (spelling, precision, scale, expected) in [
            ("12.5", 4, 2, Some(1250)),
            ("12.500", 4, 2, Some(1250)),
            ("-0.01", 4, 2, Some(-1)),
            ("1e2", 5, 2, Some(10_000)),
            ("1.5e-1", 3, 2, Some(15)),
            ("99.99", 4, 2, Some(9999)),
            ("100", 4, 2, None),
            ("0.001", 4, 2, None),
            ("0", 1, 0, Some(0)),
            ("1e999999999999999999999", 38, 0, None),
            ("0e999999999999999999999", 38, 0, Some(0)),
            ("99999999999999999999999999999999999999", 38, 0, Some(10_i128.pow(38) - 1)),
            ("-9999999999999999999.9999999999999999999", 38, 19, Some(1 - 10_i128.pow(38))),
            ("100000000000000000000000000000000000000", 38, 0, None),
            ("0.1e", 4, 2, None),
            ("1,5", 4, 2, None),
            ("", 4, 2, None),
        ] {
            assert_eq!(decimal(spelling, precision, scale), expected, "{spelling}");
        }
    }

    #[test]
    fn a_float_is_taken_only_if_it_gives_the_number_back() {
        for (spelling, expected) in [
            ("0.1", Some(0.1)),
            ("1.5", Some(1.5)),
            ("16777216", Some(16_777_216.0)),
            ("3.4028235e38", Some(f32::MAX)),
            ("16777217", None),
            ("0.123456789", None),
            ("1e39", None),
            ("1e-50", None),
        ] {
            assert_eq!(float(spelling), expected, "{spelling}");
        }
    }

    proptest! {
        #[test]
        fn every_float_as_it_is_written_is_taken(value in any::<f32>().prop_filter("finite", |value| value.is_finite())) {
            for spelling in [format!("{value}"), format!("{value:e}"), format!("{value:?}")] {
                prop_assert_eq!(float(&spelling), Some(value), "{}", spelling);
            }
        }

        /// num-bigint counts otherwise: the digits without their point, times ten to what is missing.
        #[test]
        fn a_decimal_is_what_big_numbers_say(
            negative in any::<bool>(), whole in "[0-9]{1,25}", fraction in "[0-9]{0,25}", exponent in -30_i32..30,
            precision in 1_u32..=MOST_PRECISION, scale in 0_u32..20,
        ) {
            use num_bigint::BigInt;
            let point = if fraction.is_empty() { String::new() } else { format!(".{fraction}") };
            let sign = if negative { "-" } else { "" };
            let spelling = format!("{sign}{whole}{point}e{exponent}");
            let digits: BigInt = format!("{sign}{whole}{fraction}").parse().unwrap();
            let shift = exponent + scale as i32 - fraction.len() as i32;
            let ten = BigInt::from(10);
            let due = if shift >= 0 {
                Some(digits * ten.pow(shift as u32))
            } else {
                let by = ten.pow(shift.unsigned_abs());
                (&digits % &by == BigInt::from(0)).then(|| digits / by)
            };
            let due = due.filter(|due| due.magnitude() < ten.pow(precision).magnitude());
            prop_assert_eq!(decimal(&spelling, precision, scale).map(BigInt::from), due, "{}", spelling);
        }

        /// What another program writes of a double is taken.
        #[test]
        fn every_double_as_it_is_written_is_taken(value in any::<f64>().prop_filter("finite", |value| value.is_finite())) {
            for spelling in [format!("{value}"), format!("{value:e}"), format!("{value:E}"), format!("{value:?}")] {
                prop_assert_eq!(double(&spelling), Some(value), "{}", spelling);
            }
        }

        /// So is every whole number that a double holds to the last digit.
        #[test]
        fn whole_numbers_that_a_double_holds_are_taken(bits in any::<i64>(), shift in 0..63) {
            let whole = (bits >> shift) as f64;
            prop_assert_eq!(double(&(whole as i128).to_string()), Some(whole));
        }
    }
}
