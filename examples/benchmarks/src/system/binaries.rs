//! The services' programs, built in release from the repository's own workspace.
use super::{deployed::PACKAGES as DEPLOYED, embedded::PACKAGE as EMBEDDED};
use anyhow::{Context, Result, ensure};
use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// The folder with the release programs of one checkout.
#[derive(Debug, Clone)]
pub(crate) struct Binaries(PathBuf);
impl Binaries {
    /// Builds the services' programs of the checkout, with line tables, so that a profile shows lines.
    ///
    /// It always builds all of them: cargo chooses the features of a dependency by the packages of one build, so the
    /// programs would otherwise depend on the chosen rows and be compiled twice.
    ///
    /// # Errors
    /// Fails when a package does not compile.
    pub(crate) fn build(checkout: &Path) -> Result<Binaries> {
        let packages = [&DEPLOYED[..], &[EMBEDDED]].concat();
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args(["build", "--release", "--locked"]).current_dir(checkout);
        // Incremental builds optimize less, and a developer's shell may have them on.
        cargo.env("CARGO_PROFILE_RELEASE_DEBUG", "line-tables-only").env("CARGO_INCREMENTAL", "0");
        for package in &packages {
            cargo.args(["--package", package]);
        }
        eprintln!("building {} in release", packages.join(", "));
        ensure!(cargo.status().context("starting cargo")?.success(), "the services cannot be built");
        let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
        let target = target.map_or_else(|| checkout.join("target"), |folder| checkout.join(folder));
        Ok(Binaries(target.join("release")))
    }
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}
