//! Pairs of runs: both sides of a row take turns, so that other load on the machine affects both.
use crate::{
    catalogue::Row,
    measure::{self, Sample},
    statistics::Spread,
    subject::{Payload, Subject},
};
use anyhow::Result;
use std::time::Duration;

/// The number of measured runs and their length.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) runs: u32,
    pub(crate) time: Duration,
}

/// One side of a row.
pub(crate) struct Side {
    pub(crate) name: &'static str,
    pub(crate) payload: Option<Payload>,
    pub(crate) samples: Vec<Sample>,
}
impl Side {
    async fn of(subject: &dyn Subject) -> Result<Side> {
        Ok(Side { name: subject.name(), payload: subject.payload().await?, samples: Vec::new() })
    }
}
/// A measured row: the subject and its baseline, run by run.
pub(crate) struct Comparison {
    pub(crate) row: Row,
    pub(crate) subject: Side,
    /// `None` for a row that is held against a figure and not against another program.
    pub(crate) baseline: Option<Side>,
    /// The header's line about the database, if one was used.
    pub(crate) database: Option<String>,
}
impl Comparison {
    /// Returns the sides that were measured.
    pub(crate) fn sides(&self) -> impl Iterator<Item = &Side> {
        std::iter::once(&self.subject).chain(&self.baseline)
    }
    /// Returns the spread of the ratios of the pairs of runs, or `None` without a baseline.
    pub(crate) fn ratio(&self, value: impl Fn(&Sample) -> f64) -> Option<Spread> {
        let pairs = self.subject.samples.iter().zip(&self.baseline.as_ref()?.samples);
        Spread::of(pairs.map(|(subject, baseline)| value(subject) / value(baseline)))
    }
}
/// A row that could not be measured on this machine.
pub(crate) struct Unmeasured {
    pub(crate) row: Row,
    /// The missing program, and the command that installs it.
    pub(crate) reason: String,
}

/// Measures a subject and its baseline in turns.
pub(crate) async fn compare(
    row: Row,
    subject: &dyn Subject,
    baseline: &dyn Subject,
    plan: &Plan,
) -> Result<Comparison> {
    let limit = row.limit(plan.time);
    eprint!("{}: warm-up", row.name());
    let (mut of_subject, mut of_baseline) = (Side::of(subject).await?, Side::of(baseline).await?);
    measure::run(subject, row.callers, limit).await?;
    measure::run(baseline, row.callers, limit).await?;
    for run in 1..=plan.runs {
        eprint!(", {run}");
        // The order changes with each pair, so that neither side always runs after the other.
        if run % 2 == 1 {
            of_subject.samples.push(measure::run(subject, row.callers, limit).await?);
        }
        of_baseline.samples.push(measure::run(baseline, row.callers, limit).await?);
        if run % 2 == 0 {
            of_subject.samples.push(measure::run(subject, row.callers, limit).await?);
        }
    }
    eprintln!();
    Ok(Comparison { row, subject: of_subject, baseline: Some(of_baseline), database: None })
}

/// Measures a subject that has no baseline.
pub(crate) async fn alone(row: Row, subject: &dyn Subject, plan: &Plan) -> Result<Comparison> {
    let limit = row.limit(plan.time);
    eprint!("{}: warm-up", row.name());
    let mut of_subject = Side::of(subject).await?;
    measure::run(subject, row.callers, limit).await?;
    for run in 1..=plan.runs {
        eprint!(", {run}");
        of_subject.samples.push(measure::run(subject, row.callers, limit).await?);
    }
    eprintln!();
    Ok(Comparison { row, subject: of_subject, baseline: None, database: None })
}
