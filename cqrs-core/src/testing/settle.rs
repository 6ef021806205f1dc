//! Whole services in a test, and waiting until all their background work is done.
use crate::{
    app::{App, AppBuilder, Background, Joined},
    environment::{Environment, SystemEnvironment, within},
    error::{BoxError, Fault},
    position::Position,
    storage::ParkedPage,
    transport::InProcess,
};
use std::{fmt, ops::Deref, sync::Arc, time::Duration};

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
#[must_use = "dropping it stops every background job"]
#[derive(Debug)]
pub struct TestApp {
    app: App,
    /// The apps that were started together, this one included.
    together: Arc<[App]>,
    background: Background,
}
impl TestApp {
    /// Builds the app and starts its background jobs.
    ///
    /// # Errors
    /// Returns a [`BuildError`](crate::BuildError) if the app cannot be built, or the error of [`App::start`].
    pub async fn start(app: AppBuilder) -> Result<TestApp, BoxError> {
        let app = app.build()?;
        let background = app.start().await?;
        Ok(TestApp { together: [app.clone()].into(), app, background })
    }
    /// Builds several apps, connects them by one [`InProcess`] transport, which replaces their own, starts them and
    /// waits until all have caught up.
    ///
    /// All consumer groups are joined before the first relay starts, so that no group misses an event. Afterwards
    /// [`settle`](TestApp::settle) of any of the apps waits for all of them.
    ///
    /// ```
    /// # use cqrs_core::{App, HandlerResult, Query, handler, testing::TestApp};
    /// # #[derive(Clone, Query)]
    /// # struct Ping;
    /// # #[handler]
    /// # async fn ping(_: Ping) -> HandlerResult<&'static str> { Ok("pong") }
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// let orders = App::builder("orders").discover(module_path!());
    /// let inventory = App::builder("inventory").discover(module_path!());
    /// let [orders, inventory] = TestApp::start_all([orders, inventory]).await.unwrap();
    /// orders.settle().await;   // `inventory` has handled its events, too
    /// assert_eq!(inventory.send(Ping).await.unwrap(), "pong");
    /// # });
    /// ```
    ///
    /// # Errors
    /// Returns a [`BuildError`](crate::BuildError) if an app cannot be built, the error of [`App::join`], or
    /// [`NotSettled`] if the apps have not caught up within ten seconds.
    pub async fn start_all<const N: usize>(builders: [AppBuilder; N]) -> Result<[TestApp; N], BoxError> {
        let transport = InProcess::new();
        let mut apps = Vec::new();
        for builder in builders {
            apps.push(builder.transport(transport.clone()).build()?);
        }
        let mut joined = Vec::new();
        for app in &apps {
            joined.push(app.join().await?);
        }
        let (together, background): (Arc<[App]>, Vec<_>) =
            (apps.into(), joined.into_iter().map(Joined::start).collect());
        settled_within(&together.iter().collect::<Vec<_>>(), TIMEOUT).await?;
        let mut background = background.into_iter();
        Ok(std::array::from_fn(|index| TestApp {
            app: together[index].clone(),
            together: together.clone(),
            background: background.next().expect("each app has been started"),
        }))
    }
    /// Waits until every follower of the log has reached its end, every outgoing message is acknowledged and no timer is due, in
    /// all apps that were started together.
    ///
    /// # Panics
    /// Panics if this is not reached within ten seconds. The message says which reader of which app is behind.
    pub async fn settle(&self) {
        settle(&self.together.iter().collect::<Vec<_>>()).await;
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
/// Panics if this is not reached within ten seconds. The message says which reader of which service is behind.
pub async fn settle(apps: &[&App]) {
    if let Err(error) = settled_within(apps, TIMEOUT).await {
        panic!("{error}");
    }
}

/// Waits until several services have nothing left to do, as [`settle`] does, and at most for `timeout`.
///
/// # Errors
/// Returns [`NotSettled`] if a service still has work then, or the [`Fault`] of a database that cannot be read.
pub async fn settled_within(apps: &[&App], timeout: Duration) -> Result<(), BoxError> {
    let Some(first) = apps.first() else { return Ok(()) };
    let environment = first.runtime.environment.clone();
    let idle = async {
        let mut before = None;
        loop {
            let now = idle_at(apps).await?;
            if now.is_some() && now == before {
                return Ok(());
            }
            before = now;
            // In real time, since a timer of virtual time would be one more on the way.
            SystemEnvironment.sleep(POLL_INTERVAL).await;
        }
    };
    match within(&*environment, timeout, idle).await {
        Some(result) => result,
        None => Err(NotSettled::now(apps, timeout).await?.into()),
    }
}

/// Returns the end of each log, or `None` if a service still has work.
async fn idle_at(apps: &[&App]) -> Result<Option<Vec<Position>>, BoxError> {
    let mut ends = Vec::new();
    for app in apps {
        let end = app.storage().high_water_mark().await?;
        if !app.lag().await?.is_empty() || has_due_timers(app).await? {
            return Ok(None);
        }
        ends.push(end);
    }
    Ok(Some(ends))
}

/// Returns whether a timer is due. A query side fires none.
async fn has_due_timers(app: &App) -> Result<bool, Fault> {
    Ok(app.runtime.query_side.is_none() && !app.storage().due_timers(None, 1).await?.timers.is_empty())
}

/// The error of services that still have work after a time-out. It shows, for each service, the end of its log, the
/// checkpoint of each reader that is behind, and the parked messages.
///
/// `Debug` writes the same text as `Display`, so that `unwrap()` shows it in a readable form.
#[derive(Clone, PartialEq, Eq)]
pub struct NotSettled(String);
impl NotSettled {
    async fn now(apps: &[&App], timeout: Duration) -> Result<Self, Fault> {
        let mut lines = vec![format!("the services still have work after {timeout:?}:")];
        for app in apps {
            let (storage, service) = (app.storage(), app.service());
            lines.push(format!("- {service}: its log ends at position {}", storage.high_water_mark().await?.0));
            let (readers, behind): (Vec<_>, Vec<_>) = app.lag().await?.into_iter().unzip();
            let checkpoints = storage.checkpoints(&readers).await?;
            for ((reader, behind), checkpoint) in readers.iter().zip(behind).zip(checkpoints) {
                lines.push(format!("  - reader `{reader}` is behind by {behind}; its checkpoint is {checkpoint}"));
            }
            for timer in storage.due_timers(None, 10).await?.timers {
                lines.push(format!("  - timer `{}` is due since {} and was not fired", timer.name, timer.due));
            }
            for parked in storage.parked_keys(&ParkedPage::default()).await? {
                let (reader, key, count, error) = (parked.reader, parked.key, parked.count, parked.error);
                lines.push(format!("  - reader `{reader}` has parked key `{key}` (messages: {count}): {error}"));
            }
        }
        lines.push("The log output of the background jobs (`tracing`) has the errors of failed attempts.".to_owned());
        Ok(NotSettled(lines.join("\n")))
    }
}
impl fmt::Display for NotSettled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl fmt::Debug for NotSettled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl std::error::Error for NotSettled {}
