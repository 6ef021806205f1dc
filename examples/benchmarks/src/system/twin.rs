//! The twin as two processes of this program, on a database of its own.
use super::{Child, Server, System, child::free_address};
use anyhow::Result;
use uuid::Uuid;

impl System {
    /// Starts the twin's service and gateway.
    pub(crate) async fn twin(server: &Server) -> Result<System> {
        let folder = tempfile::tempdir()?;
        let (service, gateway) = (free_address()?, free_address()?);
        let (internal, session) = (format!("{}{}", Uuid::now_v7(), Uuid::now_v7()), Uuid::now_v7().to_string());
        let database = server.database("twin")?;
        let program = std::env::current_exe()?;
        let arguments =
            ["twin-service", "--listen", &service, "--database", database.url(), "--internal-secret", &internal];
        let service_child = Child::start("twin-service", &program, &arguments, folder.path())?;
        let url = format!("http://{service}");
        let arguments = [
            "twin-gateway",
            "--listen",
            &gateway,
            "--service",
            &url,
            "--jwt-secret",
            &session,
            "--internal-secret",
            &internal,
        ];
        let gateway_child = Child::start("twin-gateway", &program, &arguments, folder.path())?;
        let children = vec![service_child, gateway_child];
        System::started("twin", format!("http://{gateway}"), children, Some(server.clone()), folder).await
    }
}
