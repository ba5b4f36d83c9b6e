//! Fields that are not sent but made here, from another field of the same record: their attribute `derive` says how.
//!
//! ```text
//! Ticket.avsc     {"name": "reference", "derive": {"from": "api_config", "reference": "externalKey"}, …}
//! in the body     {"apiConfig": {"externalKey": "deal-1"}, …}
//! in the record   api_config = "{\"externalKey\": \"deal-1\"}" ▸ reference = "deal-1"
//! ```

use std::collections::BTreeMap;

use super::CatalogError;
use super::avsc::{RecordSchema, RecordSchemas, Type};
use super::plan::{FieldKind, RecordPlan};

/// Tells the plans which fields are made here, and of what. Records of latest topics are not made by plan: those in
/// `latest`, and those with a head that are not in `events`, of topics that a profile leaves away.
pub(super) fn plan(
    records: &RecordSchemas,
    events: &[String],
    latest: &[String],
    plans: &mut [RecordPlan],
    indexes: &BTreeMap<String, usize>,
) -> Result<(), CatalogError> {
    let by_plan =
        |name: &String, record: &RecordSchema| events.contains(name) || !(record.has_head() || latest.contains(name));
    for (name, record) in records.iter().filter(|(name, record)| by_plan(name, record)) {
        // An event's head is no slot of the encoder's.
        let head = usize::from(record.has_head());
        for (index, field) in record.fields.iter().enumerate() {
            let Some(derive) = &field.derive else { continue };
            let fail = |what: String| record.error(&format!("/fields/{index}"), what);
            let Some(from) = derive.source(&record.fields).filter(|&from| from >= head) else {
                return Err(fail(format!("derive.from: {name} has no field `{}` that the sender sends", derive.from)));
            };
            let due = derive.takes();
            if record.fields[from].ty != due {
                return Err(fail(format!(
                    "derive.from: `{}`: expected {}, got {}",
                    derive.from,
                    due.word(),
                    record.fields[from].ty.word()
                )));
            }
            if field.ty != Type::String || !field.optional {
                return Err(fail("type: a derived field must be [\"null\", \"string\"]".into()));
            }
            let Some(plan) = indexes.get(name).and_then(|&index| plans.get_mut(index)) else { continue };
            plan.names.hide(index - head);
            plan.fields[index - head].kind = FieldKind::Derived { from: from - head, how: derive.how.clone() };
        }
    }
    Ok(())
}
