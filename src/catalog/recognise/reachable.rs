//! Holds the rules of a profile against its types and against each other: what can never match is a mistake.

use std::collections::BTreeSet;

use http::{HeaderName, header};

use super::{Otherwise, Rule, RulePlace};
use crate::catalog::FlawAt;
use crate::catalog::pattern::Pattern;

/// Every type that a rule names exists, every type can be recognised, and every rule and value can match. The header `credential`
/// proves who sends and goes no further.
pub(in crate::catalog) fn check(rules: &[Rule], types: &BTreeSet<&str>, credential: &str) -> Result<(), FlawAt> {
    for (index, rule) in rules.iter().enumerate() {
        let at = format!("recognise[{index}]");
        check_names(rule, types)
            .and_then(|()| check_headers(rule, credential))
            .and_then(|()| check_own(rule, types))
            .and_then(|()| rules[..index].iter().enumerate().try_for_each(|before| check_behind(rule, before)))
            .map_err(|flaw| flaw.within(&at))?;
    }
    match types.iter().find(|name| !rules.iter().any(|rule| yields(rule, name))) {
        Some(name) => Err(FlawAt::new(format!("types.{name:?}"), "no rule of `recognise` yields this event type")),
        None => Ok(()),
    }
}

fn check_names(rule: &Rule, types: &BTreeSet<&str>) -> Result<(), FlawAt> {
    let values = rule.values.iter().map(|(value, name)| (format!(".values.{value:?}"), name));
    let patterns = rule.patterns.iter().enumerate().map(|(at, (_, name))| (format!(".patterns[{at}].type"), name));
    let default = match &rule.otherwise {
        Otherwise::Type(name) => Some((".default".to_owned(), name)),
        _ => None,
    };
    match values.chain(patterns).chain(default).find(|(_, name)| !types.contains(name.as_str())) {
        Some((place, name)) => Err(FlawAt::new(place, format!("no such event type: {name}"))),
        None => Ok(()),
    }
}

/// No header that proves who sends: it is gone by the time the type is looked for.
fn check_headers(rule: &Rule, credential: &str) -> Result<(), FlawAt> {
    let never = [header::AUTHORIZATION, header::PROXY_AUTHORIZATION, header::COOKIE];
    let ends = |name: &HeaderName| never.contains(name) || name.as_str().eq_ignore_ascii_case(credential);
    let header = rule.places().find_map(|place| match place {
        RulePlace::Header(name) if ends(name) => Some(name),
        _ => None,
    });
    match header {
        Some(name) => Err(can_never("", format!("{name} holds a credential, which is removed before"))),
        None => Ok(()),
    }
}

fn can_never(place: impl Into<String>, why: impl AsRef<str>) -> FlawAt {
    FlawAt::new(place, format!("can never match: {}", why.as_ref()))
}

/// What a rule takes of values, in the order in which it looks at them; each with its place in the profile.
fn taken(rule: &Rule) -> Vec<(String, Pattern)> {
    let values = rule.values.keys().map(|value| (format!(".values.{value:?}"), Pattern::exact(value)));
    let ignore = rule.ignore.iter().enumerate().map(|(at, pattern)| (format!(".ignore[{at}]"), pattern.clone()));
    let patterns = rule.patterns.iter().enumerate();
    let patterns = patterns.map(|(at, (pattern, _))| (format!(".patterns[{at}]"), pattern.clone()));
    values.chain(ignore).chain(patterns).collect()
}

/// Each thing that the rule lists matches something that nothing before it in the rule does.
fn check_own(rule: &Rule, types: &BTreeSet<&str>) -> Result<(), FlawAt> {
    let (shape, taken) = (rule.shape(), taken(rule));
    let decides = matches!(rule.otherwise, Otherwise::Ignore | Otherwise::Type(_));
    if !rule.pieces.is_empty() && taken.is_empty() && !rule.names_types && !decides {
        return Err(can_never("", "it lists no values"));
    }
    for (at, (place, pattern)) in taken.iter().enumerate() {
        if !pattern.meets(&shape) || (is_header(rule) && pattern.sample("x").trim() != pattern.sample("x")) {
            return Err(can_never(place, format!("no {} is like this", rule.label)));
        }
        if let Some((before, _)) = taken[..at].iter().find(|(_, before)| before.covers(pattern)) {
            return Err(can_never(place, format!("`{}` takes all of it", before.trim_start_matches('.'))));
        }
        let covers_all = pattern.covers(&shape);
        if covers_all && at + 1 < taken.len() {
            return Err(can_never(&taken[at + 1].0, format!("`{}` takes all values", place.trim_start_matches('.'))));
        }
        if covers_all && rule.otherwise != Otherwise::Unknown {
            let key = if matches!(rule.otherwise, Otherwise::Type(_)) { ".default" } else { ".otherwise" };
            return Err(can_never(key, format!("`{}` takes all values", place.trim_start_matches('.'))));
        }
    }
    if rule.names_types && !types.iter().any(|name| yields(rule, name)) {
        return Err(can_never("", format!("no event type is called like a {}", rule.label)));
    }
    Ok(())
}

/// Whether the value is one header and nothing else: it has no blanks at its ends.
fn is_header(rule: &Rule) -> bool {
    matches!(&rule.pieces[..], [super::RulePiece::Value(RulePlace::Header(_))])
}

/// Whether the rule may say of a value that it means `event_type`.
fn yields(rule: &Rule, event_type: &str) -> bool {
    let value = Pattern::exact(event_type);
    let named = || rule.names_types && rule.shape().meets(&value) && !rule.ignore.iter().any(|p| p.covers(&value));
    rule.named_types().any(|name| name == event_type) || named()
}

/// No earlier rule decides whatever would come to this one, or takes one of its values.
fn check_behind(rule: &Rule, (index, before): (usize, &Rule)) -> Result<(), FlawAt> {
    let ours = needs(rule);
    // Where ours could match, the other has applied already.
    if !applies_when(before).iter().all(|needed| ours.iter().any(|there| implies(there, needed))) {
        return Ok(());
    }
    if before.otherwise != Otherwise::Next {
        return Err(can_never("", format!("recognise[{index}] applies first, and decides")));
    }
    if before.pieces != rule.pieces {
        return Ok(());
    }
    let earlier = taken(before);
    for (place, pattern) in taken(rule) {
        if let Some((by, _)) = earlier.iter().find(|(_, earlier)| earlier.covers(&pattern)) {
            return Err(can_never(place, format!("`recognise[{index}]{by}` takes all of it")));
        }
    }
    Ok(())
}

/// What has to be there for the rule to apply.
fn applies_when(rule: &Rule) -> Vec<RulePlace> {
    match &rule.given {
        Some(given) => vec![RulePlace::Body(vec![given.as_str().into()])],
        None => rule.places().cloned().collect(),
    }
}

/// What is there whenever the rule says anything about a delivery.
fn needs(rule: &Rule) -> Vec<RulePlace> {
    let given = rule.given.iter().map(|given| RulePlace::Body(vec![given.as_str().into()]));
    given.chain(rule.places().cloned()).collect()
}

/// Whether `needed` is there whenever `there` is.
fn implies(there: &RulePlace, needed: &RulePlace) -> bool {
    match (there, needed) {
        (RulePlace::Body(there), RulePlace::Body(needed)) => there.starts_with(needed),
        _ => there == needed,
    }
}
