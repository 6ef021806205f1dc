//! What others tell, and what is done about it.
//!
//! Both belong to one group, so that what concerns one person's wallet is done in the order in which it was told.
mod release_tokens;
mod spend_tokens;

use crate::domain::user::UserError;
use cqrs_core::{BoxError, Error};

/// What can never be done is done: it would hold up everything else that is told of this person.
fn done(sent: Result<(), Error<UserError>>) -> Result<(), BoxError> {
    match sent {
        // Waiting would not bring them back; what lost them (a restored backup, say) is for people to see.
        Err(error @ Error::NotFound { .. }) => tracing::warn!(%error, "nobody's tokens: ignored"),
        // Somebody else was told the same and was faster.
        Err(Error::Exists { .. }) => (),
        sent => sent?,
    }
    Ok(())
}
