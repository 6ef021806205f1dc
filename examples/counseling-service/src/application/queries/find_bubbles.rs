//! A counsellor's bubbles.
use super::Part;
use crate::{application::projections::BubbleCard, domain::counselor::CounselorId};
use cqrs_core::{Never, Page, Query, Result, Views, handler};

/// A counsellor's bubbles, in the order in which they came.
#[derive(Debug, Clone, Query)]
pub struct FindBubbles {
    /// Whose.
    pub counselor: CounselorId,
    /// Which part.
    pub part: Part,
}

#[handler]
async fn find_bubbles(query: FindBubbles, bubbles: Views<BubbleCard>) -> Result<Page<BubbleCard>, Never> {
    let range = BubbleCard::by_counselor(&query.counselor);
    Ok(bubbles.page(range, query.part.after.as_ref(), query.part.limit).await?)
}
