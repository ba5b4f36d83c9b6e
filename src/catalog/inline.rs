//! Types that are defined where they are first used: taken out, so that each stands for itself and the others refer to it by
//! name.

use serde_json::Value;

use super::FlawAt;

/// A record or an enum that was defined within a file.
pub(super) struct InlineType {
    /// Without the namespace.
    pub(super) name: String,
    pub(super) json: Value,
    /// JSON pointer from the file's top.
    pub(super) place: String,
}

/// Takes the definitions out of the fields of `record`, which stands at `place`; those within others too.
pub(super) fn take_out(
    namespace: &str,
    record: &mut Value,
    place: &str,
    found: &mut Vec<InlineType>,
) -> Result<(), FlawAt> {
    for (index, field) in record.get_mut("fields").and_then(Value::as_array_mut).into_iter().flatten().enumerate() {
        if let Some(ty) = field.get_mut("type") {
            take(namespace, ty, &format!("{place}/fields/{index}/type"), found)?;
        }
    }
    Ok(())
}

fn take(namespace: &str, ty: &mut Value, place: &str, found: &mut Vec<InlineType>) -> Result<(), FlawAt> {
    if let Some(branches) = ty.as_array_mut() {
        let mut all = branches.iter_mut().enumerate();
        return all.try_for_each(|(at, branch)| take(namespace, branch, &format!("{place}/{at}"), found));
    }
    if !matches!(ty["type"].as_str(), Some("record" | "enum")) {
        let inner = ["items", "values"].into_iter().find(|inner| ty.get(inner).is_some());
        return match inner {
            Some(inner) => take(namespace, &mut ty[inner], &format!("{place}/{inner}"), found),
            None => Ok(()),
        };
    }
    let name = ty["name"].as_str().filter(|name| !name.contains('.')).map(str::to_owned);
    let Some(name) = name else {
        return Err(FlawAt::new(format!("{place}/name"), "expected a name without a dot"));
    };
    match &ty["namespace"] {
        Value::Null => ty["namespace"] = namespace.into(),
        Value::String(written) if written == namespace => {}
        other => {
            let what = format!("got {other}, expected {namespace:?}, from the file's place");
            return Err(FlawAt::new(format!("{place}/namespace"), what));
        }
    }
    take_out(namespace, ty, place, found)?;
    let json = std::mem::replace(ty, format!("{namespace}.{name}").into());
    found.push(InlineType { name, json, place: place.to_owned() });
    Ok(())
}
