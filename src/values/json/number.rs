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

/// A decimal in a string (`12`, `-0.5`, `1e3`) as a double.
pub(crate) fn double_in_string(text: &str) -> Option<f64> {
    parts(text)?;
    text.parse().ok()
}

/// `spelling` times ten to the power of `shift`, cut to a whole number, and whether nothing was cut.
/// `None` when it is no number, or past 10^30 or so: far beyond any use we have for it.
pub(crate) fn scaled(spelling: &str, shift: i64) -> Option<(i128, bool)> {
    const MOST_DIGITS: i64 = 30;
    let (negative, whole, fraction, exponent) = parts(spelling)?;
    let digits = || whole.bytes().chain(fraction.bytes());
    let Some(leading_zeros) = digits().position(|b| b != b'0') else {
        return Some((0, true));
    };
    // How many digits stand before the decimal point, counted from the first that is not zero.
    let before_point = whole.len() as i64 - leading_zeros as i64 + exponent.saturating_add(shift);
    if before_point > MOST_DIGITS {
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
    fn decimals_in_strings_are_doubles_and_words_are_not() {
        assert_eq!(double_in_string("150.00"), Some(150.0));
        assert_eq!(double_in_string("-1e3"), Some(-1000.0));
        for text in ["", "NaN", "inf", "1,5", ".5", "5.", "+1", "1 "] {
            assert_eq!(double_in_string(text), None, "{text:?}");
        }
    }
}
