//! Reads the secrets of a program from a variable, a flag, or a file.
use crate::{BadKeys, Keys};
use cqrs_core::Secret;
use std::fs;

/// The variable and the flag of a secret. Those of its file have the suffixes `_FILE` and `-file`.
#[derive(Debug, Clone, Copy)]
pub struct Name {
    /// The variable, `HEARLERS_...`.
    pub variable: &'static str,
    /// The flag, `--...`.
    pub flag: &'static str,
}
impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.variable, self.flag)
    }
}

/// Reads an optional secret. An empty value counts as not set, because compose files pass empty variables.
pub fn read(name: Name, value: Option<&str>, file: Option<&str>, wrong: &mut Vec<String>) -> Option<Secret> {
    match (given(value), given(file)) {
        (Some(_), Some(_)) => {
            wrong.push(format!("{name}: the secret or {}_FILE, not both", name.variable));
            None
        }
        (Some(value), None) => Some(Secret::new(value)),
        (None, Some(file)) => match fs::read_to_string(file) {
            Ok(text) => Some(Secret::new(text.trim_end_matches(['\r', '\n']))),
            Err(error) => {
                wrong.push(format!("{}_FILE ({}-file): cannot be read: {error}", name.variable, name.flag));
                None
            }
        },
        (None, None) => None,
    }
}

/// Reads a secret that another company gives out, such as the provider of a login. A deployment may lack it, so an empty file
/// counts as not set, as an empty variable does.
pub fn optional(name: Name, value: Option<&str>, file: Option<&str>, wrong: &mut Vec<String>) -> Option<Secret> {
    read(name, value, file, wrong).filter(|secret| !secret.expose().is_empty())
}

/// Reads optional keys: those of a file by `of_file`, which reads them again when it changes, and others by `parse`.
pub fn keys_of<T>(
    name: Name,
    (value, file): (Option<&str>, Option<&str>),
    parse: impl FnOnce(&str) -> Result<T, BadKeys>,
    of_file: impl FnOnce(&str) -> Result<T, BadKeys>,
    wrong: &mut Vec<String>,
) -> Option<T> {
    let keys = match given(file) {
        Some(file) if given(value).is_none() => of_file(file),
        _ => parse(read(name, value, file, wrong)?.expose()),
    };
    let line = |error| match error {
        BadKeys::File(error) => format!("{}_FILE ({}-file): cannot be read: {error}", name.variable, name.flag),
        error => format!("{name}: {error}"),
    };
    keys.map_err(|error| wrong.push(line(error))).ok()
}

/// Reads optional secret keys, one a line.
pub fn keys(name: Name, value: Option<&str>, file: Option<&str>, wrong: &mut Vec<String>) -> Option<Keys> {
    keys_of(name, (value, file), Keys::parse, |file| Keys::of_file(file), wrong)
}

/// Returns the value unless it is empty: an empty variable counts as not set.
pub fn given(value: Option<&str>) -> Option<&str> {
    value.filter(|text| !text.is_empty())
}
