//! The twin's gateway: REST in, gRPC out.
use super::{
    json::{Counsel, Counselor, Failure, Me, Message, NewMessage, Session, UserUpdate, success},
    session::{Caller, Sessions},
    upstream::{Upstream, anonymous, on_behalf_of},
};
use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
    serve::ListenerExt,
};
use axum_extra::extract::CookieJar;
use chrono::{DateTime, SecondsFormat};
use clap::Parser;
use contracts::v1::service::{
    CheckRemainingTokensRequest, CreateCounselRequest, CreateMessageRequest, FindCounselByIdRequest,
    FindCounselorsRequest, FindUserByUserIdRequest, InitializeUserRequest, ReserveTokensRequest,
};
use serde_json::json;
use std::{net::SocketAddr, sync::Arc};
use tokio::net::TcpListener;
use uuid::Uuid;

/// The longest message, in characters.
const LONGEST_MESSAGE: usize = 80;

#[derive(Debug, Clone, Parser)]
pub(crate) struct Args {
    #[arg(long)]
    listen: SocketAddr,
    #[arg(long)]
    service: String,
    #[arg(long)]
    jwt_secret: String,
    #[arg(long)]
    internal_secret: String,
}

#[derive(Clone)]
struct Gateway {
    upstream: Upstream,
    sessions: Arc<Sessions>,
}
impl AsRef<Sessions> for Gateway {
    fn as_ref(&self) -> &Sessions {
        &self.sessions
    }
}

pub(super) async fn run(args: Args) -> anyhow::Result<()> {
    let gateway = Gateway {
        upstream: Upstream::new(args.service, &args.internal_secret)?,
        sessions: Arc::new(Sessions::new(&args.jwt_secret)),
    };
    let router = Router::new()
        .route("/v1/auth/initiate", post(initiate))
        .route("/v1/users/me", get(me).put(update))
        .route("/v1/counselors", get(counselors))
        .route("/v1/counselors/{counselor}/counsels", post(open_counsel))
        .route("/v1/counselors/{counselor}/counsels/{counsel}/messages", post(send_message))
        .with_state(gateway);
    let listener = TcpListener::bind(args.listen).await?.tap_io(|stream| {
        let _ = stream.set_nodelay(true); // a refused option costs time, not correctness
    });
    Ok(axum::serve(listener, router).await?)
}

async fn initiate(State(gateway): State<Gateway>) -> Result<Response, Failure> {
    let made = gateway.upstream.users.clone().initialize_user(anonymous(InitializeUserRequest {})).await?.into_inner();
    let id = made.user.and_then(|user| user.id.parse().ok()).ok_or_else(Failure::internal)?;
    let (access_token, expires, cookie) = gateway.sessions.begin(id)?;
    let expires = DateTime::from_timestamp(expires, 0).unwrap_or_default().to_rfc3339_opts(SecondsFormat::Secs, true);
    let session = Session { access_token, access_token_expires_at: expires };
    let response = success(StatusCode::OK, "세션이 시작되었습니다.", session);
    Ok((CookieJar::new().add(cookie), response).into_response())
}

async fn me(State(gateway): State<Gateway>, Caller(id): Caller) -> Result<Response, Failure> {
    let (mut users, mut wallets) = (gateway.upstream.users.clone(), gateway.upstream.users);
    let user_id = id.to_string();
    let user = users.find_user_by_user_id(on_behalf_of(id, FindUserByUserIdRequest { user_id: user_id.clone() }));
    let wallet = wallets.check_remaining_tokens(on_behalf_of(id, CheckRemainingTokensRequest { user_id }));
    let (user, wallet) = tokio::try_join!(user, wallet)?;
    let user = user.into_inner().user.ok_or_else(Failure::not_found)?;
    Ok(success(StatusCode::OK, "유저 정보를 조회했습니다.", Me::new(user, Some(wallet.into_inner()))))
}

async fn update(
    State(gateway): State<Gateway>,
    Caller(id): Caller,
    Json(update): Json<UserUpdate>,
) -> Result<Response, Failure> {
    let request = on_behalf_of(id, update.request(id.to_string())?);
    let updated = gateway.upstream.users.clone().update_user(request).await?.into_inner();
    let user = updated.user.ok_or_else(Failure::internal)?;
    Ok(success(StatusCode::OK, "유저 정보를 수정했습니다.", Me::new(user, None)))
}

async fn counselors(State(gateway): State<Gateway>) -> Result<Response, Failure> {
    let request = anonymous(FindCounselorsRequest::default());
    let found = gateway.upstream.counselors.clone().find_counselors(request).await?.into_inner();
    let counselors: Vec<Counselor> = found.counselors.into_iter().map(Into::into).collect();
    Ok(success(StatusCode::OK, "상담사 목록을 조회했습니다.", json!({ "counselors": counselors })))
}

async fn open_counsel(
    State(gateway): State<Gateway>,
    Caller(id): Caller,
    Path(counselor): Path<Uuid>,
) -> Result<Response, Failure> {
    let (user_id, counselor_id) = (id.to_string(), counselor.to_string());
    let request = CreateCounselRequest { user_id, counselor_id, ..CreateCounselRequest::default() };
    let opened = gateway.upstream.counsels.clone().create_counsel(on_behalf_of(id, request)).await?.into_inner();
    let counsel = Counsel::from(opened.counsel.ok_or_else(Failure::internal)?);
    let messages: Vec<Message> = opened.counsel_messages.into_iter().map(Into::into).collect();
    let data = json!({ "counsel": counsel, "counselMessages": messages });
    Ok(success(StatusCode::CREATED, "상담을 시작했습니다.", data))
}

/// Finds the counsel, reserves a token and sends the message: the same three calls as the services' gateway makes.
async fn send_message(
    State(gateway): State<Gateway>,
    Caller(id): Caller,
    Path((counselor, counsel)): Path<(Uuid, Uuid)>,
    Json(new): Json<NewMessage>,
) -> Result<Response, Failure> {
    let message = new.message.trim().to_owned();
    if message.is_empty() || message.chars().count() > LONGEST_MESSAGE {
        return Err(Failure::invalid("message"));
    }
    let (mut users, mut counsels) = (gateway.upstream.users, gateway.upstream.counsels);
    let (user_id, counsel_id) = (id.to_string(), counsel.to_string());
    let request = on_behalf_of(id, FindCounselByIdRequest { counsel_id: counsel_id.clone() });
    let found = counsels.find_counsel_by_id(request).await?.into_inner().counsel.ok_or_else(Failure::not_found)?;
    if found.user_id != user_id || found.counselor_id != counselor.to_string() {
        return Err(Failure::not_found());
    }
    let exchange = Some(Uuid::now_v7().to_string());
    let request = ReserveTokensRequest { user_id, reservation_id: exchange.clone() };
    users.reserve_tokens(on_behalf_of(id, request)).await?;
    let request = CreateMessageRequest { counsel_id, message, exchange_id: exchange, ..Default::default() };
    let sent = counsels.create_message(on_behalf_of(id, request)).await?.into_inner();
    let question = Message::from(sent.created_counsel_message.ok_or_else(Failure::internal)?);
    let reply = Message::from(sent.counselor_response_message.ok_or_else(Failure::internal)?);
    let data = json!({ "createdCounselMessage": question, "counselorResponseMessage": reply });
    Ok(success(StatusCode::CREATED, "메시지를 보냈습니다.", data))
}
