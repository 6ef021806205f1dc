//! The command line, and the run of the whole program.
use crate::{
    catalogue::{self, Row},
    compare::Plan,
    groups::{self, Measured},
    growth,
    header::Header,
    report::Report,
    system, twin,
};
use anyhow::{Context, Result, ensure};
use clap::Parser;
use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

/// Measures the framework and the Hearlers services beside programs written by hand, in pairs of runs that take turns.
///
/// A slow result never fails the program. It fails when a part is missing, cannot be built or started, or when a call
/// fails or has a wrong response.
#[derive(Debug, Clone, Parser)]
#[command(name = "benchmarks")]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) process: Option<twin::Process>,
    /// Measure how costs grow with sizes, instead of the rows beside programs written by hand.
    #[arg(long)]
    growth: bool,
    /// Measure how long each program takes until it is ready, and its memory when idle. `--runs` is the number of starts.
    #[arg(long, conflicts_with_all = ["growth", "list", "only"])]
    start: bool,
    /// List the rows and measure nothing.
    #[arg(long)]
    list: bool,
    /// Measure only rows whose name contains this text. May be given several times.
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// The number of measured runs of each side of a row, after one run to warm up.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// The length of one run in seconds. Runs of messages end earlier, when the prepared wallets are empty.
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// Also write `results.md` and `results.csv` to this folder.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// The checkout whose services are built and started. The default is the one that this program was built in.
    #[arg(long, value_name = "DIR")]
    checkout: Option<PathBuf>,
}

/// Measures the chosen rows and reports them.
pub(crate) async fn run(args: Args) -> Result<()> {
    let checkout = args.checkout.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."));
    let checkout = fs::canonicalize(&checkout).with_context(|| format!("--checkout {}", checkout.display()))?;
    if args.growth {
        return growth::run(&args.only, args.list, args.out.as_deref(), Header::of_machine(&checkout)).await;
    }
    if args.start {
        let text = system::start::measure(&checkout, args.runs).await?;
        println!("{text}");
        return match &args.out {
            Some(folder) => write(folder, "start.md", &text),
            None => Ok(()),
        };
    }
    let chosen = |row: &Row| args.only.is_empty() || args.only.iter().any(|text| row.name().contains(text.as_str()));
    let rows: Vec<Row> = catalogue::rows().into_iter().filter(chosen).collect();
    ensure!(!rows.is_empty(), "no row has such a name; --list shows all");
    if args.list {
        for row in rows {
            println!("{:28} {}", row.name(), row.describe());
        }
        return Ok(());
    }
    let plan = Plan { runs: args.runs, time: Duration::from_secs_f64(args.seconds) };
    let header = Header::read(&checkout, &plan);
    let mut report = Report::new(header);
    // Rows that were measured before a failure are reported as well.
    let outcome = groups::all(&rows, &checkout, &plan, &mut |measured: Measured| report.add(measured)).await;
    let markdown = report.markdown();
    println!("{markdown}");
    if let Some(folder) = args.out {
        write(&folder, "results.md", &markdown)?;
        write(&folder, "results.csv", &report.csv())?;
    }
    outcome?;
    let failures = report.failed_calls();
    ensure!(failures == 0, "{failures} calls failed or had a wrong response; the report lists the first of each row");
    let unmeasured = report.unmeasured();
    ensure!(unmeasured == 0, "{unmeasured} rows were not measured; the report lists what is missing");
    Ok(())
}

/// Writes a file of results. The folder is made if it does not exist.
fn write(folder: &Path, name: &str, text: &str) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("--out {}", folder.display()))?;
    fs::write(folder.join(name), text).with_context(|| format!("writing {name}"))
}
