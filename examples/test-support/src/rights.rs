//! Access control lists of a Kafka node, changed with the requests of Kafka's admin clients.
//!
//! The requests are written here because neither librdkafka's Rust client nor the jars that `examples/deploy/kafka-jars`
//! fetches can make them (`kafka-acls` is in `kafka-tools`).

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, ensure};

/// The longest time that the node may take to respond.
const PATIENCE: Duration = Duration::from_secs(10);
/// The settings of a node that checks the rights of its clients. A resource without any rule is open to everybody, so that
/// the node needs no rules for itself.
pub(crate) const SETTINGS: &str = "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer\n\
    allow.everyone.if.no.acl.found=true\n";
/// The principal of a client without authentication.
const EVERYBODY: &str = "User:ANONYMOUS";

/// A right of the clients of a node: an operation on a topic or a consumer group.
///
/// As soon as a resource has one right, only the operations that it has rights for are allowed on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Right<'a> {
    /// The topic or the group.
    pub resource: Resource<'a>,
    /// The operation.
    pub operation: Operation,
}

/// The resource of a [`Right`], by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource<'a> {
    Topic(&'a str),
    Group(&'a str),
}

/// An operation on a resource. `Read` and `Write` include `Describe`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    Read = 3,
    Write = 4,
    Create = 5,
    Describe = 8,
    DescribeConfigs = 10,
}

impl Right<'_> {
    /// Grants the right (`CreateAcls`).
    pub(crate) fn grant(self, node: SocketAddr) -> anyhow::Result<()> {
        request(node, 30, self.rule())
    }

    /// Takes the right away (`DeleteAcls`).
    pub(crate) fn revoke(self, node: SocketAddr) -> anyhow::Result<()> {
        request(node, 31, self.rule())
    }

    fn rule(self) -> Vec<u8> {
        rule(EVERYBODY, self.resource, false, self.operation)
    }
}

/// Allows a principal, such as `User:kim`, an operation on a resource, or on all whose names begin with its name
/// (`CreateAcls`).
pub(crate) fn allow(
    node: SocketAddr,
    principal: &str,
    resource: Resource<'_>,
    is_prefix: bool,
    operation: Operation,
) -> anyhow::Result<()> {
    request(node, 30, rule(principal, resource, is_prefix, operation))
}

/// Returns a list of one rule. A rule to create and a filter of rules to delete have the same fields.
fn rule(principal: &str, resource: Resource<'_>, is_prefix: bool, operation: Operation) -> Vec<u8> {
    const LITERAL: u8 = 3;
    const PREFIXED: u8 = 4;
    const ALLOW: u8 = 3;
    let (kind, name) = match resource {
        Resource::Topic(name) => (2, name),
        Resource::Group(name) => (3, name),
    };
    let mut rule = vec![0, 0, 0, 1, kind];
    text(&mut rule, name);
    rule.push(if is_prefix { PREFIXED } else { LITERAL });
    text(&mut rule, principal);
    text(&mut rule, "*"); // from every address
    rule.extend([operation as u8, ALLOW]);
    rule
}

/// Appends a string in Kafka's format.
fn text(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend((text.len() as u16).to_be_bytes()); // names of topics and groups are shorter
    bytes.extend(text.as_bytes());
}

/// Sends version 1 of a request whose response begins with the throttle time, the number of results, and the error code of
/// the first.
fn request(node: SocketAddr, api: u16, body: Vec<u8>) -> anyhow::Result<()> {
    let mut message = Vec::new();
    message.extend(api.to_be_bytes());
    message.extend([0, 1, 0, 0, 0, 7, 255, 255]); // version 1, correlation id, no client id
    message.extend(body);
    let mut connection = TcpStream::connect_timeout(&node, PATIENCE).context("Kafka cannot be reached")?;
    connection.set_read_timeout(Some(PATIENCE))?;
    connection.write_all(&u32::try_from(message.len())?.to_be_bytes())?;
    connection.write_all(&message)?;
    let mut response = [0; 18]; // length, correlation id, throttle time, number of results, error code
    connection.read_exact(&mut response).context("Kafka does not respond to a change of rights")?;
    let error = i16::from_be_bytes([response[16], response[17]]);
    ensure!(error == 0, "Kafka refused to change rights: error code {error}");
    Ok(())
}
