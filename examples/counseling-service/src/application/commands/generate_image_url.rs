//! The command that signs a URL for the upload of a picture. It stores nothing.
use crate::{
    application::ports::{ImageStore, SignedUpload},
    domain::{
        counselor::{Counselor, CounselorId},
        image::{ImageError, ImageFolder, ImageFormat, ImagePath},
    },
};
use cqrs_core::{Clock, Command, Dep, HandlerResult, Repo, Timestamp, handler};
use serde::{Deserialize, Serialize};

/// Signs a URL that accepts one picture of a counsellor or of a cut scene.
#[derive(Debug, Clone, Serialize, Deserialize, Command)]
pub struct GenerateImageUrl {
    pub folder: ImageFolder,
    /// The counsellor, who must exist.
    pub counselor: CounselorId,
    pub format: ImageFormat,
}

/// A signed URL, and the address of the picture after the upload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GenerateImageUrlResult {
    pub upload_url: String,
    pub public_url: String,
    /// The path of the picture in the store.
    pub path: String,
    pub expires_at: Timestamp,
}

#[handler]
async fn generate_image_url(
    command: GenerateImageUrl,
    counselors: Repo<Counselor>,
    images: Dep<dyn ImageStore>,
    clock: Clock,
) -> HandlerResult<GenerateImageUrlResult, ImageError> {
    let GenerateImageUrl { folder, counselor, format } = command;
    counselors.get::<ImageError>(&counselor).await?;
    let path = ImagePath { folder, counselor, id: clock.id().into(), format };
    let signed = images.sign_upload(&path, clock.now())?.ok_or(ImageError::NoStore)?;
    let SignedUpload { upload_url, public_url, expires_at } = signed;
    Ok(GenerateImageUrlResult { upload_url, public_url, path: path.to_string(), expires_at })
}
