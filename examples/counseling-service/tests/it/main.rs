//! Tests of the counseling service over gRPC. Each case runs on SQLite and, when a server is available, on PostgreSQL.
mod author; // an administrator who calls the prompt service
mod catalogue; // counsellors, tones and bubbles: changes and refusals
mod clients; // the nickname in prompts
mod consents; // consents, before and while a message is processed
mod crisis; // messages that speak of a crisis
mod episodes; // episodes: cut scenes, locks and drafts
mod fixture; // the service with its database, its port and its clock
mod images; // uploads of pictures
mod lists; // order and pages of lists, and the seeds
mod live; // the messages of a counsel as they come
mod messages; // sending a message and getting a reply
mod model; // a language model: its consent and its budget
mod neighbour; // a service that records the events it receives
mod open; // opening a counsel
mod ownership; // access to other people's counsels
#[cfg(feature = "deployed")]
mod program; // the program with a real database and broker
mod prompt_parts; // prompts of counsellors and tones, techniques, rules
mod prompts; // versions of prompts
mod relationships; // rapport, and the people who see it
mod reservations; // the hold of a token, before an exchange
mod responder; // a scripted responder
mod rights; // the callers of each RPC of the catalogue and of relationships
mod wallets; // wallets that hold every token

use counseling_service::{OfflineResponder, Ports, SERVICE};
use fixture::Fixture;
use service_edge::testing::on_each_database;
use std::{process::ExitCode, sync::Arc};
use test_support::Trials;
use wallets::Wallets;

fn main() -> ExitCode {
    let suites = [
        ("open", open::CASES),
        ("messages", messages::CASES),
        ("ownership", ownership::CASES),
        ("lists", lists::CASES),
        ("live", live::CASES),
        ("catalogue", catalogue::CASES),
        ("episodes", episodes::CASES),
        ("images", images::CASES),
        ("relationships", relationships::CASES),
        ("rights", rights::CASES),
        ("prompts", prompts::CASES),
        ("prompt parts", prompt_parts::CASES),
        ("reservations", reservations::CASES),
        ("consents", consents::CASES),
        ("crisis", crisis::CASES),
        ("clients", clients::CASES),
    ];
    let trials = Trials::new().test("wiring: every dependency is provided", async || {
        let app = cqrs_core::App::builder(SERVICE.app);
        let ports = Ports::new(Arc::new(OfflineResponder), Arc::new(Wallets::default()));
        counseling_service::wire(app, ports).build().map(drop)
    });
    let trials = trials.group("model", model::trials()).group("wallets", reservations::trials());
    let trials = trials.test("images: without a store no upload is signed", images::without_a_store);
    let trials = on_each_database::<Fixture>(trials, &SERVICE, suites);
    #[cfg(feature = "deployed")]
    let trials = trials.group("program", program::trials());
    trials.run()
}
