//! A whole service in memory, and the question whether anything still moves.
use crate::{App, BuildError, Fault, Position, Running, app::Background, storage::LANES, world::within};
use std::{ops::Deref, time::Duration};

/// A service that runs in a test: as built, with its background jobs. Derefs to [`Running`].
///
/// ```
/// # use cqrs_core::{App, Never, Query, handler, testing::TestApp};
/// # #[derive(Clone, Query)]
/// # struct Ping;
/// # #[handler]
/// # async fn ping(_: Ping) -> cqrs_core::Result<&'static str, Never> { Ok("pong") }
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let app = TestApp::start(App::new("pings").discover(module_path!())).await.unwrap();
/// app.settle().await;   // everything that was committed has arrived everywhere
/// assert_eq!(app.send(Ping).await.unwrap(), "pong");
/// # });
/// ```
#[derive(Debug)]
pub struct TestApp {
    app: Running,
    background: Background,
}
impl TestApp {
    /// Builds and starts it.
    ///
    /// # Errors
    /// [`BuildError`], or what `start` says.
    pub async fn start(app: App) -> Result<TestApp, crate::BoxError> {
        let app = app.build().map_err(|error: BuildError| error)?;
        let background = app.start().await?;
        Ok(TestApp { app, background })
    }
    /// Returns when nothing moves any more: every follower of the log is at its end, and everything others are told is
    /// acknowledged.
    ///
    /// # Panics
    /// When it still moves, or is stuck, after ten seconds.
    pub async fn settle(&self) {
        settle(&[&self.app]).await;
    }
    /// Stops the background jobs.
    pub async fn stop(self) -> bool {
        self.background.stop(crate::app::DRAIN).await
    }
}
impl Deref for TestApp {
    type Target = Running;
    fn deref(&self) -> &Running {
        &self.app
    }
}

const PATIENCE: Duration = Duration::from_secs(10);
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// The same for several services that talk to each other: what one does may make another move, so all must be still at once.
///
/// # Panics
/// When they still move, or are stuck, after ten seconds.
pub async fn settle(apps: &[&Running]) {
    let Some(first) = apps.first() else { return };
    let world = first.shared.world.clone();
    let quiet = async {
        let mut before = None;
        loop {
            let now = quiet_at(apps).await;
            if now.is_some() && now == before {
                return;
            }
            before = now;
            world.sleep(LOOK_AGAIN).await;
        }
    };
    assert!(within(&*world, PATIENCE, quiet).await.is_some(), "still moving, or stuck, after {PATIENCE:?}");
}

/// Where each log ends, if everything has arrived.
async fn quiet_at(apps: &[&Running]) -> Option<Vec<Position>> {
    let mut ends = Vec::new();
    for app in apps {
        ends.push(end_of(app).await.unwrap_or_else(|fault| panic!("{}: {fault}", app.service()))?);
    }
    Some(ends)
}
async fn end_of(app: &Running) -> Result<Option<Position>, Fault> {
    let storage = app.storage();
    let end = storage.horizon().await?;
    let readers: Vec<_> = app.log_followers().iter().map(|it| it.name().to_owned()).collect();
    if storage.positions(&readers).await?.into_iter().any(|at| at < end.0) {
        return Ok(None);
    }
    for relay in app.relays() {
        let readers: Vec<_> = (0..LANES).map(|lane| relay.reader(lane)).collect();
        let at = storage.positions(&readers).await?;
        let lanes: Vec<_> = (0..LANES).zip(at.into_iter().map(Position)).collect();
        if !storage.lanes(&lanes, end, 1).await?.is_empty() {
            return Ok(None);
        }
    }
    Ok(Some(end))
}
