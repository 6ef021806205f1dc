//! Reading of views, with a wait until they have caught up (read-your-writes).
use crate::{
    codec,
    environment::within,
    error::{Error, Fault},
    event::{kind_of, stream_of},
    metadata::ConsistencyToken,
    position::Position,
    runtime::{ReaderProgress, Runtime, Wanted},
    storage::{ParkedPage, ReadLimit, Scanned, Storage, StoredView},
    view::index_reader::IndexReader,
    view::page::{Cursor, Page, Place},
    view::{Range, View},
};
use futures_util::FutureExt;
use std::{collections::HashMap, fmt, marker::PhantomData, sync::Arc, time::Duration};

/// The reader of one view.
///
/// A read first waits until the view includes every event of its projections that this process has committed, and the
/// positions in the caller's consistency token (read-your-writes). After one second it fails with
/// [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable), and at once for a position that the log has not reached. A
/// token of another epoch of the database is refused at once ([`Error::OutdatedToken`]).
///
/// It fails likewise when one of these events could not be applied and is parked, as far as that can be known: when it
/// belongs to the aggregate whose id is the key, or to the aggregate of the event at the token's position.
/// [`eventually`](Views::eventually) reads what there is.
///
/// ```
/// # use cqrs_core::{HandlerResult, Query, View, Views, handler};
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Debug, Clone, Serialize, Deserialize, View)]
/// # #[view(name = "ticket", key = u64)]
/// # #[index(by_owner(owner, -opened))]
/// # pub struct Ticket { owner: String, opened: i64 }
/// #[derive(Clone, Query)]
/// struct TicketsOf { owner: String, after: Option<cqrs_core::Cursor> }
///
/// #[handler]
/// async fn tickets_of(query: TicketsOf, tickets: Views<Ticket>) -> HandlerResult<Vec<Ticket>> {
///     Ok(tickets.page(Ticket::by_owner().owner(&query.owner), query.after.as_ref(), 20).await?.items)
/// }
/// ```
pub struct Views<V> {
    pub(crate) runtime: Arc<Runtime>,
    /// The positions to wait for; `None` reads without waiting.
    pub(crate) sees: Option<ConsistencyToken>,
    /// Whether a read waits for the events that this process has committed, too.
    pub(crate) own_commits: bool,
    pub(crate) of: PhantomData<fn() -> V>,
}

/// The largest number of values in a page.
pub const PAGE_LIMIT: usize = 1000;

/// The longest wait of a read for the view to catch up.
const MAX_WAIT: Duration = Duration::from_secs(1);

/// The interval between two reads of the stored checkpoint during that wait.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

impl<V: View> Views<V> {
    /// Reads the current state of the view, without waiting.
    pub fn eventually(mut self) -> Self {
        self.sees = None;
        self
    }
    /// Waits for the positions in the caller's consistency token only, and not for later commits of this process.
    ///
    /// A step of a process reads with it what its caller has seen, and does not wait for the step before.
    pub fn seen_by_caller(mut self) -> Self {
        self.own_commits = false;
        self
    }
    /// Returns the value under this key, if there is one.
    ///
    /// # Errors
    /// Returns a [`Fault`] when the database fails or the view does not catch up in time.
    pub async fn find(&self, key: &V::Key) -> Result<Option<V>, Fault> {
        let key = key.to_string();
        self.caught_up().await?;
        let keys = [key];
        self.complete(&keys).await?;
        let found = self.stored(&keys).await?;
        let value = found.into_iter().next().and_then(|stored| stored.value);
        Ok(value.map(|bytes| codec::decode(&bytes)).transpose()?)
    }
    /// Returns the value under this key.
    ///
    /// # Errors
    /// Returns [`Error::NotFound`] when there is none, and faults as [`find`](Views::find) does.
    pub async fn get<E>(&self, key: &V::Key) -> Result<V, Error<E>> {
        self.find(key).await?.ok_or_else(|| Error::NotFound { kind: V::NAME, id: key.to_string() })
    }
    /// Returns the values under these keys, in the order of the keys, in one round trip. `None` stands for a key without a
    /// value. The cost grows with the number of keys, so a number that a client chooses needs a limit at the edge.
    ///
    /// ```
    /// # use cqrs_core::{HandlerResult, Query, View, Views, handler};
    /// # use serde::{Deserialize, Serialize};
    /// # #[derive(Debug, Clone, Serialize, Deserialize, View)]
    /// # #[view(name = "product", key = u64)]
    /// # pub struct Product { title: String }
    /// #[derive(Clone, Query)]
    /// struct TitlesOf(Vec<u64>);
    ///
    /// #[handler]
    /// async fn titles_of(query: TitlesOf, products: Views<Product>) -> HandlerResult<Vec<String>> {
    ///     let found = products.find_all(&query.0).await?;
    ///     Ok(found.into_iter().flatten().map(|product| product.title).collect())
    /// }
    /// ```
    ///
    /// # Errors
    /// Returns faults as [`find`](Views::find) does. One value that cannot be read fails the whole read.
    pub async fn find_all(&self, keys: &[V::Key]) -> Result<Vec<Option<V>>, Fault> {
        let keys: Vec<String> = keys.iter().map(ToString::to_string).collect();
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        self.caught_up().await?;
        self.complete(&keys).await?;
        let found = self.stored(&keys).await?;
        let values: HashMap<_, _> = found.into_iter().filter_map(|stored| Some((stored.key, stored.value?))).collect();
        let value = |key| values.get(key).map(|bytes| codec::decode(bytes)).transpose();
        Ok(keys.iter().map(value).collect::<Result<_, _>>()?)
    }
    /// Returns one page of a range: at most `limit` values (and at least one and at most [`PAGE_LIMIT`]). Without a cursor
    /// it is the first page; the `next` and `previous` of a page lead to those beside it.
    ///
    /// A page is a scan of the index and no snapshot: a value that changes its place between two pages can be in both or in
    /// neither. The values that stay are in exactly one page, in either direction.
    ///
    /// # Errors
    /// Returns faults as [`find`](Views::find) does, and refuses a cursor of another range
    /// ([`Error::CursorOfAnotherRange`]).
    pub async fn page(&self, range: impl Into<Range<V>>, at: Option<&Cursor>, limit: usize) -> Result<Page<V>, Fault> {
        let range = range.into();
        if let Some(cursor) = at {
            range.check(cursor)?;
        }
        self.part(&range, at.map(|cursor| &cursor.place), at.is_some_and(|cursor| cursor.is_backwards), limit).await
    }
    /// Returns the last page of a range, in the order of the range, such as the newest messages of a conversation. Its
    /// `previous` leads to the page before.
    ///
    /// # Errors
    /// Returns faults as [`find`](Views::find) does.
    pub async fn last_page(&self, range: impl Into<Range<V>>, limit: usize) -> Result<Page<V>, Fault> {
        self.part(&range.into(), None, true, limit).await
    }
    /// Returns the exact number of values in a range.
    ///
    /// The cost grows with that number: the database reads each entry of the index, though no value. A hundred thousand
    /// entries take some ten milliseconds. [`count_up_to`](Views::count_up_to) has a limit.
    ///
    /// # Errors
    /// Returns faults as [`find`](Views::find) does.
    pub async fn count(&self, range: impl Into<Range<V>>) -> Result<u64, Fault> {
        self.count_up_to(range, usize::MAX).await
    }
    /// Returns the number of values in a range, and reads no more than `limit` entries. The number is exact if it is lower
    /// than `limit`; otherwise there are at least `limit` values.
    ///
    /// # Errors
    /// Returns faults as [`find`](Views::find) does.
    pub async fn count_up_to(&self, range: impl Into<Range<V>>, limit: usize) -> Result<u64, Fault> {
        let range = range.into();
        self.caught_up().await?;
        self.complete(&[]).await?;
        let scan = range.scan(None, false, limit);
        match &self.runtime.query_side {
            Some(side) => side.count(&self.runtime, V::NAME, scan, self.of_query_side()).await,
            None => IndexReader::of::<V>(&self.runtime).count(scan).await,
        }
    }
    /// Returns the stored values under these keys.
    pub(super) async fn stored(&self, keys: &[String]) -> Result<Vec<StoredView>, Fault> {
        match &self.runtime.query_side {
            Some(side) => side.find(&self.runtime, V::NAME, keys, self.of_query_side()).await,
            None => self.runtime.storage.views(V::NAME, keys).await,
        }
    }
    /// Returns what a read of a query side must include.
    fn of_query_side(&self) -> Wanted {
        Wanted::Readers(self.sees.as_ref().map_or(Position(0), |token| token.of(&self.runtime.service)))
    }
    /// Returns the page on one side of a place in the range, or at one end of it.
    async fn part(
        &self,
        range: &Range<V>,
        place: Option<&Place>,
        is_backwards: bool,
        limit: usize,
    ) -> Result<Page<V>, Fault> {
        self.caught_up().await?;
        self.complete(&[]).await?;
        self.scanned(range, place, is_backwards, limit).await?.decoded()
    }
    /// Reads the page on one side of a place in the range, or at one end of it, without waiting.
    pub(super) async fn scanned(
        &self,
        range: &Range<V>,
        place: Option<&Place>,
        is_backwards: bool,
        limit: usize,
    ) -> Result<Page<Scanned>, Fault> {
        let limit = limit.clamp(1, PAGE_LIMIT);
        let scan = range.scan(place, is_backwards, limit + 1);
        let mut found = match &self.runtime.query_side {
            Some(side) => side.range(&self.runtime, V::NAME, scan, self.of_query_side()).await?,
            None => IndexReader::of::<V>(&self.runtime).scan(scan).await?,
        };
        let has_more = found.len() > limit;
        found.truncate(limit);
        // The places before the first and after the last value that was read, in the direction of the scan.
        let before = |Scanned { entry, key, .. }: &Scanned| {
            if scan.reversed { Place::after(entry, key) } else { Place::before(entry, key) }
        };
        let after = |Scanned { entry, key, .. }: &Scanned| {
            if scan.reversed { Place::before(entry, key) } else { Place::after(entry, key) }
        };
        let start = place.map(|place| found.first().map_or_else(|| place.clone(), before));
        let end = found.last().filter(|_| has_more).map(after);
        let (mut previous, mut next) = (start, end);
        if is_backwards {
            found.reverse();
            std::mem::swap(&mut previous, &mut next);
        }
        let cursor = |place: Option<Place>, is_backwards| place.map(|place| range.cursor_at(place, is_backwards));
        Ok(Page { items: found, previous: cursor(previous, true), next: cursor(next, false) })
    }
    /// Returns the position that a read waits for. Events of this process that the projection does not handle change
    /// nothing in the view.
    fn wanted(&self, reader: &ReaderProgress, seen_by_caller: Position) -> Position {
        if self.own_commits { seen_by_caller.max(reader.last_committed()) } else { seen_by_caller }
    }
    /// Refuses a read of a value that lacks a parked event. The projections have passed such an event, so the position
    /// alone does not show it.
    ///
    /// Which values an event changes is known only to the projection. A read is refused when events are parked of the
    /// aggregate whose id is one of the keys, or of the aggregate whose event is at the position of the caller's token. Only
    /// these are looked up, so the cost does not grow with the number of parked messages.
    pub(super) async fn complete(&self, keys: &[String]) -> Result<(), Fault> {
        let Some(token) = self.sees.as_ref().filter(|_| self.runtime.query_side.is_none()) else {
            // A projection of a query side waits at an event that it cannot apply, so its position shows it.
            return Ok(());
        };
        let (storage, seen_by_caller) = (&*self.runtime.storage, token.of(&self.runtime.service));
        for reader in self.runtime.readers_of(V::NAME).filter(|reader| reader.has_parked()) {
            let wanted = self.wanted(reader, seen_by_caller);
            if wanted == Position(0) {
                continue;
            }
            let parks = reader.parks();
            let Some(of_key) = parked_streams(storage, &reader.name, keys).await? else {
                reader.none_parked(parks);
                continue;
            };
            let before = Position(seen_by_caller.0.saturating_sub(1));
            let at_token = storage.log(before, seen_by_caller, ReadLimit::entries(1)).await?.pop();
            let mut streams: Vec<_> = of_key.iter().cloned().chain(at_token.map(|entry| entry.stream)).collect();
            streams.dedup();
            if streams.is_empty() {
                continue;
            }
            for (stream, _) in storage.first_parked(&reader.name, &streams).await? {
                let upto = if of_key.contains(&stream) { wanted } else { seen_by_caller };
                let first = storage.parked(&reader.name, &stream, 0, 1).await?.pop();
                if first.is_some_and(|first| first.at <= upto.0) {
                    let lacks = format!("view {} lacks an event that could not be applied and is parked", V::NAME);
                    return Err(Fault::unavailable(lacks));
                }
            }
        }
        Ok(())
    }

    pub(super) async fn caught_up(&self) -> Result<(), Fault> {
        let Some(token) = &self.sees else { return Ok(()) };
        let runtime = &self.runtime;
        if let (Some(of_token), Some(current)) = (token.epoch(&runtime.service), runtime.epoch())
            && of_token != current
        {
            return Err(Fault::outdated_token(&runtime.service));
        }
        let seen_by_caller = token.of(&runtime.service);
        let wanted = |reader: &ReaderProgress| self.wanted(reader, seen_by_caller);
        if runtime.awaited_readers_of(V::NAME).all(|reader| reader.seen() >= wanted(reader)) {
            return Ok(());
        }
        let catching_up = async {
            self.refuse_beyond_the_log(seen_by_caller).await?;
            for reader in runtime.awaited_readers_of(V::NAME) {
                let wanted = wanted(reader);
                if reader.seen() < wanted {
                    tokio::select! {
                        biased;
                        () = reader.moved_to(wanted) => (),
                        polled = self.poll(reader, wanted) => polled?,
                    }
                }
            }
            Ok(())
        };
        let late = || {
            let behind = runtime.awaited_readers_of(V::NAME).find(|reader| reader.seen() < wanted(reader));
            let wanted = behind.map_or(seen_by_caller, |reader| wanted(reader));
            Fault::unavailable(format!("view {} has not reached position {} yet", V::NAME, wanted.0))
        };
        within(&*runtime.environment, MAX_WAIT, catching_up).await.unwrap_or_else(|| Err(late()))
    }
    /// Refuses a position that the log has not reached: no wait of this read can help.
    async fn refuse_beyond_the_log(&self, seen_by_caller: Position) -> Result<(), Fault> {
        let storage = &self.runtime.storage;
        let before = Position(seen_by_caller.0.saturating_sub(1));
        // What this process has committed needs no statement.
        if seen_by_caller == Position(0) || storage.wait_for_commit(before).now_or_never().is_some() {
            return Ok(());
        }
        let end = storage.high_water_mark().await?;
        // The followers need not find this by their next poll.
        self.runtime.recent_log.learned(end);
        if seen_by_caller <= end {
            return Ok(());
        }
        Err(Fault::beyond_the_log(seen_by_caller.0, end.0))
    }
    /// Reads the stored checkpoint until the reader has reached `wanted`, since another process may run the projection.
    /// Of all reads that wait for a reader, one at a time does so.
    async fn poll(&self, reader: &ReaderProgress, wanted: Position) -> Result<(), Fault> {
        let _polls = reader.poll.lock().await;
        loop {
            self.runtime.environment.sleep(POLL_INTERVAL).await;
            if reader.seen() >= wanted {
                return Ok(());
            }
            if let Some(side) = &self.runtime.query_side {
                reader.saw(Position(side.checkpoint(&self.runtime, V::NAME, &reader.name).await?));
                continue;
            }
            let stored = self.runtime.storage.checkpoints(std::slice::from_ref(&reader.name)).await?;
            reader.saw_stored(Position(stored.first().copied().unwrap_or(0)));
        }
    }
}

/// Returns the streams with these ids of each kind of aggregate of which the reader has parked events, or `None` when it has
/// none at all. Each read finds the first parked key of the next kind, so there are as many reads as kinds.
async fn parked_streams(storage: &dyn Storage, reader: &str, ids: &[String]) -> Result<Option<Vec<String>>, Fault> {
    let mut streams: Option<Vec<String>> = None;
    let mut after: Option<String> = None;
    loop {
        let after_key = after.as_deref().map(|key| (reader, key));
        let page = ParkedPage { reader: Some(reader), after: after_key, limit: 1, count_up_to: 0 };
        let Some(first) = storage.parked_keys(&page).await?.pop() else { return Ok(streams) };
        let (kind, end) = kind_of(&first.key);
        let streams = streams.get_or_insert_default();
        if ids.is_empty() {
            return Ok(Some(Vec::new()));
        }
        streams.extend(ids.iter().map(|id| stream_of(kind, id)));
        after = Some(end);
    }
}

impl<V> Clone for Views<V> {
    fn clone(&self) -> Self {
        Views { runtime: self.runtime.clone(), sees: self.sees.clone(), own_commits: self.own_commits, of: PhantomData }
    }
}

impl<V: View> fmt::Debug for Views<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Views<{}>", V::NAME)
    }
}
