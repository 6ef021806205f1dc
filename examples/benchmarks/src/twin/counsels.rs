//! The counsels of the twin: opening one, finding it, sending a message.
use super::{
    internal::{person, person_named},
    reply::{Prompt, reply},
    service::failed,
    time::{Timestamp, iso, now},
    users::{TOPIC as USER_TOPIC, publish},
    wallet,
};
use chrono::TimeDelta;
use contracts::v1::{
    message::{CounselCreated, CounselMessageCreated, CounselReplied, TokensSpent},
    model,
    service::{
        CreateCounselRequest, CreateCounselResponse, CreateMessageRequest, CreateMessageResponse,
        FindCounselByIdRequest, FindCounselByIdResponse, FindCounselsRequest, FindCounselsResponse,
        FindMessagesRequest, FindMessagesResponse, ReactMessageRequest, ReactMessageResponse,
        counsel_service_server::CounselService,
    },
};
use sqlx::{FromRow, PgConnection, PgPool};
use tonic::{Request, Response, Status};
use uuid::Uuid;

const TOPIC: &str = "counseling.events.v1";
const GREETING: &str = "안녕하세요. 오늘은 어떤 이야기를 나누고 싶으세요?";
/// The time during which an unanswered exchange keeps others from starting.
const ANSWERED_WITHIN: TimeDelta = TimeDelta::seconds(30);
/// The number of earlier messages that a responder receives.
const HISTORY: i64 = 30;

#[derive(FromRow)]
struct CounselRow {
    id: Uuid,
    user_id: Uuid,
    counselor_id: Uuid,
    prompt_version_id: Uuid,
    technique_id: Uuid,
    messages: i32,
    last_message: Option<String>,
    last_chated_at: Option<Timestamp>,
    open_until: Option<Timestamp>,
    version: i64,
    created_at: Timestamp,
}
const SELECT: &str = "select id, user_id, counselor_id, prompt_version_id, technique_id, messages, last_message, \
    last_chated_at, open_until, version, created_at from counsels where id = $1 and user_id = $2";

impl From<CounselRow> for model::Counsel {
    fn from(row: CounselRow) -> Self {
        model::Counsel {
            id: row.id.to_string(),
            counselor_id: row.counselor_id.to_string(),
            user_id: row.user_id.to_string(),
            last_message: row.last_message,
            last_chated_at: row.last_chated_at.map(iso),
            prompt_version_id: row.prompt_version_id.to_string(),
            created_at: iso(row.created_at),
            updated_at: iso(row.last_chated_at.unwrap_or(row.created_at)),
            deleted_at: None,
        }
    }
}

/// A message before it is written.
struct NewMessage {
    id: Uuid,
    by_user: bool,
    text: String,
    at: Timestamp,
}
impl NewMessage {
    fn new(by_user: bool, text: impl Into<String>) -> Self {
        NewMessage { id: Uuid::now_v7(), by_user, text: text.into(), at: now() }
    }
    /// Writes the message as the counsel's next one, with its outbox row. Fails when the counsel has changed since it
    /// was read.
    async fn write(
        &self,
        connection: &mut PgConnection,
        counsel: &mut CounselRow,
        exchange: Option<Uuid>,
    ) -> Result<(), Status> {
        let open = exchange.filter(|_| self.by_user);
        let written = sqlx::query(
            "update counsels set messages = $3, last_message = $4, last_chated_at = $5, open_exchange = $6, \
             open_until = $7, version = version + 1 where id = $1 and version = $2",
        )
        .bind(counsel.id)
        .bind(counsel.version)
        .bind(counsel.messages + 1)
        .bind(&self.text)
        .bind(self.at)
        .bind(open)
        .bind(open.map(|_| self.at + ANSWERED_WITHIN))
        .execute(&mut *connection)
        .await
        .map_err(failed)?;
        if written.rows_affected() == 0 {
            return Err(Status::aborted("somebody else has changed this counsel"));
        }
        counsel.messages += 1;
        counsel.version += 1;
        (counsel.last_message, counsel.last_chated_at) = (Some(self.text.clone()), Some(self.at));
        sqlx::query(
            "insert into messages (id, counsel_id, number, exchange_id, by_user, message, technique_id, created_at) \
             values ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(self.id)
        .bind(counsel.id)
        .bind(counsel.messages)
        .bind(exchange)
        .bind(self.by_user)
        .bind(&self.text)
        .bind(counsel.technique_id)
        .bind(self.at)
        .execute(&mut *connection)
        .await
        .map_err(failed)?;
        let event = CounselMessageCreated {
            counsel_message_id: self.id.to_string(),
            counsel_id: counsel.id.to_string(),
            user_id: counsel.user_id.to_string(),
            message: self.text.clone(),
            is_user_message: self.by_user,
            occurred_at: iso(self.at),
        };
        let name = "com.hearlers.v1.counsel.message.created";
        publish(connection, TOPIC, counsel.user_id, name, &event, self.at).await.map_err(failed)
    }
    fn response(self, counsel: &CounselRow) -> model::CounselMessage {
        model::CounselMessage {
            id: self.id.to_string(),
            counsel_id: counsel.id.to_string(),
            message: self.text,
            is_user_message: self.by_user,
            counsel_technique_id: counsel.technique_id.to_string(),
            created_at: iso(self.at),
            updated_at: iso(self.at),
            ..model::CounselMessage::default()
        }
    }
}

pub(super) struct Counsels(pub(super) PgPool);

impl Counsels {
    /// Writes the person's message and opens the exchange.
    async fn ask(&self, user: Uuid, counsel: Uuid, exchange: Uuid, text: String) -> Result<Asked, Status> {
        let question = NewMessage::new(true, text);
        let mut tx = self.0.begin().await.map_err(failed)?;
        let mut counsel: CounselRow =
            sqlx::query_as(SELECT).bind(counsel).bind(user).fetch_one(&mut *tx).await.map_err(failed)?;
        if counsel.open_until.is_some_and(|until| until > question.at) {
            return Err(Status::resource_exhausted("another exchange is open"));
        }
        question.write(&mut tx, &mut counsel, Some(exchange)).await?;
        tx.commit().await.map_err(failed)?;
        Ok(Asked { counsel, question })
    }
    /// Reads the prompts and the history, and composes the reply.
    async fn compose(&self, asked: &Asked) -> Result<String, Status> {
        let (persona, tone, context, instruction): (String, String, String, String) = sqlx::query_as(
            "select persona, tone, context, instruction from counselors, prompt_versions \
             where counselors.id = $1 and prompt_versions.id = $2",
        )
        .bind(asked.counsel.counselor_id)
        .bind(asked.counsel.prompt_version_id)
        .fetch_one(&self.0)
        .await
        .map_err(failed)?;
        let mut history: Vec<(bool, String)> = sqlx::query_as(
            "select by_user, message from messages where counsel_id = $1 and id <> $2 order by number desc limit $3",
        )
        .bind(asked.counsel.id)
        .bind(asked.question.id)
        .bind(HISTORY)
        .fetch_all(&self.0)
        .await
        .map_err(failed)?;
        history.reverse();
        Ok(reply(&Prompt { persona, tone, context, instruction, history, message: asked.question.text.clone() }))
    }
    /// Writes the reply, closes the exchange and spends its token.
    async fn answer(&self, asked: &mut Asked, exchange: Uuid, text: String) -> Result<NewMessage, Status> {
        let reply = NewMessage::new(false, text);
        let counsel = &mut asked.counsel;
        let mut tx = self.0.begin().await.map_err(failed)?;
        reply.write(&mut tx, counsel, Some(exchange)).await?;
        let user = counsel.user_id;
        let replied = CounselReplied {
            counsel_id: counsel.id.to_string(),
            user_id: user.to_string(),
            exchange_id: exchange.to_string(),
            counsel_message_id: reply.id.to_string(),
            occurred_at: iso(reply.at),
            ..CounselReplied::default()
        };
        publish(&mut tx, TOPIC, user, "com.hearlers.v1.counsel.replied", &replied, reply.at).await.map_err(failed)?;
        let (remaining_tokens, max_tokens) = wallet::spend(&mut tx, user, exchange).await.map_err(failed)?;
        let spent = TokensSpent {
            user_id: user.to_string(),
            exchange_id: exchange.to_string(),
            remaining_tokens,
            max_tokens,
            occurred_at: iso(reply.at),
        };
        publish(&mut tx, USER_TOPIC, user, "com.hearlers.v1.user.tokens.spent", &spent, reply.at)
            .await
            .map_err(failed)?;
        tx.commit().await.map_err(failed)?;
        Ok(reply)
    }
}

/// A stored question without a reply.
struct Asked {
    counsel: CounselRow,
    question: NewMessage,
}

fn id(text: &str, field: &str) -> Result<Uuid, Status> {
    text.parse().map_err(|_| Status::invalid_argument(format!("{field}: a UUID")))
}
/// Refuses a method of the contract that no measured operation calls.
fn not_measured<T>() -> Result<Response<T>, Status> {
    Err(Status::unimplemented("the twin has only what is measured"))
}

#[tonic::async_trait]
impl CounselService for Counsels {
    /// Opens a counsel with a greeting.
    async fn create_counsel(
        &self,
        request: Request<CreateCounselRequest>,
    ) -> Result<Response<CreateCounselResponse>, Status> {
        let user = person_named(&request, &request.get_ref().user_id)?;
        let counselor = id(&request.get_ref().counselor_id, "counselor_id")?;
        let greeting = NewMessage::new(false, GREETING);
        let mut tx = self.0.begin().await.map_err(failed)?;
        let mut counsel: CounselRow = sqlx::query_as(
            "insert into counsels (id, user_id, counselor_id, prompt_version_id, technique_id, created_at) \
             select $1, $2, $3, id, technique_id, $4 from prompt_versions limit 1 \
             returning id, user_id, counselor_id, prompt_version_id, technique_id, messages, last_message, \
             last_chated_at, open_until, version, created_at",
        )
        .bind(Uuid::now_v7())
        .bind(user)
        .bind(counselor)
        .bind(greeting.at)
        .fetch_one(&mut *tx)
        .await
        .map_err(failed)?;
        let event = CounselCreated {
            counsel_id: counsel.id.to_string(),
            user_id: user.to_string(),
            counselor_id: counselor.to_string(),
            occurred_at: iso(greeting.at),
        };
        let name = "com.hearlers.v1.counsel.created";
        publish(&mut tx, TOPIC, user, name, &event, greeting.at).await.map_err(failed)?;
        greeting.write(&mut tx, &mut counsel, None).await?;
        tx.commit().await.map_err(failed)?;
        let messages = vec![greeting.response(&counsel)];
        Ok(Response::new(CreateCounselResponse {
            counsel: Some(counsel.into()),
            counsel_messages: messages,
            crisis: None,
        }))
    }

    async fn find_counsel_by_id(
        &self,
        request: Request<FindCounselByIdRequest>,
    ) -> Result<Response<FindCounselByIdResponse>, Status> {
        let user = person(&request)?;
        let counsel = id(&request.get_ref().counsel_id, "counsel_id")?;
        let found: CounselRow =
            sqlx::query_as(SELECT).bind(counsel).bind(user).fetch_one(&self.0).await.map_err(failed)?;
        Ok(Response::new(FindCounselByIdResponse { counsel: Some(found.into()) }))
    }

    async fn create_message(
        &self,
        request: Request<CreateMessageRequest>,
    ) -> Result<Response<CreateMessageResponse>, Status> {
        let user = person(&request)?;
        let request = request.into_inner();
        let counsel = id(&request.counsel_id, "counsel_id")?;
        let exchange = id(request.exchange_id.as_deref().unwrap_or_default(), "exchange_id")?;
        let mut asked = self.ask(user, counsel, exchange, request.message).await?;
        let text = self.compose(&asked).await?;
        let reply = self.answer(&mut asked, exchange, text).await?;
        Ok(Response::new(CreateMessageResponse {
            created_counsel_message: Some(asked.question.response(&asked.counsel)),
            counselor_response_message: Some(reply.response(&asked.counsel)),
            crisis: None,
        }))
    }

    async fn find_counsels(&self, _: Request<FindCounselsRequest>) -> Result<Response<FindCounselsResponse>, Status> {
        not_measured()
    }
    async fn find_messages(&self, _: Request<FindMessagesRequest>) -> Result<Response<FindMessagesResponse>, Status> {
        not_measured()
    }
    async fn react_message(&self, _: Request<ReactMessageRequest>) -> Result<Response<ReactMessageResponse>, Status> {
        not_measured()
    }
}
