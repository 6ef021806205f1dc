//! The upload URLs of pictures, for `CounselorService`.
use crate::{
    application::commands::{GenerateImageUrl, GenerateImageUrlResult},
    domain::image::{ImageFolder, ImageFormat},
};
use contracts::{
    iso,
    v1::common::{Extension, PresignedUrl},
};
use cqrs_core::{Committed, DomainError};
use service_edge::{
    Call, Endpoint, Rejection, RpcResult,
    parse::{id, value},
};

/// Signs an upload URL; `respond` makes the message of the response. The command has no idempotency key: a stored response
/// would contain a signed URL, and an expired one later.
pub(super) async fn generate_url<T>(
    endpoint: &Endpoint,
    call: Call,
    folder: ImageFolder,
    (counselor_id, extension): (&str, i32),
    respond: impl FnOnce(PresignedUrl) -> T,
) -> RpcResult<T> {
    let (counselor, format) = (id("counselor_id", counselor_id)?, format(extension)?);
    let command = GenerateImageUrl { folder, counselor, format };
    let Committed { output, position } = call.without_key(endpoint.app()).send_committed(command).await?;
    Ok(endpoint.respond(respond(output.into()), position))
}

/// The error of a missing format.
#[derive(Debug, PartialEq, Eq, thiserror::Error, DomainError)]
#[kind(invalid)]
enum BadImage {
    #[error("jpg, png, gif or webp")]
    #[field("extension")]
    Extension,
}

fn format(number: i32) -> Result<ImageFormat, Rejection> {
    match value("extension", number)? {
        Extension::Unspecified => Err(BadImage::Extension.into()),
        Extension::Jpg => Ok(ImageFormat::Jpg),
        Extension::Png => Ok(ImageFormat::Png),
        Extension::Gif => Ok(ImageFormat::Gif),
        Extension::Webp => Ok(ImageFormat::Webp),
    }
}

impl From<GenerateImageUrlResult> for PresignedUrl {
    fn from(signed: GenerateImageUrlResult) -> Self {
        PresignedUrl {
            upload_url: signed.upload_url,
            public_url: signed.public_url,
            file_path: signed.path,
            expires_at: iso(signed.expires_at),
        }
    }
}
