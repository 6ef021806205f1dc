//! The query for the versions.
use crate::application::{projections::VersionSummary, queries::Part};
use cqrs_core::{Fault, HandlerResult, Infallible, PAGE_LIMIT, Page, Query, Range, Views, handler};

/// Lists the versions that are not deleted, newest first.
#[derive(Debug, Clone, Query)]
pub struct FindPromptVersions {
    /// Only versions with this text in their name, regardless of case.
    pub name: Option<String>,
    /// Only versions with, or without, a bookmark.
    pub bookmarked: Option<bool>,
    pub part: Part,
}

#[handler]
async fn find_prompt_versions(
    query: FindPromptVersions,
    versions: Views<VersionSummary>,
) -> HandlerResult<Page<VersionSummary>, Infallible> {
    let FindPromptVersions { name, bookmarked, part } = query;
    let range: Range<VersionSummary> = match bookmarked {
        None => VersionSummary::newest().deleted_at(None).into(),
        Some(bookmarked) => VersionSummary::by_bookmark().deleted_at(None).bookmarked(bookmarked).into(),
    };
    match name {
        None => Ok(versions.page(range, part.after.as_ref(), part.limit).await?),
        Some(name) => Ok(named(&versions, range, &name, part).await?),
    }
}

/// Reads versions until a page is full. No index finds a part of a name, and there are few versions.
async fn named(
    versions: &Views<VersionSummary>,
    range: Range<VersionSummary>,
    name: &str,
    part: Part,
) -> Result<Page<VersionSummary>, Fault> {
    let Part { mut after, limit } = part;
    let mut found: Vec<VersionSummary> = Vec::new();
    loop {
        let read = versions.page(range.clone(), after.as_ref(), PAGE_LIMIT).await?;
        for version in read.items.into_iter().filter(|version| version.details.name.contains(name)) {
            if found.len() == limit {
                // There is another page.
                let next = found.last().and_then(|last| range.cursor(last, &last.id));
                return Ok(Page { items: found, previous: None, next });
            }
            found.push(version);
        }
        match read.next {
            None => return Ok(Page { items: found, previous: None, next: None }),
            next => after = next,
        }
    }
}
