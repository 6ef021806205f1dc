//! `UserService`: each method parses its request and sends one command, query or process.
use super::mapping::MBTI;
use crate::{
    application::{
        commands::{ReserveTokens, UpdateUser},
        processes::first_visit,
        queries::{CheckRemainingTokens, FindUserByUserId},
    },
    domain::user::{
        Birthday, Edit, Gender, ImageUrl, Introduction, Mbti, Nickname, PhoneNumber, ProfileEdit, UserEdit,
    },
};
use contracts::v1::{model, service as rpc};
use cqrs_core::Committed;
use service_edge::{Call, Endpoint, Rejection, RpcResult, parse};
use tonic::Request;

pub(super) struct Users(pub(super) Endpoint);

#[tonic::async_trait]
impl rpc::user_service_server::UserService for Users {
    async fn initialize_user(
        &self,
        request: Request<rpc::InitializeUserRequest>,
    ) -> RpcResult<rpc::InitializeUserResponse> {
        let (call, _) = Call::read(request)?;
        // Without an idempotency key: a caller who repeated it would get the identity of that person.
        let Committed { output: initialized, position } = first_visit(&call.without_key(self.0.app())).await?;
        Ok(self.0.respond(initialized.into(), position))
    }
    async fn find_user_by_user_id(
        &self,
        request: Request<rpc::FindUserByUserIdRequest>,
    ) -> RpcResult<rpc::FindUserByUserIdResponse> {
        let (call, message) = Call::read(request)?;
        let query = FindUserByUserId { user: call.acts_for(&message.user_id)? };
        self.0.send(call, query, |user| rpc::FindUserByUserIdResponse { user: Some(user.into()) }).await
    }
    async fn update_user(&self, request: Request<rpc::UpdateUserRequest>) -> RpcResult<rpc::UpdateUserResponse> {
        let (call, message) = Call::read(request)?;
        let command = UpdateUser { user: call.acts_for(&message.user_id)?, edit: edit(&message)? };
        self.0.send(call, command, |user| rpc::UpdateUserResponse { user: Some(user.into()) }).await
    }
    async fn check_remaining_tokens(
        &self,
        request: Request<rpc::CheckRemainingTokensRequest>,
    ) -> RpcResult<rpc::CheckRemainingTokensResponse> {
        let (call, message) = Call::read(request)?;
        let query = CheckRemainingTokens { user: call.acts_for(&message.user_id)? };
        self.0.send(call, query, Into::into).await
    }
    async fn reserve_tokens(
        &self,
        request: Request<rpc::ReserveTokensRequest>,
    ) -> RpcResult<rpc::ReserveTokensResponse> {
        let (call, message) = Call::read(request)?;
        let (user, exchange) = (call.acts_for(&message.user_id)?, message.reservation_id.as_deref());
        let command = ReserveTokens { user, exchange: parse::optional_id("reservation_id", exchange)? };
        self.0.send(call, command, Into::into).await
    }
}

fn edit(message: &rpc::UpdateUserRequest) -> Result<UserEdit, Rejection> {
    let profile = ProfileEdit {
        image: Edit::of(message.profile_image.as_deref(), ImageUrl::parse)?,
        phone_number: Edit::of(message.phone_number.as_deref(), PhoneNumber::parse)?,
        gender: message.gender.map(gender).transpose()?.unwrap_or_default(),
        birthday: Edit::of(message.birthday.as_deref(), Birthday::parse)?,
        introduction: Edit::of(message.introduction.as_deref(), Introduction::parse)?,
        mbti: message.mbti.map(mbti).transpose()?.unwrap_or_default(),
    };
    Ok(UserEdit { nickname: message.nickname.as_deref().map(Nickname::parse).transpose()?, profile })
}
/// Converts a gender; as with texts, the empty value clears the field.
fn gender(number: i32) -> Result<Edit<Gender>, Rejection> {
    Ok(match parse::value("gender", number)? {
        model::Gender::Unspecified => Edit::Clear,
        model::Gender::Male => Edit::Set(Gender::Male),
        model::Gender::Female => Edit::Set(Gender::Female),
    })
}
fn mbti(number: i32) -> Result<Edit<Mbti>, Rejection> {
    match parse::value("mbti", number)? {
        model::Mbti::Unspecified => Ok(Edit::Clear),
        value => Ok(Edit::Set(Mbti::parse(value.as_str_name().trim_start_matches(MBTI))?)),
    }
}
