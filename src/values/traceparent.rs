//! The header `traceparent` of Trace Context (W3C). Read strictly, since what is malformed is not to be passed on; the SDK's own reader takes
//! ids of any length.

use opentelemetry::trace::{SpanId, TraceFlags, TraceId};

/// As long as the recommendation asks to carry at least.
const LONGEST: usize = 512;

/// Whether a header's value is a `traceparent` that may be passed on. A later version may say more, but not without end.
pub(crate) fn is_valid(value: &[u8]) -> bool {
    value.len() <= LONGEST && str::from_utf8(value).is_ok_and(|text| parse(text).is_some())
}

/// `00-<32 hex digits>-<16 hex digits>-<2 hex digits>`; a later version may go on after another `-`.
pub(crate) fn parse(text: &str) -> Option<(TraceId, SpanId, TraceFlags)> {
    let (head, rest) = text.trim_ascii().split_at_checked(55)?;
    let mut parts = head.split('-');
    let mut part = |digits: usize| {
        let hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        parts.next().filter(|part| part.len() == digits && part.bytes().all(hex))
    };
    let (version, trace, span, flags) = (part(2)?, part(32)?, part(16)?, part(2)?);
    let ends = rest.is_empty() || (version != "00" && rest.starts_with('-'));
    let (trace, span) = (TraceId::from_hex(trace).ok()?, SpanId::from_hex(span).ok()?);
    if !ends || version == "ff" || trace == TraceId::INVALID || span == SpanId::INVALID {
        return None;
    }
    // The other flags are not ours to pass on.
    Some((trace, span, TraceFlags::new(u8::from_str_radix(flags, 16).ok()?) & TraceFlags::SAMPLED))
}
