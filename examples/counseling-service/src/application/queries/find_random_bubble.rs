//! Any bubble of a counsellor.
use crate::{
    application::{not_found, projections::BubbleCard},
    domain::counselor::CounselorId,
};
use cqrs_core::{Clock, Never, PAGE_LIMIT, Query, Result, Views, handler};

/// Any bubble of a counsellor, each as likely as the next.
#[derive(Debug, Clone, Query)]
pub struct FindRandomBubble {
    /// Whose.
    pub counselor: CounselorId,
}

#[handler]
async fn find_random_bubble(
    query: FindRandomBubble,
    bubbles: Views<BubbleCard>,
    clock: Clock,
) -> Result<BubbleCard, Never> {
    let mut all = bubbles.page(BubbleCard::by_counselor(&query.counselor), None, PAGE_LIMIT).await?.items;
    if all.is_empty() {
        return Err(not_found("bubble of counselor", query.counselor));
    }
    // The last 62 bits of a UUIDv7 are random.
    let drawn = clock.id().as_u64_pair().1 % all.len() as u64;
    Ok(all.swap_remove(drawn as usize))
}
