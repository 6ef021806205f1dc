//! Secrets of a program: from a variable, a flag, or a file that only the program can read.
use crate::Key;
use cqrs_core::Secret;
use std::fs;

/// What a secret is called: its variable, its flag. The file's are the same with `_FILE` and `-file`.
#[derive(Debug, Clone, Copy)]
pub struct Name {
    /// `HEARLERS_...`
    pub variable: &'static str,
    /// `--...`
    pub flag: &'static str,
}
impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.variable, self.flag)
    }
}

/// The secret, if there is one. What is set to nothing is not set: compose files do that.
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

/// The same, and long enough to sign with.
pub fn key(name: Name, value: Option<&str>, file: Option<&str>, wrong: &mut Vec<String>) -> Option<Key> {
    let key = Key::new(read(name, value, file, wrong)?.expose());
    if key.is_none() {
        wrong.push(format!("{name}: at least {} bytes", Key::SHORTEST));
    }
    key
}

/// A variable that is set to nothing is not set.
pub fn given(value: Option<&str>) -> Option<&str> {
    value.filter(|it| !it.is_empty())
}
