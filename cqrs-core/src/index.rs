//! Index entries: values as bytes that sort as the values do, on every storage alike.
use crate::Timestamp;
use uuid::Uuid;

/// A value that can be part of an index entry. The bytes sort as the values do; no value's bytes are the start of another's.
///
/// ```
/// use cqrs_core::IndexKey;
///
/// let bytes = |it: &dyn Fn(&mut Vec<u8>)| { let mut out = vec![]; it(&mut out); out };
/// assert!(bytes(&|out| (-1i64).put(out)) < bytes(&|out| 1i64.put(out)));
/// assert!(bytes(&|out| "a".put(out)) < bytes(&|out| "ab".put(out)));
/// assert!(bytes(&|out| None::<u32>.put(out)) < bytes(&|out| Some(0u32).put(out)));
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be part of an index",
    note = "integers, text, bool, `Uuid`, `Timestamp`, `Option` of them and types made with `id!` can"
)]
pub trait IndexKey {
    /// Appends the bytes.
    fn put(&self, out: &mut Vec<u8>);
    /// Appends bytes that sort the other way round.
    fn put_descending(&self, out: &mut Vec<u8>) {
        let start = out.len();
        self.put(out);
        out[start..].iter_mut().for_each(|byte| *byte = !*byte);
    }
}
macro_rules! integers {
    ($($unsigned:ty, $signed:ty);*) => {$(
        impl IndexKey for $unsigned {
            fn put(&self, out: &mut Vec<u8>) { out.extend(self.to_be_bytes()) }
        }
        impl IndexKey for $signed {
            // The sign bit flipped: negative numbers sort first.
            fn put(&self, out: &mut Vec<u8>) { (*self as $unsigned ^ 1 << (<$unsigned>::BITS - 1)).put(out) }
        }
    )*};
}
integers!(u8, i8; u16, i16; u32, i32; u64, i64);

impl IndexKey for bool {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }
}
impl IndexKey for str {
    // 0x00 is escaped and ends the text, so that "a" sorts before "ab" and before "a\0".
    fn put(&self, out: &mut Vec<u8>) {
        for byte in self.bytes() {
            out.push(byte);
            if byte == 0 {
                out.push(0xff);
            }
        }
        out.extend([0, 0]);
    }
}
impl IndexKey for String {
    fn put(&self, out: &mut Vec<u8>) {
        self.as_str().put(out);
    }
}
impl IndexKey for Uuid {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend(self.as_bytes());
    }
}
impl IndexKey for Timestamp {
    fn put(&self, out: &mut Vec<u8>) {
        self.timestamp_micros().put(out);
    }
}
impl<T: IndexKey> IndexKey for Option<T> {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            None => out.push(0),
            Some(it) => {
                out.push(1);
                it.put(out);
            }
        }
    }
}
impl<T: IndexKey + ?Sized> IndexKey for &T {
    fn put(&self, out: &mut Vec<u8>) {
        (**self).put(out);
    }
}

#[cfg(test)]
mod tests {
    use super::IndexKey;
    use proptest::prelude::*;

    fn bytes(it: impl IndexKey) -> Vec<u8> {
        let mut out = vec![];
        it.put(&mut out);
        out
    }
    fn descending(it: impl IndexKey) -> Vec<u8> {
        let mut out = vec![];
        it.put_descending(&mut out);
        out
    }
    proptest! {
        #[test]
        fn bytes_sort_as_values_do(a: Option<(i64, String)>, b: Option<(i64, String)>) {
            let join = |it: &Option<(i64, String)>| it.as_ref().map_or(vec![0], |(n, s)| [vec![1], bytes(n), bytes(s)].concat());
            prop_assert_eq!(join(&a).cmp(&join(&b)), a.cmp(&b));
        }
        #[test]
        fn descending_turns_them_round(a: String, b: String) {
            prop_assert_eq!(descending(&a).cmp(&descending(&b)), b.cmp(&a));
        }
    }
}
