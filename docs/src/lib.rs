//! The documents as a crate: every Rust block of every chapter is compiled and run as a test, so that none can be out of date.
//!
//! `cargo test -p docs --doc` runs them. One story goes through all chapters; what an earlier one has shown, a later one takes
//! with a hidden line such as `docs::user!();`. The macros below are that: text, said once.
//!
//! The blocks of the repository's README stand here, with what a whole program needs around them. This one
//!
//! ```
//! # docs::user!();
//! # use {cqrs_core::{Command, Repo, Result, handler}, serde::{Deserialize, Serialize}};
//! #[derive(Clone, Serialize, Deserialize, Command)]
//! pub struct RenameUser {
//!     pub id: UserId,
//!     pub nickname: Nickname,
//! }
//!
//! #[handler]
//! pub async fn rename_user(command: RenameUser, users: Repo<User>) -> Result<(), UserError> {
//!     users.update(&command.id, |user| user.rename(command.nickname)).await?;
//!     Ok(())
//! }
//! ```
//!
//! and the two worlds:
//!
//! ```no_run
//! # use cqrs_core::{App, storage::{postgres::Postgres, sqlite::Sqlite}, transport::InProcess};
//! # use cqrs_kafka::{Kafka, KafkaConfig};
//! # async fn wiring(database: String, kafka: KafkaConfig, in_process: InProcess) -> Result<[App; 2], cqrs_core::BoxError> {
//! # let embedded =
//! App::new("user").storage(Sqlite::open("data/user.db").await?).transport(in_process)
//! # ; let deployed =
//! App::new("user").storage(Postgres::connect(&database).await?).transport(Kafka::connect(kafka)?)
//! # ; Ok([embedded, deployed]) }
//! ```
//!
//! That they are the README's, in both languages, is a test as well:
//!
//! ```
//! let here = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/lib.rs"));
//! let english = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md"));
//! let korean = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/README.ko.md"));
//! for readme in [english, korean] {
//!     let blocks: Vec<&str> = readme.split("```rust\n").skip(1).map(|it| it.split("```").next().unwrap()).collect();
//!     assert_eq!(blocks.len(), 2);
//!     for line in blocks.iter().flat_map(|it| it.lines()) {
//!         assert!(here.contains(format!("//! {line}").trim_end()), "not compiled: {line}");
//!     }
//! }
//! ```
//!
//! And what `adding-a-use-case.md` quotes stands in the files it names:
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
//!         assert!(lines.contains(&line), "{path} does not say {line}");
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
#[doc = include_str!("../guide/8-going-to-production.md")]
pub mod production {}

/// The aggregate of chapter 3, with its id, value, events and errors.
#[macro_export]
macro_rules! user {
    () => {
        cqrs_core::id!(
            /// Identifies a person.
            pub UserId
        );

        #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
        pub struct Nickname(String);
        impl Nickname {
            pub fn parse(text: &str) -> std::result::Result<Nickname, UserError> {
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
            Registered { id: UserId, nickname: Nickname },
            Renamed { id: UserId, nickname: Nickname },
            Deactivated { id: UserId },
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
            pub fn register(id: UserId, nickname: Nickname) -> UserEvent {
                UserEvent::Registered { id, nickname }
            }
            pub fn rename(&self, nickname: Nickname) -> std::result::Result<Option<UserEvent>, UserError> {
                self.require_active()?;
                Ok((nickname != self.nickname).then_some(UserEvent::Renamed { id: self.id, nickname }))
            }
            pub fn deactivate(&self) -> std::result::Result<UserEvent, UserError> {
                self.require_active()?;
                Ok(UserEvent::Deactivated { id: self.id })
            }
            fn require_active(&self) -> std::result::Result<(), UserError> {
                if self.active { Ok(()) } else { Err(UserError::Deactivated) }
            }
        }
        impl cqrs_core::Evolve<UserEvent> for User {
            fn create(event: &UserEvent) -> Option<User> {
                match event {
                    UserEvent::Registered { id, nickname } => {
                        Some(User { id: *id, nickname: nickname.clone(), active: true })
                    }
                    UserEvent::Renamed { .. } | UserEvent::Deactivated { .. } => None,
                }
            }
            fn apply(&mut self, event: &UserEvent) {
                match event {
                    UserEvent::Registered { .. } => (),
                    UserEvent::Renamed { nickname, .. } => self.nickname.clone_from(nickname),
                    UserEvent::Deactivated { .. } => self.active = false,
                }
            }
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
        ) -> cqrs_core::Result<UserId, UserError> {
            let id = UserId(clock.id());
            users.create(User::register(id, command.nickname))?;
            Ok(id)
        }
        #[derive(Clone, serde::Serialize, serde::Deserialize, cqrs_core::Command)]
        pub struct RenameUser {
            pub id: UserId,
            pub nickname: Nickname,
        }
        #[cqrs_core::handler]
        async fn rename_user(command: RenameUser, users: cqrs_core::Repo<User>) -> cqrs_core::Result<(), UserError> {
            users.update(&command.id, |user| user.rename(command.nickname)).await?;
            Ok(())
        }
    };
}

/// The read model of chapter 5 and the query of chapter 2.
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
            match event.event.clone() {
                UserEvent::Registered { id, nickname } => {
                    Profile { id, nickname: nickname.to_string(), registered_at: event.at }.put(id)
                }
                UserEvent::Renamed { id, nickname } => {
                    Profile::update(id, move |profile| profile.nickname = nickname.to_string())
                }
                UserEvent::Deactivated { id } => Profile::remove(id),
            }
        }
        #[derive(Clone, cqrs_core::Query)]
        pub struct FindProfile {
            pub id: UserId,
        }
        #[cqrs_core::handler]
        async fn find_profile(
            query: FindProfile,
            profiles: cqrs_core::Views<Profile>,
        ) -> cqrs_core::Result<Option<Profile>, cqrs_core::Never> {
            Ok(profiles.get(&query.id).await?)
        }
    };
}

/// A contract event of another service, as code generation writes it: chapter 6.
#[macro_export]
macro_rules! counsel_replied {
    () => {
        #[derive(Clone)]
        pub struct CounselReplied {
            pub user_id: String,
        }
        impl cqrs_core::Contract for CounselReplied {
            const NAME: &'static str = "com.example.counsel.replied";
            const TOPIC: &'static str = "counseling.events.v1";
            fn key(&self) -> String {
                self.user_id.clone()
            }
            fn encode(&self) -> Vec<u8> {
                self.user_id.clone().into_bytes()
            }
            fn decode(bytes: &[u8]) -> std::result::Result<Self, cqrs_core::BoxError> {
                Ok(CounselReplied { user_id: String::from_utf8(bytes.to_vec())? })
            }
        }
        impl cqrs_core::Heard for CounselReplied {
            const SOURCE: cqrs_core::Source = cqrs_core::Source::Topic {
                topic: <Self as cqrs_core::Contract>::TOPIC,
                name: <Self as cqrs_core::Contract>::NAME,
            };
            fn decode(_: &str, _: u32, bytes: &[u8]) -> std::result::Result<Self, cqrs_core::BoxError> {
                <Self as cqrs_core::Contract>::decode(bytes)
            }
        }
    };
}
