//! The selection of parked messages for a redelivery, and their counts by reader and class of error.
use crate::{
    app::ParkedMessages,
    breaker::error_class,
    consumer::parking::BEHIND,
    error::Fault,
    storage::{ParkedKey, ParkedPage},
};
use std::collections::BTreeMap;

/// The largest number of classes of errors that are counted apart for one reader.
const CLASSES: usize = 100;
/// The class under which the errors of further classes are counted.
const OTHER_CLASSES: &str = "(errors of other classes)";
/// The number of keys that are read at once.
const PAGE: usize = 500;

/// The parked messages to redeliver: all of them, or those of one reader, of one error, or both.
///
/// Messages are selected by their key, since those of a key are handled in order. A key is selected by the error of its
/// first parked message; the later ones only wait behind it. A key of which a stopped redelivery has handled the first
/// messages has no such error any more, so every selection has it. The default selects everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ParkedSelection {
    /// Selects the keys of this reader.
    pub reader: Option<String>,
    /// Selects the keys whose error contains this text. It excludes [`class`](ParkedSelection::class).
    pub error: Option<String>,
    /// Selects the keys whose error is of this class, as a [count](ParkedMessages::count) returns it: the text without
    /// the words that differ from message to message.
    pub class: Option<String>,
    /// Selects the keys after this reader and key, in their order: the place at which an earlier redelivery stopped.
    pub after: Option<(String, String)>,
}
impl ParkedSelection {
    /// Returns whether the selection has the key.
    fn has(&self, parked: &ParkedKey) -> bool {
        let is_of_class = |class: &String| *class == error_class(&parked.error, &parked.key);
        // An earlier redelivery was stopped within the key: without its first message, no error tells why it was parked.
        if parked.error == BEHIND {
            return true;
        }
        self.error.as_ref().is_none_or(|text| parked.error.contains(text))
            && self.class.as_ref().is_none_or(is_of_class)
    }
}

/// The reason why a selection of parked messages cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SelectionError {
    /// The service has no such reader, and the database has no parked messages of it.
    #[error("there is no reader `{reader}`; the service has: {}", .known.join(", "))]
    UnknownReader {
        /// The reader of the selection.
        reader: String,
        /// The readers of the service that can park messages.
        known: Vec<String>,
    },
    /// Two parts of the selection exclude each other.
    #[error("`{0}` and `{1}` exclude each other; give one of them")]
    Contradictory(&'static str, &'static str),
    /// A text of the selection is empty, so it would select everything.
    #[error("`{0}` is empty; leave it out to select all errors")]
    Empty(&'static str),
    /// The rate is 0 messages per second, so the redelivery would never end.
    #[error("the rate is 0 messages per second; it must be at least 1")]
    ZeroRate,
    /// Nothing is selected, and it is not said that everything is meant. Only the command line and the operator API ask
    /// for it.
    #[error("nothing is selected; give `reader`, `error` or `class`, or `all` for every parked message")]
    NothingSelected,
    /// The database failed, or a text of the selection cannot be stored.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// The number of parked messages of one reader whose keys have the same class of error.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ParkedCount {
    /// The reader that could not handle the first message of each key.
    pub reader: String,
    /// The class of the error of the first message of each key.
    pub class: String,
    /// The number of keys.
    pub keys: u64,
    /// The number of messages of these keys.
    pub messages: u64,
}

/// Counts by reader and class of error. Its size is bounded: a reader has at most 100 classes and one for all others.
#[derive(Debug, Default)]
pub(super) struct Counts(BTreeMap<String, BTreeMap<String, (u64, u64)>>);
impl Counts {
    pub(super) fn add(&mut self, reader: &str, key: &str, error: &str, messages: u64) {
        let classes = self.0.entry(reader.to_owned()).or_default();
        let mut class = error_class(error, key);
        if classes.len() >= CLASSES && !classes.contains_key(&class) {
            class = OTHER_CLASSES.to_owned();
        }
        let count = classes.entry(class).or_default();
        *count = (count.0 + 1, count.1 + messages);
    }
    pub(super) fn list(&self) -> Vec<ParkedCount> {
        let classes =
            self.0.iter().flat_map(|(reader, classes)| classes.iter().map(move |(class, of)| (reader, class, of)));
        let count = |(reader, class, of): (&String, &String, &(u64, u64))| {
            let (reader, class) = (reader.clone(), class.clone());
            ParkedCount { reader, class, keys: of.0, messages: of.1 }
        };
        classes.map(count).collect()
    }
}

/// The keys of a selection, read a page at a time.
#[derive(Debug)]
pub(super) struct SelectedKeys {
    selection: ParkedSelection,
    /// The last key that was read.
    after: Option<(String, String)>,
    page: std::vec::IntoIter<ParkedKey>,
    /// Set when the last page was read.
    is_exhausted: bool,
    /// The number up to which the messages of a key are counted.
    count_up_to: usize,
}
impl SelectedKeys {
    pub(super) fn new(selection: &ParkedSelection, count_up_to: usize) -> Self {
        let (selection, after, page) = (selection.clone(), selection.after.clone(), Vec::new().into_iter());
        SelectedKeys { selection, after, page, is_exhausted: false, count_up_to }
    }
    /// Returns the next key of the selection, or `None` after the last one.
    pub(super) async fn next(&mut self, parked: &ParkedMessages) -> Result<Option<ParkedKey>, Fault> {
        loop {
            if let Some(key) = self.pop() {
                return Ok(Some(key));
            }
            if self.is_exhausted {
                return Ok(None);
            }
            let page = self.read_page(parked).await?;
            self.accept(page);
        }
    }
    /// Returns the next key of the selection in the page that was read last.
    pub(super) fn pop(&mut self) -> Option<ParkedKey> {
        self.page.by_ref().find(|key| self.selection.has(key))
    }
    pub(super) fn is_exhausted(&self) -> bool {
        self.is_exhausted
    }
    /// Reads the next page, for [`accept`](SelectedKeys::accept).
    pub(super) fn read_page(
        &self,
        parked: &ParkedMessages,
    ) -> impl Future<Output = Result<Vec<ParkedKey>, Fault>> + Send + use<> {
        let (parked, after, reader) = (parked.clone(), self.after.clone(), self.selection.reader.clone());
        let count_up_to = self.count_up_to;
        async move {
            let after = after.as_ref().map(|(reader, key)| (&**reader, &**key));
            let page = ParkedPage { reader: reader.as_deref(), after, limit: PAGE, count_up_to };
            parked.list(&page).await
        }
    }
    pub(super) fn accept(&mut self, page: Vec<ParkedKey>) {
        self.is_exhausted = page.len() < PAGE;
        self.after = page.last().map(|last| (last.reader.clone(), last.key.clone())).or(self.after.take());
        self.page = page.into_iter();
    }
}

impl ParkedMessages {
    /// Counts the selected messages by reader and class of error. It changes nothing: the dry run of
    /// [`redeliver_selected`](ParkedMessages::redeliver_selected).
    ///
    /// The memory does not grow with the number of messages. At most 100 classes of a reader are counted apart.
    ///
    /// # Errors
    /// Fails when the selection names an unknown reader or contradicts itself, and when the database fails.
    pub async fn count(&self, selection: &ParkedSelection) -> Result<Vec<ParkedCount>, SelectionError> {
        self.check(selection).await?;
        let (mut keys, mut counts) = (SelectedKeys::new(selection, usize::MAX), Counts::default());
        while let Some(key) = keys.next(self).await? {
            counts.add(&key.reader, &key.key, &key.error, key.count);
        }
        Ok(counts.list())
    }
    /// Checks that the parts of the selection fit together, and that the reader exists.
    pub(super) async fn check(&self, selection: &ParkedSelection) -> Result<(), SelectionError> {
        let ParkedSelection { reader, error, class, after } = selection;
        if error.is_some() && class.is_some() {
            return Err(SelectionError::Contradictory("error", "class"));
        }
        let empty = [("error", error), ("class", class)].into_iter();
        if let Some((name, _)) = empty.into_iter().find(|(_, text)| text.as_deref() == Some("")) {
            return Err(SelectionError::Empty(name));
        }
        let Some(reader) = reader else { return Ok(()) };
        if after.as_ref().is_some_and(|(of, _)| of != reader) {
            return Err(SelectionError::Contradictory("reader", "after"));
        }
        self.require_reader(reader).await
    }
    /// Checks that the service has this reader, or the database messages that it has parked.
    pub(crate) async fn require_reader(&self, reader: &str) -> Result<(), SelectionError> {
        let known = self.app.parking_readers();
        if !known.iter().any(|name| name == reader) {
            let page = ParkedPage { reader: Some(reader), limit: 1, count_up_to: 0, ..ParkedPage::default() };
            if self.list(&page).await?.is_empty() {
                return Err(SelectionError::UnknownReader { reader: reader.to_owned(), known });
            }
        }
        Ok(())
    }
}
