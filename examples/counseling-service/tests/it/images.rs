//! Tests of pictures: signed uploads, and the refusal of URLs to which nothing was uploaded.
use crate::{
    catalogue::{is, names, new_counselor, nobody},
    fixture::{Fixture, KIM},
    wallets::Wallets,
};
use contracts::v1::{
    common::{Extension, PresignedUrl},
    service::{
        CreateCounselorRequest, FindCounselorByIdRequest, GenerateCounselorImageUrlRequest,
        GenerateCutSceneImageUrlRequest, UpdateCounselorRequest,
    },
};
use counseling_service::{
    OfflineResponder, Ports, SERVICE,
    application::{commands::GenerateImageUrl, queries::FindCounselors, queries::Part},
    domain::image::{ImageError, ImageFolder, ImageFormat},
};
use cqrs_core::{App, Error, grpc::header, testing::EnvironmentLayer};
use image_store::{Refused, RefusedToken, Upload};
use service_edge::testing::by_admin;
use std::{fs, sync::Arc};
use tonic::{Code, Status};
use uuid::Uuid;

service_edge::cases![
    a_picture_is_uploaded_and_shown,
    a_picture_of_a_cut_scene_has_a_folder_of_its_own,
    a_url_without_an_upload_is_refused,
    an_upload_url_expires,
    an_upload_needs_a_counsellor_and_a_format,
    the_same_key_signs_another_url,
    a_present_picture_is_kept_without_a_look_at_the_store,
];

const PNG: &[u8] = b"\x89PNG\r\n\x1A\n and the rest";

impl Fixture {
    async fn profile_url(&self, counselor_id: &str, extension: Extension) -> Result<PresignedUrl, Status> {
        let (counselor_id, extension) = (counselor_id.into(), extension.into());
        let request = by_admin(KIM, GenerateCounselorImageUrlRequest { counselor_id, extension });
        let signed = self.counselors.clone().generate_counselor_image_url(request).await?.into_inner();
        Ok(signed.presigned_url.unwrap_or_default())
    }
    async fn cut_scene_url(&self, counselor_id: &str) -> Result<PresignedUrl, Status> {
        let (counselor_id, extension) = (counselor_id.into(), Extension::Png.into());
        let request = by_admin(KIM, GenerateCutSceneImageUrlRequest { counselor_id, extension });
        let signed = self.counselors.clone().generate_cut_scene_image_url(request).await?.into_inner();
        Ok(signed.presigned_url.unwrap_or_default())
    }
    /// Uploads a picture as the gateway does.
    async fn upload(&self, url: &PresignedUrl) -> Result<(), Refused> {
        let (path, token) = url.upload_url.split_once("?token=").unwrap_or_default();
        let path = path.strip_prefix("/v1/images/").unwrap_or_default();
        let upload = Upload { path, token, content_type: "image/png", body: PNG };
        self.images.accept(upload, self.environment.now()).await
    }
    /// Returns the public URL of an uploaded picture for a cut scene of the first counsellor.
    pub(crate) async fn picture(&self) -> anyhow::Result<String> {
        let signed = self.cut_scene_url(&self.counselor().await?).await?;
        self.upload(&signed).await?;
        Ok(signed.public_url)
    }
    async fn set_picture(&self, counselor_id: &str, url: &str) -> Result<String, Status> {
        let profile_image = Some(url.to_owned());
        let request = UpdateCounselorRequest { counselor_id: counselor_id.into(), profile_image, ..Default::default() };
        Ok(self.update_counselor(request).await?.profile_image)
    }
}

async fn a_picture_is_uploaded_and_shown(fixture: Fixture) -> anyhow::Result<()> {
    let counselor_id = fixture.counselor().await?;
    let signed = fixture.profile_url(&counselor_id, Extension::Png).await?;
    let start = format!("counselings/counselor-profiles/{counselor_id}/");
    let name = signed.file_path.strip_prefix(&start).and_then(|name| name.strip_suffix(".png")).unwrap();
    assert!(Uuid::try_parse(name).is_ok(), "{}", signed.file_path);
    assert_eq!(signed.public_url, format!("/v1/images/{}", signed.file_path));
    assert_eq!(signed.expires_at.len(), "2026-01-02T03:04:05.006Z".len());

    names(fixture.set_picture(&counselor_id, &signed.public_url).await, "profile_image");
    fixture.upload(&signed).await?;
    assert_eq!(fixture.set_picture(&counselor_id, &signed.public_url).await?, signed.public_url);
    let find = FindCounselorByIdRequest { counselor_id: counselor_id.clone() };
    let found = fixture.counselors.clone().find_counselor_by_id(find).await?.into_inner().counselor.unwrap();
    assert_eq!(found.profile_image, signed.public_url);
    assert_eq!(fixture.images.deliver(&signed.file_path).await?.unwrap().bytes, PNG);

    let new = CreateCounselorRequest { profile_image: signed.public_url, ..new_counselor(&fixture).await? };
    assert!(!fixture.create_counselor(new).await?.profile_image.is_empty());
    assert_eq!(fixture.set_picture(&counselor_id, "").await?, "", "an empty text removes the picture");
    Ok(())
}

async fn a_picture_of_a_cut_scene_has_a_folder_of_its_own(fixture: Fixture) -> anyhow::Result<()> {
    let counselor_id = fixture.counselor().await?;
    let signed = fixture.cut_scene_url(&counselor_id).await?;
    assert!(signed.file_path.starts_with(&format!("counselings/episode-cut-scenes/{counselor_id}/")));
    for (extension, name) in [(Extension::Jpg, "jpg"), (Extension::Gif, "gif"), (Extension::Webp, "webp")] {
        assert!(fixture.profile_url(&counselor_id, extension).await?.file_path.ends_with(&format!(".{name}")));
    }
    Ok(())
}

async fn a_url_without_an_upload_is_refused(fixture: Fixture) -> anyhow::Result<()> {
    let counselor_id = fixture.counselor().await?;
    let signed = fixture.profile_url(&counselor_id, Extension::Png).await?;
    let uploaded = fixture.picture().await?;
    let end = fixture.app.storage().high_water_mark().await?;
    for url in [
        signed.public_url.clone(),
        format!("https://evil.example.com{uploaded}"),
        format!("{uploaded}?x=1"),
        format!("/v1/images/../images/{}", signed.file_path),
        "/v1/images/.unfinished".into(),
        uploaded.replace("/v1/images", "/v1/other"),
        signed.upload_url.clone(),
    ] {
        names(fixture.set_picture(&counselor_id, &url).await, "profile_image");
        let new = CreateCounselorRequest { profile_image: url, ..new_counselor(&fixture).await? };
        names(fixture.create_counselor(new).await, "profile_image");
    }
    assert_eq!(fixture.app.storage().high_water_mark().await?, end);
    Ok(())
}

async fn an_upload_url_expires(fixture: Fixture) -> anyhow::Result<()> {
    let counselor_id = fixture.counselor().await?;
    let signed = fixture.profile_url(&counselor_id, Extension::Png).await?;
    fixture.environment.pass(15 * 60 + 1);
    assert!(matches!(fixture.upload(&signed).await, Err(Refused::Token(RefusedToken::Expired))));
    names(fixture.set_picture(&counselor_id, &signed.public_url).await, "profile_image");
    Ok(())
}

async fn an_upload_needs_a_counsellor_and_a_format(fixture: Fixture) -> anyhow::Result<()> {
    let counselor_id = fixture.counselor().await?;
    is(fixture.profile_url(&nobody(), Extension::Png).await, Code::NotFound);
    is(fixture.cut_scene_url(&nobody()).await, Code::NotFound);
    names(fixture.profile_url("하늘", Extension::Png).await, "counselor_id");
    names(fixture.profile_url(&counselor_id, Extension::Unspecified).await, "extension");
    let request = GenerateCutSceneImageUrlRequest { counselor_id, extension: 5 };
    let unknown = fixture.counselors.clone().generate_cut_scene_image_url(by_admin(KIM, request)).await;
    names(unknown, "extension");
    Ok(())
}

async fn the_same_key_signs_another_url(fixture: Fixture) -> anyhow::Result<()> {
    let counselor_id = fixture.counselor().await?;
    let sign = async || {
        let message =
            GenerateCounselorImageUrlRequest { counselor_id: counselor_id.clone(), extension: Extension::Png.into() };
        let mut request = by_admin(KIM, message);
        request.metadata_mut().insert(header::IDEMPOTENCY_KEY, "k-1".parse().unwrap());
        let signed = fixture.counselors.clone().generate_counselor_image_url(request).await?.into_inner();
        anyhow::Ok(signed.presigned_url.unwrap())
    };
    assert_ne!(sign().await?.file_path, sign().await?.file_path, "a signed URL is not stored");
    Ok(())
}

async fn a_present_picture_is_kept_without_a_look_at_the_store(fixture: Fixture) -> anyhow::Result<()> {
    let counselor_id = fixture.counselor().await?;
    let signed = fixture.profile_url(&counselor_id, Extension::Png).await?;
    fixture.upload(&signed).await?;
    fixture.set_picture(&counselor_id, &signed.public_url).await?;
    fs::remove_file(fixture.image_folder.path().join(&signed.file_path))?;
    let request = UpdateCounselorRequest {
        counselor_id,
        name: Some("새 이름".into()),
        profile_image: Some(signed.public_url.clone()),
        ..Default::default()
    };
    assert_eq!(fixture.update_counselor(request).await?.profile_image, signed.public_url);
    let new = CreateCounselorRequest { profile_image: signed.public_url, ..new_counselor(&fixture).await? };
    names(fixture.create_counselor(new).await, "profile_image");
    Ok(())
}

/// An installation without a store.
pub(crate) async fn without_a_store() -> anyhow::Result<()> {
    let app = App::builder(SERVICE.app);
    let app =
        counseling_service::wire(app, Ports::new(Arc::new(OfflineResponder), Arc::new(Wallets::default()))).build()?;
    let _background = app.start().await?;
    counseling_service::seed(&app).await.map_err(anyhow::Error::from_boxed)?;
    let all = app.send(FindCounselors { tone: None, part: Part { after: None, limit: 1 } }).await?;
    let (folder, format) = (ImageFolder::CounselorProfiles, ImageFormat::Png);
    let refused = app.send(GenerateImageUrl { folder, counselor: all.items[0].id, format }).await;
    assert!(matches!(refused, Err(Error::Domain(ImageError::NoStore))), "{refused:?}");
    Ok(())
}
