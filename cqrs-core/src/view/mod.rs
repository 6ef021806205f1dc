//! Views (read models): values under a key with indexes. Projections change them, and queries read them.
mod answers;
mod change;
mod index;
mod index_reader;
mod live;
mod page;
mod range;
mod resume_token;
mod views;

pub use answers::Answers;
pub use change::{Change, ErasedChange};
pub(crate) use change::{ErasedStep, Written};
pub use index::IndexKey;
pub(crate) use index_reader::IndexReader;
pub use live::{Live, LivePage, Update};
pub use page::{Cursor, InvalidCursor, Page};
pub use range::Range;
pub use resume_token::{InvalidResumeToken, ResumeToken};
pub use views::{PAGE_LIMIT, Views};

/// The index entries of a value: the name of each index, and bytes that sort as the indexed values do.
pub(crate) type IndexEntries = Vec<(&'static str, Vec<u8>)>;
/// A function that returns the index entries of a stored value.
pub(crate) type EntriesOf = fn(&[u8]) -> Result<IndexEntries, Fault>;

use crate::{codec::PersonalFields, error::Fault, message::Stored, stored_form::StoredForm};
use std::fmt::Display;

/// A read model. The trait is derived:
///
/// ```
/// use cqrs_core::View;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Debug, Clone, Serialize, Deserialize, View)]
/// #[view(name = "ticket", key = u64)]
/// #[index(by_owner(owner, -opened))]
/// pub struct Ticket { owner: String, opened: i64 }
///
/// let all = Ticket::by_owner();                                    // by owner, and of each owner the newest first
/// let of_kim = Ticket::by_owner().owner("kim");                    // the newest first
/// let of_a_day = Ticket::by_owner().owner("kim").opened_in(20..21);
/// let oldest_first = Ticket::by_owner().owner("kim").reversed();
/// ```
///
/// A read gives values for any number of leading columns of an index, from none to all, and bounds for the next one. The
/// other columns order the result; `-` means descending. [`Range`] describes it.
pub trait View: Clone + Stored + Send + Sync + 'static {
    /// The name under which the view is stored.
    const NAME: &'static str;
    /// The type of the view's key.
    type Key: Display + Send + Sync;
    /// The indexes, each with its columns as the attribute has them. The derive writes this constant.
    const INDEXES: &'static [(&'static str, &'static str)] = &[];
    /// The personal fields. `#[personal]` writes this constant.
    #[doc(hidden)]
    const PERSONAL: &'static PersonalFields = &PersonalFields::NONE;
    /// Returns the index entries. The derive writes this method.
    fn entries(&self) -> Vec<(&'static str, Vec<u8>)> {
        Vec::new()
    }
    /// Returns the description of the stored form. The derive writes this method. The default describes nothing, so nothing
    /// is compared at the start of a changed program.
    #[doc(hidden)]
    fn stored_form() -> StoredForm {
        StoredForm::default()
    }
    /// Returns the change that stores this value under `key`.
    fn put(self, key: impl Into<Self::Key>) -> Change<Self> {
        Change::none().and(key.into(), move |_| Some(self))
    }
    /// Returns the change that alters the value under `key`. It does nothing if there is none.
    fn update(key: impl Into<Self::Key>, change: impl FnOnce(&mut Self) + Send + 'static) -> Change<Self> {
        Change::none().and(key.into(), |found| {
            found.map(|mut view| {
                change(&mut view);
                view
            })
        })
    }
    /// Returns the change that removes the value under `key`.
    fn remove(key: impl Into<Self::Key>) -> Change<Self> {
        Change::none().and(key.into(), |_| None)
    }
    /// Returns the change that alters each value in a range of an index, with the limits and guarantees of
    /// [`Change::and_where`].
    fn update_where(range: impl Into<Range<Self>>, change: impl Fn(&mut Self) + Send + 'static) -> Change<Self> {
        Change::none().and_where(range, move |mut view| {
            change(&mut view);
            Some(view)
        })
    }
    /// Returns the change that removes each value in a range of an index, with the limits and guarantees of
    /// [`Change::and_where`].
    fn remove_where(range: impl Into<Range<Self>>) -> Change<Self> {
        Change::none().and_where(range, |_| None)
    }
}
