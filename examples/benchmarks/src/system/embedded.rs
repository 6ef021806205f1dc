//! The services in one process: SQLite files, and no broker.
use super::{Binaries, Child, System, child::free_address};
use anyhow::Result;

/// The package and program of this form.
pub(super) const PACKAGE: &str = "hearlers";

impl System {
    /// Starts the one process with an empty data folder.
    pub(crate) async fn embedded(binaries: &Binaries) -> Result<System> {
        let folder = tempfile::tempdir()?;
        let (rest, grpc) = (free_address()?, free_address()?);
        let data = folder.path().join("data").display().to_string();
        let arguments = ["--listen", &rest, "--grpc", &grpc, "--data", &data];
        let child = Child::start(PACKAGE, &binaries.path(PACKAGE), &arguments, folder.path())?;
        System::started("embedded", format!("http://{rest}"), vec![child], None, folder).await
    }
}
