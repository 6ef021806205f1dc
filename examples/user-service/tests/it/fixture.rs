//! The fixture: the service with its database, its port, an adjustable clock, and a neighbour.
use crate::neighbour::{self, ReceivedEvents};
use contracts::v1::service::{
    CheckRemainingTokensRequest, CheckRemainingTokensResponse, InitializeUserRequest, ReserveTokensRequest,
    ReserveTokensResponse, user_service_client::UserServiceClient,
};
use cqrs_core::{
    App, Timestamp,
    app::Background,
    environment::{Environment, SystemEnvironment},
    storage::Storage,
    testing::{EnvironmentLayer, settle},
    transport::InProcess,
};
use service_auth::{CallSigner, GATEWAY, Key, Person, Proof, USER_SERVICE};
use std::{
    any::Any,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};
use tokio::net::TcpListener;
use tonic::{
    Request, Status,
    service::{RoutesBuilder, interceptor::InterceptedService},
    transport::{Channel, Endpoint, Server},
};
use uuid::Uuid;

/// The service as the gateway calls it.
pub(crate) type Users = UserServiceClient<InterceptedService<Channel, CallSigner>>;

pub(crate) struct Fixture {
    pub(crate) users: Users,
    /// For callers other than the gateway.
    pub(crate) channel: Channel,
    pub(crate) app: App,
    pub(crate) counseling: App,
    pub(crate) received: Arc<ReceivedEvents>,
    pub(crate) environment: Arc<AdjustableEnvironment>,
    _background: [Background; 2],
    /// Kept until the end of the test: the database.
    _kept: Box<dyn Any + Send + Sync>,
}

impl Fixture {
    pub(crate) async fn on(storage: impl Storage, kept: impl Any + Send + Sync) -> anyhow::Result<Fixture> {
        let (broker, environment, received) =
            (InProcess::new(), Arc::new(AdjustableEnvironment::default()), Arc::new(ReceivedEvents::default()));
        let app = App::builder("user").storage(storage).transport(broker.clone()).environment(environment.clone());
        let app = user_service::wire(app).build()?;
        let counseling = neighbour::app(received.clone()).transport(broker).build()?;
        let joined = (app.join().await?, counseling.join().await?);
        let background = [joined.0.start(), joined.1.start()];

        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = format!("http://{}", listener.local_addr()?);
        let mut routes = RoutesBuilder::default();
        user_service::grpc(&app, &proof(), &mut routes);
        tokio::spawn(
            Server::builder()
                .add_routes(routes.routes())
                .serve_with_incoming(cqrs_core::net::Listener::from(listener).incoming()),
        );
        let channel = Endpoint::from_shared(address)?.connect().await?;
        let users =
            UserServiceClient::with_interceptor(channel.clone(), CallSigner::new(GATEWAY, USER_SERVICE, &proof()));
        Ok(Fixture {
            users,
            channel,
            app,
            counseling,
            received,
            environment,
            _background: background,
            _kept: Box::new(kept),
        })
    }

    /// Registers a new person and returns their id.
    pub(crate) async fn visitor(&mut self) -> Result<String, Status> {
        let visited = self.users.initialize_user(InitializeUserRequest {}).await?.into_inner();
        Ok(visited.user.unwrap_or_default().id)
    }
    pub(crate) async fn reserve(&self, user: &str, exchange: Uuid) -> Result<ReserveTokensResponse, Status> {
        let request = ReserveTokensRequest { user_id: user.into(), reservation_id: Some(exchange.to_string()) };
        Ok(self.users.clone().reserve_tokens(by(user, request)).await?.into_inner())
    }
    pub(crate) async fn wallet(&self, user: &str) -> Result<CheckRemainingTokensResponse, Status> {
        let request = CheckRemainingTokensRequest { user_id: user.into() };
        Ok(self.users.clone().check_remaining_tokens(by(user, request)).await?.into_inner())
    }
    pub(crate) async fn remaining(&self, user: &str) -> Result<i32, Status> {
        Ok(self.wallet(user).await?.remaining_tokens)
    }
    /// Waits until all events are delivered, here and in the neighbour.
    pub(crate) async fn settle(&self) {
        settle(&[&self.app, &self.counseling]).await;
    }
}

/// Returns the secret that the service and its callers share.
pub(crate) fn proof() -> Proof {
    Proof::signed(Key::new("a secret for tests, 32 bytes long").expect("it is long enough"))
}

/// Builds a request on behalf of this person.
pub(crate) fn by<T>(user: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.extensions_mut().insert(Person::user(user.parse().unwrap_or_default()));
    request
}

/// The system environment with an adjustable clock, and ids that can be made to have the same last bits.
#[derive(Default)]
pub(crate) struct AdjustableEnvironment {
    ahead: AtomicU64,
    collisions: AtomicU32,
}
impl AdjustableEnvironment {
    pub(crate) fn pass(&self, seconds: u64) {
        self.ahead.fetch_add(seconds, SeqCst);
    }
    /// Makes the next ids end in zeros, as a random collision would.
    pub(crate) fn collide_next_ids(&self, count: u32) {
        self.collisions.store(count, SeqCst);
    }
}
impl EnvironmentLayer for AdjustableEnvironment {
    fn now(&self) -> Timestamp {
        SystemEnvironment.now() + Duration::from_secs(self.ahead.load(SeqCst))
    }
    fn id(&self) -> Uuid {
        let id = SystemEnvironment.id();
        let collides = self.collisions.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_ok();
        if collides { Uuid::from_u128(id.as_u128() >> 32 << 32) } else { id }
    }
}
