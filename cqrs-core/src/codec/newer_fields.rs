//! Fields of a stored value that this program's type ignores, because a newer program has added them.
//!
//! An older program that changes such a value keeps them. A field counts as ignored if the stored value has it and the
//! value that was read from it, written again, has not; so fields inside flattened structs and tagged enums count too.
use crate::{
    codec::{PersonalFields, decode, encode_marked, marked, plain},
    error::{Fault, causes},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;
use std::{
    any::type_name,
    collections::{BTreeMap, HashMap, HashSet},
};

/// The largest number of fields of a kind that are told apart one by one.
const FEW: usize = 64;

/// The ignored fields of a stored value.
#[derive(Debug)]
pub(crate) struct NewerFields {
    stored: Vec<u8>,
    /// The same value, written by this program's type.
    known: Vec<u8>,
}

impl NewerFields {
    /// Returns the fields of `stored` that are lost when `value`, which was read from it, is written again.
    ///
    /// Bytes that this program has written are equal, so the usual value is not parsed a second time.
    pub(crate) fn of<T: Serialize>(value: &T, stored: &[u8], personal: &PersonalFields) -> Option<Self> {
        let known = marked(serde_json::to_vec(value).ok()?, personal).ok()?;
        if known == stored || !lacks(&Tree::parse(stored)?, &Tree::parse(&known)?) {
            return None;
        }
        Some(NewerFields { stored: stored.to_vec(), known })
    }

    /// Encodes the next value, with the ignored fields of the one before.
    ///
    /// Fields of a list's elements are kept if the element is unchanged. The elements have no keys by which a changed one
    /// could be distinguished from a new one.
    ///
    /// # Errors
    /// Returns a transient [`Fault`] with the cause [`WrittenByNewerProgram`] when an element with such fields may have
    /// been changed. The newest program drops the fields instead, because they are those of a former program. Programs
    /// with the same declaration cannot be distinguished, so each of them is the newest.
    pub(crate) fn encode<T: Serialize + DeserializeOwned>(
        fields: Option<&NewerFields>,
        next: &T,
        is_newest: bool,
        personal: &PersonalFields,
    ) -> Result<Vec<u8>, Fault> {
        let bytes = encode_marked(next, personal)?;
        let Some(fields) = fields else { return Ok(bytes) };
        let trees = (Tree::parse(&fields.stored), Tree::parse(&fields.known), Tree::parse(&bytes));
        let (Some(stored), Some(known), Some(plain)) = trees else { return Ok(bytes) };
        let merged = |allowed: &dyn Fn(usize, usize) -> bool| {
            let mut merge = Merge { kinds: HashMap::new(), fields: Vec::new(), allowed, is_newest };
            let mut next = plain.clone();
            let done = merge.run(&stored, &known, &mut next);
            done.map(|()| (next.to_bytes(), merge.fields))
        };
        let refused = |error: WrittenByNewerProgram| {
            Fault::unavailable(format!("a value of `{}` cannot be changed by this program", type_name::<T>()))
                .because(error)
        };
        // A field that was read under an alias looks ignored; beside the field's own name it would be read twice.
        let ignores = |bytes: &[u8]| {
            let read = decode::<T>(bytes).ok().and_then(|value| serde_json::to_vec(&value).ok());
            let read = read.and_then(|read| marked(read, personal).ok());
            read.and_then(|read| Some(Tree::parse(&read)?.sorted() == plain.clone().sorted())).unwrap_or(false)
        };
        let (all, fields) = merged(&|_, _| true).map_err(refused)?;
        if ignores(&all) {
            return Ok(all);
        }
        let tried = |allowed: &dyn Fn(usize, usize) -> bool| merged(allowed).is_ok_and(|(bytes, _)| ignores(&bytes));
        let kinds = fields.iter().max().map_or(0, |last| last + 1);
        let ignored: Vec<bool> = (0..kinds).map(|kind| tried(&|of, _| of == kind)).collect();
        // Fields of two structs that look alike are told apart one by one, if there are few.
        let few = |kind: usize| fields.iter().filter(|of| **of == kind).count() <= FEW;
        let is_ignored =
            |(field, kind): (usize, &usize)| ignored[*kind] || few(*kind) && tried(&|_, candidate| candidate == field);
        let ignored: Vec<bool> = fields.iter().enumerate().map(is_ignored).collect();
        let (some, _) = merged(&|_, field| ignored.get(field).copied().unwrap_or(false)).map_err(refused)?;
        Ok(if ignores(&some) { some } else { bytes })
    }
}

/// Returns whether `value`, which was read from `stored`, is written in the same way: with the same fields and values. The
/// order of fields and of the elements of a list makes no difference.
pub(crate) fn is_written_as<T: Serialize>(value: &T, stored: &[u8]) -> bool {
    let (Ok(written), Ok(stored)) = (serde_json::to_vec(value), plain(stored)) else { return false };
    let stored = &*stored;
    let sorted = |bytes| Some(Tree::parse(bytes)?.sorted());
    written == stored || sorted(&written).is_some_and(|written| Some(written) == sorted(stored))
}

/// The error of a change to a list whose elements have fields that only a newer program knows.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("an element of a list has fields of a newer program, and they would be lost; the newer program can change it")]
pub(crate) struct WrittenByNewerProgram;
impl WrittenByNewerProgram {
    /// Returns whether it is the error or one of its causes.
    pub(crate) fn is_cause_of(error: &(dyn std::error::Error + 'static)) -> bool {
        causes(error).any(|cause| cause.is::<WrittenByNewerProgram>())
    }
}

/// A JSON value whose numbers and texts are kept as they are written, so that none loses digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Tree<'a> {
    Object(BTreeMap<String, Tree<'a>>),
    List(Vec<Tree<'a>>),
    Scalar(&'a str),
}
impl<'a> Tree<'a> {
    fn parse(bytes: &'a [u8]) -> Option<Self> {
        Tree::of(serde_json::from_slice::<&RawValue>(bytes).ok()?)
    }
    fn of(raw: &'a RawValue) -> Option<Self> {
        let text = raw.get();
        Some(match text.as_bytes().first()? {
            b'{' => {
                let fields = serde_json::from_str::<BTreeMap<String, &RawValue>>(text).ok()?;
                let fields = fields.into_iter().map(|(name, field)| Some((name, Tree::of(field)?)));
                Tree::Object(fields.collect::<Option<_>>()?)
            }
            b'[' => {
                let elements = serde_json::from_str::<Vec<&RawValue>>(text).ok()?;
                Tree::List(elements.into_iter().map(Tree::of).collect::<Option<_>>()?)
            }
            _ => Tree::Scalar(text),
        })
    }
    fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(&mut out);
        out
    }
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Tree::Scalar(text) => out.extend(text.as_bytes()),
            Tree::List(elements) => {
                out.push(b'[');
                for (i, element) in elements.iter().enumerate() {
                    if i > 0 {
                        out.push(b',');
                    }
                    element.write(out);
                }
                out.push(b']');
            }
            Tree::Object(fields) => {
                out.push(b'{');
                for (i, (name, field)) in fields.iter().enumerate() {
                    if i > 0 {
                        out.push(b',');
                    }
                    out.extend(serde_json::Value::from(&**name).to_string().into_bytes());
                    out.push(b':');
                    field.write(out);
                }
                out.push(b'}');
            }
        }
    }
    /// Returns the value with the elements of its lists in one order: a set may be written in any.
    fn sorted(self) -> Self {
        match self {
            Tree::Object(fields) => {
                Tree::Object(fields.into_iter().map(|(name, field)| (name, field.sorted())).collect())
            }
            Tree::List(elements) => {
                let mut elements: Vec<_> = elements.into_iter().map(Tree::sorted).collect();
                elements.sort_unstable();
                Tree::List(elements)
            }
            scalar @ Tree::Scalar(_) => scalar,
        }
    }
    /// Returns the value with these of its fields, at every depth.
    fn only(&self, names: &HashSet<&str>) -> Self {
        match self {
            Tree::Object(fields) => {
                let kept = fields.iter().filter(|(name, _)| names.contains(name.as_str()));
                Tree::Object(kept.map(|(name, field)| (name.clone(), field.only(names))).collect())
            }
            Tree::List(elements) => Tree::List(elements.iter().map(|element| element.only(names)).collect()),
            scalar @ Tree::Scalar(_) => scalar.clone(),
        }
    }
    fn add_names<'t>(&'t self, names: &mut HashSet<&'t str>) {
        match self {
            Tree::Object(fields) => fields.iter().for_each(|(name, field)| {
                names.insert(name);
                field.add_names(names);
            }),
            Tree::List(elements) => elements.iter().for_each(|element| element.add_names(names)),
            Tree::Scalar(_) => {}
        }
    }
    fn has_object(&self) -> bool {
        match self {
            Tree::Object(_) => true,
            Tree::List(elements) => elements.iter().any(Tree::has_object),
            Tree::Scalar(_) => false,
        }
    }
}

/// Returns whether `known` lacks a field that `stored` has.
fn lacks(stored: &Tree<'_>, known: &Tree<'_>) -> bool {
    match (stored, known) {
        (Tree::Object(stored), Tree::Object(known)) => {
            stored.iter().any(|(name, field)| known.get(name).is_none_or(|known| lacks(field, known)))
        }
        (Tree::List(stored), Tree::List(known)) => {
            is_shortened(stored, known)
                || origins(stored, known).iter().zip(known).any(|(stored, known)| lacks(stored, known))
        }
        _ => false,
    }
}

/// Returns whether the type has read fewer elements than are stored: elements of a set that differ in a newer field only.
fn is_shortened(stored: &[Tree<'_>], known: &[Tree<'_>]) -> bool {
    known.len() < stored.len() && stored.iter().any(Tree::has_object)
}

/// Returns for each known element the stored one from which it was read. Elements of a set may be in another order.
///
/// The list is empty if no field can be lost, or if the type has read another number of elements.
fn origins<'t, 'a>(stored: &'t [Tree<'a>], known: &[Tree<'a>]) -> Vec<&'t Tree<'a>> {
    if stored.len() != known.len() || !stored.iter().any(Tree::has_object) {
        return Vec::new();
    }
    let in_order = || stored.iter().collect::<Vec<_>>();
    if stored.iter().zip(known).all(|(stored, known)| agree(stored, known)) {
        return in_order();
    }
    let names = names(stored).intersection(&names(known)).copied().collect();
    let (mut equal, mut similar) = (places(stored.iter().cloned()), places(stored.iter().map(|e| e.only(&names))));
    let mut free = vec![true; stored.len()];
    let mut origins = Vec::new();
    for known in known {
        let take = |places: &mut HashMap<Tree<'a>, Vec<usize>>, element: &Tree<'a>| {
            let places = places.get_mut(element)?;
            std::iter::from_fn(|| places.pop()).find(|i| free[*i])
        };
        let found = take(&mut equal, known).or_else(|| take(&mut similar, &known.only(&names)));
        let agrees = |i: &usize| free[*i] && agree(&stored[*i], known);
        let Some(found) = found.or_else(|| (0..stored.len()).find(agrees)) else { return in_order() };
        free[found] = false;
        origins.push(&stored[found]);
    }
    origins
}
/// Returns the places of equal elements, the first of them last.
fn places<'a>(
    elements: impl DoubleEndedIterator<Item = Tree<'a>> + ExactSizeIterator,
) -> HashMap<Tree<'a>, Vec<usize>> {
    let mut places: HashMap<_, Vec<_>> = HashMap::new();
    elements.enumerate().rev().for_each(|(i, element)| places.entry(element).or_default().push(i));
    places
}
/// Returns the names of the fields of these elements, at every depth.
fn names<'t>(elements: &'t [Tree<'_>]) -> HashSet<&'t str> {
    let mut names = HashSet::new();
    elements.iter().for_each(|element| element.add_names(&mut names));
    names
}

/// Returns whether the fields that both have are equal.
fn agree(stored: &Tree<'_>, known: &Tree<'_>) -> bool {
    match (stored, known) {
        (Tree::Object(stored), Tree::Object(known)) => {
            known.iter().all(|(name, known)| stored.get(name).is_none_or(|stored| agree(stored, known)))
        }
        (Tree::List(stored), Tree::List(known)) => {
            stored.len() == known.len() && stored.iter().zip(known).all(|(stored, known)| agree(stored, known))
        }
        _ => stored == known,
    }
}

/// Adds the ignored fields of a stored value to the next one.
struct Merge<'f> {
    /// The number of each kind of ignored field: its name, and the names of the fields beside it that the type knows. All
    /// fields of a kind belong to one struct, so one decision holds for all elements of a list or a map.
    kinds: HashMap<(String, Vec<String>), usize>,
    /// The kind of each ignored field so far.
    fields: Vec<usize>,
    /// Returns whether a field of this kind and with this number is kept.
    allowed: &'f dyn Fn(usize, usize) -> bool,
    is_newest: bool,
}
impl Merge<'_> {
    fn run<'a>(
        &mut self,
        stored: &Tree<'a>,
        known: &Tree<'a>,
        next: &mut Tree<'a>,
    ) -> Result<(), WrittenByNewerProgram> {
        match (stored, known, next) {
            (Tree::Object(stored), Tree::Object(known), Tree::Object(next)) => {
                for (name, field) in stored {
                    match (known.get(name), next.get_mut(name)) {
                        (None, None) => {
                            let (kind, number) = (self.kind(name, known), self.fields.len());
                            self.fields.push(kind);
                            if (self.allowed)(kind, number) {
                                next.insert(name.clone(), field.clone());
                            }
                        }
                        (Some(known), Some(next)) => self.run(field, known, next)?,
                        // The next value has no such entry any more, or has a value of its own.
                        (Some(_), None) | (None, Some(_)) => (),
                    }
                }
                Ok(())
            }
            (Tree::List(stored), Tree::List(known), _) if is_shortened(stored, known) && !self.is_newest => {
                Err(WrittenByNewerProgram)
            }
            (Tree::List(stored), Tree::List(known), Tree::List(next)) => {
                self.list(&origins(stored, known), known, next)
            }
            _ => Ok(()),
        }
    }
    fn kind(&mut self, name: &str, known: &BTreeMap<String, Tree<'_>>) -> usize {
        let next = self.kinds.len();
        *self.kinds.entry((name.to_owned(), known.keys().cloned().collect())).or_insert(next)
    }
    fn list<'a>(
        &mut self,
        stored: &[&Tree<'a>],
        known: &[Tree<'a>],
        next: &mut [Tree<'a>],
    ) -> Result<(), WrittenByNewerProgram> {
        let has_fields = |i: usize| lacks(stored[i], &known[i]);
        if !(0..stored.len()).any(has_fields) {
            return Ok(());
        }
        let mut places: HashMap<&Tree<'a>, Vec<usize>> = HashMap::new();
        (0..known.len()).rev().for_each(|i| places.entry(&known[i]).or_default().push(i));
        let mut from = vec![None; next.len()];
        for (i, element) in next.iter().enumerate() {
            from[i] = places.get_mut(element).and_then(Vec::pop);
        }
        let is_any_left = places.values().flatten().any(|i| has_fields(*i));
        if is_any_left && from.contains(&None) && !self.is_newest {
            return Err(WrittenByNewerProgram);
        }
        for (element, from) in next.iter_mut().zip(from) {
            if let Some(i) = from {
                self.run(stored[i], &known[i], element)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
    struct Line {
        item: String,
        #[serde(default)]
        count: u32,
    }
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    #[serde(tag = "kind")]
    enum Payment {
        Card { number: String },
        Cash,
    }
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    struct Inner {
        city: String,
    }
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    struct Order {
        #[serde(alias = "title", default)]
        name: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
        #[serde(flatten)]
        inner: Inner,
        payment: Payment,
        #[serde(default)]
        lines: Vec<Line>,
        #[serde(default)]
        by_name: HashMap<String, Line>,
        #[serde(default)]
        set: HashSet<Line>,
    }

    /// Reads the stored value, changes it and returns the bytes that replace it.
    fn rewritten(stored: &str, is_newest: bool, change: impl FnOnce(&mut Order)) -> Result<serde_json::Value, Fault> {
        let mut order: Order = serde_json::from_str(stored).expect("the old program reads it");
        let fields = NewerFields::of(&order, stored.as_bytes(), &PersonalFields::NONE);
        change(&mut order);
        let bytes = NewerFields::encode(fields.as_ref(), &order, is_newest, &PersonalFields::NONE)?;
        assert_eq!(serde_json::from_slice::<Order>(&bytes).expect("it is read back"), order);
        Ok(serde_json::from_slice(&bytes).expect("it is JSON"))
    }
    fn json(text: &str) -> serde_json::Value {
        serde_json::from_str(text).expect("it is JSON")
    }
    const LISTS: &str = r#""lines":[],"by_name":{},"set":[]"#;

    #[test]
    fn fields_survive_in_structs_flattened_structs_tagged_enums_and_maps() {
        let stored = r#"{"name":"a","city":"seoul","zip":"0123","payment":{"kind":"Card","number":"1","till":3},
            "lines":[],"by_name":{"x":{"item":"i","count":1,"price":340282366920938463463374607431768211455}},"set":[],
            "deep":{"a":[{"b":null}]}}"#;
        let mut order: Order = serde_json::from_str(stored).expect("the old program reads it");
        let fields = NewerFields::of(&order, stored.as_bytes(), &PersonalFields::NONE);
        order.by_name.get_mut("x").expect("it is there").count = 7;
        let bytes = NewerFields::encode(fields.as_ref(), &order, false, &PersonalFields::NONE).expect("they are kept");
        let text = String::from_utf8(bytes).expect("it is text");
        let kept = [
            r#""zip":"0123""#,
            r#""till":3"#,
            r#""deep":{"a":[{"b":null}]}"#,
            // A number that a `Value` would round.
            r#"{"count":7,"item":"i","price":340282366920938463463374607431768211455}"#,
        ];
        assert!(kept.iter().all(|field| text.contains(field)), "{text}");
    }
    #[test]
    fn removed_entries_and_other_variants_stay_removed() {
        let stored = r#"{"name":"a","city":"seoul","payment":{"kind":"Cash"},
            "by_name":{"x":{"item":"i","count":1,"price":1},"y":{"item":"j","count":1,"price":2}},"lines":[],"set":[]}"#;
        let next = rewritten(stored, false, |order| drop(order.by_name.remove("y"))).expect("it is kept");
        assert_eq!(next["by_name"], json(r#"{"x":{"item":"i","count":1,"price":1}}"#));
    }
    #[test]
    fn a_value_without_ignored_fields_is_written_as_before() {
        let order = r#"{"name":"a","city":"seoul","payment":{"kind":"Cash"},"#.to_owned() + LISTS + "}";
        let read: Order = serde_json::from_str(&order).expect("it is read");
        assert!(NewerFields::of(&read, order.as_bytes(), &PersonalFields::NONE).is_none());
        // Maps and sets are written in any order, and fields with a default may be new to this program.
        let order = r#"{"city":"seoul","payment":{"kind":"Cash"},"set":[{"item":"a"},{"item":"b"},{"item":"c"}]}"#;
        let read: Order = serde_json::from_str(order).expect("it is read");
        assert!(NewerFields::of(&read, order.as_bytes(), &PersonalFields::NONE).is_none());
    }
    #[test]
    fn a_field_that_was_read_under_an_alias_is_not_kept_beside_its_new_name() {
        let stored = r#"{"title":"a","city":"seoul","payment":{"kind":"Cash"},"rank":1,"#.to_owned() + LISTS + "}";
        let next = rewritten(&stored, false, |order| order.name = "b".into()).expect("it is kept");
        assert_eq!((&next["name"], &next["rank"], next.get("title")), (&json(r#""b""#), &json("1"), None));
    }
    #[test]
    fn fields_under_an_alias_in_many_entries_are_told_apart_in_a_few_trials() {
        #[derive(Serialize, Deserialize, Clone)]
        struct Entry {
            #[serde(alias = "title")]
            name: String,
        }
        thread_local!(static READS: std::cell::Cell<usize> = const { std::cell::Cell::new(0) });
        #[derive(Serialize, Deserialize)]
        struct Entries {
            #[serde(deserialize_with = "counted")]
            entries: BTreeMap<String, Entry>,
        }
        fn counted<'d, D: serde::Deserializer<'d>>(from: D) -> Result<BTreeMap<String, Entry>, D::Error> {
            READS.with(|reads| reads.set(reads.get() + 1));
            Deserialize::deserialize(from)
        }
        let entries: Vec<_> = (0..1_000).map(|i| format!(r#""{i}":{{"title":"a","rank":{i}}}"#)).collect();
        let stored = format!(r#"{{"entries":{{{}}}}}"#, entries.join(","));
        let value: Entries = serde_json::from_str(&stored).expect("the old program reads it");
        let fields = NewerFields::of(&value, stored.as_bytes(), &PersonalFields::NONE);
        READS.with(|reads| reads.set(0));
        let bytes = NewerFields::encode(fields.as_ref(), &value, false, &PersonalFields::NONE).expect("they are kept");
        let next: serde_json::Value = serde_json::from_slice(&bytes).expect("it is JSON");
        assert_eq!(next["entries"]["7"], json(r#"{"name":"a","rank":7}"#));
        let reads = READS.with(std::cell::Cell::get);
        assert!(reads < 10, "{reads} reads of 1,000 entries");
    }
    #[test]
    fn a_field_that_is_an_alias_in_another_struct_is_kept() {
        #[derive(Serialize, Deserialize)]
        struct Renamed {
            #[serde(alias = "title")]
            name: String,
        }
        #[derive(Serialize, Deserialize)]
        struct Plain {
            name: String,
        }
        #[derive(Serialize, Deserialize)]
        struct Both {
            renamed: Renamed,
            plain: Plain,
        }
        let stored = r#"{"renamed":{"title":"a"},"plain":{"name":"b","title":"c"}}"#;
        let value: Both = serde_json::from_str(stored).expect("the old program reads it");
        let fields = NewerFields::of(&value, stored.as_bytes(), &PersonalFields::NONE);
        let bytes = NewerFields::encode(fields.as_ref(), &value, false, &PersonalFields::NONE).expect("they are kept");
        let next: serde_json::Value = serde_json::from_slice(&bytes).expect("it is JSON");
        assert_eq!(next, json(r#"{"renamed":{"name":"a"},"plain":{"name":"b","title":"c"}}"#));
    }
    #[test]
    fn a_value_that_was_absent_and_is_set_wins() {
        let stored = r#"{"name":"a","note":null,"city":"seoul","payment":{"kind":"Cash"},"#.to_owned() + LISTS + "}";
        let next = rewritten(&stored, false, |order| order.note = Some("n".into())).expect("it is kept");
        assert_eq!(next["note"], json(r#""n""#));
    }

    const WITH_LINES: &str = r#"{"name":"a","city":"seoul","payment":{"kind":"Cash"},"by_name":{},"set":[],"lines":
        [{"item":"a","count":1,"price":1},{"item":"b","count":1,"price":2},{"item":"b","count":1,"price":3}]}"#;
    fn lines(change: impl FnOnce(&mut Vec<Line>)) -> Result<String, Fault> {
        Ok(rewritten(WITH_LINES, false, |order| change(&mut order.lines))?["lines"].to_string())
    }
    #[test]
    fn fields_of_unchanged_elements_survive() {
        let (a, b, c) = (
            r#"{"count":1,"item":"a","price":1}"#,
            r#"{"count":1,"item":"b","price":2}"#,
            r#"{"count":1,"item":"b","price":3}"#,
        );
        assert_eq!(lines(|_| ()).ok(), Some(format!("[{a},{b},{c}]")));
        let new = Line { item: "d".into(), count: 4 };
        assert_eq!(
            lines(|lines| lines.push(new)).ok(),
            Some(format!(r#"[{a},{b},{c},{}]"#, r#"{"count":4,"item":"d"}"#))
        );
        assert_eq!(lines(|lines| drop(lines.remove(0))).ok(), Some(format!("[{b},{c}]")));
        assert_eq!(lines(|lines| lines.swap(0, 1)).ok(), Some(format!("[{b},{a},{c}]")));
        assert_eq!(lines(Vec::clear).ok(), Some("[]".to_owned()));
    }
    #[test]
    fn a_changed_element_with_such_fields_is_refused_except_by_the_newest_program() {
        let change = |order: &mut Order| order.lines[1].count = 9;
        let fault = rewritten(WITH_LINES, false, change).expect_err("its fields would be lost");
        assert!(fault.is_transient() && WrittenByNewerProgram::is_cause_of(&fault), "{fault}");
        let next = rewritten(WITH_LINES, true, change).expect("the newest program drops them");
        assert_eq!(next["lines"][1], json(r#"{"item":"b","count":9}"#));
        assert_eq!(next["lines"][0], json(r#"{"item":"a","count":1,"price":1}"#));
    }
    #[test]
    fn a_set_whose_elements_differ_in_newer_fields_only_is_not_shortened() {
        let stored = r#"{"name":"a","city":"s","payment":{"kind":"Cash"},"lines":[],"by_name":{},"set":
            [{"item":"a","count":1,"price":1},{"item":"a","count":1,"price":2}]}"#;
        let fault = rewritten(stored, false, |order| order.name = "b".into()).expect_err("an element would be lost");
        assert!(WrittenByNewerProgram::is_cause_of(&fault), "{fault}");
        let next = rewritten(stored, true, |order| order.name = "b".into()).expect("the newest program drops it");
        assert_eq!(next["set"].as_array().map(Vec::len), Some(1));
    }
    #[test]
    fn fields_of_a_sets_elements_survive_in_any_order() {
        // A search of the origin of each element among all others would take minutes.
        let elements: Vec<_> = (0..5_000).map(|i| format!(r#"{{"item":"{i}","count":1,"price":{i}}}"#)).collect();
        let stored = format!(
            r#"{{"name":"a","city":"s","payment":{{"kind":"Cash"}},"lines":[],"by_name":{{}},"set":[{}]}}"#,
            elements.join(",")
        );
        let next = rewritten(&stored, false, |order| order.name = "b".into()).expect("they are kept");
        let set = next["set"].as_array().expect("it is a list");
        assert!(set.iter().all(|element| element["item"].as_str() == Some(&*element["price"].to_string())));
        assert_eq!(set.len(), 5_000);
    }
}
