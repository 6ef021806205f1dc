//! Puts the statement together from the parts a batch has: one text per combination, so that it is prepared once.
use super::{
    horizon::{Horizon, LOCK},
    parts::{ANSWERED, PARTS, RELISTED, Sql, UNLISTED},
};
use std::{
    collections::HashMap,
    fmt::Write,
    sync::{Arc, PoisonError, RwLock},
};

/// A part of the statement; its number is its place in [`PARTS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Known,
    Seen,
    Moved,
    Begun,
    Unparked,
    Parked,
    Saved,
    Created,
    Heads,
    Replaced,
    Added,
    Given,
    Taken,
    Entries,
    Logged,
}

/// Which parts a batch has, and how much of each: two bits a part. None, one element (scalars: a fifth faster), or arrays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) struct Shape(u32);
impl Shape {
    pub(super) fn set(&mut self, part: Part, length: usize) {
        self.0 |= (length.min(2) as u32) << (2 * part as u32);
    }
    fn length(self, part: usize) -> u32 {
        self.0 >> (2 * part) & 3
    }
    fn has(self, part: Part) -> bool {
        self.length(part as usize) > 0
    }
}

/// The texts made so far. There are few: an application has few kinds of batches.
#[derive(Default)]
pub(super) struct Texts(RwLock<HashMap<Shape, Arc<str>>>);
impl Texts {
    pub(super) fn get(&self, shape: Shape, horizon: Horizon) -> Arc<str> {
        if let Some(text) = self.0.read().unwrap_or_else(PoisonError::into_inner).get(&shape) {
            return text.clone();
        }
        let text: Arc<str> = text(shape, horizon).into();
        self.0.write().unwrap_or_else(PoisonError::into_inner).entry(shape).or_insert(text).clone()
    }
}

/// Every statement that a batch can become, with all elements as arrays (`one` false) or as scalars: so that a test can
/// prepare each. What parks or unparks does little else, so of those combinations the small ones are made and a few others.
#[doc(hidden)]
pub fn every_statement(one: bool) -> impl Iterator<Item = String> {
    let shape = move |parts: u32| {
        let length = |part: u32| (parts >> part & 1) * if one { 1 } else { 2 };
        Shape((0..PARTS.len() as u32).map(|part| length(part) << (2 * part)).sum())
    };
    let parking = 1 << Part::Unparked as u32 | 1 << Part::Parked as u32;
    let made = move |parts: &u32| parts & parking == 0 || parts.count_ones() <= 4 || parts % 101 < 2;
    (1..1 << PARTS.len()).filter(made).map(move |parts| text(shape(parts), Horizon::WaitOut))
}

/// The input of a part: arrays side by side, or one line of scalars. Parameters count from `first`.
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

fn text(shape: Shape, horizon: Horizon) -> String {
    let logged = shape.has(Part::Logged);
    let mut out = match (logged, horizon) {
        (false, _) => "with g0 as materialized (select 1)".to_owned(),
        (true, Horizon::WaitOut) => format!("with g0 as materialized (select pg_advisory_xact_lock_shared({LOCK}))"),
        (true, Horizon::Serial) => format!("with g0 as materialized (select pg_advisory_xact_lock({LOCK}))"),
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
    let (mut answer, mut replaced, mut last) = (None, None, 0);
    for (number, sql) in PARTS.iter().enumerate() {
        let length = shape.length(number);
        let text = match &replaced {
            Some(_) if number == Part::Entries as usize && length > 0 => RELISTED,
            Some(_) if number == Part::Entries as usize => UNLISTED,
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
        if number == Part::Known as usize {
            answer = Some(input("u"));
        } else if number == Part::Replaced as usize {
            replaced = Some(input("w"));
        }
        first += if length > 0 { sql.columns.len() } else { 0 };
    }
    if let Some(answer) = answer {
        // After events, the answer hands their position on.
        let (pos, keep, group) = match logged {
            true => (format!("coalesce(g{last}.pos, 0)"), format!("g{last}.pos, "), format!(" group by g{last}.pos")),
            false => ("0".to_owned(), String::new(), String::new()),
        };
        last = add(ANSWERED, &[("{u}", &answer), ("{pos}", &pos), ("{keep}", &keep), ("{group}", &group)]);
    }
    let _ = write!(out, "\nselect {} from g{last}", if logged { "pos" } else { "0::bigint as pos" });
    out
}

#[cfg(test)]
mod tests {
    use super::{Part, Shape, text};
    use crate::storage::postgres::Horizon;

    #[test]
    fn a_command_on_one_aggregate_is_the_chain_lock_answer_row_log_answer() {
        let mut shape = Shape::default();
        [Part::Known, Part::Saved, Part::Logged].into_iter().for_each(|part| shape.set(part, 1));
        let text = text(shape, Horizon::WaitOut);
        let places: Vec<_> =
            ["g0 as", "g1 as", "saved as", "g2 as", "logged as", "g3 as", "answered as", "g4 as", "pos from g4"]
                .into_iter()
                .map(|what| text.find(what).unwrap_or_else(|| panic!("no {what} in {text}")))
                .collect();
        assert!(places.is_sorted(), "{text}");
        assert!(!text.contains('{') && !text.contains("unnest"), "{text}");
    }

    #[test]
    fn without_events_there_is_no_lock() {
        let mut shape = Shape::default();
        shape.set(Part::Moved, 3);
        let text = text(shape, Horizon::WaitOut);
        assert!(!text.contains("advisory") && text.contains("cardinality($1::text[])"), "{text}");
    }
}
