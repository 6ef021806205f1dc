//! The query for a person's consents.
use crate::{application::projections::ConsentEntry, domain::counsel::UserId};
use cqrs_core::{HandlerResult, Infallible, PAGE_LIMIT, Query, Views, handler};

/// Lists the consents of a person, one of each kind that was ever given.
#[derive(Debug, Clone, Query)]
pub struct FindConsents {
    pub user: UserId,
}

#[handler]
async fn find_consents(
    query: FindConsents,
    consents: Views<ConsentEntry>,
) -> HandlerResult<Vec<ConsentEntry>, Infallible> {
    Ok(consents.page(ConsentEntry::by_person().person(query.user), None, PAGE_LIMIT).await?.items)
}
