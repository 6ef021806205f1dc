//! Scripted services: they record the calls and respond at once, late or with an error, as a test sets them up.
use contracts::v1::{common, model, service as rpc};
use futures_util::{StreamExt, stream};
use std::{
    collections::{BTreeSet, HashMap},
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};
use tokio::{
    net::TcpListener,
    runtime::{Builder, Runtime},
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
};
use tonic::{Code, Request, Response, Status, codegen::BoxStream, metadata::MetadataMap};
use tonic_types::{ErrorDetails, StatusExt};

pub(crate) const USER: &str = "0198c0de-0000-7000-8000-000000000001";
pub(crate) const COUNSELOR: &str = "0198c0de-0000-7000-8000-0000000000c1";
pub(crate) const COUNSEL: &str = "0198c0de-0000-7000-8000-0000000000d1";
pub(crate) const FOREIGN_COUNSEL: &str = "0198c0de-0000-7000-8000-0000000000d2";
pub(crate) const BUBBLE: &str = "0198c0de-0000-7000-8000-0000000000b1";
pub(crate) const MESSAGE: &str = "0198c0de-0000-7000-8000-0000000000e1";
pub(crate) const TONE: &str = "0198c0de-0000-7000-8000-0000000000f1";
pub(crate) const EPISODE: &str = "0198c0de-0000-7000-8000-0000000000a1";
pub(crate) const VERSION: &str = "0198c0de-0000-7000-8000-000000000101";
pub(crate) const PROMPT: &str = "0198c0de-0000-7000-8000-000000000102";
pub(crate) const TECHNIQUE: &str = "0198c0de-0000-7000-8000-000000000103";
pub(crate) const NEXT_TECHNIQUE: &str = "0198c0de-0000-7000-8000-000000000104";
pub(crate) const RULE: &str = "0198c0de-0000-7000-8000-000000000105";
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
    /// The kinds of consent that were given.
    consents: BTreeSet<i32>,
    /// The credentials of persons who have logged in or were promoted; all others have no login.
    credentials: HashMap<String, model::AuthUser>,
    /// The administrators that the configuration has made.
    configured: BTreeSet<String>,
    refresh_tokens: HashMap<String, Refresh>,
    /// The messages after the first one, which a test adds.
    added: Vec<model::CounselMessage>,
    /// Whether streams stay open after their first response.
    keeps_streams: bool,
    watchers: Vec<UnboundedSender<rpc::WatchMessagesResponse>>,
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
                .add_service(rpc::counselor_service_server::CounselorServiceServer::new(services.clone()))
                .add_service(rpc::counsel_prompt_service_server::CounselPromptServiceServer::new(services));
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
    /// Makes the person somebody who has consented to the page's text.
    #[allow(dead_code, reason = "only the browser tests need it")]
    pub(crate) fn consent(&self) {
        self.script().consents.insert(model::ConsentKind::SensitiveData.into());
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
    /// Makes the id of another person.
    fn new_user(&self) -> String {
        let first = USER.parse::<uuid::Uuid>().unwrap().as_u128();
        let mut script = self.script();
        script.new_user += 1;
        uuid::Uuid::from_u128(first + script.new_user - 1).to_string()
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
    /// Makes a person an administrator, as a login with an account of the configuration does.
    pub(crate) fn configure_admin(&self, user: &str) {
        self.authorize(user, model::Authority::Admin);
        self.script().configured.insert(user.to_owned());
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
    /// Begins another session of a person, as a login on another device does.
    #[allow(dead_code, reason = "only one of the two test programs uses it")]
    pub(crate) fn begin_session(&self, user: &str, token: &str) {
        let session = Refresh { user: user.to_owned(), session: token.to_owned(), is_used: false };
        self.script().refresh_tokens.insert(token.to_owned(), session);
    }
    /// Ends all sessions, as a logout of all devices elsewhere does. For the tests in the browser.
    #[allow(dead_code, reason = "only one of the two test programs uses it")]
    pub(crate) fn end_sessions(&self) {
        self.script().refresh_tokens.clear();
    }
    /// Answers with the result of the change, unless the method fails: then nothing changes.
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
    /// Keeps streams open after their first response.
    pub(crate) fn keep_streams(&self) {
        self.script().keeps_streams = true;
    }
    /// Adds a message to the counsel, and sends it to the open streams.
    pub(crate) fn add_message(&self, id: &str, text: &str, is_user_message: bool) {
        let mut script = self.script();
        let message = message(id, text, is_user_message);
        script.added.push(message.clone());
        let resume = script.added.len().to_string();
        let update = rpc::WatchMessagesResponse { counsel_messages: vec![message], resume, ..Default::default() };
        script.watchers.retain(|watcher| watcher.send(update.clone()).is_ok());
    }
    /// Ends the open streams, as a restart of the service does.
    pub(crate) fn end_streams(&self) {
        self.script().watchers.clear();
    }
    /// Returns the number of open streams.
    pub(crate) fn streams(&self) -> usize {
        let mut script = self.script();
        script.watchers.retain(|watcher| !watcher.is_closed());
        script.watchers.len()
    }
    /// Returns all messages of the counsel.
    fn messages(&self) -> Vec<model::CounselMessage> {
        let first = message(MESSAGE, "안녕하세요", false);
        std::iter::once(first).chain(self.script().added.clone()).collect()
    }
    /// Returns the stream of a call that watches the messages.
    fn watched(&self, sent: &rpc::WatchMessagesRequest) -> BoxStream<rpc::WatchMessagesResponse> {
        let counsel_messages = self.messages();
        let mut script = self.script();
        let resume = script.added.len().to_string();
        let is_known = sent.resume.as_deref() == Some(&*resume);
        let first = rpc::WatchMessagesResponse { counsel_messages, is_first: true, skipped: 0, resume };
        let first = stream::iter((!is_known).then_some(first));
        let (sender, receiver) = unbounded_channel();
        if script.keeps_streams {
            script.watchers.push(sender);
        }
        let next = stream::unfold(receiver, |mut receiver: UnboundedReceiver<rpc::WatchMessagesResponse>| async move {
            let update = receiver.recv().await?;
            Some((update, receiver))
        });
        first.chain(next).map(Ok).boxed()
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

pub(crate) fn refused(code: Code, reason: &str) -> Status {
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
        ..Default::default()
    };
    let (created_at, updated_at) = (MOMENT.into(), MOMENT.into());
    let (id, nickname, user_profile) = (id.into(), "kim".into(), Some(profile));
    model::User { id, nickname, user_profile, created_at, updated_at, deleted_at: None }
}
fn counsel(id: &str) -> model::Counsel {
    model::Counsel {
        id: id.into(),
        counselor_id: COUNSELOR.into(),
        user_id: USER.into(),
        prompt_version_id: "version".into(),
        created_at: MOMENT.into(),
        updated_at: MOMENT.into(),
        ..Default::default()
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
        ..Default::default()
    }
}
fn crisis() -> model::CrisisNotice {
    model::CrisisNotice {
        kind: model::RiskKind::SelfHarm.into(),
        text: "혼자 견디지 마세요.".into(),
        numbers: vec!["109".into(), "119".into()],
    }
}
fn relationship() -> model::CounselorUserRelationship {
    model::CounselorUserRelationship {
        id: "relationship".into(),
        counselor_id: COUNSELOR.into(),
        user_id: USER.into(),
        rapport: 12,
        created_at: MOMENT.into(),
        updated_at: MOMENT.into(),
        deleted_at: None,
    }
}
fn consent(kind: i32, withdrawn: bool) -> model::Consent {
    let withdrawn_at = withdrawn.then(|| MOMENT.into());
    model::Consent { kind, text_version: "2026-11".into(), given_at: MOMENT.into(), withdrawn_at }
}
fn tracking(has_seen_intro_cutscene: bool) -> model::UserTracking {
    let (created_at, updated_at) = (MOMENT.into(), MOMENT.into());
    model::UserTracking { has_seen_intro_cutscene, created_at, updated_at, deleted_at: None }
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
        ..Default::default()
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
        deleted_at: None,
    }
}
fn tone() -> model::Tone {
    model::Tone { id: TONE.into(), name: "다정한".into(), description: "부드럽게".into(), ..Default::default() }
}
fn episode(is_locked: bool) -> model::Episode {
    let scene = model::EpisodeCutScene {
        id: "scene".into(),
        episode_id: EPISODE.into(),
        speaker: model::Speaker::Counselor.into(),
        content: "비 오는 날이었어요".into(),
        order_index: 1,
        image: "https://images.example/scene.png".into(),
        created_at: MOMENT.into(),
        updated_at: MOMENT.into(),
        deleted_at: None,
    };
    model::Episode {
        id: EPISODE.into(),
        counselor_id: COUNSELOR.into(),
        title: "첫 만남".into(),
        required_rapport_threshold: 10,
        is_temporary: false,
        cut_scenes: if is_locked { Vec::new() } else { vec![scene] },
        created_at: MOMENT.into(),
        updated_at: MOMENT.into(),
        deleted_at: None,
        locked: Some(is_locked),
    }
}
fn url() -> common::PresignedUrl {
    common::PresignedUrl {
        upload_url: "https://images.example/upload?signature=s".into(),
        public_url: "https://images.example/new.png".into(),
        file_path: "new.png".into(),
        expires_at: MOMENT.into(),
    }
}
fn version() -> model::PromptVersion {
    model::PromptVersion {
        id: VERSION.into(),
        name: "봄".into(),
        description: "더 짧은 답".into(),
        is_active: true,
        is_temporary: false,
        is_bookmarked: true,
        ai_model: model::AiModel::Gpt4oMini.into(),
        created_at: MOMENT.into(),
        updated_at: MOMENT.into(),
        deleted_at: None,
    }
}
fn persona_prompt() -> model::PersonaPrompt {
    model::PersonaPrompt {
        id: PROMPT.into(),
        body: "당신은 하루입니다".into(),
        counselor_id: COUNSELOR.into(),
        prompt_version_id: VERSION.into(),
        created_at: MOMENT.into(),
        updated_at: MOMENT.into(),
        deleted_at: None,
    }
}
fn tone_prompt() -> model::TonePrompt {
    model::TonePrompt {
        id: PROMPT.into(),
        body: "다정하게 말하세요".into(),
        tone_id: TONE.into(),
        prompt_version_id: VERSION.into(),
        created_at: MOMENT.into(),
        updated_at: MOMENT.into(),
        deleted_at: None,
    }
}
fn technique() -> model::CounselTechnique {
    model::CounselTechnique {
        id: TECHNIQUE.into(),
        name: "경청".into(),
        tone_id: TONE.into(),
        context: "처음".into(),
        instruction: "들어 주세요".into(),
        is_start_technique: true,
        temperature: 0.7,
        prompt_version_id: VERSION.into(),
        created_at: MOMENT.into(),
        updated_at: MOMENT.into(),
        deleted_at: None,
    }
}
fn history() -> model::PromptActivateHistory {
    model::PromptActivateHistory {
        id: "history".into(),
        prompt_version_id: VERSION.into(),
        activated_at: MOMENT.into(),
        created_at: MOMENT.into(),
        updated_at: MOMENT.into(),
        deleted_at: None,
    }
}
/// Returns a rule in which every condition has a value of its own.
fn rule() -> model::CounselTechniqueTransitionRule {
    model::CounselTechniqueTransitionRule {
        id: RULE.into(),
        prompt_version_id: VERSION.into(),
        from_counsel_technique_id: TECHNIQUE.into(),
        to_counsel_technique_id: NEXT_TECHNIQUE.into(),
        priority: 3,
        min_current_technique_message_count: Some(1),
        max_current_technique_message_count: Some(20),
        required_impact_domains: vec![model::ImpactDomain::Work.into(), model::ImpactDomain::Self_.into()],
        required_timeframes: vec![model::Timeframe::Today.into()],
        required_emotion_primaries: vec![model::EmotionPrimary::Shame.into()],
        required_valences: vec![model::Valence::Neutral.into()],
        required_arousal_levels: vec![model::ArousalLevel::High.into()],
        min_emotion_intensity: Some(2),
        max_emotion_intensity: Some(9),
        required_perceived_controls: vec![model::PerceivedControl::Low.into()],
        required_motivation_stages: vec![model::MotivationStage::Action.into()],
        min_self_efficacy: Some(3),
        max_self_efficacy: Some(8),
        required_social_support_levels: vec![model::SocialSupportLevel::None.into()],
        required_risk_kinds: vec![model::RiskKind::Abuse.into()],
        min_risk_severity: Some(0),
        max_risk_severity: Some(3),
        required_sleep_qualities: vec![model::SleepQuality::Fair.into()],
        required_physical_symptoms_present: Some(false),
        required_cognitive_loads: vec![model::CognitiveLoad::Medium.into()],
        required_alliance_strengths: vec![model::AllianceStrength::Weak.into()],
        required_consent_to_depth: Some(true),
        created_at: MOMENT.into(),
        updated_at: MOMENT.into(),
        deleted_at: None,
    }
}

/// Implements a service: those in braces keep state, and each of the others records its call and responds with this message, at this position of the service.
macro_rules! scripted {
    ($service:path { $($own:tt)* } $($method:ident($services:ident, $sent:ident: $Request:ident) -> $Response:ident at $position:literal $answer:block)*) => {
        #[tonic::async_trait]
        impl $service for Services { $($own)* $(
            async fn $method(&self, request: Request<rpc::$Request>) -> Result<Response<rpc::$Response>, Status> {
                #[allow(unused_variables, reason = "most answers are the same for all requests")]
                let ($services, $sent) = (self, request.get_ref());
                let answer = $answer;
                let method = stringify!($Request).strip_suffix("Request").unwrap();
                self.answer(method, $position, &request, answer).await
            }
        )*}
    };
}

scripted! {
    rpc::user_service_server::UserService {
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
                let session = sent.token.as_ref().map(|token| script.refresh_tokens.get(token).map(|known| known.session.clone()));
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
                let id = &sent.auth_user_id;
                let auth = script.credentials.entry(id.clone()).or_insert_with(|| auth_user(id));
                let is_promotion = sent.authority() == model::Authority::Admin;
                // As the user service: the configuration takes back only what it has given.
                if is_promotion || !sent.by_configuration() || script.configured.contains(id) {
                    auth.set_authority(sent.authority());
                }
                if is_promotion && sent.by_configuration() {
                    script.configured.insert(id.clone());
                } else {
                    script.configured.remove(id);
                }
                Ok(rpc::UpdateAuthorityResponse { auth_user: Some(auth.clone()) })
            };
            self.change("UpdateAuthority", &request, change).await
        }
    }
    initialize_user(services, sent: InitializeUserRequest) -> InitializeUserResponse at "user=1" {
        let id = services.new_user();
        rpc::InitializeUserResponse { user: Some(user(&id)), auth_user: Some(auth_user(&id)) }
    }
    find_user_by_user_id(services, sent: FindUserByUserIdRequest) -> FindUserByUserIdResponse at "user=1" { rpc::FindUserByUserIdResponse { user: Some(user(&sent.user_id)) } }
    update_user(services, sent: UpdateUserRequest) -> UpdateUserResponse at "user=2" { rpc::UpdateUserResponse { user: Some(user(USER)) } }
    check_remaining_tokens(services, sent: CheckRemainingTokensRequest) -> CheckRemainingTokensResponse at "user=1" {
        rpc::CheckRemainingTokensResponse {
            remaining_tokens: 6,
            max_tokens: 7,
            reserved: true,
            reserved_timeout: MOMENT.into(),
            resets_at: Some(MOMENT.into()),
        }
    }
    reserve_tokens(services, sent: ReserveTokensRequest) -> ReserveTokensResponse at "user=3" { rpc::ReserveTokensResponse { reserved: true, attempt: Some(3), ..Default::default() } }
    release_tokens(services, sent: ReleaseTokensRequest) -> ReleaseTokensResponse at "user=4" { rpc::ReleaseTokensResponse {} }
    find_tracking_by_user_id(services, sent: FindTrackingByUserIdRequest) -> FindTrackingByUserIdResponse at "user=1" { rpc::FindTrackingByUserIdResponse { user_tracking: Some(tracking(false)) } }
    update_tracking(services, sent: UpdateTrackingRequest) -> UpdateTrackingResponse at "user=2" { rpc::UpdateTrackingResponse { user_tracking: Some(tracking(sent.has_seen_intro_cutscene)) } }
    create_activity(services, sent: CreateActivityRequest) -> CreateActivityResponse at "user=2" {
        let activity = model::UserActivity {
            activity_type: sent.activity_type,
            activity_data: sent.activity_data.clone(),
            platform: sent.platform,
            ip_address: sent.ip_address.clone(),
            user_agent: sent.user_agent.clone(),
            duration_seconds: sent.duration_seconds,
            created_at: MOMENT.into(),
            updated_at: MOMENT.into(),
            deleted_at: None,
        };
        rpc::CreateActivityResponse { user_activity: Some(activity) }
    }
}

scripted! {
    rpc::counsel_service_server::CounselService {
        async fn watch_messages(
            &self,
            request: Request<rpc::WatchMessagesRequest>,
        ) -> Result<Response<BoxStream<rpc::WatchMessagesResponse>>, Status> {
            let stream = self.watched(request.get_ref());
            self.answer("WatchMessages", "counseling=4", &request, stream).await
        }
    }
    create_counsel(services, sent: CreateCounselRequest) -> CreateCounselResponse at "counseling=4" {
        let counsel_messages = vec![message(MESSAGE, "안녕하세요", false)];
        let crisis = (sent.response_option_no == Some(1)).then(crisis);
        rpc::CreateCounselResponse { counsel: Some(counsel(COUNSEL)), counsel_messages, crisis }
    }
    find_counsels(services, sent: FindCounselsRequest) -> FindCounselsResponse at "counseling=4" {
        match sent.after() {
            "" => rpc::FindCounselsResponse { counsels: vec![counsel(COUNSEL)], next: Some("further".into()) },
            _ => rpc::FindCounselsResponse::default(),
        }
    }
    find_counsel_by_id(services, sent: FindCounselByIdRequest) -> FindCounselByIdResponse at "counseling=4" {
        let mut counsel = counsel(&sent.counsel_id);
        if sent.counsel_id == FOREIGN_COUNSEL {
            counsel.user_id = "somebody-else".into(); // simulates a service that does not check the owner
        }
        rpc::FindCounselByIdResponse { counsel: Some(counsel) }
    }
    create_message(services, sent: CreateMessageRequest) -> CreateMessageResponse at "counseling=5" {
        let exchange = sent.exchange_id(); // the same exchange returns the same messages
        let crisis = sent.message.contains("죽고 싶").then(crisis);
        rpc::CreateMessageResponse {
            created_counsel_message: Some(message(exchange, &sent.message, true)),
            counselor_response_message: Some(message(&format!("{exchange}-reply"), "그랬군요", false)),
            crisis,
        }
    }
    find_messages(services, sent: FindMessagesRequest) -> FindMessagesResponse at "counseling=4" {
        rpc::FindMessagesResponse { counsel_messages: services.messages(), next: None, previous: None }
    }
    react_message(services, sent: ReactMessageRequest) -> ReactMessageResponse at "counseling=6" {
        let mut message = message(&sent.message_id, "안녕하세요", false);
        message.reaction = Some(sent.reaction);
        message.reacted_at = Some(MOMENT.into());
        rpc::ReactMessageResponse { counsel_message: Some(message) }
    }
    find_counselor_user_relationship_by_user_and_counselor_id(services, sent: FindCounselorUserRelationshipByUserAndCounselorIdRequest) -> FindCounselorUserRelationshipByUserAndCounselorIdResponse at "counseling=4" { rpc::FindCounselorUserRelationshipByUserAndCounselorIdResponse { counselor_user_relationship: Some(relationship()) } }
    find_counselor_user_relationships(services, sent: FindCounselorUserRelationshipsRequest) -> FindCounselorUserRelationshipsResponse at "counseling=4" { rpc::FindCounselorUserRelationshipsResponse { counselor_user_relationships: vec![relationship()], next: None } }
    give_consent(services, sent: GiveConsentRequest) -> GiveConsentResponse at "counseling=5" {
        services.script().consents.insert(sent.kind);
        rpc::GiveConsentResponse { consent: Some(consent(sent.kind, false)) }
    }
    withdraw_consent(services, sent: WithdrawConsentRequest) -> WithdrawConsentResponse at "counseling=5" {
        services.script().consents.remove(&sent.kind);
        rpc::WithdrawConsentResponse { consent: Some(consent(sent.kind, true)) }
    }
    find_consents(services, sent: FindConsentsRequest) -> FindConsentsResponse at "counseling=4" {
        let consents = services.script().consents.iter().map(|kind| consent(*kind, false)).collect();
        rpc::FindConsentsResponse { consents }
    }
}

scripted! {
    rpc::counselor_service_server::CounselorService {}
    find_counselors(services, sent: FindCounselorsRequest) -> FindCounselorsResponse at "counseling=4" { rpc::FindCounselorsResponse { counselors: vec![counselor()], next: None } }
    find_counselor_by_id(services, sent: FindCounselorByIdRequest) -> FindCounselorByIdResponse at "counseling=4" { rpc::FindCounselorByIdResponse { counselor: Some(counselor()) } }
    create_counselor(services, sent: CreateCounselorRequest) -> CreateCounselorResponse at "counseling=5" { rpc::CreateCounselorResponse { counselor: Some(counselor()) } }
    update_counselor(services, sent: UpdateCounselorRequest) -> UpdateCounselorResponse at "counseling=5" { rpc::UpdateCounselorResponse { counselor: Some(counselor()) } }
    generate_counselor_image_url(services, sent: GenerateCounselorImageUrlRequest) -> GenerateCounselorImageUrlResponse at "counseling=4" { rpc::GenerateCounselorImageUrlResponse { presigned_url: Some(url()) } }
    find_bubbles(services, sent: FindBubblesRequest) -> FindBubblesResponse at "counseling=4" { rpc::FindBubblesResponse { bubbles: vec![bubble()], next: None } }
    find_bubble_by_id(services, sent: FindBubbleByIdRequest) -> FindBubbleByIdResponse at "counseling=4" { rpc::FindBubbleByIdResponse { bubble: Some(bubble()) } }
    find_random_bubble(services, sent: FindRandomBubbleRequest) -> FindRandomBubbleResponse at "counseling=4" { rpc::FindRandomBubbleResponse { bubble: Some(bubble()) } }
    create_bubble(services, sent: CreateBubbleRequest) -> CreateBubbleResponse at "counseling=5" { rpc::CreateBubbleResponse { bubble: Some(bubble()) } }
    update_bubble(services, sent: UpdateBubbleRequest) -> UpdateBubbleResponse at "counseling=5" { rpc::UpdateBubbleResponse { bubble: Some(bubble()) } }
    delete_bubble(services, sent: DeleteBubbleRequest) -> DeleteBubbleResponse at "counseling=5" { rpc::DeleteBubbleResponse { success: true } }
    find_episodes(services, sent: FindEpisodesRequest) -> FindEpisodesResponse at "counseling=4" { rpc::FindEpisodesResponse { episodes: vec![episode(true)], next: None } }
    find_episode_by_id(services, sent: FindEpisodeByIdRequest) -> FindEpisodeByIdResponse at "counseling=4" { rpc::FindEpisodeByIdResponse { episode: Some(episode(false)) } }
    create_episode(services, sent: CreateEpisodeRequest) -> CreateEpisodeResponse at "counseling=5" { rpc::CreateEpisodeResponse { episode: Some(episode(false)) } }
    update_episode(services, sent: UpdateEpisodeRequest) -> UpdateEpisodeResponse at "counseling=5" { rpc::UpdateEpisodeResponse { episode: Some(episode(false)) } }
    generate_cut_scene_image_url(services, sent: GenerateCutSceneImageUrlRequest) -> GenerateCutSceneImageUrlResponse at "counseling=4" { rpc::GenerateCutSceneImageUrlResponse { presigned_url: Some(url()) } }
    find_tones(services, sent: FindTonesRequest) -> FindTonesResponse at "counseling=4" { rpc::FindTonesResponse { tones: vec![tone()], next: None } }
    find_tone_by_id(services, sent: FindToneByIdRequest) -> FindToneByIdResponse at "counseling=4" { rpc::FindToneByIdResponse { tone: Some(tone()) } }
    create_tone(services, sent: CreateToneRequest) -> CreateToneResponse at "counseling=5" { rpc::CreateToneResponse { tone: Some(tone()) } }
    update_tone(services, sent: UpdateToneRequest) -> UpdateToneResponse at "counseling=5" { rpc::UpdateToneResponse { tone: Some(tone()) } }
}

scripted! {
    rpc::counsel_prompt_service_server::CounselPromptService {}
    find_prompt_versions(services, sent: FindPromptVersionsRequest) -> FindPromptVersionsResponse at "counseling=4" { rpc::FindPromptVersionsResponse { prompt_versions: vec![version()], next: None } }
    find_prompt_version_by_id(services, sent: FindPromptVersionByIdRequest) -> FindPromptVersionByIdResponse at "counseling=4" { rpc::FindPromptVersionByIdResponse { prompt_version: Some(version()) } }
    find_temporary_version(services, sent: FindTemporaryVersionRequest) -> FindTemporaryVersionResponse at "counseling=4" { rpc::FindTemporaryVersionResponse { prompt_version: Some(version()) } }
    find_active_version(services, sent: FindActiveVersionRequest) -> FindActiveVersionResponse at "counseling=4" { rpc::FindActiveVersionResponse { prompt_version: Some(version()) } }
    load_existing_prompt_version(services, sent: LoadExistingPromptVersionRequest) -> LoadExistingPromptVersionResponse at "counseling=5" { rpc::LoadExistingPromptVersionResponse { prompt_version: Some(version()) } }
    save_temporary_version(services, sent: SaveTemporaryVersionRequest) -> SaveTemporaryVersionResponse at "counseling=5" { rpc::SaveTemporaryVersionResponse { prompt_version: Some(version()) } }
    update_prompt_version(services, sent: UpdatePromptVersionRequest) -> UpdatePromptVersionResponse at "counseling=5" { rpc::UpdatePromptVersionResponse { prompt_version: Some(version()) } }
    activate_prompt_version(services, sent: ActivatePromptVersionRequest) -> ActivatePromptVersionResponse at "counseling=5" { rpc::ActivatePromptVersionResponse { prompt_version: Some(version()) } }
    create_temporary_version(services, sent: CreateTemporaryVersionRequest) -> CreateTemporaryVersionResponse at "counseling=5" { rpc::CreateTemporaryVersionResponse { prompt_version: Some(version()) } }
    delete_prompt_versions(services, sent: DeletePromptVersionsRequest) -> DeletePromptVersionsResponse at "counseling=5" { rpc::DeletePromptVersionsResponse {} }
    find_persona_prompt_by_id(services, sent: FindPersonaPromptByIdRequest) -> FindPersonaPromptByIdResponse at "counseling=4" { rpc::FindPersonaPromptByIdResponse { persona_prompt: Some(persona_prompt()) } }
    find_persona_prompts(services, sent: FindPersonaPromptsRequest) -> FindPersonaPromptsResponse at "counseling=4" { rpc::FindPersonaPromptsResponse { persona_prompts: vec![persona_prompt()], next: None } }
    update_persona_prompt(services, sent: UpdatePersonaPromptRequest) -> UpdatePersonaPromptResponse at "counseling=5" { rpc::UpdatePersonaPromptResponse { persona_prompt: Some(persona_prompt()) } }
    find_tone_prompt_by_id(services, sent: FindTonePromptByIdRequest) -> FindTonePromptByIdResponse at "counseling=4" { rpc::FindTonePromptByIdResponse { tone_prompt: Some(tone_prompt()) } }
    find_tone_prompts(services, sent: FindTonePromptsRequest) -> FindTonePromptsResponse at "counseling=4" { rpc::FindTonePromptsResponse { tone_prompts: vec![tone_prompt()], next: None } }
    update_tone_prompt(services, sent: UpdateTonePromptRequest) -> UpdateTonePromptResponse at "counseling=5" { rpc::UpdateTonePromptResponse { tone_prompt: Some(tone_prompt()) } }
    create_counsel_technique(services, sent: CreateCounselTechniqueRequest) -> CreateCounselTechniqueResponse at "counseling=5" { rpc::CreateCounselTechniqueResponse { counsel_technique: Some(technique()) } }
    find_counsel_techniques(services, sent: FindCounselTechniquesRequest) -> FindCounselTechniquesResponse at "counseling=4" { rpc::FindCounselTechniquesResponse { counsel_techniques: vec![technique()], next: None } }
    find_counsel_technique_by_id(services, sent: FindCounselTechniqueByIdRequest) -> FindCounselTechniqueByIdResponse at "counseling=4" { rpc::FindCounselTechniqueByIdResponse { counsel_technique: Some(technique()) } }
    update_counsel_technique(services, sent: UpdateCounselTechniqueRequest) -> UpdateCounselTechniqueResponse at "counseling=5" { rpc::UpdateCounselTechniqueResponse { counsel_technique: Some(technique()) } }
    delete_counsel_technique(services, sent: DeleteCounselTechniqueRequest) -> DeleteCounselTechniqueResponse at "counseling=5" { rpc::DeleteCounselTechniqueResponse {} }
    find_prompt_activate_histories(services, sent: FindPromptActivateHistoriesRequest) -> FindPromptActivateHistoriesResponse at "counseling=4" { rpc::FindPromptActivateHistoriesResponse { prompt_activate_histories: vec![history()], next: None } }
    create_counsel_technique_transition_rule(services, sent: CreateCounselTechniqueTransitionRuleRequest) -> CreateCounselTechniqueTransitionRuleResponse at "counseling=5" { rpc::CreateCounselTechniqueTransitionRuleResponse { counsel_technique_transition_rule: Some(rule()) } }
    find_counsel_technique_transition_rule_by_id(services, sent: FindCounselTechniqueTransitionRuleByIdRequest) -> FindCounselTechniqueTransitionRuleByIdResponse at "counseling=4" { rpc::FindCounselTechniqueTransitionRuleByIdResponse { counsel_technique_transition_rule: Some(rule()) } }
    find_counsel_technique_transition_rules(services, sent: FindCounselTechniqueTransitionRulesRequest) -> FindCounselTechniqueTransitionRulesResponse at "counseling=4" { rpc::FindCounselTechniqueTransitionRulesResponse { counsel_technique_transition_rules: vec![rule()], next: None } }
    update_counsel_technique_transition_rule(services, sent: UpdateCounselTechniqueTransitionRuleRequest) -> UpdateCounselTechniqueTransitionRuleResponse at "counseling=5" { rpc::UpdateCounselTechniqueTransitionRuleResponse { counsel_technique_transition_rule: Some(rule()) } }
    delete_counsel_technique_transition_rule(services, sent: DeleteCounselTechniqueTransitionRuleRequest) -> DeleteCounselTechniqueTransitionRuleResponse at "counseling=5" { rpc::DeleteCounselTechniqueTransitionRuleResponse {} }
}
