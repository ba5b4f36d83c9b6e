//! Which partition a key goes to: what Kafka's Java client and librdkafka's `murmur2_random` do with a key, worked out here
//! for those who ask. Records are put in their place by librdkafka.

/// The partition of `key` in a topic with so many `partitions`: murmur2 of the key's bytes, without its sign, modulo the
/// count (Kafka's `BuiltInPartitioner.partitionForKey`).
pub(crate) fn of_key(key: &[u8], partitions: u32) -> u32 {
    of_hash(hash(key), partitions)
}

/// What a key's partition is worked out from, whatever their count.
pub(crate) fn hash(key: &[u8]) -> u32 {
    murmur2(key) & 0x7fff_ffff
}

/// The partition of a key with this [`hash`].
pub(crate) fn of_hash(hash: u32, partitions: u32) -> u32 {
    hash % partitions.max(1)
}

/// Kafka's variant of Austin Appleby's `MurmurHash2`, 32 bits, with a fixed seed (`Utils.murmur2`).
fn murmur2(bytes: &[u8]) -> u32 {
    const SEED: u32 = 0x9747_b28c;
    const M: u32 = 0x5bd1_e995;
    let mut hash = SEED ^ bytes.len() as u32;
    let (words, rest) = bytes.as_chunks::<4>();
    for word in words {
        let word = u32::from_le_bytes(*word).wrapping_mul(M);
        hash = hash.wrapping_mul(M) ^ (word ^ (word >> 24)).wrapping_mul(M);
    }
    if !rest.is_empty() {
        hash ^= rest.iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte));
        hash = hash.wrapping_mul(M);
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(M);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made with the Java client; its header says how.
    const GOLDEN: &str = include_str!("../../tests/it/murmur2.txt");

    #[test]
    fn a_key_goes_where_the_java_client_puts_it() {
        let vectors: Vec<_> =
            GOLDEN.lines().filter(|l| !l.starts_with('#')).map(|l| l.split_once('\t').unwrap()).collect();
        assert!(vectors.len() >= 60);
        for (key, partition) in vectors {
            assert_eq!(of_key(key.as_bytes(), 12), partition.parse::<u32>().unwrap(), "{key}");
        }
    }
}
