//! What is said of a draft.

use std::fmt::Write as _;
use std::path::Path;

use crate::tools::infer::{Draft, DraftedType, SampleTrial, SeenSpan};
use crate::values::amount::counted;
use crate::values::time;

/// So many lines of one kind are shown.
const MOST_LINES: usize = 60;

/// A line for each type, and for each field that is new.
pub(super) fn types(profile: &str, draft: &Draft) -> String {
    let mut text = String::new();
    let widest = draft.types.iter().map(|ty| ty.name.len()).max().unwrap_or_default();
    for ty in &draft.types {
        let seen = if ty.seen.count == 0 { "by schema".to_owned() } else { samples(&ty.seen) };
        let _ = write!(text, "  {:widest$}  {seen}", ty.name);
        match &ty.new {
            Some(new) => {
                let time = if new.time.is_empty() { "none".to_owned() } else { new.time.join(", ") };
                let _ = writeln!(text, "  new: topic {profile}.{}, key {}, time {time}", new.topic, new.key);
            }
            None if was_left_out(ty, draft) => text += "  left out\n",
            None => text += "  known\n",
        }
    }
    for field in &draft.added {
        let _ = writeln!(text, "  new field {}.{} ({})", field.record, field.name, field.ty);
    }
    text
}

fn was_left_out(ty: &DraftedType, draft: &Draft) -> bool {
    draft.left_out.iter().any(|line| line.starts_with(&format!("{}: ", ty.name)))
}

fn samples(seen: &SeenSpan) -> String {
    let many = if seen.count == 1 { "sample" } else { "samples" };
    format!("{:>4} {many}{}", seen.count, span(seen))
}

/// ` from 2026-06-02T12:00:00.000Z to ...`, where that is known.
pub(super) fn span(seen: &SeenSpan) -> String {
    match (seen.first, seen.last) {
        (Some(first), Some(last)) => format!(" from {} to {}", time::to_rfc3339(first), time::to_rfc3339(last)),
        _ => String::new(),
    }
}

/// What became of the samples when they were converted by the new files. A reason may quote a body, so it is left out of what
/// others are to `review`.
pub(super) fn trial(trial: &SampleTrial, review: bool) -> String {
    let all = trial.converted + trial.failed.len();
    let mut text = match (trial.failed.is_empty(), trial.extra.is_empty()) {
        (true, nothing_extra) => {
            let all = if all == 1 { "the sample converts".to_owned() } else { format!("all {all} samples convert") };
            format!("{all}{}\n", if nothing_extra { ", with nothing in `extra`" } else { "" })
        }
        (false, _) => format!("{} of {} converted\n", trial.converted, counted(all as u64, "sample")),
    };
    let extra = trial.extra.iter().map(|(member, count)| format!("in `extra`: {member} ({count} times)"));
    let failed = trial.failed.iter().map(|(label, why)| {
        if review { format!("{label}: see `hookbridge dead-letters show {label}`") } else { format!("{label}: {why}") }
    });
    text += &list("", failed.chain(extra));
    text
}

/// What a person has to look at.
pub(super) fn doubts(draft: &Draft) -> String {
    list("nothing was made of:", draft.left_out.iter().cloned())
        + &list("does not go together with what is there:", draft.misfits.iter().cloned())
        + &list("unsure, please look:", draft.notes.iter().cloned())
}

/// `document` with `section`, in the place of the one with the same first line.
pub(super) fn with_section(document: &str, section: &str) -> String {
    let heading = section.lines().next().unwrap_or_default();
    let mut text = String::new();
    let mut is_same = false;
    for line in document.lines() {
        if line.starts_with("# ") {
            is_same = line == heading;
        }
        if !is_same {
            text += &format!("{line}\n");
        }
    }
    text + section
}

/// `head`, and a line for each; nothing where there are none.
pub(super) fn list(head: &str, lines: impl Iterator<Item = String>) -> String {
    let lines: Vec<_> = lines.collect();
    if lines.is_empty() {
        return String::new();
    }
    let mut text = if head.is_empty() { String::new() } else { format!("{head}\n") };
    for line in lines.iter().take(MOST_LINES) {
        let _ = writeln!(text, "  - {line}");
    }
    if lines.len() > MOST_LINES {
        let _ = writeln!(text, "  and {} more", lines.len() - MOST_LINES);
    }
    text
}

/// `wrote catalog/parcel: A.avsc, profile.toml`
pub(super) fn wrote(folder: &Path, draft: &Draft) -> String {
    let names: Vec<_> = draft.files.keys().map(String::as_str).collect();
    format!("wrote {}: {}\n", folder.display(), names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_which_may_quote_a_body_is_not_in_what_is_for_review() {
        let failed = vec![("id-1".to_owned(), "kind: unknown event type: 5511987654321".to_owned())];
        let tried = SampleTrial { failed, ..SampleTrial::default() };
        assert!(trial(&tried, false).contains("5511987654321"));
        assert!(!trial(&tried, true).contains("5511987654321") && trial(&tried, true).contains("id-1"));
    }

    #[test]
    fn a_section_takes_the_place_of_the_one_with_its_heading() {
        let one = with_section("", "# a\n\n1\n");
        let two = with_section(&one, "# b\n2\n");
        assert_eq!(two, "# a\n\n1\n# b\n2\n");
        assert_eq!(with_section(&two, "# a\n3\n"), "# b\n2\n# a\n3\n");
    }
}
