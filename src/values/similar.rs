//! Which of some known words was probably meant.

use strsim::osa_distance;

/// The known word that is closest to `word`, if it is close enough to be asked for.
pub(crate) fn closest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = plain(word);
    let distances = known.into_iter().filter_map(|candidate| {
        let other = plain(candidate);
        let shorter = word.len().min(other.len());
        // `warning` for `warn`: whole, and something behind it.
        let begins = shorter >= 3 && (word.starts_with(&other) || other.starts_with(&word));
        let distance = osa_distance(&word, &other);
        (distance <= ((shorter + 1) / 3).max(1) && shorter > 1 || begins).then_some((distance, candidate))
    });
    distances.min_by_key(|(distance, _)| *distance).map(|(_, candidate)| candidate)
}

/// Without what is easily mixed up.
fn plain(word: &str) -> String {
    word.trim().to_ascii_lowercase().replace(['-', '.', ' '], "_")
}

#[cfg(test)]
mod tests {
    use super::closest;

    #[test]
    fn a_slip_is_recognised_and_another_word_is_not() {
        let known = ["kafka", "registry", "bootstrap_servers", "per-entity", "warn", "secrets", "http", "SSL"];
        for (word, expected) in [
            ("kafak", Some("kafka")),
            ("bootstrap_server", Some("bootstrap_servers")),
            ("bootstrapServers", Some("bootstrap_servers")),
            ("per_entity", Some("per-entity")),
            ("warning", Some("warn")),
            ("secret", Some("secrets")),
            ("SSLL", Some("SSL")),
            ("Registry", Some("registry")),
            ("verbose", None),
            ("x", None),
            ("", None),
            ("spool", None),
        ] {
            assert_eq!(closest(word, known), expected, "{word}");
        }
    }
}
