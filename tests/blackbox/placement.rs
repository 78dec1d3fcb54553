//! Where a row of the test shop must live, computed apart from the proxy.
//!
//! Only the two vindexes that the test shop uses, written from their definitions: `hash` is DES
//! with an all-zero key over the big-endian number, `xxhash` is XXH64 of the value's bytes,
//! little-endian.

use des::Des;
use des::cipher::{BlockCipherEncrypt, KeyInit};
use xxhash_rust::xxh64::xxh64;

/// How a table of the test shop is sharded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Vindex {
    /// `hash` of an integer.
    Hash,
    /// `xxhash` of the bytes.
    XxHash,
}

/// Keyspace id of a value that is given as text.
pub(crate) fn keyspace_id(vindex: Vindex, value: &[u8]) -> [u8; 8] {
    match vindex {
        Vindex::Hash => {
            let text = std::str::from_utf8(value).expect("an integer is ASCII");
            let number: i64 = text.parse().expect("the hash vindex takes integers");
            let mut block = (number as u64).to_be_bytes().into();
            Des::new(&[0; 8].into()).encrypt_block(&mut block);
            block.into()
        }
        Vindex::XxHash => xxh64(value, 0).to_le_bytes(),
    }
}

/// Is the keyspace id in a range written as `40-80`, `-40` or `c0-`?
pub(crate) fn covers(range: &str, id: &[u8]) -> bool {
    let (start, end) = range.split_once('-').expect("a shard's range has a hyphen");
    let (start, end) = (bytes(start), bytes(end));
    id >= start.as_slice() && (end.is_empty() || id < end.as_slice())
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits = |at| u8::from_str_radix(&hex[at..at + 2], 16).expect("a range is hexadecimal");
    (0..hex.len()).step_by(2).map(digits).collect()
}

/// Known answers from the Vitess test vectors: `hash(1)` and its place.
#[test]
fn known_keyspace_ids() {
    let one = keyspace_id(Vindex::Hash, b"1");
    assert_eq!(one, [0x16, 0x6b, 0x40, 0xb4, 0x4a, 0xba, 0x4b, 0xd6]);
    assert!(covers("-40", &one) && !covers("40-80", &one) && covers("-", &one));
    let two = keyspace_id(Vindex::Hash, b"2");
    assert_eq!(two, [0x06, 0xe7, 0xea, 0x22, 0xce, 0x92, 0x70, 0x8f]);
    assert!(covers("c0-", &[0xc0]) && !covers("80-c0", &[0xc0]));
}
