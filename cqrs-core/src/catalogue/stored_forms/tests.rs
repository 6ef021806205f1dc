//! The comparison of stored forms agrees with serde, and looks at the right programs.
use super::*;
use crate::{catalogue::AggregateDeclaration, view::View};
use std::borrow::Cow;

/// Writes a value of the first type, reads it as the second one, and compares the forms of both.
macro_rules! change {
    ($value:expr, { $($stored:tt)* } => { $($now:tt)* }) => {{
        let (json, stored) = {
            #[derive(Clone, Serialize, Deserialize, crate::View)]
            #[view(name = "v", key = u64)]
            #[allow(dead_code)]
            $($stored)*
            (serde_json::to_string(&$value).expect("the value is written"), V::stored_form())
        };
        #[derive(Clone, Serialize, Deserialize, crate::View)]
        #[view(name = "v", key = u64)]
        #[allow(dead_code)]
        $($now)*
        let (read, now) = (serde_json::from_str::<V>(&json).map(|_| ()), V::stored_form());
        assert!(!stored.is_unknown() && !now.is_unknown(), "{json}: an unknown form");
        (json, read.err().map(|error| error.to_string()), stored, now)
    }};
}

/// Asserts that the comparison reports each change, or none of them, and that serde agrees.
#[track_caller]
fn all<const N: usize>(readable: bool, changes: [(String, Option<String>, StoredForm, StoredForm); N]) {
    for (json, error, stored, now) in changes {
        assert_eq!(error.is_none(), readable, "serde reads {json}: {error:?}");
        let found = differences(&stored, &now);
        assert_eq!(found.is_empty(), readable, "{json}: {found:?}");
    }
}

fn s(text: &str) -> String {
    text.to_owned()
}

#[test]
fn fields_that_can_be_read_are_accepted() {
    all(
        true,
        [
            change!(V { a: 1 }, { struct V { a: u8 } } => { struct V { a: u64, #[serde(default)] b: u8, c: Option<u8> } }),
            change!(V { a: 1, b: 2 }, { struct V { a: u8, b: u8 } } => { struct V { a: Option<i64> } }),
            change!(V { a: 1 }, { struct V { a: u8 } } => { struct V { #[serde(rename = "a")] b: u8 } }),
            change!(V { a: 1 }, { struct V { a: u8 } } => { struct V { #[serde(alias = "a")] b: u8 } }),
            change!(V { a: 1 }, { struct V { a: u8 } } => { #[serde(default)] struct V { b: u8 } impl Default for V {
                fn default() -> Self { V { b: 1 } } } }),
            change!(V { a_b: 1 }, { #[serde(rename_all = "camelCase")] struct V { a_b: u8 } } =>
                { #[allow(non_snake_case)] struct V { aB: u8 } }),
            change!(V { a: 1 }, { #[serde(rename_all(serialize = "UPPERCASE"))] struct V { a: u8 } } =>
                { #[serde(rename_all(deserialize = "UPPERCASE"))] struct V { a: u8 } }),
            change!(V { a: 1 }, { struct V { a: u8 } } => { struct V { a: u8, #[serde(skip)] b: u8 } }),
            change!(V { a: 1 }, { struct V { a: u8 } } => { struct V { a: u8, #[serde(skip_deserializing)] b: u8 } }),
            change!(V { a: s("x") }, { struct V { a: String } } => { struct V { a: Cow<'static, str> } }),
            change!(V { a: 1 }, { struct V { a: u8 } } => { struct V { #[serde(with = "as_text")] a: u64 } }),
            change!(V { a: W { b: 1 } }, { struct V { #[serde(flatten)] a: W } } => { struct V { b: u8 } }),
            change!(V { b: 1 }, { struct V { b: u8 } } => { struct V { #[serde(flatten)] a: W } }),
            change!(V { b: 1 }, { struct V { b: u8 } } => { struct V(W); }),
            change!(V(W { b: 1 }), { struct V(W); } => { struct V { b: u8 } }),
            change!(V { b: 1 }, { #[serde(transparent)] struct V { b: u8 } } => { struct V(u16); }),
            change!(V(1, 2), { struct V(u8, u8); } => { struct V(u8, u8, #[serde(default)] u8); }),
            change!(V(1, 2), { struct V(u8, u8); } => { struct V { a: u8, b: u8 } }),
            change!(V(vec![s("a")]), { struct V(Vec<String>); } => { struct V(std::collections::BTreeSet<String>); }),
            change!(V { a: 1, b: 1 }, { struct V { a: u8, b: u8 } } => { #[serde(deny_unknown_fields)] struct V { a: u8, b: u8 } }),
        ],
    );
}

#[test]
fn fields_that_cannot_be_read_are_found() {
    all(
        false,
        [
            change!(V { a: 1 }, { struct V { a: u8 } } => { struct V { a: u8, b: u8 } }),
            change!(V { a: 1 }, { struct V { a: u8 } } => { struct V { b: u8 } }),
            change!(V { a: 1 }, { struct V { a: u8 } } => { #[serde(rename_all = "UPPERCASE")] struct V { a: u8 } }),
            change!(V { a: s("x") }, { struct V { a: String } } => { struct V { a: u64 } }),
            change!(V { a: 1 }, { struct V { a: u64 } } => { struct V { #[serde(default)] a: String } }),
            change!(V { a: None }, { struct V { a: Option<u8> } } => { struct V { #[serde(default)] a: u8 } }),
            change!(V { a: vec![s("x")] }, { struct V { a: Vec<String> } } => { struct V { a: Vec<u8> } }),
            change!(V { a: 1 }, { struct V { #[serde(skip_serializing, default)] a: u8 } } => { struct V { a: u8 } }),
            change!(V { a: 0 }, { struct V { #[serde(skip_serializing_if = "is_zero", default)] a: u8 } } => { struct V { a: u8 } }),
            change!(V { a: 1 }, { struct V { a: u8 } } => { struct V { a: u8, #[serde(with = "as_text")] b: Option<u64> } }),
            change!(V { a: 1, b: 1 }, { struct V { a: u8, b: u8 } } => { #[serde(deny_unknown_fields)] struct V { a: u8 } }),
            change!(V { a: 1 }, { struct V { a: u8 } } => { struct V(u8); }),
            change!(V(1), { struct V(u8); } => { struct V { a: u8 } }),
            change!(V(1, 2), { struct V(u8, u8); } => { struct V(u8, u8, Option<u8>); }),
            change!(V(1, 2), { struct V(u8, u8); } => { struct V(String); }),
            change!(V(s("a")), { struct V(String); } => { struct V(u8); }),
            change!(V, { struct V; } => { struct V { a: u8 } }),
        ],
    );
}

#[test]
fn variants_that_can_be_read_are_accepted() {
    all(
        true,
        [
            change!(V::A, { enum V { A } } => { enum V { A, B(u8) } }),
            change!(V::A { a: 1 }, { enum V { A { a: u8 } } } => { enum V { #[serde(rename = "A")] B { a: u8 } } }),
            change!(V::A { a: 1 }, { enum V { A { a: u8 } } } => { enum V { #[serde(alias = "A")] B { a: Option<u8> } } }),
            change!(V::A(W { b: 1 }), { enum V { A(W) } } => { enum V { A { b: u8 } } }),
            change!(V::A { a_b: 1 }, { #[serde(rename_all_fields = "camelCase")] enum V { A { a_b: u8 } } } =>
                { enum V { #[serde(rename_all = "camelCase")] A { a_b: u8 } } }),
            change!(V::Ab { c: 1 }, { #[serde(rename_all = "snake_case")] enum V { Ab { c: u8 } } } =>
                { enum V { #[serde(rename = "ab")] Ab { c: u8 } } }),
            change!(V::A, { #[serde(tag = "k")] enum V { A } } => { #[serde(tag = "k")] enum V { A { a: Option<u8> } } }),
            change!(V::A { a: 1 }, { #[serde(tag = "k")] enum V { A { a: u8 } } } => { #[serde(tag = "k")] enum V { A } }),
            change!(V::B, { #[serde(tag = "k")] enum V { A, B } } => { #[serde(tag = "k")] enum V { A, #[serde(other)] C } }),
            change!(V::A { a: 1 }, { #[serde(tag = "k", content = "c")] enum V { A { a: u8 } } } =>
                { #[serde(tag = "k", content = "c")] enum V { A { a: u16 }, B } }),
        ],
    );
}

#[test]
fn variants_that_cannot_be_read_are_found() {
    all(
        false,
        [
            change!(V::A, { enum V { A } } => { enum V { B } }),
            change!(V::Ab, { enum V { Ab } } => { #[serde(rename_all = "snake_case")] enum V { Ab } }),
            change!(V::A, { enum V { A } } => { enum V { #[serde(skip_deserializing)] A, B } }),
            change!(V::A, { enum V { A } } => { enum V { A { a: Option<u8> } } }),
            change!(V::A { a: 1 }, { enum V { A { a: u8 } } } => { enum V { A } }),
            change!(V::A(1), { enum V { A(u8) } } => { enum V { A(String) } }),
            change!(V::A(s("a")), { enum V { A(String) } } => { enum V { A { text: String } } }),
            change!(V::A { a: 1 }, { enum V { A { a: u8 } } } => { enum V { A { b: u8 } } }),
            change!(V::A { a: 1 }, { enum V { A { a: u8 } } } => { #[serde(tag = "k")] enum V { A { a: u8 } } }),
            change!(V::A { a: 1 }, { #[serde(tag = "k")] enum V { A { a: u8 } } } => { #[serde(tag = "l")] enum V { A { a: u8 } } }),
            change!(V::A, { #[serde(tag = "k")] enum V { A } } => { #[serde(tag = "k")] enum V { A { a: u8 } } }),
            change!(V::A { a: 1 }, { #[serde(tag = "k", content = "c")] enum V { A { a: u8 } } } =>
                { #[serde(tag = "k", content = "c")] enum V { A { a: String } } }),
        ],
    );
}

#[test]
fn forms_that_a_derive_cannot_see_are_not_compared() {
    #[derive(Clone, Serialize, Deserialize, crate::View)]
    #[view(name = "v", key = u64)]
    #[serde(untagged)]
    enum Untagged {
        A { a: u8 },
    }
    #[derive(Clone, Serialize, Deserialize, crate::View)]
    #[view(name = "v", key = u64)]
    #[serde(from = "W", into = "W")]
    struct Converted;
    impl From<W> for Converted {
        fn from(_: W) -> Self {
            Converted
        }
    }
    impl From<Converted> for W {
        fn from(_: Converted) -> Self {
            W { b: 1 }
        }
    }
    #[derive(Clone, Serialize, Deserialize, crate::View)]
    #[view(name = "v", key = u64)]
    #[stored(unchecked)]
    struct Unchecked {
        a: u8,
    }
    let known = StoredForm::of_struct("", StoredContent::fields(vec![StoredField::new("b", "u8")], false, false));
    for unknown in [Untagged::stored_form(), Converted::stored_form(), Unchecked::stored_form(), StoredForm::default()]
    {
        assert!(unknown.is_unknown());
        assert_eq!((differences(&known, &unknown), differences(&unknown, &known)), (vec![], vec![]));
    }
}

#[test]
fn a_field_accepts_the_types_that_its_author_names() {
    let (_, _, stored, now) = change!(V { a: s("1") }, { struct V { a: String } } => { struct V { #[stored(accepts(bool, std::string::String))] a: u64 } });
    assert_eq!(differences(&stored, &now), []);
    let (_, _, stored, now) =
        change!(V { a: s("1") }, { struct V { a: String } } => { struct V { #[stored(accepts(bool))] a: u64 } });
    let problem = Problem::Type { field: "a", stored: "String", now: "u64" };
    assert_eq!(differences(&stored, &now), [Difference { event: "", problem }]);
}

#[derive(Clone, Serialize, Deserialize)]
struct W {
    b: u8,
}
#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &u8) -> bool {
    *number == 0
}
/// Functions for a field, which read numbers of any type.
mod as_text {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::DeserializeOwned};
    pub(super) fn serialize<T: Serialize, S: Serializer>(value: &T, to: S) -> Result<S::Ok, S::Error> {
        value.serialize(to)
    }
    pub(super) fn deserialize<'d, T: DeserializeOwned, D: Deserializer<'d>>(from: D) -> Result<T, D::Error> {
        let value = serde_json::Value::deserialize(from)?;
        serde_json::from_value(value).map_err(serde::de::Error::custom)
    }
}

/// The programs of a service with one aggregate, whose events, state and view have the field `a` of these types.
fn program(version: u32, is_state_stored: bool, event: &str, state: &str, view: &str) -> Declaration {
    let fields = |ty| StoredContent::fields(vec![StoredField::new("a", ty)], false, false);
    let variant = StoredVariant::new("opened", "Opened", &["Opened"], fields(event));
    let events = ["opened".to_owned()].into();
    let aggregate = AggregateDeclaration { version, is_state_stored, is_mapped: false, events, unique: [].into() };
    Declaration {
        service: "bank".into(),
        aggregates: [("account".to_owned(), aggregate)].into(),
        stored_forms: StoredForms {
            events: [("account".to_owned(), StoredForm::of_enum("", "", vec![variant]))].into(),
            states: [("account".to_owned(), StoredForm::of_struct("", fields(state)))].into(),
            views: [("balance".to_owned(), StoredForm::of_struct("", fields(view)))].into(),
        },
        ..Declaration::default()
    }
}
fn found(program: &Declaration, earlier: &[Declaration]) -> Vec<StoredData> {
    compare(program, earlier).into_iter().map(|misfit| misfit.data).collect()
}
const OPENED: fn() -> StoredData = || StoredData::Event("opened".into());
const ACCOUNT: fn() -> StoredData = || StoredData::Aggregate("account".into());
const BALANCE: fn() -> StoredData = || StoredData::View("balance".into());

#[test]
fn events_states_and_views_are_compared() {
    let first = [program(1, true, "u8", "u8", "u8")];
    assert_eq!(found(&program(1, true, "u64", "u64", "u64"), &first), []);
    assert_eq!(found(&program(1, true, "bool", "u8", "u8"), &first), [OPENED()]);
    assert_eq!(found(&program(1, true, "u8", "bool", "u8"), &first), [ACCOUNT()]);
    assert_eq!(found(&program(1, true, "u8", "u8", "bool"), &first), [BALANCE()]);
    // Another version has an upcaster, and an event-sourced aggregate stores no state.
    assert_eq!(found(&program(2, true, "bool", "u8", "u8"), &first), []);
    assert_eq!(found(&program(1, false, "u8", "bool", "u8"), &first), []);
}

#[test]
fn a_program_without_descriptions_is_not_compared() {
    let old = Declaration { stored_forms: StoredForms::default(), ..program(1, true, "u8", "u8", "u8") };
    assert_eq!(found(&program(1, true, "bool", "bool", "bool"), std::slice::from_ref(&old)), []);
    assert_eq!(found(&old, &[program(1, true, "bool", "bool", "bool")]), []);
}

#[test]
fn the_forms_of_all_programs_count_until_one_is_accepted_that_contradicts() {
    let with = |view| program(1, true, "u8", "u8", view);
    // The second one reads everything, and the values of the first are still there.
    assert_eq!(found(&with("u8"), &[with("String"), with("Money")]), [BALANCE()]);
    // The second one could not read the values of the first, and was accepted, so there were none.
    assert_eq!(found(&with("u8"), &[with("String"), with("bool"), with("u16")]), []);
    assert_eq!(found(&with("u8"), &[with("u16"), with("String")]), [BALANCE()]);
    assert_eq!(found(&with("u8"), &[with("String"), with("u16"), with("String")]), [BALANCE()]);
}

#[test]
fn each_problem_says_what_to_do() {
    let problems = compare(&program(1, true, "bool", "bool", "bool"), &[program(1, true, "u8", "u8", "u8")]);
    let problems: Vec<_> = problems.into_iter().map(|misfit| misfit.problem).collect();
    let opt_out = "or write `#[stored(accepts(u8))]` on it, if it reads all stored values";
    assert_eq!(
        problems,
        [
            format!(
                "the stored events `opened` have field `a` as `u8`, and this program reads `bool`: raise the `version` of the events and write an upcaster; {opt_out}"
            ),
            format!(
                "the stored states of aggregate `account` have field `a` as `u8`, and this program reads `bool`: keep the former one, and add another field; {opt_out}"
            ),
            format!(
                "the stored values of view `balance` have field `a` as `u8`, and this program reads `bool`: give the view and its projection new names, so that they fill beside the old ones; {opt_out}"
            ),
        ]
    );
}

#[test]
fn descriptions_of_a_later_library_do_not_hide_the_rest_of_a_declaration() {
    let mut json: serde_json::Value =
        serde_json::from_str(&program(1, true, "u8", "u8", "u8").to_text()).expect("JSON");
    json["stored_forms"]["views"]["balance"] = serde_json::json!({ "variants": [{ "content": "AnotherKind" }] });
    let read: Declaration = serde_json::from_value(json).expect("the rest is read");
    assert_eq!((read.service.as_str(), read.aggregates.len()), ("bank", 1));
    assert_eq!(read.stored_forms, StoredForms::default());
    let text = program(1, true, "u8", "u8", "u8").to_text();
    assert_eq!(serde_json::from_str::<Declaration>(&text).expect("it is read"), program(1, true, "u8", "u8", "u8"));
}
