//! The JSON that serde writes for a type, as far as the type's name shows it.

/// The kind of JSON value that serde writes for a type of the standard library. Any other type is unknown: a type of the
/// user may be written as anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum JsonType {
    Unknown,
    Null,
    Bool,
    Integer,
    Float,
    Text,
    Option(Box<JsonType>),
    /// A list of values, with its length if the type has a fixed one.
    List(Box<JsonType>, Option<String>),
    Tuple(Vec<JsonType>),
    /// An object with these values.
    Map(Box<JsonType>),
}

impl JsonType {
    /// Returns the kind of JSON for the name of a type.
    pub(crate) fn of(name: &str) -> Self {
        JsonType::from(&Name::parse(name))
    }
    /// Returns `false` if values of this type cannot be read from stored values of the other type. What depends on the
    /// stored value, such as a smaller integer, is accepted; except for `null`, which an `Option` is likely to have stored.
    pub(crate) fn reads(&self, stored: &JsonType) -> bool {
        use JsonType::{Bool, Float, Integer, List, Map, Null, Option, Text, Tuple, Unknown};
        match (stored, self) {
            (Unknown, _) | (_, Unknown) => true,
            (Null, Option(_)) => true,
            (Option(stored), Option(now)) => now.reads(stored),
            (stored, Option(now)) => now.reads(stored),
            (Null, Null) | (Bool, Bool) | (Text, Text) | (Integer | Float, Float) | (Integer, Integer) => true,
            (List(stored, a), List(now, b)) => (a.is_none() || b.is_none() || a == b) && now.reads(stored),
            (Tuple(stored), Tuple(now)) => {
                stored.len() == now.len() && stored.iter().zip(now).all(|(stored, now)| now.reads(stored))
            }
            (List(..), Tuple(_)) | (Tuple(_), List(..)) => true,
            (Map(stored), Map(now)) => now.reads(stored),
            _ => false,
        }
    }
}

/// Returns the name of a type without paths: `Option<String>` for `core::option::Option<alloc::string::String>`. A type of
/// the user with a name of the standard library keeps its path.
pub(crate) fn short(name: &str) -> String {
    Name::parse(name).short()
}

/// The name of a type, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Name {
    Path {
        segments: Vec<String>,
        arguments: Vec<Name>,
    },
    Tuple(Vec<Name>),
    List(Box<Name>, Option<String>),
    /// A name that this module cannot take apart.
    Other(String),
}

impl Name {
    fn parse(text: &str) -> Self {
        let mut rest = Parser(text.trim());
        match rest.name() {
            Some(name) if rest.0.is_empty() => name,
            _ => Name::Other(text.split_whitespace().collect::<Vec<_>>().join(" ")),
        }
    }
    fn short(&self) -> String {
        let all = |names: &[Name]| names.iter().map(Name::short).collect::<Vec<_>>().join(", ");
        match self {
            Name::Path { segments, arguments } => {
                let last = segments.last().map_or("", String::as_str);
                let is_of_user = segments.len() > 1 && !is_std(segments) && is_known(last);
                let name = if is_of_user { segments.join("::") } else { last.to_owned() };
                if arguments.is_empty() { name } else { format!("{name}<{}>", all(arguments)) }
            }
            Name::Tuple(fields) if fields.len() == 1 => format!("({},)", all(fields)),
            Name::Tuple(fields) => format!("({})", all(fields)),
            Name::List(element, None) => format!("[{}]", element.short()),
            Name::List(element, Some(length)) => format!("[{}; {length}]", element.short()),
            Name::Other(text) => text.clone(),
        }
    }
}

impl From<&Name> for JsonType {
    fn from(name: &Name) -> Self {
        match name {
            Name::Other(_) => JsonType::Unknown,
            Name::Tuple(fields) if fields.is_empty() => JsonType::Null,
            Name::Tuple(fields) => JsonType::Tuple(fields.iter().map(JsonType::from).collect()),
            Name::List(element, length) => JsonType::List(Box::new(JsonType::from(&**element)), length.clone()),
            Name::Path { segments, .. } if segments.len() > 1 && !is_std(segments) => JsonType::Unknown,
            Name::Path { segments, arguments } => {
                let argument = |i: usize| Box::new(arguments.get(i).map_or(JsonType::Unknown, JsonType::from));
                match segments.last().map_or("", String::as_str) {
                    "bool" => JsonType::Bool,
                    "char" | "str" | "String" => JsonType::Text,
                    "f32" | "f64" => JsonType::Float,
                    name if INTEGERS.contains(&name) => JsonType::Integer,
                    name if TRANSPARENT.contains(&name) => *argument(0),
                    name if LISTS.contains(&name) => JsonType::List(argument(0), None),
                    name if MAPS.contains(&name) => JsonType::Map(argument(1)),
                    "Option" => match *argument(0) {
                        // serde writes both as `null`.
                        JsonType::Option(inner) => JsonType::Option(inner),
                        inner => JsonType::Option(Box::new(inner)),
                    },
                    _ => JsonType::Unknown,
                }
            }
        }
    }
}

const INTEGERS: &[&str] = &["u8", "u16", "u32", "u64", "u128", "usize", "i8", "i16", "i32", "i64", "i128", "isize"];
const TRANSPARENT: &[&str] = &["Box", "Rc", "Arc", "Cow"];
const LISTS: &[&str] = &["Vec", "VecDeque", "LinkedList", "BTreeSet", "HashSet", "BinaryHeap"];
const MAPS: &[&str] = &["BTreeMap", "HashMap"];

fn is_known(name: &str) -> bool {
    ["bool", "char", "str", "String", "f32", "f64", "Option"].contains(&name)
        || [INTEGERS, TRANSPARENT, LISTS, MAPS].iter().any(|names| names.contains(&name))
}
fn is_std(segments: &[String]) -> bool {
    segments.first().is_some_and(|first| ["core", "alloc", "std"].contains(&first.as_str()))
}

/// The rest of a name that is being parsed.
struct Parser<'t>(&'t str);
impl Parser<'_> {
    /// Removes the token from the front, with the space around it.
    fn take(&mut self, token: &str) -> bool {
        match self.0.trim_start().strip_prefix(token) {
            Some(rest) => {
                self.0 = rest.trim_start();
                true
            }
            None => false,
        }
    }
    fn word(&mut self) -> Option<String> {
        let text = self.0.trim_start();
        // The compiler writes `{{closure}}` in the path of a type inside a function.
        let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '{' | '}' | '#');
        let end = text.find(|c: char| !is_part(c)).unwrap_or(text.len());
        let (word, rest) = text.split_at(end);
        self.0 = rest.trim_start();
        (!word.is_empty()).then(|| word.trim_start_matches("r#").to_owned())
    }
    fn name(&mut self) -> Option<Name> {
        if self.take("&") {
            if self.take("'") {
                self.word()?;
            }
            return self.name();
        }
        if self.take("(") {
            return Some(Name::Tuple(self.names(")")?));
        }
        if self.take("[") {
            let element = Box::new(self.name()?);
            let length = if self.take(";") { Some(self.word()?) } else { None };
            return self.take("]").then_some(Name::List(element, length));
        }
        self.take("::");
        let mut segments = vec![self.word()?];
        loop {
            let has_path = self.take("::");
            if self.take("<") {
                return Some(Name::Path { segments, arguments: self.names(">")? });
            }
            match has_path {
                true => segments.push(self.word()?),
                false => return Some(Name::Path { segments, arguments: Vec::new() }),
            }
        }
    }
    /// Returns the names up to the closing token. Lifetimes are left out.
    fn names(&mut self, end: &str) -> Option<Vec<Name>> {
        let mut names = Vec::new();
        loop {
            if self.take(end) {
                return Some(names);
            }
            match self.take("'") {
                true => drop(self.word()?),
                false => names.push(self.name()?),
            }
            if !self.take(",") {
                return self.take(end).then_some(names);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        any::type_name,
        borrow::Cow,
        collections::{BTreeMap, HashMap, HashSet},
        sync::Arc,
    };

    mod own {
        pub(super) struct String;
        pub(super) struct Money;
    }

    #[test]
    fn names_of_the_compiler_and_of_a_program_are_short() {
        assert_eq!(short(type_name::<Option<Vec<String>>>()), "Option<Vec<String>>");
        assert_eq!(short(type_name::<HashMap<String, (u8, [i32; 3])>>()), "HashMap<String, (u8, [i32; 3])>");
        assert_eq!(short(type_name::<own::Money>()), "Money");
        assert!(short(type_name::<own::String>()).ends_with("::own::String"));
        assert_eq!(short("std :: option :: Option < & 'static str >"), "Option<str>");
        assert_eq!(short("Cow < 'static , str >"), short(type_name::<Cow<'static, str>>()));
        assert_eq!(short("(u8 ,)"), short(type_name::<(u8,)>()));
        assert_eq!(short("dyn  Fn() -> u8"), "dyn Fn() -> u8");
        let name = type_name::<BTreeMap<u8, Option<own::String>>>();
        assert_eq!(short(&short(name)), short(name));
    }

    fn reads(now: &str, stored: &str) -> bool {
        JsonType::of(&short(now)).reads(&JsonType::of(&short(stored)))
    }

    #[test]
    fn a_type_reads_what_it_can_hold() {
        let readable = [
            ("u64", "u32"),
            ("u8", "i64"),
            ("f64", "u32"),
            ("f32", "f64"),
            ("Option<u32>", "u32"),
            ("Option<Option<u32>>", "Option<u32>"),
            ("Box<str>", "String"),
            ("BTreeSet<String>", "Vec<String>"),
            ("[u8; 4]", "Vec<u8>"),
            ("(u8, u8)", "[u8; 2]"),
            ("HashMap<String, u64>", "BTreeMap<u8, u32>"),
            ("Money", "u64"),
            ("u64", "Money"),
            ("Vec<Money>", "Vec<u64>"),
            ("Option<u8>", "()"),
            (type_name::<own::String>(), "u64"),
            (type_name::<Arc<HashSet<u8>>>(), "Vec<u8>"),
        ];
        for (now, stored) in readable {
            assert!(reads(now, stored), "{now} reads {stored}");
        }
    }

    #[test]
    fn a_type_does_not_read_another_kind_of_value() {
        let unreadable = [
            ("u64", "String"),
            ("String", "u64"),
            ("u64", "f64"),
            ("bool", "u8"),
            ("u32", "Option<u32>"),
            ("Option<u64>", "Option<String>"),
            ("Vec<String>", "String"),
            ("Vec<u8>", "Vec<String>"),
            ("[u8; 4]", "[u8; 3]"),
            ("(u8, u8)", "(u8, u8, u8)"),
            ("Vec<u8>", "HashMap<u8, u8>"),
            ("HashMap<u8, String>", "HashMap<u8, u8>"),
            ("String", "()"),
            ("Box<u8>", "String"),
        ];
        for (now, stored) in unreadable {
            assert!(!reads(now, stored), "{now} does not read {stored}");
        }
    }
}
