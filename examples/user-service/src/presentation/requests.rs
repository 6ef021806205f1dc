//! Conversions from request messages to commands and queries.
use crate::{
    application::{
        commands::{ReserveTokens, UpdateUser},
        queries::{CheckRemainingTokens, FindUserByUserId},
    },
    domain::user::{
        Birthday, Edit, Gender, ImageUrl, Introduction, Mbti, Nickname, PhoneNumber, ProfileEdit, UserEdit, UserError,
        UserId,
    },
};
use contracts::v1::{
    model,
    service::{CheckRemainingTokensRequest, FindUserByUserIdRequest, ReserveTokensRequest, UpdateUserRequest},
};
use cqrs_core::DomainError;

/// The error of an invalid request. It names the field.
#[derive(Debug, PartialEq, Eq, thiserror::Error, DomainError)]
#[kind(invalid)]
pub enum BadRequest {
    #[error("a UUID")]
    #[field("user_id")]
    UserId,
    #[error("a UUID")]
    #[field("reservation_id")]
    ReservationId,
    #[error("one of the contract's values")]
    #[field("gender")]
    Gender,
    #[error("one of the contract's values")]
    #[field("mbti")]
    Mbti,
    #[error(transparent)]
    #[kind(transparent)]
    User(#[from] UserError),
}

/// A request that concerns one person; only that person may send it.
pub(super) trait Concerns {
    /// The person concerned.
    fn user(&self) -> UserId;
}
macro_rules! concerns {
    ($($request:ident),*) => {
        $(impl Concerns for $request {
            fn user(&self) -> UserId {
                self.user
            }
        })*
    };
}
concerns!(FindUserByUserId, CheckRemainingTokens, ReserveTokens, UpdateUser);

fn user(id: &str) -> Result<UserId, BadRequest> {
    id.parse().map_err(|_| BadRequest::UserId)
}

impl TryFrom<FindUserByUserIdRequest> for FindUserByUserId {
    type Error = BadRequest;
    fn try_from(request: FindUserByUserIdRequest) -> Result<Self, BadRequest> {
        Ok(FindUserByUserId { user: user(&request.user_id)? })
    }
}
impl TryFrom<CheckRemainingTokensRequest> for CheckRemainingTokens {
    type Error = BadRequest;
    fn try_from(request: CheckRemainingTokensRequest) -> Result<Self, BadRequest> {
        Ok(CheckRemainingTokens { user: user(&request.user_id)? })
    }
}
impl TryFrom<ReserveTokensRequest> for ReserveTokens {
    type Error = BadRequest;
    fn try_from(request: ReserveTokensRequest) -> Result<Self, BadRequest> {
        let exchange = request.reservation_id.map(|id| id.parse().map_err(|_| BadRequest::ReservationId));
        Ok(ReserveTokens { user: user(&request.user_id)?, exchange: exchange.transpose()? })
    }
}
impl TryFrom<UpdateUserRequest> for UpdateUser {
    type Error = BadRequest;
    fn try_from(request: UpdateUserRequest) -> Result<Self, BadRequest> {
        let profile = ProfileEdit {
            image: Edit::of(request.profile_image.as_deref(), ImageUrl::parse)?,
            phone_number: Edit::of(request.phone_number.as_deref(), PhoneNumber::parse)?,
            gender: request.gender.map(gender).transpose()?.unwrap_or_default(),
            birthday: Edit::of(request.birthday.as_deref(), Birthday::parse)?,
            introduction: Edit::of(request.introduction.as_deref(), Introduction::parse)?,
            mbti: request.mbti.map(mbti).transpose()?.unwrap_or_default(),
        };
        let nickname = request.nickname.as_deref().map(Nickname::parse).transpose()?;
        Ok(UpdateUser { user: user(&request.user_id)?, edit: UserEdit { nickname, profile } })
    }
}
/// Converts a gender; as with texts, the empty value clears the field.
fn gender(value: i32) -> Result<Edit<Gender>, BadRequest> {
    Ok(match value.try_into().map_err(|_| BadRequest::Gender)? {
        model::Gender::Unspecified => Edit::Clear,
        model::Gender::Male => Edit::Set(Gender::Male),
        model::Gender::Female => Edit::Set(Gender::Female),
    })
}
/// The prefix of each type's name in the contract.
pub(super) const MBTI: &str = "MBTI_";
fn mbti(value: i32) -> Result<Edit<Mbti>, BadRequest> {
    match value.try_into().map_err(|_| BadRequest::Mbti)? {
        model::Mbti::Unspecified => Ok(Edit::Clear),
        value => Ok(Edit::Set(Mbti::parse(value.as_str_name().trim_start_matches(MBTI))?)),
    }
}
