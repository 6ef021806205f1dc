//! The services in the deployed form: three processes, two databases on PostgreSQL, and Kafka between them.
use super::{Binaries, Child, Server, System, child::free_address};
use anyhow::Result;
use test_support::Kafka;
use uuid::Uuid;

/// The private keys of the two callers, and their public keys: the first two of RFC 8032, 7.1. The programs listen on
/// loopback alone.
const GATEWAY_KEY: &str = "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=";
const COUNSELING_KEY: &str = "TM0Imyj/ltqdtsNG7BFOD1uKMZ81q6Yk2oz27U+4pvs=";
const CALLER_KEYS: &str = "gateway=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n\
                           counseling-service=PUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw=";
/// The packages and programs of this form.
pub(super) const PACKAGES: [&str; 3] = [USER, COUNSELING, "gateway"];
/// The programs of them that have a database.
pub(super) const SERVICES: [&str; 2] = [USER, COUNSELING];
const USER: &str = "user-service";
const COUNSELING: &str = "counseling-service";

/// Returns the command line of a service.
pub(super) fn service<'a>(listen: &'a str, database: &'a str, brokers: &'a str) -> [&'a str; 8] {
    ["--listen", listen, "--database", database, "--kafka", brokers, "--caller-keys", CALLER_KEYS]
}

impl System {
    /// Starts the services on these servers.
    pub(crate) async fn deployed(binaries: &Binaries, server: &Server, kafka: &Kafka) -> Result<System> {
        let folder = tempfile::tempdir()?;
        let (users, counseling, gateway) = (free_address()?, free_address()?, free_address()?);
        let session = Uuid::now_v7().to_string();
        let (users_url, counseling_url) = (format!("http://{users}"), format!("http://{counseling}"));
        // The counseling service asks the user service whether a token is held for a message.
        let calls = ["--user-service", &users_url, "--call-key", COUNSELING_KEY];
        let mut children = Vec::new();
        for (name, listen, more) in [(USER, &users, &[][..]), (COUNSELING, &counseling, &calls)] {
            let database = server.database(name)?;
            let arguments = [&service(listen, database.url(), kafka.bootstrap()), more].concat();
            children.push(Child::start(name, &binaries.path(name), &arguments, folder.path())?);
        }
        let arguments = [
            ["--listen", &gateway],
            ["--user-service", &users_url],
            ["--counseling-service", &counseling_url],
            ["--jwt-secret", &session],
            ["--call-key", GATEWAY_KEY],
        ];
        children.push(Child::start("gateway", &binaries.path("gateway"), &arguments.concat(), folder.path())?);
        System::started("deployed", format!("http://{gateway}"), children, Some(server.clone()), folder).await
    }
}
