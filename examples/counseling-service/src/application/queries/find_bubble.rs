//! The query for one bubble of a counsellor.
use crate::{
    application::{not_found, projections::BubbleSummary},
    domain::counselor::{BubbleId, CounselorId},
};
use cqrs_core::{HandlerResult, Infallible, Query, Views, handler};

/// Finds a bubble of this counsellor.
#[derive(Debug, Clone, Query)]
pub struct FindBubbleById {
    pub id: BubbleId,
    pub counselor: CounselorId,
}

#[handler]
async fn find_bubble(query: FindBubbleById, bubbles: Views<BubbleSummary>) -> HandlerResult<BubbleSummary, Infallible> {
    let found = bubbles.find(&query.id).await?.filter(|bubble| bubble.counselor == query.counselor);
    found.ok_or_else(|| not_found("bubble", query.id))
}
