//! The certificates of a program: its own certificate and the trusted authority. TLS is mutual.
use crate::watch;
use cqrs_core::{
    Secret,
    net::{self, Connection, Incoming},
};
use futures_util::StreamExt;
use hyper_util::rt::TokioIo;
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
    server::WebPkiClientVerifier,
};
use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::{TlsAcceptor, TlsConnector, server::TlsStream};
use tonic::{
    codegen::{http::Uri, tokio_stream::Stream},
    transport::{Channel, Endpoint, Error},
};

/// The protocol of gRPC in a handshake.
const HTTP_2: &[u8] = b"h2";
/// The time limit of a handshake that was accepted.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// The number of handshakes at once.
const HANDSHAKES: usize = 4096;

/// A program's certificate, its key and the trusted authority. Its `Debug` output does not contain the key.
///
/// The files are read again within [`Certificates::INTERVAL`] after they have changed, and the next connections in both
/// directions use them. Open connections stay open. While the files cannot be used, for example because the key does not
/// belong to the certificate, the former certificates stay in use and an error is logged.
#[derive(Debug, Clone)]
pub struct Certificates {
    source: Arc<Source>,
    callers: Callers,
}
struct Source {
    files: Files,
    current: RwLock<Current>,
}
impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.files.fmt(f)
    }
}
#[derive(Debug)]
struct Files {
    certificate: PathBuf,
    key: PathBuf,
    authority: PathBuf,
}

/// The contents of the files and the configurations of both sides made of them.
#[derive(Clone)]
struct Current {
    texts: Texts,
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
}
/// The contents of the files, PEM.
#[derive(Clone, PartialEq, Eq)]
struct Texts {
    certificate: String,
    key: Secret,
    authority: String,
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
    /// The time between two looks at the files.
    pub const INTERVAL: Duration = Duration::from_secs(1);

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
        let [certificate, key, authority] = [certificate, key, authority].map(Path::to_owned);
        let files = Files { certificate, key, authority };
        let callers = Callers::of(callers).map_err(|name| {
            let why = format!("{name:?} is not a valid name for a certificate");
            BadCertificates { what: What::Callers, why }
        });
        let (read, callers) = match (files.read(), callers) {
            (Ok(texts), Ok(callers)) => (Current::of(texts)?, callers),
            (texts, callers) => {
                return Err(texts.err().into_iter().flatten().chain(callers.err()).collect());
            }
        };
        let source = Arc::new(Source { files, current: RwLock::new(read) });
        let mut failing = false;
        watch::start(Certificates::INTERVAL, &source, move |source| source.look(&mut failing))
            .map_err(|error| vec![BadCertificates { what: What::Certificate, why: error.to_string() }])?;
        Ok(Certificates { source, callers })
    }

    /// Accepts connections, each with the certificates as they are then. A client must show a certificate of the trusted
    /// authority.
    pub fn accept(&self, incoming: Incoming) -> impl Stream<Item = io::Result<TlsStream<Connection>>> + Send + use<> {
        let source = self.source.clone();
        let handshake = move |accepted: io::Result<Connection>| {
            let source = source.clone();
            async move {
                // An error of the listener is the server's to judge. That of a handshake concerns its connection alone.
                let connection = match accepted {
                    Ok(connection) => connection,
                    Err(error) => return Some(Err(error)),
                };
                let acceptor = TlsAcceptor::from(source.current().server);
                match timeout(HANDSHAKE, acceptor.accept(connection)).await {
                    Ok(Ok(connection)) => Some(Ok(connection)),
                    Ok(Err(error)) => {
                        tracing::debug!(%error, "a TLS handshake has failed");
                        None
                    }
                    Err(_) => None,
                }
            }
        };
        incoming.map(handshake).buffer_unordered(HANDSHAKES).filter_map(std::future::ready)
    }
    /// Returns a channel to an `https` URL that connects when it is first used, and makes each connection with the
    /// certificates as they are then. The server's certificate must contain the name in the URL. `settings` are those of
    /// the endpoint, without TLS.
    ///
    /// # Errors
    /// Fails when the URL cannot be used.
    pub fn channel(&self, url: &str, settings: impl FnOnce(Endpoint) -> Endpoint) -> Result<Channel, Error> {
        let named = Endpoint::from_shared(url.to_owned())?.uri().clone();
        // tonic refuses a URL with `https` unless it makes the handshake by itself, with certificates that stay the same.
        let plain = Endpoint::from_shared(url.replacen("https://", "http://", 1))?.origin(named.clone());
        let source = self.source.clone();
        let connect = move |_| {
            let (source, uri) = (source.clone(), named.clone());
            async move { source.connect(&uri).await.map(TokioIo::new) }
        };
        Ok(settings(plain).connect_with_connector_lazy(tower::service_fn(connect)))
    }
    pub(crate) fn callers(&self) -> &Callers {
        &self.callers
    }
}

impl Source {
    fn current(&self) -> Current {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
    /// Dials the host of a URL and makes the handshake.
    async fn connect(&self, uri: &Uri) -> io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
        let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        let connection = net::dial(uri).await?;
        let connected = TlsConnector::from(self.current().client).connect(name, connection).await?;
        match connected.get_ref().1.alpn_protocol() {
            Some(HTTP_2) => Ok(connected),
            _ => Err(io::Error::other("the server does not speak HTTP/2")),
        }
    }
    /// Reads the files, and uses them for the next connections if they have changed. `failing` is set while they cannot be
    /// used.
    fn look(&self, failing: &mut bool) {
        let known = self.current().texts;
        let read = self.files.read().and_then(|read| match read == known {
            true => Ok(None),
            false => Current::of(read).map(Some),
        });
        let was_failing = std::mem::replace(failing, read.is_err());
        match read {
            Ok(None) => {}
            Ok(Some(read)) => {
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = read;
                tracing::info!("the certificates have changed; the next connections use them");
            }
            Err(bad) if !was_failing => {
                let bad = bad.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
                tracing::error!(bad, "the certificates cannot be read again; the former ones stay in use");
            }
            Err(_) => {}
        }
    }
}

impl Files {
    /// Reads the files, and checks that each has the expected contents.
    fn read(&self) -> Result<Texts, Vec<BadCertificates>> {
        let mut bad = Vec::new();
        let mut read = |what, path: &Path| {
            fs::read_to_string(path).map_err(|error| bad.push(BadCertificates { what, why: error.to_string() })).ok()
        };
        let certificate = read(What::Certificate, &self.certificate);
        let key = read(What::Key, &self.key);
        let authority = read(What::Authority, &self.authority);
        for (what, text) in [(What::Certificate, &certificate), (What::Authority, &authority)] {
            if text.as_ref().is_some_and(|text| !is_certificates(text)) {
                bad.push(BadCertificates { what, why: "no certificate in PEM".to_owned() });
            }
        }
        if key.as_ref().is_some_and(|text| PrivateKeyDer::from_pem_slice(text.as_bytes()).is_err()) {
            bad.push(BadCertificates { what: What::Key, why: "no private key in PEM".to_owned() });
        }
        match (certificate, key, authority) {
            (Some(certificate), Some(key), Some(authority)) if bad.is_empty() => {
                Ok(Texts { certificate, key: Secret::new(key), authority })
            }
            _ => Err(bad),
        }
    }
}

impl Current {
    /// Makes the configurations of both sides, which checks that the key belongs to the certificate.
    fn of(texts: Texts) -> Result<Self, Vec<BadCertificates>> {
        let bad = |what, why: &str| vec![BadCertificates { what, why: why.to_owned() }];
        let mismatch = |_| bad(What::Key, "the key does not belong to the certificate");
        let no_authority = |_| bad(What::Authority, "the authority cannot be used");
        let mut authorities = RootCertStore::empty();
        for authority in certificates(&texts.authority) {
            authorities.add(authority).map_err(no_authority)?;
        }
        let authorities = Arc::new(authorities);
        let (shown, key) = (certificates(&texts.certificate), texts.key.expose().as_bytes());
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| bad(What::Key, "no private key in PEM"))?;
        let provider = provider();
        let verifier = WebPkiClientVerifier::builder_with_provider(authorities.clone(), provider.clone())
            .build()
            .map_err(|_| bad(What::Authority, "the authority cannot be used"))?;
        let mut server = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .expect("the provider has the default versions")
            .with_client_cert_verifier(verifier)
            .with_single_cert(shown.clone(), key.clone_key())
            .map_err(mismatch)?;
        let mut client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider has the default versions")
            .with_root_certificates(authorities)
            .with_client_auth_cert(shown, key)
            .map_err(mismatch)?;
        server.alpn_protocols.push(HTTP_2.to_vec());
        client.alpn_protocols.push(HTTP_2.to_vec());
        Ok(Current { texts, server: Arc::new(server), client: Arc::new(client) })
    }
}

/// Returns the provider of the process, or the one that this crate is built with.
fn provider() -> Arc<CryptoProvider> {
    CryptoProvider::get_default().cloned().unwrap_or_else(|| Arc::new(ring::default_provider()))
}

/// Returns the certificates of a text that was validated.
fn certificates(pem: &str) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(pem.as_bytes()).filter_map(Result::ok).collect()
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
