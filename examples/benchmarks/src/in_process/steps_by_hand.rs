//! The commits of a process manager by hand: the same rows, events, timers and checkpoints, without the framework's engines.
use super::{
    Place,
    process_steps::{LAPS, RACES, STEPS},
};
use crate::subject::{Caller, Counters, Subject};
use anyhow::{Result, ensure};
use async_trait::async_trait;
use chrono::Utc;
use cqrs_core::{
    App, Metadata,
    event::NewEntry,
    storage::{Batch, CheckpointMove, DueTime, NewTimer, Row, Storage, StoredResponse, Timer, TimerChange, TimerWrite},
};
use std::{sync::Arc, time::Duration};
use tokio::task::JoinSet;
use uuid::Uuid;

/// The reader whose checkpoint each reaction moves.
const READER: &str = "by-hand";
/// The number of commands that are carried out at the same time, as many as the framework's job has.
const CONCURRENT: usize = 64;
const DEADLINE: Duration = Duration::from_secs(3_600);

/// A database of its own. No background job runs.
pub(crate) struct StepsByHand<'a> {
    app: App,
    place: &'a Place,
}
impl<'a> StepsByHand<'a> {
    pub(crate) async fn start(place: &'a Place) -> Result<StepsByHand<'a>> {
        let app = place.builder("steps_by_hand").await?.build()?;
        app.migrate().await?;
        Ok(StepsByHand { app, place })
    }
}
#[async_trait]
impl Subject for StepsByHand<'_> {
    fn name(&self) -> &'static str {
        "by hand"
    }
    async fn callers(&self, count: usize, _calls: u64) -> Result<Vec<Box<dyn Caller>>> {
        ensure!(count == 1, "one caller begins {RACES} instances at a time");
        let storage = self.app.storage().clone();
        let checkpoints = storage.checkpoints(&[READER.to_owned()]).await?;
        Ok(vec![Box::new(Committer { storage, checkpoint: checkpoints.first().copied().unwrap_or_default() })])
    }
    async fn counters(&self) -> Result<Counters> {
        self.place.counters().await
    }
}

struct Committer {
    storage: Arc<dyn Storage>,
    checkpoint: u64,
}
impl Committer {
    /// Commits one reaction: the state, the event that notes it, the command, the deadline and the checkpoint.
    async fn react(&mut self, race: &str, left: u32) -> Result<()> {
        let version = self.storage.row("racing", race, None).await?.found.version;
        let mut batch = changed("racing", race, version, serde_json::json!({ "race": race, "left": left }));
        let (command, deadline) = (format!("{race}/{left}"), format!("{race}/deadline"));
        match left {
            0 => batch.timers.push(TimerWrite { name: deadline, fired: None, change: TimerChange::Remove }),
            _ => {
                batch.timers.push(set(command, race, "RunLap", Duration::ZERO)?);
                batch.timers.push(set(deadline, race, "GiveUp", DEADLINE)?);
            }
        }
        let (reader, from, to) = (READER.to_owned(), self.checkpoint, self.checkpoint + 1);
        batch.checkpoint_moves.push(CheckpointMove { reader, from, to, epoch: None });
        self.storage.commit(batch).await?;
        self.checkpoint = to;
        Ok(())
    }
    /// Carries out the commands that are due, those of different races at the same time.
    async fn carry_out(&self) -> Result<u64> {
        let due = self.storage.due_timers(None, 1_000).await?.timers;
        for timers in due.chunks(CONCURRENT) {
            let mut commands = JoinSet::new();
            for timer in timers {
                commands.spawn(run_lap(self.storage.clone(), timer.clone()));
            }
            while let Some(done) = commands.join_next().await {
                done??;
            }
        }
        Ok(due.len() as u64)
    }
}
#[async_trait]
impl Caller for Committer {
    async fn call(&mut self) -> Result<()> {
        let races: Vec<_> = (0..RACES).map(|_| Uuid::now_v7().to_string()).collect();
        let mut started = Batch::default();
        for race in &races {
            let Batch { rows, events, .. } = changed("race", race, 0, serde_json::json!({ "id": race }));
            started.rows.extend(rows);
            started.events.extend(events);
        }
        self.storage.commit(started).await?;
        for left in (0..=LAPS).rev() {
            // One after the other, since a follower of the log handles its events in order.
            for race in &races {
                self.react(race, left).await?;
            }
            let expected = if left == 0 { 0 } else { RACES };
            let done = self.carry_out().await?;
            ensure!(done == expected, "{done} commands were due, and not {expected}");
        }
        Ok(())
    }
    fn operations(&self) -> u64 {
        STEPS
    }
}

/// Commits one command: the state, its event, the end of the timer, and the response under its idempotency key.
async fn run_lap(storage: Arc<dyn Storage>, timer: Timer) -> Result<()> {
    let race: String = serde_json::from_slice(&timer.body)?;
    let version = storage.row("runner", &race, None).await?.found.version;
    let mut batch = changed("runner", &race, version, serde_json::json!({ "id": race, "laps": version + 1 }));
    let fired = Some(timer.firing());
    batch.timers.push(TimerWrite { name: timer.name, fired, change: TimerChange::Remove });
    let (key, position) = (format!("timer {}", timer.id), Default::default());
    batch.response = Some(StoredResponse { key, fingerprint: 0, body: b"null".to_vec(), position });
    storage.commit(batch).await?;
    Ok(())
}

/// Returns a batch with the next state of a row, and an event about it.
fn changed(kind: &'static str, id: &str, version: u64, state: serde_json::Value) -> Batch {
    let state = state.to_string().into_bytes();
    let event = NewEntry {
        stream: format!("{kind}/{id}"),
        version: version + 1,
        id: Uuid::now_v7(),
        name: "changed-by-hand",
        schema: 1,
        payload: state.clone(),
        metadata: Metadata::default(),
        occurred_at: Utc::now(),
        outgoing: None,
    };
    let row = Row { kind, id: id.to_owned(), expected: version, version: version + 1, state: Some(state) };
    Batch { rows: vec![row], events: vec![event], ..Batch::default() }
}

/// Sets a timer with a command about a race.
fn set(name: String, race: &str, command: &str, wait: Duration) -> Result<TimerWrite> {
    let new = NewTimer {
        id: Uuid::now_v7(),
        due: DueTime::After(wait),
        key: race.to_owned(),
        command: command.to_owned(),
        body: serde_json::to_vec(race)?,
        metadata: Metadata::default(),
        calendar: None,
        set_by: READER.to_owned(),
    };
    Ok(TimerWrite { name, fired: None, change: TimerChange::Set(new) })
}
