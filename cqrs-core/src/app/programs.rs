//! The programs that have used a database, and the withdrawal of one that does not come back after a rollback.
use crate::{
    app::App,
    catalogue::{Catalogue, Declaration, Withdrawal as Withdrawn},
    error::{Fault, describe},
    position::Position,
    storage::ReadLimit,
};
use std::{collections::BTreeMap, time::Duration};

/// The largest number of keys that a dry run lists.
const LISTED: usize = 1_000;
/// The time for which a withdrawal waits until the readers have passed the events of the withdrawn program.
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// The interval between two reads of the checkpoints during that wait.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// The programs of a service that have started with its database, for its operator. Take it from [`App::programs`].
///
/// ```
/// # use cqrs_core::{App, app::WithdrawalError};
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// # let app = App::builder("user").build().unwrap();
/// # app.migrate().await.unwrap();
/// let programs = app.programs();
/// for program in programs.list().await.unwrap() {
///     println!("{}: is this one {}, withdrawn {}", program.number, program.is_this, program.is_withdrawn);
/// }
/// assert!(matches!(programs.dry_run(7).await, Err(WithdrawalError::Unknown(7))));
/// # });
/// ```
#[derive(Debug, Clone)]
pub struct Programs {
    app: App,
}
impl App {
    /// Returns the programs of this service that have started with its database.
    pub fn programs(&self) -> Programs {
        Programs { app: self.clone() }
    }
}

/// A program that has started with the database.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeclaredProgram {
    /// The number of the program. A program whose first start was later has a higher number.
    pub number: u64,
    /// Whether this is the program that asks.
    pub is_this: bool,
    /// Whether it was withdrawn. If it starts again, it has another number.
    pub is_withdrawn: bool,
    /// The events that it handles and the program that asks does not, by reader.
    pub handles_more: BTreeMap<String, Vec<String>>,
}

/// The effect of a withdrawal.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Withdrawal {
    /// The number of the program.
    pub program: u64,
    /// Whether the program had been withdrawn before.
    pub was_withdrawn: bool,
    /// The other programs that are newer than this one and are not withdrawn. Messages are still left to the last of them,
    /// and nothing is released.
    pub still_newer: Vec<u64>,
    /// The first 1,000 keys whose messages are released to this program.
    pub released: Vec<ReleasedKey>,
    /// Whether there are more keys than these.
    pub has_more: bool,
}
/// A key whose messages were left to another program and are released to this one.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReleasedKey {
    /// The reader that has left the messages.
    pub reader: String,
    /// The key of the messages.
    pub key: String,
    /// The number of messages that this program tries to handle, in order.
    pub count: u64,
    /// The reason why the message after those stays parked, with the later ones; `None` if this program tries all of them.
    pub stopped: Option<String>,
}

/// The reason why a program cannot be withdrawn. Nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WithdrawalError {
    /// The service has no program of this number.
    #[error("the service has no program {0}; list its programs")]
    Unknown(u64),
    /// The program that asks has never started with this database, so it is not known which programs are newer.
    #[error(
        "this program has not started with this database; withdraw with the program to which the service was rolled back"
    )]
    NotStarted,
    /// The program is the one that asks, or an older one. Nothing is left to it.
    #[error("program {0} is not newer than this one, so no messages are left to it")]
    NotNewer(u64),
    /// A reader has not reached an event that only the withdrawn program handles. It would pass the event.
    #[error(
        "reader `{reader}` has not reached event `{event}`, which only the program to withdraw handles: let this program \
         run until the reader has caught up, and try again"
    )]
    Unread {
        /// The reader.
        reader: String,
        /// The name of the event.
        event: String,
    },
    /// The database failed.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl Programs {
    /// Returns the programs in the order of their first start.
    ///
    /// # Errors
    /// Fails when the database fails.
    pub async fn list(&self) -> Result<Vec<DeclaredProgram>, Fault> {
        let catalogue = self.catalogue().await?;
        let this = catalogue.declared_now(self.app.declaration());
        let of_service = catalogue.programs.iter().filter(|(_, program)| program.service == this.service);
        let declared = |(number, program): &(u64, Declaration)| DeclaredProgram {
            number: *number,
            is_this: *program == this,
            is_withdrawn: catalogue.withdrawn.contains(number),
            handles_more: handles_more(program, &this),
        };
        Ok(of_service.map(declared).collect())
    }
    /// Returns the effect that the withdrawal of a program would have now, with the keys that it would release, and changes
    /// nothing.
    ///
    /// # Errors
    /// Fails as [`withdraw`](Programs::withdraw) does, and does not wait for readers.
    pub async fn dry_run(&self, program: u64) -> Result<Withdrawal, WithdrawalError> {
        let (catalogue, _) = self.newer(program).await?;
        let mut withdrawal = self.effect(program, &catalogue);
        if !withdrawal.still_newer.is_empty() {
            return Ok(withdrawal);
        }
        let mut keys = self.app.storage().left_to_newer_program(LISTED + 1).await?;
        withdrawal.has_more = keys.len() > LISTED;
        keys.truncate(LISTED);
        keys.sort_unstable();
        for (reader, key) in keys {
            let tried = self.app.parked().dry_run(&reader, &key).await?;
            let stopped = tried.stopped.map(|(_, error)| describe(&*error));
            withdrawal.released.push(ReleasedKey { reader, key, count: tried.count, stopped });
        }
        Ok(withdrawal)
    }
    /// Withdraws a program that is newer than this one and does not come back: nothing is left to it any more.
    ///
    /// Running programs notice it within a second. Once no newer program remains, the running replicas of this one handle
    /// the messages that were left ([`LeftMessages`](crate::app::LeftMessages)); a message that they can never
    /// handle stays parked with its reason. Events that only the withdrawn program handled and that are published later are
    /// passed, like those that no program handles. The result names no keys.
    ///
    /// No replica of the withdrawn program may run. One that does declares itself anew, and so does one that starts later:
    /// it then has another number.
    ///
    /// # Errors
    /// Fails with the reason why the program cannot be withdrawn, and when the database fails. It waits up to 10 s for a
    /// reader of the own log that has not reached an event which only the withdrawn program handles.
    pub async fn withdraw(&self, program: u64) -> Result<Withdrawal, WithdrawalError> {
        let (app, storage) = (&self.app, self.app.storage());
        let (catalogue, declared) = self.newer(program).await?;
        let withdrawal = self.effect(program, &catalogue);
        if withdrawal.was_withdrawn {
            return Ok(withdrawal);
        }
        self.until_read(&declared).await?;
        let entry = Withdrawn { service: app.service().to_owned(), withdrawn_program: program };
        storage.declare_program(&entry.to_text()).await?;
        tracing::warn!(service = app.service(), program, "an operator has withdrawn a program");
        let runtime = &app.runtime;
        // This process may be the only one that uses the database, and then it does not look for other programs.
        if runtime.newer_programs.last() > 0 {
            runtime.newer_programs.read(&**storage, &*runtime.environment).await?;
        }
        Ok(withdrawal)
    }

    async fn catalogue(&self) -> Result<Catalogue, Fault> {
        Ok(Catalogue::of(&self.app.storage().programs(0).await?))
    }
    /// Returns the programs, and the declaration of the one with this number if it is newer than this one.
    async fn newer(&self, program: u64) -> Result<(Catalogue, Declaration), WithdrawalError> {
        let catalogue = self.catalogue().await?;
        let this = catalogue.declared_now(self.app.declaration());
        let own = catalogue.number_of(&this).ok_or(WithdrawalError::NotStarted)?;
        let mut of_service = catalogue.programs.iter().filter(|(_, known)| known.service == this.service);
        let found = of_service.find(|(number, _)| *number == program).map(|(_, declared)| declared.clone());
        match found.ok_or(WithdrawalError::Unknown(program))? {
            declared if program > own => Ok((catalogue, declared)),
            _ => Err(WithdrawalError::NotNewer(program)),
        }
    }
    fn effect(&self, program: u64, catalogue: &Catalogue) -> Withdrawal {
        let this = catalogue.declared_now(self.app.declaration());
        let own = catalogue.number_of(&this).unwrap_or(u64::MAX);
        let newer = catalogue.programs.iter().filter(|(number, known)| {
            *number > own
                && *number != program
                && known.service == this.service
                && !catalogue.withdrawn.contains(number)
        });
        Withdrawal {
            program,
            was_withdrawn: catalogue.withdrawn.contains(&program),
            still_newer: newer.map(|(number, _)| *number).collect(),
            released: Vec::new(),
            has_more: false,
        }
    }
    /// Waits until every reader of the own log has reached the events that only this program handles. They are parked then,
    /// and not passed.
    async fn until_read(&self, program: &Declaration) -> Result<(), WithdrawalError> {
        let (storage, environment) = (self.app.storage(), &self.app.runtime.environment);
        let mut unread = handles_more(program, &self.app.declaration());
        let of_log: Vec<_> = self.app.log_followers().iter().map(|follower| follower.name().to_owned()).collect();
        unread.retain(|reader, _| of_log.contains(reader));
        let (end, began) = (storage.high_water_mark().await?, environment.uptime());
        loop {
            let Some((reader, names)) = unread.first_key_value() else { return Ok(()) };
            let names: Vec<_> = names.iter().map(String::as_str).collect();
            let checkpoint = storage.checkpoints(std::slice::from_ref(reader)).await?.first().copied().unwrap_or(0);
            let first = storage.log_of(&names, Position(checkpoint), end, ReadLimit::entries(1)).await?;
            let Some(first) = first.into_iter().next() else {
                unread.pop_first();
                continue;
            };
            if environment.uptime() >= began + LONGEST_WAIT {
                return Err(WithdrawalError::Unread { reader: reader.clone(), event: first.name });
            }
            environment.sleep(POLL_INTERVAL).await;
        }
    }
}

/// Returns the events that a program handles and this one does not, by reader.
fn handles_more(program: &Declaration, this: &Declaration) -> BTreeMap<String, Vec<String>> {
    let mut more = BTreeMap::new();
    for (reader, names) in &program.readers {
        let own = this.readers.get(reader);
        let names: Vec<_> = names.iter().filter(|name| own.is_none_or(|own| !own.contains(*name))).cloned().collect();
        if !names.is_empty() {
            more.insert(reader.clone(), names);
        }
    }
    more
}
