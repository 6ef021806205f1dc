//! The query for a random bubble of a counsellor.
use crate::{
    application::{not_found, projections::BubbleSummary},
    domain::counselor::CounselorId,
};
use cqrs_core::{Clock, HandlerResult, Infallible, PAGE_LIMIT, Query, Views, handler};

/// Draws one of a counsellor's bubbles, each with the same probability.
#[derive(Debug, Clone, Query)]
pub struct FindRandomBubble {
    pub counselor: CounselorId,
}

#[handler]
async fn find_random_bubble(
    query: FindRandomBubble,
    bubbles: Views<BubbleSummary>,
    clock: Clock,
) -> HandlerResult<BubbleSummary, Infallible> {
    let mut all = bubbles.page(BubbleSummary::by_counselor().counselor(query.counselor), None, PAGE_LIMIT).await?.items;
    if all.is_empty() {
        return Err(not_found("bubble of counselor", query.counselor));
    }
    // The last 62 bits of a UUIDv7 are random.
    let drawn = clock.id().as_u64_pair().1 % all.len() as u64;
    Ok(all.swap_remove(drawn as usize))
}
