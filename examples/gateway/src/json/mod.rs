//! The JSON of responses: camel case, enums by their names in `proto/`, unspecified values left out.
mod counselors;
mod counsels;
mod users;

pub(crate) use counselors::{Bubble, Counselor, Tone};
pub(crate) use counsels::{Counsel, CounselMessage};
pub(crate) use users::{MessageTokens, User, UserUpdate};

/// Returns an enum's name, or `None` for the unspecified value.
fn specified(name: &'static str) -> Option<&'static str> {
    Some(name).filter(|name| !name.ends_with("_UNSPECIFIED"))
}

/// Converts the items of a list to their JSON form.
pub(crate) fn each<P, J: From<P>>(items: Vec<P>) -> Vec<J> {
    items.into_iter().map(J::from).collect()
}
