//! The tones there are.
use super::Part;
use crate::application::projections::ToneCard;
use cqrs_core::{Never, Page, Query, Result, Views, handler};

/// The tones, or those of exactly this name, in the order in which they came.
#[derive(Debug, Clone, Query)]
pub struct FindTones {
    /// Of which name.
    pub name: Option<String>,
    /// Which part.
    pub part: Part,
}

#[handler]
async fn find_tones(query: FindTones, tones: Views<ToneCard>) -> Result<Page<ToneCard>, Never> {
    let range = query.name.as_deref().map_or_else(ToneCard::all, ToneCard::by_name);
    Ok(tones.page(range, query.part.after.as_ref(), query.part.limit).await?)
}
