//! The copy of a view in the store of a query side.
//!
//! Programs whose projections fill a view in another way have copies of their own, so that they can run beside each other: a copy
//! is named by the view's indexes, its stored form, and its projections with the events that they handle. A new program
//! fills its copies from the log before it reports ready.
use crate::{event::FirstEvent, position::Epoch};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// What decides how a function of a projection fills its view.
pub(crate) struct CopiedProjection {
    pub(crate) view: &'static str,
    /// The reader of the projection, which its functions share.
    pub(crate) reader: String,
    pub(crate) indexes: Vec<(&'static str, &'static str)>,
    /// The view's stored form as text.
    pub(crate) stored_form: String,
    /// The names of the events that the function handles.
    pub(crate) events: &'static [&'static str],
    pub(crate) from: FirstEvent,
}

/// The copy of one view.
pub(super) struct ViewCopy {
    service: String,
    view: &'static str,
    fingerprint: u64,
    /// The readers of the projections, in the order of `Runtime::readers`.
    readers: Vec<String>,
}
impl ViewCopy {
    /// Creates the copy that these projections fill, all of one view.
    pub(super) fn new(service: &str, view: &'static str, projections: &[&CopiedProjection]) -> Self {
        let mut handled: BTreeMap<&str, (Vec<&str>, FirstEvent)> = BTreeMap::new();
        for projection in projections {
            let (names, _) = handled.entry(&projection.reader).or_insert_with(|| (Vec::new(), projection.from));
            names.extend(projection.events);
            names.sort_unstable();
        }
        let mut digest = Sha256::new();
        if let Some(first) = projections.first() {
            let mut indexes = first.indexes.clone();
            indexes.sort_unstable();
            digest.update(format!("{indexes:?}\n{}\n", first.stored_form));
        }
        for (reader, (events, from)) in &handled {
            digest.update(format!("{reader} {events:?} {from:?}\n"));
        }
        let [a, b, c, d, e, f, g, h, ..]: [u8; 32] = digest.finalize().into();
        let fingerprint = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
        let readers = handled.into_keys().map(str::to_owned).collect();
        ViewCopy { service: service.to_owned(), view, fingerprint, readers }
    }
    pub(super) fn names(&self, epoch: Epoch) -> Names {
        let tag = format!("@{epoch}.{:016x}", self.fingerprint);
        let checkpoints: Vec<_> = self.readers.iter().map(|reader| format!("{}/{reader}{tag}", self.service)).collect();
        let marks: Vec<_> = checkpoints.iter().map(|reader| filled_mark(reader)).collect();
        let view = format!("{}/{}{tag}", self.service, self.view);
        Names { view, service: self.service.clone(), tag, readers: [checkpoints, marks].concat() }
    }
}

/// The names of a copy in the store.
pub(crate) struct Names {
    pub(crate) view: String,
    service: String,
    tag: String,
    /// The readers' checkpoints, and then the marks of the positions up to which they fill the copy.
    pub(super) readers: Vec<String>,
}
impl Names {
    /// Returns the stored name of a reader's checkpoint.
    pub(crate) fn reader(&self, reader: &str) -> String {
        format!("{}/{reader}{}", self.service, self.tag)
    }
}
/// Returns the name of the mark of the position at which a reader has filled its view.
pub(crate) fn filled_mark(reader: &str) -> String {
    format!("{reader}/filled")
}
