//! The login with a provider: to its login page, and back.
use crate::{
    error::Error,
    extract::{Call, Ids, Params, Session},
    http::Gateway,
    oauth::{Account, Granted, LoginError, OAuthProvider, ProviderKind},
    security_log,
    session::{Sessions, person},
    tokens::{Claims, Login, Refresh},
    upstream::Users,
};
use axum::{
    extract::State,
    http::{HeaderMap, StatusCode, header::LOCATION},
    response::{IntoResponse, Response},
};
use axum_extra::extract::CookieJar;
use contracts::v1::{
    model::{AuthChannel, AuthUser, Authority},
    service as rpc,
};
use serde::Deserialize;
use std::sync::Arc;
use url::Url;
use utoipa::IntoParams;
use uuid::Uuid;

/// The cookie that binds a login to the browser in which it began.
const LOGIN: &str = "login";
/// The error that the page gets when the person cancelled the login.
const CANCELLED: &str = "LOGIN_CANCELLED";
const FAILED: &str = "LOGIN_FAILED";
/// The reason with which the user service refuses a link to an account of somebody else.
const ACCOUNT_TAKEN: &str = "ACCOUNT_TAKEN";

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Begin {
    /// The address of the page to return to.
    #[serde(rename = "redirect-url")]
    #[param(required)]
    redirect_url: Option<String>,
}
/// The parameters that a provider adds to the address of the callback.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Callback {
    code: Option<String>,
    state: Option<String>,
    error: Option<String>,
}

/// Sends the browser to the provider's login page.
///
/// A person with a session is remembered, so that the account is linked
/// to them.
#[utoipa::path(
    get, path = "/v1/auth/login/{provider}", security(()),
    params(("provider" = String, Path, description = "`kakao` or `naver`"), Begin), responses((status = 302))
)]
pub(super) async fn begin(
    State(gateway): State<Gateway>,
    call: Call,
    session: Session,
    Ids(provider): Ids<String>,
    Params(begin): Params<Begin>,
) -> Result<Response, Error> {
    let (kind, provider) = provider_of(&gateway, &provider)?;
    let target = begin.redirect_url.ok_or_else(|| Error::missing_parameter("redirect-url"))?;
    let target = gateway.edge().redirect(&target);
    let target = target.ok_or_else(|| Error::invalid("redirect-url: an address of this site, or an allowed one"))?;
    let (user, jar) = current(&gateway, &call, &session).await?;
    let begun = gateway.logins().begin(gateway.tokens(), kind, &target, user)?;
    let jar = jar.add(call.cookies().set(LOGIN, begun.cookie, Login::LIFETIME));
    Ok(to(&provider.authorize(&begun.state, &begun.verifier), jar))
}

/// Returns the person of the session. A session whose access token has expired is refreshed first, so that no revoked token
/// can link an account. Without a usable token there is no person: a login needs none.
async fn current(gateway: &Gateway, call: &Call, session: &Session) -> Result<(Option<Uuid>, CookieJar), Error> {
    if let Ok(Some(access)) = session.sent_access() {
        return Ok((Some(access.claims.id), CookieJar::new()));
    }
    let Ok(Some((token, refresh))) = session.refresh_cookie(gateway) else { return Ok((None, CookieJar::new())) };
    match Sessions::new(gateway, call).rotate(token, &refresh).await {
        Ok((id, issued)) => Ok((Some(id), issued.cookies(call.cookies()))),
        Err(error) if error.is_unauthorized() => Ok((None, CookieJar::new())),
        Err(error) => Err(error),
    }
}

/// Receives the browser from the provider, logs the person in, and sends them back to the page.
///
/// A login that the person cancelled returns to the page with `error=LOGIN_CANCELLED`.
#[utoipa::path(
    get, path = "/v1/auth/callback/{provider}", security(()),
    params(("provider" = String, Path, description = "`kakao` or `naver`"), Callback), responses((status = 302))
)]
pub(super) async fn callback(
    State(gateway): State<Gateway>,
    call: Call,
    session: Session,
    headers: HeaderMap,
    Ids(provider): Ids<String>,
    Params(callback): Params<Callback>,
) -> Result<Response, Error> {
    let (kind, provider) = provider_of(&gateway, &provider)?;
    let cookie = call.cookies().read(&headers, LOGIN)?;
    let state = callback.state.ok_or_else(Error::login_state)?;
    let accepted = gateway.logins().accept(gateway.tokens(), kind, &state, cookie.as_deref());
    let (login, verifier) = accepted.inspect_err(|_| security_log::refused(&call, "state of a login", None))?;
    // From here on the state is used up, whatever happens.
    let used = |response: Response| (CookieJar::new().add(call.cookies().remove(LOGIN)), response).into_response();
    let target = Url::parse(&login.redirect).map_err(|_| Error::broken())?;
    let code = match (callback.code, callback.error.as_deref()) {
        (Some(code), None) => code,
        (_, Some("access_denied")) => return Ok(used(back_with(target, CANCELLED))),
        (_, Some(_) | None) => return Ok(used(back_with(target, FAILED))),
    };
    let finished = async {
        let account = account(kind, provider, Granted { code, state, verifier }).await?;
        let auth = log_in(&gateway, &call, &account, login.user).await?;
        let sessions = Sessions::new(&gateway, &call);
        let issued = sessions.begin(&auth).await?;
        replaced(&gateway, sessions, &session).await;
        security_log::session(&call, "login", person(&auth)?);
        Ok::<_, Error>(to(&target, issued.cookies(call.cookies())))
    };
    Ok(used(finished.await.unwrap_or_else(IntoResponse::into_response)))
}

/// Asks the provider for the account.
async fn account(kind: ProviderKind, provider: Arc<dyn OAuthProvider>, granted: Granted) -> Result<Account, Error> {
    match provider.account(granted).await {
        Ok(id) => Ok(Account { provider: kind, id }),
        Err(LoginError::Refused(cause)) => {
            tracing::info!(provider = kind.name(), cause, "gateway: a provider refused the code of a login");
            Err(Error::login_refused())
        }
        Err(LoginError::Failed(cause)) => {
            tracing::warn!(provider = kind.name(), cause, "gateway: a login failed at the provider");
            Err(Error::provider(kind.error_code()))
        }
    }
}

/// Finds the person of the account. An unknown account is linked to the person of the session, or to a new person.
async fn log_in(gateway: &Gateway, call: &Call, account: &Account, user: Option<Uuid>) -> Result<AuthUser, Error> {
    let sessions = Sessions::new(gateway, call);
    let auth = match find(gateway, call, account).await? {
        Some(auth) => auth,
        None => {
            let user = match user {
                Some(user) => user,
                None => person(&sessions.register().await?)?,
            };
            let request = rpc::ConnectAuthChannelRequest {
                user_id: user.to_string(),
                auth_channel: account.provider.channel().into(),
                unique_id: account.id.clone(),
            };
            match sessions.change(Users::connect_auth_channel, request).await {
                Ok(connected) => connected.auth_user.ok_or_else(Error::broken)?,
                // Another login of the same account may have been faster.
                Err(error) if error.is_conflict() => match find(gateway, call, account).await? {
                    Some(auth) => auth,
                    None => return Err(refusal(sessions, user, &error).await?),
                },
                Err(error) => return Err(error),
            }
        }
    };
    with_authority(gateway, call, account, auth).await
}

/// Returns the error of a refused link whose account is not found: the person has another account, or the look-up does not show
/// the link yet. It reads a view, which is late for seconds after a crash of the user service.
async fn refusal(sessions: Sessions<'_>, user: Uuid, refused: &Error) -> Result<Error, Error> {
    let is_late = refused.reason() == Some(ACCOUNT_TAKEN)
        || sessions.credentials(user).await?.auth_channel() == AuthChannel::Unlinked;
    if is_late {
        return Ok(Error::down(Vec::new()));
    }
    Ok(Error::already_linked().because("this account or this person is already linked"))
}

/// Looks an account up. Only the service's own NOT_FOUND means that it is unknown: after any other failure, a new person
/// would be a second one with the same account.
async fn find(gateway: &Gateway, call: &Call, account: &Account) -> Result<Option<AuthUser>, Error> {
    let request = rpc::FindAuthUserByChannelInfoRequest {
        auth_channel: account.provider.channel().into(),
        unique_id: account.id.clone(),
    };
    match gateway.upstream().users.ask(call, Users::find_auth_user_by_channel_info, request).await {
        Ok(found) => found.auth_user.map(Some).ok_or_else(|| Error::down(Vec::new())),
        Err(error) if error.is_unknown_id() => Ok(None),
        Err(_) => Err(Error::down(Vec::new())),
    }
}

/// Gives the person the permissions that the configuration has for their account. The user service keeps the permissions that
/// an operator has given.
async fn with_authority(gateway: &Gateway, call: &Call, account: &Account, auth: AuthUser) -> Result<AuthUser, Error> {
    let is_admin = gateway.edge().admin_accounts.contains(account);
    let authority = if is_admin { Authority::Admin } else { Authority::User };
    if auth.authority() == authority {
        return Ok(auth);
    }
    let (auth_user_id, authority) = (auth.id.clone(), authority.into());
    let request = rpc::UpdateAuthorityRequest { auth_user_id, authority, by_configuration: Some(true) };
    let updated = Sessions::new(gateway, call).change(Users::update_authority, request).await?;
    let updated = updated.auth_user.ok_or_else(Error::broken)?;
    if updated.authority() != auth.authority() {
        let event = if is_admin { "promotion to administrator" } else { "demotion to user" };
        security_log::session(call, event, person(&auth)?);
    }
    Ok(updated)
}

/// Ends the session that this login replaces in the browser. It would expire by itself, so a failure is only logged.
async fn replaced(gateway: &Gateway, sessions: Sessions<'_>, session: &Session) {
    let Ok(Some((token, refresh))) = session.refresh_cookie(gateway) else { return };
    let refresh: Refresh = refresh.claims;
    if let Err(error) = sessions.end(refresh.id, Some(token)).await {
        tracing::warn!(code = error.code(), "gateway: the session before a login could not be ended");
    }
}

fn provider_of(gateway: &Gateway, name: &str) -> Result<(ProviderKind, Arc<dyn OAuthProvider>), Error> {
    let kind = ProviderKind::parse(name).ok_or_else(Error::no_provider)?;
    let provider = gateway.providers().get(kind).cloned().ok_or_else(Error::no_provider)?;
    Ok((kind, provider))
}
fn back_with(mut target: Url, error: &str) -> Response {
    target.query_pairs_mut().append_pair("error", error);
    to(&target, CookieJar::new())
}
fn to(target: &Url, jar: CookieJar) -> Response {
    (StatusCode::FOUND, jar, [(LOCATION, target.to_string())]).into_response()
}
