//! What has to keep its order among deliveries that are at hand together, and what need not: deliveries that share a key, themselves or through others, are in one
//! chain. Chains go side by side, the deliveries of one go one after the other.

use std::collections::{BTreeMap, HashMap};

use crate::convert::prepare::Prepared;

/// Parts deliveries, each with whatever stands beside it, into chains. Within one they stay in their order.
pub(crate) fn chains<T>(deliveries: Vec<(T, Prepared<'_>)>) -> impl Iterator<Item = Vec<(T, Prepared<'_>)>> {
    let roots = roots(deliveries.iter().map(|(_, prepared)| prepared.keys()));
    let mut chains: BTreeMap<usize, Vec<_>> = BTreeMap::new();
    for (root, delivery) in roots.into_iter().zip(deliveries) {
        chains.entry(root).or_default().push(delivery);
    }
    chains.into_values()
}

/// For each item the first that it hangs together with.
fn roots<'k>(items: impl Iterator<Item = impl Iterator<Item = &'k str>>) -> Vec<usize> {
    // Each points to one before it in the same chain, the first to itself.
    let mut before: Vec<usize> = Vec::new();
    let mut first_with: HashMap<&str, usize> = HashMap::new();
    for (at, keys) in items.enumerate() {
        before.push(at);
        for key in keys {
            let (a, b) = (root(&before, *first_with.entry(key).or_insert(at)), root(&before, at));
            before[a.max(b)] = a.min(b);
        }
    }
    (0..before.len()).map(|at| root(&before, at)).collect()
}

fn root(before: &[usize], mut at: usize) -> usize {
    while before[at] != at {
        at = before[at];
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_shares_a_key_even_through_others_is_in_one_chain() {
        for (items, expected) in [
            (&[&["a"][..], &["b"], &["a"]][..], &[0, 1, 0][..]),
            (&[&["a"], &["b"], &["a", "b"], &["c"]], &[0, 0, 0, 3]),
            (&[&["a"], &["b"], &["c"], &["c", "b"], &["b", "a"], &["d", "d"]], &[0, 0, 0, 0, 0, 5]),
            (&[], &[]),
        ] {
            let items = items.iter().map(|keys| keys.iter().copied());
            assert_eq!(roots(items), expected);
        }
    }
}
