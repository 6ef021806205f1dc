//! The command line of the fault suite.
use super::{
    catalogue::{self, FAULTS, Name, SEEDED_BUGS, Scenario},
    node,
    run::{self, Options},
};
use clap::{Parser, Subcommand};
use std::{process::ExitCode, time::Duration};

/// Breaks a running system in every way of a catalogue, on real PostgreSQL, Apache Kafka and Redis, and checks that
/// nothing is lost, doubled or out of order.
///
/// Without --fault and --seeded-bug it runs the whole catalogue.
#[derive(Parser)]
#[command(name = "faults", version, args_conflicts_with_subcommands = true, after_help = EXIT_CODES)]
struct Args {
    /// Lists every fault with the seeded bugs that show its detection, and every seeded bug, one per line, and exits.
    #[arg(long)]
    list: bool,
    /// Runs this fault. Can be given several times.
    #[arg(long, value_name = "N", value_parser = fault)]
    fault: Vec<&'static Scenario>,
    /// Runs with this bug seeded. Can be given several times.
    #[arg(long = "seeded-bug", visible_alias = "plant", value_name = "BUG", value_parser = seeded_bug)]
    seeded_bug: Vec<&'static Scenario>,
    /// Runs only the part of the catalogue that takes about three minutes.
    #[arg(long, conflicts_with_all = ["fault", "seeded_bug", "minutes"])]
    short: bool,
    /// Seed of the schedule of faults. The same seed gives the same schedule. By default it is random; it is printed.
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// Repeats the selected scenarios for this many minutes, each round with another seed.
    #[arg(long, value_name = "M", allow_negative_numbers = true)]
    minutes: Option<f64>,
    /// Prints the result as one JSON document instead of a table.
    #[arg(long)]
    json: bool,
    #[command(subcommand)]
    command: Option<Role>,
}

#[derive(Subcommand)]
enum Role {
    /// Runs one role in this process; the fault suite starts its nodes with it.
    #[command(hide = true)]
    Node { config: String },
}

const EXIT_CODES: &str = "Exit codes:
  0  every scenario ended as declared
  1  an invariant broke that should hold, or a declared one did not; after --seeded-bug: an invariant broke, as it should
  2  the suite could not run: a wrong flag, or a server that it needs is not installed
  3  after --seeded-bug: no invariant broke, the seeded bug was not caught";

fn fault(number: &str) -> Result<&'static Scenario, String> {
    let number_of = |scenario: &Scenario| scenario.name.to_string().replace("fault ", "");
    let numbers = || FAULTS.iter().map(number_of).collect::<Vec<_>>().join(", ");
    let found = FAULTS.iter().find(|scenario| {
        number.parse()
            == Ok(match scenario.name {
                Name::Fault(n) => n,
                Name::SeededBug(..) => 0,
            })
    });
    found.ok_or_else(|| format!("the faults are {}", numbers()))
}
fn seeded_bug(bug: &str) -> Result<&'static Scenario, String> {
    let name = |scenario: &Scenario| if let Name::SeededBug(name, _) = scenario.name { name } else { "" };
    let found = SEEDED_BUGS.iter().find(|scenario| name(scenario) == bug);
    found.ok_or_else(|| format!("the bugs are {}", SEEDED_BUGS.iter().map(name).collect::<Vec<_>>().join(", ")))
}

/// Runs the command that the command line selects.
pub fn main() -> ExitCode {
    let args = Args::parse();
    if let Some(Role::Node { config }) = args.command {
        return node::run(&config);
    }
    if args.list {
        for scenario in catalogue::all() {
            let shown_by = scenario.shown_by.map(|shown_by| format!(" ({shown_by})")).unwrap_or_default();
            println!("{} {}{shown_by}", scenario.name, scenario.description);
        }
        return ExitCode::SUCCESS;
    }
    let minutes = args.minutes.map(|minutes| Duration::try_from_secs_f64(minutes * 60.0));
    let Ok(time) = minutes.transpose() else {
        eprintln!("--minutes must be a number of minutes, 0 or more");
        return ExitCode::from(2);
    };
    let named: Vec<_> = args.fault.into_iter().chain(args.seeded_bug.iter().copied()).collect();
    let scenarios = match (named.is_empty(), args.short) {
        (false, _) => named,
        (true, short) => catalogue::all().filter(|scenario| scenario.short || !short).collect(),
    };
    run::run(&Options {
        scenarios,
        seed: args.seed.unwrap_or_else(|| fastrand::u64(..1 << 32)),
        time,
        short: args.short,
        seeded: !args.seeded_bug.is_empty(),
        json: args.json,
    })
}
