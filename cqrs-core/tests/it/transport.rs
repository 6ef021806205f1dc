//! The transport suite on the in-process transport; cqrs-kafka runs it on Kafka.
use crate::trials::trial;
use cqrs_core::testing::conformance::transport::{FreshInProcess, cases};
use libtest_mimic::Trial;
use std::sync::Arc;

pub(crate) fn trials() -> Vec<Trial> {
    let on = |case: cqrs_core::testing::conformance::transport::Case| {
        trial(format!("transport: in process: {}", case.name), move || (case.run)(Arc::new(FreshInProcess)))
    };
    cases().into_iter().map(on).collect()
}
