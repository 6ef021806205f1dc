//! Composes the statement from the parts that a batch has. Each combination has one text, so that it is prepared once.
use super::high_water_mark::{HighWaterMarkMode, LOCK};
use super::parts::{PARTS, RELISTED, RESPONDED, Sql, UNLISTED};
use std::{
    collections::HashMap,
    fmt::Write,
    sync::{Arc, PoisonError, RwLock},
};

/// A part of the statement; its number is its place in [`PARTS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BatchPart {
    Response,
    Handled,
    Moved,
    Begun,
    Unparked,
    Parked,
    Timers,
    Read,
    Saved,
    Created,
    Heads,
    Snapshots,
    Replaced,
    Added,
    Released,
    Taken,
    Entries,
    Logged,
}

/// The parts of a batch and the size of each, in two bits per part: none, one element (scalars, a fifth faster), or
/// arrays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) struct Shape(u64);
impl Shape {
    pub(super) fn set(&mut self, part: BatchPart, length: usize) {
        self.0 |= (length.min(2) as u64) << (2 * part as u64);
    }
    fn length(self, part: usize) -> u64 {
        self.0 >> (2 * part) & 3
    }
    fn has(self, part: BatchPart) -> bool {
        self.length(part as usize) > 0
    }
}

/// The texts composed so far. An application has few kinds of batches, so there are few.
#[derive(Default)]
pub(super) struct Texts(RwLock<HashMap<Shape, Arc<str>>>);
impl Texts {
    pub(super) fn get(&self, shape: Shape, high_water_mark: HighWaterMarkMode) -> Arc<str> {
        if let Some(text) = self.0.read().unwrap_or_else(PoisonError::into_inner).get(&shape) {
            return text.clone();
        }
        let text: Arc<str> = text(shape, high_water_mark).into();
        self.0.write().unwrap_or_else(PoisonError::into_inner).entry(shape).or_insert(text).clone()
    }
}

/// Returns every statement that a batch can become, so that a test can prepare each. `one` selects scalars instead of
/// arrays.
///
/// Batches that park or unpark do little else, and few batches have timers, snapshots or reads, so of those combinations only the
/// small ones and a few others are composed.
#[doc(hidden)]
pub fn every_statement(one: bool) -> impl Iterator<Item = String> {
    let shape = move |parts: u32| {
        let length = |part: u32| u64::from(parts >> part & 1) * if one { 1 } else { 2 };
        Shape((0..PARTS.len() as u32).map(|part| length(part) << (2 * part)).sum())
    };
    let rare = [BatchPart::Unparked, BatchPart::Parked, BatchPart::Timers, BatchPart::Snapshots, BatchPart::Read];
    let rare = rare.into_iter().fold(0, |rare, part| rare | 1 << part as u32);
    let made = move |parts: &u32| parts & rare == 0 || parts.count_ones() <= 4 || parts % 211 < 2;
    (1..1 << PARTS.len()).filter(made).map(move |parts| text(shape(parts), HighWaterMarkMode::WaitOut))
}

/// Returns the input of a part: parallel arrays, or one row of scalars. Parameters are numbered from `first`.
fn input(sql: &Sql, one: bool, first: usize, alias: &str) -> String {
    let values = sql.columns.iter().zip(first..);
    if one {
        let values: Vec<_> = values.map(|((name, kind), n)| format!("${n}::{kind} as {name}")).collect();
        return format!("(select {}, 1::bigint as o) {alias}", values.join(", "));
    }
    let values: Vec<_> = values.map(|((_, kind), n)| format!("${n}::{kind}[]")).collect();
    let names: Vec<_> = sql.columns.iter().map(|(name, _)| *name).collect();
    format!("unnest({}) with ordinality {alias}({}, o)", values.join(", "), names.join(", "))
}

fn text(shape: Shape, high_water_mark: HighWaterMarkMode) -> String {
    let logged = shape.has(BatchPart::Logged);
    let mut out = match (logged, high_water_mark) {
        (false, _) => "with g0 as materialized (select 1)".to_owned(),
        (true, HighWaterMarkMode::WaitOut) => {
            format!("with g0 as materialized (select pg_advisory_xact_lock_shared({LOCK}))")
        }
        (true, HighWaterMarkMode::Serial) => format!("with g0 as materialized (select pg_advisory_xact_lock({LOCK}))"),
    };
    let (mut gate, mut first) = (0, 1);
    let mut add = |text: &str, gaps: &[(&str, &str)]| {
        let (before, after) = (format!("g{gate}"), format!("g{}", gate + 1));
        let text = [("{p}", &*before), ("{g}", &*after)]
            .iter()
            .chain(gaps)
            .fold(text.to_owned(), |text, (gap, with)| text.replace(gap, with));
        let _ = write!(out, ",\n{text}");
        gate += 1;
        gate
    };
    let (mut response, mut replaced, mut last) = (None, None, 0);
    for (number, sql) in PARTS.iter().enumerate() {
        let length = shape.length(number);
        let text = match &replaced {
            Some(_) if number == BatchPart::Entries as usize && length > 0 => RELISTED,
            Some(_) if number == BatchPart::Entries as usize => UNLISTED,
            _ if length > 0 => sql.text,
            _ => continue,
        };
        let input = |alias| input(sql, length == 1, first, alias);
        let count = match length {
            1 => "1".to_owned(),
            _ => format!("cardinality(${first}::{}[])", sql.columns[0].1),
        };
        let written = replaced.as_deref().unwrap_or_default();
        last = add(text, &[("{n}", &count), ("{u}", &input("u")), ("{replaced}", written)]);
        if number == BatchPart::Response as usize {
            response = Some(input("u"));
        } else if number == BatchPart::Replaced as usize {
            replaced = Some(input("w"));
        }
        first += if length > 0 { sql.columns.len() } else { 0 };
    }
    if let Some(response) = response {
        // After events, the response passes their position on.
        let (pos, keep, group) = match logged {
            true => (format!("coalesce(g{last}.pos, 0)"), format!("g{last}.pos, "), format!(" group by g{last}.pos")),
            false => ("0".to_owned(), String::new(), String::new()),
        };
        last = add(RESPONDED, &[("{u}", &response), ("{pos}", &pos), ("{keep}", &keep), ("{group}", &group)]);
    }
    let _ = write!(out, "\nselect {} from g{last}", if logged { "pos" } else { "0::bigint as pos" });
    out
}

#[cfg(test)]
mod tests {
    use super::{BatchPart, Shape, text};
    use crate::storage::postgres::HighWaterMarkMode;

    #[test]
    fn a_command_on_one_aggregate_runs_lock_response_check_row_log_and_response_in_order() {
        let mut shape = Shape::default();
        [BatchPart::Response, BatchPart::Saved, BatchPart::Logged].into_iter().for_each(|part| shape.set(part, 1));
        let text = text(shape, HighWaterMarkMode::WaitOut);
        let places: Vec<_> =
            ["g0 as", "g1 as", "saved as", "g2 as", "logged as", "g3 as", "responded as", "g4 as", "pos from g4"]
                .into_iter()
                .map(|what| text.find(what).unwrap_or_else(|| panic!("no {what} in {text}")))
                .collect();
        assert!(places.is_sorted(), "{text}");
        assert!(!text.contains('{') && !text.contains("unnest"), "{text}");
    }

    #[test]
    fn a_batch_without_events_takes_no_lock() {
        let mut shape = Shape::default();
        shape.set(BatchPart::Moved, 3);
        let text = text(shape, HighWaterMarkMode::WaitOut);
        assert!(!text.contains("advisory") && text.contains("cardinality($1::text[])"), "{text}");
    }
}
