//! Which member an event's key and time are likely to be.

use super::naming;
use super::shape::{Inferred, ObjectShape};

/// So many times are named at the most.
const MOST_TIMES: usize = 3;

/// A way through objects, by their names in JSON.
pub(super) type Steps = Vec<String>;

/// The way that `path` writes, with dots between.
pub(super) fn steps(path: &str) -> Steps {
    path.split('.').map(str::to_owned).collect()
}

/// What can be the key of events about `entity`, best first: what is there and not blank in every sample. A number that has no
/// fraction as far as is known is one by its name, or if it is `wanted`.
pub(super) fn keys(shape: &ObjectShape, entity: &str, wanted: Option<&Steps>) -> Vec<Steps> {
    let mut found = Vec::new();
    look(shape, &mut Vec::new(), &mut |steps, at_end, always| {
        let (of, shape) = at_end;
        let is_wanted = || wanted.is_some_and(|wanted| wanted == steps);
        let is_number =
            || shape.scalars.may_be_whole() && (is_wanted() || is_id(of) || naming::field(of).ends_with("_id"));
        let is_id = matches!(shape.inferred(of), Inferred::Uuid | Inferred::Long | Inferred::String) || is_number();
        if always && is_id && shape.scalars.blank == 0 && shape.listed.is_empty() {
            found.push((score(steps, entity), steps.to_vec()));
        }
    });
    let ids_within = found.iter().any(|(_, steps)| steps.len() > 1 && is_id(steps.last().map_or("", String::as_str)));
    for (score, steps) in &mut found {
        // Beside an object with an id of its own, the id at the top is most likely the event's.
        if ids_within && steps.len() == 1 && naming::field(&steps[0]) == "id" {
            *score -= 30;
        }
    }
    found.sort_by_key(|(score, _)| -score);
    found.into_iter().map(|(_, steps)| steps).collect()
}

/// Whether it is only taken for granted that what is at `steps` is always there.
pub(super) fn is_assumed(shape: &ObjectShape, steps: &[String]) -> bool {
    shape.all_assumed
        || steps.split_first().is_some_and(|(first, rest)| {
            let inner = shape.members.get(first).and_then(|member| member.object.as_ref());
            inner.is_some_and(|inner| is_assumed(inner, rest))
        })
}

fn is_id(json: &str) -> bool {
    ["id", "uuid", "guid"].contains(&naming::field(json).as_str())
}

fn score(steps: &[String], entity: &str) -> i32 {
    let entity = naming::singular(entity.rsplit('_').next().unwrap_or(entity));
    let names: Vec<String> = steps.iter().map(|step| naming::singular(&naming::field(step))).collect();
    let Some((leaf, around)) = names.split_last() else { return 0 };
    let parent = around.last().map_or("", String::as_str);
    let of_entity = leaf.strip_prefix(entity.as_str()).and_then(|rest| rest.strip_prefix('_'));
    let numbers = ["number", "no", "nr", "num", "code", "key", "ref", "reference", "slug", "sku"];
    let of_event = ["event", "webhook", "delivery", "request", "message", "notification"]
        .iter()
        .any(|word| *word != entity && leaf.starts_with(word));
    let by_name = match (leaf.as_str(), of_entity) {
        _ if of_event => -20,
        ("id" | "uuid" | "guid", _) if parent == entity => 70,
        (_, Some("id" | "uuid" | "guid")) => 65,
        ("id" | "uuid" | "guid", _) if around.is_empty() => 50,
        ("id" | "uuid" | "guid", _) if naming::is_hollow(parent) => 55,
        (_, Some(rest)) if numbers.contains(&rest) => 45,
        ("id" | "uuid" | "guid", _) => 25,
        (leaf, _) if numbers.contains(&leaf) => 20,
        (leaf, _) if leaf.ends_with("_id") || leaf.ends_with("_uuid") => 15,
        (leaf, _) if numbers.iter().any(|number| leaf.ends_with(&format!("_{number}"))) => 12,
        ("email" | "phone", _) => 8,
        _ => 0,
    };
    by_name - 2 * i32::try_from(around.len()).unwrap_or(i32::MAX / 4)
}

/// Whether the name of a key is one of an id at all.
pub(super) fn is_likely(steps: &[String], entity: &str) -> bool {
    score(steps, entity) >= 20
}

/// Whether `other` may well be the key instead of `best`.
pub(super) fn is_close(best: &[String], other: &[String], entity: &str) -> bool {
    is_likely(other, entity) && score(other, entity) + 25 >= score(best, entity)
}

/// Where the time of an event of this type is likely to stand, best first.
pub(super) fn times(shape: &ObjectShape, event_type: &str) -> Vec<Steps> {
    let action = event_type.rsplit(['.', '_']).next().unwrap_or(event_type);
    let mut found = Vec::new();
    look(shape, &mut Vec::new(), &mut |steps, (of, shape), _| {
        if shape.inferred(of) == Inferred::Timestamp {
            let score = time_score(steps, action);
            if score > 0 {
                found.push((score, steps.to_vec()));
            }
        }
    });
    found.sort_by_key(|(score, _)| -score);
    found.into_iter().take(MOST_TIMES).map(|(_, steps)| steps).collect()
}

fn time_score(steps: &[String], action: &str) -> i32 {
    let Some((leaf, around)) = steps.split_last() else { return 0 };
    let name = naming::field(leaf);
    let has = |words: &[&str]| words.iter().any(|word| name.contains(word));
    let stem: String = action.chars().take(5).collect();
    let at_top = around.is_empty();
    let score = if has(&["occur", "event_", "trigger", "happen", "fired"]) {
        60
    } else if stem.len() >= 4 && name.contains(&stem) && stem != "update" {
        55
    } else if at_top && ["timestamp", "time", "date", "ts", "at", "sent_at", "moved_at"].contains(&name.as_str()) {
        50
    } else if has(&["updat", "modif", "chang"]) {
        40
    } else if at_top && has(&["creat"]) {
        35
    } else if ["timestamp", "time"].contains(&name.as_str()) {
        30
    } else if has(&["creat"]) {
        20
    } else {
        0
    };
    if score == 0 { 0 } else { score - i32::try_from(around.len()).unwrap_or(score) }
}

/// Shows all members that are no objects, through objects but not through lists, and whether they are there each time.
fn look<'a>(
    shape: &'a ObjectShape,
    steps: &mut Steps,
    show: &mut impl FnMut(&[String], (&'a str, &'a super::shape::Shape), bool),
) {
    fn within<'a>(
        shape: &'a ObjectShape,
        steps: &mut Steps,
        always: bool,
        show: &mut impl FnMut(&[String], (&'a str, &'a super::shape::Shape), bool),
    ) {
        for (json, member) in &shape.members {
            let always = always && member.always(shape) && !super::walk::has_no_field(json, steps.is_empty());
            steps.push(json.clone());
            match &member.object {
                Some(object) if member.inferred(json) == Inferred::Object => within(object, steps, always, show),
                Some(_) => {}
                None => show(steps, (json, member), always),
            }
            steps.pop();
        }
    }
    within(shape, steps, true, show);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::json::{Document, MAX_DEPTH, Node};

    fn shape(body: &str) -> ObjectShape {
        let mut shape = ObjectShape::default();
        shape.add(&Document::scan(body.as_bytes(), MAX_DEPTH).unwrap(), Node::ROOT, 0);
        shape
    }

    #[test]
    fn the_key_is_the_entity_s_own_id() {
        for (entity, body, expected) in [
            ("order", r#"{"id":"evt","order":{"id":7,"customer":{"id":9}}}"#, "order.id"),
            ("order", r#"{"id":"evt","data":{"id":7,"customer_id":9}}"#, "data.id"),
            ("customer", r#"{"id":"evt","data":{"object":{"id":"c","account":"a"}}}"#, "data.object.id"),
            ("parcel", r#"{"parcelNo":"42","shop":"x"}"#, "parcelNo"),
            ("order", r#"{"order_id":7,"customer_id":9,"event_id":"e"}"#, "order_id"),
            ("ticket", r#"{"id":5,"title":"x"}"#, "id"),
            ("orders", r#"{"order":{"id":null,"number":"A"}}"#, "order.number"),
            ("order", r#"{"items":[{"id":1}],"reference":"r"}"#, "reference"),
        ] {
            assert_eq!(keys(&shape(body), entity, None)[0].join("."), expected, "{body}");
        }
        assert!(keys(&shape(r#"{"items":[{"id":1}],"name":" "}"#), "order", None).is_empty());
    }

    #[test]
    fn the_time_is_that_of_the_event_before_that_of_the_entity() {
        let times = |event_type: &str, body: &str| -> Vec<String> {
            times(&shape(body), event_type).iter().map(|steps| steps.join(".")).collect()
        };
        let at = "\"2026-06-02T12:00:00Z\"";
        let body = format!(
            r#"{{"order":{{"created_at":{at},"updated_at":{at},"cancelledAt":{at},"due_at":{at}}},"sent_at":{at}}}"#
        );
        assert_eq!(times("order.cancelled", &body), ["order.cancelledAt", "sent_at", "order.updated_at"]);
        assert_eq!(times("order.created", &body), ["order.created_at", "sent_at", "order.updated_at"]);
        assert_eq!(times("x", r#"{"due":1}"#), [""; 0]);
    }
}
