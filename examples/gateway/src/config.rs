//! What may be set, each with its default and its reason. Whatever is wrong is said all at once.
use axum::http::Uri;
use clap::Parser;
use std::{fmt, net::SocketAddr, time::Duration};

/// HS256 wants a key as long as its hash (RFC 7518, 3.2).
const SHORTEST_SECRET: usize = 32;

/// The gateway: REST in, gRPC out, and the web page.
///
/// Values are text here, so that [`check`](Args::check) can report all that is wrong and not only the first.
#[derive(Parser)]
#[command(name = "gateway", version, about)]
pub struct Args {
    /// Where to listen: IP address and port.
    #[arg(long, env = "HEARLERS_LISTEN", default_value = "127.0.0.1:8080", value_name = "ADDRESS")]
    listen: String,
    /// The user service, for example http://127.0.0.1:50051.
    #[arg(long, env = "HEARLERS_USER_SERVICE", value_name = "URL")]
    user_service: Option<String>,
    /// The counseling service, for example http://127.0.0.1:50052.
    #[arg(long, env = "HEARLERS_COUNSELING_SERVICE", value_name = "URL")]
    counseling_service: Option<String>,
    /// What access tokens are signed with: at least 32 bytes, the same for all gateways.
    #[arg(long, env = "HEARLERS_JWT_SECRET", hide_env_values = true, value_name = "SECRET")]
    jwt_secret: Option<String>,
    /// Where health and metrics can be asked for over HTTP: IP address and port. Nowhere unless given.
    #[arg(long, env = "HEARLERS_OPERATIONS", value_name = "ADDRESS")]
    operations: Option<String>,
    /// Mark cookies Secure always (true), not only behind a proxy that says X-Forwarded-Proto: https (false).
    #[arg(long, env = "HEARLERS_SECURE_COOKIES", default_value = "false", num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    secure_cookies: String,
}
impl Args {
    /// Where to listen, and how.
    ///
    /// # Errors
    /// Everything that is wrong, each with the names of its variable and flag and with what is accepted.
    pub fn check(self) -> Result<(SocketAddr, Config), Wrong> {
        let mut wrong = Vec::new();
        let listen = self.listen.parse();
        if listen.is_err() {
            wrong.push("HEARLERS_LISTEN (--listen): an IP address and a port, as in 127.0.0.1:8080".to_owned());
        }
        let operations = self.operations.as_deref().filter(|it| !it.is_empty()).map(str::parse).transpose();
        if operations.is_err() {
            wrong.push("HEARLERS_OPERATIONS (--operations): an IP address and a port, as in 127.0.0.1:9464".to_owned());
        }
        for (name, flag, value) in [
            ("HEARLERS_USER_SERVICE", "--user-service", &self.user_service),
            ("HEARLERS_COUNSELING_SERVICE", "--counseling-service", &self.counseling_service),
        ] {
            if !value.as_deref().is_some_and(is_service) {
                wrong.push(format!("{name} ({flag}): a URL http://HOST:PORT"));
            }
        }
        let secret = self.jwt_secret.as_deref().and_then(Secret::new);
        if secret.is_none() {
            wrong.push(format!("HEARLERS_JWT_SECRET (--jwt-secret): at least {SHORTEST_SECRET} bytes; no default"));
        }
        let secure = self.secure_cookies.parse();
        if secure.is_err() {
            wrong.push("HEARLERS_SECURE_COOKIES (--secure-cookies): true or false".to_owned());
        }
        match (listen, operations, self.user_service, self.counseling_service, secret, secure) {
            (Ok(listen), Ok(operations), Some(users), Some(counseling), Some(secret), Ok(secure))
                if wrong.is_empty() =>
            {
                Ok((listen, Config { operations, secure_cookies: secure, ..Config::new(users, counseling, secret) }))
            }
            _ => Err(Wrong(wrong)),
        }
    }
}

/// Whether this is a URL that the gateway can ask: no TLS, no path.
fn is_service(url: &str) -> bool {
    url.parse::<Uri>().is_ok_and(|it| {
        it.scheme_str() == Some("http") && it.host().is_some() && it.path() == "/" && it.query().is_none()
    })
}

/// What is wrong with the configuration, one line each.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the configuration is not complete:\n  {}", .0.join("\n  "))]
pub struct Wrong(Vec<String>);
impl Wrong {
    pub(crate) fn of(line: String) -> Self {
        Wrong(vec![line])
    }
}

/// What a gateway needs to know.
#[derive(Debug, Clone)]
pub struct Config {
    /// URL of the user service.
    pub user_service: String,
    /// URL of the counseling service.
    pub counseling_service: String,
    /// What access tokens are signed with.
    pub jwt_secret: Secret,
    /// Where health and metrics can be asked for, if anywhere.
    pub operations: Option<SocketAddr>,
    /// Cookies are Secure whatever the proxy says.
    pub secure_cookies: bool,
    /// How long a reply may take: over the responder's 30 s, under the token hold's 60 s.
    pub reply_deadline: Duration,
    /// How long everything else may take.
    pub deadline: Duration,
}
impl Config {
    /// With the defaults of all that has one.
    pub fn new(user_service: impl Into<String>, counseling_service: impl Into<String>, jwt_secret: Secret) -> Self {
        Config {
            user_service: user_service.into(),
            counseling_service: counseling_service.into(),
            jwt_secret,
            operations: None,
            secure_cookies: false,
            reply_deadline: Duration::from_secs(45),
            deadline: Duration::from_secs(10),
        }
    }
    /// Checks what [`Args::check`] checks, for those that come without flags.
    pub(crate) fn check(&self) -> Result<(), Wrong> {
        let services = [("user_service", &self.user_service), ("counseling_service", &self.counseling_service)];
        let wrong = services.into_iter().filter(|(_, url)| !is_service(url));
        let wrong: Vec<_> = wrong.map(|(name, _)| format!("{name}: a URL http://HOST:PORT")).collect();
        if wrong.is_empty() { Ok(()) } else { Err(Wrong(wrong)) }
    }
}

/// A key to sign with, that does not show itself.
///
/// ```
/// use gateway::Secret;
///
/// let secret = Secret::new("0123456789abcdef0123456789abcdef").unwrap();
/// assert_eq!(format!("{secret:?}"), "Secret(..)");
/// assert!(Secret::new("too short").is_none());
/// ```
#[derive(Clone)]
pub struct Secret(Vec<u8>);
impl Secret {
    /// At least 32 bytes, or nothing.
    pub fn new(bytes: impl AsRef<[u8]>) -> Option<Self> {
        let bytes = bytes.as_ref();
        (bytes.len() >= SHORTEST_SECRET).then(|| Secret(bytes.to_vec()))
    }
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}
