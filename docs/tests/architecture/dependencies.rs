//! Crates that must not be in `Cargo.lock`, and where its packages come from: what `deny.toml` says, without a download.
use crate::{read, root};
use std::collections::BTreeMap;

/// Crates with an open advisory, or a second implementation of something that is there already. `deny.toml` has the same list.
const BANNED: &[(&str, &str)] = &[
    ("rsa", "RUSTSEC-2023-0071: its timing reveals private keys"),
    ("openssl", "TLS is rustls; OpenSSL is linked into librdkafka alone"),
    ("native-tls", "TLS is rustls"),
    ("aws-lc-rs", "the cryptography is ring"),
    ("dotenv", "RUSTSEC-2021-0141: not maintained"),
    ("serde_yaml", "not maintained"),
    ("atty", "not maintained"),
];
/// The only source of packages that are not in this repository.
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// The packages of a lock file by name, each with its sources.
fn packages(lock: &str) -> BTreeMap<&str, Vec<&str>> {
    let mut packages: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for package in lock.split("[[package]]").skip(1) {
        let field = |name: &str| {
            let line = package.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(" = \""));
            line.and_then(|line| line.strip_suffix('"'))
        };
        let name = field("name").unwrap_or_default();
        packages.entry(name).or_default().extend(field("source"));
    }
    packages
}
/// Returns the banned packages of a lock file, and those of another source.
fn wrong(lock: &str) -> Vec<String> {
    let packages = packages(lock);
    let banned = BANNED.iter().filter(|(name, _)| packages.contains_key(name));
    let foreign = packages.iter().filter(|(_, sources)| sources.iter().any(|source| *source != REGISTRY));
    let banned = banned.map(|(name, reason)| format!("{name}: {reason}"));
    banned.chain(foreign.map(|(name, sources)| format!("{name}: from {sources:?}"))).collect()
}

#[test]
fn no_banned_crate_is_locked_and_all_are_from_the_registry() {
    let lock = read(&root().join("Cargo.lock"));
    assert!(packages(&lock).len() > 200, "the lock file was not read");
    let wrong = wrong(&lock);
    assert!(wrong.is_empty(), "Cargo.lock:\n{}", wrong.join("\n"));
}

#[test]
fn deny_toml_bans_the_same_crates() {
    let deny = read(&root().join("deny.toml"));
    for (name, _) in BANNED {
        assert!(deny.contains(&format!("crate = \"{name}\"")), "deny.toml does not ban {name}");
    }
    assert!(deny.contains("unknown-registry = \"deny\"") && deny.contains("unknown-git = \"deny\""));
}

#[test]
fn a_banned_crate_and_another_source_are_found() {
    let locked = |name: &str, source: &str| format!("[[package]]\nname = \"{name}\"\nversion = \"1.0.0\"\n{source}\n");
    let registry = format!("source = \"{REGISTRY}\"");
    assert!(wrong(&(locked("serde", &registry) + &locked("gateway", ""))).is_empty());
    assert_eq!(wrong(&locked("rsa", &registry)).len(), 1);
    assert_eq!(wrong(&locked("serde", "source = \"git+https://example.org/serde\"")).len(), 1);
}
