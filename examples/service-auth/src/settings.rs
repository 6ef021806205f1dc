//! The flags of both sides, each also a variable. All invalid settings are reported at once.
use crate::{
    CallKeys, CallerKeys, GATEWAY, Key, Proof,
    operators::Operators,
    secrets::{self, Name, given},
    security,
    tls::{BadCertificates, Certificates, What},
};
use std::{
    net::{IpAddr, SocketAddr},
    path::Path,
    time::Duration,
};

/// The setting of a server's address.
pub const LISTEN: Name = Name { variable: "HEARLERS_LISTEN", flag: "--listen" };
const SHUTDOWN_PAUSE: Name = Name { variable: "HEARLERS_SHUTDOWN_PAUSE", flag: "--shutdown-pause" };
/// The longest pause in seconds.
const LONGEST_PAUSE: u64 = 60;
const OPERATIONS: Name = Name { variable: "HEARLERS_OPERATIONS", flag: "--operations" };
const CALL_KEY: Name = Name { variable: "HEARLERS_CALL_KEY", flag: "--call-key" };
const LOG_KEY: Name = Name { variable: "HEARLERS_LOG_KEY", flag: "--log-key" };
const ALLOW_PLAINTEXT: Name = Name { variable: "HEARLERS_ALLOW_PLAINTEXT", flag: "--allow-plaintext" };
const CALLER_KEYS: Name = Name { variable: "HEARLERS_CALLER_KEYS", flag: "--caller-keys" };
const OPERATORS: Name = Name { variable: "HEARLERS_OPERATORS", flag: "--operators" };

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

/// Parses an optional flag: true or false. Absent means false.
pub fn flag(name: Name, value: Option<&str>, wrong: &mut Vec<String>) -> bool {
    match given(value).map_or(Ok(false), str::parse) {
        Ok(flag) => flag,
        Err(_) => {
            wrong.push(format!("{name}: true or false"));
            false
        }
    }
}

/// Returns whether a host is this machine, by its name or address.
pub fn is_loopback(host: &str) -> bool {
    let address: Result<IpAddr, _> = host.trim_start_matches('[').trim_end_matches(']').parse();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// The flags with which every program serves its operators: health and metrics, and the pause before a shutdown.
// Values are text here, so that `check` can report all invalid settings and not only the first one.
#[derive(clap::Args)]
pub struct OperationsArgs {
    /// Address of the HTTP endpoints for health and metrics: IP address and port. They are disabled when it is not set.
    #[arg(long, env = "HEARLERS_OPERATIONS", value_name = "ADDRESS")]
    operations: Option<String>,
    /// Seconds for which the program still serves after a signal, while it is no longer ready: as long as the load
    /// balancer needs to notice, 0 to 60. The default is 0.
    #[arg(long, env = "HEARLERS_SHUTDOWN_PAUSE", value_name = "SECONDS")]
    shutdown_pause: Option<String>,
}
impl OperationsArgs {
    /// Validates the settings. Returns the address, which is absent when the endpoints are disabled, and the pause.
    pub fn check(&self, wrong: &mut Vec<String>) -> Option<(Option<SocketAddr>, Duration)> {
        let (operations, shutdown_pause) = (self.address(wrong), self.shutdown_pause(wrong));
        Some((operations?, shutdown_pause?))
    }
    /// Validates the address. The outer `None` is an invalid one.
    fn address(&self, wrong: &mut Vec<String>) -> Option<Option<SocketAddr>> {
        match given(self.operations.as_deref()) {
            Some(value) => address(OPERATIONS, "127.0.0.1:9464", value, wrong).map(Some),
            None => Some(None),
        }
    }
    fn shutdown_pause(&self, wrong: &mut Vec<String>) -> Option<Duration> {
        let seconds = given(self.shutdown_pause.as_deref()).map_or(Ok(0), str::parse).ok();
        let seconds = seconds.filter(|seconds| *seconds <= LONGEST_PAUSE);
        if seconds.is_none() {
            wrong.push(format!("{SHUTDOWN_PAUSE}: 0 to {LONGEST_PAUSE} seconds"));
        }
        seconds.map(Duration::from_secs)
    }
}

/// The settings of the proof of a program that calls services.
// Values are text here, so that `check` can report all invalid settings and not only the first one.
#[derive(clap::Args)]
pub struct ProofArgs {
    /// Private Ed25519 key that signs this program's calls to services: PEM, or 32 bytes in base64. No other program needs it.
    /// No default.
    #[arg(long, env = "HEARLERS_CALL_KEY", hide_env_values = true, value_name = "KEY")]
    call_key: Option<String>,
    /// File that contains that key. It is read again when it changes.
    #[arg(long, env = "HEARLERS_CALL_KEY_FILE", value_name = "FILE")]
    call_key_file: Option<String>,
    /// Secret of the log: at least 32 bytes, the same for all programs. The log has a hash under this key in place of a
    /// person's id. Without one each process makes its own.
    #[arg(long, env = "HEARLERS_LOG_KEY", hide_env_values = true, value_name = "SECRET")]
    log_key: Option<String>,
    /// File that contains that secret.
    #[arg(long, env = "HEARLERS_LOG_KEY_FILE", value_name = "FILE")]
    log_key_file: Option<String>,
    /// Allow calls between the gateway and services on other machines without TLS (true): who is on the way reads them.
    #[arg(long, env = "HEARLERS_ALLOW_PLAINTEXT", num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    allow_plaintext: Option<String>,
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
    /// Checks that calls to or from these hosts are encrypted, unless they stay on this machine.
    pub fn check_hosts<'a>(&self, hosts: impl IntoIterator<Item = &'a str>, wrong: &mut Vec<String>) {
        let allows = flag(ALLOW_PLAINTEXT, self.allow_plaintext.as_deref(), wrong);
        if !self.is_certified() && !allows && hosts.into_iter().any(|host| !is_loopback(host)) {
            wrong.push(format!(
                "HEARLERS_TLS_CERTIFICATE, HEARLERS_TLS_KEY, HEARLERS_TLS_CA: needed for calls between machines, or \
                 {ALLOW_PLAINTEXT}: true"
            ));
        }
    }
    /// Validates the proof of a program that only makes calls.
    pub fn check(&self, wrong: &mut Vec<String>) -> Option<Proof> {
        let before = wrong.len();
        self.set_log_key(wrong);
        let (keys, certificates) = (self.call_keys(wrong), self.certificates(&[], wrong));
        let missing = "a private Ed25519 key";
        proof(CALL_KEY, missing, Proof::of(keys, None, certificates), wrong.len() > before, wrong)
    }

    /// Sets the key of the log, if one is given.
    fn set_log_key(&self, wrong: &mut Vec<String>) {
        let text = secrets::read(LOG_KEY, self.log_key.as_deref(), self.log_key_file.as_deref(), wrong);
        match text.map(|text| Key::new(text.expose())) {
            Some(Some(key)) => drop(security::set_log_key(&key)),
            Some(None) => wrong.push(format!("{LOG_KEY}: at least {} bytes", Key::SHORTEST)),
            None => {}
        }
    }
    fn call_keys(&self, wrong: &mut Vec<String>) -> Option<CallKeys> {
        let given = (self.call_key.as_deref(), self.call_key_file.as_deref());
        secrets::keys_of(CALL_KEY, given, CallKeys::parse, |file| CallKeys::of_file(file), wrong)
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

/// Returns the proof, or adds a line that names the missing setting.
fn proof(name: Name, missing: &str, proof: Option<Proof>, is_wrong: bool, wrong: &mut Vec<String>) -> Option<Proof> {
    if proof.is_none() && !is_wrong {
        wrong.push(format!("{name}: {missing}; no default; or HEARLERS_TLS_CERTIFICATE, _KEY and _CA"));
    }
    proof.filter(|_| !is_wrong)
}

/// The settings of a service's callers and operators.
#[derive(clap::Args)]
pub struct ServiceArgs {
    #[command(flatten)]
    proof: ProofArgs,
    /// Public keys of the programs that may call, one a line or separated by commas: NAME=KEY, the program's name and its public
    /// Ed25519 key in base64. A program may have several, while its key is replaced. No default.
    #[arg(long, env = "HEARLERS_CALLER_KEYS", value_name = "KEYS")]
    caller_keys: Option<String>,
    /// File that contains those keys. It is read again when it changes.
    #[arg(long, env = "HEARLERS_CALLER_KEYS_FILE", value_name = "FILE")]
    caller_keys_file: Option<String>,
    /// Names in certificates that may call, separated by commas: only with TLS.
    #[arg(long, env = "HEARLERS_TLS_CALLERS", default_value = GATEWAY, value_name = "NAMES")]
    tls_callers: String,
    /// Operators, one a line: NAME=SECRET, the operator's name and their bearer secret of at least 32 bytes. The operator
    /// endpoints are disabled when it is not set.
    #[arg(long, env = "HEARLERS_OPERATORS", hide_env_values = true, value_name = "OPERATORS")]
    operators: Option<String>,
    /// File that contains them. It is read again when it changes.
    #[arg(long, env = "HEARLERS_OPERATORS_FILE", value_name = "FILE")]
    operators_file: Option<String>,
}
impl ServiceArgs {
    /// Validates the settings of a service that listens there. Returns `None` when any is invalid.
    pub fn check(&self, listen: Option<SocketAddr>, wrong: &mut Vec<String>) -> Option<(Proof, Operators)> {
        let before = wrong.len();
        self.proof.check_hosts(listen.map(|listen| listen.ip().to_string()).as_deref(), wrong);
        let callers = given(Some(&self.tls_callers)).unwrap_or(GATEWAY);
        let callers: Vec<&str> = callers.split(',').map(str::trim).collect();
        let given = (self.caller_keys.as_deref(), self.caller_keys_file.as_deref());
        let callers_of =
            secrets::keys_of(CALLER_KEYS, given, CallerKeys::parse, |file| CallerKeys::of_file(file), wrong);
        self.proof.set_log_key(wrong);
        let (call_keys, certificates) = (self.proof.call_keys(wrong), self.proof.certificates(&callers, wrong));
        // A key for calls to other services says nothing about those who call.
        let accepts = callers_of.is_some() || certificates.is_some();
        let accepted = Proof::of(call_keys, callers_of, certificates).filter(|_| accepts);
        let missing = "a line NAME=KEY for each program that calls";
        let proof = proof(CALLER_KEYS, missing, accepted, wrong.len() > before, wrong);
        let given = (self.operators.as_deref(), self.operators_file.as_deref());
        let operators = secrets::keys_of(OPERATORS, given, Operators::parse, |file| Operators::of_file(file), wrong);
        let operators = operators.unwrap_or_else(Operators::none);
        proof.filter(|_| wrong.len() == before).map(|proof| (proof, operators))
    }
}
