//! Which event of a delivery with several one is, and how the spool and the dead letters keep that.

use sha2::{Digest as _, Sha256};

use super::uuid_v8;

/// Begins the line that an event of such a delivery has among its headers in the spool. No header has such a name.
pub(crate) const PART_LINE: &str = ":part ";

/// An event of a delivery that was taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    /// The delivery's id.
    pub(crate) delivery: String,
    /// Its place among all events of the delivery, from 0 on.
    pub(crate) place: u32,
    /// How many events of the delivery are wanted: all but those that its profile ignores.
    pub(crate) of: u32,
}

impl Part {
    /// The event's id: a `UUIDv8` of the first 16 bytes of SHA-256 over the delivery's id, one zero byte and the place. The same on
    /// every retry of the delivery.
    pub(crate) fn id(&self) -> String {
        uuid_v8(Sha256::new().chain_update(&self.delivery).chain_update([0]).chain_update(self.place.to_string()))
    }

    /// The line that keeps it, and tells whether `body` is as it was.
    pub(super) fn line(&self, body: &[u8]) -> Vec<u8> {
        let Part { delivery, place, of } = self;
        format!("{PART_LINE}{delivery} {place} {of} {}\n", digest(body)).into_bytes()
    }

    /// What the line among `lines` keeps, if there is one.
    pub(crate) fn kept(lines: &[u8]) -> Option<Part> {
        read(lines).map(|(part, _)| part)
    }

    /// Whether `id` and `body` are those that the line among `lines` was written with; `None` where there is no such line.
    pub(crate) fn is_whole(lines: &[u8], id: &str, body: &[u8]) -> Option<bool> {
        read(lines).map(|(part, sum)| part.id() == id && sum == digest(body))
    }
}

fn digest(body: &[u8]) -> String {
    base16ct::lower::encode_string(&Sha256::digest(body)[..16])
}

fn read(lines: &[u8]) -> Option<(Part, &str)> {
    let line = lines.split(|&byte| byte == b'\n').find_map(|line| line.strip_prefix(PART_LINE.as_bytes()))?;
    let mut words = std::str::from_utf8(line).ok()?.split(' ');
    let (delivery, place, of, sum) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let part = Part { delivery: delivery.to_owned(), place: place.parse().ok()?, of: of.parse().ok()? };
    Some((part, sum))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_place_has_an_id_of_its_own_and_always_the_same() {
        let part = |place| Part { delivery: "d646e635-c932-82f7-81ca-e8e3c55c5e5f".into(), place, of: 3 };
        let ids: Vec<_> = (0..100).map(|place| part(place).id()).collect();
        assert_eq!(ids[1], Part { of: 9, ..part(1) }.id());
        assert_eq!(ids.iter().collect::<std::collections::BTreeSet<_>>().len(), 100);
        assert!(ids.iter().all(|id| id.len() == 36 && id.as_bytes()[14] == b'8'));
    }

    #[test]
    fn a_part_is_kept_and_what_was_altered_is_noticed() {
        let part = Part { delivery: "d646e635-c932-82f7-81ca-e8e3c55c5e5f".into(), place: 7, of: 9 };
        let lines = [&b"a: b\n"[..], &part.line(b"{}"), b"c: d\n"].concat();
        assert_eq!(Part::kept(&lines), Some(part.clone()));
        assert_eq!(Part::is_whole(&lines, &part.id(), b"{}"), Some(true));
        assert_eq!(Part::is_whole(&lines, &part.id(), b"[]"), Some(false));
        assert_eq!(Part::is_whole(&lines, "other", b"{}"), Some(false));
        assert_eq!(Part::is_whole(b"a: b\n", "other", b"{}"), None);
        assert_eq!(Part::kept(b":part x\n"), None);
    }
}
