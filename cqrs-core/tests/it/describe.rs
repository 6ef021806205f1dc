//! `App::describe` lists everything that discovery has registered.
use crate::{bank::bank, trials::trial};
use cqrs_core::storage::Memory;
use expect_test::expect;
use libtest_mimic::Trial;

pub(crate) fn trials() -> Vec<Trial> {
    vec![trial("describe: every registration is listed in sorted order", async || {
        let app = bank(Memory::new()).build().expect("the app builds");
        expect![[r#"
            bank
              commands
                Open  needs aggregate account
                Pay  needs aggregate account
                Rename  needs aggregate account
              queries
                FindCard  needs view card
              aggregates
                account  state-stored  account.opened, account.renamed, account.paid
              integration events
                com.example.bank.paid.v1  on bank.events.v1
              projections
                card  view card  handles account.opened, account.renamed, account.paid
        "#]]
        .assert_eq(&app.describe().to_string());
    })]
}
