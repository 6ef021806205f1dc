//! The query of the view of the writers' own log, which query servers answer.
use super::Ledger;
use cqrs_core::{HandlerResult, Infallible, Query, Views, handler};

/// The module to discover.
pub const QUERIES: &str = module_path!();

/// Finds the view of an account.
#[derive(Debug, Clone, Query)]
pub struct FindLedger(pub String);

#[handler]
async fn find_ledger(query: FindLedger, ledgers: Views<Ledger>) -> HandlerResult<Option<Ledger>, Infallible> {
    Ok(ledgers.find(&query.0).await?)
}
