//! How an event's type is recognised: the rules of a profile as written, then as the conversion follows them.
//!
//! A rule looks at one value: a member of the body, one further inside, a header, or several of these put together. Its list
//! says what the value means. The checks of all rules together, above all for what can never match, are in [`reachable`].

mod reachable;

use std::collections::BTreeMap;

use http::HeaderName;
use schemars::JsonSchema;
use serde::Deserialize;

use super::FlawAt;
use super::pattern::Pattern;
use super::plan::KeySlots;
pub(super) use reachable::check;

/// What a value means that the rule does not list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Otherwise {
    /// An unknown event type.
    #[default]
    Unknown,
    /// The next rule decides.
    Next,
    /// An event that nobody wants.
    Ignore,
    /// This event type.
    Type(String),
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum WrittenOtherwise {
    Unknown,
    Next,
    Ignore,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct WrittenPattern {
    /// A pattern such as "order.*".
    like: String,
    /// The event type.
    r#type: String,
}

/// A rule as the profile has it.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenRule {
    /// The member of the body that the rule looks at.
    field: Option<String>,
    /// The same further inside, such as "data.object".
    path: Option<String>,
    /// The header that the rule looks at.
    header: Option<String>,
    /// Several values put together, such as "{header:x-topic}.{action}".
    template: Option<String>,
    /// The rule applies if this member of the body is there and not null.
    given: Option<String>,
    /// Which value means which event type. Without it, a value is the type's name.
    values: Option<BTreeMap<String, String>>,
    /// Values, or patterns of them, of events that nobody wants.
    #[serde(default)]
    ignore: Vec<String>,
    /// Patterns of values, in order.
    #[serde(default)]
    patterns: Vec<WrittenPattern>,
    /// The event type of all other values.
    default: Option<String>,
    /// What another value means: an unknown type, or that the next rule decides, or an event that nobody wants.
    otherwise: Option<WrittenOtherwise>,
}

/// Where a part of a rule's value stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RulePlace {
    Header(HeaderName),
    /// In the body, by the names of the members on the way.
    Body(Vec<Box<str>>),
}

/// A piece of a rule's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RulePiece {
    /// The same in all of them.
    Text(Box<str>),
    Value(RulePlace),
}

/// One way to recognise an event's type; the first rule that applies decides.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    /// What the value is put together of; nothing for a rule that applies to whatever comes to it.
    pub(crate) pieces: Vec<RulePiece>,
    /// How errors call the value.
    pub(crate) label: String,
    /// The rule applies when this member of the body is there and not null; by default when all parts of the value are.
    pub(crate) given: Option<String>,
    /// Which value means which type.
    pub(crate) values: BTreeMap<String, String>,
    /// Whether a value that is a type's name means that type.
    pub(crate) names_types: bool,
    /// Values of events that nobody wants.
    pub(crate) ignore: Vec<Pattern>,
    /// Which values mean which type; the first that matches counts.
    pub(crate) patterns: Vec<(Pattern, String)>,
    pub(crate) otherwise: Otherwise,
}

/// What a value means to a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning<'a> {
    Type(&'a str),
    Ignored,
    /// The rule says nothing about it.
    Next,
    Unknown,
}

impl Rule {
    /// The member of the body that the value is, where it is one at the top.
    pub(crate) fn field(&self) -> Option<&str> {
        match &self.pieces[..] {
            [RulePiece::Value(RulePlace::Body(steps))] if steps.len() == 1 => steps.first().map(|step| &**step),
            _ => None,
        }
    }

    /// Where the parts of the value stand.
    pub(crate) fn places(&self) -> impl Iterator<Item = &RulePlace> {
        self.pieces.iter().filter_map(|piece| match piece {
            RulePiece::Value(place) => Some(place),
            RulePiece::Text(_) => None,
        })
    }

    /// Whether the header tells a part of the value.
    pub(crate) fn looks_at(&self, header: &HeaderName) -> bool {
        self.places().any(|place| matches!(place, RulePlace::Header(name) if name == header))
    }

    /// What `value` means; `is_type` says what is the name of a type. `meant` is another spelling of the value, if it has one.
    pub(crate) fn meaning<'a>(
        &'a self,
        value: &'a str,
        meant: impl FnOnce() -> Option<String>,
        is_type: impl FnOnce(&str) -> bool,
    ) -> Meaning<'a> {
        if !self.values.is_empty() {
            let listed = self.values.get(value).or_else(|| self.values.get(&meant()?));
            if let Some(name) = listed {
                return Meaning::Type(name);
            }
        }
        if self.ignore.iter().any(|pattern| pattern.matches(value)) {
            return Meaning::Ignored;
        }
        if let Some((_, name)) = self.patterns.iter().find(|(pattern, _)| pattern.matches(value)) {
            return Meaning::Type(name);
        }
        if self.names_types && is_type(value) {
            return Meaning::Type(value);
        }
        match &self.otherwise {
            Otherwise::Unknown => Meaning::Unknown,
            Otherwise::Next => Meaning::Next,
            Otherwise::Ignore => Meaning::Ignored,
            Otherwise::Type(name) => Meaning::Type(name),
        }
    }

    /// Whether `event.type` says of an event of this type what the rule's field said: then the field need not be kept.
    pub(super) fn is_told_by(&self, event_type: &str) -> bool {
        let by_pattern = self.patterns.iter().any(|(_, name)| name == event_type);
        let by_default = matches!(&self.otherwise, Otherwise::Type(name) if name == event_type);
        let listed = self.values.values().any(|name| name == event_type);
        (self.names_types || listed) && !by_pattern && !by_default
    }

    /// Whether that is so for every type it can yield.
    pub(super) fn is_told_by_all(&self) -> bool {
        self.patterns.is_empty() && !matches!(self.otherwise, Otherwise::Type(_))
    }

    /// The event types that it names.
    pub(super) fn named_types(&self) -> impl Iterator<Item = &str> {
        let by_default = match &self.otherwise {
            Otherwise::Type(name) => Some(name),
            _ => None,
        };
        self.values.values().chain(self.patterns.iter().map(|(_, name)| name)).chain(by_default).map(String::as_str)
    }

    /// The texts that its value can be, as far as its pieces tell.
    pub(super) fn shape(&self) -> Pattern {
        let (mut parts, mut text) = (Vec::new(), String::new());
        for piece in &self.pieces {
            match piece {
                RulePiece::Text(piece) => text.push_str(piece),
                RulePiece::Value(_) => parts.push(std::mem::take(&mut text)),
            }
        }
        parts.push(text);
        Pattern::around(parts.iter().map(String::as_str))
    }

    /// A value that means `event_type`, if the rule has one.
    pub(crate) fn sample_value(&self, event_type: &str) -> Option<String> {
        let listed = self.values.iter().filter(|(_, name)| *name == event_type).map(|(value, _)| value.clone());
        let like = self.patterns.iter().filter(|(_, name)| name == event_type);
        let named = self.names_types.then(|| event_type.to_owned());
        let other = || self.shape().sample("sample");
        let candidates = listed.chain(named).chain(like.map(|(pattern, _)| pattern.sample("sample"))).chain([other()]);
        let shape = self.shape();
        let mut fitting = candidates.filter(|value| shape.matches(value));
        fitting.find(|value| self.meaning(value, || None, |name| name == event_type) == Meaning::Type(event_type))
    }

    /// What stands where when the value is `value`: the first way to take it apart.
    pub(crate) fn parts_of<'a>(&'a self, value: &'a str) -> Vec<(&'a RulePlace, &'a str)> {
        let (mut parts, mut rest) = (Vec::new(), value);
        for (at, piece) in self.pieces.iter().enumerate() {
            match piece {
                RulePiece::Text(text) => rest = rest.strip_prefix(&**text).unwrap_or(rest),
                RulePiece::Value(place) => {
                    let end = match self.pieces.get(at + 1) {
                        Some(RulePiece::Text(next)) => rest.find(&**next).unwrap_or(rest.len()),
                        Some(RulePiece::Value(_)) => 0,
                        None => rest.len(),
                    };
                    let (part, after) = rest.split_at(end);
                    parts.push((place, part));
                    rest = after;
                }
            }
        }
        parts
    }
}

/// Reads the rules of a profile, each for itself.
pub(super) fn resolve(written: &[WrittenRule]) -> Result<Vec<Rule>, FlawAt> {
    let each = written.iter().enumerate();
    each.map(|(index, rule)| rule.resolve().map_err(|flaw| flaw.within(&format!("recognise[{index}]")))).collect()
}

/// A member of the payload that tells an event's type: its path, and the last name in it.
pub(super) struct TellingMember {
    pub(super) path: String,
    pub(super) name: String,
}

/// The members of the payload that tell an event's type, where the payload is the member `payload` of the body, or all of it.
pub(super) fn telling(rules: &[Rule], payload: Option<&str>) -> Vec<TellingMember> {
    let bodies = rules.iter().flat_map(Rule::places).filter_map(|place| match place {
        RulePlace::Body(steps) => Some(&steps[..]),
        RulePlace::Header(_) => None,
    });
    let in_payload = bodies.filter_map(|steps| match (payload, steps) {
        (None, steps) => Some(steps),
        (Some(payload), [first, rest @ ..]) if **first == *payload => Some(rest),
        (Some(_), _) => None,
    });
    let member = |steps: &[Box<str>]| {
        let name = steps.last()?.to_string();
        Some(TellingMember { path: steps.join("."), name })
    };
    in_payload.filter_map(member).collect()
}

/// The members at the top of the body that tell that it is a `type_name`, and have no place in its record: none is needed, since
/// `event.type` says the same.
pub(super) fn told_fields(rules: &[Rule], type_name: &str, names: &KeySlots) -> Vec<Box<str>> {
    let fields = rules.iter().filter(|rule| rule.is_told_by(type_name)).filter_map(Rule::field);
    fields.filter(|field| names.slot(field, 0).is_none()).map(Into::into).collect()
}

impl WrittenRule {
    fn resolve(&self) -> Result<Rule, FlawAt> {
        let (pieces, label) = self.pieces()?;
        let otherwise = match (&self.default, self.otherwise) {
            (Some(_), Some(_)) => {
                return Err(FlawAt::new(".default", "set `default` or `otherwise`, not both"));
            }
            (Some(name), None) => Otherwise::Type(name.clone()),
            (None, None | Some(WrittenOtherwise::Unknown)) => Otherwise::Unknown,
            (None, Some(WrittenOtherwise::Next)) => Otherwise::Next,
            (None, Some(WrittenOtherwise::Ignore)) => Otherwise::Ignore,
        };
        let listed = self.values.is_some() || !self.ignore.is_empty() || !self.patterns.is_empty();
        let decides = matches!(otherwise, Otherwise::Ignore | Otherwise::Type(_));
        if pieces.is_empty() && (listed || !decides) {
            let what = "expected one of `field`, `path`, `header` and `template`, or only `default` or `otherwise = \"ignore\"`";
            return Err(FlawAt::new("", what));
        }
        Ok(Rule {
            names_types: !pieces.is_empty() && self.values.is_none() && self.patterns.is_empty(),
            pieces,
            label,
            given: self.given.clone(),
            values: self.values.clone().unwrap_or_default(),
            ignore: self.ignore.iter().map(|text| Pattern::new(text)).collect(),
            patterns: self.patterns.iter().map(|p| (Pattern::new(&p.like), p.r#type.clone())).collect(),
            otherwise,
        })
    }

    /// What the value is put together of, and what it is called.
    fn pieces(&self) -> Result<(Vec<RulePiece>, String), FlawAt> {
        let at = |key: &'static str| move |what: String| FlawAt::new(format!(".{key}"), what);
        match (&self.field, &self.path, &self.header, &self.template) {
            (Some(field), None, None, None) => {
                Ok((vec![RulePiece::Value(RulePlace::Body(vec![field.as_str().into()]))], field.clone()))
            }
            (None, Some(path), None, None) => {
                Ok((vec![RulePiece::Value(body(path).map_err(at("path"))?)], path.clone()))
            }
            (None, None, Some(name), None) => {
                Ok((vec![RulePiece::Value(header(name).map_err(at("header"))?)], format!("header {name}")))
            }
            (None, None, None, Some(text)) => Ok((template(text).map_err(at("template"))?, text.clone())),
            (None, None, None, None) => Ok((Vec::new(), String::new())),
            _ => Err(FlawAt::new("", "expected only one of `field`, `path`, `header` and `template`")),
        }
    }
}

fn body(path: &str) -> Result<RulePlace, String> {
    if path.split('.').any(str::is_empty) {
        return Err(format!("{path:?} is not a path: a name is empty"));
    }
    Ok(RulePlace::Body(path.split('.').map(Into::into).collect()))
}

fn header(name: &str) -> Result<RulePlace, String> {
    let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| format!("{name:?} is not the name of a header"))?;
    Ok(RulePlace::Header(name))
}

/// `{path}` and `{header:name}` with texts between them.
fn template(text: &str) -> Result<Vec<RulePiece>, String> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(['{', '}']).unwrap_or(rest.len());
        let (before, after) = rest.split_at(end);
        if !before.is_empty() {
            pieces.push(RulePiece::Text(before.into()));
        }
        let Some(after) = after.strip_prefix('{') else {
            rest = if after.is_empty() { after } else { return Err("`}` without `{` before it".into()) };
            continue;
        };
        let (inner, after) = after.split_once('}').ok_or("`{` without `}` behind it")?;
        let place = match inner.strip_prefix("header:") {
            Some(name) => header(name)?,
            None => body(inner)?,
        };
        pieces.push(RulePiece::Value(place));
        rest = after;
    }
    if !pieces.iter().any(|piece| matches!(piece, RulePiece::Value(_))) {
        return Err("expected `{path}` or `{header:name}` in it".into());
    }
    Ok(pieces)
}

#[cfg(test)]
mod tests;
