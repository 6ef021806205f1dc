//! The certificates of a program: its own certificate and the trusted authority. TLS is mutual.
use cqrs_core::Secret;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject};
use std::{fs, path::Path, sync::Arc};
use tonic::transport::{Certificate, ClientTlsConfig, Identity, ServerTlsConfig};

/// A program's certificate, its key and the trusted authority. Its `Debug` output does not contain the key.
#[derive(Debug, Clone)]
pub struct Certificates {
    /// The certificate with its intermediates, PEM.
    certificate: String,
    /// The private key, PEM.
    key: Secret,
    /// The trusted authority of the other side, PEM.
    authority: String,
    callers: Callers,
}

/// The error of one certificate file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {why}")]
pub struct BadCertificates {
    /// The file, or the list of names.
    pub what: What,
    /// The cause. It contains nothing of the file's contents.
    pub why: String,
}
/// One of the three files, or the list of names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// The program's certificate.
    Certificate,
    /// The private key.
    Key,
    /// The trusted authority.
    Authority,
    /// The names that may call.
    Callers,
}
impl std::fmt::Display for What {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            What::Certificate => "certificate",
            What::Key => "key",
            What::Authority => "authority",
            What::Callers => "callers",
        })
    }
}

impl Certificates {
    /// Reads and validates the three files. `callers` are the names in certificates that may call; a client has none.
    ///
    /// # Errors
    /// Returns all errors.
    pub fn read(
        certificate: &Path,
        key: &Path,
        authority: &Path,
        callers: &[&str],
    ) -> Result<Self, Vec<BadCertificates>> {
        let mut bad = Vec::new();
        let mut read = |what, path: &Path| {
            fs::read_to_string(path).map_err(|error| bad.push(BadCertificates { what, why: error.to_string() })).ok()
        };
        let certificate = read(What::Certificate, certificate);
        let key = read(What::Key, key);
        let authority = read(What::Authority, authority);
        for (what, text) in [(What::Certificate, &certificate), (What::Authority, &authority)] {
            if text.as_ref().is_some_and(|text| !is_certificates(text)) {
                bad.push(BadCertificates { what, why: "no certificate in PEM".to_owned() });
            }
        }
        if key.as_ref().is_some_and(|text| PrivateKeyDer::from_pem_slice(text.as_bytes()).is_err()) {
            bad.push(BadCertificates { what: What::Key, why: "no private key in PEM".to_owned() });
        }
        let callers = Callers::of(callers).map_err(|name| {
            let why = format!("{name:?} is not a valid name for a certificate");
            bad.push(BadCertificates { what: What::Callers, why });
        });
        let (Some(certificate), Some(key), Some(authority), Ok(callers), true) =
            (certificate, key, authority, callers, bad.is_empty())
        else {
            return Err(bad);
        };
        let read = Certificates { certificate, key: Secret::new(key), authority, callers };
        // Building the configuration checks that the key belongs to the certificate.
        tonic::transport::Server::builder().tls_config(read.server()).map_err(|_| {
            vec![BadCertificates { what: What::Key, why: "the key does not belong to the certificate".to_owned() }]
        })?;
        Ok(read)
    }

    /// Returns the configuration of a server that requires a client certificate.
    pub(crate) fn server(&self) -> ServerTlsConfig {
        let authority = Certificate::from_pem(&self.authority);
        ServerTlsConfig::new().identity(self.identity()).client_ca_root(authority)
    }
    /// Returns the configuration of a client. The server's certificate must contain the name in the URL.
    pub fn client(&self) -> ClientTlsConfig {
        ClientTlsConfig::new().identity(self.identity()).ca_certificate(Certificate::from_pem(&self.authority))
    }
    pub(crate) fn callers(&self) -> &Callers {
        &self.callers
    }
    fn identity(&self) -> Identity {
        Identity::from_pem(&self.certificate, self.key.expose())
    }
}

fn is_certificates(pem: &str) -> bool {
    let mut all = CertificateDer::pem_slice_iter(pem.as_bytes()).peekable();
    all.peek().is_some()
        && all.all(|read| read.is_ok_and(|certificate| webpki::anchor_from_trusted_cert(&certificate).is_ok()))
}

/// The names in certificates that may call.
#[derive(Debug, Clone)]
pub(crate) struct Callers(Arc<[(Arc<str>, ServerName<'static>)]>);
impl Callers {
    fn of(names: &[&str]) -> Result<Self, String> {
        let read = |name: &&str| match ServerName::try_from((*name).to_owned()) {
            Ok(read) => Ok((Arc::from(*name), read)),
            Err(_) => Err((*name).to_owned()),
        };
        Ok(Callers(names.iter().map(read).collect::<Result<Vec<_>, _>>()?.into()))
    }
    /// Returns the name that the certificate contains. The handshake has verified everything else.
    pub(crate) fn name_of(&self, shown: Option<&Vec<CertificateDer<'static>>>) -> Option<Arc<str>> {
        let shown = webpki::EndEntityCert::try_from(shown?.first()?).ok()?;
        let mut named = self.0.iter().filter(|(_, name)| shown.verify_is_valid_for_subject_name(name).is_ok());
        named.next().map(|(name, _)| name.clone())
    }
}
