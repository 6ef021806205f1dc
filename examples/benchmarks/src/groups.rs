//! Groups of rows. Each group starts the systems that its rows need, and ends them afterwards.
use crate::{
    catalogue::{Kind, Row},
    compare::{Comparison, Plan, Unmeasured, alone, compare},
    in_process::{
        Backend, BareRedis, BareSelect, ByHand, Commands, CounterService, DirectCall, FrameworkCommand,
        FrameworkDispatch, FrameworkQuery, LiveQuery, Place, ProcessSteps, RebuildBeside, StepsByHand, TimersFired,
        ViewTarget, WholeRebuild,
    },
    live_events::LiveEvents,
    rest::Rest,
    system::{Binaries, Server, System},
};
use anyhow::Result;
use std::{path::Path, sync::Arc};
use test_support::{Kafka, Redis, Unavailable};

/// The outcome of a row.
pub(crate) type Measured = Result<Comparison, Unmeasured>;

/// Measures all rows, group by group.
pub(crate) async fn all(rows: &[Row], checkout: &Path, plan: &Plan, done: &mut impl FnMut(Measured)) -> Result<()> {
    let of = |wanted: fn(&Kind) -> bool| rows.iter().copied().filter(move |row| wanted(&row.kind)).collect::<Vec<_>>();
    let deployed = of(|kind| matches!(kind, Kind::Deployed(_) | Kind::LiveEvents(_)));
    if !deployed.is_empty() {
        let binaries = Binaries::build(checkout)?;
        let (server, kafka) = (Server::start().await?, Kafka::start()?);
        let subject = Arc::new(System::deployed(&binaries, &server, &kafka).await?);
        let (rest, live): (Vec<_>, Vec<_>) =
            deployed.into_iter().partition(|row| matches!(row.kind, Kind::Deployed(_)));
        if !rest.is_empty() {
            measure_rest(&rest, subject.clone(), &server, plan, done).await?;
        }
        for row in live {
            let Kind::LiveEvents(since) = row.kind else { continue };
            let subject = LiveEvents { system: subject.clone(), since };
            let database = Some(server.describe().await?);
            done(Ok(Comparison { database, ..alone(row, &subject, plan).await? }));
        }
    }
    let embedded = of(|kind| matches!(kind, Kind::Embedded(_)));
    if !embedded.is_empty() {
        let binaries = Binaries::build(checkout)?;
        let server = Server::start().await?;
        let subject = Arc::new(System::embedded(&binaries).await?);
        measure_rest(&embedded, subject, &server, plan, done).await?;
    }
    commands(&of(|kind| matches!(kind, Kind::Command | Kind::EventSourced(_))), plan, done).await?;
    for backend in Backend::ALL {
        let wanted = |row: &&Row| matches!(row.kind, Kind::Rebuild(on) | Kind::BesideRebuild(on) if on == backend);
        let rebuilds: Vec<_> = rows.iter().filter(wanted).copied().collect();
        if !rebuilds.is_empty() {
            measure_rebuilds(&rebuilds, backend, plan, done).await?;
        }
    }
    for row in rows {
        match row.kind {
            Kind::ProcessSteps(backend) => {
                let place = Place::start(backend).await?;
                let (subject, baseline) = (ProcessSteps::start(&place).await?, StepsByHand::start(&place).await?);
                let compared = compare(*row, &subject, &baseline, plan).await?;
                done(Ok(Comparison { database: place.describe().await?, ..compared }));
                subject.stop().await;
            }
            Kind::Timers(backend) => {
                let place = Place::start(backend).await?;
                let measured = alone(*row, &TimersFired::start(&place).await?, plan).await?;
                done(Ok(Comparison { database: place.describe().await?, ..measured }));
            }
            _ => (),
        }
    }
    for row in rows {
        if let Kind::Live(backend) = row.kind {
            let service = CounterService::start(backend, 0).await?;
            let database = service.describe().await?;
            done(Ok(Comparison { database, ..alone(*row, &LiveQuery(&service), plan).await? }));
            service.stop().await;
        }
    }
    queries(&of(|kind| matches!(kind, Kind::Query(_))), plan, done).await?;
    for row in rows {
        if let Kind::Dispatch(dispatched) = row.kind {
            let subject = FrameworkDispatch::new(dispatched)?;
            done(Ok(compare(*row, &subject, &DirectCall(dispatched), plan).await?));
        }
    }
    Ok(())
}

async fn measure_rest(
    rows: &[Row],
    subject: Arc<System>,
    server: &Server,
    plan: &Plan,
    done: &mut impl FnMut(Measured),
) -> Result<()> {
    let twin = Arc::new(System::twin(server).await?);
    for row in rows {
        let (Kind::Deployed(operation) | Kind::Embedded(operation)) = row.kind else { continue };
        let subject = Rest { system: subject.clone(), operation };
        let baseline = Rest { system: twin.clone(), operation };
        let database = Some(server.describe().await?);
        done(Ok(Comparison { database, ..compare(*row, &subject, &baseline, plan).await? }));
    }
    Ok(())
}

/// Measures commands in this process. Both sides of a row use one PostgreSQL server.
async fn commands(rows: &[Row], plan: &Plan, done: &mut impl FnMut(Measured)) -> Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let server = Server::start().await?;
    let (subject, baseline) = (FrameworkCommand::start(&server).await?, ByHand::start(&server).await?);
    for row in rows {
        let measured = match row.kind {
            Kind::EventSourced(past) => {
                let subject = FrameworkCommand::event_sourced(&server, past).await?;
                compare(*row, &subject, &FrameworkCommand::state_stored(&server, past).await?, plan).await?
            }
            _ => compare(*row, &subject, &baseline, plan).await?,
        };
        done(Ok(Comparison { database: Some(server.describe().await?), ..measured }));
    }
    Ok(())
}

/// Measures rebuilds of one view, and commands beside them.
async fn measure_rebuilds(rows: &[Row], backend: Backend, plan: &Plan, done: &mut impl FnMut(Measured)) -> Result<()> {
    eprintln!("filling a log with {} events, and a view with their counters", CounterService::EVENTS);
    let service = CounterService::start(backend, CounterService::EVENTS).await?;
    let rebuild = RebuildBeside::default();
    for row in rows {
        let measured = match row.kind {
            Kind::Rebuild(_) => alone(*row, &WholeRebuild(&service), plan).await?,
            _ => {
                let beside = Commands { service: &service, rebuild: &rebuild, is_beside: true };
                compare(*row, &beside, &Commands { is_beside: false, ..beside }, plan).await?
            }
        };
        rebuild.end().await?;
        done(Ok(Comparison { database: service.describe().await?, ..measured }));
    }
    service.stop().await;
    Ok(())
}

/// Measures queries on a query side beside the bare client of its store.
async fn queries(rows: &[Row], plan: &Plan, done: &mut impl FnMut(Measured)) -> Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let server = Server::start().await?;
    for target in ViewTarget::ALL {
        let rows: Vec<_> = rows.iter().copied().filter(|row| row.kind == Kind::Query(target)).collect();
        if rows.is_empty() {
            continue;
        }
        match target {
            ViewTarget::Postgres => {
                let subject = FrameworkQuery::on_postgres(&server).await?;
                let baseline = BareSelect::start(&server).await?;
                for row in rows {
                    let database = Some(server.describe().await?);
                    done(Ok(Comparison { database, ..compare(row, &subject, &baseline, plan).await? }));
                }
            }
            ViewTarget::Redis => {
                let redis = match Redis::start() {
                    Ok(redis) => redis,
                    Err(missing @ Unavailable::Missing { .. }) => {
                        eprintln!("rows of Redis are not measured: {missing}");
                        rows.into_iter().for_each(|row| done(Err(Unmeasured { row, reason: missing.to_string() })));
                        continue;
                    }
                    Err(broken) => return Err(broken.into()),
                };
                let subject = FrameworkQuery::on_redis(&server, &redis).await?;
                let baseline = BareRedis::start(&redis).await?;
                for row in rows {
                    let database = Some(baseline.describe().await?);
                    done(Ok(Comparison { database, ..compare(row, &subject, &baseline, plan).await? }));
                }
            }
        }
    }
    Ok(())
}
