//! Folders that other users of the machine cannot enter: the conversations are private.
use anyhow::{Context, Result};
use std::{
    fs::{self, DirBuilder},
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::Path,
};

/// Creates a folder with its parents, or takes the permissions of others away from one that exists.
///
/// # Errors
/// Fails when the folder cannot be created, and when it belongs to somebody else and others may enter it.
pub(crate) fn private(folder: &Path) -> Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700).create(folder).with_context(|| folder.display().to_string())?;
    restrict(folder, 0o700)
}

/// Takes the permissions of others away, if they have any.
///
/// # Errors
/// Fails when the path belongs to somebody else.
pub(crate) fn restrict(path: &Path, mode: u32) -> Result<()> {
    let mut permissions = fs::metadata(path).with_context(|| path.display().to_string())?.permissions();
    if permissions.mode() & 0o077 != 0 {
        permissions.set_mode(mode);
        let refused = || format!("other users can read {}, and this user may not change that", path.display());
        fs::set_permissions(path, permissions).with_context(refused)?;
        tracing::warn!(path = %path.display(), "other users could read this; their permissions were removed");
    }
    Ok(())
}
