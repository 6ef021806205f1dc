//! The query for one tone.
use crate::{
    application::{not_found, projections::ToneSummary},
    domain::counselor::ToneId,
};
use cqrs_core::{HandlerResult, Infallible, Query, Views, handler};

/// Finds a tone.
#[derive(Debug, Clone, Query)]
pub struct FindToneById {
    pub id: ToneId,
}

#[handler]
async fn find_tone(query: FindToneById, tones: Views<ToneSummary>) -> HandlerResult<ToneSummary, Infallible> {
    tones.find(&query.id).await?.ok_or_else(|| not_found("tone", query.id))
}
