//! The list of all use cases: handlers are discovered, so a review sees a new command as one added line of this golden file.
use cqrs_core::App;
use expect_test::expect_file;
use std::sync::Arc;

#[test]
fn every_use_case_is_listed() {
    let users = user_service::wire(App::builder("user")).build().unwrap();
    let responder = Arc::new(counseling_service::OfflineResponder);
    let counseling = counseling_service::wire(App::builder("counseling"), responder).build().unwrap();
    let listed = format!("{}\n{}", users.describe(), counseling.describe());
    expect_file!["../../use-cases.txt"].assert_eq(&listed);
}
