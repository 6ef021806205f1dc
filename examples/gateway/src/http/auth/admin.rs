//! The one-time link that makes the first administrator of an embedded program.
use crate::{
    error::Error,
    extract::{Call, Params, Session},
    http::Gateway,
    security_log,
    session::{Sessions, person},
    upstream::Users,
};
use axum::{
    extract::State,
    http::{StatusCode, header::LOCATION},
    response::{IntoResponse, Response},
};
use contracts::v1::{model::Authority, service as rpc};
use serde::Deserialize;
use utoipa::IntoParams;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Link {
    #[param(required)]
    token: Option<String>,
}

/// Makes the person of the session, or a new one, an administrator, and opens the page.
///
/// The link of the first start is used up only by success.
#[utoipa::path(get, path = "/v1/auth/admin", security(()), params(Link), responses((status = 302)))]
pub(super) async fn link(
    State(gateway): State<Gateway>,
    call: Call,
    session: Session,
    Params(link): Params<Link>,
) -> Result<Response, Error> {
    let admin_link = gateway.edge().admin_link.as_ref().ok_or_else(Error::no_such_path)?;
    let token = link.token.ok_or_else(|| Error::missing_parameter("token"))?;
    let taken = admin_link.take(&token).await;
    let taken = taken.inspect_err(|_| security_log::refused(&call, "admin link", None))?;
    let sessions = Sessions::new(&gateway, &call);
    let auth = match session.sent_access() {
        Ok(Some(access)) => sessions.credentials(access.claims.id).await?,
        Ok(None) | Err(_) => sessions.register().await?,
    };
    let (auth_user_id, authority) = (auth.id.clone(), Authority::Admin.into());
    let request = rpc::UpdateAuthorityRequest { auth_user_id, authority, by_configuration: None };
    let promoted = sessions.change(Users::update_authority, request).await?;
    let auth = promoted.auth_user.ok_or_else(Error::broken)?;
    taken.up();
    security_log::session(&call, "promotion to administrator", person(&auth)?);
    let issued = sessions.begin(&auth).await?;
    Ok((StatusCode::FOUND, issued.cookies(call.cookies()), [(LOCATION, "/")]).into_response())
}
