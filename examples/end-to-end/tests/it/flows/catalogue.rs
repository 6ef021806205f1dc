//! F8: an administrator uploads an image to a signed address, and a counsellor shows it.
use super::fixture::{COUNSELING, Fixture, GATEWAY, text};
use anyhow::{Result, ensure};
use end_to_end::Visitor;
use reqwest::Method;
use serde_json::{Value, json};

const IMAGE: &[u8] = b"\x89PNG\r\n\x1a\n\xff\x00 a picture";
const OTHER: &[u8] = b"\x89PNG\r\n\x1a\n\xff\x00 another picture";

pub(crate) async fn upload(fixture: &Fixture) -> Result<()> {
    let (admin, path) = (&fixture.administrator, format!("/v1/admin/counselors/{}", fixture.counselor));
    let png = json!({ "extension": "EXTENSION_PNG" });
    let signed = fixture.during_kill(COUNSELING, admin.post(&format!("{path}/image-url"), png, "sign")).await?;
    let signed = &signed["presignedUrl"];
    let (upload, public) = (text(&signed["uploadUrl"])?, text(&signed["publicUrl"])?);

    let picture = json!({ "profileImage": public });
    let early = admin.ask(Method::PUT, &path, Some(&picture), Some("early")).await?;
    ensure!(early.status == 400, "a picture is shown that was not uploaded: {early:?}");

    let stored = fixture.during_kill(GATEWAY, admin.upload(&upload, "image/png", IMAGE)).await?;
    ensure!(stored.status == 201, "{stored:?}");
    let again = admin.upload(&upload, "image/png", IMAGE).await?;
    ensure!(again.status == 201, "an upload whose answer was lost cannot be repeated: {again:?}");
    let other = admin.upload(&upload, "image/png", OTHER).await?;
    ensure!(other.status == 409, "an uploaded image was replaced: {other:?}");

    let set = set_picture(admin, &path, &picture);
    let shown = fixture.during_kill(COUNSELING, set).await?;
    ensure!(text(&shown["counselor"]["profileImage"])? == public, "{shown}");
    let kim = Visitor::visit(&fixture.base).await?;
    let downloaded = kim.download(&public).await?;
    ensure!(downloaded == ("image/png".to_owned(), IMAGE.to_vec()), "{downloaded:?}");
    let found = admin.get(&format!("/v1/counselors/{}", fixture.counselor)).await?;
    ensure!(text(&found["counselor"]["profileImage"])? == public, "{found}");
    Ok(())
}

async fn set_picture(admin: &Visitor, path: &str, picture: &Value) -> Result<Value> {
    admin.put(path, picture.clone(), "set").await
}
