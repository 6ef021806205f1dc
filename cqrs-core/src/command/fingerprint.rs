//! The fingerprint of a command's content: equal for two requests that mean the same.
//!
//! It does not depend on the order of map entries, struct fields and sequence elements, because hash maps and hash sets
//! have none. A field with the default value of its kind (`None`, `false`, 0, an empty text or collection) counts as
//! absent, so that a program with a new field accepts the repetition of a request from before.
use crate::{error::Fault, personal::HashKey};
use serde::{
    Serialize, Serializer,
    ser::{
        SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple, SerializeTupleStruct,
        SerializeTupleVariant,
    },
};

/// Returns the fingerprint of a command: the first eight bytes of a SHA-256.
pub(super) fn fingerprint<T: Serialize>(name: &str, request: &T) -> Result<i64, Fault> {
    let form = request
        .serialize(Canonical)
        .map_err(|error| Fault::internal("the command has no fingerprint for its idempotency key").because(error))?;
    let hash: [u8; 32] = super::idempotency::digest(&[name.as_bytes(), &form.bytes]);
    Ok(i64::from_be_bytes(hash[..8].try_into().unwrap_or_default()))
}

/// Returns the fingerprint of a command with personal values: a keyed hash, from which they cannot be guessed.
pub(super) fn keyed_fingerprint<T: Serialize>(name: &str, request: &T, key: &HashKey) -> Result<i64, Fault> {
    let form = request
        .serialize(Canonical)
        .map_err(|error| Fault::internal("the command has no fingerprint for its idempotency key").because(error))?;
    let hash = key.hash(name, &form.bytes);
    Ok(i64::from_be_bytes(hash[..8].try_into().unwrap_or_default()))
}

/// The canonical bytes of a value.
struct Form {
    bytes: Vec<u8>,
    /// The value is the default of its kind.
    is_default: bool,
}
impl Form {
    /// Makes a form of a kind and its parts. The length precedes each part, so that no two lists have the same bytes.
    fn new<'a>(kind: u8, parts: impl IntoIterator<Item = &'a [u8]>, is_default: bool) -> Self {
        let mut bytes = vec![kind];
        for part in parts {
            bytes.extend((part.len() as u64).to_be_bytes());
            bytes.extend(part);
        }
        Form { bytes, is_default }
    }
    fn number(text: &str) -> Self {
        Form::new(b'n', [text.as_bytes()], text == "0" || text == "-0")
    }
    /// Makes the form of an enum's variant. It is never a default: its name carries content.
    fn variant(name: &str, content: &Form) -> Self {
        Form::new(b'v', [name.as_bytes(), &content.bytes], false)
    }
}

/// A serializer that makes canonical forms.
struct Canonical;

type Error = serde_json::Error;
type Made = Result<Form, Error>;

/// The parts of a compound value so far.
struct Parts {
    kind: Kind,
    variant: Option<&'static str>,
    key: Vec<u8>,
    parts: Vec<Vec<u8>>,
    all_default: bool,
}
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    /// A vector or a set.
    Sequence,
    Tuple,
    /// A map. Each part is a key with its value.
    Map,
    /// A struct: as a map, without the fields that have their default.
    Fields,
}
impl Parts {
    fn new(kind: Kind, variant: Option<&'static str>) -> Self {
        Parts { kind, variant, key: Vec::new(), parts: Vec::new(), all_default: true }
    }
    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        let form = value.serialize(Canonical)?;
        self.all_default &= form.is_default;
        self.parts.push(form.bytes);
        Ok(())
    }
    fn field<T: Serialize + ?Sized>(&mut self, key: &[u8], value: &T) -> Result<(), Error> {
        let form = value.serialize(Canonical)?;
        if self.kind == Kind::Map || !form.is_default {
            self.parts.push(Form::new(b'f', [key, &form.bytes], false).bytes);
        }
        Ok(())
    }
    fn finish(mut self) -> Form {
        if self.kind != Kind::Tuple {
            self.parts.sort_unstable();
        }
        let (kind, is_default) = match self.kind {
            Kind::Sequence => (b'a', self.parts.is_empty()),
            Kind::Tuple => (b't', self.all_default),
            Kind::Map | Kind::Fields => (b'o', self.parts.is_empty()),
        };
        let form = Form::new(kind, self.parts.iter().map(Vec::as_slice), is_default);
        match self.variant {
            Some(name) => Form::variant(name, &form),
            None => form,
        }
    }
}

macro_rules! numbers {
    ($($method:ident: $type:ty),*) => {$(
        fn $method(self, number: $type) -> Made {
            Ok(Form::number(&number.to_string()))
        }
    )*};
}
impl Serializer for Canonical {
    type Ok = Form;
    type Error = Error;
    type SerializeSeq = Parts;
    type SerializeTuple = Parts;
    type SerializeTupleStruct = Parts;
    type SerializeTupleVariant = Parts;
    type SerializeMap = Parts;
    type SerializeStruct = Parts;
    type SerializeStructVariant = Parts;

    numbers!(
        serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64, serialize_i128: i128,
        serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64, serialize_u128: u128,
        serialize_f32: f32, serialize_f64: f64
    );
    fn serialize_bool(self, value: bool) -> Made {
        Ok(Form::new(b'b', [[u8::from(value)].as_slice()], !value))
    }
    fn serialize_char(self, value: char) -> Made {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }
    fn serialize_str(self, text: &str) -> Made {
        Ok(Form::new(b's', [text.as_bytes()], text.is_empty()))
    }
    fn serialize_bytes(self, bytes: &[u8]) -> Made {
        Ok(Form::new(b'y', [bytes], bytes.is_empty()))
    }
    fn serialize_none(self) -> Made {
        self.serialize_unit()
    }
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Made {
        value.serialize(self)
    }
    fn serialize_unit(self) -> Made {
        Ok(Form::new(b'0', [], true))
    }
    fn serialize_unit_struct(self, _: &'static str) -> Made {
        self.serialize_unit()
    }
    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Made {
        Ok(Form::variant(variant, &Form::new(b'0', [], true)))
    }
    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Made {
        value.serialize(self)
    }
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Made {
        Ok(Form::variant(variant, &value.serialize(self)?))
    }
    fn serialize_seq(self, _: Option<usize>) -> Result<Parts, Error> {
        Ok(Parts::new(Kind::Sequence, None))
    }
    fn serialize_tuple(self, _: usize) -> Result<Parts, Error> {
        Ok(Parts::new(Kind::Tuple, None))
    }
    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Parts, Error> {
        Ok(Parts::new(Kind::Tuple, None))
    }
    fn serialize_tuple_variant(self, _: &'static str, _: u32, variant: &'static str, _: usize) -> Result<Parts, Error> {
        Ok(Parts::new(Kind::Tuple, Some(variant)))
    }
    fn serialize_map(self, length: Option<usize>) -> Result<Parts, Error> {
        // A struct with a flattened field is written as a map of unknown length.
        Ok(Parts::new(if length.is_some() { Kind::Map } else { Kind::Fields }, None))
    }
    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Parts, Error> {
        Ok(Parts::new(Kind::Fields, None))
    }
    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Parts, Error> {
        Ok(Parts::new(Kind::Fields, Some(variant)))
    }
}
macro_rules! elements {
    ($($compound:ident $method:ident),*) => {$(
        impl $compound for Parts {
            type Ok = Form;
            type Error = Error;
            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
                self.element(value)
            }
            fn end(self) -> Made {
                Ok(self.finish())
            }
        }
    )*};
}
elements!(
    SerializeSeq serialize_element,
    SerializeTuple serialize_element,
    SerializeTupleStruct serialize_field,
    SerializeTupleVariant serialize_field
);
macro_rules! fields {
    ($($compound:ident),*) => {$(
        impl $compound for Parts {
            type Ok = Form;
            type Error = Error;
            fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), Error> {
                // As a map writes it, so that a flattened field has the same form.
                let key = name.serialize(Canonical)?;
                self.field(&key.bytes, value)
            }
            fn end(self) -> Made {
                Ok(self.finish())
            }
        }
    )*};
}
fields!(SerializeStruct, SerializeStructVariant);
impl SerializeMap for Parts {
    type Ok = Form;
    type Error = Error;
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Error> {
        self.key = key.serialize(Canonical)?.bytes;
        Ok(())
    }
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        let key = std::mem::take(&mut self.key);
        self.field(&key, value)
    }
    fn end(self) -> Made {
        Ok(self.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::fingerprint;
    use serde::{Deserialize, Serialize};
    use std::collections::{HashMap, HashSet};

    fn of(request: &impl Serialize) -> i64 {
        fingerprint("Act", request).unwrap()
    }
    #[derive(Clone, Debug, Serialize, Deserialize)]
    enum Action {
        None,
        Deposit(u64),
        Withdraw(u64),
        Move { to: Option<String> },
        Pair(u8, u8),
    }

    #[test]
    fn the_order_of_maps_sets_and_fields_makes_no_difference() {
        let pairs: Vec<(String, u32)> = (0..50).map(|n| (format!("key {n}"), n)).collect();
        let map = |pairs: &[(String, u32)]| pairs.iter().cloned().collect::<HashMap<_, _>>();
        let set = |pairs: &[(String, u32)]| pairs.iter().map(|pair| pair.1).collect::<HashSet<_>>();
        let first = of(&(map(&pairs), set(&pairs)));
        for _ in 0..20 {
            assert_eq!(of(&(map(&pairs), set(&pairs))), first);
        }
        assert_ne!(of(&(map(&pairs[1..]), set(&pairs))), first);
        assert_ne!(of(&(map(&pairs), set(&pairs[1..]))), first);

        #[derive(Serialize)]
        struct One {
            a: u8,
            b: &'static str,
        }
        #[derive(Serialize)]
        struct Other {
            b: &'static str,
            a: u64,
        }
        assert_eq!(of(&One { a: 1, b: "x" }), of(&Other { b: "x", a: 1 }));
    }
    #[test]
    fn a_new_field_with_a_default_makes_no_difference() {
        #[derive(Serialize)]
        struct Before {
            amount: u64,
        }
        #[derive(Serialize)]
        struct After {
            amount: u64,
            note: Option<String>,
            urgent: bool,
            tags: Vec<String>,
            nested: Nested,
        }
        #[derive(Default, Serialize)]
        struct Nested {
            count: i32,
            text: String,
        }
        let after = |note: Option<&str>, urgent, count| After {
            amount: 5,
            note: note.map(str::to_owned),
            urgent,
            tags: vec![],
            nested: Nested { count, ..Nested::default() },
        };
        let before = of(&Before { amount: 5 });
        assert_eq!(of(&after(None, false, 0)), before);
        for other in [after(Some("x"), false, 0), after(None, true, 0), after(None, false, 1)] {
            assert_ne!(of(&other), before);
        }
        assert_ne!(of(&Before { amount: 6 }), before);

        #[derive(Serialize)]
        struct Flat {
            #[serde(flatten)]
            before: Before,
            note: Option<String>,
        }
        assert_eq!(of(&Flat { before: Before { amount: 5 }, note: None }), before);
        let map = |pairs: &[(&'static str, u32)]| of(&pairs.iter().copied().collect::<HashMap<_, _>>());
        assert_ne!(map(&[("a", 0), ("b", 1)]), map(&[("b", 1)]), "an entry of a map is content, whatever its value");
    }
    #[test]
    fn different_contents_have_different_fingerprints() {
        let to = |to: &str| Action::Move { to: Some(to.into()) };
        let all = [
            Action::None,
            Action::Deposit(0),
            Action::Withdraw(0),
            Action::Withdraw(1),
            Action::Move { to: None },
            to("a"),
            to("b"),
            Action::Pair(0, 1),
            Action::Pair(1, 0),
        ];
        let distinct: HashSet<i64> = all.iter().map(of).collect();
        assert_eq!(distinct.len(), all.len());
        assert_ne!(of(&["ab", "c"]), of(&["a", "bc"]));
        assert_ne!(fingerprint("Act", &1).unwrap(), fingerprint("Other", &1).unwrap());
    }
}
