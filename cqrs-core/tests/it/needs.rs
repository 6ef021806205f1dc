//! Wiring errors are reported when the app is built: all at once, in words that name the cause and the remedy.
use crate::{
    bank::{Account, AccountEvent, Card, PaymentMade},
    trials::trial,
};
use cqrs_core::{App, AppBuilder, BuildError, StateStored};
use expect_test::{Expect, expect};
use libtest_mimic::Trial;
use std::sync::Arc;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("needs: all unmet needs are reported at once", async || {
            fails_to_build(
                App::builder("poor").discover_part("it::needs::poor"),
                &expect![[r#"
                    poor cannot be built:
                    - AskMuch needs `dyn Mailer`: `.provide::<dyn Mailer>(...)`
                    - AskMuch needs aggregate `account`: `.aggregate(StateStored::<_>::new())` or `EventSourced`
                    - AskMuch needs view `card`: a `#[projection]` that updates it"#]],
            );
        }),
        trial("needs: only commands and subscribers can need a unit of work, and only subscribers a bus", async || {
            fails_to_build(
                App::builder("wrong")
                    .discover_part("it::needs::wrong")
                    .aggregate(StateStored::<Account>::new())
                    .provide(Arc::new(wrong::Customers)),
                &expect![[r#"
                    wrong cannot be built:
                    - Ask needs a unit of work: only commands and subscribers change aggregates
                    - AskCustomer needs a unit of work: only commands and subscribers change aggregates
                    - keep needs a unit of work: only commands and subscribers change aggregates
                    - Send needs a message: only subscribers have a `Bus`"#]],
            );
        }),
        trial("needs: a duplicate projection name, group or aggregate is an error", async || {
            fails_to_build(
                App::builder("twice")
                    .discover_part("it::needs::twice")
                    .aggregate(StateStored::<Account>::new())
                    .aggregate(StateStored::<Account>::new()),
                &expect![[r#"
                    twice cannot be built:
                    - two projections are named `card`
                    - group `twice.mail` has two subscribers for `account.opened`
                    - group `twice.mail` has two subscribers for `account.paid`
                    - group `twice.mail` has two subscribers for `account.renamed`
                    - group `twice.mail` has two subscribers for `com.example.bank.paid.v1`
                    - group `twice.payments` is also the group of projection `payments`
                    - aggregate `account` is registered twice"#]],
            );
        }),
        trial("needs: functions of one projection name that are not one projection are an error", async || {
            fails_to_build(
                App::builder("unfit").discover_part("it::needs::unfit").aggregate(StateStored::<Account>::new()),
                &expect![[r#"
                    unfit cannot be built:
                    - two functions of projection `same-events` handle the event `com.example.bank.paid.v1`
                    - the functions of projection `two-beginnings` share one checkpoint: write the same `from` in each, or give one of them another name
                    - two functions of projection `two-beginnings` handle the event `account.opened`
                    - two functions of projection `two-beginnings` handle the event `account.paid`
                    - two functions of projection `two-beginnings` handle the event `account.renamed`
                    - the functions of projection `two-sources` read different sources, each of which has a checkpoint of its own: give those on a topic another name
                    - two projections are named `two-views`, of different views"#]],
            );
        }),
        trial("needs: two commands, views or events of one name are an error", async || {
            fails_to_build(
                App::builder("shared")
                    .discover_part("it::needs::shared")
                    .aggregate(StateStored::<shared::one::Thing>::new())
                    .aggregate(StateStored::<shared::other::Item>::new())
                    .aggregate(StateStored::<shared::Slash>::new()),
                &expect![[r#"
                    shared cannot be built:
                    - two commands are named `Feed` and would share their idempotency keys: rename one of the types, or write `#[command(name = "...")]`
                    - two views have the stored name `pet`
                    - two aggregates have an event with the stored name `fed`
                    - the name of aggregate `a/b` is empty or contains `/`"#]],
            );
        }),
        trial("needs: discovering a module without registrations is an error", async || {
            fails_to_build(
                App::builder("empty").discover_part("it::needs::empty").discover_part("it::ban"),
                &expect![[r#"
                    empty cannot be built:
                    - module `it::needs::empty` has no function with a cqrs attribute
                    - module `it::ban` has no function with a cqrs attribute"#]],
            );
        }),
        trial(
            "needs: a function left out of a discovered crate is reported with its line and the remedy",
            async || {
                let error = App::builder("part").discover("it::needs::complete").build().expect_err("much is left out");
                let at = format!("`it::needs::forgotten::ask_again` ({}:{})", file!(), forgotten::LINE);
                let problem = error.problems.iter().find(|problem| problem.starts_with(&at));
                let problem = problem.unwrap_or_else(|| panic!("no problem starts with {at}: {error}"));
                assert_eq!(
                    &problem[at.len()..],
                    " is not discovered: call `.discover(...)` with the `module_path!()` of the crate's root, or \
                 `.discover_part(...)` to leave out others on purpose"
                );
                let discovered = error.problems.iter().filter(|problem| problem.contains("complete")).count();
                assert_eq!(discovered, 0, "{error}");
                App::builder("part")
                    .discover_part("it::needs::complete")
                    .build()
                    .expect("leaving out others is allowed");
                let error =
                    App::builder("whole").discover("it").build().expect_err("some tests are badly wired on purpose");
                assert!(!error.to_string().contains("is not discovered"), "{error}");
            },
        ),
    ]
}
fn fails_to_build(app: AppBuilder, expected: &Expect) {
    let error: BuildError = app.build().expect_err("the wiring is wrong");
    expected.assert_eq(&error.to_string());
}

mod complete {
    use cqrs_core::{HandlerResult, Query, handler};

    #[derive(Clone, Query)]
    struct Ask;
    #[handler]
    async fn ask(_: Ask) -> HandlerResult<()> {
        Ok(())
    }
}
mod forgotten {
    use cqrs_core::{HandlerResult, Query, handler};

    pub(super) const LINE: u32 = line!() + 3;
    #[derive(Clone, Query)]
    struct AskAgain;
    #[handler]
    async fn ask_again(_: AskAgain) -> HandlerResult<()> {
        Ok(())
    }
}

mod poor {
    use super::{Account, Card};
    use cqrs_core::{Command, Dep, HandlerResult, Infallible, Repo, Views, handler};
    use serde::{Deserialize, Serialize};

    trait Mailer: Send + Sync {}
    #[derive(Clone, Serialize, Deserialize, Command)]
    struct AskMuch;
    #[handler]
    async fn ask(_: AskMuch, _: Dep<dyn Mailer>, _: Repo<Account>, _: Views<Card>) -> HandlerResult<(), Infallible> {
        Ok(())
    }
}

mod wrong {
    use super::{Account, AccountEvent};
    use cqrs_core::{
        BoxError, Bus, Command, Foreign, ForeignTable, HandlerResult, Infallible, Query, Recorded, Repo, RowLock,
        handler, projector, storage::Tx, subscriber,
    };
    use serde::{Deserialize, Serialize};

    #[derive(Clone, Query)]
    struct Ask;
    #[handler]
    async fn ask(_: Ask, _: Repo<Account>) -> HandlerResult<(), Infallible> {
        Ok(())
    }
    pub(crate) struct Customers;
    impl ForeignTable for Customers {
        type Key = String;
        type Row = ();
        const NAME: &'static str = "customer";
        async fn load(&self, _: &mut dyn Tx, _: &String, _: RowLock) -> Result<Option<()>, BoxError> {
            Ok(None)
        }
    }
    #[derive(Clone, Query)]
    struct AskCustomer;
    #[handler]
    async fn ask_customer(_: AskCustomer, _: Foreign<Customers>) -> HandlerResult<(), Infallible> {
        Ok(())
    }
    #[derive(Clone, Serialize, Deserialize, Command)]
    struct Send;
    #[handler]
    async fn send(_: Send, _: Bus) -> HandlerResult<(), Infallible> {
        Ok(())
    }
    #[projector(name = "keep")]
    async fn keep(_: Recorded<AccountEvent>, _: Repo<Account>, _: &mut dyn Tx) -> Result<(), BoxError> {
        Ok(())
    }
    #[subscriber(group = "wrong.fine", from = "beginning")]
    async fn fine(_: Recorded<AccountEvent>, _: Repo<Account>, _: Bus) -> Result<(), BoxError> {
        Ok(())
    }
}

mod twice {
    use super::{AccountEvent, Card, PaymentMade};
    use cqrs_core::{BoxError, Change, Recorded, projection, projector, storage::Tx, subscriber};

    #[projection(name = "card")]
    fn card(_: &AccountEvent) -> Change<Card> {
        Change::none()
    }
    #[projector(name = "card")]
    async fn table(_: Recorded<AccountEvent>, _: &mut dyn Tx) -> Result<(), BoxError> {
        Ok(())
    }
    #[projection(name = "payments")]
    fn payments(_: &PaymentMade) -> Change<Card> {
        Change::none()
    }
    #[subscriber(group = "twice.mail", from = "beginning")]
    async fn mail(_: Recorded<AccountEvent>) -> Result<(), BoxError> {
        Ok(())
    }
    #[subscriber(group = "twice.mail", from = "beginning")]
    async fn letter(_: Recorded<AccountEvent>) -> Result<(), BoxError> {
        Ok(())
    }
    #[subscriber(group = "twice.mail")]
    async fn stamp(_: Recorded<PaymentMade>) -> Result<(), BoxError> {
        Ok(())
    }
    #[subscriber(group = "twice.mail")]
    async fn envelope(_: Recorded<PaymentMade>) -> Result<(), BoxError> {
        Ok(())
    }
    /// Clashes with the projection on a topic, which joins a group named after the service and itself.
    #[subscriber(group = "twice.payments")]
    async fn beside(_: Recorded<PaymentMade>) -> Result<(), BoxError> {
        Ok(())
    }
}

mod unfit {
    use super::{AccountEvent, Card, PaymentMade};
    use cqrs_core::{Change, View, projection};
    use serde::{Deserialize, Serialize};

    #[derive(Clone, Serialize, Deserialize, View)]
    #[view(name = "note", key = String)]
    struct Note(String);

    #[projection(name = "same-events")]
    fn first(_: &PaymentMade) -> Change<Card> {
        Change::none()
    }
    #[projection(name = "same-events")]
    fn second(_: &PaymentMade) -> Change<Card> {
        Change::none()
    }
    #[projection(name = "two-sources")]
    fn log(_: &AccountEvent) -> Change<Card> {
        Change::none()
    }
    #[projection(name = "two-sources")]
    fn topic(_: &PaymentMade) -> Change<Card> {
        Change::none()
    }
    #[projection(name = "two-views")]
    fn card(_: &PaymentMade) -> Change<Card> {
        Change::none()
    }
    #[projection(name = "two-views")]
    fn note(_: &AccountEvent) -> Change<Note> {
        Note(String::new()).put("kim")
    }
    #[projection(name = "two-beginnings")]
    fn beginning(_: &AccountEvent) -> Change<Card> {
        Change::none()
    }
    #[projection(name = "two-beginnings", from = "now")]
    fn now(_: &AccountEvent) -> Change<Card> {
        Change::none()
    }
}

/// Types of two modules that share their names.
mod shared {
    macro_rules! pets {
        ($module:ident, $aggregate:ident, $name:literal, $view:ident, $projection:literal) => {
            pub(super) mod $module {
                use cqrs_core::{
                    Aggregate, Change, Command, Event, Evolve, HandlerResult, Query, Recorded, View, handler,
                    projection,
                };
                use serde::{Deserialize, Serialize};

                #[derive(Clone, Serialize, Deserialize, Aggregate)]
                #[aggregate(name = $name, event = Fed)]
                pub(crate) struct $aggregate {
                    #[id]
                    id: u64,
                }
                #[derive(Clone, Serialize, Deserialize, Event)]
                #[event(name = "fed", version = 1)]
                pub(crate) struct Fed;
                impl Evolve<Fed> for $aggregate {
                    fn create(id: u64, _: &Fed) -> Option<Self> {
                        Some($aggregate { id })
                    }
                    fn apply(&mut self, _: &Fed) {}
                }
                #[derive(Clone, Serialize, Deserialize, View)]
                #[view(name = "pet", key = u64)]
                struct $view;
                // Two projections of one view are no problem.
                #[projection(name = $projection)]
                fn pet(event: &Recorded<Fed>) -> Change<$view> {
                    $view.put(event.aggregate_id)
                }
                #[derive(Clone, Serialize, Deserialize, Command)]
                struct Feed;
                #[handler]
                async fn feed(_: Feed) -> HandlerResult<()> {
                    Ok(())
                }
                // Nothing is stored under the name of a query.
                #[derive(Clone, Query)]
                struct Ask;
                #[handler]
                async fn ask(_: Ask) -> HandlerResult<()> {
                    Ok(())
                }
            }
        };
    }
    pets!(one, Thing, "thing", Cat, "cats");
    pets!(other, Item, "item", Dog, "dogs");

    use cqrs_core::{Aggregate, AggregateEvent, Event, Evolve};
    use serde::{Deserialize, Serialize};

    /// An aggregate that is not derived, so that its name was not checked at compile time.
    #[derive(Clone, Serialize, Deserialize)]
    pub(super) struct Slash(String);
    #[derive(Clone, Serialize, Deserialize, Event)]
    #[event(name = "slashed", version = 1)]
    pub(super) struct Slashed;
    impl AggregateEvent for Slashed {
        const AGGREGATE: &'static str = "a/b";
        type Id = String;
    }
    impl Evolve<Slashed> for Slash {
        fn create(id: String, _: &Slashed) -> Option<Self> {
            Some(Slash(id))
        }
        fn apply(&mut self, _: &Slashed) {}
    }
    impl Aggregate for Slash {
        const NAME: &'static str = "a/b";
        type Id = String;
        type Event = Slashed;
        fn id(&self) -> &String {
            &self.0
        }
    }
}
