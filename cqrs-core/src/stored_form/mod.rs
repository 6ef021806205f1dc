//! The description of a stored form: the variants and fields of an event, a state or a view, as serde's JSON has them.
//!
//! The derives write it. A program declares it at its start, so that a later program with other fields is compared with it.
mod json_type;
mod read_names;

pub(crate) use json_type::JsonType;

use read_names::ReadNames;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// The stored form of an event, a state or a view. The default is an unknown form, which is never compared.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StoredForm {
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) is_enum: bool,
    /// The field that has the variant's name: serde's `tag`. Without one, the name is around the content.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) tag: String,
    /// The field beside the tag that has the content: serde's `content`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) content: String,
    /// The variants of an enum, or the only content of a struct. There are none if the form is unknown.
    pub(crate) variants: Vec<StoredVariant>,
}

/// One variant of an enum, or the content of a struct.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StoredVariant {
    /// The name under which the log has the event; empty for states and views.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) event: String,
    /// The name in the stored value; empty for a struct and for a variant that is never written.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) name: String,
    /// All names under which the variant is read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) read_as: Vec<String>,
    /// Is `true` if the variant is read under any name: serde's `other`.
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) reads_any: bool,
    pub(crate) content: StoredContent,
}

/// The content of a struct or a variant.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum StoredContent {
    /// Functions of the user write or read it, so it cannot be compared.
    #[default]
    Unknown,
    /// There is no content.
    Unit,
    /// The value of the only field.
    Value(StoredField),
    /// A list of the fields' values.
    Tuple(Vec<StoredField>),
    /// An object with the fields.
    Fields {
        /// The fields, without flattened ones.
        fields: Vec<StoredField>,
        /// Is `true` if there are flattened fields, which the description does not have.
        is_open: bool,
        /// Is `true` if a stored field without a counterpart is an error: serde's `deny_unknown_fields`.
        denies_unknown: bool,
    },
}

/// One field of a struct or a variant.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StoredField {
    /// The name in the stored value, or the number in a tuple.
    pub(crate) name: String,
    /// The names under which the field is read, if they are not its stored name alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) read_as: Option<Vec<String>>,
    /// The name of the type, without paths; empty if functions of the user write or read the value.
    #[serde(rename = "type", skip_serializing_if = "String::is_empty")]
    pub(crate) ty: String,
    /// Is `true` if an absent value is read as a default.
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) has_default: bool,
    #[serde(skip_serializing_if = "Written::is_always")]
    pub(crate) written: Written,
    /// Further types as which the stored values may have been written.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) accepts: Vec<String>,
}

/// The values of a field that are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Written {
    #[default]
    Always,
    /// Some are left out.
    Sometimes,
    Unwritten,
}
impl Written {
    fn is_always(&self) -> bool {
        *self == Written::Always
    }
}

impl StoredForm {
    /// Describes a struct. `event` is the stored name of the event; empty for a state or a view.
    pub fn of_struct(event: &str, content: StoredContent) -> Self {
        let variant = StoredVariant { event: event.to_owned(), content, ..StoredVariant::default() };
        StoredForm { variants: vec![variant], ..StoredForm::default() }
    }
    /// Describes an enum with serde's attributes `tag` and `content`, which are empty if they are not there.
    pub fn of_enum(tag: &str, content: &str, variants: Vec<StoredVariant>) -> Self {
        StoredForm { is_enum: true, tag: tag.to_owned(), content: content.to_owned(), variants }
    }
    /// Returns the description, or an unknown form if `Deserialize` of the type asks for other names: it is written by
    /// hand then, and a derive that sees only the fields would be wrong.
    pub(crate) fn checked<T: DeserializeOwned>(self) -> Self {
        if self.agrees_with(&ReadNames::of::<T>()) { self } else { StoredForm::default() }
    }
    fn agrees_with(&self, found: &ReadNames) -> bool {
        if self.is_enum {
            let described: Vec<_> = self.variants.iter().map(|variant| texts(&variant.read_as)).collect();
            return match found {
                // Of a value with a tag, `Deserialize` asks for names later.
                _ if !self.tag.is_empty() => true,
                ReadNames::Variants(found) => covers(found, &described),
                ReadNames::Fields(_) | ReadNames::None => false,
            };
        }
        match (self.variants.first().map(|variant| &variant.content), found) {
            (Some(StoredContent::Fields { fields, is_open: false, .. }), ReadNames::Fields(found)) => {
                let names = |field: &StoredField| field.read_as.as_ref().map_or(vec![field.name.clone()], Vec::clone);
                let described: Vec<_> = fields.iter().map(names).collect();
                covers(found, &described.iter().map(|names| texts(names)).collect::<Vec<_>>())
            }
            (Some(StoredContent::Fields { is_open: false, .. }), _) => false,
            _ => true,
        }
    }
    pub(crate) fn is_unknown(&self) -> bool {
        self.variants.is_empty()
    }
}

impl StoredVariant {
    /// Describes a variant with the event's stored name, serde's name, and the names under which it is read.
    pub fn new(event: &str, name: &str, read_as: &[&str], content: StoredContent) -> Self {
        StoredVariant {
            event: event.to_owned(),
            name: name.to_owned(),
            read_as: owned(read_as),
            reads_any: false,
            content,
        }
    }
    /// The variant is never written.
    #[must_use]
    pub fn unwritten(mut self) -> Self {
        self.name.clear();
        self
    }
    /// The variant is never read.
    #[must_use]
    pub fn unread(mut self) -> Self {
        self.read_as.clear();
        self
    }
    /// The variant is read under every unknown name.
    #[must_use]
    pub fn other(mut self) -> Self {
        self.reads_any = true;
        self
    }
}

impl StoredContent {
    /// Describes named fields.
    pub fn fields(fields: Vec<StoredField>, is_open: bool, denies_unknown: bool) -> Self {
        StoredContent::Fields { fields, is_open, denies_unknown }
    }
}

impl StoredField {
    /// Describes a field with its stored name and the compiler's name of its type.
    pub fn new(name: &str, type_name: &str) -> Self {
        StoredField { name: name.to_owned(), ty: json_type::short(type_name), ..StoredField::default() }
    }
    /// Describes a field that functions of the user write or read.
    pub fn of_unknown_type(name: &str) -> Self {
        StoredField { name: name.to_owned(), ..StoredField::default() }
    }
    /// The field is read under these names.
    #[must_use]
    pub fn read_as(mut self, names: &[&str]) -> Self {
        self.read_as = Some(owned(names));
        self
    }
    /// The field is never read.
    #[must_use]
    pub fn unread(self) -> Self {
        self.read_as(&[])
    }
    /// An absent value is read as a default.
    #[must_use]
    pub fn with_default(mut self) -> Self {
        self.has_default = true;
        self
    }
    /// Some values are left out.
    #[must_use]
    pub fn sometimes_written(mut self) -> Self {
        self.written = Written::Sometimes;
        self
    }
    /// The field is never written.
    #[must_use]
    pub fn never_written(mut self) -> Self {
        self.written = Written::Unwritten;
        self
    }
    /// The field reads values of these types as well.
    #[must_use]
    pub fn accepts(mut self, types: &[&str]) -> Self {
        self.accepts = types.iter().map(|name| json_type::short(name)).collect();
        self
    }
    pub(crate) fn is_read(&self) -> bool {
        self.read_as.as_ref().is_none_or(|names| !names.is_empty())
    }
    pub(crate) fn is_read_as(&self, name: &str) -> bool {
        match &self.read_as {
            Some(names) => names.iter().any(|known| known == name),
            None => self.name == name,
        }
    }
    /// Returns `true` if an absent field is read.
    pub(crate) fn may_be_absent(&self) -> bool {
        self.has_default || matches!(self.json_type(), JsonType::Option(_))
    }
    pub(crate) fn json_type(&self) -> JsonType {
        JsonType::of(&self.ty)
    }
    /// Returns `true` if the type reads the values that were written as `stored`, as far as the names of both types show.
    pub(crate) fn reads_values_of(&self, stored: &StoredField) -> bool {
        self.accepts.contains(&stored.ty) || self.json_type().reads(&stored.json_type())
    }
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}
fn texts(names: &[String]) -> Vec<&str> {
    names.iter().map(String::as_str).collect()
}
/// Returns `true` if each name that was found is described, and one name of each description was found.
fn covers(found: &[&str], described: &[Vec<&str>]) -> bool {
    let is_described = |name: &&str| described.iter().any(|names| names.contains(name));
    let is_found = |names: &Vec<&str>| names.is_empty() || names.iter().any(|name| found.contains(name));
    found.iter().all(is_described) && described.iter().all(is_found)
}
#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(flag: &bool) -> bool {
    !flag
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::View;

    #[test]
    fn a_type_whose_deserialize_asks_for_other_names_is_unknown() {
        #[derive(Clone, Serialize, Deserialize, crate::View)]
        #[view(name = "derived", key = u64)]
        struct Derived {
            #[serde(alias = "d", default)]
            a: u8,
            #[serde(skip_deserializing)]
            b: u8,
        }
        #[derive(Clone, Serialize, crate::View)]
        #[view(name = "by-hand", key = u64)]
        struct ByHand {
            c: u8,
        }
        impl<'d> Deserialize<'d> for ByHand {
            fn deserialize<D: serde::Deserializer<'d>>(from: D) -> Result<Self, D::Error> {
                Derived::deserialize(from).map(|derived| ByHand { c: derived.a + derived.b })
            }
        }
        #[derive(Clone, Serialize, Deserialize, crate::View)]
        #[view(name = "variants", key = u64)]
        enum Variants {
            #[serde(alias = "B", rename = "C")]
            A,
            #[serde(skip_deserializing)]
            #[expect(dead_code, reason = "only its description is tested")]
            D(u8),
        }
        assert!(!Derived::stored_form().is_unknown() && !Variants::stored_form().is_unknown());
        assert_eq!(Derived::stored_form().checked::<Derived>(), Derived::stored_form());
        assert_eq!(Variants::stored_form().checked::<Variants>(), Variants::stored_form());
        assert!(!ByHand::stored_form().is_unknown() && ByHand::stored_form().checked::<ByHand>().is_unknown());
        assert!(Variants::stored_form().checked::<Derived>().is_unknown());
        assert!(Derived::stored_form().checked::<(u8, u8)>().is_unknown());
    }

    #[test]
    fn a_description_is_read_back_from_its_json() {
        let field =
            StoredField::new("a", "alloc::string::String").read_as(&["a", "b"]).with_default().accepts(&["u64"]);
        let content = StoredContent::fields(vec![field.sometimes_written(), StoredField::new("c", "u8")], true, false);
        let variants = vec![
            StoredVariant::new("x.a", "A", &["A"], content),
            StoredVariant::new("x.b", "B", &["B", "C"], StoredContent::Tuple(vec![])).other(),
            StoredVariant::new("x.d", "D", &["D"], StoredContent::Unit).unwritten(),
        ];
        let form = StoredForm::of_enum("kind", "", variants);
        let json = serde_json::to_string(&form).expect("it is written");
        assert_eq!(serde_json::from_str::<StoredForm>(&json).expect("it is read"), form, "{json}");
        // A field of a later version is ignored.
        let later: StoredField = serde_json::from_str(r#"{"name":"a","type":"u8","later":1}"#).expect("it is read");
        assert_eq!(later, StoredField::new("a", "u8"));
    }
}
