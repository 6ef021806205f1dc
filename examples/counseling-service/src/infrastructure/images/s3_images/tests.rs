//! Tests of the object store against a local server that checks each signature by the published algorithm.
use super::{S3Config, S3Images};
use crate::{
    application::ports::ImageStore,
    domain::image::{ImageFolder, ImageFormat, ImagePath, ImageUrl},
};
use cqrs_core::{ErrorKind, Secret, Timestamp};
use reqwest::{Client, StatusCode};
use sha2::{Digest, Sha256};
use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};
use uuid::Uuid;

const SECRET: &str = "the secret of the access key";
const PNG: &[u8] = b"\x89PNG\r\n\x1A\n and the rest";

/// The objects of the server: type and bytes by path.
type Objects = Arc<Mutex<BTreeMap<String, (String, Vec<u8>)>>>;

/// A server with the part of S3 that presigned uploads need. It answers 403 to a request whose signature is not the one
/// that the algorithm gives.
fn server() -> (String, Objects) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let objects = Objects::default();
    let kept = objects.clone();
    thread::spawn(move || {
        for stream in listener.incoming() {
            serve(&mut stream.unwrap(), &kept);
        }
    });
    (url, objects)
}

fn serve(stream: &mut TcpStream, objects: &Objects) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let headers: BTreeMap<String, String> = lines[1..]
        .iter()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
        .collect();
    let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let [method, target, _] = lines[0].split(' ').collect::<Vec<_>>()[..] else { panic!("{lines:?}") };
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut objects = objects.lock().unwrap();
    let (status, more) = match (is_signed(method, path, query, &headers), method, objects.get(path)) {
        (false, ..) => (403, String::new()),
        (true, "PUT", _) => {
            objects.insert(path.to_owned(), (headers.get("content-type").cloned().unwrap_or_default(), body));
            (200, "content-length: 0\r\n".to_owned())
        }
        (true, "HEAD", Some((kind, bytes))) => {
            (200, format!("content-type: {kind}\r\ncontent-length: {}\r\n", bytes.len()))
        }
        (true, "HEAD", None) => (404, String::new()),
        _ => (503, String::new()),
    };
    stream.write_all(format!("HTTP/1.1 {status} -\r\n{more}connection: close\r\n\r\n").as_bytes()).unwrap();
}

/// Computes the signature of a presigned URL (AWS Signature Version 4) and compares it.
fn is_signed(method: &str, path: &str, query: &str, headers: &BTreeMap<String, String>) -> bool {
    let mut pairs: BTreeMap<&str, &str> = query.split('&').filter_map(|pair| pair.split_once('=')).collect();
    let Some(signature) = pairs.remove("X-Amz-Signature") else { return false };
    let value = |name| pairs.get(name).copied().unwrap_or_default().replace("%2F", "/").replace("%3B", ";");
    let (date, credential, names) = (value("X-Amz-Date"), value("X-Amz-Credential"), value("X-Amz-SignedHeaders"));
    let Some((key, scope)) = credential.split_once('/') else { return false };
    let canonical_query = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&");
    let header = |name: &str| format!("{name}:{}\n", headers.get(name).cloned().unwrap_or_default());
    let canonical_headers: String = names.split(';').map(header).collect();
    let request = format!("{method}\n{path}\n{canonical_query}\n{canonical_headers}\n{names}\nUNSIGNED-PAYLOAD");
    let to_sign = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", hex(&Sha256::digest(request)));
    let start = format!("AWS4{SECRET}").into_bytes();
    let signing_key = scope.split('/').fold(start, |key, part| hmac(&key, part.as_bytes()));
    key == "key-1" && signature == hex(&hmac(&signing_key, to_sign.as_bytes()))
}
fn hmac(key: &[u8], data: &[u8]) -> Vec<u8> {
    let mut block = [0; 64];
    block[..key.len()].copy_from_slice(key);
    let inner = Sha256::new().chain_update(block.map(|byte| byte ^ 0x36)).chain_update(data).finalize();
    Sha256::new().chain_update(block.map(|byte| byte ^ 0x5C)).chain_update(inner).finalize().to_vec()
}
fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn store(endpoint: &str, secret: &str) -> S3Images {
    let config = S3Config {
        endpoint: endpoint.to_owned(),
        bucket: "pictures".to_owned(),
        region: "ap-northeast-2".to_owned(),
        path_style: true,
        key: "key-1".to_owned(),
        secret: Secret::new(secret),
        base: None,
    };
    S3Images::new(config).unwrap()
}
fn path() -> ImagePath {
    let (folder, format) = (ImageFolder::CounselorProfiles, ImageFormat::Png);
    ImagePath { folder, counselor: Uuid::from_u128(1).into(), id: Uuid::from_u128(2).into(), format }
}
fn now() -> Timestamp {
    "2026-03-01T12:30:00Z".parse().unwrap()
}
async fn put(url: &str, content_type: &str, body: Vec<u8>) -> StatusCode {
    let request = Client::new().put(url).header("content-type", content_type).body(body);
    request.send().await.unwrap().status()
}

#[tokio::test]
async fn a_picture_is_uploaded_to_a_presigned_url_and_found() {
    let (endpoint, objects) = server();
    let store = store(&endpoint, SECRET);
    let signed = store.sign_upload(&path(), now()).unwrap().unwrap();
    let public_url = ImageUrl::parse(&signed.public_url).unwrap();
    assert_eq!(signed.public_url, format!("{endpoint}/pictures/{}", path()));
    assert_eq!(signed.expires_at, "2026-03-01T12:45:00Z".parse::<Timestamp>().unwrap());
    assert!(signed.upload_url.contains("X-Amz-Expires=900&"), "{}", signed.upload_url);
    assert!(!store.has(&public_url).await.unwrap(), "nothing has been uploaded yet");

    assert_eq!(put(&signed.upload_url, "image/png", PNG.to_vec()).await, StatusCode::OK);
    assert_eq!(objects.lock().unwrap().len(), 1);
    assert!(store.has(&public_url).await.unwrap());
}

#[tokio::test]
async fn another_type_or_path_than_the_signed_one_is_refused_by_the_store() {
    let (endpoint, objects) = server();
    let signed = store(&endpoint, SECRET).sign_upload(&path(), now()).unwrap().unwrap();
    for (url, content_type) in [
        (signed.upload_url.clone(), "text/html"),
        (signed.upload_url.clone(), "image/jpeg"),
        (signed.upload_url.replace("counselor-profiles", "episode-cut-scenes"), "image/png"),
        (signed.upload_url.replace("X-Amz-Expires=900", "X-Amz-Expires=9000"), "image/png"),
    ] {
        assert_eq!(put(&url, content_type, PNG.to_vec()).await, StatusCode::FORBIDDEN, "{url} {content_type}");
    }
    let stranger = store(&endpoint, "another secret").sign_upload(&path(), now()).unwrap().unwrap();
    assert_eq!(put(&stranger.upload_url, "image/png", PNG.to_vec()).await, StatusCode::FORBIDDEN);
    assert!(objects.lock().unwrap().is_empty());
}

#[tokio::test]
async fn an_object_that_is_no_image_is_not_found() {
    let (endpoint, objects) = server();
    let store = store(&endpoint, SECRET);
    let url = ImageUrl::parse(&format!("{endpoint}/pictures/{}", path())).unwrap();
    for (kind, size, found) in [
        ("image/png", 5 * 1024 * 1024, true),
        ("image/png", 5 * 1024 * 1024 + 1, false),
        ("image/png", 0, false),
        ("text/html", 10, false),
    ] {
        objects.lock().unwrap().insert(format!("/pictures/{}", path()), (kind.to_owned(), vec![0; size]));
        assert_eq!(store.has(&url).await.unwrap(), found, "{kind} {size}");
    }
}

#[tokio::test]
async fn only_urls_of_the_bucket_are_looked_for() {
    let (endpoint, objects) = server();
    let store = store(&endpoint, SECRET);
    objects.lock().unwrap().insert(format!("/secrets/{}", path()), ("image/png".to_owned(), PNG.to_vec()));
    for other in [
        format!("{endpoint}/secrets/{}", path()),
        format!("{endpoint}/pictures/../secrets/{}", path()),
        format!("https://evil.example.com/pictures/{}", path()),
    ] {
        assert!(!store.has(&ImageUrl::parse(&other).unwrap()).await.unwrap(), "{other}");
    }
}

#[tokio::test]
async fn an_outage_is_not_taken_for_a_missing_image() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let store = store(&endpoint, SECRET);
    let url = ImageUrl::parse(&format!("{endpoint}/pictures/{}", path())).unwrap();
    let fault = store.has(&url).await.unwrap_err();
    assert_eq!(fault.kind(), ErrorKind::Unavailable);
    let shown = format!("{fault:?}");
    assert!(!shown.contains("X-Amz-Signature"), "{shown}");
}
