//! Ranges of an index.
use crate::{
    error::Fault,
    storage::Scan,
    view::page::{Cursor, Place},
    view::{IndexKey, View},
};
use sha2::{Digest, Sha256};
use std::{fmt, marker::PhantomData, ops::Bound};

/// A part of an index that [`Views`](crate::Views) reads: the entries with the given values of any number of leading
/// columns, and of the next column with values between two bounds. `derive(View)` writes a function for each `#[index]`, and
/// two steps for each of its columns, `column(value)` and `column_in(from..until)`:
///
/// ```
/// use cqrs_core::{Range, View};
/// # use serde::{Deserialize, Serialize};
/// #[derive(Debug, Clone, Serialize, Deserialize, View)]
/// #[view(name = "ticket", key = u64)]
/// #[index(by_owner(owner, open, -opened))]
/// pub struct Ticket { owner: String, open: bool, opened: i64 }
///
/// fn tickets(owner: &str, open: Option<bool>) -> Range<Ticket> {
///     let of_owner = Ticket::by_owner().owner(owner);
///     match open {
///         None => of_owner.into(),
///         Some(open) => of_owner.open(open).into(),
///     }
/// }
///
/// let this_week = Ticket::by_owner().owner("kim").open(true).opened_in(20..27); // `-opened`: the newest first
/// let from_a_to_k = Ticket::by_owner().owner_in("a".."l");
/// let oldest_first = Ticket::by_owner().owner("kim").open(true).reversed();
/// ```
///
/// The bounds are those of the standard library: `a..b` excludes `b`, `a..=b` includes it, and either may be left out. The
/// order of a column (`-`) does not change the meaning of its bounds. A range whose end is before its start is empty.
pub struct Range<V> {
    pub(crate) index: &'static str,
    /// The bytes at or after which the entries of the range are.
    pub(crate) from: Vec<u8>,
    /// The bytes before which they are; `None` at the end of the index.
    pub(crate) until: Option<Vec<u8>>,
    pub(super) is_reversed: bool,
    of: PhantomData<fn() -> V>,
}

impl<V> Range<V> {
    /// Returns the range of all entries of `index` that start with `prefix`.
    pub(crate) fn of_prefix(index: &'static str, prefix: Vec<u8>) -> Self {
        let until = successor(&prefix);
        Range { index, from: prefix, until, is_reversed: false, of: PhantomData }
    }
    /// Returns the range of the entries that start with `prefix` and whose next column is between these bounds.
    pub(crate) fn of_values<T: IndexKey + ?Sized>(
        index: &'static str,
        prefix: Vec<u8>,
        (start, end): (Bound<&T>, Bound<&T>),
        descending: bool,
    ) -> Self {
        let encoded = |value: &T| {
            let mut bytes = prefix.clone();
            if descending {
                value.put_descending(&mut bytes)
            } else {
                value.put(&mut bytes)
            }
            bytes
        };
        let (first, last) = if descending { (end, start) } else { (start, end) };
        let from = match first {
            Bound::Included(value) => Some(encoded(value)),
            Bound::Excluded(value) => successor(&encoded(value)),
            Bound::Unbounded => Some(prefix.clone()),
        };
        let until = match last {
            Bound::Included(value) => successor(&encoded(value)),
            Bound::Excluded(value) => Some(encoded(value)),
            Bound::Unbounded => successor(&prefix),
        };
        // Nothing sorts after the excluded value, and nothing before no bytes.
        let (from, until) = from.map_or((prefix, Some(Vec::new())), |from| (from, until));
        Range { index, from, until, is_reversed: false, of: PhantomData }
    }
    /// Returns the same entries in the opposite order.
    ///
    /// ```
    /// # use cqrs_core::{Range, View};
    /// # use serde::{Deserialize, Serialize};
    /// # #[derive(Debug, Clone, Serialize, Deserialize, View)]
    /// # #[view(name = "line", key = u64)]
    /// # #[index(of_text(text, number))]
    /// # pub struct Line { text: u64, number: u32 }
    /// let last_lines_first: Range<Line> = Line::of_text().text(1).number_in(..100).reversed();
    /// ```
    #[must_use]
    pub fn reversed(mut self) -> Self {
        self.is_reversed = !self.is_reversed;
        self
    }
    /// Returns the range without the view's type.
    pub(super) fn erased(self) -> Range<()> {
        let Range { index, from, until, is_reversed, .. } = self;
        Range { index, from, until, is_reversed, of: PhantomData }
    }
    /// Returns whether an entry of the index is in the range.
    pub(crate) fn contains(&self, entry: &[u8]) -> bool {
        entry >= &*self.from && self.until.as_deref().is_none_or(|until| entry < until)
    }
}

impl<V: View> Range<V> {
    /// Returns the cursor of a value in this range: a page at it begins with the value that follows. `None` for a value
    /// that is not in the range.
    ///
    /// ```
    /// use cqrs_core::{Cursor, Range, View};
    /// # use serde::{Deserialize, Serialize};
    /// # #[derive(Debug, Clone, Serialize, Deserialize, View)]
    /// # #[view(name = "line", key = u64)]
    /// # #[index(of_text(text, number))]
    /// # pub struct Line { text: u64, number: u32 }
    /// fn before(line: &Line, key: u64) -> Option<Cursor> {
    ///     let last_first: Range<Line> = Line::of_text().text(line.text).reversed();
    ///     last_first.cursor(line, &key)
    /// }
    /// assert!(before(&Line { text: 1, number: 7 }, 70).is_some());
    /// ```
    pub fn cursor(&self, value: &V, key: &V::Key) -> Option<Cursor> {
        let (_, entry) =
            value.entries().into_iter().find(|(index, entry)| *index == self.index && self.contains(entry))?;
        let key = key.to_string();
        let place = if self.is_reversed { Place::before(&entry, &key) } else { Place::after(&entry, &key) };
        Some(self.cursor_at(place, false))
    }
    pub(super) fn cursor_at(&self, place: Place, is_backwards: bool) -> Cursor {
        Cursor { range: self.fingerprint(), is_backwards, place }
    }
    /// Refuses a cursor that a page of another range returned.
    pub(super) fn check(&self, cursor: &Cursor) -> Result<(), Fault> {
        if cursor.range == self.fingerprint() { Ok(()) } else { Err(Fault::cursor_of_another_range()) }
    }
    /// Returns the part of the range on one side of a place. A cursor is not signed, so it cannot make the range larger.
    pub(super) fn scan<'a>(&'a self, place: Option<&'a Place>, is_backwards: bool, limit: usize) -> Scan<'a> {
        let reversed = self.is_reversed != is_backwards;
        let (mut from, mut until) = ((&*self.from, ""), self.until.as_deref().map(|until| (until, "")));
        if let Some(place) = place.map(Place::as_parts) {
            if reversed {
                until = Some(until.map_or(place, |until| until.min(place)));
            } else {
                from = from.max(place);
            }
        }
        Scan { view: V::NAME, index: self.index, from, until, reversed, limit }
    }
    /// Returns the fingerprint of the view, the index with its columns, the bounds and the direction.
    fn fingerprint(&self) -> [u8; 8] {
        let columns = V::INDEXES.iter().find(|(name, _)| *name == self.index).map_or("", |(_, columns)| columns);
        let until = self.until.as_deref();
        let direction = [u8::from(self.is_reversed), u8::from(until.is_some())];
        let parts =
            [V::NAME.as_bytes(), self.index.as_bytes(), columns.as_bytes(), &self.from, until.unwrap_or_default()];
        let mut digest = Sha256::new_with_prefix(direction);
        for part in parts {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        }
        let [a, b, c, d, e, f, g, h, ..]: [u8; 32] = digest.finalize().into();
        [a, b, c, d, e, f, g, h]
    }
}

impl<V> Clone for Range<V> {
    fn clone(&self) -> Self {
        let Range { index, is_reversed, .. } = *self;
        Range { index, from: self.from.clone(), until: self.until.clone(), is_reversed, of: PhantomData }
    }
}
impl<V> fmt::Debug for Range<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Range({})", self.index)
    }
}

/// Returns the smallest bytes that sort after everything with this prefix, or `None` when there are none.
fn successor(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte < u8::MAX)?;
    let mut next = prefix[..=last].to_vec();
    next[last] += 1;
    Some(next)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_successor_of_a_prefix_sorts_after_everything_that_starts_with_it() {
        assert_eq!(super::successor(b"ab"), Some(b"ac".to_vec()));
        assert_eq!(super::successor(&[1, 255, 255]), Some(vec![2]));
        assert_eq!(super::successor(&[255]), None);
        assert_eq!(super::successor(b""), None);
    }
}
