//! The images: uploads to a signed address, and their delivery.
use crate::{
    envelope::{Answer, created},
    error::Error,
    extract::{Ids, Params, body},
    http::Gateway,
    json::Nothing,
};
use axum::{
    extract::{Request, State},
    http::header::{CACHE_CONTROL, CONTENT_TYPE},
    response::IntoResponse,
};
use chrono::Utc;
use image_store::{Images, NotStored, Refused, Upload};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

/// An image never changes: another picture has another address.
const FOR_EVER: &str = "public, max-age=31536000, immutable";

pub(super) fn routes() -> OpenApiRouter<Gateway> {
    OpenApiRouter::new().routes(routes!(deliver, accept))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Signed {
    /// The right to upload this image once; a part of the upload address.
    token: String,
}

/// Reads an image. Everybody may.
#[utoipa::path(
    get,
    path = "/v1/images/{*path}",
    security(()),
    params(("path" = String, Path, description = "The path of the image, with its slashes")),
    responses((status = 200, content((String = "image/jpeg"), (String = "image/png"), (String = "image/gif"), (String = "image/webp")))),
)]
async fn deliver(State(gateway): State<Gateway>, Ids(path): Ids<String>) -> Result<impl IntoResponse, Error> {
    let image = images(&gateway)?.deliver(&path).await.map_err(|error| {
        tracing::error!(%error, "gateway: an image cannot be read");
        Error::down(Vec::new())
    })?;
    let image = image.ok_or_else(Error::unknown_id)?;
    Ok(([(CONTENT_TYPE, image.content_type), (CACHE_CONTROL, FOR_EVER)], image.bytes))
}

/// Uploads an image once. A client without a response may upload the same image again.
///
/// The address with its token comes from an endpoint for administrators.
#[utoipa::path(
    put,
    path = "/v1/images/{*path}",
    security(()),
    params(("path" = String, Path, description = "The path of the image, with its slashes"), Signed),
    request_body(content((String = "image/jpeg"), (String = "image/png"), (String = "image/gif"), (String = "image/webp"))),
    responses((status = 201, body = Nothing)),
)]
async fn accept(
    State(gateway): State<Gateway>,
    Ids(path): Ids<String>,
    Params(signed): Params<Signed>,
    request: Request,
) -> Answer<Nothing> {
    let content_type = request.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let content_type = content_type.unwrap_or_default().to_owned();
    let images = images(&gateway)?;
    images.check(&path, &signed.token, &content_type, Utc::now())?;
    let body = body(request, &gateway).await?;
    let upload = Upload { path: &path, token: &signed.token, content_type: &content_type, body: &body };
    images.accept(upload, Utc::now()).await?;
    Ok(created("이미지를 업로드했습니다.", Nothing {}))
}

fn images(gateway: &Gateway) -> Result<&Images, Error> {
    gateway.images().ok_or_else(Error::unknown_id)
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Token(bad) => Error::no_administrator().because(bad.to_string()),
            Refused::Path(_) => Error::unknown_id(),
            Refused::TooLarge => Error::too_large(),
            Refused::ContentType(_) | Refused::Contents(_) => Error::invalid(refused.to_string()),
            Refused::NotStored(NotStored::Exists) => Error::exists(),
            Refused::NotStored(NotStored::Io(error)) => {
                tracing::error!(%error, "gateway: an image cannot be stored");
                Error::down(Vec::new())
            }
        }
    }
}
