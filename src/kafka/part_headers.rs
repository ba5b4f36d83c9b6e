//! Headers of an event that came together with others, in its records and its dead letter.

use std::borrow::Cow;

use bytes::Bytes;

use crate::source::verify::Part;

/// The id of the delivery, which its sender was told.
const DELIVERY_ID: &str = "hookbridge_delivery_id";
/// The event's place in the delivery, from 0 on.
const PART: &str = "hookbridge_part";
/// How many of the delivery's events are written.
const PARTS: &str = "hookbridge_parts";

/// The headers of `part`.
pub(crate) fn of(part: &Part) -> [(Cow<'static, str>, Bytes); 3] {
    let Part { delivery, place, of } = part;
    [
        (DELIVERY_ID.into(), delivery.clone().into()),
        (PART.into(), place.to_string().into()),
        (PARTS.into(), of.to_string().into()),
    ]
}

/// What the headers of a record say, by their names.
pub(crate) fn read<'a>(header: impl Fn(&str) -> Option<&'a str>) -> Option<Part> {
    let number = |name| header(name)?.parse().ok();
    Some(Part { delivery: header(DELIVERY_ID)?.to_owned(), place: number(PART)?, of: number(PARTS)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_headers_say_is_read_again() {
        let part = Part { delivery: "d646e635-c932-82f7-81ca-e8e3c55c5e5f".into(), place: 7, of: 9 };
        let headers = of(&part);
        let header = |name: &str| {
            let value = headers.iter().find(|(header, _)| header == name)?;
            std::str::from_utf8(&value.1).ok()
        };
        assert_eq!(read(header), Some(part));
        assert_eq!(read(|name| header(name).filter(|_| name != PARTS)), None);
    }
}
