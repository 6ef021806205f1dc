//! Who may depend on whom: macros know no types, core knows no broker, services know only contracts.
use crate::root;
use serde_json::Value;
use std::{collections::BTreeMap, process::Command};

/// A package, and what it must never depend on, directly or not. Development dependencies are free.
const NEVER: &[(&str, &[&str])] = &[
    ("cqrs-macros", &["cqrs-core", "cqrs-kafka", "tokio", "sqlx"]),
    ("cqrs-core", &["cqrs-kafka", "rdkafka", "contracts"]),
    ("contracts", &["cqrs-kafka", "rdkafka", "gateway", "user-service", "counseling-service"]),
    ("gateway", &["user-service", "counseling-service", "cqrs-kafka", "rdkafka"]),
    ("user-service", &["counseling-service", "gateway"]),
    ("counseling-service", &["user-service", "gateway"]),
];

#[test]
fn dependencies_point_inwards() {
    let graph = graph();
    assert!(graph.len() > 100, "the graph is not there: {} packages", graph.len());
    let broken: Vec<_> = NEVER
        .iter()
        .flat_map(|(from, never)| never.iter().filter(|to| reaches(&graph, from, to)).map(move |to| (from, to)))
        .collect();
    assert!(broken.is_empty(), "these depend on what they must not know: {broken:?}");
}

#[test]
fn a_way_round_is_found() {
    let graph = [("a", vec!["b"]), ("b", vec!["c"]), ("c", vec![])];
    let graph = graph.map(|(from, to)| (from.to_owned(), to.into_iter().map(str::to_owned).collect())).into();
    assert!(reaches(&graph, "a", "c") && !reaches(&graph, "c", "a"));
}

fn reaches(graph: &BTreeMap<String, Vec<String>>, from: &str, to: &str) -> bool {
    let (mut open, mut seen) = (vec![from], Vec::new());
    while let Some(here) = open.pop() {
        let Some(next) = graph.get(here) else { continue };
        for it in next.iter().filter(|it| !seen.contains(it)).collect::<Vec<_>>() {
            if it == to {
                return true;
            }
            seen.push(it);
            open.push(it);
        }
    }
    false
}

/// What `cargo metadata` knows: every package's normal and build dependencies that are switched on by default.
pub(crate) fn metadata() -> Value {
    let mut cargo = Command::new(env!("CARGO"));
    // Of this platform alone: the packages of others are not downloaded by a build here, and a fresh machine lacks them.
    cargo.args(["metadata", "--format-version=1", "--offline", "--locked", "--filter-platform", &host()]);
    let out = cargo.current_dir(root()).output();
    let out = out.unwrap_or_else(|error| panic!("cargo metadata: {error}"));
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    serde_json::from_slice(&out.stdout).unwrap_or_else(|error| panic!("cargo metadata: {error}"))
}

/// The target triple that this compiler builds for by default.
fn host() -> String {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let out = Command::new(&rustc).arg("-vV").output();
    let out = out.unwrap_or_else(|error| panic!("{}: {error}", rustc.to_string_lossy()));
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.unwrap_or_else(|| panic!("rustc -vV names no host: {text}")).to_owned()
}

fn graph() -> BTreeMap<String, Vec<String>> {
    let metadata = metadata();
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let names: BTreeMap<_, _> =
        list(&metadata["packages"]).iter().map(|it| (text(&it["id"]), text(&it["name"]))).collect();
    let name = |id: &Value| names.get(&text(id)).cloned().unwrap_or_default();
    let outside_tests = |dep: &Value| list(&dep["dep_kinds"]).iter().any(|kind| kind["kind"] != "dev");
    let nodes = list(&metadata["resolve"]["nodes"]);
    let next =
        |node: &Value| list(&node["deps"]).iter().filter(|it| outside_tests(it)).map(|it| name(&it["pkg"])).collect();
    nodes.iter().map(|node| (name(&node["id"]), next(node))).collect()
}
