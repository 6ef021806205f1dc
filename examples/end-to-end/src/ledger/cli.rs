//! What may be asked on the command line.
use super::{
    catalogue::{self, FAULTS, Name, PLANTS, Scenario},
    node,
    run::{self, Wish},
};
use clap::{Parser, Subcommand};
use std::{process::ExitCode, time::Duration};

/// Breaks a running system in every way of a catalogue, on real PostgreSQL and real Apache Kafka, and checks that nothing is lost,
/// doubled or out of order.
///
/// Without --fault and --plant it runs the whole catalogue.
#[derive(Parser)]
#[command(name = "ledger", version, args_conflicts_with_subcommands = true, after_help = EXIT_CODES)]
struct Args {
    /// Lists every fault and every planted bug, one a line, and ends.
    #[arg(long)]
    list: bool,
    /// Runs this fault. May be given several times.
    #[arg(long, value_name = "N", value_parser = fault)]
    fault: Vec<&'static Scenario>,
    /// Runs with this bug planted. May be given several times.
    #[arg(long, value_name = "BUG", value_parser = plant)]
    plant: Vec<&'static Scenario>,
    /// Only the part of the catalogue that takes about three minutes.
    #[arg(long, conflicts_with_all = ["fault", "plant", "minutes"])]
    short: bool,
    /// What the schedule of faults is drawn from; the same seed is the same schedule. By default it is drawn, and told.
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// Goes on for so many minutes: what was asked for is run again and again, each time with another seed.
    #[arg(long, value_name = "M", allow_negative_numbers = true)]
    minutes: Option<f64>,
    /// Prints the result as one JSON document instead of a table.
    #[arg(long)]
    json: bool,
    #[command(subcommand)]
    role: Option<Part>,
}

#[derive(Subcommand)]
enum Part {
    /// Runs one role, as the ledger starts it.
    #[command(hide = true)]
    Node { config: String },
}

const EXIT_CODES: &str = "Exit codes:
  0  everything was as declared
  1  an invariant broke that should hold, or a declared one did not; after --plant: an invariant broke, as it should
  2  it could not be run: a wrong flag, or PostgreSQL or Kafka is not on this machine
  3  after --plant: no invariant broke, the planted bug was not caught";

fn fault(number: &str) -> Result<&'static Scenario, String> {
    let numbers = || FAULTS.iter().map(|it| it.name.to_string().replace("fault ", "")).collect::<Vec<_>>().join(", ");
    let found = FAULTS.iter().find(|it| {
        number.parse()
            == Ok(match it.name {
                Name::Fault(n) => n,
                Name::Plant(..) => 0,
            })
    });
    found.ok_or_else(|| format!("the faults are {}", numbers()))
}
fn plant(bug: &str) -> Result<&'static Scenario, String> {
    let name = |it: &Scenario| if let Name::Plant(name, _) = it.name { name } else { "" };
    let found = PLANTS.iter().find(|it| name(it) == bug);
    found.ok_or_else(|| format!("the bugs are {}", PLANTS.iter().map(name).collect::<Vec<_>>().join(", ")))
}

/// Runs what the command line asks for.
pub fn main() -> ExitCode {
    let args = Args::parse();
    if let Some(Part::Node { config }) = args.role {
        return node::run(&config);
    }
    if args.list {
        catalogue::all().for_each(|it| println!("{} {}", it.name, it.what));
        return ExitCode::SUCCESS;
    }
    let minutes = args.minutes.map(|minutes| Duration::try_from_secs_f64(minutes * 60.0));
    let Ok(time) = minutes.transpose() else {
        eprintln!("--minutes: a number of minutes, from 0 on");
        return ExitCode::from(2);
    };
    let named: Vec<_> = args.fault.into_iter().chain(args.plant.iter().copied()).collect();
    let scenarios = match (named.is_empty(), args.short) {
        (false, _) => named,
        (true, short) => catalogue::all().filter(|it| it.short || !short).collect(),
    };
    run::run(&Wish {
        scenarios,
        seed: args.seed.unwrap_or_else(|| fastrand::u64(..1 << 32)),
        time,
        short: args.short,
        planted: !args.plant.is_empty(),
        json: args.json,
    })
}
