//! Tests of the counseling service over gRPC. Each case runs on SQLite and, when a server is available, on PostgreSQL.
mod author; // an administrator who calls the prompt service
mod fixture; // the service with its database, its port and its clock
mod lists; // order and pages of lists, and the seeds
mod messages; // sending a message and getting a reply
mod neighbour; // a service that records the events it receives
mod open; // opening a counsel
mod ownership; // access to other people's counsels
#[cfg(feature = "deployed")]
mod program; // the program with a real database and broker
mod prompt_parts; // prompts of counsellors and tones, techniques, rules
mod prompts; // versions of prompts
mod responder; // a scripted responder

use counseling_service::SERVICE;
use fixture::Fixture;
use service_edge::testing::on_each_database;
use std::{process::ExitCode, sync::Arc};
use test_support::Trials;

fn main() -> ExitCode {
    let suites = [
        ("open", open::CASES),
        ("messages", messages::CASES),
        ("ownership", ownership::CASES),
        ("lists", lists::CASES),
        ("prompts", prompts::CASES),
        ("prompt parts", prompt_parts::CASES),
    ];
    let trials = Trials::new().test("wiring: every dependency is provided", async || {
        let app = cqrs_core::App::builder(SERVICE.app);
        counseling_service::wire(app, Arc::new(counseling_service::OfflineResponder)).build().map(drop)
    });
    let trials = on_each_database::<Fixture>(trials, &SERVICE, suites);
    #[cfg(feature = "deployed")]
    let trials = trials.group("program", program::trials());
    trials.run()
}
