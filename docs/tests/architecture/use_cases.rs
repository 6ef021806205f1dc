//! Three statements about use cases: all of them stand in a golden file, so that a review sees a new command as one added line, and
//! the bank account and the flow over two services stay short.
use crate::{files, read, root};
use counseling_service::{
    OfflineResponder, Ports,
    application::ports::{Hold, NotConfirmed, Reservations},
    domain::counsel::{ExchangeId, UserId},
};
use cqrs_core::App;
use expect_test::expect_file;
use std::{path::Path, sync::Arc};

struct NoWallets;
#[async_trait::async_trait]
impl Reservations for NoWallets {
    async fn confirm(&self, _: UserId, _: Option<ExchangeId>) -> Result<Hold, NotConfirmed> {
        Err(NotConfirmed::NoHold)
    }
    async fn release(&self, _: UserId, _: Hold) -> Result<(), NotConfirmed> {
        Ok(())
    }
}

#[test]
fn every_use_case_is_listed() {
    let users = user_service::wire(App::builder("user")).build().unwrap();
    let ports = Ports::new(Arc::new(OfflineResponder), Arc::new(NoWallets));
    let counseling = counseling_service::wire(App::builder("counseling"), ports).build().unwrap();
    let listed = format!("{}\n{}", users.describe(), counseling.describe());
    expect_file!["../../use-cases.txt"].assert_eq(&listed);
}

/// The bank account shows the price of a small service, so its length is part of the example.
#[test]
fn the_bank_account_has_at_most_100_lines() {
    let text = read(&root().join("examples/bank-account/src/main.rs"));
    let code = text.split("#[cfg(test)]").next().unwrap_or_default().lines().map(str::trim);
    let lines = code.filter(|line| !line.is_empty() && !line.starts_with("//")).count();
    assert!((50..=100).contains(&lines), "{lines} lines without comments and tests");
}

/// The flow over two services is the price of a process manager, so its length is part of the example.
#[test]
fn the_order_fulfilment_has_at_most_250_lines() {
    let count = |file: &Path| {
        let text = read(file);
        let code = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//"));
        code.count()
    };
    let lines: usize = files(&root().join("examples/order-fulfilment/src"), "rs").iter().map(|file| count(file)).sum();
    assert!((150..=250).contains(&lines), "{lines} lines without comments and tests");
}
