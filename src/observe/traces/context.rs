//! Trace Context (W3C): the headers `traceparent` and `tracestate`. Written here; the first is read by
//! [`traceparent`].

use std::str::FromStr as _;

use http::HeaderMap;
use opentelemetry::trace::{SpanContext, TraceState};

use crate::values::traceparent;

/// As long as the recommendation asks to carry at least. Spans wait in memory, and each has a copy.
const MAX_STATE: usize = 512;

/// The span that a request comes from, if its headers say so.
pub(super) fn of(headers: &HeaderMap) -> Option<SpanContext> {
    let mut values = headers.get_all("traceparent").iter();
    let (Some(one), None) = (values.next(), values.next()) else { return None };
    let (trace, span, flags) = traceparent::parse(one.to_str().ok()?)?;
    Some(SpanContext::new(trace, span, flags, true, state(headers)))
}

/// Vendors' own words on a trace. What cannot be read is left out, and the trace goes on.
fn state(headers: &HeaderMap) -> TraceState {
    let lines: Vec<_> = headers.get_all("tracestate").iter().filter_map(|value| value.to_str().ok()).collect();
    let lines = lines.join(",");
    let state = Some(lines).filter(|lines| (1..=MAX_STATE).contains(&lines.len()));
    state.and_then(|state| TraceState::from_str(&state).ok()).unwrap_or_default()
}

/// The header that makes a reader's span a child of this one.
pub(super) fn header(context: &SpanContext) -> String {
    format!("00-{}-{}-{:02x}", context.trace_id(), context.span_id(), context.trace_flags().to_u8())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        lines.iter().fold(HeaderMap::new(), |mut headers, (name, value)| {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
            headers
        })
    }

    #[test]
    fn a_valid_traceparent_comes_out_as_it_went_in() {
        let context = of(&headers(&[("traceparent", PARENT), ("tracestate", "a=1"), ("tracestate", "b=2")])).unwrap();
        assert!(context.is_remote() && context.is_sampled());
        assert_eq!(header(&context), PARENT);
        assert_eq!(context.trace_state().header(), "a=1,b=2");
        let unsampled = PARENT.replace("-01", "-00");
        assert_eq!(header(&of(&headers(&[("traceparent", &unsampled)])).unwrap()), unsampled);
    }

    #[test]
    fn of_the_flags_only_sampled_goes_on_and_a_later_version_may_say_more() {
        for text in [PARENT.replace("-01", "-03"), format!("cc{}", &PARENT[2..]), format!("cc{}-more", &PARENT[2..])] {
            assert_eq!(header(&of(&headers(&[("traceparent", &text)])).unwrap()), PARENT, "{text}");
        }
    }

    #[test]
    fn what_is_malformed_is_not_continued() {
        for text in [
            "",
            "00",
            "00-1-2-01",
            &PARENT[..54],
            &format!("{PARENT}0"),
            &format!("{PARENT}-00"),
            &format!("cc{}more", &PARENT[2..]),
            &format!("ff{}", &PARENT[2..]),
            &PARENT.to_uppercase(),
            &PARENT.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            &PARENT.replace("00f067aa0ba902b7", &"0".repeat(16)),
            &PARENT.replace("4bf9", "+bf9"),
            &PARENT.replace('-', "_"),
            &format!("{}é", &PARENT[..54]),
        ] {
            assert_eq!(traceparent::parse(text), None, "{text}");
            assert!(!traceparent::is_valid(text.as_bytes()), "{text}");
        }
        let later = |more: usize| format!("cc{}-{}", &PARENT[2..], "x".repeat(more));
        assert!(traceparent::is_valid(PARENT.as_bytes()) && traceparent::is_valid(later(9).as_bytes()));
        assert!(!traceparent::is_valid(later(512).as_bytes()) && !traceparent::is_valid(b"\xff"));
        assert!(of(&headers(&[("traceparent", PARENT), ("traceparent", PARENT)])).is_none(), "which one?");
        assert!(of(&HeaderMap::new()).is_none());
    }

    #[test]
    fn a_tracestate_that_is_malformed_or_long_is_left_out() {
        for state in ["a", "A=1", &format!("a={}", "x".repeat(250)).repeat(3)] {
            let context = of(&headers(&[("traceparent", PARENT), ("tracestate", state)])).unwrap();
            assert_eq!(context.trace_state(), &TraceState::NONE, "{state}");
        }
    }
}
