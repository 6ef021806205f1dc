//! Personal fields: the fields of a type whose values are encrypted, and their marks in an encoded value.
//!
//! In the memory of a process an encoded value has a mark around each personal value: the subject, the value, and the
//! placeholder that is read once the subject is forgotten. The storage of the app replaces marks by ciphertext when it
//! commits, and ciphertext by marks when it reads. A value that another program has added is kept as a mark, so an
//! older program that writes it again encrypts it as well.
use crate::error::Fault;
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error as _, MapAccess, Visitor},
};
use serde_json::{Value, value::RawValue};
use std::{
    borrow::Cow,
    fmt,
    ops::Range,
    sync::atomic::{AtomicBool, Ordering},
};

/// The beginning of a mark. In a JSON text its quotation marks would be escaped.
pub(crate) const MARK: &str = r#"{"$personal":"#;
/// The beginning of an encrypted value.
pub(crate) const SEALED: &str = r#"{"$sealed":"#;

/// Is `true` once an app of this process has personal data. Without one no value has marks.
static IN_USE: AtomicBool = AtomicBool::new(false);

/// Lets the codec of this process look for marks.
pub(crate) fn use_marks() {
    IN_USE.store(true, Ordering::Relaxed);
}
fn in_use() -> bool {
    IN_USE.load(Ordering::Relaxed)
}

/// The personal fields of a type, as its derive describes them.
#[derive(Debug, Clone, Copy)]
pub struct PersonalFields {
    /// Is `true` for an enum.
    pub is_enum: bool,
    /// Serde's `tag` of an enum; empty without one.
    pub tag: &'static str,
    /// Serde's `content` of an enum; empty without one.
    pub content: &'static str,
    /// The fields.
    pub fields: &'static [PersonalField],
}

/// A personal field of a struct or of one variant of an enum.
#[derive(Debug, Clone, Copy)]
pub struct PersonalField {
    /// The stored name of the variant; empty for a struct.
    pub variant: &'static str,
    /// The stored name of the field; empty for the only field of a tuple.
    pub name: &'static str,
    /// The part of it that is personal.
    pub rule: PersonalRule,
}

/// The part of a field that is personal.
#[derive(Debug, Clone, Copy)]
pub enum PersonalRule {
    /// The whole value.
    Value {
        /// The stored name of the field beside it that holds the subject.
        subject: &'static str,
        /// Returns the JSON that is read once the subject is forgotten.
        erased: fn() -> Result<String, serde_json::Error>,
    },
    /// The personal fields of its type, also of each element of a list.
    Fields(&'static PersonalFields),
}

impl PersonalFields {
    /// The description of a type without personal fields.
    pub const NONE: PersonalFields = PersonalFields { is_enum: false, tag: "", content: "", fields: &[] };
    /// Returns whether the type has no personal fields.
    pub const fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }
    fn of<'a>(&'a self, variant: &'a str) -> impl Iterator<Item = &'a PersonalField> {
        self.fields.iter().filter(move |field| field.variant == variant)
    }
}

/// Puts marks around the personal values in the JSON of a value.
///
/// # Errors
/// Fails when a personal value has no subject, or when a field of the value has a name of the framework.
pub(crate) fn marked(bytes: Vec<u8>, fields: &PersonalFields) -> Result<Vec<u8>, Fault> {
    if !fields.is_empty() || in_use() {
        let text = std::str::from_utf8(&bytes).unwrap_or_default();
        if text.contains(MARK) || text.contains(SEALED) {
            return Err(Fault::invalid("a field of a stored value cannot have the name `$personal` or `$sealed`"));
        }
    }
    if fields.is_empty() {
        return Ok(bytes);
    }
    // A process that writes marks reads them, also a test without an app.
    use_marks();
    Ok(marked_value(serde_json::from_slice(&bytes)?, fields)?.into_bytes())
}

/// Puts a mark around a whole value, such as a stored response.
pub(crate) fn marked_whole(bytes: &[u8], subject: &str) -> Result<Vec<u8>, Fault> {
    let value = serde_json::from_slice::<&RawValue>(bytes)?;
    Ok(mark(subject, value.get(), "null")?.into_bytes())
}

fn marked_value(value: &RawValue, fields: &PersonalFields) -> Result<String, Fault> {
    let text = value.get();
    match text.as_bytes().first() {
        Some(b'[') => {
            let elements = serde_json::from_str::<Vec<&RawValue>>(text)?;
            let elements = elements.into_iter().map(|element| marked_value(element, fields));
            Ok(format!("[{}]", elements.collect::<Result<Vec<_>, _>>()?.join(",")))
        }
        Some(b'{') if fields.is_enum => marked_enum(serde_json::from_str(text)?, fields),
        Some(b'{') => marked_object(serde_json::from_str(text)?, fields, ""),
        _ => match fields.of("").find(|field| field.name.is_empty()) {
            Some(field) => marked_content(value, field),
            None => Ok(text.to_owned()),
        },
    }
}

fn marked_enum(object: Object<'_>, fields: &PersonalFields) -> Result<String, Fault> {
    if !fields.tag.is_empty() {
        let variant = object.find(fields.tag).and_then(|tag| serde_json::from_str::<String>(tag.get()).ok());
        let variant = variant.unwrap_or_default();
        return match fields.content {
            "" => marked_object(object, fields, &variant),
            content => object.written(|name, value| match name == content {
                true => marked_variant(value, fields, &variant),
                false => Ok(value.get().to_owned()),
            }),
        };
    }
    object.written(|variant, value| marked_variant(value, fields, variant))
}
fn marked_variant(value: &RawValue, fields: &PersonalFields, variant: &str) -> Result<String, Fault> {
    if let Some(field) = fields.of(variant).find(|field| field.name.is_empty()) {
        return marked_content(value, field);
    }
    match value.get().starts_with('{') {
        true => marked_object(serde_json::from_str(value.get())?, fields, variant),
        false => Ok(value.get().to_owned()),
    }
}
fn marked_object(object: Object<'_>, fields: &PersonalFields, variant: &str) -> Result<String, Fault> {
    object.written(|name, value| {
        let Some(field) = fields.of(variant).find(|field| field.name == name) else {
            return Ok(value.get().to_owned());
        };
        let PersonalRule::Value { subject, erased } = field.rule else { return marked_content(value, field) };
        let erased = erased()?;
        // A placeholder, or no value, has no subject.
        if value.get() == erased || value.get() == "null" {
            return Ok(value.get().to_owned());
        }
        let Some(subject) = object.find(subject).map(subject_in).transpose()?.flatten() else {
            return Err(Fault::invalid(format!(
                "the personal field `{name}` has a value and no subject in `{subject}`"
            )));
        };
        mark(&subject, value.get(), &erased)
    })
}
fn marked_content(value: &RawValue, field: &PersonalField) -> Result<String, Fault> {
    match field.rule {
        PersonalRule::Fields(fields) => marked_value(value, fields),
        PersonalRule::Value { .. } => Err(Fault::internal("a personal value needs a field with its subject beside it")),
    }
}

/// Returns the text of a subject: that of a JSON text or number.
pub(crate) fn subject_in(value: &RawValue) -> Result<Option<String>, Fault> {
    match value.get().as_bytes().first() {
        Some(b'"') => Ok(Some(serde_json::from_str(value.get())?).filter(|subject: &String| !subject.is_empty())),
        Some(b'0'..=b'9' | b'-') => Ok(Some(value.get().to_owned())),
        Some(b'n') => Ok(None),
        _ => Err(Fault::invalid("the subject of a personal value is a text or a number")),
    }
}

pub(crate) fn mark(subject: &str, value: &str, erased: &str) -> Result<String, Fault> {
    let subject = serde_json::to_string(subject)?;
    Ok(format!(r#"{MARK}{{"s":{subject},"v":{value},"e":{erased}}}}}"#))
}

/// A marked value.
#[derive(Deserialize)]
pub(crate) struct MarkedValue<'a> {
    #[serde(rename = "s")]
    pub(crate) subject: String,
    #[serde(rename = "v", borrow)]
    pub(crate) value: &'a RawValue,
    #[serde(rename = "e", borrow)]
    pub(crate) erased: &'a RawValue,
}

/// A mark or an encrypted value, found in a text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Found<'a> {
    pub(crate) range: Range<usize>,
    /// The name of the field that holds it; empty in a list, and for a whole value.
    pub(crate) field: &'a str,
    /// The object inside.
    pub(crate) content: &'a str,
}

/// Finds the objects that begin with `opening`: [`MARK`] or [`SEALED`].
pub(crate) fn find<'a>(text: &'a str, opening: &str) -> Result<Vec<Found<'a>>, serde_json::Error> {
    let (mut found, mut from) = (Vec::new(), 0);
    while let Some(at) = text[from..].find(opening) {
        let start = from + at;
        let inside = start + opening.len();
        let mut values = serde_json::Deserializer::from_str(&text[inside..]).into_iter::<&RawValue>();
        let content = values.next().ok_or_else(|| serde_json::Error::custom("a personal value ends too early"))??;
        let end = inside + values.byte_offset();
        if !text[end..].starts_with('}') {
            return Err(serde_json::Error::custom("a personal value has no end"));
        }
        let before = text[..start].strip_suffix(":").and_then(|before| before.strip_suffix('"'));
        let field = before.and_then(|before| Some(before.rsplit_once('"')?.1)).unwrap_or_default();
        found.push(Found { range: start..end + 1, field, content: content.get() });
        from = end + 1;
    }
    Ok(found)
}

/// Returns the text with replacements in these ranges.
pub(crate) fn replaced(text: &str, replacements: impl IntoIterator<Item = (Range<usize>, String)>) -> String {
    let (mut out, mut from) = (String::with_capacity(text.len()), 0);
    for (range, replacement) in replacements {
        out.push_str(&text[from..range.start]);
        out.push_str(&replacement);
        from = range.end;
    }
    out.push_str(&text[from..]);
    out
}

/// Decodes a value. Its personal values are read from their marks.
///
/// # Errors
/// Fails when the bytes are not of this type, or when an encrypted value is left: its key is unknown, or somebody has
/// changed it. The error quotes no personal value.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, serde_json::Error> {
    let plain = plain(bytes)?;
    let read = serde_json::from_slice::<T>(&plain);
    match plain {
        Cow::Borrowed(_) => read,
        Cow::Owned(_) => read.map_err(|error| {
            let (kind, column) = (error.classify(), error.column());
            serde_json::Error::custom(format!(
                "a value with personal fields cannot be read: {kind:?} error at {column}"
            ))
        }),
    }
}

/// Decodes a value from a JSON tree, as [`decode`] does from bytes.
///
/// # Errors
/// Fails as [`decode`] does.
pub(crate) fn decode_value<T: DeserializeOwned>(value: Value) -> Result<T, serde_json::Error> {
    if in_use() { decode(&serde_json::to_vec(&value)?) } else { serde_json::from_value(value) }
}

/// Returns the JSON without marks.
pub(crate) fn plain(bytes: &[u8]) -> Result<Cow<'_, [u8]>, serde_json::Error> {
    if !in_use() {
        return Ok(Cow::Borrowed(bytes));
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return Ok(Cow::Borrowed(bytes)) };
    if text.contains(SEALED) {
        return Err(serde_json::Error::custom(
            "a personal value cannot be decrypted: its key is in another key store, or the stored value was changed",
        ));
    }
    if !text.contains(MARK) {
        return Ok(Cow::Borrowed(bytes));
    }
    let mut values = Vec::new();
    for found in find(text, MARK)? {
        let value = serde_json::from_str::<MarkedValue<'_>>(found.content)?.value.get().to_owned();
        values.push((found.range, value));
    }
    Ok(Cow::Owned(replaced(text, values).into_bytes()))
}

/// The fields of a JSON object in their order, each as it is written.
struct Object<'a>(Vec<(String, &'a RawValue)>);
impl Object<'_> {
    fn find(&self, name: &str) -> Option<&RawValue> {
        self.0.iter().find(|(field, _)| field == name).map(|(_, value)| *value)
    }
    fn written(&self, mut value: impl FnMut(&str, &RawValue) -> Result<String, Fault>) -> Result<String, Fault> {
        let mut out = String::from("{");
        for (i, (name, field)) in self.0.iter().enumerate() {
            if i > 0 {
                out.push(',');
            }
            out.push_str(&serde_json::to_string(name)?);
            out.push(':');
            out.push_str(&value(name, field)?);
        }
        out.push('}');
        Ok(out)
    }
}
impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Vec<(String, &'de RawValue)>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(fields)
            }
        }
        from.deserialize_map(Fields).map(Object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn empty() -> Result<String, serde_json::Error> {
        Ok(r#""""#.to_owned())
    }
    const EMAIL: PersonalRule = PersonalRule::Value { subject: "user", erased: empty };
    const ADDRESS: PersonalFields = PersonalFields {
        is_enum: false,
        tag: "",
        content: "",
        fields: &[PersonalField { variant: "", name: "email", rule: EMAIL }],
    };
    const EVENT: PersonalFields = PersonalFields {
        is_enum: true,
        tag: "",
        content: "",
        fields: &[
            PersonalField { variant: "Registered", name: "email", rule: EMAIL },
            PersonalField { variant: "Moved", name: "to", rule: PersonalRule::Fields(&ADDRESS) },
            PersonalField { variant: "Copied", name: "", rule: PersonalRule::Fields(&ADDRESS) },
        ],
    };
    const TAGGED: PersonalFields = PersonalFields { tag: "kind", ..EVENT };
    const ADJACENT: PersonalFields = PersonalFields { tag: "kind", content: "of", ..EVENT };

    fn text(json: &str, fields: &PersonalFields) -> String {
        String::from_utf8(marked(json.as_bytes().to_vec(), fields).expect("it is marked")).expect("it is text")
    }

    #[test]
    fn personal_values_are_marked_wherever_they_are_and_read_again() {
        use_marks();
        let marked = r#"{"$personal":{"s":"u1","v":"a@b","e":""}}"#;
        let cases = [
            (r#"{"user":"u1","n":1.50,"email":"a@b"}"#, &ADDRESS),
            (r#"[{"user":"u1","email":"a@b"}]"#, &ADDRESS),
            (r#"{"Registered":{"email":"a@b","user":"u1"}}"#, &EVENT),
            (r#"{"Moved":{"to":[{"email":"a@b","user":"u1"}],"email":"of no one"}}"#, &EVENT),
            (r#"{"Copied":{"email":"a@b","user":"u1"}}"#, &EVENT),
            (r#"{"kind":"Registered","email":"a@b","user":"u1"}"#, &TAGGED),
            (r#"{"kind":"Registered","of":{"email":"a@b","user":"u1"}}"#, &ADJACENT),
        ];
        for (json, fields) in cases {
            let text = text(json, fields);
            assert_eq!(text, json.replace(r#""a@b""#, marked), "{json}");
            let found = find(&text, MARK).expect("they are found");
            assert_eq!(found.iter().map(|found| found.field).collect::<Vec<_>>(), ["email"], "{json}");
            assert_eq!(plain(text.as_bytes()).expect("it is read"), json.as_bytes());
        }
    }
    #[test]
    fn placeholders_and_values_of_other_variants_are_not_marked() {
        for json in [r#"{"email":""}"#, r#"{"email":null}"#, r#"{"user":null}"#, "null", r#""a@b""#] {
            assert_eq!(text(json, &ADDRESS), json);
        }
        for json in [r#""Registered""#, r#"{"Other":{"email":"a@b"}}"#, r#"{"Registered":["a@b"]}"#] {
            assert_eq!(text(json, &EVENT), json);
        }
        assert_eq!(text(r#"{"user":7,"email":[1,{"a":"}"}]}"#, &ADDRESS).matches(MARK).count(), 1);
    }
    #[test]
    fn a_value_without_a_subject_or_with_a_mark_of_its_own_is_refused() {
        for json in [
            r#"{"email":"a@b"}"#,
            r#"{"user":null,"email":"a@b"}"#,
            r#"{"user":"","email":"a@b"}"#,
            r#"{"user":["u1"],"email":"a@b"}"#,
            r#"{"user":"u1","x":{"$personal":{"s":"u2","v":1,"e":2}}}"#,
            r#"{"user":"u1","x":{"$sealed":{}}}"#,
        ] {
            let fault = marked(json.as_bytes().to_vec(), &ADDRESS).expect_err("it is refused");
            assert_eq!(fault.kind(), crate::ErrorKind::Invalid, "{json}");
            assert!(!fault.to_string().contains("a@b"), "{fault}");
        }
        // In a text the quotation marks are escaped.
        let json = r#"{"user":"u1","x":"{\"$sealed\":{}}"}"#;
        assert_eq!(text(json, &ADDRESS), json);
    }
    #[test]
    fn an_error_quotes_no_personal_value() {
        use_marks();
        let bytes = br#"{"email":{"$personal":{"s":"u1","v":"a@b","e":""}}}"#;
        let error = decode::<std::collections::BTreeMap<String, u64>>(bytes).expect_err("it is no number");
        assert!(!error.to_string().contains("a@b"), "{error}");
        let error = decode::<serde_json::Value>(br#"{"a":{"$sealed":{"k":"x"}}}"#).expect_err("it is encrypted");
        assert!(error.to_string().contains("cannot be decrypted"), "{error}");
    }
    #[test]
    fn a_whole_value_is_marked_for_one_subject() {
        use_marks();
        let bytes = marked_whole(br#"{"a":1}"#, "u1").expect("it is marked");
        assert_eq!(plain(&bytes).expect("it is read").as_ref(), br#"{"a":1}"#);
    }
}
