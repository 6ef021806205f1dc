//! The framework's engines, stepped as in a running app.
use super::{
    actor::Role,
    database::Database,
    environment::{MILLI, SECOND},
    process::Process,
};
use async_trait::async_trait;
use cqrs_core::{
    App, BoxError,
    app::{IndexFiller, LeftMessages},
    consumer::{Consumer, LogFollower, TopicFollower},
    job::Step,
    relay::Relay,
};

/// One of the framework's engines.
#[async_trait]
pub(crate) trait Engine: Send {
    async fn step(&mut self) -> Result<Step, BoxError>;
    /// Returns whether a step is finished even if the process is stopping.
    fn finishes_steps(&self) -> bool {
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
    async fn finish(&mut self) {
        self.release().await;
    }
}
#[async_trait]
impl Engine for LogFollower {
    async fn step(&mut self) -> Result<Step, BoxError> {
        Ok(LogFollower::step(self).await?)
    }
    fn finishes_steps(&self) -> bool {
        true
    }
}
#[async_trait]
impl Engine for LeftMessages {
    async fn step(&mut self) -> Result<Step, BoxError> {
        Ok(LeftMessages::step(self).await?)
    }
}

#[async_trait]
impl Engine for IndexFiller {
    async fn step(&mut self) -> Result<Step, BoxError> {
        Ok(IndexFiller::step(self).await?)
    }
}

/// Creates every engine of a replica, and retries until its groups are joined.
pub(crate) async fn engines(app: &App, process: &Process, has_indexes: bool) -> Vec<Box<dyn Engine>> {
    loop {
        if let (Ok(consumers), Ok(followers)) = (app.consumers().await, app.topic_followers().await) {
            let mut all: Vec<Box<dyn Engine>> = vec![Box::new(app.left_messages())];
            if has_indexes {
                all.push(Box::new(app.index_filler()));
            }
            all.extend(app.log_followers().into_iter().map(|follower| Box::new(follower) as Box<dyn Engine>));
            all.extend(app.relays().into_iter().map(|relay| Box::new(relay) as Box<dyn Engine>));
            all.extend(consumers.into_iter().map(|consumer| Box::new(consumer) as Box<dyn Engine>));
            all.extend(followers.into_iter().map(|follower| Box::new(follower) as Box<dyn Engine>));
            return all;
        }
        process.environment.sleep(100 * MILLI).await;
    }
}

/// Creates the engine of a role, and retries until its group is joined.
pub(crate) async fn engine(app: &App, role: Role, process: &Process) -> Box<dyn Engine> {
    loop {
        let joined: Option<Box<dyn Engine>> = match role {
            Role::Relay => app.relays().pop().map(|relay| Box::new(relay) as _),
            Role::Tally | Role::Trail => app.log_followers().pop().map(|follower| Box::new(follower) as _),
            Role::Mirror => {
                let follower = app.topic_followers().await.ok().and_then(|mut followers| followers.pop());
                follower.map(|follower| Box::new(follower) as _)
            }
            _ => {
                let consumer = app.consumers().await.ok().and_then(|mut consumers| consumers.pop());
                consumer.map(|consumer| Box::new(consumer) as _)
            }
        };
        if let Some(engine) = joined {
            return engine;
        }
        process.environment.sleep(100 * MILLI).await;
    }
}

/// Steps an engine as a running app does, but without the polls of the app where nothing can have changed.
pub(crate) async fn keep_stepping(process: &Process, database: &Database, app: &App, mut engine: Box<dyn Engine>) {
    let environment = &process.environment;
    let mut failures = 0;
    while !process.is_stopping() {
        let finishes_steps = engine.finishes_steps();
        let step = tokio::select! {
            biased;
            () = process.stopped(), if !finishes_steps => break,
            step = engine.step() => step,
        };
        let pause = async {
            match step {
                Ok(Step::Did(_)) => failures = 0,
                Ok(Step::Idle(upto)) => {
                    failures = 0;
                    tokio::select! {
                        biased;
                        () = app.storage().wait_for_commit(upto) => (),
                        () = environment.sleep(3 * SECOND) => (),
                    }
                }
                Ok(Step::IdleFor(upto, longest)) => {
                    failures = 0;
                    tokio::select! {
                        biased;
                        () = app.storage().wait_for_commit(upto) => (),
                        () = environment.sleep(longest.as_micros() as u64) => (),
                    }
                }
                Ok(Step::Paused(time)) => {
                    failures = 0;
                    environment.sleep(time.as_micros() as u64).await;
                }
                Err(error) => {
                    environment.note(|| format!("{}: {}: {error}", database.name, process.name));
                    environment.sleep(((50 * MILLI) << failures).min(5 * SECOND)).await;
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
