//! The public API of the three crates as a golden file. `UPDATE_API=1 cargo test -p docs --test architecture` rewrites
//! `docs/api`; then review the difference.
use crate::{read, root};
use quote::ToTokens;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};
use syn::{Attribute, Fields, ImplItem, Item, TraitItem, Type, UseTree, Visibility};

const CRATES: &[&str] = &["cqrs-core", "cqrs-kafka", "cqrs-macros"];

#[test]
fn the_public_api_is_as_listed() {
    for name in CRATES {
        let module = Module::of_file(&root().join(name).join("src/lib.rs"));
        let (listing, golden) = (listing(&name.replace('-', "_"), module), root().join(format!("docs/api/{name}.txt")));
        if std::env::var_os("UPDATE_API").is_some() {
            fs::write(&golden, &listing).unwrap_or_else(|error| panic!("{}: {error}", golden.display()));
        }
        let expected = read(&golden);
        let (expected, found): (BTreeSet<_>, BTreeSet<_>) = (expected.lines().collect(), listing.lines().collect());
        let gone: Vec<_> = expected.difference(&found).map(|line| format!("- {line}")).collect();
        let new: Vec<_> = found.difference(&expected).map(|line| format!("+ {line}")).collect();
        let difference = [gone, new].concat().join("\n");
        assert!(
            difference.is_empty(),
            "the public API of {name} has changed:\n{difference}\nIf this is intended, write it into CHANGELOG.md, and \
             run: UPDATE_API=1 cargo test -p docs --test architecture"
        );
    }
}

/// The rule is tried as well: one that cannot fail proves nothing.
#[test]
fn only_reachable_items_are_listed_and_each_under_its_shortest_path() {
    let text = "
        mod error { pub struct Fault { pub kind: u8, secret: u8 } impl Fault { pub fn kind(&self) -> u8 { 0 } fn hidden() {} }
            impl Clone for Fault {} pub struct Unreachable; }
        pub mod app { pub use crate::error::Fault; #[non_exhaustive] #[derive(Debug, Clone)] pub enum Step<T: Send> { Did(T), Idle { upto: u64 } }
            pub(crate) fn internal() {} #[doc(hidden)] pub fn for_tests() {} }
        pub use error::Fault;
        pub use std::convert::Infallible;
        #[cfg(feature = \"x\")] pub trait Read: Send { const N: usize; type Out; fn read<'a>(&'a self, from: &'a [u8]) -> Option<(u8, &'a str)>;
            fn twice(&self) -> impl Fn(&u8) -> u8 + Send { |n| *n } }
        #[cfg(test)] pub mod tests { pub fn test() {} }
        #[doc(hidden)] pub mod __private { pub fn generated() {} }
        #[macro_export] macro_rules! id { () => {} }
        #[proc_macro_derive(View, attributes(index))] pub fn view(input: TokenStream) -> TokenStream { input }";
    let module = Module::of_items(syn::parse_file(text).expect("the text is Rust").items, Path::new("."));
    let expected = [
        "pub use std::convert::Infallible as a::Infallible",
        "pub struct a::Fault",
        "impl Clone for a::Fault",
        "pub fn a::Fault::kind(&self) -> u8",
        "pub field a::Fault::kind: u8",
        "#[cfg(feature = \"x\")] pub trait a::Read: Send",
        "const a::Read::N: usize",
        "type a::Read::Out",
        "fn a::Read::read<'a>(&'a self, from: &'a [u8]) -> Option<(u8, &'a str)>",
        "fn a::Read::twice(&self) -> impl Fn(&u8) -> u8 + Send (provided)",
        "derive a::View with the attributes index",
        "pub mod a::app",
        "pub use a::Fault as a::app::Fault",
        "#[derive(Debug, Clone)] #[non_exhaustive] pub enum a::app::Step<T: Send>",
        "variant a::app::Step::Did(T)",
        "variant a::app::Step::Idle { upto: u64 }",
        "macro a::id!",
    ];
    let listing = listing("a", module);
    let (listing, expected): (Vec<_>, BTreeSet<_>) = (listing.lines().collect(), BTreeSet::from(expected));
    assert_eq!(listing.iter().copied().collect::<BTreeSet<_>>(), expected);
    let places: Vec<_> = listing.iter().filter_map(|line| line.split("a::").nth(1)).collect();
    assert!(places[0].starts_with("Fault") && places[places.len() - 1].starts_with("id"), "not sorted: {places:?}");
}

/// The items of a module, and its child modules.
#[derive(Default)]
struct Module {
    items: Vec<Item>,
    children: BTreeMap<String, Module>,
}
impl Module {
    fn of_file(path: &Path) -> Self {
        let file = syn::parse_file(&read(path)).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let folder = path.parent().unwrap_or(path);
        let stem = path.file_stem().map(PathBuf::from).unwrap_or_default();
        let is_root = ["lib", "mod"].iter().any(|name| stem == Path::new(name));
        Self::of_items(file.items, &if is_root { folder.to_owned() } else { folder.join(stem) })
    }
    fn of_items(items: Vec<Item>, folder: &Path) -> Self {
        let mut module = Module::default();
        for item in items {
            if is_hidden(attributes(&item)) {
                continue;
            }
            if let Item::Mod(item) = &item {
                let name = item.ident.to_string();
                let child = match &item.content {
                    Some((_, items)) => Self::of_items(items.clone(), &folder.join(&name)),
                    None => {
                        let files = [folder.join(format!("{name}.rs")), folder.join(&name).join("mod.rs")];
                        let file = files.iter().find(|file| file.exists());
                        Self::of_file(file.unwrap_or_else(|| panic!("{} does not exist", files[0].display())))
                    }
                };
                // Two modules of one name have opposite `#[cfg]`s. Both are listed.
                let both = module.children.entry(name).or_default();
                both.items.extend(child.items);
                both.children.extend(child.children);
            }
            module.items.push(item);
        }
        module
    }
    fn at(&self, path: &[String]) -> Option<&Module> {
        path.iter().try_fold(self, |module, name| module.children.get(name))
    }
}

/// The path of a module inside its crate, without the crate.
type Place = Vec<String>;

struct Api {
    root: Module,
    name: String,
    /// The public paths of each reachable definition: its module and name.
    reached: BTreeMap<(Place, String), BTreeSet<Place>>,
    /// Lines with the path by which they are sorted.
    lines: BTreeSet<(String, String)>,
}

fn listing(name: &str, root: Module) -> String {
    let mut api = Api { root, name: name.to_owned(), reached: BTreeMap::new(), lines: BTreeSet::new() };
    let root = std::mem::take(&mut api.root);
    api.reach(&root, &Vec::new(), &Vec::new());
    for ((place, ident), paths) in api.reached.clone() {
        let shortest = paths.iter().min_by_key(|path| (path.len(), path.join("::"))).expect("a path was found");
        let shortest = api.path(shortest);
        let others: Vec<_> = paths.iter().map(|path| api.path(path)).filter(|path| *path != shortest).collect();
        for other in others {
            api.add(&other, format!("pub use {shortest} as {other}"));
        }
        let module = root.at(&place).expect("the module was found before");
        for item in module.items.iter().filter(|item| ident_of(item).as_ref() == Some(&ident)) {
            api.define(item, &shortest);
        }
        api.implementations(&root, &Vec::new(), &(place, ident), &shortest);
    }
    let mut text = String::new();
    for (_, line) in &api.lines {
        text.push_str(line);
        text.push('\n');
    }
    text
}

impl Api {
    fn path(&self, path: &[String]) -> String {
        [std::slice::from_ref(&self.name), path].concat().join("::")
    }
    fn add(&mut self, path: &str, line: String) {
        self.lines.insert((path.to_owned(), line));
    }

    /// Finds every definition that `public` reaches, where `place` is the same module inside the crate.
    fn reach(&mut self, root: &Module, place: &Place, public: &Place) {
        let Some(module) = root.at(place) else { return };
        for item in &module.items {
            let attributes = attributes(item);
            match item {
                Item::Mod(item) if is_public(&item.vis) => {
                    let name = item.ident.to_string();
                    let path = self.path(&join(public, &name));
                    self.add(&path, format!("{}pub mod {path}", notes(attributes)));
                    self.reach(root, &join(place, &name), &join(public, &name));
                }
                Item::Use(item) if is_public(&item.vis) => {
                    for (path, name) in uses(&item.tree) {
                        self.reach_use(root, place, public, &path, &name, &notes(attributes));
                    }
                }
                Item::Macro(item) if has(attributes, "macro_export") => {
                    let ident = item.ident.as_ref().expect("macro_rules has a name");
                    let path = self.path(&[ident.to_string()]);
                    self.add(&path, format!("macro {path}!"));
                }
                Item::Fn(item) if attributes.iter().any(|attribute| path_of(attribute).starts_with("proc_macro")) => {
                    self.procedural_macro(item);
                }
                _ => {
                    if let Some(ident) = ident_of(item).filter(|_| visibility(item).is_some_and(is_public)) {
                        let paths = self.reached.entry((place.clone(), ident.clone())).or_default();
                        paths.insert(join(public, &ident));
                    }
                }
            }
        }
    }
    fn reach_use(&mut self, root: &Module, place: &Place, public: &Place, path: &[String], name: &str, notes: &str) {
        let public = join(public, name);
        let mut from = match path[0].as_str() {
            "crate" => Vec::new(),
            "super" => place[..place.len() - 1].to_vec(),
            "self" => place.clone(),
            first if root.at(place).is_some_and(|module| module.children.contains_key(first)) => join(place, first),
            _ => {
                let (path, public) = (path.join("::"), self.path(&public));
                self.add(&public, format!("{notes}pub use {path} as {public}"));
                return;
            }
        };
        from.extend(path[1..path.len() - 1].iter().cloned());
        let last = &path[path.len() - 1];
        let Some(module) = root.at(&from) else { return };
        if module.items.iter().any(|item| ident_of(item).as_ref() == Some(last)) {
            self.reached.entry((from, last.clone())).or_default().insert(public);
            return;
        }
        for item in &module.items {
            let Item::Use(item) = item else { continue };
            for (path, _) in uses(&item.tree).into_iter().filter(|(_, name)| name == last) {
                let parent = public[..public.len() - 1].to_vec();
                self.reach_use(root, &from, &parent, &path, name, notes);
            }
        }
    }

    fn procedural_macro(&mut self, function: &syn::ItemFn) {
        let attribute = function.attrs.iter().find(|attribute| path_of(attribute).starts_with("proc_macro"));
        let attribute = attribute.expect("the caller has checked it");
        let arguments = match &attribute.meta {
            syn::Meta::List(list) => tidy(&list.tokens),
            _ => function.sig.ident.to_string(),
        };
        let (name, helpers) = arguments.split_once(", attributes(").unwrap_or((&arguments, ""));
        let path = self.path(&[name.to_owned()]);
        let kind = if path_of(attribute) == "proc_macro_derive" { "derive" } else { "attribute" };
        let helpers = match helpers.trim_end_matches(')') {
            "" => String::new(),
            helpers => format!(" with the attributes {helpers}"),
        };
        self.add(&path, format!("{kind} {path}{helpers}"));
    }

    /// Lists a definition with its fields, variants or items.
    fn define(&mut self, item: &Item, path: &str) {
        let notes = notes(attributes(item));
        let line = match item {
            Item::Struct(item) => {
                self.fields(&item.fields, path);
                format!("pub struct {path}{}{}", tidy(&item.generics), where_clause(&item.generics))
            }
            Item::Enum(item) => {
                for variant in item.variants.iter().filter(|variant| !is_hidden(&variant.attrs)) {
                    let mut fields = variant.fields.clone();
                    fields.iter_mut().for_each(|field| field.attrs.clear());
                    let path = format!("{path}::{}", variant.ident);
                    let space = if matches!(fields, Fields::Named(_)) { " " } else { "" };
                    self.add(&path, format!("variant {path}{space}{}", tidy(&fields)));
                }
                format!("pub enum {path}{}{}", tidy(&item.generics), where_clause(&item.generics))
            }
            Item::Trait(item) => {
                item.items.iter().for_each(|inner| self.trait_item(inner, path));
                let supertraits = match tidy(&item.supertraits) {
                    supertraits if supertraits.is_empty() => supertraits,
                    supertraits => format!(": {supertraits}"),
                };
                format!("pub trait {path}{}{supertraits}{}", tidy(&item.generics), where_clause(&item.generics))
            }
            Item::Fn(item) => signature(&item.sig, "pub ", path),
            Item::Const(item) => format!("pub const {path}: {}", tidy(&item.ty)),
            Item::Static(item) => format!("pub static {path}: {}", tidy(&item.ty)),
            Item::Type(item) => format!("pub type {path}{} = {}", tidy(&item.generics), tidy(&item.ty)),
            _ => return,
        };
        self.add(path, format!("{notes}{line}"));
    }
    fn fields(&mut self, fields: &Fields, path: &str) {
        for (index, field) in fields.iter().enumerate().filter(|(_, field)| is_public(&field.vis)) {
            let name = field.ident.as_ref().map_or_else(|| index.to_string(), ToString::to_string);
            let path = format!("{path}::{name}");
            self.add(&path, format!("pub field {path}: {}", tidy(&field.ty)));
        }
    }
    fn trait_item(&mut self, item: &TraitItem, path: &str) {
        let (name, line) = match item {
            TraitItem::Fn(item) if !is_hidden(&item.attrs) => {
                let path = format!("{path}::{}", item.sig.ident);
                let provided = if item.default.is_some() { " (provided)" } else { "" };
                let line = format!("{}{provided}", signature(&item.sig, "", &path));
                (path, line)
            }
            TraitItem::Const(item) if !is_hidden(&item.attrs) => {
                let path = format!("{path}::{}", item.ident);
                let provided = if item.default.is_some() { " (provided)" } else { "" };
                let line = format!("const {path}: {}{provided}", tidy(&item.ty));
                (path, line)
            }
            TraitItem::Type(item) if !is_hidden(&item.attrs) => {
                let path = format!("{path}::{}", item.ident);
                let bounds = tidy(&item.bounds);
                let line = format!("type {path}{}{bounds}", if bounds.is_empty() { "" } else { ": " });
                (path, line)
            }
            _ => return,
        };
        self.add(&name, line);
    }
    /// Lists the public functions and the traits of a type. An impl is matched by the name of its type, and where two
    /// types have the same name, by its module.
    fn implementations(&mut self, module: &Module, place: &Place, of: &(Place, String), path: &str) {
        for item in &module.items {
            let Item::Impl(item) = item else { continue };
            let Type::Path(implemented) = &*item.self_ty else { continue };
            let Some(last) = implemented.path.segments.last().filter(|last| last.ident == of.1) else { continue };
            let namesake = self.reached.keys().any(|other| other.1 == of.1 && other.0 != of.0);
            if namesake && !place.starts_with(&of.0) {
                continue;
            }
            if let Some((_, implemented, _)) = &item.trait_ {
                let (notes, generics, implemented) = (notes(&item.attrs), tidy(&item.generics), tidy(implemented));
                let (arguments, clause) = (tidy(&last.arguments), where_clause(&item.generics));
                let line = format!("{notes}impl{generics} {implemented} for {path}{arguments}{clause}");
                self.add(path, line);
                continue;
            }
            for inner in &item.items {
                match inner {
                    ImplItem::Fn(inner) if is_public(&inner.vis) && !is_hidden(&inner.attrs) => {
                        let path = format!("{path}::{}", inner.sig.ident);
                        let line = format!("{}{}", notes(&inner.attrs), signature(&inner.sig, "pub ", &path));
                        self.add(&path, line);
                    }
                    ImplItem::Const(inner) if is_public(&inner.vis) && !is_hidden(&inner.attrs) => {
                        let path = format!("{path}::{}", inner.ident);
                        self.add(&path, format!("pub const {path}: {}", tidy(&inner.ty)));
                    }
                    _ => (),
                }
            }
        }
        for (name, child) in &module.children {
            self.implementations(child, &join(place, name), of, path);
        }
    }
}

fn join(path: &[String], name: &str) -> Place {
    [path, &[name.to_owned()]].concat()
}
fn is_public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}
fn path_of(attribute: &Attribute) -> String {
    tidy(attribute.path())
}
fn has(attributes: &[Attribute], name: &str) -> bool {
    attributes.iter().any(|attribute| path_of(attribute) == name)
}
fn is_hidden(attributes: &[Attribute]) -> bool {
    let is = |attribute: &Attribute, text| tidy(&attribute.meta) == text;
    attributes
        .iter()
        .any(|attribute| is(attribute, "doc(hidden)") || is(attribute, "cfg(test)") || is(attribute, "cfg(doctest)"))
}
/// Returns the attributes that concern a user of the item, each followed by a space.
fn notes(attributes: &[Attribute]) -> String {
    let of_interest = ["cfg", "derive", "must_use", "non_exhaustive", "deprecated"];
    let of_interest = attributes.iter().filter(|attribute| of_interest.contains(&&*path_of(attribute)));
    let mut notes: Vec<_> = of_interest
        .map(|attribute| match &attribute.meta {
            syn::Meta::NameValue(pair) => format!("#[{}] ", tidy(&pair.path)),
            meta => format!("#[{}] ", tidy(meta)),
        })
        .collect();
    notes.sort();
    notes.concat()
}
fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}
fn visibility(item: &Item) -> Option<&Visibility> {
    match item {
        Item::Const(item) => Some(&item.vis),
        Item::Enum(item) => Some(&item.vis),
        Item::Fn(item) => Some(&item.vis),
        Item::Static(item) => Some(&item.vis),
        Item::Struct(item) => Some(&item.vis),
        Item::Trait(item) => Some(&item.vis),
        Item::Type(item) => Some(&item.vis),
        _ => None,
    }
}
/// Returns the name of a definition, and `None` for modules, imports and impls.
fn ident_of(item: &Item) -> Option<String> {
    let ident = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Type(item) => &item.ident,
        _ => return None,
    };
    Some(ident.to_string())
}
/// Returns each imported path with the name that it gets.
fn uses(tree: &UseTree) -> Vec<(Vec<String>, String)> {
    match tree {
        UseTree::Path(path) => {
            let inner = uses(&path.tree).into_iter();
            inner.map(|(rest, name)| ([vec![path.ident.to_string()], rest].concat(), name)).collect()
        }
        UseTree::Name(name) => vec![(vec![name.ident.to_string()], name.ident.to_string())],
        UseTree::Rename(rename) => vec![(vec![rename.ident.to_string()], rename.rename.to_string())],
        UseTree::Group(group) => group.items.iter().flat_map(uses).collect(),
        UseTree::Glob(_) => panic!("a public import of everything cannot be listed: name the items"),
    }
}
fn signature(signature: &syn::Signature, visibility: &str, path: &str) -> String {
    let (is_const, is_async) = (signature.constness.is_some(), signature.asyncness.is_some());
    let mut inputs = signature.inputs.clone();
    for input in &mut inputs {
        match input {
            syn::FnArg::Receiver(receiver) if receiver.reference.is_none() => receiver.mutability = None,
            // The pattern of a parameter is not part of the API, unless it is its name.
            syn::FnArg::Typed(parameter) => {
                if let syn::Pat::Ident(pattern) = &mut *parameter.pat {
                    pattern.mutability = None;
                }
            }
            syn::FnArg::Receiver(_) => (),
        }
    }
    format!(
        "{visibility}{}{}fn {path}{}({}){}{}",
        if is_const { "const " } else { "" },
        if is_async { "async " } else { "" },
        tidy(&signature.generics),
        tidy(&inputs).trim_end_matches(','),
        match tidy(&signature.output) {
            output if output.is_empty() => output,
            output => format!(" {output}"),
        },
        where_clause(&signature.generics)
    )
}
fn where_clause(generics: &syn::Generics) -> String {
    match generics.where_clause.as_ref().map(tidy) {
        Some(clause) => format!(" {}", clause.trim_end_matches(',')),
        None => String::new(),
    }
}
/// Returns the tokens as text with the usual spaces.
fn tidy(tokens: &impl ToTokens) -> String {
    let mut text = tokens.to_token_stream().to_string();
    for (found, usual) in [
        (" :: ", "::"),
        (":: ", "::"),
        (" <", "<"),
        ("< ", "<"),
        (" >", ">"),
        (" ,", ","),
        (" ;", ";"),
        (" : ", ": "),
        ("& ", "&"),
        ("( ", "("),
        (" )", ")"),
        ("[ ", "["),
        (" ]", "]"),
        ("? ", "?"),
        (" ?", "?"),
        (" !", "!"),
        ("# [", "#["),
    ] {
        text = text.replace(found, usual);
    }
    // `Fn (A)` and `Step < T > (B)` lose their space, `-> (A, B)` and `, (A, B)` do not.
    let mut out = String::new();
    for (index, c) in text.char_indices() {
        let opens = text[index..].starts_with(" (");
        let after_name =
            out.ends_with(|c: char| c.is_alphanumeric() || c == '_') || (out.ends_with('>') && !out.ends_with("->"));
        let is_keyword = ["mut", "dyn", "impl", "as", "for", "where"].iter().any(|word| out.ends_with(word));
        if !(opens && after_name && !is_keyword) {
            out.push(c);
        }
    }
    out.replace("->", " -> ")
        .replace("  ->", " ->")
        .replace("->  ", "-> ")
        .replace(" +?", " + ?")
        .replace(":?", ": ?")
        .trim()
        .to_owned()
}
