//! Index entries: values encoded as bytes that sort like the values, in every storage.
use crate::Timestamp;
use chrono::{Datelike, NaiveDate};
use uuid::Uuid;

/// A value that can be part of an index entry. The bytes sort like the values, and no encoded value is a prefix of
/// another.
///
/// ```
/// use cqrs_core::IndexKey;
///
/// let bytes = |put: &dyn Fn(&mut Vec<u8>)| { let mut out = vec![]; put(&mut out); out };
/// assert!(bytes(&|out| (-1i64).put(out)) < bytes(&|out| 1i64.put(out)));
/// assert!(bytes(&|out| "a".put(out)) < bytes(&|out| "ab".put(out)));
/// assert!(bytes(&|out| None::<u32>.put(out)) < bytes(&|out| Some(0u32).put(out)));
/// ```
///
/// `#[derive(IndexKey)]` makes an enum without fields or a type around another key a column. A variant is stored as its
/// number and sorts by it, as with `derive(Ord)`. The numbers are written in the source, so that the order of the variants
/// has no effect:
///
/// ```
/// use cqrs_core::{IndexKey, View};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, IndexKey)]
/// pub enum Priority { High = 1, Normal = 2, Low = 3 }
/// #[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, IndexKey)]
/// pub struct Cents(i64);
///
/// #[derive(Debug, Clone, Serialize, Deserialize, View)]
/// #[view(name = "invoice", key = u64)]
/// #[index(by_priority(priority, -amount))]
/// pub struct Invoice { priority: Priority, amount: Cents }
///
/// let urgent = Invoice::by_priority().priority(Priority::High).amount_in(Cents(1_000)..);
/// ```
///
/// Stored entries keep the number that they were written with. A variant whose number changes, and a column whose type
/// changes, need an index with another name.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be part of an index",
    note = "integers, floats, text, char, bool, `Uuid`, `Timestamp`, `NaiveDate`, `Option` of them and types made with `id!` \
            can; for an enum or a type around one of these write `#[derive(IndexKey)]`"
)]
pub trait IndexKey {
    /// Appends the encoded value.
    fn put(&self, out: &mut Vec<u8>);
    /// Appends the encoded value for descending order.
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
            // The sign bit is flipped, so that negative numbers sort first.
            fn put(&self, out: &mut Vec<u8>) { (*self as $unsigned ^ 1 << (<$unsigned>::BITS - 1)).put(out) }
        }
    )*};
}
integers!(u8, i8; u16, i16; u32, i32; u64, i64; u128, i128);

impl IndexKey for f64 {
    // Without the sign bit the bytes of a positive number sort like the number, and those of a negative one in reverse. -0.0 is
    // stored as 0.0, which is equal. NaN sorts outside of the numbers; JSON has none, so no view stores it.
    fn put(&self, out: &mut Vec<u8>) {
        let bits = (self + 0.0).to_bits();
        let sortable = if bits >> 63 == 1 { !bits } else { bits | 1 << 63 };
        sortable.put(out);
    }
}
impl IndexKey for f32 {
    fn put(&self, out: &mut Vec<u8>) {
        f64::from(*self).put(out);
    }
}
impl IndexKey for char {
    fn put(&self, out: &mut Vec<u8>) {
        u32::from(*self).put(out);
    }
}
impl IndexKey for NaiveDate {
    fn put(&self, out: &mut Vec<u8>) {
        self.num_days_from_ce().put(out);
    }
}
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
            Some(value) => {
                out.push(1);
                value.put(out);
            }
        }
    }
}
impl<T: IndexKey + ?Sized> IndexKey for &T {
    fn put(&self, out: &mut Vec<u8>) {
        (**self).put(out);
    }
}

#[cfg(all(test, feature = "macros"))]
mod tests {
    use super::NaiveDate;
    use crate::{IndexKey, Range, View};
    use proptest::prelude::*;
    use serde::{Deserialize, Serialize};
    use std::{
        cmp::Reverse,
        ops::{Bound, RangeBounds},
    };

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, View)]
    #[view(name = "row", key = u64)]
    #[index(all(text, -number, -note, flag))]
    struct Row {
        text: String,
        number: i8,
        note: Option<String>,
        flag: bool,
    }
    impl Row {
        fn entry(&self) -> Vec<u8> {
            self.entries().remove(0).1
        }
        fn columns(&self) -> (&str, Reverse<i8>, Reverse<&Option<String>>, bool) {
            (&self.text, Reverse(self.number), Reverse(&self.note), self.flag)
        }
        /// Returns the ranges of no columns, of the first, of the first two, and so on.
        fn ranges(&self) -> [Range<Row>; 5] {
            let one = Row::all().text(&self.text);
            let two = one.clone().number(self.number);
            let three = two.clone().note(&self.note);
            let four = three.clone().flag(self.flag);
            [Row::all().into(), one.into(), two.into(), three.into(), four.into()]
        }
    }
    /// Texts that are equal, or prefixes of each other, more often than random ones.
    fn text() -> impl Strategy<Value = String> {
        proptest::collection::vec(proptest::sample::select(vec!['\0', '\u{1}', 'a', 'b', '\u{ff}', '한']), 0..4)
            .prop_map(String::from_iter)
    }
    fn row() -> impl Strategy<Value = Row> {
        (text(), -1..2i8, proptest::option::of(text()), any::<bool>()).prop_map(|(text, number, note, flag)| Row {
            text,
            number,
            note,
            flag,
        })
    }

    /// Bounds of every kind, also such that end before they begin.
    fn bounds<T: std::fmt::Debug + Clone + 'static>(
        values: impl Strategy<Value = T> + 'static,
    ) -> impl Strategy<Value = (Bound<T>, Bound<T>)> {
        let bound = (values, 0..3)
            .prop_map(|(value, kind)| match kind {
                0 => Bound::Included(value),
                1 => Bound::Excluded(value),
                _ => Bound::Unbounded,
            })
            .boxed();
        (bound.clone(), bound)
    }
    #[test]
    fn bounds_are_written_as_in_rust() {
        let of = |text: &str| Row { text: text.into(), number: 5, note: None, flag: true }.entry();
        for (range, expected) in [
            (Row::all().text_in("b".."d"), [false, true, true, false]),
            (Row::all().text_in("b"..="d"), [false, true, true, true]),
            (Row::all().text_in(.."c"), [true, true, false, false]),
            (Row::all().text_in(String::from("c")..), [false, false, true, true]),
        ] {
            assert_eq!(["a", "b", "c", "d"].map(|text| range.contains(&of(text))), expected);
        }
        let numbers = [Row::all().text("a").number_in(..5), Row::all().text("a").number_in(5..)];
        assert_eq!(numbers.map(|range| range.contains(&of("a"))), [false, true]);
        assert!(Row::all().text("a").number_in(..).contains(&of("a")));
        assert!(!Row::all().text("a").number_in(..).contains(&of("b")));
    }

    fn bytes(value: impl IndexKey) -> Vec<u8> {
        let mut out = vec![];
        value.put(&mut out);
        out
    }
    fn descending(value: impl IndexKey) -> Vec<u8> {
        let mut out = vec![];
        value.put_descending(&mut out);
        out
    }
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, IndexKey)]
    enum Level {
        High = 300,
        Low = -2,
        Middle = 7,
    }
    #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, IndexKey)]
    struct Name {
        text: String,
    }
    #[test]
    fn variants_are_stored_as_their_numbers() {
        let all = [Level::Low, Level::Middle, Level::High];
        assert!(all.is_sorted() && all.map(bytes).is_sorted() && all.map(descending).is_sorted_by(|a, b| a > b));
        assert_eq!(all.map(bytes), [-2i64, 7, 300].map(bytes), "the stored bytes of a number");
        assert_eq!(bytes(Name { text: "kim".into() }), bytes("kim"));
    }
    #[test]
    fn zero_has_one_encoding() {
        assert_eq!(bytes(0.0), bytes(-0.0));
    }
    proptest! {
        #[test]
        fn numbers_and_dates_sort_like_their_values(
            a: (u128, i128, char, f32), b: (u128, i128, char, f32), days in [-700_000..700_000i32, -700_000..700_000],
            x in proptest::num::f64::ANY, y in proptest::num::f64::ANY,
        ) {
            prop_assert_eq!(bytes(a.0).cmp(&bytes(b.0)), a.0.cmp(&b.0));
            prop_assert_eq!(bytes(a.1).cmp(&bytes(b.1)), a.1.cmp(&b.1));
            prop_assert_eq!(bytes(a.2).cmp(&bytes(b.2)), a.2.cmp(&b.2));
            for (x, y) in [(x, y), (a.3.into(), b.3.into())] {
                if !x.is_nan() && !y.is_nan() {
                    prop_assert_eq!(Some(bytes(x).cmp(&bytes(y))), x.partial_cmp(&y));
                }
            }
            prop_assert_eq!(bytes(a.3).cmp(&bytes(b.3)), bytes(f64::from(a.3)).cmp(&bytes(f64::from(b.3))));
            let dates = days.map(|days| NaiveDate::from_num_days_from_ce_opt(days).expect("the date is in range"));
            prop_assert_eq!(bytes(dates[0]).cmp(&bytes(dates[1])), dates[0].cmp(&dates[1]));
        }
        #[test]
        fn encoded_values_sort_like_the_values(a: Option<(i64, String)>, b: Option<(i64, String)>) {
            let join = |pair: &Option<(i64, String)>| {
                pair.as_ref().map_or(vec![0], |(number, text)| [vec![1], bytes(number), bytes(text)].concat())
            };
            prop_assert_eq!(join(&a).cmp(&join(&b)), a.cmp(&b));
        }
        #[test]
        fn entries_of_several_columns_sort_like_tuples(a in row(), b in row()) {
            prop_assert_eq!(a.entry().cmp(&b.entry()), a.columns().cmp(&b.columns()));
        }
        #[test]
        fn a_range_holds_the_entries_whose_leading_columns_are_equal(a in row(), b in row()) {
            let same = [true, a.text == b.text, a.number == b.number, a.note == b.note, a.flag == b.flag];
            for (columns, range) in a.ranges().iter().enumerate() {
                let expected = same[..=columns].iter().all(|same| *same);
                prop_assert_eq!(range.contains(&b.entry()), expected, "{} columns of {:?}, {:?}", columns, &a, &b);
            }
        }
        /// The first column is ascending, the second one descending, and the third one descending with texts in it.
        #[test]
        fn bounds_hold_the_values_that_they_hold_in_rust(
            row in row(), texts in bounds(text()), numbers in bounds(prop_oneof![-1..2i8, Just(i8::MIN), Just(i8::MAX)]),
            notes in bounds(proptest::option::of(text())), flags in bounds(any::<bool>()), other in row(),
        ) {
            let entry = row.entry();
            prop_assert_eq!(Row::all().text_in(texts.clone()).contains(&entry), texts.contains(&row.text));
            for of in [&row, &other] {
                let same_text = of.text == row.text;
                let range = Row::all().text(&of.text).number_in(numbers);
                prop_assert_eq!(range.contains(&entry), same_text && numbers.contains(&row.number));
                let same_number = same_text && of.number == row.number;
                let range = Row::all().text(&of.text).number(of.number).note_in(notes.clone());
                prop_assert_eq!(range.contains(&entry), same_number && notes.contains(&row.note));
                let same_note = same_number && of.note == row.note;
                let range = Row::all().text(&of.text).number(of.number).note(&of.note).flag_in(flags);
                prop_assert_eq!(range.contains(&entry), same_note && flags.contains(&row.flag));
            }
        }
        #[test]
        fn values_encoded_in_descending_order_sort_in_reverse(a: String, b: String) {
            prop_assert_eq!(descending(&a).cmp(&descending(&b)), b.cmp(&a));
        }
    }
}
