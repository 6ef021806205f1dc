//! One bubble of a counsellor.
use crate::{
    application::{not_found, projections::BubbleCard},
    domain::counselor::{BubbleId, CounselorId},
};
use cqrs_core::{Never, Query, Result, Views, handler};

/// A bubble, if it is this counsellor's.
#[derive(Debug, Clone, Query)]
pub struct FindBubbleById {
    /// Which.
    pub id: BubbleId,
    /// Whose.
    pub counselor: CounselorId,
}

#[handler]
async fn find_bubble(query: FindBubbleById, bubbles: Views<BubbleCard>) -> Result<BubbleCard, Never> {
    let found = bubbles.get(&query.id).await?.filter(|it| it.counselor == query.counselor);
    found.ok_or_else(|| not_found("bubble", query.id))
}
