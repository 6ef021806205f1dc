//! The services as processes: on PostgreSQL and Kafka, or all in one.
use crate::{Program, free_port};
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use test_support::{Authority, Issued, Kafka, Postgres};

/// A running system that can lose a process.
#[derive(Debug)]
pub struct Deployment {
    folder: TempDir,
    base: String,
    /// Name, arguments, address, and the process while it runs.
    parts: Vec<Part>,
}
#[derive(Debug)]
struct Part {
    name: &'static str,
    arguments: Vec<String>,
    at: String,
    /// Where health and metrics are.
    operations: String,
    program: Option<Program>,
}

impl Deployment {
    /// Everything in one process, on SQLite files.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn embedded() -> Result<Deployment> {
        let folder = tempfile::tempdir()?;
        let (rest, grpc) = (address()?, address()?);
        let data = folder.path().join("data").display().to_string();
        let arguments = ["--listen", &rest, "--grpc", &grpc, "--data", &data].map(str::to_owned).to_vec();
        Self::start(folder, vec![Part::new("hearlers", arguments, rest)?]).await
    }
    /// Three processes, a database each, one broker.
    ///
    /// # Errors
    /// When one does not start.
    pub async fn processes(postgres: &Postgres, kafka: &Kafka) -> Result<Deployment> {
        let internal = format!("{}{}", uuid::Uuid::now_v7(), uuid::Uuid::now_v7());
        let proof = |_: &str| Ok(vec!["--internal-secret".to_owned(), internal.clone()]);
        Self::proven(postgres, kafka, "http://127.0.0.1", proof).await
    }
    /// The same, where nothing is signed and certificates alone say who calls.
    ///
    /// # Errors
    /// When one does not start.
    pub async fn certified(postgres: &Postgres, kafka: &Kafka, authority: &Authority) -> Result<Deployment> {
        let proof = |name: &str| {
            let Issued { certificate, key } = authority.issue(&[name, "localhost"])?;
            let files = [("--tls-certificate", certificate), ("--tls-key", key), ("--tls-ca", authority.file())];
            Ok(files.into_iter().flat_map(|(flag, file)| [flag.to_owned(), file.display().to_string()]).collect())
        };
        Self::proven(postgres, kafka, "https://localhost", proof).await
    }
    async fn proven(
        postgres: &Postgres,
        kafka: &Kafka,
        machine: &str,
        proof: impl Fn(&str) -> Result<Vec<String>>,
    ) -> Result<Deployment> {
        let (users, counseling, gateway) = (address()?, address()?, address()?);
        let service = |name, at: &String| -> Result<Part> {
            let database = postgres.create_database(name)?;
            let arguments = ["--listen", at, "--database", database.url(), "--kafka", kafka.bootstrap()];
            Part::new(name, arguments.map(str::to_owned).into_iter().chain(proof(name)?).collect(), at.clone())
        };
        let url = |at: &str| format!("{machine}:{}", at.rsplit(':').next().unwrap_or_default());
        let (at_users, at_counseling) = (url(&users), url(&counseling));
        let secret = uuid::Uuid::now_v7().to_string();
        let arguments = [
            ["--listen", &gateway],
            ["--user-service", &at_users],
            ["--counseling-service", &at_counseling],
            ["--jwt-secret", &secret],
        ];
        let arguments = arguments.concat().into_iter().map(str::to_owned).chain(proof("gateway")?).collect();
        let gateway = Part::new("gateway", arguments, gateway)?;
        let parts = vec![service("user-service", &users)?, service("counseling-service", &counseling)?, gateway];
        Self::start(tempfile::tempdir()?, parts).await
    }
    async fn start(folder: TempDir, mut parts: Vec<Part>) -> Result<Deployment> {
        for part in &mut parts {
            part.run(folder.path()).await?;
        }
        let base = parts.last().map(|part| format!("http://{}", part.at)).context("no parts")?;
        Ok(Deployment { folder, base, parts })
    }
    /// Where REST and the page are.
    pub fn base(&self) -> &str {
        &self.base
    }
    /// `kill -9` of one process.
    ///
    /// # Errors
    /// When there is none of this name, or it does not run.
    pub async fn kill(&mut self, name: &str) -> Result<()> {
        self.part(name)?.program.take().context("it does not run")?.kill().await
    }
    /// A polite kill of one process.
    ///
    /// # Errors
    /// When it does not end well within ten seconds.
    pub async fn terminate(&mut self, name: &str) -> Result<std::time::Duration> {
        let program = self.part(name)?.program.take().context("it does not run")?;
        program.terminate(std::time::Duration::from_secs(10)).await
    }
    /// Starts one again.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start_again(&mut self, name: &str) -> Result<()> {
        let folder = self.folder.path().to_owned();
        self.part(name)?.run(&folder).await
    }
    /// What a process answers to those who operate it: status and text.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn ask(&mut self, name: &str, path: &str) -> Result<(u16, String)> {
        let url = format!("http://{}{path}", self.part(name)?.operations);
        let answer = reqwest::get(url).await?;
        Ok((answer.status().as_u16(), answer.text().await?))
    }
    /// What a process said so far.
    ///
    /// # Errors
    /// When it said nothing.
    pub fn log(&self, name: &str) -> Result<String> {
        Ok(std::fs::read_to_string(log(self.folder.path(), name))?)
    }
    fn part(&mut self, name: &str) -> Result<&mut Part> {
        self.parts.iter_mut().find(|part| part.name == name).with_context(|| format!("no process {name}"))
    }
}
impl Part {
    fn new(name: &'static str, mut arguments: Vec<String>, at: String) -> Result<Part> {
        let operations = address()?;
        arguments.extend(["--operations".to_owned(), operations.clone()]);
        Ok(Part { name, arguments, at, operations, program: None })
    }
    async fn run(&mut self, folder: &Path) -> Result<()> {
        let file = log(folder, self.name);
        let mut program = Program::start(self.name, &self.arguments, &file)?;
        let said = || std::fs::read_to_string(&file).unwrap_or_default();
        program.listens(&self.at).await.with_context(said)?;
        self.program = Some(program);
        Ok(())
    }
}

fn log(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.log"))
}
fn address() -> Result<String> {
    Ok(format!("127.0.0.1:{}", free_port()?))
}
