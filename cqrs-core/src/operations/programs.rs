//! The operator's side of programs: the subcommand `programs list | withdraw`, and the same over HTTP.
use super::parked::{OperatorApi, Refused, bad_request};
use crate::{
    app::{App, DeclaredProgram, Withdrawal, WithdrawalError},
    error::BoxError,
};
use axum::{
    Json, Router,
    extract::{Query, State},
    http::request::Parts,
    routing::{get, post},
};
use clap::Subcommand;
use serde::Deserialize;
use serde_json::{Value, json};
use std::process::ExitCode;

/// Lists the programs that have started with the service's database, and withdraws one that does not come back after a
/// rollback.
///
/// The output is JSON. A program takes it as a subcommand, builds its app as usual, and runs this instead of serving. Run
/// it with the program to which the service was rolled back. It may run while the service runs, except on SQLite.
#[derive(Debug, Clone, Subcommand)]
#[non_exhaustive]
pub enum ProgramsCommand {
    /// Lists the programs in the order of their first start, with the events that each handles and this one does not.
    List,
    /// Withdraws a newer program that does not come back: the messages that were left to it are released to this one. No
    /// replica of it may run. Try it with --dry-run first.
    Withdraw {
        /// The number of the program, as `list` prints it.
        number: u64,
        /// Change nothing, and list the keys that would be released.
        #[arg(long)]
        dry_run: bool,
    },
}

impl ProgramsCommand {
    /// Runs the subcommand and returns its output.
    ///
    /// # Errors
    /// Fails with a [`WithdrawalError`] when the program cannot be withdrawn, and when the database fails.
    pub async fn run(&self, app: &App) -> Result<Value, BoxError> {
        let programs = app.programs();
        Ok(match self {
            ProgramsCommand::List => programs.list().await?.iter().map(program).collect(),
            ProgramsCommand::Withdraw { number, dry_run: true } => withdrawal(&programs.dry_run(*number).await?, true),
            ProgramsCommand::Withdraw { number, dry_run: false } => {
                withdrawal(&programs.withdraw(*number).await?, false)
            }
        })
    }
    /// Migrates the database, runs the subcommand and prints its output.
    ///
    /// # Errors
    /// Fails as [`run`](ProgramsCommand::run) does.
    pub async fn print(&self, app: &App) -> Result<ExitCode, BoxError> {
        app.migrate_for_command().await?;
        println!("{:#}", self.run(app).await?);
        Ok(ExitCode::SUCCESS)
    }
}

fn program(program: &DeclaredProgram) -> Value {
    json!({
        "number": program.number, "is_this": program.is_this, "withdrawn": program.is_withdrawn,
        "handles_more": program.handles_more,
    })
}
fn withdrawal(withdrawal: &Withdrawal, dry_run: bool) -> Value {
    let key = |key: &crate::app::ReleasedKey| json!({ "reader": key.reader, "key": key.key, "count": key.count, "stopped": key.stopped });
    let mut output = json!({
        "program": withdrawal.program, "was_withdrawn": withdrawal.was_withdrawn, "still_newer": withdrawal.still_newer,
    });
    if dry_run {
        output["would_release"] = withdrawal.released.iter().map(key).collect();
        output["has_more"] = withdrawal.has_more.into();
    }
    output
}

pub(super) fn routes(api: OperatorApi) -> Router {
    let routes = Router::new().route("/programs", get(list)).route("/programs/withdraw", post(withdraw));
    routes.with_state(api)
}

/// A service. It is required where the process has several.
#[derive(Deserialize)]
struct OfService {
    service: Option<String>,
}
#[derive(Deserialize)]
struct ToWithdraw {
    service: Option<String>,
    number: u64,
    #[serde(default)]
    dry_run: bool,
}

async fn list(
    State(api): State<OperatorApi>,
    request: Parts,
    Query(of): Query<OfService>,
) -> Result<Json<Value>, Refused> {
    api.operator(&request)?;
    let programs = api.app(of.service.as_deref())?.programs().list().await?;
    Ok(Json(programs.iter().map(program).collect()))
}
async fn withdraw(
    State(api): State<OperatorApi>,
    request: Parts,
    Query(of): Query<ToWithdraw>,
) -> Result<Json<Value>, Refused> {
    let by = api.operator(&request)?;
    let app = api.app(of.service.as_deref())?;
    let programs = app.programs();
    let done = match of.dry_run {
        true => programs.dry_run(of.number).await?,
        false => programs.withdraw(of.number).await?,
    };
    if !of.dry_run {
        tracing::warn!(service = app.service(), program = of.number, operator = by.caller, "withdrawn over HTTP");
    }
    Ok(Json(withdrawal(&done, of.dry_run)))
}

impl From<WithdrawalError> for Refused {
    fn from(error: WithdrawalError) -> Self {
        match error {
            WithdrawalError::Fault(fault) => fault.into(),
            unread @ WithdrawalError::Unread { .. } => Refused::unavailable(unread.to_string()),
            refused => bad_request(&refused.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{CommandFactory, Parser};

    #[derive(Debug, Parser)]
    struct CommandLine {
        #[command(subcommand)]
        programs: ProgramsCommand,
    }

    #[test]
    fn a_withdrawal_names_a_program() {
        CommandLine::command().debug_assert();
        let parsed = |arguments: &str| CommandLine::try_parse_from(arguments.split(' ')).map(|line| line.programs);
        assert!(matches!(parsed("p withdraw 3"), Ok(ProgramsCommand::Withdraw { number: 3, dry_run: false })));
        assert!(matches!(parsed("p withdraw 3 --dry-run"), Ok(ProgramsCommand::Withdraw { number: 3, dry_run: true })));
        assert!(parsed("p withdraw").is_err() && parsed("p withdraw all").is_err());
    }
}
