//! The services as processes: three of them on PostgreSQL and Kafka, or one embedded process.
use crate::{Program, free_port};
use anyhow::{Context, Result};
use service_auth::CallKey;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use test_support::{Authority, Issued, Kafka, Postgres, Redis};

/// A running system whose processes can be killed and started again.
#[derive(Debug)]
pub struct Deployment {
    folder: TempDir,
    base: String,
    services: Vec<Service>,
    variables: Variables,
}
/// Environment variables of all processes, each with its value.
pub type Variables = Vec<(&'static str, String)>;
#[derive(Debug)]
struct Service {
    name: &'static str,
    /// The name of the program. Several processes may have one program.
    binary: &'static str,
    arguments: Vec<String>,
    address: String,
    /// The address of health and metrics.
    operations: String,
    /// The URL of the database; absent for a service without one, and for an embedded process.
    database: Option<String>,
    /// The process, while it runs.
    program: Option<Program>,
}

impl Deployment {
    /// Starts all services in one process, on SQLite files.
    ///
    /// # Errors
    /// Fails when the process does not start.
    pub async fn embedded() -> Result<Deployment> {
        Self::embedded_with(Variables::new()).await
    }
    /// Starts all services in one process with additional environment variables.
    ///
    /// # Errors
    /// Fails when the process does not start.
    pub async fn embedded_with(variables: Variables) -> Result<Deployment> {
        let folder = tempfile::tempdir()?;
        let (rest, grpc) = (free_address()?, free_address()?);
        let data = folder.path().join("data").display().to_string();
        let arguments = ["--listen", &rest, "--grpc", &grpc, "--data", &data].map(str::to_owned).to_vec();
        Self::start(folder, vec![Service::new("hearlers", arguments, rest)?], variables).await
    }
    /// Starts three processes with a database each and one broker. Each signs its calls with a key that it alone has.
    ///
    /// # Errors
    /// Fails when a process does not start.
    pub async fn processes(postgres: &Postgres, kafka: &Kafka) -> Result<Deployment> {
        Self::processes_with(postgres, kafka, Variables::new()).await
    }
    /// Starts three processes as [`processes`](Deployment::processes) does, with additional environment variables.
    ///
    /// # Errors
    /// Fails when a process does not start.
    pub async fn processes_with(postgres: &Postgres, kafka: &Kafka, variables: Variables) -> Result<Deployment> {
        Self::signed(postgres, kafka, None, variables).await
    }
    /// Starts three processes as [`processes`](Deployment::processes) does, two query servers of the counseling service
    /// that share the views in a Redis, and a second gateway. The gateway `gateway` reads counsels from
    /// `counseling-queries`, and `gateway-2` from `counseling-queries-2`.
    ///
    /// # Errors
    /// Fails when a process does not start.
    pub async fn with_queries(postgres: &Postgres, kafka: &Kafka, redis: &Redis) -> Result<Deployment> {
        Self::signed(postgres, kafka, Some(redis.url()), Variables::new()).await
    }
    async fn signed(
        postgres: &Postgres,
        kafka: &Kafka,
        views: Option<String>,
        variables: Variables,
    ) -> Result<Deployment> {
        let callers = ["gateway", "counseling-service"];
        let keys = callers.map(|caller| CallKey::generate_text().map(|(private, public)| (caller, private, public)));
        let keys: Vec<_> = keys.into_iter().collect::<Option<_>>().context("the system has no random numbers")?;
        let public = keys.iter().map(|(caller, _, public)| format!("{caller}={public}"));
        let public = public.collect::<Vec<_>>().join(",");
        let proof = |name: &str| {
            let own = keys.iter().find(|(caller, ..)| *caller == name);
            let own = own.map(|(_, private, _)| ["--call-key".to_owned(), private.clone()]);
            let accepted = (name != "gateway").then(|| ["--caller-keys".to_owned(), public.clone()]);
            Ok(own.into_iter().chain(accepted).flatten().collect())
        };
        Self::deployed(postgres, kafka, "http://127.0.0.1", proof, views, variables).await
    }
    /// Starts three processes whose calls are not signed: the TLS certificate alone identifies the caller.
    ///
    /// # Errors
    /// Fails when a process does not start.
    pub async fn certified(postgres: &Postgres, kafka: &Kafka, authority: &Authority) -> Result<Deployment> {
        let proof = |name: &str| {
            let Issued { certificate, key } = authority.issue(&[name, "localhost"])?;
            let files = [("--tls-certificate", certificate), ("--tls-key", key), ("--tls-ca", authority.file())];
            Ok(files.into_iter().flat_map(|(flag, file)| [flag.to_owned(), file.display().to_string()]).collect())
        };
        Self::deployed(postgres, kafka, "https://localhost", proof, None, Variables::new()).await
    }
    async fn deployed(
        postgres: &Postgres,
        kafka: &Kafka,
        origin: &str,
        proof: impl Fn(&str) -> Result<Vec<String>>,
        views: Option<String>,
        variables: Variables,
    ) -> Result<Deployment> {
        let (users, counseling) = (free_address()?, free_address()?);
        let service = |name, address: &String, others: &[&str]| -> Result<Service> {
            let database = postgres.create_database(name)?;
            let arguments = ["--listen", address, "--database", database.url(), "--kafka", kafka.bootstrap()];
            let arguments = [&arguments, others].concat().into_iter().map(str::to_owned);
            let service = Service::new(name, arguments.chain(proof(name)?).collect(), address.clone())?;
            Ok(Service { database: Some(database.url().to_owned()), ..service })
        };
        let url = |address: &str| format!("{origin}:{}", address.rsplit(':').next().unwrap_or_default());
        let (users_url, counseling_url) = (url(&users), url(&counseling));
        let secret = uuid::Uuid::now_v7().to_string();
        let gateway = |name, queries: Option<&str>| -> Result<Service> {
            let address = free_address()?;
            let arguments = [
                ["--listen", &address],
                ["--user-service", &users_url],
                ["--counseling-service", &counseling_url],
                ["--jwt-secret", &secret],
            ];
            let queries = queries.map(|address| ["--counseling-queries".to_owned(), url(address)]);
            let arguments = arguments.concat().into_iter().map(str::to_owned).chain(queries.into_iter().flatten());
            let arguments = arguments.chain(proof("gateway")?).collect();
            Ok(Service { binary: "gateway", ..Service::new(name, arguments, address)? })
        };
        let counseling = service("counseling-service", &counseling, &["--user-service", &users_url])?;
        let query_server = |name, views: &str| -> Result<Service> {
            let (address, database) = (free_address()?, counseling.database.as_deref().unwrap_or_default());
            let arguments = ["--listen", &address, "--database", database, "--views", views].map(str::to_owned);
            let mut service = Service::new(name, arguments.into_iter().chain(proof(name)?).collect(), address)?;
            service.binary = "counseling-service";
            service.arguments.push("query".to_owned()); // after the settings, because it is the task
            Ok(service)
        };
        let mut queries = Vec::new();
        if let Some(views) = &views {
            queries.push(query_server("counseling-queries", views)?);
            queries.push(query_server("counseling-queries-2", views)?);
        }
        let read_from = |number: usize| queries.get(number).map(|service| service.address.as_str());
        // The first gateway is the last process, which gives the system its address.
        let mut gateways = vec![gateway("gateway", read_from(0))?];
        if let Some(second) = read_from(1) {
            gateways.insert(0, gateway("gateway-2", Some(second))?);
        }
        let mut services = vec![service("user-service", &users, &[])?, counseling];
        services.extend(queries);
        services.extend(gateways);
        Self::start(tempfile::tempdir()?, services, variables).await
    }
    async fn start(folder: TempDir, mut services: Vec<Service>, mut variables: Variables) -> Result<Deployment> {
        let base = services.last().map(|service| format!("http://{}", service.address)).context("no services")?;
        variables.push(("HEARLERS_PUBLIC_URL", base.clone()));
        for service in &mut services {
            service.run(folder.path(), &variables).await?;
        }
        Ok(Deployment { folder, base, services, variables })
    }
    /// Returns the base URL of the REST API and the page.
    pub fn base(&self) -> &str {
        &self.base
    }
    /// Returns the base URL of the REST API of a gateway.
    ///
    /// # Errors
    /// Fails when no process has this name.
    pub fn base_of(&self, name: &str) -> Result<String> {
        let found = self.services.iter().find(|service| service.name == name);
        found.map(|service| format!("http://{}", service.address)).with_context(|| format!("no process {name}"))
    }
    /// Returns the folder with the databases of an embedded process.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }
    /// Returns the URL of a service's database on PostgreSQL, if it has one.
    pub fn database(&self, name: &str) -> Option<&str> {
        self.services.iter().find(|service| service.name == name)?.database.as_deref()
    }
    /// Returns the address of the operations endpoint of a process.
    ///
    /// # Errors
    /// Fails when no process has this name.
    pub fn operations(&self, name: &str) -> Result<&str> {
        let found = self.services.iter().find(|service| service.name == name);
        found.map(|service| &*service.operations).with_context(|| format!("no process {name}"))
    }
    /// Kills a process with SIGKILL.
    ///
    /// # Errors
    /// Fails when no process has this name, or it does not run.
    pub async fn kill(&mut self, name: &str) -> Result<()> {
        self.service(name)?.program.take().with_context(|| format!("{name} does not run"))?.kill().await
    }
    /// Sends a process SIGTERM and returns the time until it ended.
    ///
    /// # Errors
    /// Fails when the process does not end with success within ten seconds.
    pub async fn terminate(&mut self, name: &str) -> Result<std::time::Duration> {
        let program = self.service(name)?.program.take().with_context(|| format!("{name} does not run"))?;
        program.terminate(std::time::Duration::from_secs(10)).await
    }
    /// Starts a stopped process again with the same arguments.
    ///
    /// # Errors
    /// Fails when the process does not start.
    pub async fn start_again(&mut self, name: &str) -> Result<()> {
        let Deployment { folder, services, variables, .. } = self;
        let service = services.iter_mut().find(|service| service.name == name);
        service.with_context(|| format!("no process {name}"))?.run(folder.path(), variables).await
    }
    /// Sends a GET request to the operations endpoint of a process and returns the status and the body.
    ///
    /// # Errors
    /// Fails when the process does not respond.
    pub async fn ask(&mut self, name: &str, path: &str) -> Result<(u16, String)> {
        // The client requires a TLS provider although it sends only plain HTTP here.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let url = format!("http://{}{path}", self.service(name)?.operations);
        let response = reqwest::get(url).await?;
        Ok((response.status().as_u16(), response.text().await?))
    }
    /// Returns the log of a process so far.
    ///
    /// # Errors
    /// Fails when the log file cannot be read.
    pub fn log(&self, name: &str) -> Result<String> {
        Ok(std::fs::read_to_string(log(self.folder.path(), name))?)
    }
    fn service(&mut self, name: &str) -> Result<&mut Service> {
        self.services.iter_mut().find(|service| service.name == name).with_context(|| format!("no process {name}"))
    }
}
impl Service {
    fn new(name: &'static str, mut arguments: Vec<String>, address: String) -> Result<Service> {
        let operations = free_address()?;
        arguments.extend(["--operations".to_owned(), operations.clone()]);
        Ok(Service { name, binary: name, arguments, address, operations, database: None, program: None })
    }
    async fn run(&mut self, folder: &Path, variables: &Variables) -> Result<()> {
        let file = log(folder, self.name);
        let variables = variables.iter().map(|(name, value)| (*name, value.as_str()));
        let variables: Vec<_> = variables.chain([("RUST_LOG", "info")]).collect();
        let mut program = Program::start_with(self.binary, &self.arguments, &variables, &file)?;
        let output = || std::fs::read_to_string(&file).unwrap_or_default();
        program.listens(&self.address).await.with_context(output)?;
        self.program = Some(program);
        Ok(())
    }
}

fn log(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.log"))
}
fn free_address() -> Result<String> {
    Ok(format!("127.0.0.1:{}", free_port()?))
}
