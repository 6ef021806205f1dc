//! The subscribers to the counseling service's integration events.
//!
//! Both belong to one consumer group, so that the events of one person's wallet are handled in the order of
//! publication.
mod consume_tokens;
mod release_tokens;

use crate::domain::wallet::WalletError;
use cqrs_core::{BoxError, Error};

/// Treats a refusal that no retry can change as handled. A parked message would hold up all later events of this
/// person.
fn skip_permanent(sent: Result<(), Error<WalletError>>) -> Result<(), BoxError> {
    match sent {
        // A retry cannot succeed. The log entry lets people find the cause, for example a restored backup.
        Err(error @ Error::NotFound { .. }) => {
            tracing::warn!(%error, "user: the event concerns an unknown person and is skipped; check for lost data")
        }
        // A concurrent delivery of the same event was faster.
        Err(Error::Exists { .. }) => (),
        sent => sent?,
    }
    Ok(())
}
