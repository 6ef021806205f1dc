//! A person's counsels, newest first.
use super::Part;
use crate::{
    application::projections::CounselCard,
    domain::{counsel::UserId, counselor::CounselorId},
};
use cqrs_core::{Never, Page, Query, Result, Views, handler};

/// A person's counsels, with one counsellor or with all.
#[derive(Debug, Clone, Query)]
pub struct FindCounsels {
    /// Whose.
    pub user: UserId,
    /// With whom.
    pub counselor: Option<CounselorId>,
    /// Which part.
    pub part: Part,
}

#[handler]
async fn find_counsels(query: FindCounsels, counsels: Views<CounselCard>) -> Result<Page<CounselCard>, Never> {
    let range = match query.counselor {
        None => CounselCard::by_user(&query.user),
        Some(counselor) => CounselCard::with(query.user, counselor),
    };
    Ok(counsels.page(range, query.part.after.as_ref(), query.part.limit).await?)
}
