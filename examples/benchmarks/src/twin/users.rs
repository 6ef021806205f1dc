//! The user service of the twin: people as rows with versions.
use super::{
    internal::person_named,
    service::failed,
    time::{Timestamp, iso, now},
    wallet,
};
use contracts::v1::{
    message::{UserRegistered, UserUpdated},
    model::{AuthChannel, AuthUser, Authority, User, UserProfile},
    service::{
        CheckRemainingTokensRequest, CheckRemainingTokensResponse, FindUserByUserIdRequest, FindUserByUserIdResponse,
        InitializeUserRequest, InitializeUserResponse, ReserveTokensRequest, ReserveTokensResponse, UpdateUserRequest,
        UpdateUserResponse, user_service_server::UserService,
    },
};
use prost::Message;
use sqlx::{FromRow, PgConnection, PgPool};
use tonic::{Request, Response, Status};
use uuid::Uuid;

/// The topic of this service's events.
pub(super) const TOPIC: &str = "user.events.v1";
const SELECT: &str = "select id, nickname, profile_image, phone_number, gender, birthday, introduction, mbti, version, \
                      created_at, updated_at from users where id = $1";

#[derive(FromRow)]
struct UserRow {
    id: Uuid,
    nickname: String,
    profile_image: String,
    phone_number: String,
    gender: i32,
    birthday: String,
    introduction: String,
    mbti: i32,
    version: i64,
    created_at: Timestamp,
    updated_at: Timestamp,
}
impl UserRow {
    fn apply(&mut self, change: UpdateUserRequest, at: Timestamp) {
        fn set<T>(field: &mut T, value: Option<T>) {
            if let Some(value) = value {
                *field = value;
            }
        }
        set(&mut self.nickname, change.nickname);
        set(&mut self.profile_image, change.profile_image);
        set(&mut self.phone_number, change.phone_number);
        set(&mut self.gender, change.gender);
        set(&mut self.birthday, change.birthday);
        set(&mut self.introduction, change.introduction);
        set(&mut self.mbti, change.mbti);
        self.updated_at = at;
    }
}
impl From<UserRow> for User {
    fn from(row: UserRow) -> Self {
        let (created_at, updated_at) = (iso(row.created_at), iso(row.updated_at));
        let profile = UserProfile {
            profile_image: row.profile_image,
            phone_number: row.phone_number,
            gender: row.gender,
            birthday: row.birthday,
            introduction: row.introduction,
            mbti: row.mbti,
            created_at: created_at.clone(),
            updated_at: updated_at.clone(),
            deleted_at: None,
        };
        User {
            id: row.id.to_string(),
            nickname: row.nickname,
            user_profile: Some(profile),
            created_at,
            updated_at,
            deleted_at: None,
        }
    }
}

/// Adds an event to the outbox.
pub(super) async fn publish(
    connection: &mut PgConnection,
    topic: &str,
    key: Uuid,
    name: &str,
    event: &impl Message,
    at: Timestamp,
) -> Result<(), sqlx::Error> {
    sqlx::query("insert into outbox (topic, key, name, body, created_at) values ($1, $2, $3, $4, $5)")
        .bind(topic)
        .bind(key.to_string())
        .bind(name)
        .bind(event.encode_to_vec())
        .bind(at)
        .execute(connection)
        .await?;
    Ok(())
}

pub(super) struct Users(pub(super) PgPool);

#[tonic::async_trait]
impl UserService for Users {
    async fn initialize_user(
        &self,
        _: Request<InitializeUserRequest>,
    ) -> Result<Response<InitializeUserResponse>, Status> {
        let (id, credentials, at) = (Uuid::now_v7(), Uuid::now_v7(), now());
        let nickname = format!("마음{}", id.as_u128() as u32);
        let (channel, authority) = (AuthChannel::Unlinked, Authority::User);
        let mut tx = self.0.begin().await.map_err(failed)?;
        let row: UserRow = sqlx::query_as(
            "insert into users (id, nickname, created_at, updated_at) values ($1, $2, $3, $3) \
             returning id, nickname, profile_image, phone_number, gender, birthday, introduction, mbti, version, \
             created_at, updated_at",
        )
        .bind(id)
        .bind(&nickname)
        .bind(at)
        .fetch_one(&mut *tx)
        .await
        .map_err(failed)?;
        sqlx::query(
            "insert into credentials (id, user_id, channel, authority, created_at) values ($1, $2, $3, $4, $5)",
        )
        .bind(credentials)
        .bind(id)
        .bind(i32::from(channel))
        .bind(i32::from(authority))
        .bind(at)
        .execute(&mut *tx)
        .await
        .map_err(failed)?;
        wallet::create(&mut tx, id, at).await.map_err(failed)?;
        let event = UserRegistered { user_id: id.to_string(), nickname, occurred_at: iso(at) };
        publish(&mut tx, TOPIC, id, "com.hearlers.v1.user.registered", &event, at).await.map_err(failed)?;
        tx.commit().await.map_err(failed)?;
        let auth_user = AuthUser {
            id: credentials.to_string(),
            user_id: id.to_string(),
            auth_channel: channel.into(),
            authority: authority.into(),
            created_at: iso(at),
            updated_at: iso(at),
            ..AuthUser::default()
        };
        Ok(Response::new(InitializeUserResponse { user: Some(row.into()), auth_user: Some(auth_user) }))
    }

    async fn find_user_by_user_id(
        &self,
        request: Request<FindUserByUserIdRequest>,
    ) -> Result<Response<FindUserByUserIdResponse>, Status> {
        let id = person_named(&request, &request.get_ref().user_id)?;
        let row: UserRow = sqlx::query_as(SELECT).bind(id).fetch_one(&self.0).await.map_err(failed)?;
        Ok(Response::new(FindUserByUserIdResponse { user: Some(row.into()) }))
    }

    /// Reads the row, changes it, and writes it unless its version has changed meanwhile.
    async fn update_user(&self, request: Request<UpdateUserRequest>) -> Result<Response<UpdateUserResponse>, Status> {
        let id = person_named(&request, &request.get_ref().user_id)?;
        let at = now();
        let mut tx = self.0.begin().await.map_err(failed)?;
        let mut row: UserRow = sqlx::query_as(SELECT).bind(id).fetch_one(&mut *tx).await.map_err(failed)?;
        row.apply(request.into_inner(), at);
        let written = sqlx::query(
            "update users set nickname = $3, profile_image = $4, phone_number = $5, gender = $6, birthday = $7, \
             introduction = $8, mbti = $9, updated_at = $10, version = version + 1 where id = $1 and version = $2",
        )
        .bind(id)
        .bind(row.version)
        .bind(&row.nickname)
        .bind(&row.profile_image)
        .bind(&row.phone_number)
        .bind(row.gender)
        .bind(&row.birthday)
        .bind(&row.introduction)
        .bind(row.mbti)
        .bind(row.updated_at)
        .execute(&mut *tx)
        .await
        .map_err(failed)?;
        if written.rows_affected() == 0 {
            return Err(Status::aborted("somebody else has changed this person"));
        }
        let event = UserUpdated {
            user_id: id.to_string(),
            auth_channel: 0,
            occurred_at: iso(at),
            nickname: Some(row.nickname.clone()),
        };
        publish(&mut tx, TOPIC, id, "com.hearlers.v1.user.updated", &event, at).await.map_err(failed)?;
        tx.commit().await.map_err(failed)?;
        Ok(Response::new(UpdateUserResponse { user: Some(row.into()) }))
    }

    async fn check_remaining_tokens(
        &self,
        request: Request<CheckRemainingTokensRequest>,
    ) -> Result<Response<CheckRemainingTokensResponse>, Status> {
        let id = person_named(&request, &request.get_ref().user_id)?;
        let balance = wallet::balance(&self.0, id, now()).await.map_err(failed)?;
        Ok(Response::new(balance))
    }

    async fn reserve_tokens(
        &self,
        request: Request<ReserveTokensRequest>,
    ) -> Result<Response<ReserveTokensResponse>, Status> {
        let id = person_named(&request, &request.get_ref().user_id)?;
        let exchange = request.get_ref().reservation_id.as_deref().map(Uuid::try_parse).transpose();
        let exchange = exchange.map_err(|_| Status::invalid_argument("reservation_id: a UUID"))?;
        wallet::hold(&self.0, id, exchange.unwrap_or_else(Uuid::now_v7), now()).await.map(Response::new)
    }
}
