//! The query for the messages of a counsel.
use super::Part;
use crate::{
    application::{
        not_found,
        projections::{CounselSummary, MessageEntry},
    },
    domain::counsel::{CounselId, UserId},
};
use cqrs_core::{Cursor, Fault, HandlerResult, Infallible, PAGE_LIMIT, Query, Range, Views, handler};

/// Lists the messages of this person's counsel by number. The ids of several processes do not sort by time.
#[derive(Debug, Clone, Query)]
pub struct FindMessages {
    pub counsel: CounselId,
    pub user: UserId,
    pub part: MessagePart,
}

/// A part of the messages of a counsel. In each of them the messages are in ascending order.
#[derive(Debug, Clone)]
pub enum MessagePart {
    /// The newest ones, as many as one answer has.
    Newest,
    /// From the beginning, or after a page.
    Forwards(Part),
    /// Before a page.
    Backwards(Part),
}

/// One page of messages in ascending order.
#[derive(Debug, Clone, PartialEq)]
pub struct MessagePage {
    pub items: Vec<MessageEntry>,
    /// The start of the page after this one; absent on the last page.
    pub next: Option<Cursor>,
    /// The end of the page before this one; absent on the first page.
    pub previous: Option<Cursor>,
}

#[handler]
async fn find_messages(
    query: FindMessages,
    counsels: Views<CounselSummary>,
    messages: Views<MessageEntry>,
) -> HandlerResult<MessagePage, Infallible> {
    let counsel = counsels.find(&query.counsel).await?.filter(|counsel| counsel.user == query.user);
    counsel.ok_or_else(|| not_found("counsel", query.counsel))?;
    Ok(match query.part {
        MessagePart::Newest => MessagePage { next: None, ..before(&messages, query.counsel, None, PAGE_LIMIT).await? },
        MessagePart::Backwards(Part { after, limit }) => {
            before(&messages, query.counsel, after.as_ref(), limit).await?
        }
        MessagePart::Forwards(Part { after, limit }) => {
            let range = MessageEntry::by_counsel().counsel(query.counsel);
            let page = messages.page(range, after.as_ref(), limit).await?;
            let first = page.items.first().filter(|first| first.number > 1);
            let previous = first.and_then(|first| descending(query.counsel).cursor(first, &first.sent.id));
            MessagePage { items: page.items, next: page.next, previous }
        }
    })
}

/// Returns the page before a cursor of the descending order; without one, the last page.
async fn before(
    messages: &Views<MessageEntry>,
    counsel: CounselId,
    cursor: Option<&Cursor>,
    limit: usize,
) -> Result<MessagePage, Fault> {
    let page = messages.page(descending(counsel), cursor, limit).await?;
    let ascending: Range<MessageEntry> = MessageEntry::by_counsel().counsel(counsel).into();
    let next = page.items.first().and_then(|last| ascending.cursor(last, &last.sent.id));
    Ok(MessagePage { items: page.items.into_iter().rev().collect(), next, previous: page.next })
}

/// Returns the messages of a counsel, the newest first.
pub(super) fn descending(counsel: CounselId) -> Range<MessageEntry> {
    MessageEntry::latest().counsel(counsel).into()
}
