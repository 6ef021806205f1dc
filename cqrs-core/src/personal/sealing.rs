//! Encrypts the marked values of an encoded value, and decrypts them again.
//!
//! An encrypted value is `{"$sealed":{"k":key id,"c":ciphertext in base64,"e":placeholder}}`. It carries its
//! placeholder, so it is read as erased also where the type is not known.
use crate::{
    codec::{self, MARK, MarkedValue, SEALED},
    error::Fault,
    event::COMMAND_SENT,
    personal::subject_keys::{SubjectKey, SubjectKeys},
    storage::{Batch, TimerChange, split_copy},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::{
    borrow::Cow,
    collections::{BTreeSet, HashMap},
    sync::Arc,
};
use uuid::Uuid;

/// The place of an encoded value, to which its ciphertexts are bound: its kind and its name.
#[derive(Debug, Clone)]
pub(crate) struct Place<'a> {
    kind: &'static str,
    name: Cow<'a, str>,
}
impl<'a> Place<'a> {
    pub(crate) fn event(name: &'a str) -> Self {
        Place { kind: "event", name: name.into() }
    }
    pub(crate) fn message(name: &'a str) -> Self {
        Place { kind: "message", name: name.into() }
    }
    pub(crate) fn state(kind: &'a str) -> Self {
        Place { kind: "state", name: kind.into() }
    }
    /// The place of a view. Its copies have the same, because a switch moves none of their values.
    pub(crate) fn view(name: &'a str) -> Self {
        Place { kind: "view", name: split_copy(name).0.into() }
    }
    /// The place of a command that waits as a timer.
    pub(crate) fn command(name: &'a str) -> Self {
        Place { kind: "command", name: name.into() }
    }
    pub(crate) fn response(key: &'a str) -> Self {
        Place { kind: "response", name: key.into() }
    }
    pub(crate) fn kind(&self) -> &'static str {
        self.kind
    }
    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

/// The error of a change that holds a personal value of a forgotten subject.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the subject was forgotten: a new value of it is stored only after `App::admit_again`")]
#[non_exhaustive]
pub struct SubjectIsForgotten {
    /// The subject.
    pub subject: String,
}
impl SubjectIsForgotten {
    /// Returns whether it is the error or one of its causes.
    pub fn is_cause_of(error: &(dyn std::error::Error + 'static)) -> bool {
        crate::error::causes(error).any(|cause| cause.is::<SubjectIsForgotten>())
    }
}

/// An encrypted value.
#[derive(Deserialize)]
struct Sealed<'a> {
    #[serde(rename = "k")]
    key: Uuid,
    #[serde(rename = "c", borrow)]
    ciphertext: Cow<'a, str>,
    #[serde(rename = "e", borrow)]
    erased: &'a RawValue,
}

/// Returns the text of a value that may have marks; `None` if it has none.
fn text_with<'b>(bytes: &'b [u8], opening: &str) -> Option<&'b str> {
    std::str::from_utf8(bytes).ok().filter(|text| text.contains(opening))
}

/// Returns the ids of the keys with which values in these bytes are encrypted.
pub(crate) fn keys_in(bytes: &[u8]) -> Result<BTreeSet<Uuid>, serde_json::Error> {
    let Some(text) = text_with(bytes, SEALED) else { return Ok(BTreeSet::new()) };
    let sealed = codec::find(text, SEALED)?.into_iter();
    sealed.map(|found| Ok(serde_json::from_str::<Sealed<'_>>(found.content)?.key)).collect()
}

/// A personal value of one subject, with the name of its field.
#[derive(Debug)]
pub(crate) struct Value {
    pub(crate) field: String,
    pub(crate) value: serde_json::Value,
}
/// Returns the values of a subject in decrypted bytes.
pub(crate) fn values_of(bytes: &[u8], subject: &str) -> Result<Vec<Value>, serde_json::Error> {
    let Some(text) = text_with(bytes, MARK) else { return Ok(Vec::new()) };
    let mut values = Vec::new();
    for found in codec::find(text, MARK)? {
        let mark: MarkedValue<'_> = serde_json::from_str(found.content)?;
        if mark.subject == subject {
            values.push(Value { field: found.field.to_owned(), value: serde_json::from_str(mark.value.get())? });
        }
    }
    Ok(values)
}

/// Calls `visit` with the bytes of each part of the batch that can have personal values, with its place. The flag says
/// whether a value of a forgotten subject is refused there: new facts are, and values that are computed from facts read
/// it as erased. Commands that are sent later, or to another service, are computed: a process that reacts to an erased
/// value goes on.
fn visit(
    batch: &mut Batch,
    visit: &mut dyn FnMut(Place<'_>, &mut Vec<u8>, bool) -> Result<(), Fault>,
) -> Result<(), Fault> {
    for row in &mut batch.rows {
        if let Some(state) = &mut row.state {
            visit(Place::state(row.kind), state, false)?;
        }
    }
    for snapshot in &mut batch.snapshots {
        if let Some(state) = &mut snapshot.state {
            visit(Place::state(snapshot.kind), state, false)?;
        }
    }
    for event in &mut batch.events {
        visit(Place::event(event.name), &mut event.payload, true)?;
        if let Some(outgoing) = &mut event.outgoing {
            let is_fact = event.name != COMMAND_SENT;
            visit(Place::message(&outgoing.name), &mut outgoing.body, is_fact)?;
        }
    }
    for write in &mut batch.timers {
        if let TimerChange::Set(timer) = &mut write.change {
            visit(Place::command(&timer.command), &mut timer.body, false)?;
        }
    }
    for view in &mut batch.views {
        if let Some(value) = &mut view.value {
            visit(Place::view(view.view), value, false)?;
        }
    }
    if let Some(response) = &mut batch.response {
        visit(Place::response(&response.key), &mut response.body, false)?;
    }
    Ok(())
}

/// Returns the keys for the personal values of a batch, in one read. A subject without a key gets one.
pub(crate) async fn read_keys(
    batch: &mut Batch,
    keys: &SubjectKeys,
) -> Result<HashMap<String, Arc<SubjectKey>>, Fault> {
    let mut subjects = BTreeSet::new();
    visit(batch, &mut |_, bytes, _| {
        if text_with(bytes, SEALED).is_some() {
            return Err(Fault::invalid("a field of a stored value cannot have the name `$sealed`"));
        }
        let Some(text) = text_with(bytes, MARK) else { return Ok(()) };
        for found in codec::find(text, MARK)? {
            subjects.insert(serde_json::from_str::<MarkedValue<'_>>(found.content)?.subject);
        }
        Ok(())
    })?;
    if subjects.is_empty() {
        return Ok(HashMap::new());
    }
    if let Some(reserved) = subjects.iter().find(|subject| SubjectKeys::is_reserved(subject) || subject.contains('\0'))
    {
        return Err(Fault::invalid(format!(
            "`{}` cannot be the subject of personal values",
            reserved.replace('\0', " ")
        )));
    }
    keys.newest(subjects).await
}

/// Encrypts the personal values of a batch. The keys are read once for all of them.
pub(crate) async fn seal(batch: &mut Batch, keys: &SubjectKeys) -> Result<(), Fault> {
    let keys = read_keys(batch, keys).await?;
    if keys.is_empty() {
        return Ok(());
    }
    visit(batch, &mut |place, bytes, is_fact| {
        if let Some(sealed) = sealed(bytes, &place, &keys, is_fact)? {
            *bytes = sealed;
        }
        Ok(())
    })
}

fn sealed(
    bytes: &[u8],
    place: &Place<'_>,
    keys: &HashMap<String, Arc<SubjectKey>>,
    is_fact: bool,
) -> Result<Option<Vec<u8>>, Fault> {
    let Some(text) = text_with(bytes, MARK) else { return Ok(None) };
    let mut replacements = Vec::new();
    for found in codec::find(text, MARK)? {
        let mark: MarkedValue<'_> = serde_json::from_str(found.content)?;
        let key = keys.get(&mark.subject).ok_or_else(|| Fault::internal("the key of a subject was not read"))?;
        let replacement = match &key.key {
            Some(cipher) => {
                let bound = [place.kind(), place.name(), found.field, &mark.subject];
                let ciphertext = BASE64_STANDARD.encode(cipher.seal(mark.value.get().as_bytes(), &bound)?);
                format!(r#"{SEALED}{{"k":"{}","c":"{ciphertext}","e":{}}}}}"#, key.id, mark.erased.get())
            }
            None if is_fact => {
                let forgotten = SubjectIsForgotten { subject: mark.subject };
                return Err(Fault::invalid(forgotten.to_string()).because(forgotten));
            }
            None => mark.erased.get().to_owned(),
        };
        replacements.push((found.range, replacement));
    }
    Ok(Some(codec::replaced(text, replacements).into_bytes()))
}

/// Decrypts the personal values of these encoded values. The keys are read once for all of them. Values of a forgotten
/// subject become their placeholders. A value whose key is unknown, or that was changed, stays as it is, so that it
/// fails alone when it is decoded.
pub(crate) async fn open(values: Vec<(Place<'_>, &mut Vec<u8>)>, keys: &SubjectKeys) -> Result<(), Fault> {
    let mut values = values;
    values.retain(|(_, bytes)| text_with(bytes, SEALED).is_some());
    if values.is_empty() {
        return Ok(());
    }
    let ids = values.iter().filter_map(|(_, bytes)| keys_in(bytes).ok()).flatten().collect();
    let keys = keys.by_id(ids).await?;
    for (place, bytes) in values {
        if let Some(opened) = opened(bytes, &place, &keys) {
            *bytes = opened;
        }
    }
    Ok(())
}

fn opened(bytes: &[u8], place: &Place<'_>, keys: &HashMap<Uuid, Arc<SubjectKey>>) -> Option<Vec<u8>> {
    let text = text_with(bytes, SEALED)?;
    let mut replacements = Vec::new();
    for found in codec::find(text, SEALED).ok()? {
        let Ok(sealed) = serde_json::from_str::<Sealed<'_>>(found.content) else { continue };
        let Some(key) = keys.get(&sealed.key) else { continue };
        let erased = sealed.erased.get();
        let replacement = match &key.key {
            None => Some(erased.to_owned()),
            Some(cipher) => {
                let bound = [place.kind(), place.name(), found.field, &key.subject];
                let ciphertext = BASE64_STANDARD.decode(sealed.ciphertext.as_bytes()).ok();
                let value = ciphertext.and_then(|bytes| cipher.open(&bytes, &bound));
                let value = value.and_then(|value| String::from_utf8(value).ok());
                value.and_then(|value| codec::mark(&key.subject, &value, erased).ok())
            }
        };
        replacements.extend(replacement.map(|replacement| (found.range, replacement)));
    }
    Some(codec::replaced(text, replacements).into_bytes())
}
