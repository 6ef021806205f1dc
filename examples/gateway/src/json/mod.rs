//! How the services' answers look in JSON: camel case, enums by their names in `proto/`, nothing for what is not told.
mod counselors;
mod counsels;
mod users;

pub(crate) use counselors::{Bubble, Counselor, Tone};
pub(crate) use counsels::{Counsel, CounselMessage};
pub(crate) use users::{MessageTokens, User, UserUpdate};

/// An enum's name, unless it says that nothing was said.
fn told(name: &'static str) -> Option<&'static str> {
    Some(name).filter(|it| !it.ends_with("_UNSPECIFIED"))
}

/// A list's items, each as JSON shows it.
pub(crate) fn each<P, J: From<P>>(items: Vec<P>) -> Vec<J> {
    items.into_iter().map(J::from).collect()
}
