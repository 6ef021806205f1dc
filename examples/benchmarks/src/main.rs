//! Measures the framework and the Hearlers services beside programs written by hand; `--help` lists the settings.
mod catalogue;
mod cli;
mod compare;
mod events;
mod goals;
mod groups;
mod growth;
mod header;
mod in_process;
mod jar;
mod live_events;
mod measure;
mod person;
mod report;
mod rest;
mod statistics;
mod subject;
mod system;
mod twin;

use anyhow::Result;
use clap::Parser;

fn main() -> Result<()> {
    let args = cli::Args::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        match args.process.clone() {
            Some(process) => process.run().await,
            None => cli::run(args).await,
        }
    })
}
