//! `send`: span, deadline, idempotency key, handler, commit, and again on a conflict.
use crate::{
    AsCommand, AsQuery, Context, Error, Fault, Handled, Metadata, Position, Stored, Timestamp,
    answer::AnswerKey,
    app::{Kind, Shared},
    batch::Rejected,
    middleware::{Call, Next, Verdict},
    spans,
    trace::is_watched,
    unit::Unit,
    world::{backoff, within},
};
use std::{sync::Arc, time::Duration};
use tracing::Instrument;

/// How often a command is decided again when somebody else was faster; with jitter, fifty callers of one aggregate all get
/// through, on a busy machine too: twelve times and 128 ms were not enough there.
const ATTEMPTS: u32 = 16;
const FIRST_WAIT: Duration = Duration::from_millis(1);
const LONGEST_WAIT: Duration = Duration::from_millis(512);

/// How a request of one kind runs; the derive chose it.
#[diagnostic::on_unimplemented(
    message = "`{R}` or its answer cannot be stored",
    note = "a command and its `Output` need `Serialize + Deserialize`: the first answer is kept for the idempotency key"
)]
pub trait Dispatch<R: Handled> {
    /// Command or query.
    const KIND: Kind;
    /// Runs it, inside the layers.
    #[doc(hidden)]
    fn dispatch(
        shared: &Arc<Shared>,
        request: R,
        metadata: &Arc<Metadata>,
    ) -> impl Future<Output = Result<(R::Output, Position), Error<R::Error>>> + Send;
    /// The same from the front door, for whoever does not ask for the position.
    #[doc(hidden)]
    fn send(
        shared: &Arc<Shared>,
        request: R,
        metadata: &Arc<Metadata>,
    ) -> impl Future<Output = Result<R::Output, Error<R::Error>>> + Send;
}

impl<R: Handled> Dispatch<R> for AsQuery {
    const KIND: Kind = Kind::Query;
    async fn dispatch(
        shared: &Arc<Shared>,
        request: R,
        metadata: &Arc<Metadata>,
    ) -> Result<(R::Output, Position), Error<R::Error>> {
        let context = Context { shared, unit: None, metadata };
        let output = match metadata.deadline {
            None => request.handle(&context).await?,
            Some(deadline) => Box::pin(until(shared, deadline, request.handle(&context))).await?,
        };
        Ok((output, Position(0)))
    }
    // One future around the handler's own and no more: each costs as much as a short query does.
    async fn send(shared: &Arc<Shared>, request: R, metadata: &Arc<Metadata>) -> Result<R::Output, Error<R::Error>> {
        if metadata.deadline.is_some()
            || !shared.middleware.is_empty()
            || is_watched()
            || !shared.takes(R::registration())
        {
            return Box::pin(async { Ok(send::<R, Self>(shared, request, metadata).await?.0) }).await;
        }
        request.handle(&Context { shared, unit: None, metadata }).await
    }
}

impl<R> Dispatch<R> for AsCommand
where
    R: Handled + Stored,
    R::Output: Stored + Sync,
{
    const KIND: Kind = Kind::Command;
    async fn send(shared: &Arc<Shared>, request: R, metadata: &Arc<Metadata>) -> Result<R::Output, Error<R::Error>> {
        Ok(send::<R, Self>(shared, request, metadata).await?.0)
    }
    async fn dispatch(
        shared: &Arc<Shared>,
        request: R,
        metadata: &Arc<Metadata>,
    ) -> Result<(R::Output, Position), Error<R::Error>> {
        let key = AnswerKey::of(&request, metadata)?;
        let mut attempt = 0;
        loop {
            match once(shared, request.clone(), metadata, key.as_ref()).await {
                Ok(done) => return Ok(done),
                Err(Refused::Again(what)) => {
                    attempt += 1;
                    if attempt == ATTEMPTS {
                        return first_answer_or::<R>(shared, key.as_ref(), Error::Conflict { what }).await;
                    }
                    shared.meter.decides_again(R::NAME);
                    tracing::debug!(what, attempt, "changed by someone else: deciding again");
                    let wait = backoff(&*shared.world, attempt, FIRST_WAIT, LONGEST_WAIT);
                    shared.world.sleep(wait).await;
                }
                Err(Refused::For(error)) => return first_answer_or::<R>(shared, key.as_ref(), error).await,
            }
        }
    }
}

enum Refused<E> {
    Again(String),
    For(Error<E>),
}

/// One try: decide, then commit what was staged.
async fn once<R>(
    shared: &Arc<Shared>,
    request: R,
    metadata: &Arc<Metadata>,
    key: Option<&AnswerKey>,
) -> Result<(R::Output, Position), Refused<R::Error>>
where
    R: Handled,
    R::Output: Stored,
{
    let unit = Unit::with_answer(key.map(|it| it.key.clone()));
    let context = Context { shared, unit: Some(&unit), metadata };
    let result = match metadata.deadline {
        None => request.handle(&context).await,
        Some(deadline) => Box::pin(until(shared, deadline, request.handle(&context))).await,
    };
    if let (Some(key), Some(answer)) = (key, unit.answered()) {
        shared.meter.repeats(R::NAME);
        return key.read(&answer).map_err(Refused::For);
    }
    let output = result.map_err(Refused::For)?;
    let fault = |fault: Fault| Refused::For(Error::Fault(fault));
    let mut batch = unit.take(&*shared.world, &shared.service, metadata).map_err(fault)?;
    batch.answer = key.map(|key| key.answer(&output)).transpose().map_err(fault)?;
    if batch.is_empty() {
        return Ok((output, Position(0)));
    }
    let began = shared.world.uptime();
    let committed = shared.storage.commit(batch).await;
    shared.meter.committed(R::NAME, shared.world.uptime().saturating_sub(began), &committed);
    match committed {
        Ok(position) => {
            shared.committed(position);
            Ok((output, position))
        }
        Err(Rejected::Conflict { what, exists: false }) => Err(Refused::Again(what)),
        Err(Rejected::Conflict { what, exists: true }) => Err(Refused::For(Error::Exists { what })),
        Err(Rejected::Taken { index, value }) => Err(Refused::For(Error::Taken { index, value })),
        // The look-up that follows every refusal finds the answer.
        Err(Rejected::Answered) => Err(fault(Fault::internal("answered already, but the answer is gone"))),
        Err(Rejected::Fault(error)) => Err(fault(error)),
        Err(rejected @ (Rejected::Seen | Rejected::Moved(_))) => Err(fault(Fault::internal(rejected.to_string()))),
    }
}

/// A retry must not be rejected by its own first effect: whatever the refusal, an answer that is there wins.
async fn first_answer_or<R>(
    shared: &Shared,
    key: Option<&AnswerKey>,
    error: Error<R::Error>,
) -> Result<(R::Output, Position), Error<R::Error>>
where
    R: Handled,
    R::Output: Stored,
{
    if let Some(key) = key
        && let Ok(Some(answer)) = shared.storage.answer(&key.key).await
    {
        shared.meter.repeats(R::NAME);
        return key.read(&answer);
    }
    Err(error)
}

/// The handler may take as long as the caller waits; a commit that has begun is never cut.
async fn until<T, E>(
    shared: &Shared,
    deadline: Timestamp,
    handling: impl Future<Output = Result<T, Error<E>>>,
) -> Result<T, Error<E>> {
    let over = || Error::Fault(Fault::deadline("the caller's deadline is over"));
    let left = (deadline - shared.world.now()).to_std().map_err(|_| over())?;
    within(&*shared.world, left, handling).await.unwrap_or_else(|| Err(over()))
}

/// The way in: every request passes here, typed from end to end. A future is moved as a whole before it is polled, so what is
/// not on the shortest way is boxed: layers, a span that somebody reads, a deadline.
pub(crate) async fn send<R: Handled, D: Dispatch<R>>(
    shared: &Arc<Shared>,
    request: R,
    metadata: &Arc<Metadata>,
) -> Result<(R::Output, Position), Error<R::Error>> {
    if !shared.takes(R::registration()) {
        return Err(Error::Fault(shared.not_discovered(R::registration())));
    }
    if !shared.middleware.is_empty() {
        return Box::pin(through_layers::<R, D>(shared, request, metadata)).await;
    }
    if is_watched()
        && let Some(span) = spans::send(R::NAME, metadata)
    {
        return Box::pin(D::dispatch(shared, request, metadata).instrument(span)).await;
    }
    D::dispatch(shared, request, metadata).await
}

async fn through_layers<R: Handled, D: Dispatch<R>>(
    shared: &Arc<Shared>,
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
                let result = D::dispatch(shared, request, metadata).await;
                let verdict = Verdict::of(&result);
                *outcome = Some(result);
                Ok(verdict)
            }
            .instrument(span),
        ));
        for layer in shared.middleware.iter().rev() {
            next = Next(layer.around(&call, next));
        }
        next.run().await
    };
    match (outcome, refusal) {
        (Some(result), _) => result,
        (None, Err(fault)) => Err(Error::Fault(fault)),
        (None, Ok(_)) => Err(Error::Fault(Fault::internal("a layer neither ran the request nor refused it"))),
    }
}
