//! The webhooks of an OpenAPI document: which of their requests have a body of JSON, and its schema.

use serde_json::Value;

use super::BodySchema;
use super::nodes::{self, SchemaAt};

/// The methods of requests that bring an event.
const METHODS: [&str; 3] = ["post", "put", "patch"];

/// The bodies of one webhook, or why it has none that can be read.
pub(super) type Bodies<'r> = Result<Vec<BodySchema<'r>>, &'static str>;

/// What the webhooks of the document at `root` send, by their names.
pub(super) fn all<'r>(root: &SchemaAt<'r>) -> Vec<(&'r str, Bodies<'r>)> {
    let all = ["webhooks", "x-webhooks"].iter().filter_map(|key| root.schema[*key].as_object());
    all.flatten().map(|(name, item)| (&**name, bodies(root, name, item))).collect()
}

fn bodies<'r>(root: &SchemaAt<'r>, name: &str, item: &'r Value) -> Bodies<'r> {
    let item = root.within(item).followed();
    let mut found: Vec<BodySchema<'r>> = Vec::new();
    let mut why = "expected a request by POST, PUT or PATCH";
    for operation in METHODS.iter().filter_map(|method| item.schema.get(*method)) {
        let body = operation.get("requestBody").map(|body| item.within(body).followed());
        let Some((body, content)) = body.and_then(|body| Some((body.clone(), body.schema["content"].as_object()?)))
        else {
            why = "its request has no body";
            continue;
        };
        let json: Vec<_> = content.iter().filter(|(kind, _)| is_json(kind)).collect();
        why =
            if json.is_empty() { "expected a body of JSON, as application/json is" } else { "its body has no schema" };
        for schema in json.into_iter().filter_map(|(_, media)| media.get("schema")) {
            let at = body.within(schema);
            let same = |one: &BodySchema<'_>| one.at.clone().followed().schema == at.clone().followed().schema;
            if !found.iter().any(same) {
                let doc = ["description", "summary"].iter().find_map(|key| operation[*key].as_str());
                found.push(BodySchema { name: name.to_owned(), doc: doc.map(nodes::doc), at });
            }
        }
    }
    if found.is_empty() { Err(why) } else { Ok(found) }
}

/// Whether a body of this media type, or of one within this range, may be JSON.
fn is_json(kind: &str) -> bool {
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind.ends_with("/json") || kind.ends_with("+json") || ["*/*", "application/*"].contains(&&*kind)
}

#[cfg(test)]
mod tests {
    use super::is_json;

    #[test]
    fn a_media_type_of_json_is_one_in_any_case_with_parameters_and_as_a_range() {
        for kind in [
            "application/json",
            "Application/JSON; charset=utf-8",
            "application/vnd.x+json ; v=1",
            "text/json",
            "*/*",
            "application/*",
            "application/*+json",
        ] {
            assert!(is_json(kind), "{kind}");
        }
        for kind in ["application/xml", "application/x-www-form-urlencoded", "text/*", "application/jsonp", ""] {
            assert!(!is_json(kind), "{kind}");
        }
    }
}
