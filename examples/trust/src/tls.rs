//! Certificates of a program: the one it shows, and the authority whose certificates it believes. Both sides show one.
use cqrs_core::Secret;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject};
use std::{fs, path::Path, sync::Arc};
use tonic::transport::{Certificate, ClientTlsConfig, Identity, ServerTlsConfig};

/// What a program shows and what it believes. It can be shown itself: the key is not.
#[derive(Debug, Clone)]
pub struct Certificates {
    /// Its certificate, and those between it and the authority: PEM.
    certificate: String,
    /// Its key: PEM.
    key: Secret,
    /// The authority of the other side: PEM.
    authority: String,
    callers: Callers,
}

/// Why certificates cannot be used: which file, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {why}")]
pub struct BadCertificates {
    /// Which of the three.
    pub what: What,
    /// Why. It says nothing of what is in a file.
    pub why: String,
}
/// One of the three files, or the names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// The certificate that is shown.
    Certificate,
    /// Its key.
    Key,
    /// The authority that is believed.
    Authority,
    /// Who may call.
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
    /// Reads the three files and looks whether they are what they should be. `callers` are the names, of those the authority
    /// vouches for, that may call; a client has none.
    ///
    /// # Errors
    /// Everything that is wrong.
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
            if text.as_ref().is_some_and(|it| !is_certificates(it)) {
                bad.push(BadCertificates { what, why: "no certificate in PEM".to_owned() });
            }
        }
        if key.as_ref().is_some_and(|it| PrivateKeyDer::from_pem_slice(it.as_bytes()).is_err()) {
            bad.push(BadCertificates { what: What::Key, why: "no private key in PEM".to_owned() });
        }
        let callers = Callers::of(callers).map_err(|name| {
            let why = format!("{name:?} is not a name as certificates have it");
            bad.push(BadCertificates { what: What::Callers, why });
        });
        let (Some(certificate), Some(key), Some(authority), Ok(callers), true) =
            (certificate, key, authority, callers, bad.is_empty())
        else {
            return Err(bad);
        };
        let read = Certificates { certificate, key: Secret::new(key), authority, callers };
        // Only now it shows whether key and certificate belong together.
        tonic::transport::Server::builder()
            .tls_config(read.server())
            .map_err(|_| vec![BadCertificates { what: What::Key, why: "not the certificate's".to_owned() }])?;
        Ok(read)
    }

    /// For a server: it shows its certificate, and asks for one.
    pub(crate) fn server(&self) -> ServerTlsConfig {
        let authority = Certificate::from_pem(&self.authority);
        ServerTlsConfig::new().identity(self.identity()).client_ca_root(authority)
    }
    /// For a client: it shows its certificate, and believes a server whose certificate has the name in the URL.
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
    all.peek().is_some() && all.all(|it| it.is_ok_and(|it| webpki::anchor_from_trusted_cert(&it).is_ok()))
}

/// The names that may call, as certificates have them.
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
    /// Which of the names the certificate has. The handshake has looked at everything else.
    pub(crate) fn who(&self, shown: Option<&Vec<CertificateDer<'static>>>) -> Option<Arc<str>> {
        let shown = webpki::EndEntityCert::try_from(shown?.first()?).ok()?;
        let mut named = self.0.iter().filter(|(_, name)| shown.verify_is_valid_for_subject_name(name).is_ok());
        named.next().map(|(name, _)| name.clone())
    }
}
