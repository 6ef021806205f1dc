//! A whole service in a test, and waiting until all its background work is done.
use crate::{
    app::{App, AppBuilder, Background, BuildError},
    environment::within,
    error::Fault,
    event::RELAY_SHARDS,
    position::Position,
};
use std::{ops::Deref, time::Duration};

/// A service that runs in a test with its background jobs. It dereferences to [`App`].
///
/// ```
/// # use cqrs_core::{App, HandlerResult, Query, handler, testing::TestApp};
/// # #[derive(Clone, Query)]
/// # struct Ping;
/// # #[handler]
/// # async fn ping(_: Ping) -> HandlerResult<&'static str> { Ok("pong") }
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let app = TestApp::start(App::builder("pings").discover(module_path!())).await.unwrap();
/// app.settle().await;   // every committed event has been handled everywhere
/// assert_eq!(app.send(Ping).await.unwrap(), "pong");
/// # });
/// ```
#[derive(Debug)]
pub struct TestApp {
    app: App,
    background: Background,
}
impl TestApp {
    /// Builds the app and starts its background jobs.
    ///
    /// # Errors
    /// Returns a [`BuildError`] if the app cannot be built, or the error of [`App::start`].
    pub async fn start(app: AppBuilder) -> Result<TestApp, crate::BoxError> {
        let app = app.build().map_err(|error: BuildError| error)?;
        let background = app.start().await?;
        Ok(TestApp { app, background })
    }
    /// Waits until every follower of the log has reached its end and every outgoing message is acknowledged.
    ///
    /// # Panics
    /// Panics if this is not reached within ten seconds.
    pub async fn settle(&self) {
        settle(&[&self.app]).await;
    }
    /// Stops the background jobs. Returns the result of [`Background::stop`].
    pub async fn stop(self) -> bool {
        self.background.stop(crate::app::DRAIN).await
    }
}
impl Deref for TestApp {
    type Target = App;
    fn deref(&self) -> &App {
        &self.app
    }
}

const TIMEOUT: Duration = Duration::from_secs(10);
const POLL_INTERVAL: Duration = Duration::from_millis(2);

/// Waits until several services have nothing left to do. One service may cause work in another, so all must be idle at
/// the same time.
///
/// # Panics
/// Panics if this is not reached within ten seconds.
pub async fn settle(apps: &[&App]) {
    let Some(first) = apps.first() else { return };
    let environment = first.runtime.environment.clone();
    let idle = async {
        let mut before = None;
        loop {
            let now = idle_at(apps).await;
            if now.is_some() && now == before {
                return;
            }
            before = now;
            environment.sleep(POLL_INTERVAL).await;
        }
    };
    assert!(within(&*environment, TIMEOUT, idle).await.is_some(), "the services still have work after {TIMEOUT:?}");
}

/// Returns the end of each log, or `None` if a service still has work.
async fn idle_at(apps: &[&App]) -> Option<Vec<Position>> {
    let mut ends = Vec::new();
    for app in apps {
        ends.push(end_of(app).await.unwrap_or_else(|fault| panic!("{}: {fault}", app.service()))?);
    }
    Some(ends)
}
async fn end_of(app: &App) -> Result<Option<Position>, Fault> {
    let storage = app.storage();
    let end = storage.high_water_mark().await?;
    let readers: Vec<_> = app.log_followers().iter().map(|follower| follower.name().to_owned()).collect();
    if storage.checkpoints(&readers).await?.into_iter().any(|at| at < end.0) {
        return Ok(None);
    }
    for relay in app.relays() {
        let readers: Vec<_> = (0..RELAY_SHARDS).map(|shard| relay.reader(shard)).collect();
        let at = storage.checkpoints(&readers).await?;
        let shards: Vec<_> = (0..RELAY_SHARDS).zip(at.into_iter().map(Position)).collect();
        if !storage.outgoing_entries(&shards, end, 1).await?.is_empty() {
            return Ok(None);
        }
    }
    Ok(Some(end))
}
