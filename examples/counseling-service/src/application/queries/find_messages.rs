//! The query for the messages of a counsel.
use super::Part;
use crate::{
    application::{
        not_found,
        projections::{CounselSummary, MessageEntry},
    },
    domain::counsel::{CounselId, UserId},
};
use cqrs_core::{HandlerResult, Infallible, PAGE_LIMIT, Page, Query, Views, handler};

/// Lists the messages of this person's counsel by number, in ascending order. The ids of several processes do not sort by
/// time.
#[derive(Debug, Clone, Query)]
pub struct FindMessages {
    pub counsel: CounselId,
    pub user: UserId,
    /// Without a part these are the newest ones, as many as one answer has.
    pub part: Option<Part>,
}

#[handler]
async fn find_messages(
    query: FindMessages,
    counsels: Views<CounselSummary>,
    messages: Views<MessageEntry>,
) -> HandlerResult<Page<MessageEntry>, Infallible> {
    let counsel = counsels.find(&query.counsel).await?.filter(|counsel| counsel.user == query.user);
    counsel.ok_or_else(|| not_found("counsel", query.counsel))?;
    let range = MessageEntry::by_counsel().counsel(query.counsel);
    Ok(match query.part {
        None => messages.last_page(range, PAGE_LIMIT).await?,
        Some(Part { after, limit }) => messages.page(range, after.as_ref(), limit).await?,
    })
}
