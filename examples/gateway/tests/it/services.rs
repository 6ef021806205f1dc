//! Scripted services: they record the calls and respond at once, late or with an error, as a test sets them up.
use contracts::v1::{model, service as rpc};
use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};
use tokio::{
    net::TcpListener,
    runtime::{Builder, Runtime},
};
use tonic::{Request, Response, Status, metadata::MetadataMap};

pub(crate) const USER: &str = "0198c0de-0000-7000-8000-000000000001";
pub(crate) const COUNSELOR: &str = "0198c0de-0000-7000-8000-0000000000c1";
pub(crate) const COUNSEL: &str = "0198c0de-0000-7000-8000-0000000000d1";
pub(crate) const FOREIGN_COUNSEL: &str = "0198c0de-0000-7000-8000-0000000000d2";
pub(crate) const BUBBLE: &str = "0198c0de-0000-7000-8000-0000000000b1";
pub(crate) const MESSAGE: &str = "0198c0de-0000-7000-8000-0000000000e1";
pub(crate) const TONE: &str = "0198c0de-0000-7000-8000-0000000000f1";
const MOMENT: &str = "2026-01-02T03:04:05.000Z";

/// A recorded call.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) method: &'static str,
    pub(crate) headers: MetadataMap,
    /// The debug output of the request.
    pub(crate) message: String,
}
impl Call {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

#[derive(Default)]
struct Script {
    calls: Vec<Call>,
    errors: HashMap<&'static str, Status>,
    delays: HashMap<&'static str, Duration>,
    new_user: u128,
}

#[derive(Clone, Default)]
pub(crate) struct Services(Arc<Mutex<Script>>);
impl Services {
    /// Serves on a free port.
    pub(crate) fn start(&self) -> (SocketAddr, Runtime) {
        self.start_at(([127, 0, 0, 1], 0).into())
    }
    /// Serves in a separate runtime. Dropping it ends everything at once, including connections, as when a process is
    /// killed.
    pub(crate) fn start_at(&self, address: SocketAddr) -> (SocketAddr, Runtime) {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = std::net::TcpListener::bind(address).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let services = self.clone();
        runtime.spawn(async {
            let server = tonic::transport::Server::builder()
                .add_service(rpc::user_service_server::UserServiceServer::new(services.clone()))
                .add_service(rpc::counsel_service_server::CounselServiceServer::new(services.clone()))
                .add_service(rpc::counselor_service_server::CounselorServiceServer::new(services));
            let listener = TcpListener::from_std(listener).unwrap();
            server.serve_with_incoming(cqrs_core::net::Listener::from(listener).incoming()).await.unwrap();
        });
        (address, runtime)
    }
    /// Makes a method fail with this status.
    pub(crate) fn fail(&self, method: &'static str, status: Status) {
        self.script().errors.insert(method, status);
    }
    /// Makes all methods succeed again.
    pub(crate) fn heal(&self) {
        self.script().errors.clear();
    }
    /// Delays a method.
    pub(crate) fn delay(&self, method: &'static str, time: Duration) {
        self.script().delays.insert(method, time);
    }
    pub(crate) fn calls(&self) -> Vec<Call> {
        self.script().calls.clone()
    }
    pub(crate) fn methods(&self) -> Vec<&'static str> {
        self.script().calls.iter().map(|call| call.method).collect()
    }
    /// Returns the last call of a method.
    pub(crate) fn last(&self, method: &str) -> Call {
        self.calls()
            .into_iter()
            .rfind(|call| call.method == method)
            .unwrap_or_else(|| panic!("{method} was not called"))
    }
    pub(crate) fn forget(&self) {
        self.script().calls.clear();
    }
    fn script(&self) -> MutexGuard<'_, Script> {
        self.0.lock().unwrap()
    }
    async fn answer<Q: std::fmt::Debug, A>(
        &self,
        method: &'static str,
        position: &'static str,
        request: &Request<Q>,
        answer: A,
    ) -> Result<Response<A>, Status> {
        let (delay, error) = {
            let mut script = self.script();
            let message = format!("{:?}", request.get_ref());
            script.calls.push(Call { method, headers: request.metadata().clone(), message });
            (script.delays.get(method).copied(), script.errors.get(method).cloned())
        };
        tokio::time::sleep(delay.unwrap_or_default()).await;
        let mut response = Response::new(answer);
        response.metadata_mut().insert("cqrs-consistency-token", position.parse().unwrap());
        error.map_or(Ok(response), Err)
    }
}

fn user(id: &str) -> model::User {
    let profile = model::UserProfile {
        gender: model::Gender::Female.into(),
        birthday: "1990-01-01".into(),
        ..model::UserProfile::default()
    };
    model::User { id: id.into(), nickname: "kim".into(), user_profile: Some(profile), ..model::User::default() }
}
fn counsel(id: &str) -> model::Counsel {
    model::Counsel {
        id: id.into(),
        counselor_id: COUNSELOR.into(),
        user_id: USER.into(),
        prompt_version_id: "version".into(),
        created_at: MOMENT.into(),
        updated_at: MOMENT.into(),
        ..model::Counsel::default()
    }
}
fn message(id: &str, text: &str, is_user_message: bool) -> model::CounselMessage {
    model::CounselMessage {
        id: id.into(),
        counsel_id: COUNSEL.into(),
        message: text.into(),
        is_user_message,
        counsel_technique_id: "technique".into(),
        created_at: MOMENT.into(),
        updated_at: MOMENT.into(),
        ..model::CounselMessage::default()
    }
}
fn counselor() -> model::Counselor {
    model::Counselor {
        id: COUNSELOR.into(),
        tone_id: TONE.into(),
        name: "하루".into(),
        description: "천천히 듣습니다".into(),
        gender: model::CounselorGender::None.into(),
        created_at: MOMENT.into(),
        updated_at: MOMENT.into(),
        ..model::Counselor::default()
    }
}
fn bubble() -> model::Bubble {
    model::Bubble {
        id: BUBBLE.into(),
        question: "오늘 어땠나요?".into(),
        response_option1: "좋았어요".into(),
        response_option2: "힘들었어요".into(),
        created_at: MOMENT.into(),
        updated_at: MOMENT.into(),
        ..model::Bubble::default()
    }
}
fn tone() -> model::Tone {
    model::Tone {
        id: TONE.into(), name: "다정한".into(), description: "부드럽게".into(), ..model::Tone::default()
    }
}

#[tonic::async_trait]
impl rpc::user_service_server::UserService for Services {
    async fn initialize_user(
        &self,
        request: Request<rpc::InitializeUserRequest>,
    ) -> Result<Response<rpc::InitializeUserResponse>, Status> {
        let first: u128 = USER.parse::<uuid::Uuid>().unwrap().as_u128();
        let id = {
            let mut script = self.script();
            script.new_user += 1;
            uuid::Uuid::from_u128(first + script.new_user - 1).to_string()
        };
        let auth = model::AuthUser {
            user_id: id.clone(),
            auth_channel: model::AuthChannel::Unlinked.into(),
            authority: model::Authority::User.into(),
            ..model::AuthUser::default()
        };
        let answer = rpc::InitializeUserResponse { user: Some(user(&id)), auth_user: Some(auth) };
        self.answer("InitializeUser", "user=1", &request, answer).await
    }
    async fn find_user_by_user_id(
        &self,
        request: Request<rpc::FindUserByUserIdRequest>,
    ) -> Result<Response<rpc::FindUserByUserIdResponse>, Status> {
        let answer = rpc::FindUserByUserIdResponse { user: Some(user(&request.get_ref().user_id)) };
        self.answer("FindUserByUserId", "user=1", &request, answer).await
    }
    async fn update_user(
        &self,
        request: Request<rpc::UpdateUserRequest>,
    ) -> Result<Response<rpc::UpdateUserResponse>, Status> {
        let answer = rpc::UpdateUserResponse { user: Some(user(USER)) };
        self.answer("UpdateUser", "user=2", &request, answer).await
    }
    async fn check_remaining_tokens(
        &self,
        request: Request<rpc::CheckRemainingTokensRequest>,
    ) -> Result<Response<rpc::CheckRemainingTokensResponse>, Status> {
        let answer = rpc::CheckRemainingTokensResponse {
            remaining_tokens: 6,
            max_tokens: 7,
            reserved: true,
            reserved_timeout: MOMENT.into(),
            resets_at: Some(MOMENT.into()),
        };
        self.answer("CheckRemainingTokens", "user=1", &request, answer).await
    }
    async fn reserve_tokens(
        &self,
        request: Request<rpc::ReserveTokensRequest>,
    ) -> Result<Response<rpc::ReserveTokensResponse>, Status> {
        let answer = rpc::ReserveTokensResponse { reserved: true, attempt: Some(3), ..Default::default() };
        self.answer("ReserveTokens", "user=3", &request, answer).await
    }
    async fn release_tokens(
        &self,
        request: Request<rpc::ReleaseTokensRequest>,
    ) -> Result<Response<rpc::ReleaseTokensResponse>, Status> {
        self.answer("ReleaseTokens", "user=4", &request, rpc::ReleaseTokensResponse {}).await
    }
}

#[tonic::async_trait]
impl rpc::counsel_service_server::CounselService for Services {
    async fn create_counsel(
        &self,
        request: Request<rpc::CreateCounselRequest>,
    ) -> Result<Response<rpc::CreateCounselResponse>, Status> {
        let counsel_messages = vec![message(MESSAGE, "안녕하세요", false)];
        let answer = rpc::CreateCounselResponse { counsel: Some(counsel(COUNSEL)), counsel_messages };
        self.answer("CreateCounsel", "counseling=4", &request, answer).await
    }
    async fn find_counsels(
        &self,
        request: Request<rpc::FindCounselsRequest>,
    ) -> Result<Response<rpc::FindCounselsResponse>, Status> {
        let answer = match request.get_ref().after() {
            "" => rpc::FindCounselsResponse { counsels: vec![counsel(COUNSEL)], next: Some("further".into()) },
            _ => rpc::FindCounselsResponse::default(),
        };
        self.answer("FindCounsels", "counseling=4", &request, answer).await
    }
    async fn find_counsel_by_id(
        &self,
        request: Request<rpc::FindCounselByIdRequest>,
    ) -> Result<Response<rpc::FindCounselByIdResponse>, Status> {
        let id = &request.get_ref().counsel_id;
        let mut counsel = counsel(id);
        if id == FOREIGN_COUNSEL {
            counsel.user_id = "somebody-else".into(); // simulates a service that does not check the owner
        }
        let answer = rpc::FindCounselByIdResponse { counsel: Some(counsel) };
        self.answer("FindCounselById", "counseling=4", &request, answer).await
    }
    async fn create_message(
        &self,
        request: Request<rpc::CreateMessageRequest>,
    ) -> Result<Response<rpc::CreateMessageResponse>, Status> {
        let sent = request.get_ref();
        let exchange = sent.exchange_id(); // the same exchange returns the same messages
        let answer = rpc::CreateMessageResponse {
            created_counsel_message: Some(message(exchange, &sent.message, true)),
            counselor_response_message: Some(message(&format!("{exchange}-reply"), "그랬군요", false)),
            crisis: None,
        };
        self.answer("CreateMessage", "counseling=5", &request, answer).await
    }
    async fn find_messages(
        &self,
        request: Request<rpc::FindMessagesRequest>,
    ) -> Result<Response<rpc::FindMessagesResponse>, Status> {
        let counsel_messages = vec![message(MESSAGE, "안녕하세요", false)];
        let answer = rpc::FindMessagesResponse { counsel_messages, next: None, previous: None };
        self.answer("FindMessages", "counseling=4", &request, answer).await
    }
    async fn react_message(
        &self,
        request: Request<rpc::ReactMessageRequest>,
    ) -> Result<Response<rpc::ReactMessageResponse>, Status> {
        let mut message = message(&request.get_ref().message_id, "안녕하세요", false);
        message.reaction = Some(request.get_ref().reaction);
        message.reacted_at = Some(MOMENT.into());
        let answer = rpc::ReactMessageResponse { counsel_message: Some(message) };
        self.answer("ReactMessage", "counseling=6", &request, answer).await
    }
}

#[tonic::async_trait]
impl rpc::counselor_service_server::CounselorService for Services {
    async fn find_counselors(
        &self,
        request: Request<rpc::FindCounselorsRequest>,
    ) -> Result<Response<rpc::FindCounselorsResponse>, Status> {
        let answer = rpc::FindCounselorsResponse { counselors: vec![counselor()], next: None };
        self.answer("FindCounselors", "counseling=4", &request, answer).await
    }
    async fn find_counselor_by_id(
        &self,
        request: Request<rpc::FindCounselorByIdRequest>,
    ) -> Result<Response<rpc::FindCounselorByIdResponse>, Status> {
        let answer = rpc::FindCounselorByIdResponse { counselor: Some(counselor()) };
        self.answer("FindCounselorById", "counseling=4", &request, answer).await
    }
    async fn find_bubbles(
        &self,
        request: Request<rpc::FindBubblesRequest>,
    ) -> Result<Response<rpc::FindBubblesResponse>, Status> {
        let answer = rpc::FindBubblesResponse { bubbles: vec![bubble()], next: None };
        self.answer("FindBubbles", "counseling=4", &request, answer).await
    }
    async fn find_bubble_by_id(
        &self,
        request: Request<rpc::FindBubbleByIdRequest>,
    ) -> Result<Response<rpc::FindBubbleByIdResponse>, Status> {
        let answer = rpc::FindBubbleByIdResponse { bubble: Some(bubble()) };
        self.answer("FindBubbleById", "counseling=4", &request, answer).await
    }
    async fn find_random_bubble(
        &self,
        request: Request<rpc::FindRandomBubbleRequest>,
    ) -> Result<Response<rpc::FindRandomBubbleResponse>, Status> {
        let answer = rpc::FindRandomBubbleResponse { bubble: Some(bubble()) };
        self.answer("FindRandomBubble", "counseling=4", &request, answer).await
    }
    async fn find_tones(
        &self,
        request: Request<rpc::FindTonesRequest>,
    ) -> Result<Response<rpc::FindTonesResponse>, Status> {
        let answer = rpc::FindTonesResponse { tones: vec![tone()], next: None };
        self.answer("FindTones", "counseling=4", &request, answer).await
    }
    async fn find_tone_by_id(
        &self,
        request: Request<rpc::FindToneByIdRequest>,
    ) -> Result<Response<rpc::FindToneByIdResponse>, Status> {
        let answer = rpc::FindToneByIdResponse { tone: Some(tone()) };
        self.answer("FindToneById", "counseling=4", &request, answer).await
    }
}
