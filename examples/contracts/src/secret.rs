//! `Debug` of the messages with a refresh token: it shows who is meant, and no token, so that none reaches a log.
use crate::v1::service::{
    RevokeRefreshTokensRequest, RotateRefreshTokenRequest, SaveRefreshTokenRequest, VerifyRefreshTokenRequest,
};
use std::fmt;

macro_rules! without_tokens {
    ($($message:ident),*) => {$(
        impl fmt::Debug for $message {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($message)).field("user_id", &self.user_id).finish_non_exhaustive()
            }
        }
    )*};
}
without_tokens!(
    RevokeRefreshTokensRequest,
    RotateRefreshTokenRequest,
    SaveRefreshTokenRequest,
    VerifyRefreshTokenRequest
);

#[cfg(test)]
mod tests {
    use super::{
        RevokeRefreshTokensRequest, RotateRefreshTokenRequest, SaveRefreshTokenRequest, VerifyRefreshTokenRequest,
    };

    #[test]
    fn no_debug_output_contains_a_token() {
        let (user_id, token) = (|| "kim".to_owned(), || "canary".to_owned());
        let save = SaveRefreshTokenRequest { user_id: user_id(), token: token(), ..Default::default() };
        let verify = VerifyRefreshTokenRequest { user_id: user_id(), token: token() };
        let revoke = RevokeRefreshTokensRequest { user_id: user_id(), token: Some(token()) };
        let (token, new_token) = (token(), token());
        let rotate = RotateRefreshTokenRequest { user_id: user_id(), token, new_token, ..Default::default() };
        for shown in [format!("{save:?}"), format!("{verify:?}"), format!("{revoke:?}"), format!("{rotate:?}")] {
            assert!(shown.contains("kim") && !shown.contains("canary"), "{shown}");
        }
    }
}
