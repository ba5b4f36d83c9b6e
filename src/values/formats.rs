//! Instants, dates and times of day in spellings that a schema names, in the notation of `strftime`, which chrono reads:
//! `%d/%m/%Y %H:%M:%S`, `%Y-%m-%d %H:%M:%S UTC`, `%s%.f`.

use std::fmt;
use std::sync::Arc;

use chrono::format::{Fixed, Item, Parsed, StrftimeItems, parse};
use chrono::{DateTime, Datelike as _, NaiveDate, NaiveDateTime, Timelike as _, Utc};

use super::time::{Resolution, in_range};

/// A moment that is unlike in all its parts, by which formats are tried: 2026-11-27T13:05:57Z.
const SAMPLE: i64 = 1_795_784_757;

/// What a value is that formats spell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spelled {
    Instant,
    Date,
    TimeOfDay,
}

/// A format that cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UnusableFormat {
    #[error("{0:?}: not a format of strftime, such as \"%d/%m/%Y %H:%M:%S\"")]
    NotOne(String),
    #[error("{0:?}: %Z says nothing that can be read: write the zone's letters out, or use %z or %:z")]
    ZoneName(String),
    #[error("{format:?} does not determine {spelled}")]
    Ambiguous { format: String, spelled: &'static str },
}

/// One spelling.
struct TimeFormat {
    text: String,
    items: Vec<Item<'static>>,
}

/// The spellings that a field takes, at least one.
#[derive(Clone)]
pub(crate) struct Formats(Arc<[TimeFormat]>);

/// They are what they are written as.
impl PartialEq for Formats {
    fn eq(&self, other: &Formats) -> bool {
        self.texts().eq(other.texts())
    }
}

impl Eq for Formats {}

impl fmt::Debug for Formats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.texts()).finish()
    }
}

impl Formats {
    /// # Errors
    /// When one is no format, or does not determine what it is to spell.
    pub(crate) fn new(texts: &[&str], spelled: Spelled) -> Result<Formats, UnusableFormat> {
        let formats = texts.iter().map(|text| TimeFormat::new(text, spelled)).collect::<Result<Vec<_>, _>>()?;
        Ok(Formats(formats.into()))
    }

    fn texts(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|format| format.text.as_str())
    }

    /// The instant that `text` spells, in microseconds since 1970, and whether it has a time of day. No zone means UTC, a date
    /// alone is midnight UTC.
    pub(crate) fn instant(&self, text: &str) -> Option<(i64, bool)> {
        self.0.iter().find_map(|format| instant(&format.parsed(text)?))
    }

    /// The date that `text` spells, in days since 1970.
    pub(crate) fn date(&self, text: &str) -> Option<i32> {
        self.0.iter().find_map(|format| date(&format.parsed(text)?))
    }

    /// The time of day that `text` spells.
    pub(crate) fn time_of_day(&self, text: &str, resolution: Resolution) -> Option<i64> {
        self.0.iter().find_map(|format| time_of_day(&format.parsed(text)?)).map(|micros| resolution.of_micros(micros))
    }

    /// An instant in the first of the spellings; `millis` since 1970.
    pub(crate) fn spell(&self, millis: i64) -> Option<String> {
        let (format, moment) = (self.0.first()?, DateTime::<Utc>::from_timestamp_millis(millis)?);
        Some(moment.format_with_items(format.items.iter()).to_string())
    }
}

impl TimeFormat {
    fn new(text: &str, spelled: Spelled) -> Result<TimeFormat, UnusableFormat> {
        let not_one = || UnusableFormat::NotOne(text.to_owned());
        let items = StrftimeItems::new(text).parse_to_owned().map_err(|_| not_one())?;
        if items.contains(&Item::Fixed(Fixed::TimezoneName)) {
            return Err(UnusableFormat::ZoneName(text.to_owned()));
        }
        let format = TimeFormat { text: text.to_owned(), items };
        let sample = DateTime::<Utc>::from_timestamp(SAMPLE, 0).ok_or_else(not_one)?;
        let written = sample.format_with_items(format.items.iter()).to_string();
        let read = format.parsed(&written);
        let (is_read, spelled) = match spelled {
            Spelled::Instant => (read.and_then(|read| instant(&read)).is_some(), "an instant"),
            Spelled::Date => (read.and_then(|read| date(&read)).is_some(), "a date"),
            Spelled::TimeOfDay => (read.and_then(|read| time_of_day(&read)).is_some(), "a time of day"),
        };
        if is_read { Ok(format) } else { Err(UnusableFormat::Ambiguous { format: text.to_owned(), spelled }) }
    }

    /// What `text` says by this format, if it is of it.
    fn parsed(&self, text: &str) -> Option<Parsed> {
        let mut parsed = Parsed::new();
        parse(&mut parsed, text, self.items.iter()).ok()?;
        Some(parsed)
    }
}

fn instant(parsed: &Parsed) -> Option<(i64, bool)> {
    let offset = parsed.offset().unwrap_or(0);
    let (local, has_time) = if has_clock(parsed) {
        (parsed.to_naive_datetime_with_offset(offset).ok()?, true)
    } else {
        (parsed.to_naive_date().ok()?.and_hms_opt(0, 0, 0)?, false)
    };
    let micros = micros(local)?.checked_sub(i64::from(offset) * 1_000_000)?;
    in_range(micros.div_euclid(1000)).map(|_| (micros, has_time))
}

fn has_clock(parsed: &Parsed) -> bool {
    parsed.timestamp().is_some()
        || parsed.hour_div_12().is_some()
        || parsed.hour_mod_12().is_some()
        || parsed.minute().is_some()
        || parsed.second().is_some()
}

fn micros(local: NaiveDateTime) -> Option<i64> {
    is_no_leap_second(local.nanosecond()).then(|| local.and_utc().timestamp_micros())
}

fn date(parsed: &Parsed) -> Option<i32> {
    let date = parsed.to_naive_date().ok()?;
    (!has_clock(parsed) && (1..=9999).contains(&date.year())).then_some(())?;
    let epoch = NaiveDate::from_ymd_opt(1970, 1, 1)?;
    i32::try_from(date.signed_duration_since(epoch).num_days()).ok()
}

fn time_of_day(parsed: &Parsed) -> Option<i64> {
    let time = parsed.to_naive_time().ok()?;
    let nanos = time.nanosecond();
    is_no_leap_second(nanos).then(|| i64::from(time.num_seconds_from_midnight()) * 1_000_000 + i64::from(nanos / 1000))
}

/// Nobody but chrono counts a sixtieth second.
fn is_no_leap_second(nanos: u32) -> bool {
    nanos < 1_000_000_000
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::values::time::{parse_iso_micros, to_rfc3339};

    fn instant_of(format: &str, text: &str) -> Option<(i64, bool)> {
        Formats::new(&[format], Spelled::Instant).unwrap().instant(text)
    }

    #[test]
    fn instants_in_spellings_that_vendors_use() {
        let at = |iso: &str| parse_iso_micros(iso);
        for (format, text, iso) in [
            ("%s%.f", "1355517523.000005", "2012-12-14T20:38:43.000005Z"),
            ("%s%.f", "1355517523", "2012-12-14T20:38:43Z"),
            ("%Y-%m-%d %H:%M:%S UTC", "2026-03-03 13:05:57 UTC", "2026-03-03T13:05:57Z"),
            ("%d/%m/%Y %H:%M", "03/12/2026 13:05", "2026-12-03T13:05:00Z"),
            ("%a, %d %b %Y %H:%M:%S %z", "Tue, 03 Mar 2026 13:05:57 -0300", "2026-03-03T16:05:57Z"),
            ("%I:%M %p %d.%m.%y", "01:05 PM 03.03.26", "2026-03-03T13:05:00Z"),
            ("%Y%m%d%H%M%S", "20260303130557", "2026-03-03T13:05:57Z"),
        ] {
            assert_eq!(instant_of(format, text), at(iso).map(|micros| (micros, true)), "{text}");
        }
        assert_eq!(instant_of("%d/%m/%Y", "03/12/2026"), at("2026-12-03").map(|micros| (micros, false)));
        for (format, text) in [
            ("%s%.f", "-1.5"),
            ("%s%.f", "1.5x"),
            ("%s%.f", ""),
            ("%Y-%m-%d %H:%M:%S UTC", "2026-03-03 13:05:57 BRT"),
            ("%Y-%m-%d %H:%M:%S UTC", "2026-02-30 13:05:57 UTC"),
            ("%Y-%m-%d %H:%M:%S UTC", "2026-02-28 23:59:60 UTC"),
            ("%d/%m/%Y", "12/31/2026"),
            // Before 1970 is nothing that chrono reads as Unix time.
            ("%s", "-1"),
            ("%s", "99999999999999"),
        ] {
            assert_eq!(instant_of(format, text), None, "{text}");
        }
    }

    #[test]
    fn dates_and_times_of_day_in_spellings_that_vendors_use() {
        let dates = Formats::new(&["%d/%m/%Y", "%d.%m.%y"], Spelled::Date).unwrap();
        assert_eq!(dates.date("02/01/1970"), Some(1));
        assert_eq!(dates.date("02.01.70"), Some(1));
        assert_eq!(dates.date("30/02/2026"), None);
        let times = Formats::new(&["%I:%M %p"], Spelled::TimeOfDay).unwrap();
        assert_eq!(times.time_of_day("01:05 PM", Resolution::Millis), Some((13 * 60 + 5) * 60_000));
        assert_eq!(times.time_of_day("13:05 PM", Resolution::Millis), None);
    }

    #[test]
    fn a_format_that_leaves_something_open_is_refused() {
        for (format, spelled, due) in [
            ("%Q", Spelled::Instant, "not a format"),
            ("%Y-%m-%d %H:%M:%S %Z", Spelled::Instant, "%Z says nothing"),
            ("%d/%m", Spelled::Instant, "does not determine an instant"),
            ("%H:%M", Spelled::Instant, "does not determine an instant"),
            ("%Y-%m-%d %H", Spelled::Instant, "does not determine an instant"),
            ("%Y-%m-%d %I:%M", Spelled::Instant, "does not determine an instant"),
            ("%H:%M", Spelled::Date, "does not determine a date"),
            ("%d/%m/%Y", Spelled::TimeOfDay, "does not determine a time of day"),
            ("", Spelled::Instant, "does not determine an instant"),
        ] {
            let words = Formats::new(&[format], spelled).err().map(|e| e.to_string()).unwrap_or_default();
            assert!(words.contains(due), "{format}: {words}");
        }
    }

    proptest! {
        /// humantime is the other clock.
        #[test]
        fn an_instant_is_read_as_another_clock_wrote_it(micros in 0..253_402_300_799_999_999_i64) {
            let moment = std::time::UNIX_EPOCH + std::time::Duration::from_micros(micros as u64);
            let text = humantime::format_rfc3339_micros(moment).to_string();
            prop_assert_eq!(instant_of("%Y-%m-%dT%H:%M:%S%.fZ", &text), Some((micros, true)));
            prop_assert_eq!(parse_iso_micros(&text), Some(micros));
            let unix = format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000);
            prop_assert_eq!(instant_of("%s%.f", &unix), Some((micros, true)));
        }

        #[test]
        fn what_is_spelled_is_read_back(seconds in -62_135_596_800..253_402_300_800_i64) {
            let formats = Formats::new(&["%d/%m/%Y %H:%M:%S"], Spelled::Instant).unwrap();
            let text = formats.spell(seconds * 1000).unwrap();
            prop_assert_eq!(formats.instant(&text), Some((seconds * 1_000_000, true)), "{} {}", text, to_rfc3339(seconds * 1000));
        }

        #[test]
        fn no_text_makes_it_panic(text in ".{0,40}") {
            for format in ["%s%.f", "%Y-%m-%d %H:%M:%S %z", "%a, %d %b %Y %I:%M %p", "%+"] {
                let _ = instant_of(format, &text);
            }
        }
    }
}
