//! An event's id as 16 bytes, for those who hold many. The flow has it as text, made once at the door (`verify`).

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

use crate::values::uuid_text::uuid;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct EventId(Uuid);

impl FromStr for EventId {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let id = uuid(text).map(|id| EventId(id.into_uuid()));
        id.ok_or("expected an event id, such as d646e635-c932-82f7-81ca-e8e3c55c5e5f")
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_in_either_case_and_written_in_small_letters() {
        let small = "d646e635-c932-82f7-81ca-e8e3c55c5e5f";
        let id: EventId = small.parse().unwrap();
        assert_eq!(id.to_string(), small);
        assert_eq!(small.to_uppercase().parse(), Ok(id));
    }

    #[test]
    fn what_is_no_id_is_refused() {
        for text in [
            "",
            "d646e635c93282f781cae8e3c55c5e5f",
            "d646e635-c932-82f7-81ca-e8e3c55c5e5",
            "d646e635-c932-82f7-81ca-e8e3c55c5e5g",
            "d646e635c-932-82f7-81ca-e8e3c55c5e5f",
            "d646e635-c932-82f7-81ca-e8e3c55c5e5f ",
            "é646e63-c932-82f7-81ca-e8e3c55c5e5f",
        ] {
            assert!(text.parse::<EventId>().is_err(), "{text}");
        }
    }
}
