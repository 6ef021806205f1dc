//! Who somebody is.
use crate::{application::projections::UserCard, domain::user::UserId};
use cqrs_core::{Error, Never, Query, Result, Views, handler};

/// Finds a person.
#[derive(Debug, Clone, Query)]
#[allow(missing_docs, reason = "the types say it")]
pub struct FindUserByUserId {
    pub user: UserId,
}

#[handler]
async fn find_user_by_user_id(query: FindUserByUserId, cards: Views<UserCard>) -> Result<UserCard, Never> {
    let card = cards.get(&query.user).await?;
    card.ok_or_else(|| Error::NotFound { kind: "user", id: query.user.to_string() })
}
