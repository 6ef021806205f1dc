//! The fixture of a service's tests: the service with its database, its port, an adjustable clock, and a neighbour that
//! exchanges events with it.
mod database;
mod environment;
mod program;
mod suites;

pub use database::TestDatabase;
pub use environment::AdjustableEnvironment;
pub use program::ProgramUnderTest;
pub use suites::{Case, Fixture, on_each_database};

use crate::Service;
use contracts::v1::model::Authority;
use cqrs_core::{App, AppBuilder, app::Background, net::Listener, testing::settle, transport::InProcess};
use service_auth::{CallKey, CallSigner, GATEWAY, Person, Proof, limits};
use std::{any::Any, net::SocketAddr, sync::Arc};
use tonic::{
    Request,
    service::{RoutesBuilder, interceptor::InterceptedService},
    transport::{Channel, Endpoint, Server},
};

/// The private key of all callers in tests, as a program takes it. It is 32 zero bytes.
pub const CALL_KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

/// A channel whose calls are signed by the gateway.
pub type Signed = InterceptedService<Channel, CallSigner>;

/// A service that serves its gRPC calls and exchanges events with a neighbour.
pub struct RunningService {
    pub app: App,
    /// The app that publishes events to the service and receives its events.
    pub neighbour: App,
    pub environment: Arc<AdjustableEnvironment>,
    /// Calls as the gateway makes them.
    pub gateway: Signed,
    /// For callers other than the gateway.
    pub channel: Channel,
    _background: [Background; 2],
    /// Kept until the end of the test: the database.
    _kept: Box<dyn Any + Send + Sync>,
}
impl RunningService {
    /// Starts the service and its neighbour; `wire` registers the service's handlers.
    ///
    /// # Errors
    /// Fails when an app cannot start.
    pub async fn start(
        service: &Service,
        database: TestDatabase,
        wire: impl FnOnce(AppBuilder) -> AppBuilder,
        neighbour: AppBuilder,
    ) -> anyhow::Result<Self> {
        let (broker, environment) = (InProcess::new(), Arc::new(AdjustableEnvironment::default()));
        let (app, kept) = database.give(App::builder(service.app));
        let app = wire(app.transport(broker.clone()).environment(environment.clone())).build()?;
        let neighbour = neighbour.transport(broker).build()?;
        let joined = (app.join().await?, neighbour.join().await?);
        let background = [joined.0.start(), joined.1.start()];

        let address = serve(service, &app, &proof()).await?;
        let channel = Endpoint::from_shared(format!("http://{address}"))?.connect().await?;
        let signer = CallSigner::new(GATEWAY, service.name, &proof());
        let gateway = InterceptedService::new(channel.clone(), signer);
        Ok(RunningService { app, neighbour, environment, gateway, channel, _background: background, _kept: kept })
    }
    /// Waits until all events are delivered, here and in the neighbour.
    pub async fn settle(&self) {
        settle(&[&self.app, &self.neighbour]).await;
    }
}

/// Serves the gRPC calls of an app on a free port, with the limits and the certificates of the program.
///
/// # Errors
/// Fails when it cannot listen.
pub async fn serve(service: &Service, app: &App, proof: &Proof) -> anyhow::Result<SocketAddr> {
    let listener = Listener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
    let address = listener.local_addr()?;
    let mut routes = RoutesBuilder::default();
    (service.routes)(app, proof, &mut routes);
    let router = limits::limited(Server::builder()).add_routes(routes.routes());
    match proof.certificates() {
        Some(certificates) => {
            let accepted = certificates.accept(listener.incoming());
            tokio::spawn(async move { router.serve_with_incoming(accepted).await });
        }
        None => drop(tokio::spawn(router.serve_with_incoming(listener.incoming()))),
    }
    Ok(address)
}

/// Returns the proof with [`CALL_KEY`].
pub fn proof() -> Proof {
    Proof::signed(call_key())
}

/// Returns [`CALL_KEY`].
pub fn call_key() -> CallKey {
    CallKey::parse(CALL_KEY).expect("it is 32 bytes in base64")
}

/// Builds a request on behalf of an administrator.
pub fn by_admin<M>(user: impl ToString, message: M) -> Request<M> {
    let mut request = Request::new(message);
    let (id, authority) = (user.to_string().parse().unwrap_or_default(), Authority::Admin);
    request.extensions_mut().insert(Person { id, authority });
    request
}

/// Builds a request on behalf of this person. A text that is not an id becomes the nil id.
pub fn by<M>(user: impl ToString, message: M) -> Request<M> {
    let mut request = Request::new(message);
    request.extensions_mut().insert(Person::user(user.to_string().parse().unwrap_or_default()));
    request
}
