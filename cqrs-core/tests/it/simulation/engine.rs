//! The framework's engines, stepped as a running app steps them.
use super::{
    actor::Role,
    database::Database,
    machine::{MILLI, SECOND},
    process::Process,
};
use async_trait::async_trait;
use cqrs_core::{
    BoxError, Running,
    log::{LogFollower, Relay, Step},
    topic::{Consumer, TopicFollower},
};

/// One of the framework's engines.
#[async_trait]
pub(crate) trait Engine: Send {
    async fn step(&mut self) -> Result<Step, BoxError>;
    /// Whether a step is finished also when told to stop.
    fn works(&self) -> bool {
        false
    }
    async fn finish(&mut self) {}
}
#[async_trait]
impl Engine for Relay {
    async fn step(&mut self) -> Result<Step, BoxError> {
        Ok(Relay::step(self).await?)
    }
    async fn finish(&mut self) {
        self.release().await;
    }
}
#[async_trait]
impl Engine for Consumer {
    async fn step(&mut self) -> Result<Step, BoxError> {
        Ok(Consumer::step(self).await?)
    }
    async fn finish(&mut self) {
        self.drain().await;
    }
}
#[async_trait]
impl Engine for TopicFollower {
    async fn step(&mut self) -> Result<Step, BoxError> {
        Ok(TopicFollower::step(self).await?)
    }
}
#[async_trait]
impl Engine for LogFollower {
    async fn step(&mut self) -> Result<Step, BoxError> {
        Ok(LogFollower::step(self).await?)
    }
    fn works(&self) -> bool {
        true
    }
}

/// Joins, as often as it takes.
pub(crate) async fn engine(app: &Running, role: Role, process: &Process) -> Box<dyn Engine> {
    loop {
        let joined: Option<Box<dyn Engine>> = match role {
            Role::Relay => app.relays().pop().map(|it| Box::new(it) as _),
            Role::Tally | Role::Trail => app.log_followers().pop().map(|it| Box::new(it) as _),
            Role::Mirror => app.topic_followers().await.ok().and_then(|mut all| all.pop()).map(|it| Box::new(it) as _),
            _ => app.consumers().await.ok().and_then(|mut all| all.pop()).map(|it| Box::new(it) as _),
        };
        if let Some(engine) = joined {
            return engine;
        }
        process.machine.sleep(100 * MILLI).await;
    }
}

/// As a running app does it; that it looks again after a while is left out where nothing can have changed.
pub(crate) async fn keep_stepping(process: &Process, database: &Database, app: &Running, mut engine: Box<dyn Engine>) {
    let machine = &process.machine;
    let mut failures = 0;
    while !process.is_stopping() {
        let works = engine.works();
        let step = tokio::select! {
            biased;
            () = process.stopped(), if !works => break,
            step = engine.step() => step,
        };
        let pause = async {
            match step {
                Ok(Step::Did(_)) => failures = 0,
                Ok(Step::Idle(upto)) => {
                    failures = 0;
                    tokio::select! {
                        biased;
                        () = app.storage().committed(upto) => (),
                        () = machine.sleep(3 * SECOND) => (),
                    }
                }
                Err(error) => {
                    machine.note(|| format!("{}: {}: {error}", database.name, process.name));
                    machine.sleep(((50 * MILLI) << failures).min(5 * SECOND)).await;
                    failures = (failures + 1).min(7);
                }
            }
        };
        tokio::select! {
            biased;
            () = process.stopped() => break,
            () = pause => (),
        }
    }
    engine.finish().await;
}
