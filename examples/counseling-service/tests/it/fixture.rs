//! The fixture: the service with its database, its port, an adjustable clock, a scripted responder, and a neighbour
//! that receives
//! its events.
use crate::{
    neighbour::{self, ReceivedEvents},
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
    App, Timestamp,
    app::Background,
    environment::{Environment, SystemEnvironment},
    storage::Storage,
    testing::{EnvironmentLayer, settle},
    transport::InProcess,
};
use service_auth::{COUNSELING_SERVICE, CallSigner, GATEWAY, Key, Person, Proof};
use std::{
    any::Any,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
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

/// The caller of most tests.
pub(crate) const KIM: Uuid = Uuid::from_u128(0x0198_c0de_0000_7000_8000_0000_0000_0001);
/// Another person.
pub(crate) const LEE: Uuid = Uuid::from_u128(0x0198_c0de_0000_7000_8000_0000_0000_0002);

pub(crate) struct Fixture {
    pub(crate) counsels: CounselServiceClient<InterceptedService<Channel, CallSigner>>,
    pub(crate) counselors: CounselorServiceClient<Channel>,
    /// For callers other than the gateway.
    pub(crate) channel: Channel,
    pub(crate) app: App,
    pub(crate) responder: Arc<Scripted>,
    pub(crate) received: Arc<ReceivedEvents>,
    pub(crate) environment: Arc<AdjustableClock>,
    neighbour: App,
    _background: [Background; 2],
    /// Kept until the end of the test: the database.
    _kept: Box<dyn Any + Send + Sync>,
}

impl Fixture {
    pub(crate) async fn on(storage: impl Storage, kept: impl Any + Send + Sync) -> anyhow::Result<Fixture> {
        let (broker, environment, received) =
            (InProcess::new(), Arc::new(AdjustableClock::default()), Arc::new(ReceivedEvents::default()));
        let responder = Arc::new(Scripted::default());
        let app = App::builder(counseling_service::NAME)
            .storage(storage)
            .transport(broker.clone())
            .environment(environment.clone());
        let app = counseling_service::wire(app, responder.clone()).build()?;
        let neighbour = neighbour::app(received.clone()).transport(broker).build()?;
        let joined = (app.join().await?, neighbour.join().await?);
        let background = [joined.0.start(), joined.1.start()];
        counseling_service::seed(&app).await.map_err(anyhow::Error::from_boxed)?;

        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = format!("http://{}", listener.local_addr()?);
        let mut routes = RoutesBuilder::default();
        counseling_service::grpc(&app, &proof(), &mut routes);
        tokio::spawn(
            Server::builder()
                .add_routes(routes.routes())
                .serve_with_incoming(cqrs_core::net::Listener::from(listener).incoming()),
        );
        let channel = Endpoint::from_shared(address)?.connect().await?;
        let gateway = CallSigner::new(GATEWAY, COUNSELING_SERVICE, &proof());
        let counsels = CounselServiceClient::with_interceptor(channel.clone(), gateway);
        let counselors = CounselorServiceClient::new(channel.clone());
        let _kept: Box<dyn Any + Send + Sync> = Box::new(kept);
        let _background = background;
        Ok(Fixture {
            counsels,
            counselors,
            channel,
            app,
            responder,
            received,
            environment,
            neighbour,
            _background,
            _kept,
        })
    }

    /// Returns the id of the first counsellor.
    pub(crate) async fn counselor(&self) -> Result<String, Status> {
        let found = self.counselors.clone().find_counselors(FindCounselorsRequest::default()).await?.into_inner();
        Ok(found.counselors[0].id.clone())
    }
    /// Opens a counsel of Kim with the first counsellor.
    pub(crate) async fn opened(&self) -> Result<String, Status> {
        let counselor_id = self.counselor().await?;
        let request = CreateCounselRequest { user_id: KIM.to_string(), counselor_id, ..Default::default() };
        Ok(self.open(request).await?.counsel.unwrap_or_default().id)
    }
    pub(crate) async fn open(&self, request: CreateCounselRequest) -> Result<CreateCounselResponse, Status> {
        let user = request.user_id.parse().unwrap_or_default();
        Ok(self.counsels.clone().create_counsel(by(user, request)).await?.into_inner())
    }
    /// Sends a message of Kim.
    pub(crate) async fn send(
        &self,
        counsel: &str,
        exchange: Uuid,
        message: &str,
    ) -> Result<CreateMessageResponse, Status> {
        let exchange_id = Some(exchange.to_string());
        let request = CreateMessageRequest { counsel_id: counsel.into(), message: message.into(), exchange_id };
        Ok(self.counsels.clone().create_message(by(KIM, request)).await?.into_inner())
    }
    /// Returns all messages that Kim sees in a counsel.
    pub(crate) async fn messages(&self, counsel: &str) -> Result<Vec<CounselMessage>, Status> {
        let request = FindMessagesRequest { counsel_id: counsel.into(), ..Default::default() };
        Ok(self.counsels.clone().find_messages(by(KIM, request)).await?.into_inner().counsel_messages)
    }
    /// Returns the same messages as `person: 안녕` and `counselor: ...`.
    pub(crate) async fn talk(&self, counsel: &str) -> Result<Vec<String>, Status> {
        let speaker = |message: &CounselMessage| if message.is_user_message { "person" } else { "counselor" };
        Ok(self
            .messages(counsel)
            .await?
            .iter()
            .map(|message| format!("{}: {}", speaker(message), message.message))
            .collect())
    }
    /// Waits until all events are delivered, and returns those that the neighbour has received.
    pub(crate) async fn events(&self) -> Vec<String> {
        settle(&[&self.app, &self.neighbour]).await;
        self.received.events()
    }
}

/// Returns the secret that the service and its callers share.
pub(crate) fn proof() -> Proof {
    Proof::signed(Key::new("a secret for tests, 32 bytes long").expect("it is long enough"))
}

/// Builds a request on behalf of this person, as the gateway sends it.
pub(crate) fn by<T>(user: Uuid, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.extensions_mut().insert(Person::user(user));
    request
}

/// The system environment with an adjustable clock.
#[derive(Default)]
pub(crate) struct AdjustableClock(AtomicU64);
impl AdjustableClock {
    pub(crate) fn pass(&self, seconds: u64) {
        self.0.fetch_add(seconds, SeqCst);
    }
}
impl EnvironmentLayer for AdjustableClock {
    fn now(&self) -> Timestamp {
        SystemEnvironment.now() + Duration::from_secs(self.0.load(SeqCst))
    }
}
