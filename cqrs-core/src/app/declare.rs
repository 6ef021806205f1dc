//! The declaration of a program at its start: whether it fits the stored data, and what it leaves to a newer program.
use crate::{
    app::App,
    catalogue::{AggregateDeclaration, Catalogue, Declaration, NOTICED_AFTER, compare},
    error::Fault,
    event::Source,
    registry::{AggregateRegistration, Role, group_reader, reader},
};
use std::{fmt, time::Duration};

impl App {
    /// Compares this program with the stored data, and declares it to the programs that run and to later ones.
    ///
    /// A program that was declared before has fitted then, so a rollback and a restart are always accepted.
    pub(super) async fn declare(&self) -> Result<(), Fault> {
        let (storage, environment) = (self.storage(), &self.runtime.environment);
        let begin = self.begin_now().await?;
        let stored = storage.programs(0).await?;
        let catalogue = Catalogue::of(&stored);
        let declaration = catalogue.declared_now(self.declaration());
        let text = declaration.to_text();
        let is_new = stored.iter().all(|program| program.declaration != text);
        let all: Vec<_> = catalogue.programs.into_iter().map(|(_, program)| program).collect();
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
        let age = self.declare_as(&text).await?;
        // After this wait, no running program passes what only this one handles. Every replica waits, also one that
        // starts while the first one does.
        if earlier.iter().any(|earlier| *earlier != declaration) && age < NOTICED_AFTER {
            environment.sleep(NOTICED_AFTER - age).await;
        }
        self.reserve_stored_values().await?;
        self.fill_indexes().await?;
        self.catch_up_inline().await
    }
    /// Stores the declaration, and reads which programs are newer. Returns the time since its first declaration.
    async fn declare_as(&self, text: &str) -> Result<Duration, Fault> {
        let (own, age) = self.storage().declare_program(text).await?;
        // Before the read: the programs are known as of now, however late the answer is.
        let now = self.runtime.environment.uptime();
        let programs = self.storage().programs(0).await?;
        self.runtime.newer_programs.declared(self.service(), own, &programs, now);
        Ok(age)
    }
    /// Declares this program anew, after it was withdrawn by mistake while it runs.
    pub(super) async fn declare_anew(&self) -> Result<(), Fault> {
        let catalogue = Catalogue::of(&self.storage().programs(0).await?);
        tracing::error!(
            service = self.service(),
            "this program was withdrawn while it runs; it is declared anew, and other programs may have passed events \
             that only it handles"
        );
        self.declare_as(&catalogue.declared_now(self.declaration()).to_text()).await.map(drop)
    }
    /// Returns the declaration of this program.
    pub(super) fn declaration(&self) -> Declaration {
        let mut declaration = Declaration { service: self.service().to_owned(), ..Declaration::default() };
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let forms = &mut declaration.stored_forms;
        for AggregateRegistration {
            name,
            events,
            version,
            is_state_stored,
            is_mapped,
            unique,
            event_form,
            state_form,
            ..
        } in &*self.aggregates
        {
            forms.events.insert((*name).to_owned(), event_form());
            if *is_state_stored {
                forms.states.insert((*name).to_owned(), state_form());
            }
            let aggregate = AggregateDeclaration {
                version: *version,
                is_state_stored: *is_state_stored,
                is_mapped: *is_mapped,
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
