//! The query for one transition rule.
use crate::{
    application::{not_found, projections::RuleEntry},
    domain::prompt::RuleId,
};
use cqrs_core::{HandlerResult, Infallible, Query, Views, handler};

/// Finds a rule, also one of a deleted version.
#[derive(Debug, Clone, Query)]
pub struct FindTransitionRuleById {
    pub id: RuleId,
}

#[handler]
async fn find_transition_rule(
    query: FindTransitionRuleById,
    rules: Views<RuleEntry>,
) -> HandlerResult<RuleEntry, Infallible> {
    rules.find(&query.id).await?.ok_or_else(|| not_found("counsel-technique-transition-rule", query.id))
}
