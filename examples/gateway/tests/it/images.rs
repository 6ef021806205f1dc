//! Tests of images: uploads to a signed address, and their delivery to everybody.
use crate::{
    description::{check, description},
    fixture::{Answer, Fixture, error},
};
use axum::{body::Body, http::Request};
use chrono::{TimeDelta, Utc};
use image_store::{Directory, Images, UploadTokens};
use service_auth::Key;
use tempfile::TempDir;

const PATH: &str = "counselings/counselor-profiles/1/2.png";
const PICTURE: &[u8] = b"\x89PNG\r\n\x1a\n\xff\x00picture";

/// A gateway with an empty folder of images.
struct Uploads {
    fixture: Fixture,
    tokens: UploadTokens,
    _folder: TempDir,
}
impl Uploads {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let tokens = UploadTokens::new(Key::new("a key that signs uploads, 32 bytes").unwrap());
        let images = Images::new(Directory::open(folder.path()).unwrap(), tokens.clone());
        Uploads { fixture: Fixture::with_images(images), tokens, _folder: folder }
    }
    fn token(&self, path: &str) -> String {
        self.tokens.sign(&path.parse().unwrap(), Utc::now()).unwrap().0
    }
    async fn put(&self, path: &str, token: &str, kind: &str, body: &[u8]) -> Answer {
        let request = Request::put(format!("/v1/images/{path}?token={token}")).header("Content-Type", kind);
        self.fixture.send(request.body(Body::from(body.to_vec())).unwrap()).await
    }
    async fn get(&self, path: &str) -> Answer {
        self.fixture.send(Request::get(format!("/v1/images/{path}")).body(Body::empty()).unwrap()).await
    }
}

#[tokio::test]
async fn an_uploaded_image_is_delivered_to_everybody_and_kept_by_caches() {
    let uploads = Uploads::new();
    let api = description(&uploads.fixture).await;
    let endpoint = &api["paths"]["/v1/images/{path}"];
    assert_eq!(uploads.get(PATH).await.error(), error(404, "E40401"));
    let stored = uploads.put(PATH, &uploads.token(PATH), "image/png", PICTURE).await;
    assert_eq!(stored.status, 201);
    check(&api, &endpoint["put"], &stored);
    let repeated = uploads.put(PATH, &uploads.token(PATH), "image/png", PICTURE).await;
    assert_eq!(repeated.status, 201, "the client did not get the first response");

    let image = uploads.get(PATH).await;
    assert_eq!((image.status.as_u16(), image.bytes.as_slice()), (200, PICTURE));
    assert_eq!(image.header("content-type"), Some("image/png"));
    assert_eq!(image.header("cache-control"), Some("public, max-age=31536000, immutable"));
    assert_eq!(image.header("x-content-type-options"), Some("nosniff"));
    assert!(image.header("set-cookie").is_none(), "a shared cache must not keep cookies");
    check(&api, &endpoint["get"], &image);
}

/// Nobody without a right makes the gateway read a body.
#[tokio::test]
async fn an_upload_without_a_right_is_refused_before_its_body_is_read() {
    let uploads = Uploads::new();
    for (token, kind, expected) in [
        ("made-up".to_owned(), "image/png", error(403, "E40301")),
        (uploads.token(PATH), "image/gif", error(400, "HTTP_INVALID_INPUT")),
    ] {
        let request = Request::put(format!("/v1/images/{PATH}?token={token}")).header("Content-Type", kind);
        let body = Body::from_stream(futures_util::stream::pending::<Result<Vec<u8>, std::convert::Infallible>>());
        let request = request.header("Content-Length", 5_000_000).body(body).unwrap();
        let answer = tokio::time::timeout(std::time::Duration::from_secs(5), uploads.fixture.send(request)).await;
        assert_eq!(answer.expect("the body is waited for").error(), expected);
    }
}

#[tokio::test]
async fn an_upload_without_a_right_of_another_type_or_of_a_second_image_is_refused() {
    let uploads = Uploads::new();
    let api = description(&uploads.fixture).await;
    let endpoint = &api["paths"]["/v1/images/{path}"];
    let token = uploads.token(PATH);
    let expired = uploads.tokens.sign(&PATH.parse().unwrap(), Utc::now() - TimeDelta::hours(1)).unwrap().0;
    let other = uploads.token("counselings/counselor-profiles/1/3.png");
    let large = [PICTURE, &vec![0; image_store::LARGEST]].concat();
    for (path, token, kind, body, expected) in [
        (PATH, "", "image/png", PICTURE, error(403, "E40301")),
        (PATH, "made-up", "image/png", PICTURE, error(403, "E40301")),
        (PATH, expired.as_str(), "image/png", PICTURE, error(403, "E40301")),
        (PATH, other.as_str(), "image/png", PICTURE, error(403, "E40301")),
        ("a/b.svg", token.as_str(), "image/svg+xml", PICTURE, error(404, "E40401")),
        ("..%2F..%2Fetc/passwd.png", token.as_str(), "image/png", PICTURE, error(404, "E40401")),
        (PATH, token.as_str(), "image/gif", PICTURE, error(400, "HTTP_INVALID_INPUT")),
        (PATH, token.as_str(), "text/html", PICTURE, error(400, "HTTP_INVALID_INPUT")),
        (PATH, token.as_str(), "image/png", b"<script>".as_slice(), error(400, "HTTP_INVALID_INPUT")),
        (PATH, token.as_str(), "image/png", large.as_slice(), error(413, "HTTP_PAYLOAD_TOO_LARGE")),
    ] {
        let answer = uploads.put(path, token, kind, body).await;
        assert_eq!(answer.error(), expected, "{path} {kind}: {answer:?}");
        check(&api, &endpoint["put"], &answer);
        assert_eq!(uploads.get(PATH).await.status, 404, "nothing is stored");
    }
    let without = Request::put(format!("/v1/images/{PATH}")).header("Content-Type", "image/png");
    let without = uploads.fixture.send(without.body(Body::from(PICTURE)).unwrap()).await;
    assert_eq!(without.error(), error(400, "HTTP_MISSING_REQUEST_PARAMETER"));
    assert_eq!(uploads.put(PATH, &token, "image/png", PICTURE).await.status, 201);
    let again = uploads.put(PATH, &token, "image/png", b"\x89PNG\r\n\x1a\nother").await;
    assert_eq!(again.error(), error(409, "E40901"));
    check(&api, &endpoint["put"], &again);
    assert_eq!(uploads.get(PATH).await.bytes, PICTURE);
}

#[tokio::test]
async fn a_gateway_without_images_has_none() {
    let fixture = Fixture::new().await;
    let get = Request::get(format!("/v1/images/{PATH}")).body(Body::empty()).unwrap();
    assert_eq!(fixture.send(get).await.error(), error(404, "E40401"));
}
