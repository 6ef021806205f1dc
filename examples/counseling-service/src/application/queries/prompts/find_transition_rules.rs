//! The query for the transition rules.
use crate::{
    application::{projections::RuleEntry, queries::Part},
    domain::prompt::{PromptVersionId, TechniqueId},
};
use cqrs_core::{HandlerResult, Infallible, Page, Query, Range, Views, handler};

/// Lists rules, oldest first.
#[derive(Debug, Clone, Query)]
pub struct FindTransitionRules {
    /// Only those of this version, which may be deleted.
    pub version: Option<PromptVersionId>,
    /// Only those that lead from this technique.
    pub from: Option<TechniqueId>,
    /// Only those that lead to this technique.
    pub to: Option<TechniqueId>,
    pub part: Part,
}

#[handler]
async fn find_transition_rules(
    query: FindTransitionRules,
    rules: Views<RuleEntry>,
) -> HandlerResult<Page<RuleEntry>, Infallible> {
    let FindTransitionRules { version, from, to, part } = query;
    let range: Range<RuleEntry> = match (version, from, to) {
        (None, None, None) => RuleEntry::all().deleted_at(None).into(),
        (Some(version), None, None) => RuleEntry::by_version().version(version).into(),
        (_, Some(from), None) => RuleEntry::by_from().from(from).into(),
        (_, None, Some(to)) => RuleEntry::by_to().to(to).into(),
        (_, Some(from), Some(to)) => RuleEntry::by_both().from(from).to(to).into(),
    };
    let mut page = rules.page(range, part.after.as_ref(), part.limit).await?;
    // A technique and all its rules are in one version, so with a technique this keeps all of them or none.
    if version.is_some_and(|version| page.items.first().is_some_and(|rule| rule.version != version)) {
        page = Page { items: Vec::new(), previous: None, next: None };
    }
    Ok(page)
}
