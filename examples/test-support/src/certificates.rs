//! Certificates for tests: an authority of its own, and what it signs, as files.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use tempfile::TempDir;

/// An authority that a test makes up. Its files go with it.
///
/// ```
/// # use test_support::Authority;
/// let authority = Authority::new()?;
/// let gateway = authority.issue(&["gateway"])?;
/// assert!(std::fs::read_to_string(&gateway.key)?.contains("PRIVATE KEY"));
/// # Ok::<(), anyhow::Error>(())
/// ```
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

/// A certificate and its key, PEM.
#[derive(Debug, Clone)]
pub struct Issued {
    /// The certificate.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

impl Authority {
    /// A new one, which nobody else believes.
    ///
    /// # Errors
    /// The machine has no random numbers, or no place for files.
    pub fn new() -> anyhow::Result<Authority> {
        let mut params = CertificateParams::new(Vec::<String>::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // Not the name of what it signs: for OpenSSL a certificate whose issuer is called as itself is signed by itself.
        params.distinguished_name.push(DnType::CommonName, "an authority for tests");
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        let folder = tempfile::tempdir()?;
        fs::write(folder.path().join("ca.pem"), issuer.pem())?;
        Ok(Authority { issuer, folder })
    }

    /// The authority's own certificate, PEM.
    pub fn file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// A certificate with these names: host names, addresses, or what a program is called.
    ///
    /// # Errors
    /// A name is none, or there is no place for files.
    pub fn issue(&self, names: &[&str]) -> anyhow::Result<Issued> {
        let mut params = CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())?;
        params.distinguished_name.push(DnType::CommonName, names.first().copied().unwrap_or("nobody"));
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        let name = |ending: &str| -> PathBuf { Path::new(&format!("{}.{ending}", names.join("+"))).into() };
        let issued =
            Issued { certificate: self.folder.path().join(name("pem")), key: self.folder.path().join(name("key")) };
        fs::write(&issued.certificate, certificate.pem())?;
        fs::write(&issued.key, key.serialize_pem())?;
        Ok(issued)
    }
}
