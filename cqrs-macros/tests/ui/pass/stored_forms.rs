//! Every form that serde gives a type is described, also beside types with the names of the description.
use cqrs_core::{Event, View};
use serde::{Deserialize, Serialize};

#[allow(dead_code)]
#[derive(Clone, Serialize, Deserialize)]
struct StoredForm;
#[allow(dead_code)]
#[derive(Clone, Serialize, Deserialize, Default)]
struct StoredField {
    inner: u8,
}

#[derive(Clone, Serialize, Deserialize, Event)]
#[event(name = "changed", version = 1)]
#[serde(rename_all = "camelCase", rename_all_fields(serialize = "UPPERCASE", deserialize = "UPPERCASE"), bound = "")]
enum Changed {
    Unit,
    Newtype(#[stored(accepts(String, Option<std::string::String>))] StoredForm),
    Tuple(u8, #[serde(skip)] u8, #[serde(default)] Vec<[u8; 4]>),
    #[serde(alias = "other", rename_all = "kebab-case")]
    Named {
        #[serde(flatten)]
        flattened: StoredField,
        #[serde(with = "functions", default = "functions::default")]
        r#type: String,
    },
    #[serde(skip)]
    Skipped(std::marker::PhantomData<u8>),
}
mod functions {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    pub fn serialize<S: Serializer>(text: &str, to: S) -> Result<S::Ok, S::Error> {
        text.serialize(to)
    }
    pub fn deserialize<'d, D: Deserializer<'d>>(from: D) -> Result<String, D::Error> {
        String::deserialize(from)
    }
    pub fn default() -> String {
        String::new()
    }
}

#[derive(Clone, Serialize, Deserialize, View)]
#[view(name = "unit", key = u64)]
struct Unit;
#[derive(Clone, Serialize, Deserialize, View)]
#[view(name = "by-hand", key = u64)]
#[stored(unchecked)]
#[serde(deny_unknown_fields)]
struct ByHand {
    /// A list of the type itself.
    inner: Vec<ByHand>,
}
#[derive(Clone, Serialize, Deserialize, View)]
#[view(name = "untagged", key = u64)]
#[serde(untagged)]
enum Untagged {
    Number(u64),
    Text { text: String },
}

fn main() {
    let names = [Changed::NAMES.len(), Unit::NAME.len(), ByHand::NAME.len(), Untagged::NAME.len()];
    assert_eq!(names, [5, 4, 7, 8]);
}
