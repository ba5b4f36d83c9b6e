//! Whether a head says that the body is JSON as it is, in every way in which senders say so.

use http::{HeaderMap, HeaderName, header};

use crate::outcome::Refusal;

/// JSON by every `Content-Type` that is there, and neither compressed nor encoded otherwise.
pub(crate) fn check_content_type(headers: &HeaderMap) -> Result<(), Refusal> {
    let (mut types, is_chunks) = (members(headers, &header::CONTENT_TYPE).peekable(), |t: &str| is(t, "chunked"));
    let is_json = types.peek().is_some() && types.all(is_json);
    let is_plain = members(headers, &header::CONTENT_ENCODING).all(is_no_encoding);
    let is_whole = members(headers, &header::TRANSFER_ENCODING).all(is_chunks);
    match (is_json, is_plain && is_whole) {
        (false, _) => Err(Refusal::ContentType),
        (true, false) => Err(Refusal::ContentEncoding),
        (true, true) => Ok(()),
    }
}

/// `application/json`, `text/json` or any `+json` (the WHATWG's "JSON MIME type"), whatever its parameters.
fn is_json(media_type: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    let Some((kind, subtype)) = essence.split_once('/') else { return false };
    let has_suffix = subtype.rsplit_once('+').is_some_and(|(_, suffix)| is(suffix, "json"));
    has_suffix || (is(subtype, "json") && (is(kind, "application") || is(kind, "text")))
}

/// A charset where an encoding is expected is a slip that changes nothing: JSON is UTF-8.
fn is_no_encoding(encoding: &str) -> bool {
    ["identity", "utf-8", "utf8"].iter().any(|none| is(encoding, none))
}

fn is(text: &str, word: &str) -> bool {
    text.eq_ignore_ascii_case(word)
}

/// The members of a header's lists, from all its lines; one that is not ASCII is a member that nobody knows.
fn members<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let lines = headers.get_all(name).into_iter().map(|line| line.to_str().unwrap_or("?"));
    lines.flat_map(outside_quotes).map(str::trim).filter(|member| !member.is_empty())
}

/// The parts between commas; those between quotes do not count.
fn outside_quotes(list: &str) -> impl Iterator<Item = &str> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    list.split(move |c| {
        let escapes = is_quoted && !is_escaped && c == '\\';
        if c == '"' && !is_escaped {
            is_quoted = !is_quoted;
        }
        is_escaped = escapes;
        c == ',' && !is_quoted
    })
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    /// Whether a head with these lines is let in.
    fn passes(name: &'static str, lines: &[&str]) -> bool {
        let mut headers = HeaderMap::new();
        if name != "content-type" {
            headers.insert("content-type", HeaderValue::from_static("application/json"));
        }
        for line in lines {
            headers.append(name, HeaderValue::from_bytes(line.as_bytes()).unwrap());
        }
        check_content_type(&headers).is_ok()
    }

    #[test]
    fn json_is_told_by_its_media_type_however_it_is_written() {
        let json = [
            &["application/json"][..],
            &["APPLICATION/JSON"],
            &["application/json; charset=utf-8"],
            &["application/json;charset=UTF-8;"],
            &[" application/json ; x=\"a, b; \\\", c\""],
            &["text/json"],
            &["application/vnd.x+json"],
            &["application/cloudevents+JSON; charset=utf-8"],
            &["model/gltf+json"],
            &["application/json, application/json"],
            &["application/json; charset=utf-8, application/json"],
            &["application/json", "application/json"],
            &["application/json,"],
            &["application/json", ""],
        ];
        for lines in json {
            assert!(passes("content-type", lines), "{lines:?}");
        }
        let other = [
            &[][..],
            &[""],
            &[","],
            &["json"],
            &["application"],
            &["text/plain"],
            &["image/json"],
            &["application/jsonl"],
            &["application/json-seq"],
            &["application/x-json"],
            &["application/x-www-form-urlencoded"],
            &["application/json, text/plain"],
            &["text/plain, application/json"],
            &["application/json", "text/plain"],
            &["application/json text/plain"],
            &["application/jsön"],
        ];
        for lines in other {
            assert!(!passes("content-type", lines), "{lines:?}");
        }
    }

    #[test]
    fn no_encoding_is_one_that_changes_the_bytes() {
        for lines in
            [&[""][..], &[" "], &["identity"], &["IDENTITY, identity"], &["identity", ""], &["utf-8"], &["UTF8"]]
        {
            assert!(passes("content-encoding", lines), "{lines:?}");
        }
        for lines in [&["gzip"][..], &["br"], &["gzip, identity"], &["identity", "deflate"], &["none"], &["latin-1"]] {
            assert!(!passes("content-encoding", lines), "{lines:?}");
        }
        assert!(passes("transfer-encoding", &["chunked"]));
        assert!(!passes("transfer-encoding", &["gzip, chunked"]));
    }
}
