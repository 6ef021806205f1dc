//! The settings of the images that the gateway accepts and delivers.
use image_store::{Directory, Images, UploadTokens};
use service_auth::{
    Key,
    secrets::{self, Name, given},
};

const DIR: Name = Name { variable: "HEARLERS_IMAGES_DIR", flag: "--images-dir" };
const SECRET: Name = Name { variable: "HEARLERS_IMAGES_SECRET", flag: "--images-secret" };

/// The flags of the images. Without a folder, the gateway has none: uploads go to an object store, or nowhere.
#[derive(clap::Args)]
pub(super) struct ImagesArgs {
    /// Folder of the images, the same as the counseling service's.
    #[arg(long, env = "HEARLERS_IMAGES_DIR", value_name = "FOLDER")]
    images_dir: Option<String>,
    /// Secret that verifies upload URLs, the same as the counseling service's: at least 32 bytes. Further lines are further
    /// secrets, and all are accepted.
    #[arg(long, env = "HEARLERS_IMAGES_SECRET", hide_env_values = true, value_name = "SECRET")]
    images_secret: Option<String>,
    /// File that contains that secret. It is read again when it changes.
    #[arg(long, env = "HEARLERS_IMAGES_SECRET_FILE", value_name = "FILE")]
    images_secret_file: Option<String>,
}
impl ImagesArgs {
    /// Validates the settings and opens the folder. Adds a line for each invalid setting.
    pub(super) fn check(&self, wrong: &mut Vec<String>) -> Option<Images> {
        let folder = given(self.images_dir.as_deref())?;
        let before = wrong.len();
        let keys = secrets::keys(SECRET, self.images_secret.as_deref(), self.images_secret_file.as_deref(), wrong);
        if keys.is_none() && wrong.len() == before {
            wrong.push(format!("{SECRET}: at least {} bytes, the same as the counseling service's", Key::SHORTEST));
        }
        let folder = Directory::open(folder)
            .map_err(|error| wrong.push(format!("{DIR}: a folder that can be written: {error}")));
        Some(Images::new(folder.ok()?, UploadTokens::new(keys?)))
    }
}
