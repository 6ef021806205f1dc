//! The fixture: the service with its clients, a scripted responder, and a neighbour that receives its events.
use crate::{
    neighbour::{self, ReceivedEvents},
    responder::Scripted,
    wallets::Wallets,
};
use contracts::{
    CONSENT_TEXT_VERSION,
    v1::{
        model::{Consent, ConsentKind, CounselMessage},
        service::{
            CreateCounselRequest, CreateCounselResponse, CreateMessageRequest, CreateMessageResponse,
            FindCounselorsRequest, FindMessagesRequest, GiveConsentRequest,
            counsel_service_client::CounselServiceClient, counselor_service_client::CounselorServiceClient,
        },
    },
};
use counseling_service::{DirectoryImages, Ports, SERVICE};
use image_store::{Directory, Images, UploadTokens};
use service_auth::Keys;
use service_edge::testing::{self, RunningService, Signed, TestDatabase, by};
use std::{ops::Deref, sync::Arc};
use tempfile::TempDir;
use tonic::Status;
use uuid::Uuid;

/// The caller of most tests.
pub(crate) const KIM: Uuid = Uuid::from_u128(0x0198_c0de_0000_7000_8000_0000_0000_0001);
/// Another person.
pub(crate) const LEE: Uuid = Uuid::from_u128(0x0198_c0de_0000_7000_8000_0000_0000_0002);

pub(crate) struct Fixture {
    running: RunningService,
    pub(crate) counsels: CounselServiceClient<Signed>,
    pub(crate) counselors: CounselorServiceClient<Signed>,
    pub(crate) responder: Arc<Scripted>,
    pub(crate) wallets: Arc<Wallets>,
    /// The gateway's side of the store of images.
    pub(crate) images: Images,
    /// The folder of the images.
    pub(crate) image_folder: TempDir,
    received: Arc<ReceivedEvents>,
}
impl Deref for Fixture {
    type Target = RunningService;
    fn deref(&self) -> &RunningService {
        &self.running
    }
}

impl testing::Fixture for Fixture {
    async fn on(database: TestDatabase) -> anyhow::Result<Fixture> {
        Self::with(database, Scripted::default(), 0).await
    }
}

/// Creates a store of images, the gateway's side of it, and their folder.
fn images() -> anyhow::Result<(DirectoryImages, Images, TempDir)> {
    let folder = tempfile::tempdir()?;
    let directory = Directory::open(folder.path())?;
    let tokens = UploadTokens::new(Keys::parse("a secret for tests, 32 bytes long")?);
    let store = DirectoryImages::new(directory.clone(), tokens.clone(), "/v1/images".parse()?);
    Ok((store, Images::new(directory, tokens), folder))
}

impl Fixture {
    /// Starts the service with a responder. A language model may be called so often in a day.
    pub(crate) async fn with(database: TestDatabase, responder: Scripted, daily_calls: u32) -> anyhow::Result<Fixture> {
        let (received, responder) = (Arc::new(ReceivedEvents::default()), Arc::new(responder));
        let wallets = Arc::new(Wallets::default());
        let (store, images, image_folder) = images()?;
        let ports = Ports { daily_calls, images: Arc::new(store), ..Ports::new(responder.clone(), wallets.clone()) };
        let wire = |app| counseling_service::wire(app, ports);
        let running = RunningService::start(&SERVICE, database, wire, neighbour::app(received.clone())).await?;
        counseling_service::seed(&running.app).await.map_err(anyhow::Error::from_boxed)?;
        let counsels = CounselServiceClient::new(running.gateway.clone());
        let counselors = CounselorServiceClient::new(running.gateway.clone());
        let fixture = Fixture { running, counsels, counselors, responder, wallets, images, image_folder, received };
        for person in [KIM, LEE] {
            fixture.consent(person, ConsentKind::SensitiveData).await?;
        }
        Ok(fixture)
    }
    /// Gives a consent to the current text.
    pub(crate) async fn consent(&self, person: Uuid, kind: ConsentKind) -> Result<Consent, Status> {
        let (text_version, birthday) = (CONSENT_TEXT_VERSION.to_owned(), "1990-01-01".to_owned());
        let request = by(person, GiveConsentRequest { kind: kind.into(), text_version, birthday });
        Ok(self.counsels.clone().give_consent(request).await?.into_inner().consent.unwrap_or_default())
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
        Ok(self.counsels.clone().create_counsel(by(request.user_id.clone(), request)).await?.into_inner())
    }
    /// Sends a message of Kim.
    pub(crate) async fn send(
        &self,
        counsel: &str,
        exchange: Uuid,
        message: &str,
    ) -> Result<CreateMessageResponse, Status> {
        let exchange_id = Some(exchange.to_string());
        let request =
            CreateMessageRequest { counsel_id: counsel.into(), message: message.into(), exchange_id, attempt: None };
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
        self.settle().await;
        self.received.events()
    }
}
