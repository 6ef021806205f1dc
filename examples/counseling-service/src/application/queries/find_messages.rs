//! The messages of a counsel, as they were said.
use super::Part;
use crate::{
    application::{
        not_found,
        projections::{CounselCard, MessageCard},
    },
    domain::counsel::{CounselId, UserId},
};
use cqrs_core::{Never, Page, Query, Result, Views, handler};

/// The messages of a counsel, if it is this person's. By their number: ids of several processes do not sort by time.
#[derive(Debug, Clone, Query)]
pub struct FindMessages {
    /// Of which.
    pub counsel: CounselId,
    /// Whose.
    pub user: UserId,
    /// Which part.
    pub part: Part,
}

#[handler]
async fn find_messages(
    query: FindMessages,
    counsels: Views<CounselCard>,
    messages: Views<MessageCard>,
) -> Result<Page<MessageCard>, Never> {
    let counsel = counsels.get(&query.counsel).await?.filter(|it| it.user == query.user);
    counsel.ok_or_else(|| not_found("counsel", query.counsel))?;
    let range = MessageCard::by_counsel(&query.counsel);
    Ok(messages.page(range, query.part.after.as_ref(), query.part.limit).await?)
}
