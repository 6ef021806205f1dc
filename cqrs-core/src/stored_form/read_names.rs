//! The names of the fields or variants that a type's `Deserialize` asks for.
use serde::{
    Deserializer,
    de::{DeserializeOwned, Error, Visitor},
    forward_to_deserialize_any,
};
use std::fmt;

/// The first call of a `Deserialize`, as far as it shows names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ReadNames {
    /// The fields of a struct, with their aliases.
    Fields(&'static [&'static str]),
    /// The variants of an enum, with their aliases.
    Variants(&'static [&'static str]),
    /// A call without names.
    None,
}
impl ReadNames {
    pub(super) fn of<T: DeserializeOwned>() -> Self {
        match T::deserialize(Asked) {
            Err(Answer(names)) => names,
            Ok(_) => ReadNames::None,
        }
    }
}

/// A deserializer that has no value and returns the names as its error.
struct Asked;
#[derive(Debug)]
struct Answer(ReadNames);
impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("there is no value to read")
    }
}
impl std::error::Error for Answer {}
impl Error for Answer {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Answer(ReadNames::None)
    }
}
impl<'de> Deserializer<'de> for Asked {
    type Error = Answer;
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Answer> {
        Err(Answer(ReadNames::Fields(fields)))
    }
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Answer> {
        Err(Answer(ReadNames::Variants(variants)))
    }
    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Answer> {
        Err(Answer(ReadNames::None))
    }
    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[test]
    fn names_of_fields_and_variants_are_read() {
        #[derive(Deserialize)]
        #[allow(dead_code, reason = "it is never read from a value")]
        struct Fields {
            #[serde(alias = "b")]
            a: u8,
            #[serde(skip)]
            c: u8,
        }
        #[derive(Deserialize)]
        enum Variants {
            A,
            #[serde(rename = "x")]
            B,
        }
        assert_eq!(ReadNames::of::<Fields>(), ReadNames::Fields(&["a", "b"]));
        assert_eq!(ReadNames::of::<Variants>(), ReadNames::Variants(&["A", "x"]));
        assert_eq!(ReadNames::of::<(u8, u8)>(), ReadNames::None);
    }
}
