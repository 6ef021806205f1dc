//! Kafka's secured listeners for tests: TLS with certificates, and SCRAM over TLS.

use std::fs;
use std::path::{Path, PathBuf};

use crate::certificates::Authority;

/// The secured listeners of a node: its certificate and the authority and password that it accepts.
pub struct Door {
    shown: PathBuf,
    believed: PathBuf,
}

impl Door {
    /// The user name for SCRAM.
    pub const NAME: &str = "kim";
    /// The password for SCRAM.
    pub const PASSWORD: &str = "hunter2-hunter2";
    /// The same credentials in Kafka's format.
    pub(crate) const USER: &str = "SCRAM-SHA-512=[name=kim,password=hunter2-hunter2]";

    /// Writes the files. Kafka expects the key and the certificate in one file.
    pub(crate) fn new(authority: &Authority, trusted: &[&Authority], folder: &Path) -> anyhow::Result<Door> {
        let door = Door { shown: folder.join("shown.pem"), believed: folder.join("believed.pem") };
        door.renew(authority, trusted)?;
        Ok(door)
    }

    /// Replaces the files: a certificate of this authority, and the authorities whose clients are accepted.
    pub(crate) fn renew(&self, authority: &Authority, trusted: &[&Authority]) -> anyhow::Result<()> {
        let issued = authority.issue(&["localhost"])?;
        fs::write(&self.shown, fs::read_to_string(issued.key)? + &fs::read_to_string(issued.certificate)?)?;
        let trusted: Result<String, _> = trusted.iter().map(|trusted| fs::read_to_string(trusted.file())).collect();
        Ok(fs::write(&self.believed, trusted?)?)
    }

    /// Returns the settings, and the listeners to put before the others.
    pub(crate) fn configuration(&self, tls: u16, scram: u16) -> (String, String) {
        let (shown, believed) = (self.shown.display(), self.believed.display());
        let settings = format!(
            "listener.security.protocol.map=CLIENTS:PLAINTEXT,PROXIED:PLAINTEXT,CONTROLLER:PLAINTEXT,TLS:SSL,SCRAM:SASL_SSL\n\
             ssl.keystore.type=PEM\nssl.keystore.location={shown}\n\
             ssl.truststore.type=PEM\nssl.truststore.location={believed}\n\
             listener.name.tls.ssl.client.auth=required\n\
             sasl.enabled.mechanisms=SCRAM-SHA-512\n\
             listener.name.scram.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;\n"
        );
        (settings, format!("TLS://localhost:{tls},SCRAM://localhost:{scram},"))
    }
}
