//! The service as a test has it: on a database of its own, listening, with a responder that counts and a clock to turn.
use contracts::{
    USER_METADATA,
    v1::service::{counsel_service_client::CounselServiceClient, counselor_service_client::CounselorServiceClient},
};
use counseling_service::OfflineResponder;
use cqrs_core::{App, storage::sqlite::Sqlite, testing::TestApp};
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{
    Request,
    service::RoutesBuilder,
    transport::{Channel, Endpoint, Server},
};
use uuid::Uuid;

pub struct Bench {
    pub app: TestApp,
    channel: Channel,
    _folder: tempfile::TempDir,
}
impl Bench {
    pub async fn in_file() -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let storage = Sqlite::open(folder.path().join("counseling.db")).await?;
        let app = App::new(counseling_service::NAME).storage(storage);
        let app = TestApp::start(counseling_service::wire(app, Arc::new(OfflineResponder)))
            .await
            .map_err(anyhow::Error::from_boxed)?;
        counseling_service::seed(&app).await.map_err(anyhow::Error::from_boxed)?;
        let mut routes = RoutesBuilder::default();
        counseling_service::grpc(&app, &mut routes);
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let server = Server::builder().add_routes(routes.routes());
        tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
        let channel = Endpoint::from_shared(url)?.connect_lazy();
        Ok(Bench { app, channel, _folder: folder })
    }
    pub fn counsels(&self) -> CounselServiceClient<Channel> {
        CounselServiceClient::new(self.channel.clone())
    }
    pub fn counselors(&self) -> CounselorServiceClient<Channel> {
        CounselorServiceClient::new(self.channel.clone())
    }
}

pub fn person(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

/// On behalf of this person, as the gateway says it.
pub fn by<T>(user: Uuid, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert(USER_METADATA, user.to_string().parse().expect("a UUID is ASCII"));
    request
}
