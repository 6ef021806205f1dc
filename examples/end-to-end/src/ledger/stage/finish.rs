//! The end of a scenario: writers stop, everything arrives, everything ends; then it is seen what there is.
use super::Stage;
use crate::ledger::{
    check::{Command, Outcome, Posting, Seen},
    history::{self, Line},
    node::Role,
    taps::database,
};
use anyhow::Result;
use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

/// How often it is looked at what has arrived. To count costs the database something, and the nodes share it.
const LOOK: Duration = Duration::from_millis(300);

impl Stage {
    /// Ends the scenario, and looks at everything.
    ///
    /// # Errors
    /// When something cannot be read.
    pub async fn finish(&mut self) -> Result<Seen> {
        for name in self.names(&[Role::Writer]) {
            if self.node(&name)?.runs() {
                self.end(&name).await?;
            }
        }
        for name in self.names(&[Role::Relay, Role::Consumer, Role::Projection, Role::Reader]) {
            if !self.node(&name)?.runs() {
                self.again(&name, None)?;
            }
        }
        let began = Instant::now();
        self.arrive().await?;
        self.fact("drained s", began.elapsed().as_secs_f64());
        self.come_to_rest().await?;
        for name in self.names(&[Role::Reader, Role::Relay, Role::Consumer, Role::Projection]) {
            if self.node(&name)?.runs() {
                self.end(&name).await?;
            }
        }
        self.see().await
    }

    fn names(&self, roles: &[Role]) -> Vec<String> {
        self.nodes.values().filter(|it| roles.contains(&it.config.role)).map(|it| it.config.name.clone()).collect()
    }
    fn has(&self, role: Role) -> bool {
        !self.names(&[role]).is_empty()
    }

    /// Waits until everything has arrived everywhere, or nothing has moved for long.
    async fn arrive(&mut self) -> Result<()> {
        let (mut before, mut moved) = (None, Instant::now());
        loop {
            self.watch().await;
            let now = self.progress().await;
            if let Ok(progress) = &now
                && progress.is_done()
            {
                return Ok(());
            }
            let now = now.ok();
            if now != before {
                (before, moved) = (now, Instant::now());
            }
            if moved.elapsed() > self.patience {
                self.left.push(format!("nothing moved for {:?}: {before:?}", self.patience));
                return Ok(());
            }
            tokio::time::sleep(LOOK).await;
        }
    }
    /// Nobody keeps a connection: every transaction has ended, and what is asked is answered.
    async fn come_to_rest(&mut self) -> Result<()> {
        for (whose, tap) in [("writers'", &self.source_tap), ("consumers'", &self.effects_tap)] {
            let began = Instant::now();
            while let Some(kept) = database::kept_connection(tap).await? {
                if began.elapsed() > Duration::from_secs(5) {
                    self.left.push(format!("a connection to the {whose} database is kept: {kept}"));
                    break;
                }
                tokio::time::sleep(LOOK).await;
            }
        }
        Ok(())
    }
    async fn progress(&self) -> Result<Progress> {
        let log = database::count(&self.source_tap).await?;
        let cursors = database::cursors(&self.source_tap).await?.values().sum();
        let lanes = if self.has(Role::Relay) { database::behind(&self.source_tap).await? } else { 0 };
        let applied = match self.has(Role::Consumer) {
            true => Some(database::count(&self.effects_tap).await?),
            false => None,
        };
        let tallied = match self.has(Role::Projection) {
            true => Some(database::tallies(&self.effects_tap).await?.values().map(|it| it.count).sum()),
            false => None,
        };
        Ok(Progress { log, lanes, cursors, applied, tallied })
    }

    async fn see(&mut self) -> Result<Seen> {
        if self.watch_cursors {
            let back = "select reader || ' (' || before || ' to ' || at || ')' from went_back";
            self.went_back.extend(sqlx::query_scalar::<_, String>(back).fetch_all(&self.source_tap).await?);
        }
        let broker = self.broker.clone();
        let topic = tokio::task::spawn_blocking(move || broker.credits()).await??;
        Ok(Seen {
            commands: self.commands()?,
            log: database::log(&self.source_tap).await?,
            topic,
            parked: std::collections::BTreeSet::new(),
            tallies: match self.has(Role::Projection) {
                true => Some(database::tallies(&self.effects_tap).await?),
                false => None,
            },
            applied: match self.has(Role::Consumer) {
                true => Some(database::applied(&self.effects_tap).await?),
                false => None,
            },
            marks: match self.has(Role::Consumer) {
                true => Some(database::marks(&self.effects_tap).await?),
                false => None,
            },
            feeds: self.files("feed")?.iter().map(|it| history::read::<Posting>(it)).collect::<Result<_>>()?,
            crashes: std::mem::take(&mut self.crashes),
            went_back: std::mem::take(&mut self.went_back),
            allowed: self.allowed,
            left: std::mem::take(&mut self.left),
        })
    }

    /// The callers' history: what began and has no result is what nobody knows.
    fn commands(&self) -> Result<Vec<Command>> {
        let mut commands: HashMap<u64, Command> = HashMap::new();
        for file in self.files("history")? {
            for line in history::read::<Line>(&file)? {
                let (number, outcome) = match line {
                    Line::Begin { number, key, count } => {
                        commands.insert(number, Command { number, key, count, outcome: Outcome::Info });
                        continue;
                    }
                    Line::Ok { number, first } => (number, Outcome::Ok(first)),
                    Line::Fail { number } => (number, Outcome::Fail),
                    Line::Info { number } => (number, Outcome::Info),
                };
                if let Some(command) = commands.get_mut(&number) {
                    command.outcome = outcome;
                }
            }
        }
        Ok(commands.into_values().collect())
    }
    fn files(&self, kind: &str) -> Result<Vec<std::path::PathBuf>> {
        let entries = std::fs::read_dir(self.folder.path())?;
        let paths = entries.map(|it| Ok(it?.path())).collect::<Result<Vec<_>>>()?;
        Ok(paths.into_iter().filter(|it| it.extension().is_some_and(|it| it == kind)).collect())
    }
}

/// How far everything is.
#[derive(Debug, PartialEq, Eq)]
struct Progress {
    log: u64,
    /// Lanes with something to relay.
    lanes: u64,
    cursors: i64,
    applied: Option<u64>,
    tallied: Option<u64>,
}
impl Progress {
    fn is_done(&self) -> bool {
        self.lanes == 0 && [self.applied, self.tallied].into_iter().flatten().all(|it| it >= self.log)
    }
}
