//! Certificates for tests: a certificate authority and the certificates that it signs, as files.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use tempfile::TempDir;

/// The number of the next authority.
static COUNT: AtomicU64 = AtomicU64::new(1);

/// A certificate authority for a test. Dropping it removes its files.
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

/// The files of a certificate and its key, PEM.
#[derive(Debug, Clone)]
pub struct Issued {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl Authority {
    /// Creates a new authority, which no other program trusts.
    ///
    /// # Errors
    /// Fails when the machine has no random numbers or no space for files.
    pub fn new() -> anyhow::Result<Authority> {
        let mut params = CertificateParams::new(Vec::<String>::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // It must differ from the names it signs: OpenSSL takes a certificate with its issuer's name for self-signed.
        // And from other authorities: of two with one name, OpenSSL tries the first alone.
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        params.distinguished_name.push(DnType::CommonName, format!("authority {number} for tests"));
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        let folder = tempfile::tempdir()?;
        fs::write(folder.path().join("ca.pem"), issuer.pem())?;
        Ok(Authority { issuer, folder })
    }

    /// Returns the file of the authority's own certificate, PEM.
    pub fn file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// Issues a certificate with these names: host names, addresses, or names of programs.
    ///
    /// # Errors
    /// Fails when a name is invalid, or when there is no space for files.
    pub fn issue(&self, names: &[&str]) -> anyhow::Result<Issued> {
        let mut params = CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())?;
        params.distinguished_name.push(DnType::CommonName, names.first().copied().unwrap_or("unnamed"));
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
