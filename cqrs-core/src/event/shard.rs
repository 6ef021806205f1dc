//! Relay shards: the shard of a key, by the hash that Kafka uses for partitions.

/// Returns the relay shard of a key: `murmur2(key) mod 16`. It is stored with every entry, so the function never
/// changes.
///
/// ```
/// use cqrs_core::event::{RELAY_SHARDS, shard_of};
///
/// assert_eq!(shard_of("kim"), shard_of("kim"));
/// assert!(shard_of("lee") < RELAY_SHARDS);
/// ```
pub fn shard_of(key: &str) -> u16 {
    ((murmur2(key.as_bytes()) & 0x7fff_ffff) % u32::from(RELAY_SHARDS)) as u16
}

/// MurmurHash2 with the seed that Kafka's default partitioner uses (org.apache.kafka.common.utils.Utils.murmur2).
pub(crate) fn murmur2(data: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    let mut hash = 0x9747_b28c_u32 ^ data.len() as u32;
    let mut chunks = data.chunks_exact(4);
    for chunk in &mut chunks {
        let mut k = u32::from_le_bytes([chunk[0], chunk[1], chunk[2], chunk[3]]).wrapping_mul(M);
        k ^= k >> 24;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    let rest = chunks.remainder();
    if !rest.is_empty() {
        hash ^= rest.iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte));
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ hash >> 15
}

/// The number of relay shards. It is fixed, since `murmur2(key) mod 16` is stored with every entry.
pub const RELAY_SHARDS: u16 = 16;

#[cfg(test)]
mod tests {
    /// Values of Kafka's own UtilsTest.
    #[test]
    fn murmur2_matches_the_values_of_kafkas_own_test() {
        for (text, hash) in [("21", -973_932_308), ("foobar", -790_332_482), ("a-little-bit-long-string", -985_981_536)]
        {
            assert_eq!(super::murmur2(text.as_bytes()) as i32, hash, "{text}");
        }
    }
}
