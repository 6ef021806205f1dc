//! Exports the personal data of a subject.
use super::{PAGE, PersonalError, is_encrypted_with, refused};
use crate::{
    Timestamp,
    app::App,
    error::Fault,
    event::stream_of,
    metadata::Metadata,
    personal::sealing::{self, Place},
    registry::Role,
    runtime::PersonalRuntime,
    storage::{Batch, ReadLimit, copy_of, stored_as},
};
use serde::Serialize;
use std::{collections::BTreeSet, fmt};
use uuid::Uuid;

/// The name of the event in the log, schema version 1.
const EVENT: &str = "cqrs.subject_exported";
/// The largest part of the streams that one read returns.
const STREAMS: ReadLimit = ReadLimit { entries: PAGE, bytes: 4 << 20 };

/// The personal data that a service holds of a subject. Its debug output shows no value.
#[derive(Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct SubjectExport {
    /// The subject.
    pub subject: String,
    /// The service.
    pub service: String,
    /// The values, by their places.
    pub values: Vec<ExportedValue>,
}

/// A personal value, with the place where it is stored.
#[derive(Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ExportedValue {
    /// `event`, `state` or `view`.
    pub kind: &'static str,
    /// The name of the event, the aggregate or the view.
    pub name: String,
    /// The stream and the number of the event, the id of the aggregate, or the key in the view.
    pub key: String,
    /// The name of the field.
    pub field: String,
    /// The value.
    pub value: serde_json::Value,
    /// The time of the event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
}

impl App {
    /// Returns the personal values of a subject in the events, the aggregates and the views of this service, of the
    /// fields that `#[personal]` marks. Copies, such as stored responses, scheduled commands, processes and messages to
    /// other services, repeat these values.
    ///
    /// It reads the stored data once. A subject that was forgotten has no values. An event `cqrs.subject_exported` in
    /// the log has the subject, and its metadata names `by`, the one who asked. It is committed first, so no export is
    /// without it.
    ///
    /// # Errors
    /// Fails when the app has no personal data, when the text cannot be a subject, or when a database fails.
    pub async fn export(&self, subject: &str, by: &Metadata) -> Result<SubjectExport, PersonalError> {
        let personal = self.personal(subject)?;
        let event = self.act_event(EVENT, subject, by)?;
        self.storage().commit(Batch { events: vec![event], ..Batch::default() }).await.map_err(refused)?;
        let keys = self.key_ids(subject).await?;
        let mut found = Found { personal, subject, keys, values: Vec::new() };
        for aggregate in self.aggregates.iter().filter(|aggregate| aggregate.has_personal_events) {
            found.add_events(aggregate.name).await?;
        }
        let rows = self.aggregates.iter().filter(|aggregate| aggregate.is_state_stored && aggregate.has_personal_state);
        for aggregate in rows {
            found.add_states(aggregate.name).await?;
        }
        for view in self.personal_views() {
            found.add_values(copy_of(view, self.storage().serving_copy(view).await?)).await?;
        }
        let (subject, values) = (subject.to_owned(), found.values);
        Ok(SubjectExport { subject, service: self.runtime.service.clone(), values })
    }
    fn personal_views(&self) -> BTreeSet<&'static str> {
        let roles = self.registrations.iter().map(|registration| &registration.role);
        let views = roles.filter_map(|role| match role {
            Role::Projection(projection) if projection.is_personal => Some(projection.view),
            _ => None,
        });
        views.collect()
    }
}

struct Found<'a> {
    personal: &'a PersonalRuntime,
    subject: &'a str,
    keys: Vec<Uuid>,
    values: Vec<ExportedValue>,
}
impl Found<'_> {
    async fn add_events(&mut self, kind: &str) -> Result<(), Fault> {
        let (prefix, mut place) = (stream_of(kind, ""), None::<(String, u64)>);
        loop {
            let from = place.as_ref().map(|(stream, version)| (&**stream, *version));
            let page = self.personal.raw.streams_after(kind, from, STREAMS).await?;
            place = page.last().map(|last| (last.stream.clone(), last.version));
            let is_last = !STREAMS.is_reached_by(&page);
            for entry in page {
                let id = entry.stream.strip_prefix(&prefix).unwrap_or(&entry.stream);
                let key = format!("{id}/{}", entry.version);
                self.add(Place::event(&entry.name), key, entry.payload, Some(entry.occurred_at)).await?;
            }
            if is_last {
                return Ok(());
            }
        }
    }
    async fn add_states(&mut self, kind: &str) -> Result<(), Fault> {
        let mut after: Option<String> = None;
        loop {
            let page = self.personal.raw.rows_after(kind, after.as_deref(), PAGE).await?;
            let is_last = page.len() < PAGE;
            after = page.last().map(|(id, _)| id.clone());
            for (id, row) in page {
                self.add(Place::state(kind), id, row.state.unwrap_or_default(), None).await?;
            }
            if is_last {
                return Ok(());
            }
        }
    }
    async fn add_values(&mut self, copy: &'static str) -> Result<(), Fault> {
        let mut after: Option<String> = None;
        loop {
            let page = self.personal.raw.view_values_after(stored_as(copy), after.as_deref(), PAGE).await?;
            let is_last = page.len() < PAGE;
            after = page.last().map(|value| value.key.clone());
            for value in page {
                self.add(Place::view(copy), value.key, value.value.unwrap_or_default(), None).await?;
            }
            if is_last {
                return Ok(());
            }
        }
    }
    async fn add(
        &mut self,
        place: Place<'_>,
        key: String,
        mut bytes: Vec<u8>,
        at: Option<Timestamp>,
    ) -> Result<(), Fault> {
        if !is_encrypted_with(&bytes, &self.keys) {
            return Ok(());
        }
        sealing::open(vec![(place.clone(), &mut bytes)], &self.personal.keys).await?;
        for value in sealing::values_of(&bytes, self.subject)? {
            let (kind, name, key) = (place.kind(), place.name().to_owned(), key.clone());
            self.values.push(ExportedValue { kind, name, key, field: value.field, value: value.value, at });
        }
        Ok(())
    }
}

impl fmt::Debug for SubjectExport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SubjectExport({} values of {})", self.values.len(), self.subject)
    }
}
impl fmt::Debug for ExportedValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{} {} {}: ***", self.kind, self.name, self.key, self.field)
    }
}
