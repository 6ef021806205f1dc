//! The house rules, run: what a review would otherwise have to see.
mod directions; // who may depend on whom, and that the rule can fail
mod files; // every file says what it is
mod layers; // inside a service, rooms look inwards
mod licences; // what we build on may be built on
mod use_cases; // every use case is listed

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The root of the checkout.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every file below `folder` with this ending, but for what is built or hidden.
fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let Ok(entries) = fs::read_dir(folder) else { return found };
    for entry in entries.flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        let hidden = name.to_string_lossy().starts_with('.') || name == "target" || name == "data";
        if path.is_dir() && !hidden {
            found.extend(files(&path, ending));
        } else if path.extension().is_some_and(|it| it == ending) {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
