//! The service under test of timers: alarms that ring a bell at a time.
use cqrs_core::{
    Aggregate, App, AppBuilder, Command, Event, Evolve, HandlerResult, Infallible, Repo, Schedule, StateStored,
    Timestamp, handler,
};
use serde::{Deserialize, Serialize};

/// The module to discover.
const ALARMS: &str = module_path!();

/// A bell, with the number of its rings.
#[derive(Debug, Clone, Serialize, Deserialize, Aggregate)]
#[aggregate(name = "bell", event = Rung)]
pub struct Bell {
    #[id]
    key: String,
    rings: u64,
}
/// An alarm has rung a bell.
#[derive(Debug, Clone, Serialize, Deserialize, Event)]
#[event(name = "bell.rung", version = 1)]
pub struct Rung {
    /// The number of the alarm.
    pub number: u64,
}
impl Evolve<Rung> for Bell {
    fn create(key: String, _: &Rung) -> Option<Self> {
        Some(Bell { key, rings: 1 })
    }
    fn apply(&mut self, _: &Rung) {
        self.rings += 1;
    }
}

/// Sets alarms, each due a microsecond after the one before. The bells take turns.
#[derive(Debug, Clone, Serialize, Deserialize, Command)]
pub struct SetAlarms {
    /// The number of the first alarm.
    pub first: u64,
    /// The number of alarms.
    pub count: u64,
    /// The number of bells.
    pub bells: u64,
    /// The time at which the alarm with the number 0 would be due.
    pub due: Timestamp,
}
#[handler]
async fn set_alarms(command: SetAlarms, schedule: Schedule) -> HandlerResult<()> {
    for number in command.first..command.first + command.count {
        let bell = bell_of(number, command.bells);
        let due = command.due + chrono::TimeDelta::microseconds(number as i64);
        schedule.named(timer_of(number)).keyed(bell.clone()).at(due, RingBell { bell, number })?;
    }
    Ok(())
}
/// Rings a bell. It has an effect each time that it is carried out.
#[derive(Debug, Clone, Serialize, Deserialize, Command)]
pub struct RingBell {
    bell: String,
    number: u64,
}
#[handler]
async fn ring_bell(command: RingBell, bells: Repo<Bell>) -> HandlerResult<()> {
    let RingBell { bell, number } = command;
    match bells.find(&bell).await? {
        Some(_) => drop(bells.update(&bell, |_| Ok::<_, Infallible>(Rung { number })).await?),
        None => drop(bells.create(bell, Rung { number })?),
    }
    Ok(())
}

/// Returns the name of the timer of an alarm.
pub fn timer_of(number: u64) -> String {
    format!("alarm/{number}")
}
/// Returns the bell of an alarm.
fn bell_of(number: u64, bells: u64) -> String {
    format!("bell-{}", number % bells)
}

/// Returns the service without its storage and transport.
pub fn app() -> AppBuilder {
    App::builder("alarms").discover_part(ALARMS).aggregate(StateStored::<Bell>::new())
}
