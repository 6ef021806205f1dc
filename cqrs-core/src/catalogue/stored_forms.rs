//! The comparison of stored forms: whether a program reads the events, states and views that earlier programs have stored.
use super::{Declaration, compare::Misfit};
use crate::{
    storage::StoredData,
    stored_form::{JsonType, StoredContent, StoredField, StoredForm, StoredVariant, Written},
};
use serde::{Deserialize, Deserializer, Serialize, de::DeserializeOwned};
use std::{collections::BTreeMap, fmt};

/// The stored forms that a program declares. A form is unknown if a type is written by hand.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct StoredForms {
    /// By aggregate: its events.
    pub(crate) events: BTreeMap<String, StoredForm>,
    /// By aggregate: its state.
    pub(crate) states: BTreeMap<String, StoredForm>,
    pub(crate) views: BTreeMap<String, StoredForm>,
}

/// Reads a part of a declaration. A part that a later version of this library has written in another way is empty, so that
/// the rest of the declaration can be read.
pub(super) fn readable<'d, T: Default + DeserializeOwned, D: Deserializer<'d>>(from: D) -> Result<T, D::Error> {
    Ok(serde_json::from_value(Deserialize::deserialize(from)?).unwrap_or_default())
}

/// Returns the differences in the stored forms between a program and those before it, oldest first.
pub(super) fn compare(program: &Declaration, earlier: &[Declaration]) -> Vec<Misfit> {
    let mut misfits = Vec::new();
    let mut add = |data: Data<'_>, form: &StoredForm, stored: Vec<&StoredForm>| {
        let problems = unreadable(form, stored).into_iter().map(|Difference { event, problem }| {
            let data = if let Data::Event(_) = data { Data::Event(event) } else { data };
            Misfit { data: data.stored(), problem: data.describe(&problem) }
        });
        for misfit in problems {
            if !misfits.contains(&misfit) {
                misfits.push(misfit);
            }
        }
    };
    let forms = &program.stored_forms;
    for (name, aggregate) in &program.aggregates {
        let known =
            || earlier.iter().filter_map(|earlier| Some((earlier.aggregates.get(name)?, &earlier.stored_forms)));
        if let Some(form) = forms.events.get(name) {
            // Events of another version are read by upcasters, or refused for their version.
            let same = known().filter(|(known, _)| known.version == aggregate.version);
            // An event that this program does not have is a problem of its own.
            let mut stored: Vec<_> = same.filter_map(|(_, forms)| forms.events.get(name).cloned()).collect();
            stored.iter_mut().for_each(|form| {
                let is_kept = |variant: &StoredVariant| aggregate.events.contains(&variant.event);
                form.variants.retain(is_kept);
            });
            add(Data::Event(""), form, stored.iter().collect());
        }
        if let (Some(form), true) = (forms.states.get(name), aggregate.is_state_stored) {
            let stored = known().filter(|(known, _)| known.is_state_stored);
            add(Data::State(name), form, stored.filter_map(|(_, forms)| forms.states.get(name)).collect());
        }
    }
    for (name, form) in &forms.views {
        let stored = earlier.iter().filter_map(|earlier| earlier.stored_forms.views.get(name));
        add(Data::View(name), form, stored.collect());
    }
    misfits
}

/// Returns the differences to all forms in which there may be stored data, oldest first.
///
/// A later program that could not have read an earlier form was accepted, so the database had no data in that form then.
fn unreadable<'f>(form: &'f StoredForm, stored: Vec<&'f StoredForm>) -> Vec<Difference<'f>> {
    let mut distinct: Vec<&StoredForm> = Vec::new();
    for stored in stored {
        distinct.retain(|known| *known != stored);
        distinct.push(stored);
    }
    let mut found = Vec::new();
    for (i, stored) in distinct.iter().enumerate() {
        let later: Vec<_> = distinct[i + 1..].iter().flat_map(|later| differences(stored, later)).collect();
        let differences = differences(stored, form).into_iter();
        found.extend(differences.filter(|found| later.iter().all(|later| later.event != found.event)));
    }
    found
}

/// The data that a form describes.
#[derive(Clone, Copy)]
enum Data<'n> {
    Event(&'n str),
    State(&'n str),
    View(&'n str),
}
impl Data<'_> {
    fn stored(&self) -> StoredData {
        match self {
            Data::Event(name) => StoredData::Event((*name).to_owned()),
            Data::State(name) => StoredData::Aggregate((*name).to_owned()),
            Data::View(name) => StoredData::View((*name).to_owned()),
        }
    }
    /// Describes a problem, with what to do.
    fn describe(&self, problem: &Problem<'_>) -> String {
        let (another_form, another_field) = match self {
            Data::Event(_) => {
                let version = "raise the `version` of the events and write an upcaster";
                (version, format!("; or {version}"))
            }
            Data::State(_) => ("keep the former one, and add another field", String::new()),
            Data::View(_) => {
                let names = "give the view and its projection new names, so that they fill beside the old ones";
                (names, format!("; or {names}"))
            }
        };
        match problem {
            Problem::Tag => format!(
                "{self} have the variant's name in another place than this program reads it: keep serde's `tag`, or \
                 {another_form}"
            ),
            Problem::Variant(name) => format!(
                "{self} have serde's variant `{name}`, which this program does not read: keep the variant, or write \
                 `#[serde(rename = \"{name}\")]` on the one that it has become{another_field}"
            ),
            Problem::Content { stored, now } => {
                format!("{self} have {stored}, and this program reads {now}: {another_form}")
            }
            Problem::Missing(field) => format!(
                "{self} may lack field `{field}`, which this program requires: write `#[serde(default)]` on it, or make \
                 it an `Option`; if it was renamed, write `#[serde(rename = \"...\")]` with its former \
                 name{another_field}"
            ),
            Problem::Type { field, stored, now } => format!(
                "{self} have field `{field}` as `{stored}`, and this program reads `{now}`: {another_form}; or write \
                 `#[stored(accepts({stored}))]` on it, if it reads all stored values"
            ),
            Problem::Refused(field) => format!(
                "{self} have field `{field}`, which this program refuses by `deny_unknown_fields`: keep the field, or \
                 remove the attribute"
            ),
        }
    }
}
impl fmt::Display for Data<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Data::Event(name) => write!(f, "the stored events `{name}`"),
            Data::State(name) => write!(f, "the stored states of aggregate `{name}`"),
            Data::View(name) => write!(f, "the stored values of view `{name}`"),
        }
    }
}

/// A difference because of which stored data cannot be read, or some of it.
#[derive(Debug, PartialEq, Eq)]
struct Difference<'f> {
    /// The stored name of the event; empty for states and views.
    event: &'f str,
    problem: Problem<'f>,
}
#[derive(Debug, PartialEq, Eq)]
enum Problem<'f> {
    /// The name of the variant is in another place.
    Tag,
    Variant(&'f str),
    Content {
        stored: &'static str,
        now: &'static str,
    },
    Missing(&'f str),
    Type {
        field: &'f str,
        stored: &'f str,
        now: &'f str,
    },
    Refused(&'f str),
}

fn differences<'f>(stored: &'f StoredForm, now: &'f StoredForm) -> Vec<Difference<'f>> {
    if stored.is_unknown() || now.is_unknown() {
        return Vec::new();
    }
    let mut found = Vec::new();
    if stored.is_enum != now.is_enum || stored.tag != now.tag || stored.content != now.content {
        // A struct may be written like an enum and the other way round, and a tag may be a field.
        if stored.is_enum && now.is_enum && stored.tag != now.tag {
            let events = stored.variants.iter().filter(|variant| !variant.name.is_empty());
            found.extend(events.map(|variant| Difference { event: &variant.event, problem: Problem::Tag }));
            found.dedup();
        }
        return found;
    }
    for before in &stored.variants {
        let mut problems = Vec::new();
        if stored.is_enum {
            let is_same = |variant: &&StoredVariant| variant.read_as.contains(&before.name);
            match now.variants.iter().find(is_same) {
                _ if before.name.is_empty() => (),
                Some(after) => in_variant(&before.content, &after.content, stored, &mut problems),
                None if now.variants.iter().any(|variant| variant.reads_any) => (),
                None => problems.push(Problem::Variant(&before.name)),
            }
        } else if let Some(after) = now.variants.first() {
            in_content(&before.content, &after.content, &mut problems);
        }
        found.extend(problems.into_iter().map(|problem| Difference { event: &before.event, problem }));
    }
    found
}

/// Compares the content of a variant, which the place of the variant's name may change.
fn in_variant<'f>(
    stored: &'f StoredContent,
    now: &'f StoredContent,
    StoredForm { tag, content, .. }: &StoredForm,
    problems: &mut Vec<Problem<'f>>,
) {
    let has_no_content = |content: &StoredContent| *content == StoredContent::Unit;
    if tag.is_empty() {
        // Without content the stored value is the name as a text, and otherwise an object with the name.
        let is_null = |content: &StoredContent| matches!(content, StoredContent::Value(field) if is_null(field));
        match (stored, now) {
            (StoredContent::Unknown, _) | (_, StoredContent::Unknown) => (),
            (stored, now) if has_no_content(stored) && has_no_content(now) => (),
            (stored, now) if has_no_content(stored) || (has_no_content(now) && !is_null(stored)) => {
                problems.push(Problem::Content { stored: stored.described(), now: now.described() });
            }
            (_, now) if has_no_content(now) => (),
            _ => in_content(stored, now, problems),
        }
    } else if content.is_empty() {
        // The fields are beside the tag, so a variant without content is one without fields. The fields of a newtype's
        // struct are not known.
        match (stored, now) {
            (StoredContent::Unit, StoredContent::Fields { fields, .. }) => problems.extend(missing(&[], fields)),
            (StoredContent::Fields { .. }, StoredContent::Fields { .. }) => in_content(stored, now, problems),
            _ => (),
        }
    } else if !has_no_content(stored) && !has_no_content(now) {
        in_content(stored, now, problems);
    }
}

/// Returns `true` if a stored value may be `null`.
fn is_null(field: &StoredField) -> bool {
    matches!(field.json_type(), JsonType::Null | JsonType::Option(_) | JsonType::Unknown)
}

fn in_content<'f>(stored: &'f StoredContent, now: &'f StoredContent, problems: &mut Vec<Problem<'f>>) {
    use StoredContent::{Fields, Tuple, Unit, Unknown, Value};
    let object = || JsonType::Map(Box::new(JsonType::Unknown));
    let list = || JsonType::List(Box::new(JsonType::Unknown), None);
    let is_readable = match (stored, now) {
        (Unknown, _) | (_, Unknown) | (Unit, Unit) => true,
        (Fields { fields: stored, is_open, .. }, Fields { fields, is_open: reads_more, denies_unknown }) => {
            in_fields(stored, fields, *is_open, problems);
            if *denies_unknown && !reads_more {
                let written = stored.iter().filter(|field| field.written != Written::Unwritten);
                let is_refused = |field: &&StoredField| !fields.iter().any(|now| now.is_read_as(&field.name));
                problems.extend(written.filter(is_refused).map(|field| Problem::Refused(&field.name)));
            }
            true
        }
        (Value(stored), Value(now)) => {
            problems.extend(of_type(stored, now));
            true
        }
        (Tuple(stored), Tuple(now)) => {
            let is_readable = stored.len() <= now.len() && now[stored.len()..].iter().all(|field| field.has_default);
            if is_readable {
                problems.extend(stored.iter().zip(now).filter_map(|(stored, now)| of_type(stored, now)));
            }
            is_readable
        }
        // serde reads a struct from a list as well.
        (Tuple(_), Fields { .. }) => true,
        (Fields { .. }, Value(now)) => now.json_type().reads(&object()),
        (Value(stored), Fields { .. }) => object().reads(&stored.json_type()),
        (Tuple(_), Value(now)) => now.json_type().reads(&list()),
        (Value(stored), Tuple(_)) => list().reads(&stored.json_type()),
        (Unit, Value(now)) => now.json_type().reads(&JsonType::Null),
        (Value(stored), Unit) => is_null(stored),
        (Fields { .. }, Tuple(_) | Unit) | (Tuple(_), Unit) | (Unit, Fields { .. } | Tuple(_)) => false,
    };
    if !is_readable {
        problems.push(Problem::Content { stored: stored.described(), now: now.described() });
    }
}

/// Compares named fields. The stored ones may have more than the description if it is open.
fn in_fields<'f>(stored: &'f [StoredField], now: &'f [StoredField], is_open: bool, problems: &mut Vec<Problem<'f>>) {
    let missing = missing(stored, now);
    problems.extend(missing.into_iter().filter(|_| !is_open));
    for field in now {
        let before =
            stored.iter().find(|before| before.written != Written::Unwritten && field.is_read_as(&before.name));
        problems.extend(before.and_then(|before| of_type(before, field)));
    }
}

/// Returns a problem for each field that has to be there and may be absent.
fn missing<'f>(stored: &[StoredField], now: &'f [StoredField]) -> Vec<Problem<'f>> {
    let is_there = |field: &StoredField| {
        stored.iter().any(|before| before.written == Written::Always && field.is_read_as(&before.name))
    };
    let required = now.iter().filter(|field| field.is_read() && !field.may_be_absent());
    required.filter(|field| !is_there(field)).map(|field| Problem::Missing(&field.name)).collect()
}

fn of_type<'f>(stored: &'f StoredField, now: &'f StoredField) -> Option<Problem<'f>> {
    let problem = Problem::Type { field: &now.name, stored: &stored.ty, now: &now.ty };
    (!now.reads_values_of(stored)).then_some(problem)
}

impl StoredContent {
    fn described(&self) -> &'static str {
        match self {
            StoredContent::Unknown => "an unknown form",
            StoredContent::Unit => "no content",
            StoredContent::Value(_) => "one value",
            StoredContent::Tuple(_) => "a list of values",
            StoredContent::Fields { .. } => "named fields",
        }
    }
}

#[cfg(test)]
mod tests;
