//! The service with its database, its port, a clock that can be moved, and a neighbour.
use crate::neighbour::{self, Ears};
use contracts::v1::service::{
    CheckRemainingTokensRequest, CheckRemainingTokensResponse, InitializeUserRequest, ReserveTokensRequest,
    ReserveTokensResponse, user_service_client::UserServiceClient,
};
use cqrs_core::{
    App, Running, Timestamp,
    app::Background,
    storage::Storage,
    testing::{WorldLayer, settle},
    transport::InProcess,
    world::{Machine, World},
};
use std::{
    any::Any,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{
    Request, Status,
    service::{RoutesBuilder, interceptor::InterceptedService},
    transport::{Channel, Endpoint, Server},
};
use trust::{GATEWAY, Key, Person, Proof, USER_SERVICE, Vouch};
use uuid::Uuid;

/// The service as the gateway calls it.
pub(crate) type Users = UserServiceClient<InterceptedService<Channel, Vouch>>;

pub(crate) struct Stage {
    pub(crate) users: Users,
    /// For callers who are not the gateway.
    pub(crate) channel: Channel,
    pub(crate) app: Running,
    pub(crate) counseling: Running,
    pub(crate) ears: Arc<Ears>,
    pub(crate) world: Arc<Movable>,
    _background: [Background; 2],
    /// What goes with the stage: the database.
    _kept: Box<dyn Any + Send + Sync>,
}

impl Stage {
    pub(crate) async fn on(storage: impl Storage, kept: impl Any + Send + Sync) -> anyhow::Result<Stage> {
        let (broker, world, ears) = (InProcess::new(), Arc::new(Movable::default()), Arc::new(Ears::default()));
        let app = App::new("user").storage(storage).transport(broker.clone()).world(world.clone());
        let app = user_service::wire(app).build()?;
        let counseling = neighbour::app(ears.clone()).transport(broker).build()?;
        let joined = (app.join().await?, counseling.join().await?);
        let background = [joined.0.start(), joined.1.start()];

        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = format!("http://{}", listener.local_addr()?);
        let mut routes = RoutesBuilder::default();
        user_service::grpc(&app, &proof(), &mut routes);
        tokio::spawn(
            Server::builder().add_routes(routes.routes()).serve_with_incoming(TcpListenerStream::new(listener)),
        );
        let channel = Endpoint::from_shared(address)?.connect().await?;
        let users = UserServiceClient::with_interceptor(channel.clone(), Vouch::new(GATEWAY, USER_SERVICE, &proof()));
        Ok(Stage { users, channel, app, counseling, ears, world, _background: background, _kept: Box::new(kept) })
    }

    /// Somebody new.
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
    /// Returns when nothing moves any more, here and next door.
    pub(crate) async fn settle(&self) {
        settle(&[&self.app, &self.counseling]).await;
    }
}

/// What this service and its callers know.
pub(crate) fn proof() -> Proof {
    Proof::signed(Key::new("a secret for tests, 32 bytes long").expect("it is long enough"))
}

/// On behalf of this person.
pub(crate) fn by<T>(user: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.extensions_mut().insert(Person::user(user.parse().unwrap_or_default()));
    request
}

/// The machine, with a clock that can be moved and ids that can be made to end alike.
#[derive(Default)]
pub(crate) struct Movable {
    ahead: AtomicU64,
    alike: AtomicU32,
}
impl Movable {
    pub(crate) fn pass(&self, seconds: u64) {
        self.ahead.fetch_add(seconds, SeqCst);
    }
    /// The next ids end in zeros, as if chance had it so.
    pub(crate) fn next_ids_end_alike(&self, count: u32) {
        self.alike.store(count, SeqCst);
    }
}
impl WorldLayer for Movable {
    fn now(&self) -> Timestamp {
        Machine.now() + Duration::from_secs(self.ahead.load(SeqCst))
    }
    fn id(&self) -> Uuid {
        let id = Machine.id();
        let alike = self.alike.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_ok();
        if alike { Uuid::from_u128(id.as_u128() >> 32 << 32) } else { id }
    }
}
