//! The budget of calls to a language model, for this process and a day.
use crate::{application::ports::ModelBudget, domain::model_budget::CallsOfDay};
use cqrs_core::Timestamp;
use std::sync::{Mutex, PoisonError};

/// The calls in a day unless the settings say otherwise.
pub const DAILY_CALLS: u32 = 10_000;

/// Counts the calls of this process. A restart begins with none.
pub(super) struct DailyCalls {
    /// `None` for a responder whose calls cost nothing.
    limit: Option<u32>,
    made: Mutex<CallsOfDay>,
}
impl DailyCalls {
    pub(super) fn new(limit: Option<u32>) -> Self {
        DailyCalls { limit, made: Mutex::default() }
    }
}
impl ModelBudget for DailyCalls {
    fn is_used_up(&self, now: Timestamp) -> bool {
        let Some(limit) = self.limit else { return false };
        self.made.lock().unwrap_or_else(PoisonError::into_inner).after_call(limit, now).is_none()
    }
    fn take(&self, now: Timestamp) -> bool {
        let Some(limit) = self.limit else { return true };
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let after = made.after_call(limit, now);
        after.map(|after| *made = after).is_some()
    }
}
