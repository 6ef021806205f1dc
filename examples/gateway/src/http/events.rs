//! Server-sent events: the messages of a counsel as they come.
use super::{Gateway, counsels::owned};
use crate::{
    envelope::without_nulls,
    error::Error,
    extract::{Caller, Ids},
    json::{MessageChanges, MessageEvent},
    streams::StreamPermit,
    upstream,
};
use axum::{
    extract::State,
    http::HeaderMap,
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use contracts::v1::service as rpc;
use futures_util::{StreamExt, stream};
use std::{convert::Infallible, future::ready, time::Duration};
use tokio::time::{Instant, sleep_until};
use tonic::Streaming;
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

/// The header with which a browser resumes.
const LAST_EVENT_ID: &str = "last-event-id";
/// Lets nginx, and proxies that follow it, pass each event on at once.
const UNBUFFERED: (&str, &str) = ("x-accel-buffering", "no");
/// The longest accepted id of an event, in bytes.
const LONGEST_ID: usize = 100;
/// The interval of comments, so that proxies keep the connection and a broken one is noticed.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// The time after which a client connects again.
const RETRY: Duration = Duration::from_secs(1);
/// The longest stream. When the client connects again its session is checked, so that one that has ended elsewhere ends here.
const LONGEST: Duration = Duration::from_secs(5 * 60);

/// The routes without their prefix.
pub(super) fn routes() -> OpenApiRouter<Gateway> {
    OpenApiRouter::new().routes(routes!(message_events))
}

/// Sends the messages of a counsel as server-sent events: first the newest ones, and then each that is new or has changed.
///
/// Each event of the type `messages` has an id. A client that connects again with it as `Last-Event-ID`, as browsers do, misses
/// nothing and gets nothing twice. The stream ends after five minutes, with the session, and when the gateway stops; the client connects
/// again. A person can have eight open streams.
#[utoipa::path(
    get,
    path = "/counselors/{counselorId}/counsels/{counselId}/messages/events",
    params(("Last-Event-ID" = Option<String>, Header, description = "The id of the last event that the client has received")),
    responses((status = 200, content_type = "text/event-stream", body = MessageEvent)),
)]
async fn message_events(
    caller: Caller,
    State(gateway): State<Gateway>,
    Ids((counselor, counsel)): Ids<(Uuid, Uuid)>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let resume = last_event(&headers)?;
    owned(&caller, counselor, counsel).await?;
    let open = gateway.streams().open(caller.id())?;
    let request = rpc::WatchMessagesRequest { counsel_id: counsel.to_string(), resume };
    let updates = caller.streams(upstream::Counsels::watch_messages, request).await?;
    Ok(events(updates, open, LONGEST.min(caller.session_left())))
}

fn last_event(headers: &HeaderMap) -> Result<Option<String>, Error> {
    let Some(id) = headers.get(LAST_EVENT_ID).filter(|id| !id.is_empty()) else { return Ok(None) };
    let id = id.to_str().ok().filter(|id| id.len() <= LONGEST_ID);
    id.map(|id| Some(id.to_owned())).ok_or_else(|| Error::invalid("Last-Event-ID: the id of an earlier event"))
}

/// Returns the response. It ends with the updates, and at the latest after `longest`; the client resumes then.
fn events(updates: Streaming<rpc::WatchMessagesResponse>, open: StreamPermit, longest: Duration) -> Response {
    let end = Instant::now() + longest;
    let updates = stream::unfold((updates, open), move |(mut updates, mut open)| async move {
        let update = tokio::select! {
            biased;
            () = open.ended() => None,
            () = sleep_until(end) => None,
            update = updates.message() => update.unwrap_or_else(|status| {
                tracing::debug!(code = ?status.code(), "gateway: an event stream of a service has ended");
                None
            }),
        };
        update.map(|update| (Ok::<_, Infallible>(event(update)), (updates, open)))
    });
    let first = stream::once(ready(Ok(Event::default().retry(RETRY))));
    let events = Sse::new(first.chain(updates)).keep_alive(KeepAlive::new().interval(HEARTBEAT));
    ([UNBUFFERED], events).into_response()
}

fn event(update: rpc::WatchMessagesResponse) -> Event {
    let id = update.resume.clone();
    let data = serde_json::to_value(MessageChanges::from(update)).expect("messages have text keys and plain values");
    Event::default().event("messages").id(id).data(without_nulls(data).to_string())
}
