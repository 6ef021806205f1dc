//! The flags of both sides, each also a variable. All invalid settings are reported at once.
use crate::{
    GATEWAY, Key, Proof,
    operators::Operators,
    secrets::{self, Name, given},
    tls::{BadCertificates, Certificates, What},
};
use std::{net::SocketAddr, path::Path, time::Duration};

/// The setting of a server's address.
pub const LISTEN: Name = Name { variable: "HEARLERS_LISTEN", flag: "--listen" };
const SHUTDOWN_PAUSE: Name = Name { variable: "HEARLERS_SHUTDOWN_PAUSE", flag: "--shutdown-pause" };
/// The longest pause in seconds.
const LONGEST_PAUSE: u64 = 60;
const OPERATIONS: Name = Name { variable: "HEARLERS_OPERATIONS", flag: "--operations" };
const INTERNAL: Name = Name { variable: "HEARLERS_INTERNAL_SECRET", flag: "--internal-secret" };
const OPERATOR: Name = Name { variable: "HEARLERS_OPERATOR_SECRET", flag: "--operator-secret" };

/// The invalid settings, one line each: the variable, the flag and the accepted values.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the configuration is not complete:\n  {}", .0.join("\n  "))]
pub struct Wrong(pub Vec<String>);
impl Wrong {
    /// Prints the lines and ends the program with code 2, as clap does for invalid flags.
    pub fn exit(self) -> ! {
        eprintln!("{self}");
        std::process::exit(2)
    }
}

/// Validates all settings of a program: `check` adds a line for each that is invalid.
///
/// # Errors
/// Returns all lines at once.
pub fn all<T>(check: impl FnOnce(&mut Vec<String>) -> Option<T>) -> Result<T, Wrong> {
    let mut wrong = Vec::new();
    check(&mut wrong).filter(|_| wrong.is_empty()).ok_or(Wrong(wrong))
}

/// Parses an address, such as `example`.
pub fn address(name: Name, example: &str, value: &str, wrong: &mut Vec<String>) -> Option<SocketAddr> {
    let address = value.parse();
    address.map_err(|_| wrong.push(format!("{name}: an IP address and a port, as in {example}"))).ok()
}

/// Parses the optional address of health and metrics. The outer `None` is an invalid one.
pub fn operations(value: Option<&str>, wrong: &mut Vec<String>) -> Option<Option<SocketAddr>> {
    match given(value) {
        Some(value) => address(OPERATIONS, "127.0.0.1:9464", value, wrong).map(Some),
        None => Some(None),
    }
}

/// The flag of the pause before a shutdown.
#[derive(clap::Args)]
pub struct ShutdownArgs {
    /// Seconds for which the program still serves after a signal, while it is no longer ready: as long as the load
    /// balancer needs to notice, 0 to 60. The default is 0.
    #[arg(long, env = "HEARLERS_SHUTDOWN_PAUSE", value_name = "SECONDS")]
    shutdown_pause: Option<String>,
}
impl ShutdownArgs {
    /// Validates the pause.
    pub fn check(&self, wrong: &mut Vec<String>) -> Option<Duration> {
        let seconds = given(self.shutdown_pause.as_deref()).map_or(Ok(0), str::parse).ok();
        let seconds = seconds.filter(|seconds| *seconds <= LONGEST_PAUSE);
        if seconds.is_none() {
            wrong.push(format!("{SHUTDOWN_PAUSE}: 0 to {LONGEST_PAUSE} seconds"));
        }
        seconds.map(Duration::from_secs)
    }
}

/// The settings of the proof between Hearlers programs.
// Values are text here, so that `check` can report all invalid settings and not only the first one.
#[derive(clap::Args)]
pub struct ProofArgs {
    /// Secret that signs calls between the gateway and the services: at least 32 bytes, the same for all. Further lines are
    /// further secrets: the first one signs, and all are accepted. No default.
    #[arg(long, env = "HEARLERS_INTERNAL_SECRET", hide_env_values = true, value_name = "SECRET")]
    internal_secret: Option<String>,
    /// File that contains that secret. It is read again when it changes.
    #[arg(long, env = "HEARLERS_INTERNAL_SECRET_FILE", value_name = "FILE")]
    internal_secret_file: Option<String>,
    /// This program's certificate, PEM. With the next two settings, calls use TLS with certificates on both sides. The files
    /// are read again when they change.
    #[arg(long, env = "HEARLERS_TLS_CERTIFICATE", value_name = "FILE")]
    tls_certificate: Option<String>,
    /// Private key of the certificate, PEM.
    #[arg(long, env = "HEARLERS_TLS_KEY", value_name = "FILE")]
    tls_key: Option<String>,
    /// Certificate authority of the other side, PEM.
    #[arg(long, env = "HEARLERS_TLS_CA", value_name = "FILE")]
    tls_ca: Option<String>,
}
impl ProofArgs {
    /// Returns whether any certificate setting is given, valid or not.
    pub fn is_certified(&self) -> bool {
        [&self.tls_certificate, &self.tls_key, &self.tls_ca].into_iter().any(|file| given(file.as_deref()).is_some())
    }
    /// Validates the proof of a program that only makes calls.
    pub fn check(&self, wrong: &mut Vec<String>) -> Option<Proof> {
        self.proof(&[], wrong)
    }

    fn proof(&self, callers: &[&str], wrong: &mut Vec<String>) -> Option<Proof> {
        let before = wrong.len();
        let keys =
            secrets::keys(INTERNAL, self.internal_secret.as_deref(), self.internal_secret_file.as_deref(), wrong);
        let certificates = self.certificates(callers, wrong);
        let proof = Proof::of(keys, certificates);
        if proof.is_none() && wrong.len() == before {
            let bytes = Key::SHORTEST;
            wrong.push(format!(
                "{INTERNAL}: at least {bytes} bytes; no default; or HEARLERS_TLS_CERTIFICATE, _KEY and _CA"
            ));
        }
        proof.filter(|_| wrong.len() == before)
    }

    fn certificates(&self, callers: &[&str], wrong: &mut Vec<String>) -> Option<Certificates> {
        let files = [&self.tls_certificate, &self.tls_key, &self.tls_ca].map(|file| given(file.as_deref()));
        let [Some(certificate), Some(key), Some(authority)] = files.map(|file| file.map(Path::new)) else {
            if self.is_certified() {
                wrong.push("HEARLERS_TLS_CERTIFICATE, HEARLERS_TLS_KEY, HEARLERS_TLS_CA: all three or none".to_owned());
            }
            return None;
        };
        let read = Certificates::read(certificate, key, authority, callers);
        read.map_err(|bad| wrong.extend(bad.iter().map(line))).ok()
    }
}

fn line(BadCertificates { what, why }: &BadCertificates) -> String {
    let name = match what {
        What::Certificate => "HEARLERS_TLS_CERTIFICATE (--tls-certificate)",
        What::Key => "HEARLERS_TLS_KEY (--tls-key)",
        What::Authority => "HEARLERS_TLS_CA (--tls-ca)",
        What::Callers => "HEARLERS_TLS_CALLERS (--tls-callers)",
    };
    format!("{name}: {why}")
}

/// The settings of a service's callers and operators.
#[derive(clap::Args)]
pub struct ServiceArgs {
    #[command(flatten)]
    proof: ProofArgs,
    /// Names in certificates that may call, separated by commas: only with TLS.
    #[arg(long, env = "HEARLERS_TLS_CALLERS", default_value = GATEWAY, value_name = "NAMES")]
    tls_callers: String,
    /// Bearer secret of the operator endpoints: at least 32 bytes. The endpoints are disabled when it is not set.
    #[arg(long, env = "HEARLERS_OPERATOR_SECRET", hide_env_values = true, value_name = "SECRET")]
    operator_secret: Option<String>,
    /// File that contains that secret. It is read again when it changes.
    #[arg(long, env = "HEARLERS_OPERATOR_SECRET_FILE", value_name = "FILE")]
    operator_secret_file: Option<String>,
}
impl ServiceArgs {
    /// Validates the settings. Returns `None` when any is invalid.
    pub fn check(&self, wrong: &mut Vec<String>) -> Option<(Proof, Operators)> {
        let before = wrong.len();
        let callers = given(Some(&self.tls_callers)).unwrap_or(GATEWAY);
        let callers: Vec<&str> = callers.split(',').map(str::trim).collect();
        let proof = self.proof.proof(&callers, wrong);
        let secret =
            secrets::keys(OPERATOR, self.operator_secret.as_deref(), self.operator_secret_file.as_deref(), wrong);
        proof.filter(|_| wrong.len() == before).map(|proof| (proof, Operators::new(secret)))
    }
}
