//! The settings of the folder of images, for the programs that share it.
use crate::{Directory, UploadTokens};
use service_auth::{
    Key,
    secrets::{self, Name, given},
};

/// The setting of the folder.
pub const DIR: Name = Name { variable: "HEARLERS_IMAGES_DIR", flag: "--images-dir" };
const SECRET: Name = Name { variable: "HEARLERS_IMAGES_SECRET", flag: "--images-secret" };

/// The flags of the folder of images.
// Values are text here, so that `check` can report all invalid settings and not only the first one.
#[derive(clap::Args)]
pub struct ImageFolderArgs {
    /// Folder of the images, the same for the gateway and the counseling service. Uploads then go through the gateway.
    #[arg(long, env = "HEARLERS_IMAGES_DIR", value_name = "FOLDER")]
    images_dir: Option<String>,
    /// Secret of upload URLs, the same for the gateway and the counseling service: at least 32 bytes. Further lines are
    /// further secrets: the first one signs, and all are accepted.
    #[arg(long, env = "HEARLERS_IMAGES_SECRET", hide_env_values = true, value_name = "SECRET")]
    images_secret: Option<String>,
    /// File that contains that secret. It is read again when it changes.
    #[arg(long, env = "HEARLERS_IMAGES_SECRET_FILE", value_name = "FILE")]
    images_secret_file: Option<String>,
}
impl ImageFolderArgs {
    /// Returns whether a folder is given, valid or not.
    pub fn is_given(&self) -> bool {
        given(self.images_dir.as_deref()).is_some()
    }
    /// Validates the settings, opens the folder, and adds a line for each invalid setting. Returns `None` also when no
    /// folder is given; the secret is not read then.
    pub fn check(&self, wrong: &mut Vec<String>) -> Option<(Directory, UploadTokens)> {
        let folder = given(self.images_dir.as_deref())?;
        let before = wrong.len();
        let keys = secrets::keys(SECRET, self.images_secret.as_deref(), self.images_secret_file.as_deref(), wrong);
        if keys.is_none() && wrong.len() == before {
            let shortest = Key::SHORTEST;
            wrong.push(format!(
                "{SECRET}: at least {shortest} bytes, the same for the gateway and the counseling service"
            ));
        }
        let directory = Directory::open(folder);
        let directory = directory.map_err(|error| wrong.push(format!("{DIR}: a folder that can be written: {error}")));
        Some((directory.ok()?, UploadTokens::new(keys?)))
    }
}
