//! The declaration of a program at its start: whether it fits the stored data, and what it leaves to a newer program.
use crate::{
    app::App,
    app::background::Job,
    catalogue::{AggregateDeclaration, Declaration, NOTICED_AFTER, compare},
    environment::backoff,
    error::{Fault, describe},
    event::Source,
    job::Step,
    metadata::Metadata,
    registry::{AggregateRegistration, Role, group_reader, reader},
};
use std::{collections::HashMap, fmt, time::Duration};

/// The largest number of keys that one step redelivers.
const KEYS: usize = 100;
/// The interval at which a program looks for messages that an older one has left to it.
const INTERVAL: Duration = Duration::from_secs(1);
/// The longest time until a key is tried again whose message cannot be handled.
const LONGEST_INTERVAL: Duration = Duration::from_secs(300);
/// The reader whose lease the job holds. Several replicas would repeat the outside effects of subscribers.
const LEASE: &str = "left messages";

impl App {
    /// Compares this program with the stored data, and declares it to the programs that run and to later ones.
    ///
    /// A program that was declared before has fitted then, so a rollback and a restart are always accepted.
    pub(super) async fn declare(&self) -> Result<(), Fault> {
        let (storage, environment) = (self.storage(), &self.runtime.environment);
        let declaration = self.declaration();
        let text = declaration.to_text();
        let begin = self.begin_now().await?;
        let stored = storage.programs(0).await?;
        let is_new = stored.iter().all(|program| program.declaration != text);
        let read = |text: &str| serde_json::from_str::<Declaration>(text).ok();
        let earlier = stored.iter().filter_map(|program| read(&program.declaration));
        let all: Vec<_> = earlier.collect();
        let services: Vec<_> = all.iter().map(|earlier| earlier.service.as_str()).collect();
        self.refuse_foreign_database(&services).await?;
        let earlier: Vec<_> = all.into_iter().filter(|earlier| earlier.service == self.service()).collect();
        if is_new {
            let mut problems = Vec::new();
            for misfit in compare(&declaration, &earlier) {
                if storage.holds(&misfit.data).await? {
                    problems.push(misfit.problem);
                }
            }
            problems.extend(self.unreadable_views(&earlier).await?);
            // It takes long, so mistakes that are found at once are reported first.
            if problems.is_empty() {
                problems = self.make_unique(&earlier).await?;
            }
            if !problems.is_empty() {
                let program = IncompatibleProgram { service: self.service().to_owned(), problems };
                return Err(Fault::internal("the program does not fit the stored data").because(program));
            }
        }
        self.identify_database().await?;
        self.begin(begin, &earlier).await?;
        let (own, age) = storage.declare_program(&text).await?;
        // Before the read: the programs are known as of now, however late the answer is.
        let now = environment.uptime();
        let programs = storage.programs(0).await?;
        self.runtime.newer_programs.declared(self.service(), own, &programs, now);
        // After this wait, no running program passes what only this one handles. Every replica waits, also one that
        // starts while the first one does.
        if earlier.iter().any(|earlier| *earlier != declaration) && age < NOTICED_AFTER {
            environment.sleep(NOTICED_AFTER - age).await;
        }
        self.reserve_stored_values().await?;
        self.fill_indexes().await
    }
    /// Returns the declaration of this program.
    fn declaration(&self) -> Declaration {
        let mut declaration = Declaration { service: self.service().to_owned(), ..Declaration::default() };
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let forms = &mut declaration.stored_forms;
        for AggregateRegistration { name, events, version, is_state_stored, unique, event_form, state_form, .. } in
            &*self.aggregates
        {
            forms.events.insert((*name).to_owned(), event_form());
            if *is_state_stored {
                forms.states.insert((*name).to_owned(), state_form());
            }
            let aggregate = AggregateDeclaration {
                version: *version,
                is_state_stored: *is_state_stored,
                events: owned(events),
                unique: owned(unique),
            };
            declaration.aggregates.insert((*name).to_owned(), aggregate);
        }
        for registration in &*self.registrations {
            let (name, source) = match &registration.role {
                Role::Projection(projection) => {
                    let indexes =
                        projection.indexes.iter().map(|(name, columns)| ((*name).to_owned(), (*columns).to_owned()));
                    declaration.views.insert(projection.view.to_owned(), indexes.collect());
                    forms.views.insert(projection.view.to_owned(), (projection.stored_form)());
                    (reader(projection.name), projection.source)
                }
                Role::Projector(projector) => (reader(projector.name), projector.source),
                Role::Subscriber(subscriber) => match subscriber.source {
                    Source::Log(_) => (group_reader(subscriber.group), subscriber.source),
                    Source::Topic { .. } => (subscriber.group.to_owned(), subscriber.source),
                },
                Role::Handler { .. } | Role::Publisher(_) => continue,
            };
            let handled = declaration.readers.entry(name).or_default();
            match source {
                Source::Log(names) => handled.extend(names.iter().map(|name| (*name).to_owned())),
                Source::Topic { name, .. } => drop(handled.insert(name.to_owned())),
            }
        }
        declaration
    }
    /// Returns the job that redelivers the messages which an older program has left to this one, and those that were parked
    /// before a circuit breaker opened. [`App::start`] runs it; a caller that starts the parts by itself runs its steps.
    pub fn left_messages(&self) -> LeftMessages {
        let owner = self.runtime.environment.id().to_string();
        LeftMessages { app: self.clone(), owner, failed: HashMap::new() }
    }
}

/// The error of a start whose program does not fit the stored data, with every problem at once.
///
/// Nothing was changed that another program uses. Aggregates that share the value of a field which becomes unique are
/// reported when there is no other problem, since all of them have to be read.
///
/// It is the source of the fault that [`App::start`] returns.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct IncompatibleProgram {
    /// The service's name.
    pub service: String,
    /// The problems, each with what to do.
    pub problems: Vec<String>,
}
impl fmt::Display for IncompatibleProgram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} does not fit the stored data:", self.service)?;
        self.problems.iter().try_for_each(|problem| write!(f, "\n- {problem}"))
    }
}
impl std::error::Error for IncompatibleProgram {}

/// The background job that redelivers the messages which an older program has left to this one, in one replica at a time,
/// and those that were parked before a circuit breaker opened in this process.
#[must_use = "it does nothing unless `step` is called"]
#[derive(Debug)]
pub struct LeftMessages {
    app: App,
    /// The holder of this job's lease.
    owner: String,
    /// The keys whose redelivery has failed, with the number of failures and the uptime of the next attempt.
    failed: HashMap<(String, String), (u32, Duration)>,
}
impl LeftMessages {
    /// Redelivers the keys that are left to this program, if it is the newest one of the service and holds the lease, and
    /// on every replica the keys that were parked before a circuit breaker opened in this process and whose reader has
    /// succeeded since.
    ///
    /// # Errors
    /// Fails when the database fails. Call it again.
    pub async fn step(&mut self) -> Result<Step, Fault> {
        let recovered = self.app.parked().redeliver_recovered().await;
        match self.redeliver().await? + recovered {
            0 => Ok(Step::Paused(INTERVAL)),
            done => Ok(Step::Did(done)),
        }
    }
    async fn redeliver(&mut self) -> Result<usize, Fault> {
        let (app, owner) = (&self.app, &self.owner);
        let (runtime, storage) = (&app.runtime, app.storage());
        let environment = &*runtime.environment;
        runtime.newer_programs.refresh(&**storage, environment).await?;
        if !runtime.newer_programs.is_newest() {
            return Ok(0);
        }
        let keys = storage.left_to_newer_program(KEYS).await?;
        let due = |key: &(String, String)| self.failed.get(key).is_none_or(|(_, next)| *next <= environment.uptime());
        let keys: Vec<_> = keys.into_iter().filter(due).collect();
        if keys.is_empty() {
            return Ok(0);
        }
        if !storage.is_exclusive() && storage.lease(LEASE, owner, runtime.lease).await?.is_none() {
            return Ok(0);
        }
        let parked = app.parked();
        let Some(session) = parked.try_session().await? else { return Ok(0) };
        let mut done = 0;
        let by = Metadata::default().caller("a newer program");
        for key in keys {
            let (reader, of) = (&*key.0, &*key.1);
            let stopped = match parked.redeliver_key(&session, reader, of, &by, false).await {
                Ok(redelivery) => {
                    let messages = redelivery.count as usize;
                    tracing::info!(reader, key = of, messages, "handled messages that an older program has left");
                    done += messages;
                    redelivery.stopped.map(|(_, error)| error)
                }
                Err(fault) => Some(fault.into()),
            };
            let Some(error) = stopped else {
                self.failed.remove(&key);
                continue;
            };
            let error = describe(&*error);
            tracing::warn!(reader, key = of, error, "a message that an older program has left cannot be handled");
            let (failures, next) = self.failed.entry(key).or_default();
            *next = environment.uptime() + backoff(environment, *failures, INTERVAL, LONGEST_INTERVAL);
            *failures += 1;
        }
        session.end().await;
        Ok(done)
    }
}
#[async_trait::async_trait]
impl Job for LeftMessages {
    fn name(&self) -> String {
        "left messages".to_owned()
    }
    async fn step(&mut self) -> Result<Step, crate::BoxError> {
        Ok(LeftMessages::step(self).await?)
    }
}
