//! A folder of images. A file appears whole or not at all, and is never replaced.
use crate::ImagePath;
use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, ErrorKind, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};
use tokio::task;
use uuid::Uuid;

/// The folder of unfinished files. No [`ImagePath`] has a segment that begins with a dot.
const UNFINISHED: &str = ".unfinished";
/// The age from which an unfinished file is one of a process that has crashed.
const ABANDONED: Duration = Duration::from_secs(60 * 60);

/// A folder of images, for any number of processes.
#[derive(Debug, Clone)]
pub struct Directory(PathBuf);

/// The error of a file that is not stored.
#[derive(Debug, thiserror::Error)]
pub enum NotStored {
    /// There is another image with this path. It stays as it is.
    #[error("an image has been uploaded to this URL already")]
    Exists,
    /// The file system fails.
    #[error("the image cannot be stored")]
    Io(#[from] io::Error),
}

impl Directory {
    /// Opens a folder and creates it when it does not exist, readable by the owner only. Removes unfinished files of
    /// crashed processes.
    ///
    /// # Errors
    /// Fails when the folder cannot be created or written.
    pub fn open(folder: impl Into<PathBuf>) -> io::Result<Self> {
        let folder = folder.into();
        let unfinished = folder.join(UNFINISHED);
        create(&unfinished)?;
        for file in fs::read_dir(&unfinished)? {
            let file = file?.path();
            if is_abandoned(&file) {
                let _ = fs::remove_file(file);
            }
        }
        Ok(Directory(folder))
    }
    /// Returns whether there is an image with this path.
    ///
    /// # Errors
    /// Fails when the file system fails.
    pub async fn contains(&self, path: &ImagePath) -> io::Result<bool> {
        tokio::fs::try_exists(self.0.join(path.as_str())).await
    }
    /// Returns the bytes of the image with this path, if there is one.
    ///
    /// # Errors
    /// Fails when the file system fails.
    pub async fn read(&self, path: &ImagePath) -> io::Result<Option<Vec<u8>>> {
        match tokio::fs::read(self.0.join(path.as_str())).await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
            Err(error) => Err(error),
        }
    }
    /// Stores an image. It is on the disk when this returns. The same image may be stored again.
    ///
    /// # Errors
    /// Fails when there is another image with this path, and when the file system fails.
    pub async fn store(&self, path: &ImagePath, bytes: &[u8]) -> Result<(), NotStored> {
        let (file, bytes) = (self.0.join(path.as_str()), bytes.to_vec());
        let unfinished = self.0.join(UNFINISHED).join(Uuid::now_v7().to_string());
        // The blocking task ends also when the caller is dropped, so no unfinished file stays.
        task::spawn_blocking(move || store(&file, &unfinished, &bytes)).await.map_err(io::Error::other)?
    }
}

fn store(file: &Path, unfinished: &Path, bytes: &[u8]) -> Result<(), NotStored> {
    let folder = file.parent().ok_or_else(|| io::Error::from(ErrorKind::InvalidInput))?;
    create(folder)?;
    let stored = write(unfinished, bytes).and_then(|()| fs::hard_link(unfinished, file));
    let _ = fs::remove_file(unfinished);
    match stored {
        Ok(()) => Ok(File::open(folder)?.sync_all()?),
        // A link, unlike a rename, fails when the name is taken. A client repeats an upload whose response it did not get.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => match fs::read(file)? == bytes {
            true => Ok(File::open(folder)?.sync_all()?),
            false => Err(NotStored::Exists),
        },
        Err(error) => Err(error.into()),
    }
}

fn write(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut new = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
    new.write_all(bytes)?;
    new.sync_all()
}

fn create(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

fn is_abandoned(file: &Path) -> bool {
    let changed = fs::metadata(file).and_then(|metadata| metadata.modified());
    changed.is_ok_and(|changed| SystemTime::now().duration_since(changed).is_ok_and(|age| age > ABANDONED))
}
