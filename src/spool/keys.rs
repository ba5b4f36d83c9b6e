//! How many deliveries there are of each key: exactly, as long as that takes little memory, and from then on of groups of
//! keys. So it never says that a key is free which is not.

use std::collections::HashMap;

/// Keys that are counted one by one, at most: about 4 MiB.
const MOST: usize = 7 << 14;
/// Groups from then on: 4 MiB.
const GROUPS: usize = 1 << 20;

/// A count for each key.
#[derive(Debug)]
pub(super) enum Keys {
    Exact(HashMap<u64, u32>),
    Groups {
        counts: Box<[u32]>,
        /// The sum of all.
        all: u64,
    },
}

impl Default for Keys {
    fn default() -> Keys {
        Keys::Exact(HashMap::new())
    }
}

fn group(key: u64) -> usize {
    (key % GROUPS as u64) as usize
}

impl Keys {
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Keys::Exact(counts) => counts.is_empty(),
            Keys::Groups { all, .. } => *all == 0,
        }
    }

    /// One more delivery with these keys.
    pub(super) fn add(&mut self, keys: &[u64]) {
        for &key in keys {
            match self {
                Keys::Exact(counts) => *counts.entry(key).or_insert(0) += 1,
                Keys::Groups { counts, all } => {
                    counts[group(key)] += 1;
                    *all += 1;
                }
            }
        }
        if let Keys::Exact(exact) = self
            && exact.len() > MOST
        {
            let mut counts = vec![0; GROUPS].into_boxed_slice();
            for (&key, &count) in exact.iter() {
                counts[group(key)] += count;
            }
            let all = exact.values().map(|&count| u64::from(count)).sum();
            *self = Keys::Groups { counts, all };
        }
    }

    /// One less.
    pub(super) fn remove(&mut self, keys: &[u64]) {
        for &key in keys {
            match self {
                Keys::Exact(counts) => {
                    if let Some(count) = counts.get_mut(&key) {
                        *count -= 1;
                        if *count == 0 {
                            counts.remove(&key);
                        }
                    }
                }
                Keys::Groups { counts, all } => {
                    let count = &mut counts[group(key)];
                    *all -= u64::from(*count > 0);
                    *count = count.saturating_sub(1);
                }
            }
        }
        if self.is_empty() {
            // Gives the memory back.
            *self = Keys::default();
        }
    }

    /// Whether there may be a delivery with any of these.
    pub(super) fn has_any(&self, keys: &[u64]) -> bool {
        match self {
            Keys::Exact(counts) => !counts.is_empty() && keys.iter().any(|key| counts.contains_key(key)),
            Keys::Groups { counts, .. } => keys.iter().any(|&key| counts[group(key)] > 0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_free_when_as_many_have_left_as_had_come() {
        let mut keys = Keys::default();
        keys.add(&[1, 2]);
        keys.add(&[2]);
        assert!(keys.has_any(&[3, 2]) && !keys.has_any(&[3]));
        keys.remove(&[2, 1]);
        assert!(keys.has_any(&[2]) && !keys.has_any(&[1]));
        keys.remove(&[2]);
        assert!(keys.is_empty() && !keys.has_any(&[1, 2, 3]));
    }

    #[test]
    fn many_keys_are_counted_in_groups_and_none_is_free_too_early() {
        let mut keys = Keys::default();
        // Spread as hashes are.
        let of = |n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let many = MOST as u64 + 1000;
        (0..many).for_each(|n| keys.add(&[of(n)]));
        assert!(matches!(keys, Keys::Groups { .. }));
        assert!((0..many).all(|n| keys.has_any(&[of(n)])));
        let free = (many..2 * many).filter(|&n| !keys.has_any(&[of(n)])).count() as u64;
        assert!(free > many * 3 / 4, "{free} of {many} others are free");
        (1..many).for_each(|n| keys.remove(&[of(n)]));
        assert!(keys.has_any(&[of(0)]) && !keys.is_empty());
        keys.remove(&[of(0)]);
        assert!(matches!(&keys, Keys::Exact(counts) if counts.is_empty()), "small again");
    }
}
