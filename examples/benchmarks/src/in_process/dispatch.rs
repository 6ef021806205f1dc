//! Dispatch in memory: sending a message, beside calling its handler's function.
use crate::subject::{Caller, Subject};
use anyhow::Result;
use async_trait::async_trait;
use cqrs_core::{App, Command, HandlerResult, Query, handler};
use serde::{Deserialize, Serialize};
use std::hint::black_box;

/// The number of dispatches in one measured call. A single one takes less time than reading the clock.
const BATCH: u64 = 1000;

#[derive(Clone, Query)]
struct NextNumber(u64);
#[handler]
async fn next_number(query: NextNumber) -> HandlerResult<u64> {
    Ok(black_box(query.0) + 1)
}

#[derive(Clone, Serialize, Deserialize, Command)]
struct TakeNumber(u64);
#[handler]
async fn take_number(command: TakeNumber) -> HandlerResult<u64> {
    Ok(black_box(command.0) + 1)
}

/// The kind of message that is dispatched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dispatched {
    /// A query whose handler has no needs.
    Query,
    /// A command whose handler changes nothing. Its cost is the unit of work and an empty commit.
    Command,
}
impl Dispatched {
    pub(crate) const ALL: [Dispatched; 2] = [Dispatched::Query, Dispatched::Command];
    pub(crate) fn name(self) -> &'static str {
        match self {
            Dispatched::Query => "query",
            Dispatched::Command => "command",
        }
    }
}

/// An app in memory that messages are sent through.
pub(crate) struct FrameworkDispatch {
    app: App,
    dispatched: Dispatched,
}
impl FrameworkDispatch {
    pub(crate) fn new(dispatched: Dispatched) -> Result<Self> {
        let app = App::builder("numbers").discover_part(module_path!()).build()?;
        Ok(FrameworkDispatch { app, dispatched })
    }
}
#[async_trait]
impl Subject for FrameworkDispatch {
    fn name(&self) -> &'static str {
        "framework"
    }
    async fn callers(&self, count: usize, _calls: u64) -> Result<Vec<Box<dyn Caller>>> {
        let caller = || Box::new(Sender { app: self.app.clone(), dispatched: self.dispatched }) as Box<dyn Caller>;
        Ok((0..count).map(|_| caller()).collect())
    }
}
struct Sender {
    app: App,
    dispatched: Dispatched,
}
#[async_trait]
impl Caller for Sender {
    async fn call(&mut self) -> Result<()> {
        match self.dispatched {
            Dispatched::Query => {
                for number in 0..BATCH {
                    black_box(self.app.send(NextNumber(black_box(number))).await?);
                }
            }
            Dispatched::Command => {
                for number in 0..BATCH {
                    black_box(self.app.send(TakeNumber(black_box(number))).await?);
                }
            }
        }
        Ok(())
    }
    fn operations(&self) -> u64 {
        BATCH
    }
}

/// The handler's function, called without an app.
pub(crate) struct DirectCall(pub(crate) Dispatched);
#[async_trait]
impl Subject for DirectCall {
    fn name(&self) -> &'static str {
        "function"
    }
    async fn callers(&self, count: usize, _calls: u64) -> Result<Vec<Box<dyn Caller>>> {
        Ok((0..count).map(|_| Box::new(Direct(self.0)) as Box<dyn Caller>).collect())
    }
}
struct Direct(Dispatched);
#[async_trait]
impl Caller for Direct {
    async fn call(&mut self) -> Result<()> {
        match self.0 {
            Dispatched::Query => {
                for number in 0..BATCH {
                    black_box(next_number(NextNumber(black_box(number))).await?);
                }
            }
            Dispatched::Command => {
                for number in 0..BATCH {
                    black_box(take_number(TakeNumber(black_box(number))).await?);
                }
            }
        }
        Ok(())
    }
    fn operations(&self) -> u64 {
        BATCH
    }
}
