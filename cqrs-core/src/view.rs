//! Read models: a view under a key, with indexes, changed by projections and read by queries.
use crate::{
    Context, Fault, FromContext, Missing, Needs, PositionToken, Stored, app::Shared, batch::Position, storage::Scan,
    world::within,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use std::{fmt, fmt::Display, marker::PhantomData, str::FromStr, sync::Arc, time::Duration};

/// A read model. Derived:
///
/// ```
/// use cqrs_core::View;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Debug, Clone, Serialize, Deserialize, View)]
/// #[view(name = "card", key = u64)]
/// #[index(by_owner(owner, -opened))]
/// pub struct Card { owner: String, opened: i64 }
///
/// let of_kim = Card::by_owner("kim");   // the newest first
/// ```
///
/// An index's first column is given when reading; the others order what is found, `-` the other way round. An index whose first
/// column has a sign orders everything: `#[index(all(-opened))]`, read with `Card::all()`.
pub trait View: Clone + Stored + Send + Sync + 'static {
    /// The name it is stored under.
    const NAME: &'static str;
    /// Under what it is found.
    type Key: Display + Send + Sync;
    /// Its index entries; written by the derive.
    fn entries(&self) -> Vec<(&'static str, Vec<u8>)> {
        Vec::new()
    }
    /// The change that puts this value under `key`.
    fn put(self, key: impl Into<Self::Key>) -> Change<Self> {
        Change::none().and(key.into(), move |_| Some(self))
    }
    /// The change that alters what is under `key`; nothing there stays nothing.
    fn update(key: impl Into<Self::Key>, change: impl FnOnce(&mut Self) + Send + 'static) -> Change<Self> {
        Change::none().and(key.into(), |found| {
            found.map(|mut it| {
                change(&mut it);
                it
            })
        })
    }
    /// The change that removes what is under `key`.
    fn remove(key: impl Into<Self::Key>) -> Change<Self> {
        Change::none().and(key.into(), |_| None)
    }
}

type Alter<V> = Box<dyn FnOnce(Option<V>) -> Option<V> + Send>;

/// What an event does to a view: pure, so that it can be tried without a database and run again after a conflict.
pub struct Change<V>(Vec<(String, Alter<V>)>);
impl<V: View> Change<V> {
    /// Nothing.
    pub fn none() -> Self {
        Change(Vec::new())
    }
    /// And what is under `key` becomes what `alter` makes of it.
    pub fn and(mut self, key: V::Key, alter: impl FnOnce(Option<V>) -> Option<V> + Send + 'static) -> Self {
        self.0.push((key.to_string(), Box::new(alter)));
        self
    }
    /// This change, then another.
    pub fn then(mut self, other: Change<V>) -> Self {
        self.0.extend(other.0);
        self
    }
    /// The keys and what happens to each, on stored bytes.
    pub(crate) fn erased(self) -> Vec<(String, AlterBytes)> {
        let erase = |(key, alter): (String, Alter<V>)| {
            let erased: AlterBytes = Box::new(move |found: Option<&[u8]>| {
                let found = found.map(serde_json::from_slice).transpose()?;
                let Some(next) = alter(found) else { return Ok(None) };
                Ok(Some(Written { value: serde_json::to_vec(&next)?, entries: next.entries() }))
            });
            (key, erased)
        };
        self.0.into_iter().map(erase).collect()
    }
}
impl<V> fmt::Debug for Change<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(key, _)| key)).finish()
    }
}
pub(crate) type AlterBytes = Box<dyn FnOnce(Option<&[u8]>) -> Result<Option<Written>, Fault> + Send>;
/// A view's value as it is to be stored.
pub(crate) struct Written {
    pub(crate) value: Vec<u8>,
    pub(crate) entries: Vec<(&'static str, Vec<u8>)>,
}

/// Part of an index: what [`Views::page`] reads. The derive writes a function for each `#[index]`.
pub struct Range<V> {
    index: &'static str,
    prefix: Vec<u8>,
    of: PhantomData<fn() -> V>,
}
impl<V> Range<V> {
    /// All entries of `index` that start with `prefix`.
    pub fn new(index: &'static str, prefix: Vec<u8>) -> Self {
        Range { index, prefix, of: PhantomData }
    }
}
impl<V> fmt::Debug for Range<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Range({})", self.index)
    }
}

/// Some of what a range holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<V> {
    /// In the index's order.
    pub items: Vec<V>,
    /// Pass it as `after` for what follows; `None` at the end.
    pub next: Option<Cursor>,
}

/// Reads views of one kind. A read waits until the view has seen what this process has committed, and what the caller's position
/// token names: at most a second, then [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable).
///
/// ```
/// # use cqrs_core::{View, Views, Query, Never, Page, handler};
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Debug, Clone, Serialize, Deserialize, View)]
/// # #[view(name = "card", key = u64)]
/// # #[index(by_owner(owner, -opened))]
/// # pub struct Card { owner: String, opened: i64 }
/// #[derive(Clone, Query)]
/// struct CardsOf { owner: String, after: Option<cqrs_core::Cursor> }
///
/// #[handler]
/// async fn cards_of(query: CardsOf, cards: Views<Card>) -> cqrs_core::Result<Vec<Card>, Never> {
///     Ok(cards.page(Card::by_owner(&query.owner), query.after.as_ref(), 20).await?.items)
/// }
/// ```
pub struct Views<V> {
    shared: Arc<Shared>,
    /// `None`: takes what is there.
    sees: Option<PositionToken>,
    of: PhantomData<fn() -> V>,
}
/// The largest page.
pub const PAGE_LIMIT: usize = 1000;
const PATIENCE: Duration = Duration::from_secs(1);
const LOOK_AGAIN: Duration = Duration::from_millis(10);

impl<V: View> Views<V> {
    /// Reads what is there, without waiting for anything.
    pub fn eventually(mut self) -> Self {
        self.sees = None;
        self
    }
    /// What is under this key.
    ///
    /// # Errors
    /// [`Fault`] when the database fails or the view does not catch up in time.
    pub async fn get(&self, key: &V::Key) -> Result<Option<V>, Fault> {
        self.caught_up().await?;
        let found = self.shared.storage.views(V::NAME, &[key.to_string()]).await?;
        let value = found.into_iter().next().and_then(|stored| stored.value);
        Ok(value.map(|bytes| serde_json::from_slice(&bytes)).transpose()?)
    }
    /// Part of a range, at most `limit` (and [`PAGE_LIMIT`]), after the cursor that the page before ended with.
    ///
    /// # Errors
    /// As [`get`](Views::get).
    pub async fn page(&self, range: Range<V>, after: Option<&Cursor>, limit: usize) -> Result<Page<V>, Fault> {
        self.caught_up().await?;
        let limit = limit.clamp(1, PAGE_LIMIT);
        let scan = Scan {
            view: V::NAME,
            index: range.index,
            prefix: &range.prefix,
            after: after.map(|cursor| (&*cursor.entry, &*cursor.key)),
            limit: limit + 1,
        };
        let mut found = self.shared.storage.scan(&scan).await?;
        let more = found.len() > limit;
        found.truncate(limit);
        let next = if more {
            found.last().map(|last| Cursor { entry: last.entry.clone(), key: last.key.clone() })
        } else {
            None
        };
        let items = found.iter().map(|it| serde_json::from_slice(&it.value)).collect::<Result<_, _>>()?;
        Ok(Page { items, next })
    }

    async fn caught_up(&self) -> Result<(), Fault> {
        let Some(token) = &self.sees else { return Ok(()) };
        let shared = &self.shared;
        let wanted = token.of(&shared.service).max(shared.last_committed());
        if shared.readers_of(V::NAME).all(|reader| reader.seen() >= wanted) {
            return Ok(());
        }
        let catching_up = async {
            for reader in shared.readers_of(V::NAME) {
                // Another process may be the one that moves it, so the stored position counts as well.
                while reader.seen() < wanted {
                    let _ = within(&*shared.world, LOOK_AGAIN, reader.moved_to(wanted)).await;
                    if reader.seen() < wanted {
                        let stored = shared.storage.positions(std::slice::from_ref(&reader.name)).await?;
                        reader.saw(Position(stored.first().copied().unwrap_or(0)));
                    }
                }
            }
            Ok(())
        };
        let late = || Fault::unavailable(format!("view {} has not reached position {} yet", V::NAME, wanted.0));
        within(&*shared.world, PATIENCE, catching_up).await.unwrap_or_else(|| Err(late()))
    }
}
impl<V: View> FromContext for Views<V> {
    fn from_context(context: &Context) -> Result<Self, Missing> {
        Ok(Views { shared: context.shared.clone(), sees: Some(context.metadata.token.clone()), of: PhantomData })
    }
    fn needs(needs: &mut Needs) {
        needs.view(V::NAME);
    }
}
impl<V: View> fmt::Debug for Views<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Views<{}>", V::NAME)
    }
}

/// Where a page ended: what the next one comes after. Opaque text for a URL; parse it at the edge.
///
/// ```
/// use cqrs_core::Cursor;
/// assert!("not a cursor!".parse::<Cursor>().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    entry: Vec<u8>,
    key: String,
}
impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let length = (self.entry.len() as u32).to_be_bytes();
        f.write_str(&URL_SAFE_NO_PAD.encode([&length, &*self.entry, self.key.as_bytes()].concat()))
    }
}
impl FromStr for Cursor {
    type Err = BadCursor;
    fn from_str(text: &str) -> Result<Self, BadCursor> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| BadCursor)?;
        let (length, rest) = bytes.split_first_chunk().ok_or(BadCursor)?;
        let (entry, key) = rest.split_at_checked(u32::from_be_bytes(*length) as usize).ok_or(BadCursor)?;
        let key = String::from_utf8(key.into()).map_err(|_| BadCursor)?;
        Ok(Cursor { entry: entry.into(), key })
    }
}
/// Text that no page ended with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor: pass the `next` of the page before")]
pub struct BadCursor;
