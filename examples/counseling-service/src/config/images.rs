//! The settings of the store of images: a folder that the gateway has too, an object store, or none.
use crate::{DirectoryImages, ImageStore, NoImages, PublicBase};
use image_store::settings::{DIR, ImageFolderArgs};
use service_auth::secrets::{Name, given};
use std::sync::Arc;

const PUBLIC_URL: Name = Name { variable: "HEARLERS_IMAGES_PUBLIC_URL", flag: "--images-public-url" };
const S3_ENDPOINT: Name = Name { variable: "HEARLERS_IMAGES_S3_ENDPOINT", flag: "--images-s3-endpoint" };
const S3_BUCKET: Name = Name { variable: "HEARLERS_IMAGES_S3_BUCKET", flag: "--images-s3-bucket" };
const S3_KEY: Name = Name { variable: "HEARLERS_IMAGES_S3_KEY", flag: "--images-s3-key" };
const S3_SECRET: Name = Name { variable: "HEARLERS_IMAGES_S3_SECRET", flag: "--images-s3-secret" };
const S3_STYLE: Name = Name { variable: "HEARLERS_IMAGES_S3_STYLE", flag: "--images-s3-style" };

/// The flags of the store of images. Without a folder and without an endpoint, images cannot be uploaded.
// Values are text here, so that `check` can report all invalid settings and not only the first one.
#[derive(clap::Args)]
pub(super) struct ImagesArgs {
    #[command(flatten)]
    folder: ImageFolderArgs,
    /// URL under which clients read the images: https://HOST/..., or a path at the gateway. The default is /v1/images for
    /// a folder, and the bucket's URL for an object store.
    #[arg(long, env = "HEARLERS_IMAGES_PUBLIC_URL", value_name = "URL")]
    images_public_url: Option<String>,
    /// URL of an object store with the API of S3. Uploads then go to presigned URLs of the store.
    #[arg(long, env = "HEARLERS_IMAGES_S3_ENDPOINT", value_name = "URL")]
    images_s3_endpoint: Option<String>,
    /// Bucket of the images.
    #[arg(long, env = "HEARLERS_IMAGES_S3_BUCKET", value_name = "NAME")]
    images_s3_bucket: Option<String>,
    /// Region of the bucket. The default is us-east-1.
    #[arg(long, env = "HEARLERS_IMAGES_S3_REGION", value_name = "NAME")]
    images_s3_region: Option<String>,
    /// Address of the bucket: path (https://HOST/BUCKET) or host (https://BUCKET.HOST). The default is path.
    #[arg(long, env = "HEARLERS_IMAGES_S3_STYLE", value_name = "STYLE")]
    images_s3_style: Option<String>,
    /// Id of the access key.
    #[arg(long, env = "HEARLERS_IMAGES_S3_KEY", value_name = "ID")]
    images_s3_key: Option<String>,
    /// Secret of the access key.
    #[arg(long, env = "HEARLERS_IMAGES_S3_SECRET", hide_env_values = true, value_name = "SECRET")]
    images_s3_secret: Option<String>,
    /// File that contains the secret of the access key.
    #[arg(long, env = "HEARLERS_IMAGES_S3_SECRET_FILE", value_name = "FILE")]
    images_s3_secret_file: Option<String>,
}

impl ImagesArgs {
    /// Validates the settings and opens the store. Adds a line for each invalid setting.
    pub(super) fn check(&self, wrong: &mut Vec<String>) -> Option<Arc<dyn ImageStore>> {
        let base = given(self.images_public_url.as_deref()).map(str::parse::<PublicBase>).transpose();
        let base = base.map_err(|error| wrong.push(format!("{PUBLIC_URL}: {error}"))).ok();
        match (self.folder.is_given(), given(self.images_s3_endpoint.as_deref())) {
            (false, None) => base.map(|_| Arc::new(NoImages) as Arc<dyn ImageStore>),
            (true, None) => self.directory(base, wrong),
            (false, Some(endpoint)) => self.object_store(endpoint, base, wrong),
            (true, Some(_)) => {
                wrong.push(format!("{DIR}: a folder or {S3_ENDPOINT}, not both"));
                None
            }
        }
    }

    fn directory(&self, base: Option<Option<PublicBase>>, wrong: &mut Vec<String>) -> Option<Arc<dyn ImageStore>> {
        let (directory, tokens) = self.folder.check(wrong)?;
        let base = base?.or_else(|| "/v1/images".parse().ok())?;
        Some(Arc::new(DirectoryImages::new(directory, tokens, base)))
    }

    #[cfg(feature = "s3")]
    fn object_store(
        &self,
        endpoint: &str,
        base: Option<Option<PublicBase>>,
        wrong: &mut Vec<String>,
    ) -> Option<Arc<dyn ImageStore>> {
        use crate::{S3Config, S3Error, S3Images};
        use service_auth::secrets;
        let secret_file = self.images_s3_secret_file.as_deref();
        let before = wrong.len();
        let secret = secrets::optional(S3_SECRET, self.images_s3_secret.as_deref(), secret_file, wrong);
        if secret.is_none() && wrong.len() == before {
            wrong.push(format!("{S3_SECRET}: the secret of the access key"));
        }
        let (bucket, key) = (given(self.images_s3_bucket.as_deref()), given(self.images_s3_key.as_deref()));
        for (name, value) in [(S3_BUCKET, bucket), (S3_KEY, key)] {
            if value.is_none() {
                wrong.push(format!("{name}: required with {S3_ENDPOINT}"));
            }
        }
        let path_style = match given(self.images_s3_style.as_deref()) {
            None | Some("path") => Some(true),
            Some("host") => Some(false),
            Some(_) => {
                wrong.push(format!("{S3_STYLE}: path or host"));
                None
            }
        };
        let config = S3Config {
            endpoint: endpoint.to_owned(),
            bucket: bucket?.to_owned(),
            region: given(self.images_s3_region.as_deref()).unwrap_or("us-east-1").to_owned(),
            path_style: path_style?,
            key: key?.to_owned(),
            secret: secret?,
            base: base?,
        };
        let line = |error: S3Error| match error {
            S3Error::Base => format!("{PUBLIC_URL}: {error}"),
            error => format!("{S3_ENDPOINT}: {error}"),
        };
        Some(Arc::new(S3Images::new(config).map_err(|error| wrong.push(line(error))).ok()?))
    }
    #[cfg(not(feature = "s3"))]
    fn object_store(
        &self,
        _: &str,
        _: Option<Option<PublicBase>>,
        wrong: &mut Vec<String>,
    ) -> Option<Arc<dyn ImageStore>> {
        wrong.push(format!("{S3_ENDPOINT}: not supported, because this program was built without the feature `s3`"));
        None
    }
}

#[cfg(test)]
mod tests {
    use super::ImagesArgs;
    use crate::domain::image::{ImageFolder, ImageFormat, ImagePath};
    use clap::Parser;
    use uuid::Uuid;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        images: ImagesArgs,
    }
    /// Returns an upload URL of the store, or the error lines. Without a store the URL is empty.
    fn upload_url(flags: &str) -> Result<String, String> {
        let mut wrong = Vec::new();
        let program = Program::parse_from(["program"].into_iter().chain(flags.split_whitespace()));
        let store = program.images.check(&mut wrong);
        assert_eq!(store.is_none(), !wrong.is_empty(), "{wrong:?}");
        let path = ImagePath {
            folder: ImageFolder::CounselorProfiles,
            counselor: Uuid::nil().into(),
            id: Uuid::nil().into(),
            format: ImageFormat::Png,
        };
        let signed = store.ok_or(wrong.join("\n"))?.sign_upload(&path, "2026-03-01T00:00:00Z".parse().unwrap());
        Ok(signed.unwrap().map(|signed| signed.upload_url).unwrap_or_default())
    }

    #[test]
    fn each_store_signs_urls_of_its_own() {
        assert_eq!(upload_url("").unwrap(), "");
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("images");
        let secret = "--images-secret a-secret-for-tests-of-32-bytes-or-more";
        let local = format!("--images-dir {} {secret}", folder.display());
        assert!(upload_url(&local).unwrap().starts_with("/v1/images/counselings/counselor-profiles/"));
        assert!(folder.is_dir());
        let elsewhere = format!("{local} --images-public-url https://api.example.com/v1/images/");
        assert!(upload_url(&elsewhere).unwrap().starts_with("https://api.example.com/v1/images/counselings/"));
    }
    #[cfg(feature = "s3")]
    #[test]
    fn an_object_store_is_addressed_by_path_or_by_host() {
        let s3 =
            "--images-s3-endpoint https://s3.example.com --images-s3-bucket b --images-s3-key k --images-s3-secret s";
        assert!(upload_url(s3).unwrap().starts_with("https://s3.example.com/b/counselings/"));
        let host = format!("{s3} --images-s3-style host");
        assert!(upload_url(&host).unwrap().starts_with("https://b.s3.example.com/counselings/"));
    }
    #[test]
    fn invalid_settings_are_reported_by_name_without_secrets() {
        let folder = tempfile::tempdir().unwrap();
        let folder = format!("--images-dir {}", folder.path().display());
        let secret = "--images-secret hunter2-hunter2-hunter2-hunter2-hunter2";
        let s3 = "--images-s3-endpoint https://s3.example.com";
        for (flags, name) in [
            (folder.clone(), "HEARLERS_IMAGES_SECRET (--images-secret)"),
            (format!("{folder} --images-secret hunter2"), "HEARLERS_IMAGES_SECRET (--images-secret)"),
            (format!("--images-dir /dev/null/x {secret}"), "HEARLERS_IMAGES_DIR (--images-dir)"),
            (format!("{folder} {secret} {s3}"), "HEARLERS_IMAGES_DIR (--images-dir)"),
            ("--images-public-url ftp://x".to_owned(), "HEARLERS_IMAGES_PUBLIC_URL (--images-public-url)"),
        ] {
            let said = upload_url(&flags).unwrap_err();
            assert!(said.contains(name) && !said.contains("hunter2"), "{name} in {said}");
        }
    }
    #[cfg(feature = "s3")]
    #[test]
    fn invalid_settings_of_an_object_store_are_reported_by_name() {
        let keys = "--images-s3-bucket b --images-s3-key k --images-s3-secret hunter2";
        let with = |endpoint: &str, more: &str| format!("--images-s3-endpoint {endpoint} {keys} {more}");
        for (flags, name) in [
            ("--images-s3-endpoint https://s3.example.com".to_owned(), "HEARLERS_IMAGES_S3_BUCKET"),
            ("--images-s3-endpoint https://s3.example.com".to_owned(), "HEARLERS_IMAGES_S3_KEY"),
            ("--images-s3-endpoint https://s3.example.com".to_owned(), "HEARLERS_IMAGES_S3_SECRET"),
            (with("nowhere", ""), "HEARLERS_IMAGES_S3_ENDPOINT"),
            (with("https://kim:pw@s3.example.com", ""), "HEARLERS_IMAGES_S3_ENDPOINT"),
            (with("http://s3.example.com", ""), "HEARLERS_IMAGES_PUBLIC_URL"),
            (with("https://s3.example.com", "--images-s3-style upside-down"), "HEARLERS_IMAGES_S3_STYLE"),
        ] {
            let said = upload_url(&flags).unwrap_err();
            assert!(said.contains(name) && !said.contains("hunter2"), "{name} in {said}");
        }
    }
}
