//! Each of several once, in their order: the ids that an event is linked to, the numbers of its entity.

use std::hash::Hash;

use indexmap::IndexSet;

/// So many are compared one by one, for which no memory is needed. A body may have far more.
const FEW: usize = 16;

/// Each of `found` once, in the order in which they were found.
pub(super) fn distinct<T: Eq + Hash>(mut found: Vec<T>) -> Vec<T> {
    if found.len() > FEW {
        return found.into_iter().collect::<IndexSet<_>>().into_iter().collect();
    }
    let mut at = 1;
    while at < found.len() {
        if found[..at].contains(&found[at]) {
            found.remove(at);
        } else {
            at += 1;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn each_is_there_once_in_the_order_of_the_first(found in prop::collection::vec(0..20, 0..2 * FEW)) {
            let expected: Vec<i32> = found.iter().copied().collect::<IndexSet<_>>().into_iter().collect();
            prop_assert_eq!(distinct(found), expected);
        }
    }
}
