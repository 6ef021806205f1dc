//! The services in the deployed form: three processes, two databases on PostgreSQL, and Kafka between them.
use super::{Binaries, Child, Server, System, child::free_address};
use anyhow::Result;
use test_support::Kafka;
use uuid::Uuid;

/// The private key of the gateway, and its public key: the first of RFC 8032, 7.1. The programs listen on loopback alone.
const CALL_KEY: &str = "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=";
const CALLER_KEYS: &str = "gateway=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
/// The packages and programs of this form.
pub(super) const PACKAGES: [&str; 3] = ["user-service", "counseling-service", "gateway"];

impl System {
    /// Starts the services on these servers.
    pub(crate) async fn deployed(binaries: &Binaries, server: &Server, kafka: &Kafka) -> Result<System> {
        let folder = tempfile::tempdir()?;
        let (users, counseling, gateway) = (free_address()?, free_address()?, free_address()?);
        let session = Uuid::now_v7().to_string();
        let mut children = Vec::new();
        for (name, listen) in [("user-service", &users), ("counseling-service", &counseling)] {
            let database = server.database(name)?;
            let arguments = [
                ["--listen", listen],
                ["--database", database.url()],
                ["--kafka", kafka.bootstrap()],
                ["--caller-keys", CALLER_KEYS],
            ];
            children.push(Child::start(name, &binaries.path(name), &arguments.concat(), folder.path())?);
        }
        let (users, counseling) = (format!("http://{users}"), format!("http://{counseling}"));
        let arguments = [
            ["--listen", &gateway],
            ["--user-service", &users],
            ["--counseling-service", &counseling],
            ["--jwt-secret", &session],
            ["--call-key", CALL_KEY],
        ];
        children.push(Child::start("gateway", &binaries.path("gateway"), &arguments.concat(), folder.path())?);
        System::started("deployed", format!("http://{gateway}"), children, Some(server.clone()), folder).await
    }
}
