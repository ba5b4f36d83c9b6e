//! Instants as Avro's `timestamp-millis` holds them (milliseconds since 1970 in UTC), read from ISO 8601 and written
//! as RFC 3339. The calendar arithmetic is Howard Hinnant's `days_from_civil`; a test holds it against another clock.

use std::time::{SystemTime, UNIX_EPOCH};

/// In milliseconds.
pub(crate) const DAY: i64 = 24 * 60 * 60 * 1000;
/// 0001-01-01T00:00:00.000Z: readers in Python and Java can go no further back.
const MIN_MILLIS: i64 = -719_162 * DAY;
/// 9999-12-31T23:59:59.999Z.
const MAX_MILLIS: i64 = 2_932_897 * DAY - 1;

/// What instants and times of day are counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resolution {
    Millis,
    Micros,
}

impl Resolution {
    /// Digits behind a second's point.
    pub(crate) fn digits(self) -> usize {
        match self {
            Resolution::Millis => 3,
            Resolution::Micros => 6,
        }
    }

    fn per_second(self) -> i64 {
        match self {
            Resolution::Millis => 1000,
            Resolution::Micros => 1_000_000,
        }
    }

    /// Microseconds in this, cut towards the past.
    pub(crate) fn of_micros(self, micros: i64) -> i64 {
        micros.div_euclid(1_000_000 / self.per_second())
    }

    /// A count of these in milliseconds, cut towards the past.
    pub(crate) fn to_millis(self, ticks: i64) -> i64 {
        ticks.div_euclid(self.per_second() / 1000)
    }
}

/// Now, in milliseconds since 1970.
pub(crate) fn now_millis() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis().min(MAX_MILLIS as u128) as i64)
}

/// `millis` if it lies in the years 1 to 9999.
pub(crate) fn in_range(millis: i64) -> Option<i64> {
    (MIN_MILLIS..=MAX_MILLIS).contains(&millis).then_some(millis)
}

/// An ISO 8601 date, perhaps with a time of day.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Iso {
    pub(crate) millis: i64,
    pub(crate) has_time: bool,
}

/// Reads `2026-06-02`, `2026-06-02T12:00`, `2026-06-02 12:00:00.123456-03:00` and what lies between. No zone means
/// UTC, a date alone is midnight UTC, digits beyond milliseconds are cut. `None` outside the years 1 to 9999.
pub(crate) fn parse_iso(text: &str) -> Option<Iso> {
    let (millis, has_time) = ticks(text, Resolution::Millis)?;
    Some(Iso { millis, has_time })
}

/// The same in microseconds since 1970.
pub(crate) fn parse_iso_micros(text: &str) -> Option<i64> {
    ticks(text, Resolution::Micros).map(|(micros, _)| micros)
}

fn ticks(text: &str, resolution: Resolution) -> Option<(i64, bool)> {
    let per_milli = resolution.per_second() / 1000;
    let mut rest = text.as_bytes();
    let midnight = date(&mut rest)? * DAY;
    if rest.is_empty() {
        return Some((in_range(midnight)? * per_milli, false));
    }
    one_of(&mut rest, b"Tt ")?;
    let ticks = midnight * per_milli + clock(&mut rest, resolution)? - offset(&mut rest)? * per_milli;
    in_range(ticks.div_euclid(per_milli))?;
    rest.is_empty().then_some((ticks, true))
}

/// Reads `13:05`, `13:05:57` and `13:05:57.123456`; digits beyond the resolution are cut.
pub(crate) fn parse_time_of_day(text: &str, resolution: Resolution) -> Option<i64> {
    let mut rest = text.as_bytes();
    let ticks = clock(&mut rest, resolution)?;
    rest.is_empty().then_some(ticks)
}

/// Writes `13:05:57.123` or `13:05:57.123456`.
pub(crate) fn to_time_of_day(ticks: i64, resolution: Resolution) -> String {
    let (second, fraction) = (ticks.div_euclid(resolution.per_second()), ticks.rem_euclid(resolution.per_second()));
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{hour:02}:{minute:02}:{second:02}.{fraction:0width$}", width = resolution.digits())
}

/// Writes microseconds since 1970 as `2026-06-02T12:00:00.123456Z`.
pub(crate) fn micros_to_rfc3339(micros: i64) -> String {
    let millis = to_rfc3339(micros.div_euclid(1000));
    let digits = micros.rem_euclid(1000);
    format!("{}{digits:03}Z", millis.trim_end_matches('Z'))
}

/// Reads `2026-06-02` as days since 1970.
pub(crate) fn parse_date(text: &str) -> Option<i32> {
    let mut rest = text.as_bytes();
    let days = date(&mut rest)?;
    in_range(days * DAY)?;
    if rest.is_empty() { i32::try_from(days).ok() } else { None }
}

/// Reads `Tue, 02 Jun 2026 12:00:00 GMT`, the one form of HTTP that is still written.
pub(crate) fn parse_http_date(text: &str) -> Option<i64> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let [_, day, month, year, clock, "GMT"] = text.split(' ').collect::<Vec<_>>()[..] else { return None };
    let month = MONTHS.iter().position(|name| *name == month)? + 1;
    parse_iso(&format!("{year}-{month:02}-{day}T{clock}Z")).map(|iso| iso.millis)
}

/// Writes `2026-06-02T12:00:00.123Z`, as RFC 3339 has it.
pub(crate) fn to_rfc3339(millis: i64) -> String {
    let (year, month, day) = civil_from_days(millis.div_euclid(DAY));
    let ms = millis.rem_euclid(DAY);
    let (hour, minute, second, fraction) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60, ms % 1000);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{fraction:03}Z")
}

fn date(rest: &mut &[u8]) -> Option<i64> {
    let year = digits(rest, 4)?;
    one_of(rest, b"-")?;
    let month = digits(rest, 2)?;
    one_of(rest, b"-")?;
    let day = digits(rest, 2)?;
    let days = days_from_civil(year, month, day);
    // A day that does not exist (30 February, month 13) does not come back the same.
    ((1..=12).contains(&month) && civil_from_days(days) == (year, month, day)).then_some(days)
}

fn clock(rest: &mut &[u8], resolution: Resolution) -> Option<i64> {
    let hour = digits(rest, 2)?;
    one_of(rest, b":")?;
    let minute = digits(rest, 2)?;
    let (mut second, mut fraction) = (0, 0);
    if one_of(rest, b":").is_some() {
        second = digits(rest, 2)?;
        if one_of(rest, b".,").is_some() {
            let len = rest.iter().take_while(|b| b.is_ascii_digit()).count();
            let (mut kept, after) = rest.split_at_checked(len)?;
            *rest = after;
            let places = len.min(resolution.digits());
            fraction = digits(&mut kept, places)? * 10_i64.pow((resolution.digits() - places) as u32);
            if len == 0 {
                return None;
            }
        }
    }
    let seconds = (hour * 60 + minute) * 60 + second;
    (hour < 24 && minute < 60 && second < 60).then_some(seconds * resolution.per_second() + fraction)
}

/// `Z`, nothing, `+03:00`, `+0300` or `+03`, in milliseconds east of UTC.
fn offset(rest: &mut &[u8]) -> Option<i64> {
    if rest.is_empty() || one_of(rest, b"Zz").is_some() {
        return Some(0);
    }
    let sign = if one_of(rest, b"+-")? == b'-' { -1 } else { 1 };
    let hour = digits(rest, 2)?;
    let minute = if one_of(rest, b":").is_some() || !rest.is_empty() { digits(rest, 2)? } else { 0 };
    (hour < 24 && minute < 60).then_some(sign * (hour * 60 + minute) * 60_000)
}

fn digits(rest: &mut &[u8], count: usize) -> Option<i64> {
    let (head, tail) = rest.split_at_checked(count)?;
    *rest = tail;
    head.iter().try_fold(0, |n, b| b.is_ascii_digit().then(|| n * 10 + i64::from(b - b'0')))
}

fn one_of(rest: &mut &[u8], accepted: &[u8]) -> Option<u8> {
    let (&first, tail) = rest.split_first()?;
    accepted.contains(&first).then(|| {
        *rest = tail;
        first
    })
}

/// Days since 1970-01-01 of a date in the proleptic Gregorian calendar.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The inverse of [`days_from_civil`]: (year, month, day).
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_time_of_an_http_answer_is_read() {
        let read = parse_http_date("Tue, 02 Jun 2026 12:00:00 GMT");
        assert_eq!(read, parse_iso("2026-06-02T12:00:00Z").map(|iso| iso.millis));
        for other in
            ["", "Tuesday, 02-Jun-26 12:00:00 GMT", "Tue, 02 Jux 2026 12:00:00 GMT", "Tue, 02 Jun 2026 12:00:00 CET"]
        {
            assert_eq!(parse_http_date(other), None, "{other}");
        }
    }

    #[test]
    fn the_same_instant_in_every_spelling() {
        let noon = 1_780_401_600_000;
        for (text, millis) in [
            ("2026-06-02T12:00:00.000Z", noon),
            ("2026-06-02T09:00:00-03:00", noon),
            ("2026-06-02T09:00:00-0300", noon),
            ("2026-06-02 12:00:00+00", noon),
            ("2026-06-02t12:00z", noon),
            ("2026-06-02T12:00:00", noon),
            ("2026-06-02T12:00:00,5Z", noon + 500),
            ("2026-06-02T12:00:00.1239999999999Z", noon + 123),
            ("1969-12-31T23:59:59.9999Z", -1),
            ("0001-01-01T00:00:00Z", MIN_MILLIS),
            ("9999-12-31T23:59:59.999999Z", MAX_MILLIS),
        ] {
            assert_eq!(parse_iso(text), Some(Iso { millis, has_time: true }), "{text}");
        }
        let midnight = noon - 12 * 3_600_000;
        assert_eq!(parse_iso("2026-06-02"), Some(Iso { millis: midnight, has_time: false }));
    }

    #[test]
    fn what_is_no_instant_of_the_years_1_to_9999_is_refused() {
        for text in [
            "",
            "2026",
            "2026-13-01",
            "2026-02-29",
            "2026-06-02T",
            "2026-06-02T24:00:00Z",
            "2026-06-02T12:60:00Z",
            "2026-06-02T12:00:00.Z",
            "2026-06-02T12:00:00+",
            "2026-06-02T12:00:00+03:",
            "2026-06-02T12:00:00Z ",
            "0000-12-31T23:59:59Z",
            "0001-01-01T00:00:00+00:01",
            "9999-12-31T23:59:59-00:01",
            "02/06/2026",
            "hoje",
        ] {
            assert_eq!(parse_iso(text), None, "{text}");
        }
        assert_eq!(parse_date("2026-06-02T00:00:00Z"), None);
    }

    #[test]
    fn dates_are_days_since_1970() {
        assert_eq!(parse_date("1970-01-02"), Some(1));
        assert_eq!(parse_date("1969-12-31"), Some(-1));
    }

    proptest! {
        /// humantime is the other clock (it starts at 1970).
        #[test]
        fn written_instants_are_those_another_clock_writes(millis in 0..=MAX_MILLIS) {
            let other = humantime::format_rfc3339_millis(UNIX_EPOCH + std::time::Duration::from_millis(millis as u64));
            prop_assert_eq!(to_rfc3339(millis), other.to_string());
        }

        #[test]
        fn written_instants_are_read_back(millis in MIN_MILLIS..=MAX_MILLIS) {
            prop_assert_eq!(parse_iso(&to_rfc3339(millis)), Some(Iso { millis, has_time: true }));
        }

        #[test]
        fn no_text_makes_it_panic(text in ".{0,40}") {
            let _ = (parse_iso(&text), parse_date(&text));
        }
    }
}
