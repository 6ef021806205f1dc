//! One counsel of a person.
use crate::{
    application::{not_found, projections::CounselCard},
    domain::counsel::{CounselId, UserId},
};
use cqrs_core::{Never, Query, Result, Views, handler};

/// A counsel, if it is this person's.
#[derive(Debug, Clone, Query)]
pub struct FindCounselById {
    /// Which.
    pub id: CounselId,
    /// Whose.
    pub user: UserId,
}

#[handler]
async fn find_counsel(query: FindCounselById, counsels: Views<CounselCard>) -> Result<CounselCard, Never> {
    let found = counsels.get(&query.id).await?.filter(|it| it.user == query.user);
    found.ok_or_else(|| not_found("counsel", query.id))
}
