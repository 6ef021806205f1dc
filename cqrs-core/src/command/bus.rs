//! `send`: span, deadline, idempotency key, handler, commit, and a retry after a conflict.
use crate::{
    Timestamp,
    aggregate::mapped::{self, TableChange},
    aggregate::unit_of_work::UnitOfWork,
    codec::{self, WrittenByNewerProgram},
    command::handler::Handled,
    command::idempotency::IdempotencyKey,
    context::Context,
    environment::{backoff, to_its_end, within},
    error::{DomainError, Error, ErrorKind, Fault, Rejection, VersionConflict, permanent},
    limit,
    message::{AsCommand, AsQuery, RequestKind, Stored},
    metadata::{Metadata, TimerEnd},
    middleware::{Call, Next, Outcome},
    position::Position,
    registry::{RunStored, StoredCommandError},
    runtime::Runtime,
    storage::{Batch, CommitError, Firing},
    telemetry::spans,
    telemetry::trace::spans_enabled,
    turn::Turn,
};
use futures_util::future::BoxFuture;
use std::{sync::Arc, time::Duration};
use tracing::Instrument;

/// The number of attempts of a command when other commands change the same aggregate (optimistic concurrency).
///
/// After the first conflict the commands of one process queue for the aggregate, so only other processes and new
/// commands cause further ones.
const ATTEMPTS: u32 = 16;
const FIRST_WAIT: Duration = Duration::from_millis(1);
const LONGEST_WAIT: Duration = Duration::from_millis(512);
/// The longest wait of a command for its turn to change an aggregate, and of a request for a permit of its limit.
const LONGEST_TURN: Duration = Duration::from_secs(10);

/// The dispatch of one kind of requests. `derive(Command)` or `derive(Query)` chooses it.
#[diagnostic::on_unimplemented(
    message = "`{R}` or its output cannot be stored",
    note = "a command and its `Output` need `Serialize + Deserialize`: responses are stored for the idempotency key"
)]
pub trait Dispatch<R: Handled> {
    /// The kind of the request: command or query.
    const KIND: RequestKind;
    /// Decodes a stored command and sends it; `None` for a query, which is never stored.
    #[doc(hidden)]
    const RUN_STORED: Option<RunStored> = None;
    /// Runs the request, inside the middlewares.
    #[doc(hidden)]
    fn dispatch(
        runtime: &Arc<Runtime>,
        request: R,
        metadata: &Arc<Metadata>,
    ) -> impl Future<Output = Result<(R::Output, Position), Error<R::Error>>> + Send;
    /// Sends the request through the middlewares, for callers that do not need the position.
    #[doc(hidden)]
    fn send(
        runtime: &Arc<Runtime>,
        request: R,
        metadata: &Arc<Metadata>,
    ) -> impl Future<Output = Result<R::Output, Error<R::Error>>> + Send;
}

impl<R: Handled> Dispatch<R> for AsQuery {
    const KIND: RequestKind = RequestKind::Query;
    async fn dispatch(
        runtime: &Arc<Runtime>,
        request: R,
        metadata: &Arc<Metadata>,
    ) -> Result<(R::Output, Position), Error<R::Error>> {
        let context = Context { runtime, unit: None, metadata };
        let output = match metadata.deadline {
            None => request.handle(&context).await?,
            Some(deadline) => Box::pin(until(runtime, deadline, request.handle(&context))).await?,
        };
        Ok((output, Position(0)))
    }
    // A single future around the handler's own: each one more costs as much as a short query.
    async fn send(runtime: &Arc<Runtime>, request: R, metadata: &Arc<Metadata>) -> Result<R::Output, Error<R::Error>> {
        if metadata.deadline.is_some()
            || !runtime.middleware.is_empty()
            || spans_enabled()
            || !runtime.has_discovered(R::registration().slot())
            || R::registration().limit.is_some()
        {
            return Box::pin(async { Ok(send::<R, Self>(runtime, request, metadata).await?.0) }).await;
        }
        request.handle(&Context { runtime, unit: None, metadata }).await
    }
}

impl<R> Dispatch<R> for AsCommand
where
    R: Handled + Stored,
    R::Output: Stored + Sync,
{
    const KIND: RequestKind = RequestKind::Command;
    const RUN_STORED: Option<RunStored> = Some(run_stored::<R>);
    async fn send(runtime: &Arc<Runtime>, request: R, metadata: &Arc<Metadata>) -> Result<R::Output, Error<R::Error>> {
        Ok(send::<R, Self>(runtime, request, metadata).await?.0)
    }
    async fn dispatch(
        runtime: &Arc<Runtime>,
        request: R,
        metadata: &Arc<Metadata>,
    ) -> Result<(R::Output, Position), Error<R::Error>> {
        if runtime.query_side.is_some() {
            return Err(Error::Rejected(Rejection::query_side()));
        }
        let personal = match request.personal_subject().filter(|_| metadata.key.is_some()) {
            Some(subject) => Some((subject, runtime.hash_key().await?)),
            None => None,
        };
        let key = IdempotencyKey::of(&request, metadata, personal)?;
        let (mut attempt, mut is_newest) = (0, false);
        let mut turn: Option<Turn<'_>> = None;
        loop {
            match attempt_once(runtime, request.clone(), metadata, key.as_ref(), is_newest).await {
                Ok(done) => return Ok(done),
                Err(AttemptError::Conflict(what, versions)) => {
                    attempt += 1;
                    if attempt == ATTEMPTS {
                        return stored_response_or::<R>(runtime, key.as_ref(), Error::Conflict { what, versions })
                            .await;
                    }
                    runtime.meter.decides_again(R::NAME);
                    let on = versions.as_ref();
                    tracing::debug!(
                        what,
                        attempt,
                        expected = on.map(|on| on.expected),
                        found = on.map(|on| on.found),
                        winner = on.and_then(|on| on.winner).map(tracing::field::display),
                        "the commit found a conflict; the handler runs again"
                    );
                    if !turn.as_ref().is_some_and(|turn| turn.has_come_for(&what)) {
                        // The place before is given up first: no command waits in one queue and blocks another.
                        drop(turn.take());
                        turn = Some(Box::pin(queued(runtime, metadata, &what)).await);
                    } else {
                        // Another process, or a command that has not met a conflict yet, was faster.
                        let wait = backoff(&*runtime.environment, attempt, FIRST_WAIT, LONGEST_WAIT);
                        runtime.environment.sleep(wait).await;
                    }
                }
                Err(AttemptError::WrittenByNewerProgram(fault)) => {
                    // The newest program may drop fields that it does not know. This is read only when it matters.
                    is_newest = !is_newest && runtime.is_newest_program().await?;
                    if !is_newest {
                        return stored_response_or::<R>(runtime, key.as_ref(), fault.into()).await;
                    }
                }
                Err(AttemptError::Final(error)) => return stored_response_or::<R>(runtime, key.as_ref(), error).await,
            }
        }
    }
}

/// Waits for the turn to change this aggregate, which the caller keeps until its command is done.
///
/// The wait has a limit: a handler that holds the turn may itself wait for a command that queues here. After it the
/// command runs without the turn; its commit is still checked, and after another conflict it queues again.
async fn queued<'a>(runtime: &'a Runtime, metadata: &Metadata, what: &str) -> Turn<'a> {
    let mut turn = runtime.turns.join(what);
    let left = |deadline: Timestamp| (deadline - runtime.environment.now()).to_std().unwrap_or_default();
    let longest = metadata.deadline.map_or(LONGEST_TURN, |deadline| left(deadline).min(LONGEST_TURN));
    let _ = within(&*runtime.environment, longest, turn.comes()).await;
    turn
}

enum AttemptError<E> {
    /// Another command changed the aggregate; the command is tried again.
    Conflict(String, Option<VersionConflict>),
    /// The command changes a stored value whose fields this program would lose.
    WrittenByNewerProgram(Fault),
    Final(Error<E>),
}

/// Runs the handler once and commits the staged changes.
async fn attempt_once<R>(
    runtime: &Arc<Runtime>,
    request: R,
    metadata: &Arc<Metadata>,
    key: Option<&IdempotencyKey>,
    is_newest: bool,
) -> Result<(R::Output, Position), AttemptError<R::Error>>
where
    R: Handled,
    R::Output: Stored,
{
    let unit = UnitOfWork::of_command(R::NAME, key.map(|key| key.key.clone()));
    let context = Context { runtime, unit: Some(&unit), metadata };
    let result = match metadata.deadline {
        None => request.handle(&context).await,
        Some(deadline) => Box::pin(until(runtime, deadline, request.handle(&context))).await,
    };
    let tables = unit.table_changes();
    if let (Some(key), Some(response)) = (key, unit.stored_response()) {
        runtime.meter.repeats(R::NAME);
        return key.read(&response).map_err(AttemptError::Final);
    }
    let output = result.map_err(AttemptError::Final)?;
    let fault = |fault: Fault| AttemptError::Final(Error::from(fault));
    if unit.may_reuse_ids() {
        Box::pin(unit.reuse_ids(&*runtime.storage)).await.map_err(fault)?;
    }
    let taken = unit.take(&*runtime.environment, &runtime.service, metadata, is_newest);
    let cannot = |error: Fault| match WrittenByNewerProgram::is_cause_of(&error) {
        true => AttemptError::WrittenByNewerProgram(error),
        false => fault(error),
    };
    let mut batch = taken.map_err(cannot)?;
    if runtime.inline.is_some() {
        Box::pin(runtime.apply_inline(&mut batch, is_newest)).await.map_err(cannot)?;
    }
    batch.response = key.map(|key| key.response(&output)).transpose().map_err(fault)?;
    end_timer(&mut batch, metadata);
    if batch.is_empty() {
        return Ok((output, Position(0)));
    }
    match to_its_end(&runtime.environment, commit(runtime.clone(), R::NAME, batch, tables)).await {
        Ok(position) => Ok((output, position)),
        Err(CommitError::Conflict { what, exists: false, versions }) => Err(AttemptError::Conflict(what, versions)),
        Err(CommitError::Conflict { what, exists: true, .. }) => Err(AttemptError::Final(Error::Exists { what })),
        Err(CommitError::Taken { index, value }) => Err(AttemptError::Final(Error::Taken { index, value })),
        // The look-up after every refusal normally finds this response, so the caller does not see this fault.
        Err(CommitError::ResponseExists) => {
            Err(fault(Fault::internal("a response was stored under this idempotency key, but it is no longer there")))
        }
        Err(CommitError::Fault(error)) => Err(fault(error)),
        Err(rejected @ (CommitError::AlreadyHandled | CommitError::Moved(_))) => {
            Err(fault(Fault::internal("the batch of a command was refused").because(rejected)))
        }
    }
}

/// Commits the batch of a command, and notes the commit for the metrics and for reads that wait for it.
async fn commit(
    runtime: Arc<Runtime>,
    command: &'static str,
    batch: Batch,
    tables: Vec<TableChange>,
) -> Result<Position, CommitError> {
    let projections = runtime.projections_of(&batch.events);
    let sets_timers = batch.sets_timers();
    let began = runtime.environment.uptime();
    let committed = mapped::commit(&*runtime.storage, batch, &tables).await;
    runtime.meter.committed(command, runtime.environment.uptime().saturating_sub(began), &committed);
    if let Ok(position) = &committed {
        projections.iter().for_each(|reader| reader.committed(*position));
        if sets_timers {
            runtime.timers_set.notify_one();
        }
    }
    committed
}

/// Ends the timer that has sent the command, in the command's own batch.
pub(crate) fn end_timer(batch: &mut Batch, metadata: &Metadata) {
    let Some(timer) = &metadata.timer else { return };
    let Some(end) = timer.end else { return };
    let next = match end {
        TimerEnd::Removed => None,
        TimerEnd::Next(due) => Some(due),
    };
    batch.fire(&timer.name, Firing { due: timer.due, id: timer.id }, next);
}

/// Decodes a stored command and sends it.
fn run_stored<'a, R>(context: &'a Context<'a>, body: &'a [u8]) -> BoxFuture<'a, Result<(), StoredCommandError>>
where
    R: Handled + Stored,
    R::Output: Stored + Sync,
{
    Box::pin(async move {
        // The error's own text can hold a part of the command.
        let unreadable = |error: serde_json::Error| {
            let (kind, line, column) = (error.classify(), error.line(), error.column());
            StoredCommandError::Unreadable(format!("{kind:?} error at line {line} column {column}").into())
        };
        let request: R = codec::decode(body).map_err(unreadable)?;
        carry_out::<R, AsCommand>(context.runtime, request, context.metadata).await
    })
}

/// Sends a command that no caller waits for, and returns whether it is done.
pub(crate) async fn carry_out<R: Handled, D: Dispatch<R>>(
    runtime: &Arc<Runtime>,
    request: R,
    metadata: &Arc<Metadata>,
) -> Result<(), StoredCommandError> {
    match send::<R, D>(runtime, request, metadata).await {
        // The command was carried out before under its key, by a program that stored its response in another form.
        Ok(_) | Err(Error::ResponseUnreadable) => Ok(()),
        Err(Error::Fault(fault)) if is_gone(&fault) => Err(StoredCommandError::Gone),
        Err(Error::Fault(fault) | Error::OutcomeUnknown(fault)) if fault.is_transient() => {
            Err(StoredCommandError::Transient(fault.into()))
        }
        Err(Error::Fault(fault) | Error::OutdatedToken(fault)) => Err(StoredCommandError::Failed(fault.into())),
        Err(conflict @ Error::Conflict { .. }) => Err(StoredCommandError::Transient(conflict.to_string().into())),
        Err(error) => Err(not_carried_out(&error)),
    }
}

/// Classifies an error of a stored command that is neither a fault nor a conflict.
fn not_carried_out<E: DomainError>(error: &Error<E>) -> StoredCommandError {
    // The text of a domain error may hold personal data, and its reason is a code.
    let reason = error.reason().into_owned();
    match (error, error.kind()) {
        // No rule has decided: a parameter of the handler refused the caller, or a value cannot be stored.
        (Error::Rejected(rejection), _) => StoredCommandError::Failed(permanent(rejection.clone())),
        // The handler says that another system is down.
        (_, ErrorKind::Unavailable | ErrorKind::Deadline | ErrorKind::Conflict | ErrorKind::OutcomeUnknown) => {
            StoredCommandError::Transient(reason.into())
        }
        (_, ErrorKind::Internal) => StoredCommandError::Failed(reason.into()),
        _ => StoredCommandError::Refused(reason),
    }
}

/// Returns whether the batch was refused because its timer was ended by another one.
fn is_gone(fault: &Fault) -> bool {
    let source = std::error::Error::source(fault).and_then(|source| source.downcast_ref::<CommitError>());
    matches!(source, Some(CommitError::Moved(_)))
}

/// Returns the stored response of the idempotency key, or `error` if there is none.
///
/// A stored response takes precedence over every error, so that a repeated command is not refused because of its own
/// first effect. If the look-up fails, its fault is returned: `error` may be such a refusal.
async fn stored_response_or<R>(
    runtime: &Runtime,
    key: Option<&IdempotencyKey>,
    error: Error<R::Error>,
) -> Result<(R::Output, Position), Error<R::Error>>
where
    R: Handled,
    R::Output: Stored,
{
    let Some(key) = key else { return Err(error) };
    match (runtime.storage.response(&key.key).await, error) {
        (Ok(Some(response)), _) => {
            runtime.meter.repeats(R::NAME);
            key.read(&response)
        }
        // The commit may still arrive, but a repetition with the same key takes effect once.
        (Ok(None), Error::OutcomeUnknown(fault)) => {
            let message = "the connection to the database was lost during the commit; repeat the request with its key";
            Err(Error::Fault(Fault::unavailable(message).because(fault)))
        }
        (Ok(None), error) => Err(error),
        (Err(fault), _) => Err(Error::from(fault)),
    }
}

/// Runs the handler until the caller's deadline. The deadline does not cover the commit: once begun, it is never
/// interrupted.
async fn until<T, E>(
    runtime: &Runtime,
    deadline: Timestamp,
    handling: impl Future<Output = Result<T, Error<E>>>,
) -> Result<T, Error<E>> {
    let expired = || Error::Fault(Fault::deadline("the caller's deadline has passed"));
    let left = (deadline - runtime.environment.now()).to_std().map_err(|_| expired())?;
    within(&*runtime.environment, left, handling).await.unwrap_or_else(|| Err(expired()))
}

/// Sends a request. Every request passes here, typed from end to end.
///
/// A future is moved as a whole before it is polled. Therefore everything outside the shortest path is boxed:
/// middlewares, an enabled span, a deadline.
pub(crate) async fn send<R: Handled, D: Dispatch<R>>(
    runtime: &Arc<Runtime>,
    request: R,
    metadata: &Arc<Metadata>,
) -> Result<(R::Output, Position), Error<R::Error>> {
    if !runtime.has_discovered(R::registration().slot()) {
        return Err(Error::Fault(runtime.not_discovered(R::registration())));
    }
    if let Some(limit) = R::registration().limit
        && runtime.query_side.is_none()
    {
        return Box::pin(limited::<R, D>(runtime, request, metadata, limit.name)).await;
    }
    if !runtime.middleware.is_empty() {
        return Box::pin(through_middleware::<R, D>(runtime, request, metadata)).await;
    }
    if spans_enabled()
        && let Some(span) = spans::send(R::NAME, metadata)
    {
        return Box::pin(D::dispatch(runtime, request, metadata).instrument(span)).await;
    }
    D::dispatch(runtime, request, metadata).await
}

/// Sends a request whose handler uses a limit, once it has a permit.
///
/// A caller waits, so it waits until its deadline, and not for ever.
async fn limited<R: Handled, D: Dispatch<R>>(
    runtime: &Arc<Runtime>,
    request: R,
    metadata: &Arc<Metadata>,
    limit: &str,
) -> Result<(R::Output, Position), Error<R::Error>> {
    let left = |deadline: Timestamp| (deadline - runtime.environment.now()).to_std().unwrap_or_default();
    let longest = metadata.deadline.map_or(LONGEST_TURN, |deadline| left(deadline).min(LONGEST_TURN));
    let acquiring = limit::acquire(runtime.limits.of(None, Some(limit)));
    let Some(mut permits) = within(&*runtime.environment, longest, acquiring).await else {
        return Err(Error::Fault(Fault::unavailable(format!(
            "the limit {limit} is used up; repeat the request later"
        ))));
    };
    permits.hold(through_middleware::<R, D>(runtime, request, metadata)).await.map_err(Error::Fault)?
}

async fn through_middleware<R: Handled, D: Dispatch<R>>(
    runtime: &Arc<Runtime>,
    request: R,
    metadata: &Arc<Metadata>,
) -> Result<(R::Output, Position), Error<R::Error>> {
    let call = Call { name: R::NAME, kind: D::KIND, metadata };
    let mut outcome = None;
    let refusal = {
        let outcome = &mut outcome;
        let span = spans::send(R::NAME, metadata).unwrap_or_else(tracing::Span::none);
        let mut next = Next(Box::pin(
            async move {
                let result = D::dispatch(runtime, request, metadata).await;
                let summary = Outcome::of(&result);
                *outcome = Some(result);
                Ok(summary)
            }
            .instrument(span),
        ));
        for middleware in runtime.middleware.iter().rev() {
            next = Next(middleware.around(&call, next));
        }
        next.run().await
    };
    match (outcome, refusal) {
        (Some(result), _) => result,
        (None, Err(fault)) => Err(Error::Fault(fault)),
        (None, Ok(_)) => Err(Error::Fault(Fault::internal("a middleware neither ran the request nor refused it"))),
    }
}
