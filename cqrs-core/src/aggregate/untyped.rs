//! Stored aggregates, read without the aggregate's type: their state and their unique values.
use crate::{
    aggregate::{Aggregate, mark::ROW_REBUILT, repository::apply_event},
    codec,
    error::Fault,
    event::{StreamEvent, parse_id},
};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The unique values of an aggregate, each as field and value.
pub(crate) type UniqueValues = Vec<(&'static str, String)>;

/// The functions that read the stored aggregates of one kind.
#[derive(Debug, Clone, Copy)]
pub(crate) struct UntypedReader {
    /// Returns the unique values of a stored state.
    pub(crate) of_state: fn(&[u8]) -> Result<UniqueValues, Fault>,
    /// Returns an empty fold of the events of the aggregate with this id.
    pub(crate) fold: fn(&str) -> Result<Box<dyn UntypedFold>, Fault>,
}
impl UntypedReader {
    pub(crate) fn of<A: Aggregate>() -> Self {
        let of_state = |state: &[u8]| {
            let state: A = codec::decode(state)?;
            unless_it_panics(|| Ok(state.unique()))
        };
        let fold = |id: &str| {
            let unparsed =
                |error| Fault::internal(format!("the id {id} of {} cannot be parsed", A::NAME)).because(error);
            Ok(Box::new(Fold::<A> { id: parse_id(id).map_err(unparsed)?, state: None }) as Box<dyn UntypedFold>)
        };
        UntypedReader { of_state, fold }
    }
}

/// A fold of the events of one aggregate, of which no event is kept.
pub(crate) trait UntypedFold: Send + Sync {
    fn apply(&mut self, event: &StreamEvent) -> Result<(), Fault>;
    /// Returns the unique values after the last event.
    fn values(&self) -> Result<UniqueValues, Fault>;
    /// Returns the encoded state after the last event, or `None` if there is no aggregate.
    fn state(&self) -> Result<Option<Vec<u8>>, Fault>;
}
/// The fold of one stream, whose events come page by page.
pub(crate) struct Folding {
    pub(crate) id: String,
    /// The version of the last event.
    pub(crate) version: u64,
    /// Set when the last event is the mark of a rebuilt row.
    pub(crate) is_rebuilt: bool,
    /// The fold, or the error of the first event that cannot be applied.
    pub(crate) fold: Result<Box<dyn UntypedFold>, Fault>,
}
impl Folding {
    pub(crate) fn new(reader: UntypedReader, id: &str) -> Self {
        Folding { id: id.to_owned(), version: 0, is_rebuilt: false, fold: (reader.fold)(id) }
    }
    pub(crate) fn apply(&mut self, event: &StreamEvent) {
        (self.version, self.is_rebuilt) = (event.version, event.name == ROW_REBUILT);
        let applied = self.fold.as_mut().map_or(Ok(()), |fold| fold.apply(event));
        if let Err(fault) = applied {
            self.fold = Err(fault);
        }
    }
}
struct Fold<A: Aggregate> {
    id: A::Id,
    state: Option<A>,
}
impl<A: Aggregate> UntypedFold for Fold<A> {
    fn apply(&mut self, event: &StreamEvent) -> Result<(), Fault> {
        unless_it_panics(|| apply_event(&self.id, &mut self.state, event))
    }
    fn values(&self) -> Result<UniqueValues, Fault> {
        unless_it_panics(|| Ok(self.state.as_ref().map(Aggregate::unique).unwrap_or_default()))
    }
    fn state(&self) -> Result<Option<Vec<u8>>, Fault> {
        let encode = |state| codec::encode_marked(state, A::PERSONAL);
        unless_it_panics(|| self.state.as_ref().map(encode).transpose())
    }
}

/// Runs a function of the aggregate. One that panics must not keep other aggregates from being read.
fn unless_it_panics<T>(run: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| Err(Fault::internal("the aggregate panicked")))
}
