//! Numbers in words for people: how many, and how large. Machines get them from metrics and JSON.

const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];

/// `1 event`, `2 events`, `2 deliveries`
pub(crate) fn counted(count: u64, what: &str) -> String {
    match what.strip_suffix('y') {
        _ if count == 1 => format!("1 {what}"),
        Some(stem) => format!("{count} {stem}ies"),
        None => format!("{count} {what}s"),
    }
}

/// `12 bytes`, `3.52 KiB`, `89.8 MiB`, `1 GiB`
pub(crate) fn size(bytes: u64) -> String {
    let (mut amount, mut unit) = (bytes as f64, None);
    for larger in UNITS {
        if amount < 1024.0 {
            break;
        }
        (amount, unit) = (amount / 1024.0, Some(larger));
    }
    let Some(unit) = unit else { return counted(bytes, "byte") };
    let decimals = if amount < 9.995 { 2 } else { usize::from(amount < 99.95) };
    let digits = format!("{amount:.decimals$}");
    let digits = if decimals > 0 { digits.trim_end_matches('0').trim_end_matches('.') } else { &digits };
    format!("{digits} {unit}")
}

/// A whole number with a comma between thousands; anything else as it is.
pub(crate) fn grouped(number: &str) -> String {
    let (sign, digits) = number.strip_prefix('-').map_or(("", number), |digits| ("-", digits));
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return number.to_owned();
    }
    let groups: Vec<&str> = digits.as_bytes().rchunks(3).rev().filter_map(|group| str::from_utf8(group).ok()).collect();
    format!("{sign}{}", groups.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_has_no_plural() {
        let words =
            [(0, "byte"), (1, "delivery"), (2, "delivery"), (2, "dead letter")].map(|(n, what)| counted(n, what));
        assert_eq!(words, ["0 bytes", "1 delivery", "2 deliveries", "2 dead letters"]);
    }

    #[test]
    fn a_size_has_three_digits_and_its_unit() {
        let sizes = [0, 1, 1023, 1024, 3600, 94_142_464, 100 << 20, 1 << 30, (1 << 30) - 1, 5 << 40, 3000 << 40];
        let words = sizes.map(size);
        let expected = [
            "0 bytes",
            "1 byte",
            "1023 bytes",
            "1 KiB",
            "3.52 KiB",
            "89.8 MiB",
            "100 MiB",
            "1 GiB",
            "1024 MiB",
            "5 TiB",
            "3000 TiB",
        ];
        assert_eq!(words, expected);
    }

    #[test]
    fn thousands_are_set_apart() {
        for (number, expected) in [
            ("0", "0"),
            ("999", "999"),
            ("1000", "1,000"),
            ("-100000", "-100,000"),
            ("2147483647", "2,147,483,647"),
            ("1e+07", "1e+07"),
        ] {
            assert_eq!(grouped(number), expected);
        }
    }
}
