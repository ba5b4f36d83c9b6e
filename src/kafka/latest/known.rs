//! The newest state of each key that is known to be in its topic, by hashes: of so many keys for certain, those written last, and of
//! twice as many at the most.
//!
//! There are two generations. When the young one has as many keys as are asked for, the old one is forgotten and the young one takes
//! its place, so what is forgotten is what was not written for the longest time. While there are no more keys than that, none is.

use std::collections::HashMap;

use sha2::{Digest as _, Sha256};

use super::StateVersion;

/// Of a topic and a key in it.
pub(super) type KeyHash = [u8; 16];

/// 16 bytes of SHA-256: nobody makes two keys that share one.
pub(super) fn hash_of(topic: &str, key: &str) -> KeyHash {
    let digest = Sha256::new().chain_update(topic).chain_update([0]).chain_update(key).finalize();
    let mut hash = KeyHash::default();
    hash.copy_from_slice(&digest[..16]);
    hash
}

/// The newest state of a key, the last record that holds it, and the offset of the key's last record: the same one, if the topic did
/// not go backwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct KnownState {
    pub(super) version: StateVersion,
    pub(super) place: StatePlace,
    pub(super) last: i64,
}

impl KnownState {
    pub(super) fn of(version: StateVersion, place: StatePlace) -> KnownState {
        KnownState { version, place, last: place.offset }
    }

    /// Whether an older state comes behind it.
    pub(super) fn is_overtaken(&self) -> bool {
        self.place.offset < self.last
    }
}

/// A record's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StatePlace {
    /// The topic's number among the latest topics.
    pub(super) topic: u16,
    pub(super) partition: i32,
    pub(super) offset: i64,
}

/// What has changed since it was last saved.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// Topics of which all was forgotten, before the others.
    pub(super) cleared: Vec<u16>,
    /// `None` was forgotten.
    pub(super) states: HashMap<KeyHash, Option<KnownState>>,
    pub(super) generation: u64,
}

/// The newest states.
#[derive(Debug)]
pub(super) struct KnownStates {
    /// Of one generation.
    most: usize,
    generation: u64,
    young: HashMap<KeyHash, KnownState>,
    old: HashMap<KeyHash, KnownState>,
    dropped: u64,
    /// Kept only where somebody saves them.
    changes: Option<Changes>,
}

impl KnownStates {
    pub(super) fn new(most: usize) -> KnownStates {
        KnownStates {
            most: most.max(1),
            generation: 0,
            young: HashMap::new(),
            old: HashMap::new(),
            dropped: 0,
            changes: None,
        }
    }

    /// Takes over what was saved, with the generation of each; from here on changes are kept to be saved.
    pub(super) fn load(&mut self, generation: u64, saved: impl Iterator<Item = (KeyHash, KnownState, u64)>) {
        self.generation = generation;
        for (hash, state, of) in saved {
            let side = if of == generation { &mut self.young } else { &mut self.old };
            // The bound may have been lowered.
            if side.len() < self.most {
                side.insert(hash, state);
            }
        }
        self.changes = Some(Changes { generation, ..Changes::default() });
    }

    pub(super) fn get(&self, hash: &KeyHash) -> Option<KnownState> {
        self.young.get(hash).or_else(|| self.old.get(hash)).copied()
    }

    /// How many keys are known.
    pub(super) fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }

    /// How many keys were dropped for want of room.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// A state was found. Says whether the newest one stands before an older one now, so that the topic went backwards.
    pub(super) fn note(&mut self, hash: KeyHash, found: KnownState) -> bool {
        let Some(known) = self.get(&hash) else {
            self.set(hash, found);
            return false;
        };
        if known.place.partition != found.place.partition {
            // A partition was added. Which of the two a reader meets last, nobody can say.
            if found.version >= known.version {
                self.set(hash, found);
            }
            return false;
        }
        let order = |state: &KnownState| (state.version, state.place.offset);
        let newest = if order(&found) >= order(&known) { found } else { known };
        let newest = KnownState { last: known.last.max(found.last), ..newest };
        if newest != known {
            self.set(hash, newest);
        }
        newest.is_overtaken()
    }

    /// A tombstone is at this place: what stands before it does not count any more.
    pub(super) fn bury(&mut self, hash: &KeyHash, place: StatePlace) {
        let later = |known: &KnownState| known.place.partition == place.partition && known.place.offset > place.offset;
        if self.get(hash).is_some_and(|known| !later(&known)) {
            self.young.remove(hash);
            self.old.remove(hash);
            if let Some(changes) = &mut self.changes {
                changes.states.insert(*hash, None);
            }
        }
    }

    /// Forgets all of a topic: it was made anew.
    pub(super) fn clear(&mut self, topic: u16) {
        let others = |_: &KeyHash, state: &mut KnownState| state.place.topic != topic;
        self.young.retain(others);
        self.old.retain(others);
        if let Some(changes) = &mut self.changes {
            changes.states.retain(|_, state| state.is_some_and(|state| state.place.topic != topic));
            changes.cleared.push(topic);
        }
    }

    fn set(&mut self, hash: KeyHash, state: KnownState) {
        self.old.remove(&hash);
        self.young.insert(hash, state);
        if let Some(changes) = &mut self.changes {
            changes.states.insert(hash, Some(state));
        }
        if self.young.len() < self.most {
            return;
        }
        self.dropped += self.old.len() as u64;
        self.old = std::mem::take(&mut self.young);
        self.generation += 1;
    }

    /// What has changed since this was last asked, if anybody saves it.
    pub(super) fn take_changes(&mut self) -> Option<Changes> {
        let changes = self.changes.as_mut()?;
        let next = Changes { generation: self.generation, ..Changes::default() };
        let taken = std::mem::replace(changes, next);
        Some(Changes { generation: self.generation, ..taken })
    }

    /// All there is, as changes: what was taken before could not be saved.
    pub(super) fn take_all(&mut self, topics: u16) -> Option<Changes> {
        self.take_changes()?;
        let all = self.old.iter().chain(&self.young).map(|(hash, state)| (*hash, Some(*state)));
        Some(Changes { cleared: (0..topics).collect(), states: all.collect(), generation: self.generation })
    }
}

#[cfg(test)]
mod tests;
