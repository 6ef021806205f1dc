//! Tests of mutual TLS: only the gateway's certificate is accepted.
use contracts::{
    USER_METADATA,
    v1::service::{FindUserByUserIdRequest, InitializeUserRequest, user_service_client::UserServiceClient},
};
use cqrs_core::{App, app::Background, grpc::details, transport::InProcess};
use service_auth::{CallSigner, GATEWAY, Key, Proof, USER_SERVICE, tls::Certificates};
use service_edge::testing::{by, serve};
use std::{path::PathBuf, time::Duration};
use test_support::{Authority, Issued, Trials};
use tokio::sync::oneshot::error::TryRecvError;
use tonic::{
    Code, Request, Status,
    service::interceptor::InterceptedService,
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity},
};
use user_service::SERVICE;

pub(crate) fn trials() -> Trials {
    Trials::new()
        .test("the gateway's certificate is accepted", the_gateway_is_accepted)
        .test("another caller's certificate is refused", other_callers_are_refused)
        .test("a call without a certificate or without TLS is refused", calls_without_certificate_are_refused)
        .test("the client verifies the server's certificate", the_client_verifies_the_server)
        .test("with a secret as well, both proofs must be valid", both_proofs_must_be_valid)
        .test("changed certificates are used for the next connections, and no call fails", certificates_change)
}

struct Service {
    authority: Authority,
    gateway: Issued,
    address: String,
    _background: Background,
}

/// Starts a service with a certificate for `localhost` that accepts the gateway's certificate.
async fn service(secret: Option<Key>) -> anyhow::Result<Service> {
    let authority = Authority::new()?;
    let (own, gateway) = (authority.issue(&["localhost", USER_SERVICE])?, authority.issue(&[GATEWAY])?);
    let app = user_service::wire(App::builder(SERVICE.app).transport(InProcess::new())).build()?;
    let _background = app.join().await?.start();
    let proof = proof(secret, certificates(&own, authority.file(), &[GATEWAY])?);
    let address = format!("localhost:{}", serve(&SERVICE, &app, &proof).await?.port());
    Ok(Service { authority, gateway, address, _background })
}
/// Returns the proof by certificates, and by signature when a text to derive the key from is given.
fn proof(secret: Option<Key>, certificates: Certificates) -> Proof {
    match secret {
        Some(text) => Proof::signed(text).with_certificates(certificates),
        None => Proof::certified(certificates),
    }
}
fn certificates(shown: &Issued, authority: PathBuf, callers: &[&str]) -> anyhow::Result<Certificates> {
    let read = Certificates::read(&shown.certificate, &shown.key, &authority, callers);
    read.map_err(|bad| anyhow::anyhow!("{bad:?}"))
}

impl Service {
    /// Connects with the certificate `shown`, trusting `authority`.
    fn connect(&self, shown: &Issued, authority: PathBuf, secret: Option<Key>) -> anyhow::Result<Users> {
        client(&self.address, certificates(shown, authority, &[])?, secret)
    }
}
/// Creates a client that connects at its first call.
fn client(address: &str, certificates: Certificates, secret: Option<Key>) -> anyhow::Result<Users> {
    let channel = certificates.channel(&format!("https://{address}"), |endpoint| endpoint)?;
    let proof = proof(secret, certificates);
    Ok(UserServiceClient::with_interceptor(channel, CallSigner::new(GATEWAY, USER_SERVICE, &proof)))
}
type Users = UserServiceClient<InterceptedService<Channel, CallSigner>>;

async fn visit(users: &mut Users) -> Result<String, Status> {
    let visited = users.initialize_user(InitializeUserRequest {}).await?.into_inner();
    Ok(visited.user.unwrap_or_default().id)
}

async fn the_gateway_is_accepted() -> anyhow::Result<()> {
    let service = service(None).await?;
    let mut users = service.connect(&service.gateway, service.authority.file(), None)?;
    let kim = visit(&mut users).await?;
    // The call is not signed; the gateway's certificate is the proof.
    let find = || FindUserByUserIdRequest { user_id: kim.clone() };
    assert_eq!(users.find_user_by_user_id(by(&kim, find())).await?.into_inner().user.unwrap().id, kim);
    let lee = uuid::Uuid::now_v7().to_string();
    assert_eq!(users.find_user_by_user_id(by(&lee, find())).await.unwrap_err().code(), Code::PermissionDenied);
    let anonymous = users.find_user_by_user_id(find()).await.unwrap_err();
    assert_eq!(details(&anonymous).reason.as_deref(), Some("IDENTITY_MISSING"));
    Ok(())
}

async fn other_callers_are_refused() -> anyhow::Result<()> {
    let service = service(None).await?;
    // The same authority, another name: the handshake succeeds, and each call is refused.
    for names in [&["counseling-service"][..], &["gateway.evil"], &["not-gateway"], &["GATEWAYS"]] {
        let mut users = service.connect(&service.authority.issue(names)?, service.authority.file(), None)?;
        let refused = visit(&mut users).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unauthenticated, "{names:?}");
        assert_eq!(details(&refused).reason.as_deref(), Some("IDENTITY_CALLER_NOT_ALLOWED"));
    }
    // The same name, another authority: the connection is refused.
    let stranger = Authority::new()?.issue(&[GATEWAY]);
    let connected = service.connect(&stranger?, service.authority.file(), None);
    assert!(is_refused(connected).await);
    Ok(())
}

/// Returns whether a connection is refused. With TLS 1.3 a client notices it only at the first read.
async fn is_refused(connected: anyhow::Result<Users>) -> bool {
    match connected {
        Ok(mut users) => visit(&mut users).await.is_err_and(|status| status.code() != Code::Unauthenticated),
        Err(_) => true,
    }
}

async fn calls_without_certificate_are_refused() -> anyhow::Result<()> {
    let service = service(None).await?;
    let url = format!("https://{}", service.address);
    let ca = Certificate::from_pem(std::fs::read(service.authority.file())?);
    let tls = ClientTlsConfig::new().ca_certificate(ca);
    let bare = Endpoint::from_shared(url)?.tls_config(tls)?.connect().await;
    let plain = Endpoint::from_shared(format!("http://{}", service.address))?.connect().await;
    for (case, connected) in [("no certificate", bare), ("plain text", plain)] {
        let Ok(channel) = connected else { continue };
        let mut request = Request::new(InitializeUserRequest {});
        request.metadata_mut().insert(USER_METADATA, uuid::Uuid::now_v7().to_string().parse()?);
        assert!(UserServiceClient::new(channel).initialize_user(request).await.is_err(), "{case}");
    }
    Ok(())
}

async fn the_client_verifies_the_server() -> anyhow::Result<()> {
    let service = service(None).await?;
    // The client trusts another authority, so the service's certificate is invalid.
    let other = Authority::new()?;
    assert!(is_refused(service.connect(&service.gateway, other.file(), None)).await);
    // The service's certificate does not contain this name.
    let address = service.address.replace("localhost", "127.0.0.1");
    let own = certificates(&service.gateway, service.authority.file(), &[])?;
    assert!(is_refused(client(&address, own, None)).await);
    let identity =
        Identity::from_pem(std::fs::read(&service.gateway.certificate)?, std::fs::read(&service.gateway.key)?);
    let ca = Certificate::from_pem(std::fs::read(service.authority.file())?);
    let tls = ClientTlsConfig::new().identity(identity).ca_certificate(ca);
    assert!(Endpoint::from_shared(format!("https://{address}"))?.tls_config(tls)?.connect().await.is_err());
    Ok(())
}

async fn both_proofs_must_be_valid() -> anyhow::Result<()> {
    let key = Key::new("a secret for tests, 32 bytes long");
    let service = service(key.clone()).await?;
    let (gateway, ca) = (&service.gateway, || service.authority.file());
    let kim = visit(&mut service.connect(gateway, ca(), key.clone())?).await?;
    assert!(uuid::Uuid::try_parse(&kim).is_ok());
    for (case, secret, reason) in [
        ("not signed", None, "IDENTITY_NOT_SIGNED"),
        ("signed with another", Key::new("another secret, also 32 bytes long"), "IDENTITY_INVALID"),
    ] {
        let refused = visit(&mut service.connect(gateway, ca(), secret)?).await.unwrap_err();
        assert_eq!(details(&refused).reason.as_deref(), Some(reason), "{case}");
    }
    // The call is signed as the gateway, but the certificate is another caller's.
    let own = service.authority.issue(&["counseling-service"])?;
    let refused = visit(&mut service.connect(&own, ca(), key)?).await.unwrap_err();
    assert_eq!(details(&refused).reason.as_deref(), Some("IDENTITY_CALLER_NOT_ALLOWED"));
    Ok(())
}

/// The files of a program.
struct Files(tempfile::TempDir);
impl Files {
    fn new(shown: &Issued, trusted: &[&Authority]) -> anyhow::Result<Files> {
        let files = Files(tempfile::tempdir()?);
        files.show(shown)?;
        files.trust(trusted)?;
        Ok(files)
    }
    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
    fn show(&self, shown: &Issued) -> anyhow::Result<()> {
        std::fs::copy(&shown.certificate, self.file("certificate"))?;
        std::fs::copy(&shown.key, self.file("key"))?;
        Ok(())
    }
    fn trust(&self, trusted: &[&Authority]) -> anyhow::Result<()> {
        let trusted: Result<String, _> = trusted.iter().map(|one| std::fs::read_to_string(one.file())).collect();
        Ok(std::fs::write(self.file("ca"), trusted?)?)
    }
    fn read(&self, callers: &[&str]) -> anyhow::Result<Certificates> {
        let read = Certificates::read(&self.file("certificate"), &self.file("key"), &self.file("ca"), callers);
        read.map_err(|bad| anyhow::anyhow!("{bad:?}"))
    }
}

/// Waits until a new connection with these certificates is accepted or refused.
async fn until(address: &str, certificates: &Certificates, is_accepted: bool) -> anyhow::Result<()> {
    for _ in 0..600 {
        if visit(&mut client(address, certificates.clone(), None)?).await.is_ok() == is_accepted {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    anyhow::bail!("the changed files are not read again")
}

async fn certificates_change() -> anyhow::Result<()> {
    let (first, second) = (Authority::new()?, Authority::new()?);
    let own = |authority: &Authority| authority.issue(&["localhost", USER_SERVICE]);
    let of_service = Files::new(&own(&first)?, &[&first])?;
    let of_gateway = Files::new(&first.issue(&[GATEWAY])?, &[&first])?;
    let stale = Files::new(&first.issue(&[GATEWAY])?, &[&first])?.read(&[])?;
    let app = user_service::wire(App::builder(SERVICE.app).transport(InProcess::new())).build()?;
    let _background = app.join().await?.start();
    let proof = Proof::certified(of_service.read(&[GATEWAY])?);
    let address = format!("localhost:{}", serve(&SERVICE, &app, &proof).await?.port());

    // A caller with one connection for all of its calls, and one with a new connection for each.
    let gateway = of_gateway.read(&[])?;
    let (mut kept, address_of_calls, of_calls) =
        (client(&address, gateway.clone(), None)?, address.clone(), gateway.clone());
    let (stop, mut stopped) = tokio::sync::oneshot::channel::<()>();
    let calls = tokio::spawn(async move {
        let mut count = 0;
        while stopped.try_recv() == Err(TryRecvError::Empty) {
            visit(&mut kept).await?;
            visit(&mut client(&address_of_calls, of_calls.clone(), None)?).await?;
            count += 1;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        anyhow::Ok(count)
    });
    until(&address, &stale, true).await?;

    // Both sides trust both authorities, then the gateway changes its certificate, then the service.
    of_gateway.trust(&[&first, &second])?;
    of_service.trust(&[&first, &second])?;
    let by_second = Files::new(&second.issue(&[GATEWAY])?, &[&first, &second])?.read(&[])?;
    until(&address, &by_second, true).await?;
    of_gateway.show(&second.issue(&[GATEWAY])?)?;
    let of_second = Files::new(&own(&second)?, &[&second])?.read(&[GATEWAY])?;
    let only_second = serve(&SERVICE, &app, &Proof::certified(of_second)).await?;
    until(&format!("localhost:{}", only_second.port()), &gateway, true).await?;
    // A certificate without its key replaces nothing.
    let next = own(&second)?;
    std::fs::copy(&next.certificate, of_service.file("certificate"))?;
    tokio::time::sleep(Certificates::INTERVAL * 2).await;
    until(&address, &stale, true).await?;
    of_service.show(&next)?;
    of_service.trust(&[&second])?;
    until(&address, &stale, false).await?; // seeded: certificates that are read once are refused
    until(&address, &gateway, true).await?;
    of_gateway.trust(&[&second])?;
    let of_second_alone = Files::new(&second.issue(&[GATEWAY])?, &[&second])?.read(&[])?;
    until(&address, &of_second_alone, true).await?;
    drop(stop);
    anyhow::ensure!(calls.await?? > 20, "the calls go on all the time");
    Ok(())
}
