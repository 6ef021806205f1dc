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
use tonic::{Code, Request, Response, Status, metadata::MetadataMap};
use tonic_types::{ErrorDetails, StatusExt};

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
    /// The credentials of persons who have logged in or were promoted; all others have no login.
    credentials: HashMap<String, model::AuthUser>,
    refresh_tokens: HashMap<String, Refresh>,
}
/// A stored refresh token.
struct Refresh {
    user: String,
    /// The session of the token and its successors.
    session: String,
    is_used: bool,
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
    /// Gives a person an account, as an earlier login has done.
    pub(crate) fn link(&self, user: &str, channel: model::AuthChannel, unique_id: &str) {
        let mut auth = auth_user(user);
        connect(&mut auth, channel, unique_id);
        self.script().credentials.insert(user.to_owned(), auth);
    }
    /// Gives a person permissions, as an operator does.
    pub(crate) fn authorize(&self, user: &str, authority: model::Authority) {
        let mut script = self.script();
        let auth = script.credentials.entry(user.to_owned()).or_insert_with(|| auth_user(user));
        auth.set_authority(authority);
    }
    pub(crate) fn credentials(&self, user: &str) -> model::AuthUser {
        self.script().credentials.get(user).cloned().unwrap_or_else(|| auth_user(user))
    }
    /// Returns the number of persons who were registered.
    pub(crate) fn registered(&self) -> u128 {
        self.script().new_user
    }
    /// Returns the number of refresh tokens that can be used.
    pub(crate) fn sessions(&self) -> usize {
        self.script().refresh_tokens.values().filter(|token| !token.is_used).count()
    }
    /// Answers with what the change returns, unless the method fails: then nothing changes.
    async fn change<Q: std::fmt::Debug, A>(
        &self,
        method: &'static str,
        request: &Request<Q>,
        change: impl FnOnce(&mut Script) -> Result<A, Status>,
    ) -> Result<Response<A>, Status> {
        self.answer(method, "user=3", request, ()).await?;
        let mut response = Response::new(change(&mut self.script())?);
        response.metadata_mut().insert("cqrs-consistency-token", "user=3".parse().unwrap());
        Ok(response)
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

fn refused(code: Code, reason: &str) -> Status {
    Status::with_error_details(code, "refused", ErrorDetails::with_error_info(reason, "cqrs", []))
}
fn auth_user(user: &str) -> model::AuthUser {
    model::AuthUser {
        id: user.into(),
        user_id: user.into(),
        auth_channel: model::AuthChannel::Unlinked.into(),
        authority: model::Authority::User.into(),
        ..model::AuthUser::default()
    }
}
fn connect(auth: &mut model::AuthUser, channel: model::AuthChannel, unique_id: &str) {
    auth.set_auth_channel(channel);
    auth.oauth_channel_info = Some(model::OAuthChannelInfo {
        auth_channel: channel.into(),
        unique_id: unique_id.into(),
        ..model::OAuthChannelInfo::default()
    });
}
fn has_account(auth: &model::AuthUser, channel: model::AuthChannel, unique_id: &str) -> bool {
    let info = auth.oauth_channel_info.as_ref();
    info.is_some_and(|info| info.auth_channel() == channel && info.unique_id == unique_id)
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
        let answer = rpc::InitializeUserResponse { user: Some(user(&id)), auth_user: Some(auth_user(&id)) };
        self.answer("InitializeUser", "user=1", &request, answer).await
    }
    async fn save_refresh_token(
        &self,
        request: Request<rpc::SaveRefreshTokenRequest>,
    ) -> Result<Response<rpc::SaveRefreshTokenResponse>, Status> {
        let rpc::SaveRefreshTokenRequest { user_id: user, token, .. } = request.get_ref().clone();
        let stored = Refresh { user, session: token.clone(), is_used: false };
        let change = |script: &mut Script| {
            script.refresh_tokens.insert(token, stored);
            Ok(rpc::SaveRefreshTokenResponse { success: true })
        };
        self.change("SaveRefreshToken", &request, change).await
    }
    async fn rotate_refresh_token(
        &self,
        request: Request<rpc::RotateRefreshTokenRequest>,
    ) -> Result<Response<rpc::RotateRefreshTokenResponse>, Status> {
        let sent = request.get_ref().clone();
        let change = |script: &mut Script| {
            let known = script.refresh_tokens.get_mut(&sent.token).filter(|token| token.user == sent.user_id);
            let token = known.ok_or_else(|| refused(Code::Unauthenticated, "REFRESH_TOKEN_INVALID"))?;
            let session = token.session.clone();
            if std::mem::replace(&mut token.is_used, true) {
                script.refresh_tokens.retain(|_, token| token.session != session);
                return Err(refused(Code::Unauthenticated, "REFRESH_TOKEN_REUSED"));
            }
            let successor = Refresh { user: sent.user_id.clone(), session, is_used: false };
            script.refresh_tokens.insert(sent.new_token, successor);
            let auth = script.credentials.get(&sent.user_id).cloned().unwrap_or_else(|| auth_user(&sent.user_id));
            Ok(rpc::RotateRefreshTokenResponse { auth_user: Some(auth) })
        };
        self.change("RotateRefreshToken", &request, change).await
    }
    async fn revoke_refresh_tokens(
        &self,
        request: Request<rpc::RevokeRefreshTokensRequest>,
    ) -> Result<Response<rpc::RevokeRefreshTokensResponse>, Status> {
        let sent = request.get_ref().clone();
        let change = |script: &mut Script| {
            let session = sent.token.as_ref().map(|token| script.refresh_tokens.get(token).map(|it| it.session.clone()));
            script.refresh_tokens.retain(|_, token| match &session {
                None => token.user != sent.user_id,
                Some(session) => Some(&token.session) != session.as_ref(),
            });
            Ok(rpc::RevokeRefreshTokensResponse {})
        };
        self.change("RevokeRefreshTokens", &request, change).await
    }
    async fn find_auth_user_by_user_id(
        &self,
        request: Request<rpc::FindAuthUserByUserIdRequest>,
    ) -> Result<Response<rpc::FindAuthUserByUserIdResponse>, Status> {
        let auth = self.credentials(&request.get_ref().user_id);
        let answer = rpc::FindAuthUserByUserIdResponse { auth_user: Some(auth) };
        self.answer("FindAuthUserByUserId", "user=1", &request, answer).await
    }
    async fn find_auth_user_by_channel_info(
        &self,
        request: Request<rpc::FindAuthUserByChannelInfoRequest>,
    ) -> Result<Response<rpc::FindAuthUserByChannelInfoResponse>, Status> {
        let sent = request.get_ref().clone();
        let change = |script: &mut Script| {
            let found = script.credentials.values().find(|auth| has_account(auth, sent.auth_channel(), &sent.unique_id));
            let auth_user = Some(found.cloned().ok_or_else(|| Status::not_found("no such account"))?);
            Ok(rpc::FindAuthUserByChannelInfoResponse { auth_user })
        };
        self.change("FindAuthUserByChannelInfo", &request, change).await
    }
    async fn connect_auth_channel(
        &self,
        request: Request<rpc::ConnectAuthChannelRequest>,
    ) -> Result<Response<rpc::ConnectAuthChannelResponse>, Status> {
        let sent = request.get_ref().clone();
        let change = |script: &mut Script| {
            let taken = script.credentials.values().any(|auth| has_account(auth, sent.auth_channel(), &sent.unique_id));
            let auth = script.credentials.entry(sent.user_id.clone()).or_insert_with(|| auth_user(&sent.user_id));
            if taken || auth.oauth_channel_info.is_some() {
                return Err(refused(Code::AlreadyExists, if taken { "ACCOUNT_TAKEN" } else { "ALREADY_LINKED" }));
            }
            connect(auth, sent.auth_channel(), &sent.unique_id);
            Ok(rpc::ConnectAuthChannelResponse { auth_user: Some(auth.clone()) })
        };
        self.change("ConnectAuthChannel", &request, change).await
    }
    async fn update_authority(
        &self,
        request: Request<rpc::UpdateAuthorityRequest>,
    ) -> Result<Response<rpc::UpdateAuthorityResponse>, Status> {
        let sent = request.get_ref().clone();
        let change = |script: &mut Script| {
            let auth = script.credentials.entry(sent.auth_user_id.clone()).or_insert_with(|| auth_user(&sent.auth_user_id));
            auth.set_authority(sent.authority());
            Ok(rpc::UpdateAuthorityResponse { auth_user: Some(auth.clone()) })
        };
        self.change("UpdateAuthority", &request, change).await
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
        self.answer("ReserveTokens", "user=3", &request, rpc::ReserveTokensResponse::default()).await
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
