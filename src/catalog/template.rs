//! Texts with fields in them, such as `v0:{header:x-request-timestamp}:{body}`. A brace that is meant as one is doubled.

/// A piece of a text.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum TemplatePiece {
    Text(String),
    /// `{name}` or `{name:of}`.
    Field {
        name: String,
        of: Option<String>,
    },
}

/// Why a text is no template.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum TemplateFlaw {
    #[error("`{{` without `}}`; write `{{{{` for a brace")]
    Open,
    #[error("`}}` without `{{`; write `}}}}` for a brace")]
    Close,
}

/// Takes `text` apart.
pub(super) fn parse(text: &str) -> Result<Vec<TemplatePiece>, TemplateFlaw> {
    let (mut pieces, mut plain, mut rest) = (Vec::new(), String::new(), text);
    while let Some(at) = rest.find(['{', '}']) {
        plain.push_str(&rest[..at]);
        let (brace, behind) = rest[at..].split_at(1);
        if let Some(after) = behind.strip_prefix(brace) {
            plain.push_str(brace);
            rest = after;
            continue;
        }
        if brace == "}" {
            return Err(TemplateFlaw::Close);
        }
        let (field, after) = behind.split_once('}').ok_or(TemplateFlaw::Open)?;
        if field.contains('{') {
            return Err(TemplateFlaw::Open);
        }
        push_text(&mut pieces, &mut plain);
        pieces.push(match field.split_once(':') {
            Some((name, of)) => TemplatePiece::Field { name: name.to_owned(), of: Some(of.to_owned()) },
            None => TemplatePiece::Field { name: field.to_owned(), of: None },
        });
        rest = after;
    }
    plain.push_str(rest);
    push_text(&mut pieces, &mut plain);
    Ok(pieces)
}

fn push_text(pieces: &mut Vec<TemplatePiece>, plain: &mut String) {
    if !plain.is_empty() {
        pieces.push(TemplatePiece::Text(std::mem::take(plain)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> TemplatePiece {
        TemplatePiece::Text(text.into())
    }

    fn field(name: &str, of: Option<&str>) -> TemplatePiece {
        TemplatePiece::Field { name: name.into(), of: of.map(Into::into) }
    }

    #[test]
    fn a_template_is_taken_apart() {
        assert_eq!(parse("").unwrap(), []);
        assert_eq!(parse("{body}").unwrap(), [field("body", None)]);
        assert_eq!(
            parse("v0:{header:x-a}:{body}!").unwrap(),
            [text("v0:"), field("header", Some("x-a")), text(":"), field("body", None), text("!")]
        );
        assert_eq!(
            parse(r#"{{"c":"{body:a.b}"}}"#).unwrap(),
            [text("{\"c\":\""), field("body", Some("a.b")), text("\"}")]
        );
    }

    #[test]
    fn a_brace_alone_is_no_template() {
        for (text, flaw) in [
            ("{body", TemplateFlaw::Open),
            ("a{", TemplateFlaw::Open),
            ("{a{b}", TemplateFlaw::Open),
            ("body}", TemplateFlaw::Close),
            ("}{body}", TemplateFlaw::Close),
        ] {
            assert_eq!(parse(text), Err(flaw), "{text}");
        }
    }
}
