//! Tests of uploads: tokens, types, sizes, contents, paths, and files that exist.
use chrono::{DateTime, TimeDelta, Utc};
use image_store::{
    Directory, Format, Image, ImagePath, Images, LARGEST, NotStored, Refused, RefusedToken, Upload, UploadTokens,
};
use service_auth::{Key, Keys};
use std::{fs, os::unix::fs::PermissionsExt};
use tempfile::TempDir;

const PNG: &[u8] = b"\x89PNG\r\n\x1A\n and the rest";
const PATH: &str = "counselings/counselor-profiles/0198c0de/1.png";

fn tokens(key: &str) -> UploadTokens {
    UploadTokens::new(Key::new(key.repeat(32)).unwrap())
}
fn now() -> DateTime<Utc> {
    "2026-03-01T12:30:00Z".parse().unwrap()
}
fn path(text: &str) -> ImagePath {
    text.parse().unwrap()
}
fn images() -> (Images, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    (Images::new(Directory::open(folder.path().join("images")).unwrap(), tokens("k")), folder)
}
fn files(folder: &TempDir) -> Vec<String> {
    fn walk(folder: &std::path::Path, found: &mut Vec<String>) {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            match entry.file_type().unwrap().is_dir() {
                true => walk(&entry.path(), found),
                false => found.push(entry.file_name().into_string().unwrap()),
            }
        }
    }
    let mut found = Vec::new();
    walk(folder.path(), &mut found);
    found
}

#[test]
fn a_token_allows_one_path_for_fifteen_minutes() {
    let (tokens, path) = (tokens("k"), path(PATH));
    let (token, expires_at) = tokens.sign(&path, now()).unwrap();
    assert_eq!(expires_at, now() + TimeDelta::minutes(15));
    let verify = |minutes, seconds| {
        tokens.verify(&token, &path, now() + TimeDelta::minutes(minutes) + TimeDelta::seconds(seconds))
    };
    assert_eq!((verify(0, 0), verify(14, 59)), (Ok(()), Ok(())));
    assert_eq!(verify(15, 0), Err(RefusedToken::Expired));
    assert_eq!(
        tokens.verify(&token, &PATH.replace("1.png", "2.png").parse().unwrap(), now()),
        Err(RefusedToken::Invalid)
    );
    assert_eq!(tokens.verify(&token, &PATH.replace("png", "gif").parse().unwrap(), now()), Err(RefusedToken::Invalid));
    // Signed ahead of time: valid for longer than any token of the service.
    assert_eq!(verify(-3, 0), Err(RefusedToken::Invalid));
}

#[test]
fn a_token_of_another_key_or_purpose_is_refused() {
    let (other, _) = tokens("o").sign(&path(PATH), now()).unwrap();
    let keys = Keys::parse(&"k".repeat(32)).unwrap();
    let claims = |aud| serde_claims(aud, now() + TimeDelta::minutes(10));
    let session = keys.sign(&claims("session")).unwrap();
    let right = keys.sign(&claims("image-upload")).unwrap();
    for token in [&other, &session, "", "a.b.c", &"x".repeat(2000)] {
        assert_eq!(tokens("k").verify(token, &path(PATH), now()), Err(RefusedToken::Invalid), "{token}");
    }
    assert_eq!(tokens("k").verify(&right, &path(PATH), now()), Ok(()), "the claims differ by the audience only");
    let (head, signature) = right.rsplit_once('.').unwrap();
    let mut changed: Vec<u8> = signature.bytes().collect();
    changed[0] = if changed[0] == b'A' { b'B' } else { b'A' };
    let changed = format!("{head}.{}", String::from_utf8(changed).unwrap());
    assert_eq!(tokens("k").verify(&changed, &path(PATH), now()), Err(RefusedToken::Invalid));
}
fn serde_claims(aud: &str, exp: DateTime<Utc>) -> std::collections::BTreeMap<&'static str, serde_json::Value> {
    [("aud", aud.into()), ("sub", PATH.into()), ("exp", exp.timestamp().into())].into()
}

#[test]
fn a_key_can_be_replaced_while_its_urls_are_valid() {
    let (token, _) = tokens("k").sign(&path(PATH), now()).unwrap();
    let both = UploadTokens::new(Keys::parse(&format!("{}\n{}", "n".repeat(32), "k".repeat(32))).unwrap());
    assert_eq!(both.verify(&token, &path(PATH), now()), Ok(()));
    let (new, _) = both.sign(&path(PATH), now()).unwrap();
    assert_eq!(tokens("k").verify(&new, &path(PATH), now()), Err(RefusedToken::Invalid));
}

#[test]
fn only_plain_paths_are_paths() {
    for good in ["a.jpg", "a-1/b/c.webp", PATH] {
        assert_eq!(path(good).to_string(), good);
    }
    let long = format!("{}.png", "a".repeat(200));
    for bad in [
        "",
        ".png",
        "a",
        "a.svg",
        "a.png/",
        "/a.png",
        "../a.png",
        "a/../b.png",
        "a/./b.png",
        "a//b.png",
        "a/.png",
        "A.png",
        "a.PNG",
        "a.b.png",
        "a\\b.png",
        "a%2e%2e.png",
        "a\0.png",
        "가.png",
        ".unfinished/a.png",
        "1/2/3/4/5/6/7/8/9.png",
        &long,
    ] {
        assert!(bad.parse::<ImagePath>().is_err(), "{bad:?}");
    }
}

#[test]
fn a_format_is_known_by_its_first_bytes() {
    let samples: [(Format, &[u8]); 5] = [
        (Format::Jpg, b"\xFF\xD8\xFF\xE0"),
        (Format::Png, PNG),
        (Format::Gif, b"GIF87a"),
        (Format::Gif, b"GIF89a"),
        (Format::Webp, b"RIFF\x01\x02\x03\x04WEBPVP8 "),
    ];
    for (of, bytes) in samples {
        for format in Format::ALL {
            assert_eq!(format.matches(bytes), format == of, "{format:?} {bytes:?}");
        }
    }
    for bytes in [&b""[..], b"<svg>", b"RIFF\x01\x02\x03\x04WAVE", b"RIFF", b"GIF88a"] {
        assert!(Format::ALL.iter().all(|format| !format.matches(bytes)), "{bytes:?}");
    }
}

#[tokio::test]
async fn an_upload_is_stored_once_and_delivered() -> anyhow::Result<()> {
    let (images, folder) = images();
    let (token, _) = tokens("k").sign(&path(PATH), now())?;
    let upload = Upload { path: PATH, token: &token, content_type: "Image/PNG", body: PNG };
    assert_eq!(images.deliver(PATH).await?, None);
    images.accept(upload, now()).await?;
    let stored = Some(Image { content_type: "image/png", bytes: PNG.to_vec() });
    assert_eq!(images.deliver(PATH).await?, stored);

    images.accept(upload, now()).await?; // the client did not get the first response

    let other = Upload { body: b"\x89PNG\r\n\x1A\n another", ..upload };
    assert!(matches!(images.accept(other, now()).await, Err(Refused::NotStored(NotStored::Exists))));
    assert_eq!(images.deliver(PATH).await?, stored, "the first upload stays");
    assert_eq!(files(&folder), ["1.png"], "no unfinished file stays");
    let mode = fs::metadata(folder.path().join("images").join(PATH))?.permissions().mode();
    assert_eq!(mode & 0o077, 0, "{mode:o}");
    Ok(())
}

#[tokio::test]
async fn of_concurrent_uploads_to_one_url_exactly_one_is_stored() -> anyhow::Result<()> {
    let (images, folder) = images();
    let (token, _) = tokens("k").sign(&path(PATH), now())?;
    let tries: Vec<_> = (0..8u8)
        .map(|number| {
            let (images, token) = (images.clone(), token.clone());
            tokio::spawn(async move {
                let body = [PNG, &[number; 100_000][..]].concat();
                let upload = Upload { path: PATH, token: &token, content_type: "image/png", body: &body };
                images.accept(upload, now()).await.is_ok().then_some(body)
            })
        })
        .collect();
    let mut stored = Vec::new();
    for one in tries {
        stored.extend(one.await?);
    }
    assert_eq!(stored.len(), 1);
    assert_eq!(images.deliver(PATH).await?.unwrap().bytes, stored[0]);
    assert_eq!(files(&folder), ["1.png"]);
    Ok(())
}

#[tokio::test]
async fn of_concurrent_uploads_of_one_image_all_succeed() -> anyhow::Result<()> {
    let (images, folder) = images();
    let (token, _) = tokens("k").sign(&path(PATH), now())?;
    let tries: Vec<_> = (0..8)
        .map(|_| {
            let (images, token) = (images.clone(), token.clone());
            tokio::spawn(async move {
                let upload = Upload { path: PATH, token: &token, content_type: "image/png", body: PNG };
                images.accept(upload, now()).await
            })
        })
        .collect();
    for one in tries {
        one.await??;
    }
    assert_eq!(files(&folder), ["1.png"]);
    Ok(())
}

#[tokio::test]
async fn a_bad_upload_is_refused_and_stores_nothing() -> anyhow::Result<()> {
    let (images, folder) = images();
    let (token, _) = tokens("k").sign(&path(PATH), now())?;
    let right = Upload { path: PATH, token: &token, content_type: "image/png", body: PNG };
    let too_large = [PNG, &vec![0; LARGEST + 1 - PNG.len()]].concat();
    assert!(matches!(images.accept(Upload { body: &too_large, ..right }, now()).await, Err(Refused::TooLarge)));
    for content_type in ["image/jpeg", "text/html", "", "image/png; charset=utf-8"] {
        let refused = images.accept(Upload { content_type, ..right }, now()).await;
        assert!(matches!(refused, Err(Refused::ContentType("image/png"))), "{content_type}: {refused:?}");
    }
    for body in [&b""[..], b"<script>alert(1)</script>", b"\xFF\xD8\xFF\xE0"] {
        let refused = images.accept(Upload { body, ..right }, now()).await;
        assert!(matches!(refused, Err(Refused::Contents("image/png"))), "{refused:?}");
    }
    let elsewhere = Upload { path: "../1.png", ..right };
    assert!(matches!(images.accept(elsewhere, now()).await, Err(Refused::Path(_))));
    let unsigned = Upload { token: "", ..right };
    assert!(matches!(images.accept(unsigned, now()).await, Err(Refused::Token(RefusedToken::Invalid))));
    let late = images.accept(right, now() + TimeDelta::minutes(16)).await;
    assert!(matches!(late, Err(Refused::Token(RefusedToken::Expired))));
    assert!(files(&folder).is_empty());

    let largest = [PNG, &vec![0; LARGEST - PNG.len()]].concat();
    images.accept(Upload { body: &largest, ..right }, now()).await?;
    assert_eq!(images.deliver("counselings/../1.png").await?, None);
    Ok(())
}

#[tokio::test]
async fn unfinished_files_of_crashed_processes_are_removed() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    Directory::open(folder.path())?;
    let (old, new) = (folder.path().join(".unfinished/old"), folder.path().join(".unfinished/new"));
    fs::write(&new, "")?;
    let long_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(2 * 60 * 60);
    fs::File::create(&old)?.set_modified(long_ago)?;
    Directory::open(folder.path())?;
    assert!(!old.exists() && new.exists(), "another process may still write the new one");
    Ok(())
}
