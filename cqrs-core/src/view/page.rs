//! The pages in which a range is read, and the cursors that lead from one to the next.
use crate::{codec, error::Fault, storage::Scanned};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::de::DeserializeOwned;
use std::{fmt, str::FromStr};

/// One page of a range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<V> {
    /// The values, in the order of the range.
    pub items: Vec<V>,
    /// The cursor of the page before this one; `None` on the first page. When all values before a page have gone since its
    /// cursor was made, the page that this one leads to is empty.
    pub previous: Option<Cursor>,
    /// The cursor of the page after this one; `None` on the last page. A page that was read backwards has one, even if all
    /// values after it have gone.
    pub next: Option<Cursor>,
}

impl<V> Page<V> {
    /// Returns a page with each value converted, and with the same cursors.
    ///
    /// ```
    /// # use cqrs_core::Page;
    /// let page = Page { items: vec![1, 2], previous: None, next: None };
    /// assert_eq!(page.map(|number| number * 10).items, [10, 20]);
    /// ```
    pub fn map<T>(self, convert: impl FnMut(V) -> T) -> Page<T> {
        Page { items: self.items.into_iter().map(convert).collect(), previous: self.previous, next: self.next }
    }
}

impl Page<Scanned> {
    /// Returns the page with the stored values decoded.
    pub(super) fn decoded<V: DeserializeOwned>(self) -> Result<Page<V>, Fault> {
        let items = self.items.iter().map(|entry| codec::decode(&entry.value)).collect::<Result<_, _>>()?;
        Ok(Page { items, previous: self.previous, next: self.next })
    }
}

/// A place in a range, between two values, with the direction in which the page there is read: the `next` or the `previous`
/// of a [`Page`]. As text it is opaque and safe in a URL; parse it at the edge.
///
/// A cursor stays valid when values come and go, and is refused by any other range.
///
/// ```
/// use cqrs_core::Cursor;
/// assert!("not a cursor!".parse::<Cursor>().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// The fingerprint of the range.
    pub(super) range: [u8; 8],
    pub(super) is_backwards: bool,
    pub(super) place: Place,
}

/// A place in an index: before this entry and key, whether or not they exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    entry: Vec<u8>,
    key: String,
}
impl Place {
    pub(super) fn before(entry: &[u8], key: &str) -> Self {
        Place { entry: entry.into(), key: key.into() }
    }
    /// No stored key has a NUL character, so none is between a key and the key with U+0001 after it.
    pub(super) fn after(entry: &[u8], key: &str) -> Self {
        Place { entry: entry.into(), key: format!("{key}\u{1}") }
    }
    pub(super) fn as_parts(&self) -> (&[u8], &str) {
        (&self.entry, &self.key)
    }
}

impl Cursor {
    /// Returns whether the cursor leads to the page before: it is the `previous` of a page, and not a `next`.
    pub fn is_backwards(&self) -> bool {
        self.is_backwards
    }
}
impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place { entry, key } = &self.place;
        let length = (entry.len() as u32).to_be_bytes();
        let direction = [u8::from(self.is_backwards)];
        f.write_str(&URL_SAFE_NO_PAD.encode([&direction, &self.range[..], &length, entry, key.as_bytes()].concat()))
    }
}

impl FromStr for Cursor {
    type Err = InvalidCursor;
    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| InvalidCursor)?;
        let ([direction], rest) = bytes.split_first_chunk().ok_or(InvalidCursor)?;
        let (range, rest) = rest.split_first_chunk().ok_or(InvalidCursor)?;
        let (length, rest) = rest.split_first_chunk().ok_or(InvalidCursor)?;
        let (entry, key) = rest.split_at_checked(u32::from_be_bytes(*length) as usize).ok_or(InvalidCursor)?;
        let key = String::from_utf8(key.into()).map_err(|_| InvalidCursor)?;
        match direction {
            0 | 1 if !key.contains('\0') => {
                let place = Place { entry: entry.into(), key };
                Ok(Cursor { range: *range, is_backwards: *direction == 1, place })
            }
            _ => Err(InvalidCursor),
        }
    }
}

/// The error of text that is not a cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor: pass the `next` or `previous` of another page")]
pub struct InvalidCursor;
