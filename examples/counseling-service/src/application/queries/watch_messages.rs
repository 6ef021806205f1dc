//! The live query for the messages of a counsel.
use crate::{
    application::{
        not_found,
        projections::{CounselSummary, MessageEntry},
    },
    domain::counsel::{CounselId, UserId},
};
use cqrs_core::{HandlerResult, Infallible, Live, LivePage, Query, ResumeToken, Views, handler};

/// The number of the newest messages that are watched. Older messages hardly change.
const NEWEST: usize = 100;

/// Watches the newest messages of this person's counsel.
#[derive(Debug, Clone, Query)]
pub struct WatchMessages {
    pub counsel: CounselId,
    pub user: UserId,
    /// The place from which an earlier subscription is resumed.
    pub resume: Option<ResumeToken>,
}

#[handler]
async fn watch_messages(
    query: WatchMessages,
    counsels: Views<CounselSummary>,
    messages: Views<MessageEntry>,
) -> HandlerResult<Live<Vec<MessageEntry>>, Infallible> {
    let counsel = counsels.find(&query.counsel).await?.filter(|counsel| counsel.user == query.user);
    counsel.ok_or_else(|| not_found("counsel", query.counsel))?;
    let newest_first = MessageEntry::by_counsel().counsel(query.counsel).reversed();
    let live = messages.watch_page(newest_first, NEWEST, query.resume.as_ref()).await?;
    Ok(live.map(|update| update.map(changed)))
}

/// Returns the messages that are new or have changed, in the order of the counsel. No message is ever removed.
fn changed(LivePage { page, changed, .. }: LivePage<MessageEntry>) -> Vec<MessageEntry> {
    let mut items: Vec<_> = page.items.into_iter().map(Some).collect();
    changed.into_iter().rev().filter_map(|index| items[index].take()).collect()
}
