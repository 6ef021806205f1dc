//! Changes of views, as projections return them.
use crate::{
    codec::{NewerFields, decode},
    error::Fault,
    view::{IndexEntries, Range, View},
};
use std::fmt;

type Alter<V> = Box<dyn FnOnce(Option<V>) -> Option<V> + Send>;
type AlterEach<V> = Box<dyn Fn(V) -> Option<V> + Send>;

/// The change that an event makes to a view.
///
/// It is a pure value, so a test needs no database, and the change can run again after a conflict.
#[must_use = "a change has an effect only if the projection returns it"]
pub struct Change<V>(Vec<ChangeStep<V>>);

enum ChangeStep<V> {
    Key(String, Alter<V>),
    Range(Range<V>, AlterEach<V>),
}

impl<V: View> Change<V> {
    /// Returns a change that changes nothing.
    pub fn none() -> Self {
        Change(Vec::new())
    }
    /// Adds a step: `alter` receives the value under `key`, if there is one, and returns its new value, or `None` to
    /// remove it.
    pub fn and(mut self, key: V::Key, alter: impl FnOnce(Option<V>) -> Option<V> + Send + 'static) -> Self {
        self.0.push(ChangeStep::Key(key.to_string(), Box::new(alter)));
        self
    }
    /// Adds a step for each value in a range of an index: `alter` receives the value, and returns its new value, or `None` to
    /// remove it. So an event that does not carry the keys changes the values that it concerns.
    ///
    /// The range is read as the events before have left it, including those of the same batch. It may hold at most a
    /// thousand values; with more, the event is parked with an error that names the range.
    ///
    /// While one projection alone changes the view, no value is missed and none is changed that is not in the range. Beside
    /// another projection of the view, a value that enters the range after it was read is missed; a value that was read is
    /// changed only if it is still the same.
    ///
    /// ```
    /// use cqrs_core::{Change, View};
    /// # use serde::{Deserialize, Serialize};
    /// # #[derive(Debug, Clone, Serialize, Deserialize, View)]
    /// # #[view(name = "ticket", key = u64)]
    /// # #[index(by_owner(owner))]
    /// # pub struct Ticket { owner: String, open: bool }
    /// fn owner_left(owner: &str) -> Change<Ticket> {
    ///     Change::none().and_where(Ticket::by_owner().owner(owner), |ticket| ticket.open.then_some(ticket))
    /// }
    /// fn owner_renamed(owner: &str, name: String) -> Change<Ticket> {
    ///     Ticket::update_where(Ticket::by_owner().owner(owner), move |ticket| ticket.owner.clone_from(&name))
    /// }
    /// ```
    pub fn and_where(mut self, range: impl Into<Range<V>>, alter: impl Fn(V) -> Option<V> + Send + 'static) -> Self {
        self.0.push(ChangeStep::Range(range.into(), Box::new(alter)));
        self
    }
    /// Adds the steps of another change after those of this one.
    pub fn then(mut self, other: Change<V>) -> Self {
        self.0.extend(other.0);
        self
    }
    /// Returns the steps as functions on stored bytes.
    pub(crate) fn erased(self) -> Vec<ErasedStep> {
        let erase = |step| match step {
            ChangeStep::Key(key, alter) => {
                let alter: AlterBytes = Box::new(move |stored, is_newest| altered(stored, is_newest, alter));
                ErasedStep::Key(key, alter)
            }
            ChangeStep::Range(range, alter) => {
                let alter: AlterEachBytes = Box::new(move |stored, is_newest| {
                    altered(Some(stored), is_newest, |found: Option<V>| found.and_then(&alter))
                });
                ErasedStep::Range(range.erased(), alter)
            }
        };
        self.0.into_iter().map(erase).collect()
    }
}

/// Changes the stored bytes of a value.
fn altered<V: View>(
    stored: Option<&[u8]>,
    is_newest: bool,
    alter: impl FnOnce(Option<V>) -> Option<V>,
) -> Result<Option<Written>, Fault> {
    let found = stored.map(decode::<V>).transpose()?;
    let newer_fields =
        found.as_ref().zip(stored).and_then(|(found, stored)| NewerFields::of(found, stored, V::PERSONAL));
    let Some(next) = alter(found) else { return Ok(None) };
    let value = NewerFields::encode(newer_fields.as_ref(), &next, is_newest, V::PERSONAL)?;
    Ok(Some(Written { value, entries: next.entries() }))
}

impl<V> fmt::Debug for Change<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.0).finish()
    }
}
impl<V> fmt::Debug for ChangeStep<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ChangeStep::Key(key, _) => key.fmt(f),
            ChangeStep::Range(range, _) => range.fmt(f),
        }
    }
}

/// A step of a change without the view's type.
pub(crate) enum ErasedStep {
    Key(String, AlterBytes),
    Range(Range<()>, AlterEachBytes),
}

/// Changes the stored bytes of a value; the flag says whether this is the newest program.
pub(crate) type AlterBytes = Box<dyn FnOnce(Option<&[u8]>, bool) -> Result<Option<Written>, Fault> + Send>;
/// Changes the stored bytes of each value of a range.
pub(crate) type AlterEachBytes = Box<dyn Fn(&[u8], bool) -> Result<Option<Written>, Fault> + Send>;

/// A view's value in its stored form, with its index entries.
pub(crate) struct Written {
    pub(crate) value: Vec<u8>,
    pub(crate) entries: IndexEntries,
}

/// A change of a view without the view's type.
pub struct ErasedChange(pub(crate) Vec<ErasedStep>);

impl fmt::Debug for ErasedChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ErasedChange")
    }
}
