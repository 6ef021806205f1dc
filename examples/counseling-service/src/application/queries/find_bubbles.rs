//! The query for a counsellor's bubbles.
use super::Part;
use crate::{application::projections::BubbleSummary, domain::counselor::CounselorId};
use cqrs_core::{HandlerResult, Infallible, Page, Query, Views, handler};

/// Lists a counsellor's bubbles, oldest first.
#[derive(Debug, Clone, Query)]
pub struct FindBubbles {
    pub counselor: CounselorId,
    pub part: Part,
}

#[handler]
async fn find_bubbles(
    query: FindBubbles,
    bubbles: Views<BubbleSummary>,
) -> HandlerResult<Page<BubbleSummary>, Infallible> {
    let range = BubbleSummary::by_counselor().counselor(query.counselor);
    Ok(bubbles.page(range, query.part.after.as_ref(), query.part.limit).await?)
}
