//! The members of a sorted set: an index entry and a key, as bytes that sort as the pair does.

/// The end of an entry. A NUL byte within it is followed by 0xff, so that no entry is a prefix of another one.
const END: [u8; 2] = [0, 0];

/// Returns the member of an entry and a key.
pub(super) fn member(entry: &[u8], key: &str) -> Vec<u8> {
    let mut member = Vec::with_capacity(entry.len() + key.len() + END.len());
    for byte in entry {
        member.push(*byte);
        if *byte == 0 {
            member.push(0xff);
        }
    }
    member.extend(END);
    member.extend(key.as_bytes());
    member
}

/// Returns the entry and the key of a member.
pub(super) fn parts(member: &[u8]) -> Option<(Vec<u8>, String)> {
    let (mut entry, mut rest) = (Vec::new(), member);
    loop {
        match rest {
            [0, 0, key @ ..] => return Some((entry, String::from_utf8(key.to_vec()).ok()?)),
            [0, 0xff, after @ ..] => {
                entry.push(0);
                rest = after;
            }
            [byte, after @ ..] if *byte != 0 => {
                entry.push(*byte);
                rest = after;
            }
            _ => return None,
        }
    }
}

/// Returns the bound of a range as Redis reads it: included at the start and excluded at the end, or the end of the set.
pub(super) fn bounds(from: (&[u8], &str), until: Option<(&[u8], &str)>) -> (Vec<u8>, Vec<u8>) {
    let with = |sign: u8, (entry, key): (&[u8], &str)| [&[sign], &member(entry, key)[..]].concat();
    (with(b'[', from), until.map_or_else(|| b"+".to_vec(), |until| with(b'(', until)))
}

#[cfg(test)]
mod tests {
    use super::{member, parts};
    use proptest::prelude::*;

    fn entry() -> impl Strategy<Value = Vec<u8>> {
        proptest::collection::vec(proptest::sample::select(vec![0x00, 0x01, 0x7f, 0xfe, 0xff]), 0..5)
    }
    proptest! {
        #[test]
        fn members_sort_like_their_entries_and_keys(a in entry(), b in entry(), x in "[ab\u{1}]{0,2}", y in "[ab\u{1}]{0,2}") {
            prop_assert_eq!(member(&a, &x).cmp(&member(&b, &y)), (&a, &x).cmp(&(&b, &y)));
            prop_assert_eq!(parts(&member(&a, &x)), Some((a, x)));
        }
    }
    #[test]
    fn bytes_of_another_form_are_no_member() {
        for bytes in [&b""[..], b"a", &[0], &[0, 1, 0, 0], &[0, 0, 0xff]] {
            assert_eq!(parts(bytes), None, "{bytes:?}");
        }
    }
}
