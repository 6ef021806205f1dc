//! Certificates on both sides: the gateway's opens the door, and nothing else does.
use crate::stage::by;
use contracts::{
    USER_METADATA,
    v1::service::{FindUserByUserIdRequest, InitializeUserRequest, user_service_client::UserServiceClient},
};
use cqrs_core::{App, app::Background, grpc::details, transport::InProcess};
use std::path::PathBuf;
use test_support::{Authority, Issued, Trials};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{
    Code, Request, Status,
    service::{RoutesBuilder, interceptor::InterceptedService},
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity, Server},
};
use trust::{GATEWAY, Key, Proof, USER_SERVICE, Vouch, limits, tls::Certificates};

pub(crate) fn trials() -> Trials {
    Trials::new()
        .test("the gateway's opens the door", the_gateways)
        .test("nobody else's does", nobody_elses)
        .test("nor does none, nor plain text", none)
        .test("the client looks whom it talks to", the_client_looks)
        .test("with a secret as well, both must be right", with_a_secret)
}

struct House {
    authority: Authority,
    gateway: Issued,
    address: String,
    _background: Background,
}

/// A service that shows a certificate for `localhost` and lets `gateway` in.
async fn house(secret: Option<Key>) -> anyhow::Result<House> {
    let authority = Authority::new()?;
    let (own, gateway) = (authority.issue(&["localhost", USER_SERVICE])?, authority.issue(&[GATEWAY])?);
    let app = user_service::wire(App::new("user").transport(InProcess::new())).build()?;
    let _background = app.join().await?.start();
    let proof = Proof::of(secret, Some(certificates(&own, authority.file(), &[GATEWAY])?));
    let proof = proof.expect("there are certificates");
    let mut routes = RoutesBuilder::default();
    user_service::grpc(&app, &proof, &mut routes);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = format!("localhost:{}", listener.local_addr()?.port());
    let mut server = limits::limited(Server::builder(), proof.certificates())?;
    tokio::spawn(server.add_routes(routes.routes()).serve_with_incoming(TcpListenerStream::new(listener)));
    Ok(House { authority, gateway, address, _background })
}
fn certificates(shown: &Issued, authority: PathBuf, callers: &[&str]) -> anyhow::Result<Certificates> {
    let read = Certificates::read(&shown.certificate, &shown.key, &authority, callers);
    read.map_err(|bad| anyhow::anyhow!("{bad:?}"))
}

impl House {
    /// Whoever shows `shown` and believes `authority`.
    async fn enter(&self, shown: &Issued, authority: PathBuf, secret: Option<Key>) -> anyhow::Result<Users> {
        let certificates = certificates(shown, authority, &[])?;
        let endpoint = Endpoint::from_shared(format!("https://{}", self.address))?.tls_config(certificates.client())?;
        let proof = Proof::of(secret, Some(certificates)).expect("there are certificates");
        Ok(UserServiceClient::with_interceptor(endpoint.connect().await?, Vouch::new(GATEWAY, USER_SERVICE, &proof)))
    }
}
type Users = UserServiceClient<InterceptedService<Channel, Vouch>>;

async fn visit(users: &mut Users) -> Result<String, Status> {
    let visited = users.initialize_user(InitializeUserRequest {}).await?.into_inner();
    Ok(visited.user.unwrap_or_default().id)
}

async fn the_gateways() -> anyhow::Result<()> {
    let house = house(None).await?;
    let mut users = house.enter(&house.gateway, house.authority.file(), None).await?;
    let kim = visit(&mut users).await?;
    // Nothing is signed: whose certificate it is says that it is true.
    let find = || FindUserByUserIdRequest { user_id: kim.clone() };
    assert_eq!(users.find_user_by_user_id(by(&kim, find())).await?.into_inner().user.unwrap().id, kim);
    let lee = uuid::Uuid::now_v7().to_string();
    assert_eq!(users.find_user_by_user_id(by(&lee, find())).await.unwrap_err().code(), Code::PermissionDenied);
    let nobody = users.find_user_by_user_id(find()).await.unwrap_err();
    assert_eq!(details(&nobody).reason.as_deref(), Some("IDENTITY_MISSING"));
    Ok(())
}

async fn nobody_elses() -> anyhow::Result<()> {
    let house = house(None).await?;
    // The same authority, another name: the handshake is well, and every call is refused.
    for names in [&["counseling-service"][..], &["gateway.evil"], &["not-gateway"], &["GATEWAYS"]] {
        let mut users = house.enter(&house.authority.issue(names)?, house.authority.file(), None).await?;
        let refused = visit(&mut users).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unauthenticated, "{names:?}");
        assert_eq!(details(&refused).reason.as_deref(), Some("IDENTITY_CALLER_NOT_ALLOWED"));
    }
    // The same name, another authority: there is not even a connection to call over.
    let stranger = Authority::new()?.issue(&[GATEWAY]);
    let entered = house.enter(&stranger?, house.authority.file(), None).await;
    assert!(is_shut(entered).await);
    Ok(())
}

/// TLS 1.3 lets a client believe that it is in until it reads.
async fn is_shut(entered: anyhow::Result<Users>) -> bool {
    match entered {
        Ok(mut users) => visit(&mut users).await.is_err_and(|it| it.code() != Code::Unauthenticated),
        Err(_) => true,
    }
}

async fn none() -> anyhow::Result<()> {
    let house = house(None).await?;
    let url = format!("https://{}", house.address);
    let ca = Certificate::from_pem(std::fs::read(house.authority.file())?);
    let tls = ClientTlsConfig::new().ca_certificate(ca);
    let bare = Endpoint::from_shared(url)?.tls_config(tls)?.connect().await;
    let plain = Endpoint::from_shared(format!("http://{}", house.address))?.connect().await;
    for (what, connected) in [("no certificate", bare), ("plain text", plain)] {
        let Ok(channel) = connected else { continue };
        let mut request = Request::new(InitializeUserRequest {});
        request.metadata_mut().insert(USER_METADATA, uuid::Uuid::now_v7().to_string().parse()?);
        assert!(UserServiceClient::new(channel).initialize_user(request).await.is_err(), "{what}");
    }
    Ok(())
}

async fn the_client_looks() -> anyhow::Result<()> {
    let house = house(None).await?;
    // Somebody else's authority is believed: then the service is a stranger.
    let other = Authority::new()?;
    assert!(house.enter(&house.gateway, other.file(), None).await.is_err());
    // And by a name that its certificate does not have.
    let address = house.address.replace("localhost", "127.0.0.1");
    let identity = Identity::from_pem(std::fs::read(&house.gateway.certificate)?, std::fs::read(&house.gateway.key)?);
    let ca = Certificate::from_pem(std::fs::read(house.authority.file())?);
    let tls = ClientTlsConfig::new().identity(identity).ca_certificate(ca);
    assert!(Endpoint::from_shared(format!("https://{address}"))?.tls_config(tls)?.connect().await.is_err());
    Ok(())
}

async fn with_a_secret() -> anyhow::Result<()> {
    let key = Key::new("a secret for tests, 32 bytes long");
    let house = house(key.clone()).await?;
    let (gateway, ca) = (&house.gateway, || house.authority.file());
    let kim = visit(&mut house.enter(gateway, ca(), key.clone()).await?).await?;
    assert!(uuid::Uuid::try_parse(&kim).is_ok());
    for (what, secret, reason) in [
        ("not signed", None, "IDENTITY_NOT_SIGNED"),
        ("signed with another", Key::new("another secret, also 32 bytes long"), "IDENTITY_INVALID"),
    ] {
        let refused = visit(&mut house.enter(gateway, ca(), secret).await?).await.unwrap_err();
        assert_eq!(details(&refused).reason.as_deref(), Some(reason), "{what}");
    }
    // Signed as the gateway, but by whoever has this certificate.
    let own = house.authority.issue(&["counseling-service"])?;
    let refused = visit(&mut house.enter(&own, ca(), key).await?).await.unwrap_err();
    assert_eq!(details(&refused).reason.as_deref(), Some("IDENTITY_CALLER_NOT_ALLOWED"));
    Ok(())
}
