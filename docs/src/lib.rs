//! The documents as a crate: every Rust block of every chapter is compiled and run as a test, so that none can be out of date.
//!
//! `cargo test -p docs --doc` runs them. One example runs through all chapters. A later chapter includes the code of an earlier
//! one with a line such as `docs::user!();`, which stands for the text of the macro below.
//!
//! The blocks of the repository's README stand here, with the code that a whole program needs around them. The first:
//!
//! ```
//! # docs::user!();
//! # use {cqrs_core::{Command, HandlerResult, Repo, handler}, serde::{Deserialize, Serialize}};
//! #[derive(Clone, Serialize, Deserialize, Command)]
//! pub struct RenameUser {
//!     pub id: UserId,
//!     pub nickname: Nickname,
//! }
//!
//! #[handler]
//! pub async fn rename_user(command: RenameUser, users: Repo<User>) -> HandlerResult<(), UserError> {
//!     users.update(&command.id, |user| user.rename(command.nickname)).await?;
//!     Ok(())
//! }
//! ```
//!
//! The second, embedded and deployed:
//!
//! ```no_run
//! # use cqrs_core::{App, AppBuilder, BoxError, storage::{postgres::Postgres, sqlite::Sqlite}, transport::InProcess};
//! # use cqrs_kafka::{Kafka, KafkaConfig};
//! # async fn wiring(database: String, kafka: KafkaConfig, in_process: InProcess) -> Result<[AppBuilder; 2], BoxError> {
//! # let embedded =
//! App::builder("user").storage(Sqlite::open("data/user.db").await?).transport(in_process)
//! # ; let deployed =
//! App::builder("user").storage(Postgres::connect(&database).await?).transport(Kafka::connect(kafka)?)
//! # ; Ok([embedded, deployed]) }
//! ```
//!
//! This test checks that both are the README's blocks, in both languages:
//!
//! ```
//! let here = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/lib.rs"));
//! let english = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md"));
//! let korean = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/README.ko.md"));
//! for readme in [english, korean] {
//!     let blocks: Vec<&str> =
//!         readme.split("```rust\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
//!     assert_eq!(blocks.len(), 2);
//!     for line in blocks.iter().flat_map(|block| block.lines()) {
//!         assert!(here.contains(format!("//! {line}").trim_end()), "not compiled: {line}");
//!     }
//! }
//! ```
//!
//! This one checks that the quotations in `adding-a-use-case.md` stand in the files it names:
//!
//! ```
//! use std::{fs, path::Path};
//!
//! let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
//! let text = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/adding-a-use-case.md"));
//! let parts: Vec<&str> = text.split("`\n```rust\n").collect();
//! assert!(parts.len() > 5);
//! for quote in parts.windows(2) {
//!     let path = quote[0].rsplit('`').next().unwrap();
//!     let file = fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
//!     let lines: Vec<&str> = file.lines().map(str::trim).collect();
//!     for line in quote[1].split("```").next().unwrap().lines().map(str::trim).filter(|line| !line.is_empty()) {
//!         assert!(lines.contains(&line), "{path} does not contain {line}");
//!     }
//! }
//! ```
//!
//! And this one that no block of the guide has hidden lines, so that a reader of the Markdown sees the same code as the compiler:
//!
//! ```
//! let guide = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("guide");
//! for chapter in std::fs::read_dir(guide).unwrap() {
//!     let text = std::fs::read_to_string(chapter.unwrap().path()).unwrap();
//!     for block in text.split("```rust").skip(1).map(|rest| rest.split("```").next().unwrap()) {
//!         assert!(!block.lines().any(|line| line == "#" || line.trim_start().starts_with("# ")), "hidden line in {block}");
//!     }
//! }
//! ```

#[doc = include_str!("../guide/1-commands.md")]
pub mod commands {}
#[doc = include_str!("../guide/2-queries.md")]
pub mod queries {}
#[doc = include_str!("../guide/3-aggregates.md")]
pub mod aggregates {}
#[doc = include_str!("../guide/4-events.md")]
pub mod events {}
#[doc = include_str!("../guide/5-projections.md")]
pub mod projections {}
#[doc = include_str!("../guide/6-subscribers.md")]
pub mod subscribers {}
#[doc = include_str!("../guide/7-testing.md")]
pub mod testing {}
#[doc = include_str!("../guide/11-timers.md")]
pub mod timers {}
#[doc = include_str!("../guide/12-process-managers.md")]
pub mod process_managers {}
#[doc = include_str!("../guide/9-changing-a-running-system.md")]
mod changing_a_running_system {}
#[doc = include_str!("../guide/8-going-to-production.md")]
pub mod production {}
#[doc = include_str!("../guide/13-personal-data.md")]
mod personal_data {}

/// The aggregate of chapter 3, with its id, value, events and errors.
#[macro_export]
macro_rules! user {
    () => {
        cqrs_core::id!(
            /// Identifies a user.
            pub UserId
        );

        #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
        pub struct Nickname(String);
        impl Nickname {
            pub fn parse(text: &str) -> Result<Nickname, UserError> {
                let text = text.trim();
                let fits = (1..=20).contains(&text.chars().count());
                if fits { Ok(Nickname(text.to_owned())) } else { Err(UserError::Nickname) }
            }
        }
        impl std::fmt::Display for Nickname {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize, cqrs_core::Event)]
        #[event(name = "user", version = 1)]
        pub enum UserEvent {
            Registered { nickname: Nickname },
            Renamed { nickname: Nickname },
            Deactivated,
        }

        #[derive(Debug, Clone, PartialEq, thiserror::Error, cqrs_core::DomainError)]
        pub enum UserError {
            #[error("a nickname has 1 to 20 characters")]
            #[kind(invalid)]
            #[field("nickname")]
            Nickname,
            #[error("the user is deactivated")]
            #[kind(precondition)]
            Deactivated,
        }

        #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize, cqrs_core::Aggregate)]
        #[aggregate(name = "user", event = UserEvent)]
        pub struct User {
            #[id]
            id: UserId,
            #[unique]
            nickname: Nickname,
            active: bool,
        }
        impl User {
            pub fn register(nickname: Nickname) -> UserEvent {
                UserEvent::Registered { nickname }
            }
            pub fn rename(&self, nickname: Nickname) -> Result<Option<UserEvent>, UserError> {
                self.require_active()?;
                Ok((nickname != self.nickname).then_some(UserEvent::Renamed { nickname }))
            }
            pub fn deactivate(&self) -> Result<UserEvent, UserError> {
                self.require_active()?;
                Ok(UserEvent::Deactivated)
            }
            fn require_active(&self) -> Result<(), UserError> {
                if self.active { Ok(()) } else { Err(UserError::Deactivated) }
            }
        }
        impl cqrs_core::Evolve<UserEvent> for User {
            fn create(id: UserId, event: &UserEvent) -> Option<User> {
                match event {
                    UserEvent::Registered { nickname } => Some(User { id, nickname: nickname.clone(), active: true }),
                    UserEvent::Renamed { .. } | UserEvent::Deactivated => None,
                }
            }
            fn apply(&mut self, event: &UserEvent) {
                match event {
                    UserEvent::Registered { .. } => (),
                    UserEvent::Renamed { nickname } => self.nickname.clone_from(nickname),
                    UserEvent::Deactivated => self.active = false,
                }
            }
        }
    };
}

/// A second aggregate, for chapter 5.
#[macro_export]
macro_rules! orders {
    () => {
        #[derive(Clone, serde::Serialize, serde::Deserialize, cqrs_core::Aggregate)]
        #[aggregate(name = "order", event = OrderEvent)]
        pub struct Order {
            #[id]
            id: u64,
        }
        #[derive(Clone, serde::Serialize, serde::Deserialize, cqrs_core::Event)]
        #[event(name = "order", version = 1)]
        pub enum OrderEvent {
            Placed { by: UserId },
            Cancelled,
        }
        impl cqrs_core::Evolve<OrderEvent> for Order {
            fn create(id: u64, _: &OrderEvent) -> Option<Self> {
                Some(Order { id })
            }
            fn apply(&mut self, _: &OrderEvent) {}
        }
    };
}
/// The commands of chapter 1: registering and renaming.
#[macro_export]
macro_rules! commands {
    () => {
        #[derive(Clone, serde::Serialize, serde::Deserialize, cqrs_core::Command)]
        pub struct RegisterUser {
            pub nickname: Nickname,
        }
        #[cqrs_core::handler]
        async fn register_user(
            command: RegisterUser,
            users: cqrs_core::Repo<User>,
            clock: cqrs_core::Clock,
        ) -> cqrs_core::HandlerResult<UserId, UserError> {
            let id = UserId(clock.id());
            users.create(id, User::register(command.nickname))?;
            Ok(id)
        }
        #[derive(Clone, serde::Serialize, serde::Deserialize, cqrs_core::Command)]
        pub struct RenameUser {
            pub id: UserId,
            pub nickname: Nickname,
        }
        #[cqrs_core::handler]
        async fn rename_user(
            command: RenameUser,
            users: cqrs_core::Repo<User>,
        ) -> cqrs_core::HandlerResult<(), UserError> {
            users.update(&command.id, |user| user.rename(command.nickname)).await?;
            Ok(())
        }
    };
}

/// The read model of chapter 5.
#[macro_export]
macro_rules! profile {
    () => {
        #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize, cqrs_core::View)]
        #[view(name = "profile", key = UserId)]
        #[index(by_nickname(nickname))]
        #[index(newest(-registered_at))]
        pub struct Profile {
            pub id: UserId,
            pub nickname: String,
            pub registered_at: cqrs_core::Timestamp,
        }
        #[cqrs_core::projection(name = "profile")]
        fn profile(event: &cqrs_core::Recorded<UserEvent>) -> cqrs_core::Change<Profile> {
            use cqrs_core::View;
            let id = event.aggregate_id;
            match event.event.clone() {
                UserEvent::Registered { nickname } => {
                    Profile { id, nickname: nickname.to_string(), registered_at: event.occurred_at }.put(id)
                }
                UserEvent::Renamed { nickname } => {
                    Profile::update(id, move |profile| profile.nickname = nickname.to_string())
                }
                UserEvent::Deactivated => Profile::remove(id),
            }
        }
    };
}

/// The query of chapter 2 on that read model.
#[macro_export]
macro_rules! find_profile {
    () => {
        #[derive(Clone, cqrs_core::Query)]
        pub struct FindProfile {
            pub id: UserId,
        }
        #[cqrs_core::handler]
        async fn find_profile(
            query: FindProfile,
            profiles: cqrs_core::Views<Profile>,
        ) -> cqrs_core::HandlerResult<Option<Profile>> {
            Ok(profiles.find(&query.id).await?)
        }
    };
}

/// The integration event of chapter 4, with its publisher.
#[macro_export]
macro_rules! user_registered {
    () => {
        #[derive(Clone, serde::Serialize, serde::Deserialize, cqrs_core::IntegrationEvent)]
        #[integration_event(name = "com.example.user.registered.v1", topic = "user.events.v1", key = user_id)]
        pub struct UserRegistered {
            pub user_id: String,
            pub nickname: String,
        }
        #[cqrs_core::publish]
        fn user_registered(event: &cqrs_core::Recorded<UserEvent>) -> Option<UserRegistered> {
            match &event.event {
                UserEvent::Registered { nickname } => {
                    Some(UserRegistered { user_id: event.aggregate_id.to_string(), nickname: nickname.to_string() })
                }
                UserEvent::Renamed { .. } | UserEvent::Deactivated => None,
            }
        }
    };
}
