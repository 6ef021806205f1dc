//! Tests of the user service over gRPC. Each case runs on SQLite and, when a server is available, on PostgreSQL.
mod activity; // activities and what people have seen
mod certificates; // callers over TLS
mod confirm; // confirmed and released reservations
mod consume; // events of exchanges consume and release tokens
mod credentials; // links, authorities and their look-ups
mod fixture; // the service with its database, its port and its clock
mod initialize; // first visits
mod neighbour; // a counseling service that publishes and records events
mod ownership; // access to other people's data
#[cfg(feature = "deployed")]
mod program; // the program with a real database and broker
mod reserve; // holds of tokens
mod sessions; // refresh tokens
#[cfg(feature = "deployed")]
mod tasks; // tasks of the program
mod update; // profile changes

use fixture::Fixture;
use service_edge::testing::on_each_database;
use std::process::ExitCode;
use test_support::Trials;
use user_service::SERVICE;

fn main() -> ExitCode {
    let suites = [
        ("initialize", initialize::CASES),
        ("update", update::CASES),
        ("reserve", reserve::CASES),
        ("consume", consume::CASES),
        ("confirm", confirm::CASES),
        ("credentials", credentials::CASES),
        ("sessions", sessions::CASES),
        ("activity", activity::CASES),
        ("ownership", ownership::CASES),
        #[cfg(feature = "deployed")]
        ("tasks", tasks::CASES),
    ];
    let trials = Trials::new().test("wiring: every dependency is provided", async || {
        user_service::wire(cqrs_core::App::builder(SERVICE.app)).build().map(drop)
    });
    let trials = on_each_database::<Fixture>(trials, &SERVICE, suites);
    let trials = trials.group("certificates", certificates::trials());
    #[cfg(feature = "deployed")]
    let trials = trials.group("program", program::trials());
    trials.run()
}
