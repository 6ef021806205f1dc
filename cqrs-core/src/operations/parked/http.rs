//! The operator API over HTTP: `GET /parked`, `GET /parked/messages`, `POST /parked/redeliver`, `POST /parked/discard`.
use super::{KEYS_PAGE, PAGE, REPORT, key, message, progress, redelivery, selected};
use crate::{
    app::{App, BulkRedelivery, ParkedSelection, SelectionError},
    environment::{Environment, SystemEnvironment},
    error::{ErrorKind, Fault},
    metadata::Metadata,
    storage::ParkedPage,
};
use axum::{
    Json, Router,
    body::Body,
    extract::{ConnectInfo, MatchedPath, Query, State},
    http::{HeaderMap, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::{convert::Infallible, net::SocketAddr, sync::Arc};

/// A function that returns the operator's name from a request's headers, or the reason for a refusal, which is sent
/// with status 403.
///
/// The reason should not distinguish cases that the caller must not be able to tell apart.
pub type Operators = dyn Fn(&HeaderMap) -> Result<String, String> + Send + Sync;

/// The largest number of messages in one response.
const LARGEST_PAGE: usize = 1_000;

/// The apps whose operators may call the operator API.
#[derive(Clone)]
pub(in crate::operations) struct OperatorApi {
    apps: Arc<[App]>,
    operators: Arc<Operators>,
}

pub(in crate::operations) fn routes(api: OperatorApi) -> Router {
    let routes = Router::new()
        .route("/parked", get(list))
        .route("/parked/messages", get(show))
        .route("/parked/redeliver", post(redeliver))
        .route("/parked/discard", post(discard));
    routes.with_state(api)
}

/// A key of a reader. `service` is required where the process has several.
#[derive(Deserialize)]
struct Selection {
    service: Option<String>,
    reader: String,
    key: String,
    #[serde(default)]
    body: bool,
    why: Option<String>,
    #[serde(default)]
    after: u64,
    limit: Option<usize>,
}
/// A page of keys. `service` is required with a cursor where the process has several.
#[derive(Deserialize)]
struct Keys {
    service: Option<String>,
    reader: Option<String>,
    after_reader: Option<String>,
    after_key: Option<String>,
    limit: Option<usize>,
}
/// The messages to redeliver: those of a key, or a selection. `service` is required where the process has several.
#[derive(Deserialize)]
struct ToRedeliver {
    service: Option<String>,
    reader: Option<String>,
    key: Option<String>,
    error: Option<String>,
    class: Option<String>,
    #[serde(default)]
    all: bool,
    after_reader: Option<String>,
    after_key: Option<String>,
    rate: Option<u32>,
    #[serde(default)]
    dry_run: bool,
}
#[derive(Deserialize)]
struct Discarded {
    service: Option<String>,
    reader: String,
    key: String,
    number: u64,
    why: String,
}

async fn list(
    State(api): State<OperatorApi>,
    request: Parts,
    Query(keys): Query<Keys>,
) -> Result<Json<Value>, Refused> {
    api.operator(&request)?;
    let after = after(keys.after_reader, keys.after_key)?;
    let apps = match keys.service.is_some() || after.is_some() {
        true => std::slice::from_ref(api.app(keys.service.as_deref())?),
        false => api.apps()?,
    };
    let after = after.as_ref().map(|(reader, key)| (&**reader, &**key));
    let limit = keys.limit.unwrap_or(KEYS_PAGE).min(KEYS_PAGE);
    let page = ParkedPage { reader: keys.reader.as_deref(), after, limit, ..ParkedPage::default() };
    let mut all = Vec::new();
    for app in apps {
        all.extend(app.parked().list(&page).await?.iter().map(|parked| key(app.service(), parked)));
    }
    Ok(Json(all.into()))
}
async fn show(
    State(api): State<OperatorApi>,
    request: Parts,
    Query(selection): Query<Selection>,
) -> Result<Json<Value>, Refused> {
    let by = api.operator(&request)?;
    let parked = api.app(selection.service.as_deref())?.parked();
    let limit = selection.limit.unwrap_or(PAGE).min(LARGEST_PAGE);
    let Selection { reader, key, body, why, after, .. } = &selection;
    parked.require_reader(reader).await?;
    let messages = match (body, why) {
        (false, _) => parked.show(reader, key, *after, limit).await?,
        (true, Some(why)) => parked.show_data(reader, key, *after, limit, why, &by).await?,
        (true, None) => return Err(bad_request("parameter `body` requires `why`, the reason for the look")),
    };
    Ok(Json(messages.iter().map(|parked| message(parked, selection.body)).collect()))
}
async fn redeliver(
    State(api): State<OperatorApi>,
    request: Parts,
    Query(of): Query<ToRedeliver>,
) -> Result<Response, Refused> {
    let by = api.operator(&request)?;
    let parked = api.app(of.service.as_deref())?.parked();
    let after = after(of.after_reader, of.after_key)?;
    if let Some(key) = of.key {
        let others = [("error", of.error.is_some()), ("class", of.class.is_some()), ("all", of.all)].into_iter();
        let others = others.chain([("rate", of.rate.is_some()), ("after_key", after.is_some())]);
        if let Some((other, _)) = others.into_iter().find(|(_, given)| *given) {
            return Err(SelectionError::Contradictory("key", other).into());
        }
        let reader = of.reader.ok_or_else(|| bad_request("parameter `key` requires `reader`"))?;
        parked.require_reader(&reader).await?;
        let done = match of.dry_run {
            true => parked.dry_run(&reader, &key).await?,
            false => parked.redeliver(&reader, &key, &by).await?,
        };
        return Ok(Json(redelivery(&done, of.dry_run)).into_response());
    }
    let mut selection = ParkedSelection::default();
    (selection.reader, selection.error, selection.class, selection.after) = (of.reader, of.error, of.class, after);
    let selection = selected(selection, of.all)?;
    if of.dry_run {
        return Ok(Json(super::dry_run(&parked.count(&selection).await?)).into_response());
    }
    Ok(stream(parked.redeliver_selected(selection, of.rate, &by).await?))
}
/// Runs a redelivery and sends its progress each second, one JSON object per line. The last line says that it has
/// finished, or why it has stopped. It stops when the client closes the connection.
fn stream(redelivery: BulkRedelivery) -> Response {
    let lines = futures_util::stream::unfold(Some(redelivery), |redelivery| async {
        let mut redelivery = redelivery?;
        let (line, next) = match redelivery.run_until(SystemEnvironment.sleep(REPORT), |_| ()).await {
            Ok(state) => (progress(&state), (!state.is_finished).then_some(redelivery)),
            Err(fault) => {
                let mut line = progress(&redelivery.progress());
                line["error"] = crate::error::describe(&fault).into();
                (line, None)
            }
        };
        Some((Ok::<_, Infallible>(format!("{line}\n")), next))
    });
    ([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(lines)).into_response()
}
/// Returns the cursor of a page or selection.
fn after(reader: Option<String>, key: Option<String>) -> Result<Option<(String, String)>, Refused> {
    match (reader, key) {
        (Some(reader), Some(key)) => Ok(Some((reader, key))),
        (None, None) => Ok(None),
        _ => Err(bad_request("parameters `after_reader` and `after_key` require each other")),
    }
}
pub(in crate::operations) fn bad_request(message: &str) -> Refused {
    Refused(StatusCode::BAD_REQUEST, message.to_owned())
}
async fn discard(
    State(api): State<OperatorApi>,
    request: Parts,
    Query(discarded): Query<Discarded>,
) -> Result<Json<Value>, Refused> {
    let by = api.operator(&request)?;
    let parked = api.app(discarded.service.as_deref())?.parked();
    parked.require_reader(&discarded.reader).await?;
    match parked.discard(&discarded.reader, &discarded.key, discarded.number, &discarded.why, &by).await? {
        true => Ok(Json(json!({ "discarded": true }))),
        false => Err(Refused(StatusCode::NOT_FOUND, "this reader has no parked message of that key and number".into())),
    }
}

impl OperatorApi {
    pub(in crate::operations) fn new(apps: Vec<App>, operators: Arc<Operators>) -> Self {
        OperatorApi { apps: apps.into(), operators }
    }
    /// Returns the operator who calls. A refusal is logged with the address and the route, and without the shown secret.
    pub(in crate::operations) fn operator(&self, request: &Parts) -> Result<Metadata, Refused> {
        let name = (self.operators)(&request.headers).map_err(|reason| {
            let from = request.extensions.get().map(|ConnectInfo(peer): &ConnectInfo<SocketAddr>| peer.ip());
            let route = request.extensions.get().map(MatchedPath::as_str);
            tracing::warn!(
                target: "security",
                event = "operator_refused",
                method = %request.method,
                route,
                from = from.map(tracing::field::display),
                reason,
                "a call of the operator API was refused"
            );
            Refused(StatusCode::FORBIDDEN, reason)
        })?;
        Ok(Metadata::default().caller(name))
    }
    /// Returns all apps.
    fn apps(&self) -> Result<&[App], Refused> {
        self.apps.iter().try_for_each(has_identified_database)?;
        Ok(&self.apps)
    }
    /// Returns the app of a service.
    pub(in crate::operations) fn app(&self, service: Option<&str>) -> Result<&App, Refused> {
        let found = match service {
            None if self.apps.len() == 1 => self.apps.first(),
            None => None,
            Some(name) => self.apps.iter().find(|app| app.service() == name),
        };
        let names = || self.apps.iter().map(App::service).collect::<Vec<_>>().join(", ");
        let refused = || Refused(StatusCode::BAD_REQUEST, format!("parameter `service` must be one of: {}", names()));
        let app = found.ok_or_else(refused)?;
        has_identified_database(app)?;
        Ok(app)
    }
}

/// Refuses the calls to an app that has not found its database to be its own yet. The address listens before the start, for
/// the health checks, and the database may be that of another service.
fn has_identified_database(app: &App) -> Result<(), Refused> {
    match app.runtime.epoch() {
        Some(_) => Ok(()),
        None => Err(Refused::unavailable(format!("service {} has not checked its database yet", app.service()))),
    }
}

/// A refused call, with its status and reason.
pub(in crate::operations) struct Refused(StatusCode, String);
impl Refused {
    pub(in crate::operations) fn unavailable(reason: String) -> Self {
        Refused(StatusCode::SERVICE_UNAVAILABLE, reason)
    }
    pub(in crate::operations) fn not_found(reason: &str) -> Self {
        Refused(StatusCode::NOT_FOUND, reason.to_owned())
    }
}
impl From<Fault> for Refused {
    fn from(fault: Fault) -> Self {
        match fault.kind() {
            ErrorKind::Invalid => bad_request(&fault.to_string()),
            _ => Refused(StatusCode::SERVICE_UNAVAILABLE, fault.to_string()),
        }
    }
}
impl From<SelectionError> for Refused {
    fn from(error: SelectionError) -> Self {
        match error {
            SelectionError::Fault(fault) => fault.into(),
            refused => bad_request(&refused.to_string()),
        }
    }
}
impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.0, Json(json!({ "error": self.1 }))).into_response()
    }
}
