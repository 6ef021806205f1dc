//! The service with its database, its port, a clock that can be moved, a responder that does as told, and a neighbour who hears.
use crate::{
    neighbour::{self, Ears},
    responder::Scripted,
};
use contracts::v1::{
    model::CounselMessage,
    service::{
        CreateCounselRequest, CreateCounselResponse, CreateMessageRequest, CreateMessageResponse,
        FindCounselorsRequest, FindMessagesRequest, counsel_service_client::CounselServiceClient,
        counselor_service_client::CounselorServiceClient,
    },
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
        atomic::{AtomicU64, Ordering::SeqCst},
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
use trust::{COUNSELING_SERVICE, GATEWAY, Key, Person, Proof, Vouch};
use uuid::Uuid;

/// Who asks in most tests.
pub(crate) const KIM: Uuid = Uuid::from_u128(0x0198_c0de_0000_7000_8000_0000_0000_0001);
/// Somebody else.
pub(crate) const LEE: Uuid = Uuid::from_u128(0x0198_c0de_0000_7000_8000_0000_0000_0002);

pub(crate) struct Stage {
    pub(crate) counsels: CounselServiceClient<InterceptedService<Channel, Vouch>>,
    pub(crate) counselors: CounselorServiceClient<Channel>,
    /// For callers who are not the gateway.
    pub(crate) channel: Channel,
    pub(crate) app: Running,
    pub(crate) responder: Arc<Scripted>,
    pub(crate) ears: Arc<Ears>,
    pub(crate) world: Arc<Movable>,
    neighbour: Running,
    _background: [Background; 2],
    /// What goes with the stage: the database.
    _kept: Box<dyn Any + Send + Sync>,
}

impl Stage {
    pub(crate) async fn on(storage: impl Storage, kept: impl Any + Send + Sync) -> anyhow::Result<Stage> {
        let (broker, world, ears) = (InProcess::new(), Arc::new(Movable::default()), Arc::new(Ears::default()));
        let responder = Arc::new(Scripted::default());
        let app = App::new(counseling_service::NAME).storage(storage).transport(broker.clone()).world(world.clone());
        let app = counseling_service::wire(app, responder.clone()).build()?;
        let neighbour = neighbour::app(ears.clone()).transport(broker).build()?;
        let joined = (app.join().await?, neighbour.join().await?);
        let background = [joined.0.start(), joined.1.start()];
        counseling_service::seed(&app).await.map_err(anyhow::Error::from_boxed)?;

        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = format!("http://{}", listener.local_addr()?);
        let mut routes = RoutesBuilder::default();
        counseling_service::grpc(&app, &proof(), &mut routes);
        tokio::spawn(
            Server::builder().add_routes(routes.routes()).serve_with_incoming(TcpListenerStream::new(listener)),
        );
        let channel = Endpoint::from_shared(address)?.connect().await?;
        let gateway = Vouch::new(GATEWAY, COUNSELING_SERVICE, &proof());
        let counsels = CounselServiceClient::with_interceptor(channel.clone(), gateway);
        let counselors = CounselorServiceClient::new(channel.clone());
        let _kept: Box<dyn Any + Send + Sync> = Box::new(kept);
        let _background = background;
        Ok(Stage { counsels, counselors, channel, app, responder, ears, world, neighbour, _background, _kept })
    }

    /// The first of the counsellors.
    pub(crate) async fn counselor(&self) -> Result<String, Status> {
        let found = self.counselors.clone().find_counselors(FindCounselorsRequest::default()).await?.into_inner();
        Ok(found.counselors[0].id.clone())
    }
    /// Kim opens a counsel with the first of them.
    pub(crate) async fn opened(&self) -> Result<String, Status> {
        let counselor_id = self.counselor().await?;
        let request = CreateCounselRequest { user_id: KIM.to_string(), counselor_id, ..Default::default() };
        Ok(self.open(request).await?.counsel.unwrap_or_default().id)
    }
    pub(crate) async fn open(&self, request: CreateCounselRequest) -> Result<CreateCounselResponse, Status> {
        let user = request.user_id.parse().unwrap_or_default();
        Ok(self.counsels.clone().create_counsel(by(user, request)).await?.into_inner())
    }
    /// Kim says something.
    pub(crate) async fn say(
        &self,
        counsel: &str,
        exchange: Uuid,
        message: &str,
    ) -> Result<CreateMessageResponse, Status> {
        let exchange_id = Some(exchange.to_string());
        let request = CreateMessageRequest { counsel_id: counsel.into(), message: message.into(), exchange_id };
        Ok(self.counsels.clone().create_message(by(KIM, request)).await?.into_inner())
    }
    /// All that Kim reads in a counsel.
    pub(crate) async fn messages(&self, counsel: &str) -> Result<Vec<CounselMessage>, Status> {
        let request = FindMessagesRequest { counsel_id: counsel.into(), ..Default::default() };
        Ok(self.counsels.clone().find_messages(by(KIM, request)).await?.into_inner().counsel_messages)
    }
    /// The same, as `person: 안녕` and `counselor: ...`.
    pub(crate) async fn talk(&self, counsel: &str) -> Result<Vec<String>, Status> {
        let who = |it: &CounselMessage| if it.is_user_message { "person" } else { "counselor" };
        Ok(self.messages(counsel).await?.iter().map(|it| format!("{}: {}", who(it), it.message)).collect())
    }
    /// What the neighbour has heard, when nothing moves any more.
    pub(crate) async fn heard(&self) -> Vec<String> {
        settle(&[&self.app, &self.neighbour]).await;
        self.ears.heard()
    }
}

/// What this service and its callers know.
pub(crate) fn proof() -> Proof {
    Proof::signed(Key::new("a secret for tests, 32 bytes long").expect("it is long enough"))
}

/// On behalf of this person, as the gateway says it.
pub(crate) fn by<T>(user: Uuid, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.extensions_mut().insert(Person::user(user));
    request
}

/// The machine, with a clock that can be moved.
#[derive(Default)]
pub(crate) struct Movable(AtomicU64);
impl Movable {
    pub(crate) fn pass(&self, seconds: u64) {
        self.0.fetch_add(seconds, SeqCst);
    }
}
impl WorldLayer for Movable {
    fn now(&self) -> Timestamp {
        Machine.now() + Duration::from_secs(self.0.load(SeqCst))
    }
}
