//! Forgets a subject: removes its keys, with an event, and writes the values again that were computed from its values.
use super::{PAGE, PersonalError, is_encrypted_with, refused};
use crate::{
    app::App,
    catalogue::index_set,
    error::{Fault, describe},
    event::{IntegrationEvent, NewEntry, OutgoingMessage, shard_of, stream_of},
    metadata::Metadata,
    personal::{
        SubjectForgotten,
        sealing::{self, Place},
    },
    registry::{AggregateRegistration, Projection, Role},
    runtime::PersonalRuntime,
    storage::{Batch, CommitError, ReadLimit, StoredView, ViewWrite, copy_of, stored_as},
};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// The name of the event in the log, schema version 1.
const EVENT: &str = "cqrs.subject_forgotten";
/// The beginning of the notes of subjects that are being forgotten.
const NOTES: &str = "forget/";
/// The values of such a note: nothing is done yet, or the event is committed.
const BEGUN: &str = "begun";
const COMMITTED: &str = "committed";
/// The number of times that a value is read again which a projection changes at the same time.
const TRIES: usize = 20;
/// The largest part of the streams that one read returns.
const STREAMS: ReadLimit = ReadLimit { entries: PAGE, bytes: 4 << 20 };

/// The report of a forgotten subject: the changes, by their places.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Forgotten {
    /// The subject.
    pub subject: String,
    /// The number of keys that were removed; 0 if the subject was forgotten before. From then on the values are
    /// unreadable in the log and its archive, rows, snapshots, views, stored responses, timers, processes, parked messages,
    /// the outbox and topics.
    pub keys: u64,
    /// The position of the event in the log, if this call has committed it.
    pub position: Option<u64>,
    /// Is `true` if the event is published to other services.
    pub is_published: bool,
    /// The views whose values were written again with their placeholders.
    pub views: Vec<RewrittenView>,
    /// The number of unique values that were released.
    pub released: u64,
    /// The values that could not be written again. They cannot be read either. A repetition tries them again.
    pub failures: Vec<String>,
}

/// A view whose values were written again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RewrittenView {
    /// The name under which the view, or a copy of it, is stored.
    pub view: String,
    /// The number of values.
    pub values: u64,
}

impl App {
    /// Forgets a subject. `by` names the one who asked for it, for the event in the log.
    ///
    /// Its keys are removed, in one transaction with an event if the keys are in the service's own database. No value
    /// that was encrypted for the subject can be read any more, wherever it is; it reads as its placeholder. Then views
    /// with such values are written again, and unique values are released. Other processes read the values for at most
    /// five seconds more.
    ///
    /// It reads the views and the aggregates with personal fields once, so it takes the time of that. It can be
    /// repeated. If it is interrupted, the next start goes on. New values of the subject are refused until
    /// [`admit_again`](App::admit_again).
    ///
    /// # Errors
    /// Fails when the app has no personal data, when the text cannot be a subject, or when a database fails: then the
    /// next start, or a repetition, goes on. A view that cannot be written again is in the report and no error.
    pub async fn forget(&self, subject: &str, by: &Metadata) -> Result<Forgotten, PersonalError> {
        let publishes = self.personal(subject)?.publishes;
        self.forget_and(subject, by, publishes).await
    }
    /// Forgets a subject without an event for other services.
    pub(super) async fn forget_silently(&self, subject: &str, by: &Metadata) -> Result<Forgotten, PersonalError> {
        self.forget_and(subject, by, false).await
    }
    /// Continues with the subjects whose forgetting was interrupted.
    pub(crate) async fn finish_forgetting(&self) -> Result<usize, PersonalError> {
        let Some(personal) = &self.runtime.personal else { return Ok(0) };
        let notes = self.storage().notes(NOTES).await?;
        let count = notes.len();
        for (name, _) in notes {
            let Some(subject) = name.strip_prefix(NOTES) else { continue };
            tracing::info!("going on with the erasure of a subject that was interrupted");
            self.forget_and(subject, &Metadata::NONE, personal.publishes).await?;
        }
        Ok(count)
    }
    async fn forget_and(&self, subject: &str, by: &Metadata, publishes: bool) -> Result<Forgotten, PersonalError> {
        let personal = self.personal(subject)?;
        let (note, storage) = (format!("{NOTES}{subject}"), self.storage());
        let is_new = storage.replace_note(&note, None, Some(BEGUN)).await?;
        let state = match is_new {
            true => BEGUN.to_owned(),
            false => storage
                .notes(&note)
                .await?
                .into_iter()
                .find(|(name, _)| *name == note)
                .map_or_else(|| BEGUN.to_owned(), |(_, state)| state),
        };
        let mut report = Forgotten { subject: subject.to_owned(), ..Forgotten::default() };
        self.remove_keys(personal, &mut report, by, publishes, is_new, &state).await?;
        personal.keys.drop_subject(subject);
        let ids = self.key_ids(subject).await?;
        let released = self.release_unique_values(personal, &ids, &mut report.failures).await?;
        report.released = released;
        self.rewrite_views(personal, &ids, &mut report).await?;
        for state in [BEGUN, COMMITTED] {
            storage.replace_note(&note, Some(state), None).await?;
        }
        let (keys, views) = (report.keys, report.views.iter().map(|view| view.values).sum::<u64>());
        tracing::info!(keys, views, released, failures = report.failures.len(), "a subject was forgotten");
        Ok(report)
    }
    /// Removes the keys and commits the event, once.
    async fn remove_keys(
        &self,
        personal: &PersonalRuntime,
        report: &mut Forgotten,
        by: &Metadata,
        publishes: bool,
        is_new: bool,
        state: &str,
    ) -> Result<(), PersonalError> {
        let (subject, store) = (report.subject.clone(), personal.keys.store());
        let keys = store.keys_of(&subject).await?;
        let is_forgotten = !keys.is_empty() && keys.iter().all(|key| key.wrapped.is_none());
        let id = self.runtime.environment.id();
        let batch = || {
            let event = self.forgotten_event(&subject, by, publishes)?;
            Ok::<_, Fault>(Batch { events: vec![event], ..Batch::default() })
        };
        if personal.is_own_storage {
            if is_forgotten {
                return Ok(());
            }
            let mut tx = self.storage().begin().await?;
            report.keys = store.forget_keys(&subject, id, Some(&mut *tx)).await?;
            report.position = Some(tx.commit(batch()?).await.map_err(refused)?.0);
        } else {
            // An earlier run may have ended between the keys and the event.
            if is_forgotten && (is_new || state == COMMITTED) {
                return Ok(());
            }
            report.keys = store.forget_keys(&subject, id, None).await?;
            personal.keys.drop_subject(&subject);
            report.position = Some(self.storage().commit(batch()?).await.map_err(refused)?.0);
            self.storage().replace_note(&format!("{NOTES}{subject}"), Some(BEGUN), Some(COMMITTED)).await?;
        }
        report.is_published = publishes;
        Ok(())
    }
    fn forgotten_event(&self, subject: &str, by: &Metadata, publishes: bool) -> Result<NewEntry, Fault> {
        let mut event = self.act_event(EVENT, subject, by)?;
        if publishes {
            let message = SubjectForgotten::new(subject, &self.runtime.service);
            let body =
                message.encode().map_err(|error| Fault::internal("the event cannot be encoded").because(error))?;
            event.outgoing = Some(OutgoingMessage {
                topic: SubjectForgotten::TOPIC.to_owned(),
                shard: shard_of(&message.key()),
                key: message.key(),
                name: SubjectForgotten::NAME.to_owned(),
                content_type: <SubjectForgotten as IntegrationEvent>::CONTENT_TYPE.to_owned(),
                body,
            });
        }
        Ok(event)
    }

    /// Releases the unique values of the aggregates that hold values of the subject.
    async fn release_unique_values(
        &self,
        personal: &PersonalRuntime,
        keys: &[Uuid],
        failures: &mut Vec<String>,
    ) -> Result<u64, Fault> {
        let mut released = 0;
        for aggregate in self.aggregates.iter().filter(|aggregate| !aggregate.personal_unique.is_empty()) {
            for id in self.aggregates_with(personal, aggregate, keys).await? {
                for field in aggregate.personal_unique {
                    match self.reserve_values(*aggregate, field, &id).await? {
                        Some(_) => released += 1,
                        None => failures.push(format!(
                            "the unique value `{field}` of {} was not released: commands change it all the time",
                            stream_of(aggregate.name, &id)
                        )),
                    }
                }
            }
        }
        Ok(released)
    }
    /// Returns the ids of the aggregates of one kind with values of the subject.
    async fn aggregates_with(
        &self,
        personal: &PersonalRuntime,
        aggregate: &AggregateRegistration,
        keys: &[Uuid],
    ) -> Result<BTreeSet<String>, Fault> {
        let (mut ids, raw, kind) = (BTreeSet::new(), &personal.raw, aggregate.name);
        if aggregate.is_state_stored {
            let mut after: Option<String> = None;
            loop {
                let rows = raw.rows_after(kind, after.as_deref(), PAGE).await?;
                let (last, count) = (rows.last().map(|(id, _)| id.clone()), rows.len());
                let with = rows
                    .into_iter()
                    .filter(|(_, row)| row.state.as_deref().is_some_and(|state| is_encrypted_with(state, keys)));
                ids.extend(with.map(|(id, _)| id));
                after = last;
                if count < PAGE {
                    break;
                }
            }
        }
        let prefix = stream_of(kind, "");
        let mut place: Option<(String, u64)> = None;
        loop {
            let from = place.as_ref().map(|(stream, version)| (&**stream, *version));
            let page = raw.streams_after(kind, from, STREAMS).await?;
            let with = page.iter().filter(|entry| is_encrypted_with(&entry.payload, keys));
            ids.extend(with.filter_map(|entry| Some(entry.stream.strip_prefix(&prefix)?.to_owned())));
            place = page.last().map(|last| (last.stream.clone(), last.version));
            if !STREAMS.is_reached_by(&page) {
                return Ok(ids);
            }
        }
    }

    async fn rewrite_views(
        &self,
        personal: &PersonalRuntime,
        keys: &[Uuid],
        report: &mut Forgotten,
    ) -> Result<(), PersonalError> {
        let roles = self.registrations.iter().map(|registration| &registration.role);
        let projections = roles.filter_map(|role| match role {
            Role::Projection(projection) if projection.is_personal => Some((projection.view, *projection)),
            _ => None,
        });
        for (view, projection) in projections.collect::<BTreeMap<_, _>>() {
            let serving = self.storage().serving_copy(view).await?;
            // The copy that serves, the former ones, and one that a rebuild fills.
            for copy in 0..=serving + 1 {
                let copy = copy_of(view, copy);
                let values = self.rewrite_copy(personal, &projection, copy, keys, &mut report.failures).await?;
                if values > 0 {
                    report.views.push(RewrittenView { view: stored_as(copy).to_owned(), values });
                }
            }
            self.runtime.view_changed(view);
        }
        Ok(())
    }
    async fn rewrite_copy(
        &self,
        personal: &PersonalRuntime,
        projection: &Projection,
        copy: &'static str,
        keys: &[Uuid],
        failures: &mut Vec<String>,
    ) -> Result<u64, Fault> {
        let (mut after, mut rewritten) = (None::<String>, 0);
        loop {
            let values = personal.raw.view_values_after(stored_as(copy), after.as_deref(), PAGE).await?;
            let (last, count) = (values.last().map(|value| value.key.clone()), values.len());
            for value in values.into_iter().filter(|value| has(value, keys)) {
                let key = value.key.clone();
                match self.rewrite_value(personal, projection, copy, value, keys).await {
                    Ok(()) => rewritten += 1,
                    Err(fault) if fault.is_transient() => return Err(fault),
                    Err(fault) => failures.push(format!("view {copy} under key {key}: {}", describe(&fault))),
                }
            }
            after = last;
            if count < PAGE {
                return Ok(rewritten);
            }
        }
    }
    async fn rewrite_value(
        &self,
        personal: &PersonalRuntime,
        projection: &Projection,
        copy: &'static str,
        value: StoredView,
        keys: &[Uuid],
    ) -> Result<(), Fault> {
        let mut value = value;
        for _ in 0..TRIES {
            let StoredView { key, version, value: bytes } = value;
            let Some(mut bytes) = bytes else { return Ok(()) };
            sealing::open(vec![(Place::view(copy), &mut bytes)], &personal.keys).await?;
            let entries = (projection.index_entries)(&bytes)?;
            let write = ViewWrite {
                view: stored_as(copy),
                key: key.clone(),
                expected: version,
                value: Some(bytes),
                entries,
                index_set: index_set(projection.indexes.iter().copied()),
            };
            match self.storage().commit(Batch { views: vec![write], ..Batch::default() }).await {
                Ok(_) => return Ok(()),
                Err(CommitError::Conflict { .. }) => (),
                Err(error) => return Err(refused(error)),
            }
            match personal.raw.views(copy, &[key]).await?.pop().filter(|value| has(value, keys)) {
                Some(next) => value = next,
                None => return Ok(()),
            }
        }
        Err(Fault::internal("projections change the value all the time"))
    }
}

fn has(value: &StoredView, keys: &[Uuid]) -> bool {
    value.value.as_deref().is_some_and(|bytes| is_encrypted_with(bytes, keys))
}
