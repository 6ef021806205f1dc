//! The compose file of the deployment, read as text: there is no Docker in the tests.
use crate::{files, read, root};
use std::collections::{BTreeMap, BTreeSet};

fn compose() -> String {
    read(&root().join("examples/deploy/compose.yaml"))
}

/// Returns the entries of a top-level section by name, each with its lines.
fn section(text: &str, name: &str) -> BTreeMap<String, String> {
    let lines = text.lines().skip_while(|line| line.trim_end() != format!("{name}:")).skip(1);
    let lines = lines.take_while(|line| line.is_empty() || line.starts_with([' ', '#']));
    let (mut entries, mut last) = (BTreeMap::<String, String>::new(), String::new());
    for line in lines.filter(|line| !line.trim_start().starts_with('#')) {
        let is_entry = line.starts_with("  ") && !line.starts_with("   ");
        if let Some((entry, rest)) = line.trim().split_once(':').filter(|_| is_entry) {
            last = entry.to_owned();
            entries.insert(last.clone(), rest.to_owned());
        } else if let Some(entry) = entries.get_mut(&last) {
            *entry += line;
            entry.push('\n');
        }
    }
    entries
}
/// Returns the words of a text that begin with `prefix`.
fn words<'a>(text: &'a str, prefix: &str) -> BTreeSet<&'a str> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/_.-".contains(c);
    text.split(|c| !is_plain(c)).filter(|word| word.starts_with(prefix)).collect()
}

#[test]
fn every_container_is_hardened_and_has_its_networks() {
    let text = compose();
    let services = section(&text, "services");
    assert!(services.len() >= 9 && section(&text, "secrets").len() > 20, "the file was not read: {services:?}");
    for (name, service) in &services {
        assert!(service.contains("<<: *hardened") || service.contains("<<: *once"), "{name} is not hardened");
        assert!(service.contains("    networks: ["), "{name} is on the default network");
        assert!(!service.contains("privileged: true") && !service.contains("network_mode: host"), "{name}");
        assert!(
            !service.contains("PASSWORD:") && !service.contains("SECRET:"),
            "{name} has a secret in its environment"
        );
        let publishes = service.contains("    ports:");
        assert_eq!(publishes, name == "gateway", "{name}: only the gateway is reachable from outside");
    }
    let hardened = text.split("x-hardened:").nth(1).and_then(|rest| rest.split("\n\n").next()).unwrap_or_default();
    for setting in ["read_only: true", "cap_drop: [ALL]", "no-new-privileges:true", "pids_limit", "mem_limit", "cpus"] {
        assert!(hardened.contains(setting), "no {setting}");
    }
    for closed in ["calls", "data"] {
        assert!(section(&text, "networks")[closed].contains("internal: true"), "{closed} has a way out");
    }
}

#[test]
fn every_setting_of_the_compose_file_is_one_of_a_program() {
    let code: String = files(&root().join("examples"), "rs").iter().map(|file| read(file)).collect();
    let text = compose();
    let settings = words(&text, "HEARLERS_");
    assert!(settings.len() > 20, "{settings:?}");
    let unknown: Vec<_> = settings.iter().filter(|name| !code.contains(&format!("env = \"{name}\""))).collect();
    assert!(unknown.is_empty(), "compose.yaml sets what no program reads: {unknown:?}");
}

#[test]
fn every_secret_is_given_to_the_container_that_reads_it_and_is_made() {
    let text = compose();
    let secrets = section(&text, "secrets");
    let made = read(&root().join("examples/deploy/make-secrets"));
    for (name, secret) in &secrets {
        assert!(secret.contains(&format!("file: ./secrets/{name}")), "{name}: {secret}");
        let stem = name.trim_end_matches(".crt").trim_end_matches(".key").trim_end_matches(".pem");
        let stem = stem.trim_end_matches("_call_key");
        assert!(made.contains(stem), "make-secrets does not make {name}");
    }
    for (name, service) in section(&text, "services") {
        let given = service.split("    secrets:").nth(1).unwrap_or_default();
        for path in words(&service, "/run/secrets/") {
            let file = path.trim_start_matches("/run/secrets/");
            // The scripts of the databases compose the name of their role.
            let is_composed = file == "database_";
            assert!(is_composed || given.contains(file) || file.starts_with("tls."), "{name} is not given {file}");
        }
    }
}
