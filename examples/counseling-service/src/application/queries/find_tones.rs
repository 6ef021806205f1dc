//! The query for the tones.
use super::Part;
use crate::{application::projections::ToneSummary, domain::counselor::ToneName};
use cqrs_core::{HandlerResult, Infallible, Page, Query, Range, Views, handler};

/// Lists all tones, or those with exactly this name, oldest first.
#[derive(Debug, Clone, Query)]
pub struct FindTones {
    pub name: Option<String>,
    pub part: Part,
}

#[handler]
async fn find_tones(query: FindTones, tones: Views<ToneSummary>) -> HandlerResult<Page<ToneSummary>, Infallible> {
    let range: Range<ToneSummary> = match query.name {
        None => ToneSummary::all().into(),
        // Stored names are normalised, so the given one is too. No tone has a name that is not valid.
        Some(name) => ToneSummary::by_name().name(ToneName::parse(&name).map_or(name, |name| name.to_string())).into(),
    };
    Ok(tones.page(range, query.part.after.as_ref(), query.part.limit).await?)
}
