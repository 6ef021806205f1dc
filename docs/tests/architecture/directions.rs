//! The direction of dependencies: the macros know no types, the core knows no broker, services know only contracts.
use crate::root;
use serde_json::Value;
use std::{collections::BTreeMap, process::Command};

/// A package, and the packages that it must never depend on, directly or not. Development dependencies are free.
const NEVER: &[(&str, &[&str])] = &[
    ("cqrs-macros", &["cqrs-core", "cqrs-kafka", "tokio", "sqlx"]),
    ("cqrs-core", &["cqrs-kafka", "rdkafka", "contracts"]),
    ("contracts", &["cqrs-kafka", "rdkafka", "gateway", "user-service", "counseling-service"]),
    ("gateway", &["user-service", "counseling-service", "service-edge", "cqrs-kafka", "rdkafka"]),
    ("service-edge", &["gateway", "user-service", "counseling-service"]),
    ("image-store", &["gateway", "user-service", "counseling-service", "service-edge", "rdkafka"]),
    ("visible-text", &["cqrs-core", "gateway", "user-service", "counseling-service", "service-edge"]),
    ("user-service", &["counseling-service", "gateway"]),
    ("counseling-service", &["user-service", "gateway"]),
];

#[test]
fn dependencies_point_inwards() {
    let graph = graph();
    assert!(graph.len() > 100, "the dependency graph is incomplete: {} packages", graph.len());
    let broken: Vec<_> = NEVER
        .iter()
        .flat_map(|(from, never)| never.iter().filter(|to| reaches(&graph, from, to)).map(move |to| (from, to)))
        .collect();
    assert!(broken.is_empty(), "packages that depend on a package they must not know: {broken:?}");
}

#[test]
fn an_indirect_dependency_is_found() {
    let graph = [("a", vec!["b"]), ("b", vec!["c"]), ("c", vec![])];
    let graph = graph.map(|(from, to)| (from.to_owned(), to.into_iter().map(str::to_owned).collect())).into();
    assert!(reaches(&graph, "a", "c") && !reaches(&graph, "c", "a"));
}

fn reaches(graph: &BTreeMap<String, Vec<String>>, from: &str, to: &str) -> bool {
    let (mut open, mut seen) = (vec![from], Vec::new());
    while let Some(here) = open.pop() {
        let Some(next) = graph.get(here) else { continue };
        for name in next.iter().filter(|name| !seen.contains(name)).collect::<Vec<_>>() {
            if name == to {
                return true;
            }
            seen.push(name);
            open.push(name);
        }
    }
    false
}

/// Returns the output of `cargo metadata` for the host: every package's dependencies under the default features.
///
/// Without `--filter-platform` cargo reads the manifests of packages for every other platform as well. A fresh machine has
/// never downloaded those, since a build needs only the host's, and `--offline` forbids to fetch them now. All packages of
/// the host are there, because this test itself was built from the same lock file.
pub(crate) fn metadata() -> Value {
    let host = host();
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["metadata", "--format-version=1", "--offline", "--locked", "--filter-platform", &host]);
    let out = cargo.current_dir(root()).output().unwrap_or_else(|error| panic!("cargo metadata: {error}"));
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    serde_json::from_slice(&out.stdout).unwrap_or_else(|error| panic!("cargo metadata: {error}"))
}

/// Returns the target triple of the machine that the tests run on, as the compiler names it.
///
/// Cargo sets `RUSTC` for build scripts only, so it is used where somebody has set it, and `rustc` otherwise.
fn host() -> String {
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let out = Command::new(&rustc).arg("-vV").current_dir(root()).output();
    let out = out.unwrap_or_else(|error| panic!("{rustc} -vV: {error}"));
    let text = String::from_utf8_lossy(&out.stdout);
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.unwrap_or_else(|| panic!("{rustc} -vV names no host: {text}")).to_owned()
}

fn graph() -> BTreeMap<String, Vec<String>> {
    let metadata = metadata();
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let names: BTreeMap<_, _> =
        list(&metadata["packages"]).iter().map(|package| (text(&package["id"]), text(&package["name"]))).collect();
    let name = |id: &Value| names.get(&text(id)).cloned().unwrap_or_default();
    let outside_tests = |dep: &Value| list(&dep["dep_kinds"]).iter().any(|kind| kind["kind"] != "dev");
    let nodes = list(&metadata["resolve"]["nodes"]);
    let next = |node: &Value| {
        list(&node["deps"]).iter().filter(|dep| outside_tests(dep)).map(|dep| name(&dep["pkg"])).collect()
    };
    nodes.iter().map(|node| (name(&node["id"]), next(node))).collect()
}
