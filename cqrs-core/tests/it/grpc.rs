//! The gRPC status of an error, and what is logged of it.
use crate::{
    bank::{FindCard, bank, opened},
    logs::{Lines, logged_trial},
};
use cqrs_core::{Metadata, Position, storage::Memory, testing::TestApp};
use libtest_mimic::Trial;
use tonic::{Code, Status};

pub(crate) fn trials() -> Vec<Trial> {
    vec![logged_trial(
        "grpc: a consistency token that a caller may have made up is logged at debug level",
        made_up_token,
    )]
}

async fn made_up_token(lines: Lines) {
    let app = TestApp::start(bank(Memory::default())).await.expect("the app starts");
    opened(&app, "kim").await;
    let far = app.with(Metadata::default().token(app.token(Position(99_999_999))));
    let status = Status::from(far.send(FindCard("kim".into())).await.expect_err("the log does not reach it"));
    assert_eq!(status.code(), Code::Unavailable);
    let logged = lines.with("beyond the log");
    assert!(logged.len() == 1 && logged[0].contains("DEBUG"), "{logged:?}");
    assert_eq!(lines.with("gRPC request failed"), [""; 0], "a stranger must not fill the log with errors");
}
