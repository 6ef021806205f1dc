//! Ranges of an index, and the pages in which they are read.
use crate::view::View;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use std::{fmt, marker::PhantomData, str::FromStr};

/// A part of an index that [`Views::page`](crate::Views::page) reads: the entries with the given values of any number of
/// leading columns. `derive(View)` writes a function for each `#[index]`, and a step for each of its columns:
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
/// ```
pub struct Range<V> {
    pub(super) index: &'static str,
    pub(super) prefix: Vec<u8>,
    of: PhantomData<fn() -> V>,
}

impl<V> Range<V> {
    /// Returns the range of all entries of `index` that start with `prefix`.
    pub(crate) fn new(index: &'static str, prefix: Vec<u8>) -> Self {
        Range { index, prefix, of: PhantomData }
    }
}

impl<V: View> Range<V> {
    /// Returns the cursor of a value in this range: a page after it begins with the value that follows. `None` for a value
    /// that is not in the range.
    ///
    /// ```
    /// use cqrs_core::{Cursor, Range, View};
    /// # use serde::{Deserialize, Serialize};
    /// # #[derive(Debug, Clone, Serialize, Deserialize, View)]
    /// # #[view(name = "line", key = u64)]
    /// # #[index(of_text(text, -number))]
    /// # pub struct Line { text: u64, number: u32 }
    /// fn before(line: &Line, key: u64) -> Option<Cursor> {
    ///     let newest_first: Range<Line> = Line::of_text().text(line.text).into();
    ///     newest_first.cursor(line, &key)
    /// }
    /// assert!(before(&Line { text: 1, number: 7 }, 70).is_some());
    /// ```
    pub fn cursor(&self, value: &V, key: &V::Key) -> Option<Cursor> {
        let of_index =
            |(index, entry): &(&'static str, Vec<u8>)| *index == self.index && entry.starts_with(&self.prefix);
        let (_, entry) = value.entries().into_iter().find(of_index)?;
        Some(Cursor { entry, key: key.to_string() })
    }
}

impl<V> fmt::Debug for Range<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Range({})", self.index)
    }
}

/// One page of a range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<V> {
    /// The values, in the order of the index.
    pub items: Vec<V>,
    /// The cursor for the next page, to be passed as `after`; `None` on the last page.
    pub next: Option<Cursor>,
}

/// The end of a page, after which the next one begins. As text it is opaque and safe in a URL; parse it at the edge.
///
/// ```
/// use cqrs_core::Cursor;
/// assert!("not a cursor!".parse::<Cursor>().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    pub(super) entry: Vec<u8>,
    pub(super) key: String,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let length = (self.entry.len() as u32).to_be_bytes();
        f.write_str(&URL_SAFE_NO_PAD.encode([&length, &*self.entry, self.key.as_bytes()].concat()))
    }
}

impl FromStr for Cursor {
    type Err = InvalidCursor;
    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| InvalidCursor)?;
        let (length, rest) = bytes.split_first_chunk().ok_or(InvalidCursor)?;
        let (entry, key) = rest.split_at_checked(u32::from_be_bytes(*length) as usize).ok_or(InvalidCursor)?;
        let key = String::from_utf8(key.into()).map_err(|_| InvalidCursor)?;
        Ok(Cursor { entry: entry.into(), key })
    }
}

/// The error of text that is not a cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor: pass the `next` of the previous page")]
pub struct InvalidCursor;
