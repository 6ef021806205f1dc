//! The program's settings with their defaults. All invalid settings are reported at once.
pub use service_auth::settings::Wrong;

use crate::edge::{Edge, EdgeArgs};
use axum::http::Uri;
use clap::Parser;
use image_store::{Images, settings::ImageFolderArgs};
use service_auth::{
    Key, Keys, Proof,
    secrets::{self, Name, given},
    settings::{self, OperationsArgs, ProofArgs},
};
use std::{net::SocketAddr, time::Duration};

const JWT_SECRET: Name = Name { variable: "HEARLERS_JWT_SECRET", flag: "--jwt-secret" };

/// The gateway: REST in, gRPC out, and the web page.
// Values are text here, so that `check` can report all invalid settings and not only the first one.
#[derive(Parser)]
#[command(name = "gateway", version, about)]
pub struct Args {
    /// Address of the HTTP server: IP address and port.
    #[arg(long, env = "HEARLERS_LISTEN", default_value = "127.0.0.1:8080", value_name = "ADDRESS")]
    listen: String,
    /// URL of the user service, for example http://127.0.0.1:50051.
    #[arg(long, env = "HEARLERS_USER_SERVICE", value_name = "URL")]
    user_service: Option<String>,
    /// URL of the counseling service, for example http://127.0.0.1:50052.
    #[arg(long, env = "HEARLERS_COUNSELING_SERVICE", value_name = "URL")]
    counseling_service: Option<String>,
    /// URL of a query side of the counseling service, which answers for lists of counsels and for messages. Without one, or while it
    /// is unavailable, the counseling service does.
    #[arg(long, env = "HEARLERS_COUNSELING_QUERIES", value_name = "URL")]
    counseling_queries: Option<String>,
    /// Secret that signs access tokens: at least 32 bytes, the same for all gateways. Further lines are further secrets: the
    /// first one signs, and all are accepted.
    #[arg(long, env = "HEARLERS_JWT_SECRET", hide_env_values = true, value_name = "SECRET")]
    jwt_secret: Option<String>,
    /// File that contains that secret. It is read again when it changes.
    #[arg(long, env = "HEARLERS_JWT_SECRET_FILE", value_name = "FILE")]
    jwt_secret_file: Option<String>,
    #[command(flatten)]
    operations: OperationsArgs,
    #[command(flatten)]
    edge: EdgeArgs,
    #[command(flatten)]
    images: ImageFolderArgs,
    #[command(flatten)]
    proof: ProofArgs,
}
impl Args {
    /// Validates the settings and returns the address to listen on.
    ///
    /// # Errors
    /// Returns all invalid settings, each with its variable, its flag and the accepted values.
    pub fn check(self) -> Result<(SocketAddr, Config), Wrong> {
        settings::all(|wrong| self.read(wrong))
    }

    fn read(self, wrong: &mut Vec<String>) -> Option<(SocketAddr, Config)> {
        let listen = settings::address(settings::LISTEN, "127.0.0.1:8080", &self.listen, wrong);
        let operations = self.operations.check(wrong);
        let proof = self.proof.check(wrong);
        let scheme = if self.proof.is_certified() { "https" } else { "http" };
        for (name, flag, value) in [
            ("HEARLERS_USER_SERVICE", "--user-service", &self.user_service),
            ("HEARLERS_COUNSELING_SERVICE", "--counseling-service", &self.counseling_service),
        ] {
            if !value.as_deref().is_some_and(|url| is_service(url, scheme)) {
                wrong.push(format!("{name} ({flag}): a URL {scheme}://HOST:PORT"));
            }
        }
        let queries = given(self.counseling_queries.as_deref());
        if queries.is_some_and(|url| !is_service(url, scheme)) {
            wrong.push(format!("HEARLERS_COUNSELING_QUERIES (--counseling-queries): a URL {scheme}://HOST:PORT"));
        }
        let counseling_queries = queries.map(str::to_owned);
        let hosts = [&self.user_service, &self.counseling_service, &self.counseling_queries]
            .map(|url| url.as_deref().unwrap_or_default().parse::<Uri>());
        let hosts: Vec<_> = hosts.iter().filter_map(|url| url.as_ref().ok()?.host()).collect();
        self.proof.check_hosts(hosts, wrong);
        let before = wrong.len();
        let keys = secrets::keys(JWT_SECRET, self.jwt_secret.as_deref(), self.jwt_secret_file.as_deref(), wrong);
        if keys.is_none() && wrong.len() == before {
            wrong.push(format!("{JWT_SECRET}: at least {} bytes; no default", Key::SHORTEST));
        }
        let edge = self.edge.check(wrong);
        // Without a folder the gateway has no images: uploads go to an object store, or nowhere.
        let images = self.images.check(wrong).map(|(directory, tokens)| Images::new(directory, tokens));
        let config = Config::new(self.user_service?, self.counseling_service?, keys?, proof?);
        let (operations, shutdown_pause) = operations?;
        Some((listen?, Config { counseling_queries, operations, shutdown_pause, edge: edge?, images, ..config }))
    }
}

/// Returns whether this is a usable URL of a service: with TLS when there are certificates, and without a path.
fn is_service(url: &str, scheme: &str) -> bool {
    url.parse::<Uri>().is_ok_and(|uri| {
        uri.scheme_str() == Some(scheme) && uri.host().is_some() && uri.path() == "/" && uri.query().is_none()
    })
}

/// The validated settings.
#[derive(Debug, Clone)]
pub struct Config {
    /// URL of the user service.
    pub user_service: String,
    /// URL of the counseling service.
    pub counseling_service: String,
    /// URL of a query side of the counseling service.
    pub counseling_queries: Option<String>,
    /// The keys of access tokens.
    pub jwt_keys: Keys,
    /// The proof with which the gateway authenticates to the services.
    pub proof: Proof,
    /// The address of the HTTP endpoints for health and metrics; they are disabled when absent.
    pub operations: Option<SocketAddr>,
    /// The time between the end of readiness and that of the server.
    pub shutdown_pause: Duration,
    /// The settings of the web edge.
    pub edge: Edge,
    /// The images that the gateway accepts and delivers; absent when they are elsewhere.
    pub images: Option<Images>,
    /// The time limit of a reply: more than the 30 s of an exchange, less than the 60 s of a token hold.
    pub reply_deadline: Duration,
    /// The time limit of all other calls.
    pub deadline: Duration,
}
impl Config {
    /// Creates a configuration with default values.
    pub fn new(
        user_service: impl Into<String>,
        counseling_service: impl Into<String>,
        jwt_keys: impl Into<Keys>,
        proof: Proof,
    ) -> Self {
        Config {
            user_service: user_service.into(),
            counseling_service: counseling_service.into(),
            counseling_queries: None,
            jwt_keys: jwt_keys.into(),
            proof,
            operations: None,
            shutdown_pause: Duration::ZERO,
            edge: Edge::default(),
            images: None,
            reply_deadline: Duration::from_secs(45),
            deadline: Duration::from_secs(10),
        }
    }
    /// Validates the URLs of a configuration that was not built from flags.
    pub(crate) fn check(&self) -> Result<(), Wrong> {
        let services = [("user_service", &self.user_service), ("counseling_service", &self.counseling_service)];
        let queries = self.counseling_queries.as_ref().map(|url| ("counseling_queries", url));
        let scheme = if self.proof.certificates().is_some() { "https" } else { "http" };
        let wrong = services.into_iter().chain(queries).filter(|(_, url)| !is_service(url, scheme));
        let wrong: Vec<_> = wrong.map(|(name, _)| format!("{name}: a URL {scheme}://HOST:PORT")).collect();
        if wrong.is_empty() { Ok(()) } else { Err(Wrong(wrong)) }
    }
}
