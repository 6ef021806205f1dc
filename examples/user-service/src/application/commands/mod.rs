//! The commands, one file for each command and its handler.
mod confirm_reservation;
mod connect_auth_channel;
mod consume_tokens;
mod create_activity;
mod initialize_user;
mod release_tokens;
mod reserve_tokens;
mod revoke_refresh_tokens;
mod rotate_refresh_token;
mod save_refresh_token;
mod update_authority;
mod update_tracking;
mod update_user;
mod verify_refresh_token;

pub use confirm_reservation::{ConfirmReservation, ConfirmReservationResult};
pub use connect_auth_channel::ConnectAuthChannel;
pub use consume_tokens::ConsumeTokens;
pub use create_activity::CreateActivity;
pub use initialize_user::{InitializeUser, InitializeUserResult};
pub use release_tokens::ReleaseTokens;
pub use reserve_tokens::{ReserveTokens, ReserveTokensResult};
pub use revoke_refresh_tokens::RevokeRefreshTokens;
pub use rotate_refresh_token::RotateRefreshToken;
pub use save_refresh_token::SaveRefreshToken;
pub use update_authority::UpdateAuthority;
pub use update_tracking::UpdateTracking;
pub use update_user::UpdateUser;
pub use verify_refresh_token::{TokenUse, VerifyRefreshToken};

use crate::domain::auth_user::AuthUserError;
use cqrs_core::{Error, HandlerResult};

/// Treats a refresh token of an unknown person as an unknown token.
fn known<T>(found: HandlerResult<T, AuthUserError>) -> HandlerResult<T, AuthUserError> {
    found.map_err(|error| match error {
        Error::NotFound { .. } => Error::Domain(AuthUserError::RefreshTokenInvalid),
        error => error,
    })
}
