//! One tone.
use crate::{
    application::{not_found, projections::ToneCard},
    domain::counselor::ToneId,
};
use cqrs_core::{Never, Query, Result, Views, handler};

/// A tone.
#[derive(Debug, Clone, Query)]
pub struct FindToneById {
    /// Which.
    pub id: ToneId,
}

#[handler]
async fn find_tone(query: FindToneById, tones: Views<ToneCard>) -> Result<ToneCard, Never> {
    tones.get(&query.id).await?.ok_or_else(|| not_found("tone", query.id))
}
