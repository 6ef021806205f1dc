//! Layers of a service: presentation -> application -> domain <- infrastructure. The compiler does not check this, so a test does.
use crate::{files, read, root};
use std::{collections::BTreeSet, fs, path::Path};
use syn::visit::{self, Visit};

/// A layer, the layers it may name, and the crates it may name beside `std`.
const LAYERS: &[(&str, &[&str], &[&str])] = &[
    (
        "domain",
        &["domain"],
        &[
            "cqrs_core",
            "icu_casemap",
            "serde",
            "sha2",
            "thiserror",
            "unicode_normalization",
            "url",
            "uuid",
            "visible_text",
        ],
    ),
    (
        "application",
        &["application", "domain"],
        &["async_trait", "contracts", "cqrs_core", "futures_util", "serde", "thiserror", "tracing", "uuid"],
    ),
    (
        "presentation",
        &["presentation", "application", "domain"],
        &[
            "contracts",
            "cqrs_core",
            "prost_types",
            "service_auth",
            "service_edge",
            "tonic",
            "tonic_types",
            "tracing",
            "uuid",
        ],
    ),
];
/// The crates that the core re-exports. A path through the core counts as a path to the crate.
const RE_EXPORTED: &[&str] = &["chrono", "sqlx", "tonic", "uuid"];
const SERVICES: &[&str] = &["user-service", "counseling-service"];

#[test]
fn layers_point_inwards() {
    let mut found = Vec::new();
    for service in SERVICES {
        for (layer, layers, crates) in LAYERS {
            let folder = root().join("examples").join(service).join("src").join(layer);
            let inside = files(&folder, "rs");
            assert!(!inside.is_empty(), "{} is empty: this rule would prove nothing", folder.display());
            for file in inside.iter().filter(|file| !file.ends_with("tests.rs")) {
                let out = outward(&read(file), depth(&folder, file), layers, crates);
                found.extend(out.into_iter().map(|path| format!("{}: {path}", file.display())));
            }
        }
    }
    assert!(found.is_empty(), "imports that point outwards:\n{}", found.join("\n"));
}

/// The modules of every service, in the same places. A `?` marks those that only some services need. A layer with `*` may
/// have others: one for each aggregate, for each adapter, and for each gRPC service.
const PLACES: &[(&str, &[&str])] = &[
    ("", &["application", "config", "domain", "infrastructure", "lib", "main", "presentation"]),
    ("application", &["commands", "ports?", "processes", "projections", "published", "queries", "subscribers?"]),
    ("domain", &["*"]),
    ("infrastructure", &["*"]),
    ("presentation", &["mapping", "*"]),
];

#[test]
fn services_have_the_same_modules_in_the_same_places() {
    let mut wrong = Vec::new();
    for service in SERVICES {
        for (layer, allowed) in PLACES {
            let here = modules(&root().join("examples").join(service).join("src").join(layer));
            wrong.extend(misplaced(&here, allowed).into_iter().map(|name| format!("{service} {layer}: {name}")));
        }
    }
    assert!(wrong.is_empty(), "modules that are missing or have another place: {wrong:#?}");
}

#[test]
fn a_missing_and_an_unknown_module_are_found() {
    let here = ["commands", "grpc"].map(str::to_owned).into();
    assert_eq!(misplaced(&here, &["commands", "queries", "ports?"]), ["no queries", "grpc"]);
    assert_eq!(misplaced(&here, &["mapping", "*"]), ["no mapping"]);
}

/// Returns the names of a layer's modules: its files and folders except `mod.rs`.
fn modules(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let names =
        entries.flatten().map(|entry| entry.path().file_stem().unwrap_or_default().to_string_lossy().into_owned());
    names.filter(|name| name != "mod").collect()
}

fn misplaced(here: &BTreeSet<String>, allowed: &[&str]) -> Vec<String> {
    let missing = allowed.iter().filter(|name| **name != "*" && !name.ends_with('?') && !here.contains(**name));
    let known =
        |name: &&String| allowed.iter().any(|allowed| *allowed == "*" || allowed.trim_end_matches('?') == *name);
    missing.map(|name| format!("no {name}")).chain(here.iter().filter(|name| !known(name)).cloned()).collect()
}

/// The rule is tried as well: one that cannot fail proves nothing.
#[test]
fn every_import_outwards_is_found() {
    let text = "use crate::infrastructure::rows;
        use crate::{domain::user::User, presentation};
        use sqlx::PgPool;
        use cqrs_core::tonic::Status;
        use super::super::super::infrastructure::x;
        use super::sibling;
        use std::fmt;
        fn f(_: tonic::Status) -> fmt::Result { crate::infrastructure::g(); sqlx::query!(\"\"); sibling::h(); u32::MAX;
            std::mem::drop(UserError::Deactivated) }
        #[derive(thiserror::Error)] enum E {}
        mod inner { pub fn g() { axum::serve() } }
        fn i() { inner::g() }";
    let found = outward(text, 1, &["domain"], &["thiserror"]);
    let expected = ["crate::infrastructure", "crate::presentation", "sqlx", "tonic", "super::super::super", "tonic"];
    let expected: Vec<_> = expected.into_iter().chain(["crate::infrastructure", "sqlx", "axum"]).collect();
    assert_eq!(found, expected);
}

/// Returns the depth of a file's module in its layer: `domain/mod.rs` 0, `domain/user/mod.rs` 1, `domain/user/event.rs` 2.
fn depth(layer: &Path, file: &Path) -> usize {
    let parts = file.strip_prefix(layer).map_or(0, |rest| rest.components().count());
    if file.ends_with("mod.rs") { parts - 1 } else { parts }
}

fn outward(text: &str, depth: usize, layers: &[&str], crates: &[&str]) -> Vec<String> {
    let file = syn::parse_file(text).unwrap_or_else(|error| panic!("{error}:\n{text}"));
    let mut names = Names::default();
    names.visit_file(&file);
    let judge = |path: &Vec<String>| -> Option<String> {
        let path = match &path[..] {
            [core, next, ..] if core == "cqrs_core" && RE_EXPORTED.contains(&next.as_str()) => &path[1..],
            path => path,
        };
        let first = path.first()?.as_str();
        let ups = path.iter().take_while(|part| *part == "super").count();
        match first {
            "crate" => {
                let layer = path.get(1)?;
                (!layers.contains(&layer.as_str())).then(|| format!("crate::{layer}"))
            }
            // Up to the layer's own module and no further.
            "super" => (ups > depth).then(|| vec!["super"; ups].join("::")),
            "std" | "core" | "alloc" | "self" | "Self" => None,
            _ if path.len() < 2 || !first.starts_with(|c: char| c.is_lowercase()) => None,
            _ if crates.contains(&first) || names.names.contains(first) || is_primitive(first) => None,
            _ => Some(first.to_owned()),
        }
    };
    names.paths.iter().filter_map(judge).collect()
}

/// The paths that a file names, and the names that it defines or imports.
#[derive(Default)]
struct Names {
    paths: Vec<Vec<String>>,
    names: BTreeSet<String>,
}
impl<'a> Visit<'a> for Names {
    fn visit_item_use(&mut self, item: &'a syn::ItemUse) {
        self.uses(&item.tree, &mut Vec::new());
    }
    fn visit_item_mod(&mut self, item: &'a syn::ItemMod) {
        self.names.insert(item.ident.to_string());
        visit::visit_item_mod(self, item);
    }
    fn visit_path(&mut self, path: &'a syn::Path) {
        self.paths.push(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        visit::visit_path(self, path);
    }
    fn visit_attribute(&mut self, _: &'a syn::Attribute) {}
}
impl Names {
    fn uses(&mut self, tree: &syn::UseTree, prefix: &mut Vec<String>) {
        match tree {
            syn::UseTree::Path(path) => {
                prefix.push(path.ident.to_string());
                self.uses(&path.tree, prefix);
                prefix.pop();
            }
            syn::UseTree::Group(group) => group.items.iter().for_each(|tree| self.uses(tree, prefix)),
            syn::UseTree::Name(item) => {
                let name = item.ident.to_string();
                let name = if name == "self" { prefix.last().cloned().unwrap_or_default() } else { name };
                self.uses_name(prefix, &name, &name);
            }
            syn::UseTree::Rename(item) => self.uses_name(prefix, &item.ident.to_string(), &item.rename.to_string()),
            syn::UseTree::Glob(_) => self.uses_name(prefix, "*", "*"),
        }
    }
    fn uses_name(&mut self, prefix: &[String], name: &str, here: &str) {
        self.paths.push(prefix.iter().cloned().chain([name.to_owned()]).collect());
        self.names.insert(here.to_owned());
    }
}

fn is_primitive(name: &str) -> bool {
    let integers = ["i8", "i16", "i32", "i64", "i128", "isize", "u8", "u16", "u32", "u64", "u128", "usize"];
    integers.contains(&name) || ["bool", "char", "f32", "f64", "str"].contains(&name)
}
