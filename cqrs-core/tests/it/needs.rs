//! What does not fit together is told before the first request: all of it, in the reader's words.
use crate::{
    bank::{Account, AccountEvent, Card, Told},
    trials::trial,
};
use cqrs_core::{App, BuildError, Rows};
use expect_test::{Expect, expect};
use libtest_mimic::Trial;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("needs: every one that is not met is told at once", async || {
            tells(
                App::new("poor").discover("it::needs::poor"),
                &expect![[r#"
                    poor cannot be built:
                    - AskMuch needs `dyn Mailer`: `.provide::<dyn Mailer>(...)`
                    - AskMuch needs aggregate `account`: `.aggregate(Rows::<_>::new())` or `Streams`
                    - AskMuch needs view `card`: a `#[projection]` that keeps it"#]],
            );
        }),
        trial("needs: what changes something is no need of a query or a projector", async || {
            tells(
                App::new("wrong").discover("it::needs::wrong").aggregate(Rows::<Account>::new()),
                &expect![[r#"
                    wrong cannot be built:
                    - Ask needs a unit of work: only commands and subscribers change aggregates
                    - keep needs a unit of work: only commands and subscribers change aggregates
                    - Send needs a message: only subscribers have a `Bus`"#]],
            );
        }),
        trial("needs: a name, a group or an aggregate is there once", async || {
            tells(
                App::new("twice")
                    .discover("it::needs::twice")
                    .aggregate(Rows::<Account>::new())
                    .aggregate(Rows::<Account>::new()),
                &expect![[r#"
                    twice cannot be built:
                    - two projections are named `card`
                    - group `twice.mail` hears `account.opened` twice
                    - group `twice.mail` hears `account.paid` twice
                    - group `twice.mail` hears `account.renamed` twice
                    - group `twice.mail` hears `com.example.bank.paid.v1` twice
                    - group `twice.told` is also the group of projection `told`
                    - aggregate `account` is kept twice"#]],
            );
        }),
        trial("needs: a module without anything is told", async || {
            tells(
                App::new("empty").discover("it::needs::empty").discover("it::ban"),
                &expect![[r#"
                    empty cannot be built:
                    - nothing with an attribute stands in `it::needs::empty`
                    - nothing with an attribute stands in `it::ban`"#]],
            );
        }),
    ]
}
fn tells(app: App, what: &Expect) {
    let error: BuildError = app.build().expect_err("it does not fit together");
    what.assert_eq(&error.to_string());
}

mod poor {
    use super::{Account, Card};
    use cqrs_core::{Command, Dep, Never, Repo, Result, Views, handler};
    use serde::{Deserialize, Serialize};

    trait Mailer: Send + Sync {}
    #[derive(Clone, Serialize, Deserialize, Command)]
    struct AskMuch;
    #[handler]
    async fn ask(_: AskMuch, _: Dep<dyn Mailer>, _: Repo<Account>, _: Views<Card>) -> Result<(), Never> {
        Ok(())
    }
}

mod wrong {
    use super::{Account, AccountEvent};
    use cqrs_core::{
        BoxError, Bus, Command, Never, Query, Recorded, Repo, Result, handler, projector, storage::Tx, subscriber,
    };
    use serde::{Deserialize, Serialize};

    #[derive(Clone, Query)]
    struct Ask;
    #[handler]
    async fn ask(_: Ask, _: Repo<Account>) -> Result<(), Never> {
        Ok(())
    }
    #[derive(Clone, Serialize, Deserialize, Command)]
    struct Send;
    #[handler]
    async fn send(_: Send, _: Bus) -> Result<(), Never> {
        Ok(())
    }
    #[projector(name = "keep")]
    async fn keep(_: Recorded<AccountEvent>, _: Repo<Account>, _: &mut dyn Tx) -> std::result::Result<(), BoxError> {
        Ok(())
    }
    #[subscriber(group = "wrong.fine")]
    async fn fine(_: Recorded<AccountEvent>, _: Repo<Account>, _: Bus) -> std::result::Result<(), BoxError> {
        Ok(())
    }
}

mod twice {
    use super::{AccountEvent, Card, Told};
    use cqrs_core::{BoxError, Change, Recorded, projection, projector, storage::Tx, subscriber};

    #[projection(name = "card")]
    fn card(_: &AccountEvent) -> Change<Card> {
        Change::none()
    }
    #[projector(name = "card")]
    async fn table(_: Recorded<AccountEvent>, _: &mut dyn Tx) -> Result<(), BoxError> {
        Ok(())
    }
    #[projection(name = "told")]
    fn told(_: &Told) -> Change<Card> {
        Change::none()
    }
    #[subscriber(group = "twice.mail")]
    async fn mail(_: Recorded<AccountEvent>) -> Result<(), BoxError> {
        Ok(())
    }
    #[subscriber(group = "twice.mail")]
    async fn letter(_: Recorded<AccountEvent>) -> Result<(), BoxError> {
        Ok(())
    }
    #[subscriber(group = "twice.mail")]
    async fn stamp(_: Recorded<Told>) -> Result<(), BoxError> {
        Ok(())
    }
    #[subscriber(group = "twice.mail")]
    async fn envelope(_: Recorded<Told>) -> Result<(), BoxError> {
        Ok(())
    }
    /// The projection on a topic joins a group of the service's and its own name.
    #[subscriber(group = "twice.told")]
    async fn beside(_: Recorded<Told>) -> Result<(), BoxError> {
        Ok(())
    }
}
