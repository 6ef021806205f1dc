//! The stored form of values: JSON that is checked to be readable again before it is stored.
mod newer_fields;
mod personal_fields;

pub(crate) use newer_fields::{NewerFields, WrittenByNewerProgram, is_written_as};
pub(crate) use personal_fields::{
    MARK, MarkedValue, SEALED, decode, decode_value, find, mark, marked, marked_whole, plain, replaced, subject_in,
    use_marks,
};
pub use personal_fields::{PersonalField, PersonalFields, PersonalRule};

use crate::error::Fault;
use serde::{
    Serialize, Serializer,
    de::DeserializeOwned,
    ser::{
        Error as _, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
        SerializeTupleStruct, SerializeTupleVariant,
    },
};
use std::{any::type_name, fmt};

/// Encodes a value as [`encode`] does, with a mark around each personal value.
///
/// # Errors
/// Fails as [`encode`] does, and when a personal value has no subject.
pub(crate) fn encode_marked<T: Serialize + DeserializeOwned>(
    value: &T,
    fields: &PersonalFields,
) -> Result<Vec<u8>, Fault> {
    marked(encode(value)?, fields)
}

/// Encodes a value, and decodes it again. A stored value that cannot be read would block its stream, view or
/// idempotency key for ever, and the decoding costs little beside a commit.
///
/// # Errors
/// Returns a [`Fault`] when the value holds a number that is not finite, which JSON cannot express
/// ([`ErrorKind::Invalid`](crate::ErrorKind::Invalid)), or when its type does not read what it writes.
pub(crate) fn encode<T: Serialize + DeserializeOwned>(value: &T) -> Result<Vec<u8>, Fault> {
    let name = type_name::<T>();
    let bytes = serde_json::to_vec(value)
        .map_err(|error| Fault::internal(format!("a value of `{name}` has no JSON form")).because(error))?;
    // serde_json writes such a number as `null`.
    if bytes.windows(4).any(|four| four == b"null") && value.serialize(OnlyFinite).is_err() {
        return Err(Fault::invalid(format!("a value of `{name}` holds a number that is not finite")));
    }
    match serde_json::from_slice::<T>(&bytes) {
        Ok(_) => Ok(bytes),
        // The error's own text may quote the value.
        Err(error) => Err(Fault::internal(format!(
            "a value of `{name}` cannot be read back from its JSON form ({:?} error at column {}); it is not stored",
            error.classify(),
            error.column()
        ))),
    }
}

/// A serializer that writes nothing and fails at a number that is not finite.
#[derive(Clone, Copy)]
struct OnlyFinite;

type Checked = Result<(), serde_json::Error>;

macro_rules! accept {
    ($($method:ident: $type:ty),*) => {$(
        fn $method(self, _: $type) -> Checked {
            Ok(())
        }
    )*};
}
impl Serializer for OnlyFinite {
    type Ok = ();
    type Error = serde_json::Error;
    type SerializeSeq = Self;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Self;
    type SerializeTupleVariant = Self;
    type SerializeMap = Self;
    type SerializeStruct = Self;
    type SerializeStructVariant = Self;

    accept!(
        serialize_bool: bool, serialize_char: char, serialize_str: &str, serialize_bytes: &[u8],
        serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64, serialize_i128: i128,
        serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64, serialize_u128: u128,
        serialize_unit_struct: &'static str
    );
    fn serialize_f32(self, number: f32) -> Checked {
        self.serialize_f64(number.into())
    }
    fn serialize_f64(self, number: f64) -> Checked {
        if number.is_finite() { Ok(()) } else { Err(serde_json::Error::custom("not finite")) }
    }
    fn serialize_none(self) -> Checked {
        Ok(())
    }
    fn serialize_unit(self) -> Checked {
        Ok(())
    }
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Checked {
        value.serialize(self)
    }
    fn serialize_unit_variant(self, _: &'static str, _: u32, _: &'static str) -> Checked {
        Ok(())
    }
    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Checked {
        value.serialize(self)
    }
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        value: &T,
    ) -> Checked {
        value.serialize(self)
    }
    fn serialize_seq(self, _: Option<usize>) -> Result<Self, serde_json::Error> {
        Ok(self)
    }
    fn serialize_tuple(self, _: usize) -> Result<Self, serde_json::Error> {
        Ok(self)
    }
    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self, serde_json::Error> {
        Ok(self)
    }
    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self, serde_json::Error> {
        Ok(self)
    }
    fn serialize_map(self, _: Option<usize>) -> Result<Self, serde_json::Error> {
        Ok(self)
    }
    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self, serde_json::Error> {
        Ok(self)
    }
    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self, serde_json::Error> {
        Ok(self)
    }
    fn collect_str<T: fmt::Display + ?Sized>(self, _: &T) -> Checked {
        Ok(())
    }
}
/// Implements the traits for the parts of a compound value: each part is checked.
macro_rules! parts {
    ($($compound:ident $method:ident($($key:ty)?)),*) => {$(
        impl $compound for OnlyFinite {
            type Ok = ();
            type Error = serde_json::Error;
            fn $method<T: Serialize + ?Sized>(&mut self, $(_: $key,)? value: &T) -> Checked {
                value.serialize(*self)
            }
            fn end(self) -> Checked {
                Ok(())
            }
        }
    )*};
}
parts!(
    SerializeSeq serialize_element(),
    SerializeTuple serialize_element(),
    SerializeTupleStruct serialize_field(),
    SerializeTupleVariant serialize_field(),
    SerializeStruct serialize_field(&'static str),
    SerializeStructVariant serialize_field(&'static str)
);
impl SerializeMap for OnlyFinite {
    type Ok = ();
    type Error = serde_json::Error;
    fn serialize_key<T: Serialize + ?Sized>(&mut self, _: &T) -> Checked {
        Ok(())
    }
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Checked {
        value.serialize(*self)
    }
    fn end(self) -> Checked {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::encode;
    use crate::ErrorKind;
    use proptest::prelude::*;
    use serde::{Deserialize, Serialize};
    use std::{collections::BTreeMap, fmt::Debug};

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    enum Shape {
        Unit,
        New(Option<f64>),
        Tuple(u8, f32),
        Struct { note: Option<String>, numbers: Vec<f64>, by_name: BTreeMap<String, (f64, Option<u8>)> },
    }
    fn kind<T: Serialize + serde::de::DeserializeOwned>(value: &T) -> Result<(), ErrorKind> {
        encode(value).map(drop).map_err(|fault| fault.kind())
    }
    fn with(numbers: Vec<f64>, by_name: f64) -> Shape {
        let by_name = BTreeMap::from([("a".into(), (0.5, None)), ("b".into(), (by_name, Some(1)))]);
        Shape::Struct { note: None, numbers, by_name }
    }

    #[test]
    fn a_number_that_is_not_finite_is_refused_wherever_it_is() {
        for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(kind(&number), Err(ErrorKind::Invalid));
            assert_eq!(kind(&Some(number)), Err(ErrorKind::Invalid));
            assert_eq!(kind(&Shape::New(Some(number))), Err(ErrorKind::Invalid));
            assert_eq!(kind(&Shape::Tuple(1, number as f32)), Err(ErrorKind::Invalid));
            assert_eq!(kind(&with(vec![1.0, number], 1.0)), Err(ErrorKind::Invalid));
            assert_eq!(kind(&with(vec![], number)), Err(ErrorKind::Invalid));
        }
    }
    #[test]
    fn values_with_null_are_accepted() {
        let text = Some("null".to_owned());
        for shape in [Shape::Unit, Shape::New(None), with(vec![1.0], 2.0), Shape::New(Some(f64::MIN_POSITIVE))] {
            assert_eq!(kind(&shape), Ok(()), "{shape:?}");
        }
        assert_eq!((kind(&()), kind(&text), kind(&None::<f64>), kind(&u128::MAX)), (Ok(()), Ok(()), Ok(()), Ok(())));
    }
    #[test]
    fn a_type_that_does_not_read_what_it_writes_is_refused_without_a_quote_of_the_value() {
        #[derive(Serialize, Deserialize)]
        struct Skips {
            #[serde(skip_serializing_if = "String::is_empty")]
            name: String,
        }
        #[derive(Serialize, Deserialize)]
        struct Nested(Vec<Nested>);
        assert_eq!(kind(&Skips { name: "kim".into() }), Ok(()));
        assert_eq!(kind(&Skips { name: String::new() }), Err(ErrorKind::Internal));
        let deep = (0..200).fold(Nested(vec![]), |inner, _| Nested(vec![inner]));
        let fault = encode(&deep).unwrap_err();
        assert!(fault.to_string().contains("cannot be read back"), "{fault}");
    }
    fn read_back<T: Serialize + serde::de::DeserializeOwned + PartialEq + Debug>(value: &T) -> bool {
        serde_json::from_slice::<T>(&encode(value).unwrap()).unwrap() == *value
    }
    #[test]
    fn the_largest_and_oldest_values_are_read_back() {
        assert!(read_back(&[(1u64 << 53) + 1, u64::MAX]));
        for year in [-1, 10_000] {
            let date = chrono::NaiveDate::from_ymd_opt(year, 2, 3).unwrap();
            assert!(read_back(&date.and_hms_micro_opt(4, 5, 6, 7).unwrap().and_utc()));
        }
    }
    proptest! {
        #[test]
        fn finite_numbers_are_read_back_exactly(number in any::<f64>(), small in any::<f32>()) {
            prop_assert!(read_back(&(number, small, 632.0 / 7.0)));
        }
    }
}
