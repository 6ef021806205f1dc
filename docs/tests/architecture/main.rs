//! The architecture rules, as tests: each finds a mistake that a review would otherwise have to see.
mod api; // the public API of the crates
mod compose; // the compose file of the deployment
mod dependencies; // crates that must not be locked
mod directions; // the direction of dependencies between packages
mod documents; // statements of the documents that can be compared with the code
mod files; // the first line of every Rust file
mod language; // the language of comments and documents
mod layers; // the layers inside a service
mod layers_of_core; // the modules inside the core
mod licences; // the licences of all dependencies
mod seeded_bugs; // the seeded bugs that are patches
mod use_cases; // the list of all use cases

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Returns the root of the checkout.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Returns every file below `folder` with this ending, except in build output, data folders and hidden folders.
fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let Ok(entries) = fs::read_dir(folder) else { return found };
    for entry in entries.flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        let hidden = name.to_string_lossy().starts_with('.') || name == "target" || name == "data";
        if path.is_dir() && !hidden {
            found.extend(files(&path, ending));
        } else if path.extension().is_some_and(|extension| extension == ending) {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Returns a file's path from the root of the checkout, with `/` between its parts.
fn from_root(path: &Path) -> String {
    let short = path.strip_prefix(root()).unwrap_or(path);
    short.to_string_lossy().replace('\\', "/")
}
