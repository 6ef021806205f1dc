//! Tests of the servers and the browser: they are started, used, crashed and started again.

mod browser;
mod kafka;
mod killed;
mod pgbouncer;
mod postgres;
mod redis;

use std::process::ExitCode;

use test_support::Trials;

fn main() -> ExitCode {
    if killed::is_the_run_to_kill() {
        return killed::start_and_wait();
    }
    Trials::new()
        .group("postgres", postgres::trials())
        .group("pgbouncer", pgbouncer::trials())
        .group("redis", redis::trials())
        .group("kafka", kafka::trials())
        .group("browser", browser::trials())
        .group("killed", killed::trials())
        .run()
}
