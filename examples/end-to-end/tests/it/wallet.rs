//! The hold of a token between the real services: reserved by the gateway, confirmed for the counseling service, and
//! consumed or released.
use crate::traces::{System, system};
use anyhow::{Context, Result, ensure};
use contracts::{
    CONSENT_TEXT_VERSION, NO_RESERVATION,
    v1::{
        model::ConsentKind,
        service::{
            CheckRemainingTokensRequest, CheckRemainingTokensResponse, CreateCounselRequest, CreateMessageRequest,
            FindCounselorsRequest, FindMessagesRequest, GiveConsentRequest, InitializeUserRequest,
            ReserveTokensRequest, counsel_service_client::CounselServiceClient,
            counselor_service_client::CounselorServiceClient, user_service_client::UserServiceClient,
        },
    },
};
use cqrs_core::grpc::details;
use end_to_end::Person;
use service_auth::{COUNSELING_SERVICE, CallSigner, GATEWAY, USER_SERVICE};
use std::time::Duration;
use tonic::{
    Code, Request,
    service::interceptor::InterceptedService,
    transport::{Channel, Endpoint},
};
use uuid::Uuid;

const PATIENCE: Duration = Duration::from_secs(30);
/// Much shorter than the minute of a hold that is not released.
const AT_ONCE: Duration = Duration::from_secs(5);

pub(crate) async fn holds() -> Result<()> {
    let system = system().await?;
    let kim = Person::visit(&system.base).await?;
    let counsel = kim.open_counsel(&kim.a_counselor().await?).await?;
    ensure!(kim.send_message(&counsel, "안녕하세요", "one").await?.status == 201);
    kim.has_tokens(6, PATIENCE).await?;
    // The same key with another text is refused after the reservation.
    let refused = kim.send_message(&counsel, "다른 말이에요", "one").await?;
    ensure!(refused.status == 409, "{refused:?}");
    kim.has_tokens(6, AT_ONCE).await?;
    // Of two messages at once one is refused, and its token is there again at once.
    let (one, other) =
        tokio::join!(kim.send_message(&counsel, "하나", "two"), kim.send_message(&counsel, "둘", "three"));
    let accepted = [one?, other?].iter().filter(|sent| sent.status == 201).count();
    ensure!(accepted >= 1, "at least one of two messages is accepted");
    kim.has_tokens(6 - accepted as i64, AT_ONCE).await
}

type Signed = InterceptedService<Channel, CallSigner>;

/// A person and the clients of the original, which know neither exchanges nor attempts.
struct Original {
    id: Uuid,
    users: UserServiceClient<Signed>,
    counsels: CounselServiceClient<Signed>,
}
impl Original {
    async fn visit(system: &System) -> Result<(Original, String)> {
        let channel = Endpoint::from_shared(system.grpc.clone())?.connect().await?;
        let signed =
            |service| InterceptedService::new(channel.clone(), CallSigner::new(GATEWAY, service, &system.proof));
        let mut users = UserServiceClient::new(signed(USER_SERVICE));
        let visited = users.initialize_user(InitializeUserRequest {}).await?.into_inner();
        let id = visited.user.context("no person")?.id.parse()?;
        let counsels = CounselServiceClient::new(signed(COUNSELING_SERVICE));
        let mut kim = Original { id, users, counsels };
        let consent = GiveConsentRequest {
            kind: ConsentKind::SensitiveData.into(),
            text_version: CONSENT_TEXT_VERSION.into(),
            birthday: "1990-01-01".into(),
        };
        kim.counsels.give_consent(kim.by(consent)).await?;
        let mut counselors = CounselorServiceClient::new(signed(COUNSELING_SERVICE));
        let found = counselors.find_counselors(FindCounselorsRequest::default()).await?.into_inner();
        let counselor_id = found.counselors[0].id.clone();
        let open = CreateCounselRequest { user_id: id.to_string(), counselor_id, ..Default::default() };
        let opened = kim.counsels.create_counsel(kim.by(open)).await?.into_inner();
        Ok((kim, opened.counsel.context("no counsel")?.id))
    }
    fn by<M>(&self, message: M) -> Request<M> {
        let mut request = Request::new(message);
        request.extensions_mut().insert(service_auth::Person::user(self.id));
        request
    }
    async fn wallet(&mut self) -> Result<CheckRemainingTokensResponse> {
        let request = self.by(CheckRemainingTokensRequest { user_id: self.id.to_string() });
        Ok(self.users.check_remaining_tokens(request).await?.into_inner())
    }
    async fn reserve(&mut self) -> Result<()> {
        let request = self.by(ReserveTokensRequest { user_id: self.id.to_string(), reservation_id: None });
        self.users.reserve_tokens(request).await?;
        Ok(())
    }
}

pub(crate) async fn of_the_original() -> Result<()> {
    let system = system().await?;
    let (mut kim, counsel_id) = Original::visit(&system).await?;
    let say =
        CreateMessageRequest {
            counsel_id: counsel_id.clone(), message: "안녕하세요".into(), ..Default::default()
        };
    let refused = kim.counsels.create_message(kim.by(say.clone())).await.err().context("no token is held")?;
    ensure!(refused.code() == Code::FailedPrecondition, "{refused:?}");
    ensure!(details(&refused).reason.as_deref() == Some(NO_RESERVATION), "{refused:?}");
    let messages = kim.by(FindMessagesRequest { counsel_id: counsel_id.clone(), ..Default::default() });
    ensure!(kim.counsels.find_messages(messages).await?.into_inner().counsel_messages.len() == 1, "it was stored");

    // Two reservations without an id are one, which one message takes over.
    kim.reserve().await?;
    kim.reserve().await?;
    ensure!(kim.wallet().await?.remaining_tokens == 6, "one token is held");
    kim.counsels.create_message(kim.by(say.clone())).await?;
    let spent = |wallet: &CheckRemainingTokensResponse| wallet.remaining_tokens == 6 && !wallet.reserved;
    let began = std::time::Instant::now();
    while !spent(&kim.wallet().await?) {
        ensure!(began.elapsed() < PATIENCE, "the token was not consumed: {:?}", kim.wallet().await?);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let again = kim.counsels.create_message(kim.by(say)).await.err().context("the token is consumed")?;
    ensure!(details(&again).reason.as_deref() == Some(NO_RESERVATION), "{again:?}");

    // A message that is refused does not keep its token.
    kim.reserve().await?;
    let unknown =
        CreateMessageRequest { counsel_id: Uuid::now_v7().to_string(), message: "안녕".into(), ..Default::default() };
    let refused = kim.counsels.create_message(kim.by(unknown)).await.err().context("no such counsel")?;
    ensure!(refused.code() == Code::NotFound, "{refused:?}");
    ensure!(spent(&kim.wallet().await?), "the token of the refused message is released");
    Ok(())
}
