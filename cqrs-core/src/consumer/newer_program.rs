//! Events that are left to a newer program of the service, which is being deployed or was rolled back.
//!
//! They are parked with the later messages of their key, so that nothing is passed unseen and the order stays. The newer
//! program redelivers them by itself.
use crate::{
    codec::WrittenByNewerProgram,
    error::{BoxError, Fault, causes},
    runtime::Runtime,
    storage::LEFT_TO_NEWER_PROGRAM,
};
use std::error::Error;

/// The error of an event that a newer program handles.
#[derive(Debug, thiserror::Error)]
#[error("{LEFT_TO_NEWER_PROGRAM}")]
pub(crate) struct LeftToNewerProgram;

impl Runtime {
    /// Reads which events the newest program handles, if that was not read within the last second.
    pub(crate) async fn refresh_newer_programs(&self) -> Result<(), Fault> {
        self.newer_programs.refresh(&*self.storage, &*self.environment).await
    }
    /// Returns the error of an event of the log that this program has to leave to a newer one. Either only the newer one
    /// handles it, or it is stored in a newer version.
    pub(crate) fn left_to_newer(&self, reader: &str, handles: bool, event: &str, version: u32) -> Result<(), BoxError> {
        let is_newer = self.event_versions.get(event).is_some_and(|known| version > *known);
        // Without a newer program nobody else can read it, so it is unreadable and waits for an operator.
        if (is_newer && !self.newer_programs.is_newest()) || (!handles && self.newer_programs.handle(reader, event)) {
            return Err(LeftToNewerProgram.into());
        }
        Ok(())
    }
}

/// Returns whether a message failed because only a newer program can handle it: its event, or the stored value that it
/// changes, is of that program.
pub(crate) fn is_left(error: &(dyn Error + 'static)) -> bool {
    causes(error).any(|cause| cause.is::<LeftToNewerProgram>() || cause.is::<WrittenByNewerProgram>())
}
