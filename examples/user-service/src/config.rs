//! The program's settings with their defaults, and its tasks: those that every service has, and the change of a person's
//! authority.
use crate::{
    application::commands::UpdateAuthority,
    domain::{
        auth_user::{AuthUserId, Authority, AuthoritySource},
        user::UserId,
    },
};
use clap::{Parser, Subcommand};
use cqrs_core::{App, BoxError, Metadata};
use service_edge::settings::{EdgeArgs, RunTask, Task};
use std::process::ExitCode;

/// The user service: people, their credentials and their message tokens, over gRPC, on PostgreSQL and Kafka.
#[derive(Parser)]
#[command(name = "user-service", version, about)]
#[command(mut_arg("tls_callers", |callers| callers.default_value("gateway,counseling-service")))]
pub struct Args {
    #[command(flatten)]
    pub service: EdgeArgs<UserTask>,
}

/// A task that the program runs instead of serving.
#[derive(Debug, Clone, Subcommand)]
pub enum UserTask {
    #[command(flatten)]
    Service(Task),
    /// Gives a person the permissions of an administrator, from their next refresh on. No login takes them back.
    Promote(Person),
    /// Takes the permissions of an administrator from a person, from their next refresh on. The next login gives them back
    /// while the gateway's configuration lists the person's account.
    Demote(Person),
}

/// The person of a task.
#[derive(Debug, Clone, clap::Args)]
pub struct Person {
    /// The person's id.
    user: UserId,
    /// The operator's name, which is stored in the log.
    #[arg(long, env = "USER")]
    by: String,
}
impl Person {
    /// Changes the permissions. The event's metadata has the operator's name.
    async fn change(&self, authority: Authority, app: &App) -> Result<ExitCode, BoxError> {
        let (auth_user, source) = (AuthUserId::of(self.user), AuthoritySource::Operator);
        let command = UpdateAuthority { auth_user, authority, source };
        let changed = app.with(Metadata::default().caller(&*self.by)).send(command).await?;
        println!("user {} has the authority {:?}", self.user, changed.authority);
        Ok(ExitCode::SUCCESS)
    }
}
impl RunTask for UserTask {
    fn serves_queries(&self) -> bool {
        matches!(self, UserTask::Service(task) if task.serves_queries())
    }
    async fn run(&self, app: &App) -> Result<ExitCode, BoxError> {
        match self {
            UserTask::Service(task) => task.run(app).await,
            UserTask::Promote(person) => person.change(Authority::Admin, app).await,
            UserTask::Demote(person) => person.change(Authority::User, app).await,
        }
    }
}
