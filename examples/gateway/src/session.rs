//! Sessions with the user service: their tokens are made here, and kept, replaced and ended there.
use crate::{
    error::Error,
    extract::{
        ACCESS_TOKEN, ACCESS_TOKEN_EXPIRES_AT, Call, Cookies, IdempotencyKey, REFRESH_TOKEN, REFRESH_TOKEN_EXPIRES_AT,
        SessionForm,
    },
    http::Gateway,
    security_log,
    tokens::{Access, Claims, Refresh, Token, TokenError, Verified},
    upstream::Users,
};
use axum_extra::extract::CookieJar;
use chrono::{DateTime, SecondsFormat};
use contracts::v1::{model::AuthUser, service as rpc};
use serde::Serialize;
use tonic::{Request, Response, Status};
use utoipa::ToSchema;
use uuid::Uuid;

/// The reason with which the user service refuses a refresh token that was used before. It has ended the session.
const REUSED: &str = "REFRESH_TOKEN_REUSED";

/// The new tokens of a session.
pub(crate) struct Issued {
    access: Token,
    /// Absent when the session keeps its refresh token.
    refresh: Option<Token>,
}
/// The session in the body of a response. The tokens themselves are there only for a client that asked for them.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SessionBody {
    access_token: Option<String>,
    access_token_expires_at: String,
    refresh_token: Option<String>,
    refresh_token_expires_at: Option<String>,
}
impl Issued {
    /// Returns the cookies and the body for a client.
    pub(crate) fn for_client(self, form: SessionForm, cookies: Cookies) -> (CookieJar, SessionBody) {
        let jar = match form {
            SessionForm::Cookies => self.cookies(cookies),
            SessionForm::Bearer => CookieJar::new(),
        };
        let shown = |token: &Token| (form == SessionForm::Bearer).then(|| token.text.clone());
        let body = SessionBody {
            access_token: shown(&self.access),
            access_token_expires_at: iso(self.access.expires),
            refresh_token: self.refresh.as_ref().and_then(shown),
            refresh_token_expires_at: self.refresh.as_ref().map(|token| iso(token.expires)),
        };
        (jar, body)
    }
    /// Returns the cookies, which live as long as their tokens.
    pub(crate) fn cookies(&self, cookies: Cookies) -> CookieJar {
        let jar = CookieJar::new()
            .add(cookies.set(ACCESS_TOKEN, self.access.text.clone(), self.access.lifetime))
            .add(cookies.set(ACCESS_TOKEN_EXPIRES_AT, iso(self.access.expires), self.access.lifetime));
        match &self.refresh {
            Some(refresh) => jar
                .add(cookies.set(REFRESH_TOKEN, refresh.text.clone(), refresh.lifetime))
                .add(cookies.set(REFRESH_TOKEN_EXPIRES_AT, iso(refresh.expires), refresh.lifetime)),
            None => jar,
        }
    }
}
/// Returns the removal of all session cookies.
pub(crate) fn no_cookies(cookies: Cookies) -> CookieJar {
    let names = [ACCESS_TOKEN, ACCESS_TOKEN_EXPIRES_AT, REFRESH_TOKEN, REFRESH_TOKEN_EXPIRES_AT];
    names.into_iter().fold(CookieJar::new(), |jar, name| jar.add(cookies.remove(name)))
}
fn iso(seconds: i64) -> String {
    DateTime::from_timestamp(seconds, 0).unwrap_or_default().to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// The sessions of one request's client.
#[derive(Clone, Copy)]
pub(crate) struct Sessions<'a> {
    gateway: &'a Gateway,
    call: &'a Call,
}
impl<'a> Sessions<'a> {
    pub(crate) fn new(gateway: &'a Gateway, call: &'a Call) -> Self {
        Sessions { gateway, call }
    }
    /// Registers a person on their first visit. The number of new persons of an address is limited.
    pub(crate) async fn register(self) -> Result<AuthUser, Error> {
        let (gateway, call) = (self.gateway, self.call);
        let counted = gateway.counters().visit_of(call.client().address);
        counted.inspect_err(|_| security_log::refused(call, "rate limit of first visits", None))?;
        let made = self.change(Users::initialize_user, rpc::InitializeUserRequest {}).await?;
        made.auth_user.ok_or_else(Error::broken)
    }
    /// Begins a session of a person.
    pub(crate) async fn begin(self, auth: &AuthUser) -> Result<Issued, Error> {
        let (access, refresh) = (self.access(auth)?, self.sign(Refresh { id: person(auth)? })?);
        let saved = rpc::SaveRefreshTokenRequest {
            user_id: auth.user_id.clone(),
            token: refresh.text.clone(),
            expires_at: iso(refresh.expires),
        };
        self.change(Users::save_refresh_token, saved).await?;
        Ok(Issued { access, refresh: Some(refresh) })
    }
    /// Returns the current credentials of the person of an access token. An unknown person is a refused token, and never a
    /// new person.
    pub(crate) async fn credentials(self, id: Uuid) -> Result<AuthUser, Error> {
        let request = rpc::FindAuthUserByUserIdRequest { user_id: id.to_string() };
        let found = self.gateway.upstream().users.ask(self.call, Users::find_auth_user_by_user_id, request).await;
        let found = found.map_err(|error| if error.is_unknown_id() { Error::bad_token() } else { error })?;
        found.auth_user.ok_or_else(Error::bad_token)
    }
    /// Makes an access token with the current permissions in place of another one, until that one would expire. It needs no
    /// session, which may have ended: only a refresh token prolongs a session.
    pub(crate) async fn renew(self, sent: &Verified<Access>) -> Result<Issued, Error> {
        let auth = self.credentials(sent.claims.id).await?;
        let access = self.gateway.tokens().sign_in_place_of(sent, claims(&auth)?).map_err(|_| Error::broken())?;
        Ok(Issued { access, refresh: None })
    }
    /// Replaces the refresh token of a session. The permissions are those that the user service has now.
    pub(crate) async fn rotate(self, token: String, verified: &Verified<Refresh>) -> Result<(Uuid, Issued), Error> {
        let (call, id) = (self.call, verified.claims.id);
        let refresh = self.sign(Refresh { id })?;
        let request = rpc::RotateRefreshTokenRequest {
            user_id: id.to_string(),
            token,
            new_token: refresh.text.clone(),
            new_expires_at: iso(refresh.expires),
        };
        let rotated =
            self.change(Users::rotate_refresh_token, request).await.map_err(|error| match error.reason() {
                Some(REUSED) => {
                    security_log::refused(call, "refresh token used twice", Some(id));
                    Error::refresh_token(TokenError::Invalid)
                }
                _ if error.is_unauthorized() || error.is_unknown_id() => Error::refresh_token_unknown(),
                _ => error,
            })?;
        let auth = rotated.auth_user.ok_or_else(Error::broken)?;
        // A token of one person must never become that of another.
        if person(&auth)? != id {
            return Err(Error::broken());
        }
        Ok((id, Issued { access: self.access(&auth)?, refresh: Some(refresh) }))
    }
    /// Ends the session of a refresh token, or all of the person. A session that has ended already is no error.
    pub(crate) async fn end(self, id: Uuid, token: Option<String>) -> Result<(), Error> {
        let request = rpc::RevokeRefreshTokensRequest { user_id: id.to_string(), token };
        match self.change(Users::revoke_refresh_tokens, request).await {
            Err(error) if !error.is_unauthorized() && !error.is_unknown_id() => Err(error),
            Ok(_) | Err(_) => Ok(()),
        }
    }
    /// Calls a command of the user service for the gateway itself. With a key, the service finds out after a lost connection
    /// to its database whether the command took effect.
    pub(crate) async fn change<Q, A>(
        self,
        method: impl AsyncFnOnce(&mut Users, Request<Q>) -> Result<Response<A>, Status>,
        message: Q,
    ) -> Result<A, Error> {
        let call = self.call.keyed(&IdempotencyKey::made());
        self.gateway.upstream().users.ask(&call, method, message).await
    }
    fn access(self, auth: &AuthUser) -> Result<Token, Error> {
        self.sign(claims(auth)?)
    }
    fn sign(self, claims: impl Claims) -> Result<Token, Error> {
        self.gateway.tokens().sign(claims).map_err(|_| Error::broken())
    }
}

/// Returns the claims of an access token for these credentials.
fn claims(auth: &AuthUser) -> Result<Access, Error> {
    let (auth_channel, authority) = (auth.auth_channel().as_str_name(), auth.authority().as_str_name());
    Ok(Access { id: person(auth)?, auth_channel: auth_channel.to_owned(), authority: authority.to_owned() })
}
/// Returns the person of credentials.
pub(crate) fn person(auth: &AuthUser) -> Result<Uuid, Error> {
    Uuid::try_parse(&auth.user_id).map_err(|_| Error::broken())
}
