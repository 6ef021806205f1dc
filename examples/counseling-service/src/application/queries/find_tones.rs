//! The query for the tones.
use super::Part;
use crate::application::projections::ToneSummary;
use cqrs_core::{HandlerResult, Infallible, Page, Query, Views, handler};

/// Lists all tones, or those with exactly this name, oldest first.
#[derive(Debug, Clone, Query)]
pub struct FindTones {
    pub name: Option<String>,
    pub part: Part,
}

#[handler]
async fn find_tones(query: FindTones, tones: Views<ToneSummary>) -> HandlerResult<Page<ToneSummary>, Infallible> {
    let range = query.name.as_deref().map_or_else(ToneSummary::all, ToneSummary::by_name);
    Ok(tones.page(range, query.part.after.as_ref(), query.part.limit).await?)
}
