//! The modules of `cqrs-core/src` import each other in one direction, so that each can be read with only those below it.
use crate::{files, read, root};
use std::collections::{BTreeMap, BTreeSet};
use syn::visit::{self, Visit};

/// The modules that only some others may import. `lib.rs` may import everything, and macros write paths of their own.
const IMPORTED_BY: &[(&str, &[&str])] = &[("app", &["operations", "testing"]), ("__private", &[])];

/// From a module to the modules that it imports, with the files that do so.
type Imports = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

#[test]
fn no_modules_import_each_other() {
    let circles = circles(&imports_of_core());
    assert!(circles.is_empty(), "modules of cqrs-core that import each other:\n{}", circles.join("\n"));
}

#[test]
fn restricted_modules_are_imported_where_they_may_be() {
    let found = unexpected(&imports_of_core());
    assert!(found.is_empty(), "imports that are not allowed in cqrs-core:\n{}", found.join("\n"));
}

/// The rules are tried as well: one that cannot fail proves nothing.
#[test]
fn every_import_and_circle_is_found() {
    let sources = [
        (
            "lib.rs",
            "mod a; mod app; pub mod b; mod c; mod d; mod x; mod y; mod __private; pub use a::{deep::Y, X as Z};
            pub use app::App; pub use std::fmt; pub type T = u8;",
        ),
        (
            "a.rs",
            "use crate::{T, b::{self, F}}; fn f() { some!(crate::c::g(), $crate::d::h) } type R = crate::fmt::Result;",
        ),
        ("b.rs", "use crate::{Z}; impl crate::x::Trait for S {}"),
        ("c/mod.rs", "pub(in crate::a) mod inner; use cqrs_core::d::Q; #[cfg(test)] mod tests { use crate::a::X; }"),
        ("c/inner.rs", "use super::super::x::Q; use super::z; mod deep { use super::super::super::y::P; }"),
        ("c/tests.rs", "use crate::app::App;"),
        ("d.rs", "use self::inner::E; use std::fmt; fn f() -> fmt::Result { crate::__private::g() }"),
        ("x.rs", "fn f() { let _: ::cqrs_core::y::A; }"),
        ("y.rs", "use crate::App;"),
        ("app.rs", "use crate::x;"),
        ("__private.rs", "pub use crate::a::X;"),
    ];
    let imports = imports(&sources.map(|(path, text)| (path.to_owned(), text.to_owned())));
    let found: Vec<(&str, Vec<&str>)> =
        imports.iter().map(|(from, to)| (from.as_str(), to.keys().map(String::as_str).collect())).collect();
    let expected: Vec<(&str, Vec<&str>)> = vec![
        ("__private", vec!["a"]),
        ("a", vec!["b", "c"]),
        ("app", vec!["x"]),
        ("b", vec!["a", "x"]),
        ("c", vec!["d", "x", "y"]),
        ("d", vec!["__private"]),
        ("x", vec!["y"]),
        ("y", vec!["app"]),
    ];
    assert_eq!(found, expected);
    // `__private` is imported by `d` only because this text breaks the rule; it closes a circle as well.
    assert_eq!(circles(&imports).len(), 2);
    assert!(circles(&imports)[0].starts_with("__private, a, b, c, d:"), "{:?}", circles(&imports));
    assert!(circles(&imports)[1].starts_with("app, x, y:"), "{:?}", circles(&imports));
    assert_eq!(unexpected(&imports), ["y imports app in y.rs", "d imports __private in d.rs"]);
    let sources = [
        ("lib.rs", "mod a; mod b; mod c;"),
        ("a.rs", "use crate::b::B; use crate::c::C;"),
        ("b.rs", "use crate::c::C;"),
    ];
    let imports = self::imports(&sources.map(|(path, text)| (path.to_owned(), text.to_owned())));
    assert_eq!(circles(&imports), [""; 0]);
    assert_eq!(unexpected(&imports), [""; 0]);
}

fn imports_of_core() -> Imports {
    let folder = root().join("cqrs-core/src");
    let inside = files(&folder, "rs");
    let path =
        |file: &std::path::PathBuf| file.strip_prefix(&folder).unwrap_or(file).to_string_lossy().replace('\\', "/");
    let sources: Vec<_> = inside.iter().map(|file| (path(file), read(file))).collect();
    let imports = imports(&sources);
    let count: usize = imports.values().map(BTreeMap::len).sum();
    assert!(count > 50, "only {count} imports between modules were found: this rule would prove nothing");
    imports
}

/// Reads the imports between top-level modules from sources with their paths below `src`.
fn imports(sources: &[(String, String)]) -> Imports {
    let lib = sources.iter().find(|(path, _)| path == "lib.rs").unwrap_or_else(|| panic!("there is no lib.rs"));
    let root = Root::new(&parse("lib.rs", &lib.1));
    let mut imports = Imports::new();
    // Tests in files of their own may use everything.
    for (path, text) in sources.iter().filter(|(path, _)| path != "lib.rs" && !path.ends_with("tests.rs")) {
        let here = module(path);
        let mut paths = Paths { here: here.clone(), found: Vec::new() };
        paths.visit_file(&parse(path, text));
        for target in paths.found.iter().filter_map(|path| root.module(path)).filter(|target| *target != here[0]) {
            let targets = imports.entry(here[0].clone()).or_default();
            targets.entry(target.to_owned()).or_default().insert(path.clone());
        }
    }
    imports
}

fn parse(path: &str, text: &str) -> syn::File {
    syn::parse_file(text).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Returns the module of a file: `consumer/group/attempt.rs` is `consumer::group::attempt`.
fn module(path: &str) -> Vec<String> {
    let mut parts: Vec<String> = path.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
    if parts.last().is_some_and(|last| last == "mod") {
        parts.pop();
    }
    parts
}

/// Returns each group of modules that reach each other, with the imports inside the group.
fn circles(imports: &Imports) -> Vec<String> {
    let reached: BTreeMap<&str, BTreeSet<&str>> =
        imports.keys().map(|from| (from.as_str(), reachable(imports, from))).collect();
    let mut found = Vec::new();
    for (from, targets) in &reached {
        let group: BTreeSet<&str> =
            targets.iter().copied().filter(|to| reached.get(to).is_some_and(|back| back.contains(from))).collect();
        // A module reaches itself exactly when it is in a circle. The first one reports the group.
        if group.first() == Some(from) {
            let edges = group.iter().flat_map(|from| imports[*from].iter().map(move |(to, files)| (from, to, files)));
            let edges = edges.filter(|(_, to, _)| group.contains(to.as_str()));
            let edges: Vec<_> =
                edges.map(|(from, to, files)| format!("    {from} -> {to} in {}", list(files))).collect();
            let names: Vec<&str> = group.iter().copied().collect();
            found.push(format!("{}:\n{}", names.join(", "), edges.join("\n")));
        }
    }
    found
}

/// Returns every module that can be reached from `from`, over one import or more.
fn reachable<'a>(imports: &'a Imports, from: &str) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut open = vec![from.to_owned()];
    while let Some(here) = open.pop() {
        for to in imports.get(&here).into_iter().flat_map(BTreeMap::keys) {
            if reached.insert(to.as_str()) {
                open.push(to.clone());
            }
        }
    }
    reached
}

/// Returns the imports that [`IMPORTED_BY`] does not allow.
fn unexpected(imports: &Imports) -> Vec<String> {
    let mut found = Vec::new();
    for (module, allowed) in IMPORTED_BY {
        for (from, targets) in imports.iter().filter(|(from, _)| !allowed.contains(&from.as_str())) {
            if let Some(files) = targets.get(*module) {
                found.push(format!("{from} imports {module} in {}", list(files)));
            }
        }
    }
    found
}

fn list(files: &BTreeSet<String>) -> String {
    files.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}

/// The names at the root of the crate: its modules, and the names that `lib.rs` re-exports from them.
struct Root {
    modules: BTreeSet<String>,
    reexports: BTreeMap<String, String>,
}
impl Root {
    fn new(lib: &syn::File) -> Root {
        let mut root = Root { modules: BTreeSet::new(), reexports: BTreeMap::new() };
        for item in &lib.items {
            match item {
                syn::Item::Mod(item) => {
                    root.modules.insert(item.ident.to_string());
                }
                syn::Item::Use(item) => {
                    for (path, name) in flatten(&item.tree) {
                        root.reexports.insert(name, path[0].clone());
                    }
                }
                _ => (),
            }
        }
        let Root { modules, reexports } = &mut root;
        reexports.retain(|_, module| modules.contains(module.as_str()));
        root
    }

    /// Returns the module in which a path from the root of the crate ends up.
    fn module<'a>(&'a self, path: &[String]) -> Option<&'a str> {
        let first = path.first()?;
        self.modules.get(first).or_else(|| self.reexports.get(first)).map(String::as_str)
    }
}

/// Collects the paths in a file that lead through the root of the crate.
struct Paths {
    here: Vec<String>,
    found: Vec<Vec<String>>,
}
impl Paths {
    fn add(&mut self, path: &[String]) {
        let path = if path.first().is_some_and(|first| first == "self") { &path[1..] } else { path };
        let ups = path.iter().take_while(|part| *part == "super").count();
        match path.first().map(String::as_str) {
            Some("crate" | "cqrs_core") => self.found.push(path[1..].to_vec()),
            Some("super") => {
                let kept = self.here.len().saturating_sub(ups);
                self.found.push([&self.here[..kept], &path[ups..]].concat());
            }
            _ => (),
        }
    }
}
impl<'a> Visit<'a> for Paths {
    fn visit_item_use(&mut self, item: &'a syn::ItemUse) {
        if !is_test(&item.attrs) {
            flatten(&item.tree).iter().for_each(|(path, _)| self.add(path));
        }
    }
    fn visit_item_mod(&mut self, item: &'a syn::ItemMod) {
        if !is_test(&item.attrs) {
            self.here.push(item.ident.to_string());
            visit::visit_item_mod(self, item);
            self.here.pop();
        }
    }
    fn visit_item_fn(&mut self, item: &'a syn::ItemFn) {
        if !is_test(&item.attrs) {
            visit::visit_item_fn(self, item);
        }
    }
    fn visit_item_impl(&mut self, item: &'a syn::ItemImpl) {
        if !is_test(&item.attrs) {
            visit::visit_item_impl(self, item);
        }
    }
    fn visit_path(&mut self, path: &'a syn::Path) {
        let parts: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        self.add(&parts);
        visit::visit_path(self, path);
    }
    fn visit_macro(&mut self, mac: &'a syn::Macro) {
        in_tokens(&mac.tokens.to_string()).iter().for_each(|path| self.add(path));
        visit::visit_macro(self, mac);
    }
    // `pub(in crate::x)` limits a name and imports nothing.
    fn visit_vis_restricted(&mut self, _: &'a syn::VisRestricted) {}
    fn visit_attribute(&mut self, _: &'a syn::Attribute) {}
}

/// Returns the paths that begin with `crate` in a macro's tokens. `$crate` belongs to the code that a macro writes.
fn in_tokens(tokens: &str) -> Vec<Vec<String>> {
    // Tokens are printed with or without spaces between them.
    let dense = tokens.replace(" ::", "::").replace(":: ", "::");
    let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
    let starts = dense.match_indices("crate::").filter(|(at, _)| !dense[..*at].trim_end_matches(' ').ends_with('$'));
    let starts = starts.filter(|(at, _)| !dense[..*at].ends_with(is_part));
    let names = starts.map(|(at, found)| {
        let rest = &dense[at + found.len()..];
        rest.chars().take_while(|c| is_part(*c)).collect::<String>()
    });
    names.map(|name| vec!["crate".to_owned(), name]).collect()
}

/// Returns `true` if an item is compiled for tests alone, by `#[cfg(test)]`.
fn is_test(attributes: &[syn::Attribute]) -> bool {
    let is_cfg_test = |attribute: &syn::Attribute| match &attribute.meta {
        syn::Meta::List(list) => list.path.is_ident("cfg") && list.tokens.to_string() == "test",
        _ => false,
    };
    attributes.iter().any(is_cfg_test)
}

/// Returns each path of a `use`, with the name that it has afterwards.
fn flatten(tree: &syn::UseTree) -> Vec<(Vec<String>, String)> {
    match tree {
        syn::UseTree::Path(path) => {
            let first = path.ident.to_string();
            let join = |(rest, name): (Vec<String>, String)| match rest.as_slice() {
                // `use a::b::{self}` names `a::b`.
                [only] if only == "self" && name == "self" => (vec![first.clone()], first.clone()),
                [only] if only == "self" => (vec![first.clone()], name),
                _ => ([vec![first.clone()], rest].concat(), name),
            };
            flatten(&path.tree).into_iter().map(join).collect()
        }
        syn::UseTree::Group(group) => group.items.iter().flat_map(flatten).collect(),
        syn::UseTree::Name(item) => vec![(vec![item.ident.to_string()], item.ident.to_string())],
        syn::UseTree::Rename(item) => vec![(vec![item.ident.to_string()], item.rename.to_string())],
        syn::UseTree::Glob(_) => vec![(vec!["*".to_owned()], "*".to_owned())],
    }
}
