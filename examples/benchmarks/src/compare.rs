//! Pairs of runs: both sides of a row take turns, so that other load on the machine affects both.
use crate::{
    catalogue::{Kind, Row},
    in_process::{ByHand, DirectCall, FrameworkCommand, FrameworkDispatch},
    measure::{self, Sample},
    rest::Rest,
    subject::{Payload, Subject},
    system::{Binaries, Server, System},
};
use anyhow::Result;
use std::{path::Path, sync::Arc, time::Duration};
use test_support::Kafka;

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
/// A measured row: the subject and its baseline, run by run.
pub(crate) struct Comparison {
    pub(crate) row: Row,
    pub(crate) subject: Side,
    pub(crate) baseline: Side,
    /// The header's line about the database, if one was used.
    pub(crate) database: Option<String>,
}

/// Measures all rows, group by group. Each group starts the systems that its rows need and ends them afterwards.
pub(crate) async fn all(rows: &[Row], checkout: &Path, plan: &Plan, done: &mut impl FnMut(Comparison)) -> Result<()> {
    let of = |wanted: fn(&Kind) -> bool| rows.iter().copied().filter(move |row| wanted(&row.kind)).collect::<Vec<_>>();
    let deployed = of(|kind| matches!(kind, Kind::Deployed(_)));
    if !deployed.is_empty() {
        let binaries = Binaries::build(checkout)?;
        let (server, kafka) = (Server::start().await?, Kafka::start()?);
        let subject = Arc::new(System::deployed(&binaries, &server, &kafka).await?);
        rest(&deployed, subject, &server, plan, done).await?;
    }
    let embedded = of(|kind| matches!(kind, Kind::Embedded(_)));
    if !embedded.is_empty() {
        let binaries = Binaries::build(checkout)?;
        let server = Server::start().await?;
        let subject = Arc::new(System::embedded(&binaries).await?);
        rest(&embedded, subject, &server, plan, done).await?;
    }
    let commands = of(|kind| matches!(kind, Kind::Command));
    if !commands.is_empty() {
        let server = Server::start().await?;
        let (subject, baseline) = (FrameworkCommand::start(&server).await?, ByHand::start(&server).await?);
        for row in commands {
            let database = Some(server.describe().await?);
            done(Comparison { database, ..compare(row, &subject, &baseline, plan).await? });
        }
    }
    for row in rows {
        if let Kind::EventSourced(past) = row.kind {
            let server = Server::start().await?;
            let subject = FrameworkCommand::event_sourced(&server, past).await?;
            let baseline = FrameworkCommand::state_stored(&server, past).await?;
            let database = Some(server.describe().await?);
            done(Comparison { database, ..compare(*row, &subject, &baseline, plan).await? });
        }
    }
    for row in rows {
        if let Kind::Dispatch(dispatched) = row.kind {
            let subject = FrameworkDispatch::new(dispatched)?;
            done(compare(*row, &subject, &DirectCall(dispatched), plan).await?);
        }
    }
    Ok(())
}

async fn rest(
    rows: &[Row],
    subject: Arc<System>,
    server: &Server,
    plan: &Plan,
    done: &mut impl FnMut(Comparison),
) -> Result<()> {
    let twin = Arc::new(System::twin(server).await?);
    for row in rows {
        let (Kind::Deployed(operation) | Kind::Embedded(operation)) = row.kind else { continue };
        let subject = Rest { system: subject.clone(), operation };
        let baseline = Rest { system: twin.clone(), operation };
        let database = Some(server.describe().await?);
        done(Comparison { database, ..compare(*row, &subject, &baseline, plan).await? });
    }
    Ok(())
}

async fn compare(row: Row, subject: &dyn Subject, baseline: &dyn Subject, plan: &Plan) -> Result<Comparison> {
    let limit = row.limit(plan.time);
    eprint!("{}: warm-up", row.name());
    let side = |subject: &dyn Subject, payload| Side { name: subject.name(), payload, samples: Vec::new() };
    let mut comparison = Comparison {
        row,
        subject: side(subject, subject.payload().await?),
        baseline: side(baseline, baseline.payload().await?),
        database: None,
    };
    measure::run(subject, row.callers, limit).await?;
    measure::run(baseline, row.callers, limit).await?;
    for run in 1..=plan.runs {
        eprint!(", {run}");
        // The order changes with each pair, so that neither side always runs after the other.
        if run % 2 == 1 {
            comparison.subject.samples.push(measure::run(subject, row.callers, limit).await?);
        }
        comparison.baseline.samples.push(measure::run(baseline, row.callers, limit).await?);
        if run % 2 == 0 {
            comparison.subject.samples.push(measure::run(subject, row.callers, limit).await?);
        }
    }
    eprintln!();
    Ok(comparison)
}
