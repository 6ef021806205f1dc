//! Statements and log bytes of replicas that have nothing to do, by the number of projections.
use super::{
    curve::{Bar, Curve, Figure, Limit},
    model::{self, CounterEvent, counts::Count},
    statements,
};
use crate::system::Server;
use anyhow::Result;
use cqrs_core::{Change, Recorded, projection};
use std::time::Duration;

const SETTLE: Duration = Duration::from_secs(1);
const TIME: Duration = Duration::from_secs(4);

/// Defines projections without an effect, each with a name of its own.
macro_rules! projections {
    ($module:ident: $($name:ident = $text:literal),+) => {
        mod $module {
            use super::{Change, Count, CounterEvent, Recorded, projection};
            pub(super) const MODULE: &str = module_path!();
            $(
                #[projection(name = $text)]
                fn $name(_: &Recorded<CounterEvent>) -> Change<Count> {
                    Change::none()
                }
            )+
        }
    };
}
projections!(one: p1 = "p1");
projections!(nine: p2 = "p2", p3 = "p3", p4 = "p4", p5 = "p5", p6 = "p6", p7 = "p7", p8 = "p8", p9 = "p9", p10 = "p10");
projections!(forty: p11 = "p11", p12 = "p12", p13 = "p13", p14 = "p14", p15 = "p15", p16 = "p16", p17 = "p17",
    p18 = "p18", p19 = "p19", p20 = "p20", p21 = "p21", p22 = "p22", p23 = "p23", p24 = "p24", p25 = "p25", p26 = "p26",
    p27 = "p27", p28 = "p28", p29 = "p29", p30 = "p30", p31 = "p31", p32 = "p32", p33 = "p33", p34 = "p34", p35 = "p35",
    p36 = "p36", p37 = "p37", p38 = "p38", p39 = "p39", p40 = "p40", p41 = "p41", p42 = "p42", p43 = "p43", p44 = "p44",
    p45 = "p45", p46 = "p46", p47 = "p47", p48 = "p48", p49 = "p49", p50 = "p50");

pub(super) async fn measure(server: &Server) -> Result<Vec<Curve>> {
    let mut curves = Vec::new();
    for replicas in [1_u32, 4] {
        let (mut of_statements, mut of_wal) = (Vec::new(), Vec::new());
        for (number, projections) in [1_u32, 10, 50].into_iter().enumerate() {
            let database = server.database("idle")?;
            let mut running = Vec::new();
            for _ in 0..replicas {
                let modules = &[one::MODULE, nine::MODULE, forty::MODULE][..=number];
                let builder = model::builder(database.url()).await?;
                let app = modules.iter().fold(builder, |builder, module| builder.discover_part(module)).build()?;
                running.push(app.start().await?);
            }
            tokio::time::sleep(SETTLE).await;
            let load = statements::during(server, database.name(), TIME).await?;
            let size = f64::from(projections);
            of_statements.push((size, load.statements / f64::from(replicas)));
            of_wal.push((size, load.wal / f64::from(replicas)));
            for background in running {
                background.stop(Duration::from_secs(5)).await;
            }
        }
        let series = format!("{replicas} replicas");
        let curve =
            |cost, points, bar| Curve { row: "idle", series: series.clone(), size: "projections", cost, points, bar };
        let bar = Bar {
            text: "at most 20 statements a second for a process, constant in projections",
            figure: Figure::Cost,
            limit: Limit::AtMost(20.0),
        };
        curves.push(curve("statements a second, one process", of_statements, Some(bar)));
        curves.push(curve("log bytes a second, one process", of_wal, None));
    }
    Ok(curves)
}
