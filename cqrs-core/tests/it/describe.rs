//! `describe()` gives back the list that discovery hides.
use crate::{bank::bank, trials::trial};
use cqrs_core::storage::Memory;
use expect_test::expect;
use libtest_mimic::Trial;

pub(crate) fn trials() -> Vec<Trial> {
    vec![trial("describe: everything is there, sorted", async || {
        let app = bank(Memory::new()).build().expect("it fits together");
        expect![[r#"
            bank
              commands
                Open  needs aggregate account
                Pay  needs aggregate account
                Rename  needs aggregate account
              queries
                FindCard  needs view card
              aggregates
                account  as rows  account.opened, account.renamed, account.paid
              told to others
                com.example.bank.paid.v1  on bank.events.v1
              projections
                card  keeps card  hears account.opened, account.renamed, account.paid
        "#]]
        .assert_eq(&app.describe().to_string());
    })]
}
