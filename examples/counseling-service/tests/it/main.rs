//! Tests of the counseling service over gRPC. Each case runs on SQLite and, when a server is available, on PostgreSQL.
mod catalogue; // counsellors, tones and bubbles: changes and refusals
mod episodes; // episodes: cut scenes, locks and drafts
mod fixture; // the service with its database, its port and its clock
mod images; // uploads of pictures
mod lists; // order and pages of lists, and the seeds
mod messages; // sending a message and getting a reply
mod neighbour; // a service that records the events it receives
mod open; // opening a counsel
mod ownership; // access to other people's counsels
#[cfg(feature = "deployed")]
mod program; // the program with a real database and broker
mod relationships; // rapport, and who sees it
mod responder; // a scripted responder
mod rights; // the callers of each RPC of the catalogue and of relationships

use counseling_service::{NoImages, OfflineResponder, SERVICE};
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
        ("catalogue", catalogue::CASES),
        ("episodes", episodes::CASES),
        ("images", images::CASES),
        ("relationships", relationships::CASES),
        ("rights", rights::CASES),
    ];
    let trials = Trials::new().test("wiring: every dependency is provided", async || {
        let app = cqrs_core::App::builder(SERVICE.app);
        counseling_service::wire(app, Arc::new(OfflineResponder), Arc::new(NoImages)).build().map(drop)
    });
    let trials = trials.test("images: without a store no upload is signed", images::without_a_store);
    let trials = on_each_database::<Fixture>(trials, &SERVICE, suites);
    #[cfg(feature = "deployed")]
    let trials = trials.group("program", program::trials());
    trials.run()
}
