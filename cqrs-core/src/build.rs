//! Generates integration events and commands to other services from protobuf contracts, for build scripts.
//!
//! A message becomes an integration event by two options, which the crate ships ([`include`]):
//!
//! ```proto
//! import "cqrs/v1/integration_event.proto";
//!
//! option (cqrs.v1.topic) = "user.events.v1";
//!
//! message UserRegistered {
//!   option (cqrs.v1.event) = {name: "com.example.user.registered.v1", key: "user_id"};
//!   string user_id = 1;
//! }
//! ```
//!
//! A command to another service has the option `cqrs.v1.command` instead, in a file with the topic of that service:
//!
//! ```proto
//! import "cqrs/v1/integration_event.proto";
//!
//! option (cqrs.v1.topic) = "inventory.commands.v1";
//!
//! message ReserveGoods {
//!   option (cqrs.v1.command) = {name: "com.example.inventory.reserve.v1", key: "order_id"};
//!   string order_id = 1;
//! }
//! ```
//!
//! The build script compiles the messages with prost or tonic, and writes the other half with [`Protos`]. Neither needs
//! an installed `protoc`. The feature `build` alone, without the default features, depends on nothing of the runtime:
//!
//! ```toml
//! [build-dependencies]
//! cqrs-core = { version = "0.1", default-features = false, features = ["build"] }
//! ```
use heck::{ToSnakeCase, ToUpperCamelCase};
use protox::prost_reflect::{
    Cardinality, DescriptorPool, DynamicMessage, ExtensionDescriptor, Kind, MessageDescriptor,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs, io,
    path::{Path, PathBuf},
};

/// Returns the folder to include for `import "cqrs/v1/integration_event.proto"`. [`Protos::compile`] includes it.
pub fn include() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/proto"))
}

/// The compiled `.proto` files of a folder.
///
/// ```no_run
/// # fn generate_messages(_: impl Sized) -> Result<(), cqrs_core::build::ProtoError> { Ok(()) }
/// // build.rs
/// fn main() -> Result<(), cqrs_core::build::ProtoError> {
///     let protos = cqrs_core::build::Protos::compile("proto")?;
///     protos.write_integration_events()?;
///     // With tonic: tonic_prost_build::configure().compile_fds(protos.file_descriptor_set())
///     generate_messages(protos.file_descriptor_set())
/// }
/// ```
///
/// Each package with integration events gets a file `<package>.events.rs`. It belongs beside the messages:
///
/// ```ignore
/// mod events {
///     tonic::include_proto!("com.example.user");
///     include!(concat!(env!("OUT_DIR"), "/com.example.user.events.rs"));
/// }
/// ```
#[derive(Debug)]
pub struct Protos {
    pool: DescriptorPool,
    descriptors: prost_types::FileDescriptorSet,
    encoded: Vec<u8>,
}

/// An error in `.proto` files, or in the access to them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProtoError {
    /// A file or folder cannot be read or written.
    #[error("{0}: {1}")]
    File(PathBuf, #[source] io::Error),
    /// A file does not compile.
    #[error("{0}")]
    Compile(#[from] protox::Error),
    /// The options of an integration event are incomplete or wrong.
    #[error("{file}: the integration event {message} {problem}")]
    Event {
        /// The file of the message.
        file: String,
        /// The full name of the message.
        message: String,
        /// The mistake, as the rest of the sentence.
        problem: String,
    },
    /// The options of a command to another service are incomplete or wrong.
    #[error("{file}: the remote command {message} {problem}")]
    Command {
        /// The file of the message.
        file: String,
        /// The full name of the message.
        message: String,
        /// The mistake, as the rest of the sentence.
        problem: String,
    },
}

impl Protos {
    /// Compiles every `.proto` file in a folder and its subfolders. Cargo runs the build script again when one changes.
    ///
    /// # Errors
    /// Fails when a file cannot be read or does not compile.
    pub fn compile(folder: impl AsRef<Path>) -> Result<Self, ProtoError> {
        let folder = folder.as_ref();
        println!("cargo:rerun-if-changed={}", folder.display());
        let mut compiler = protox::Compiler::new([folder, include()])?;
        compiler.include_imports(true).include_source_info(true).open_files(proto_files(folder)?)?;
        Ok(Protos {
            pool: compiler.descriptor_pool(),
            descriptors: compiler.file_descriptor_set(),
            encoded: compiler.encode_file_descriptor_set(),
        })
    }
    /// Returns the descriptors of the files and their imports, for the code generators of prost and tonic.
    pub fn file_descriptor_set(&self) -> prost_types::FileDescriptorSet {
        self.descriptors.clone()
    }
    /// Returns the encoded descriptors with all options, for server reflection and tests.
    pub fn encoded_descriptors(&self) -> &[u8] {
        &self.encoded
    }
    /// Writes the impls of `IntegrationEvent` and `Subscribable` for all integration events, the impls of
    /// `RemoteCommand` for all commands to other services, and the lists `TOPICS` and `COMMAND_TOPICS` of their topics,
    /// to a file `<package>.events.rs` in `OUT_DIR` for each package.
    ///
    /// # Errors
    /// Fails as [`integration_events`](Self::integration_events) does, and when a file cannot be written.
    pub fn write_integration_events(&self) -> Result<(), ProtoError> {
        let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
        for (package, code) in self.integration_events()? {
            let path = out.join(format!("{package}.events.rs"));
            fs::write(&path, code).map_err(|error| ProtoError::File(path, error))?;
        }
        Ok(())
    }
    /// Generates the code of the integration events and remote commands of each package. The crate that contains it
    /// needs `cqrs-core` and `prost`.
    ///
    /// # Errors
    /// Fails when an integration event or a command has no topic, name or key, when its key is not a string field, when
    /// another one has its name, and when a message is both.
    pub fn integration_events(&self) -> Result<BTreeMap<String, String>, ProtoError> {
        let option = |name| self.pool.get_extension_by_name(name);
        // Without a file that imports the options there are no integration events and no commands.
        let (Some(topic), Some(event), Some(command)) =
            (option("cqrs.v1.topic"), option("cqrs.v1.event"), option("cqrs.v1.command"))
        else {
            return Ok(BTreeMap::new());
        };
        let mut names: BTreeMap<String, String> = BTreeMap::new();
        let mut packages: BTreeMap<String, Package> = BTreeMap::new();
        for message in self.pool.all_messages() {
            let options = message.options();
            let (is_event, is_command) = (options.has_extension(&event), options.has_extension(&command));
            if !is_event && !is_command {
                continue;
            }
            let wrong = |problem: String| {
                let (file, message) = (message.parent_file().name().to_owned(), message.full_name().to_owned());
                match is_event {
                    true => ProtoError::Event { file, message, problem },
                    false => ProtoError::Command { file, message, problem },
                }
            };
            if is_event && is_command {
                return Err(wrong("is a command, too: give each a message of its own".into()));
            }
            let option = if is_event { &event } else { &command };
            let found = Options::of(&message, &topic, option).map_err(wrong)?;
            if let Some(other) = names.insert(found.name.clone(), message.full_name().to_owned()) {
                return Err(wrong(format!("has the name `{}`, which {other} has too", found.name)));
            }
            let package = packages.entry(message.package_name().to_owned()).or_default();
            if is_event {
                package.code.push_str(&found.integration_event(message.name()));
                package.topics.insert(found.topic);
            } else {
                package.code.push_str(&found.remote_command(message.name()));
                package.command_topics.insert(found.topic);
            }
        }
        Ok(packages.into_iter().map(|(name, package)| (name, package.code())).collect())
    }
}

/// The topics and the generated code of one package.
#[derive(Default)]
struct Package {
    topics: BTreeSet<String>,
    command_topics: BTreeSet<String>,
    code: String,
}
impl Package {
    fn code(self) -> String {
        let list = |topics: BTreeSet<String>| topics.into_iter().collect::<Vec<_>>();
        let (topics, commands, code) = (list(self.topics), list(self.command_topics), self.code);
        let mut all = format!("/// The topics of all integration events.\npub const TOPICS: &[&str] = &{topics:?};\n");
        if !commands.is_empty() {
            all.push_str(&format!(
                "/// The topics of all commands to other services.\npub const COMMAND_TOPICS: &[&str] = &{commands:?};\n"
            ));
        }
        all + &code
    }
}

/// The options of one integration event, or of one command.
struct Options {
    topic: String,
    name: String,
    key: String,
}
impl Options {
    fn of(
        message: &MessageDescriptor,
        topic: &ExtensionDescriptor,
        event: &ExtensionDescriptor,
    ) -> Result<Self, String> {
        if message.parent_message().is_some() {
            return Err("is inside another message: move it to the top level of the file".into());
        }
        let (own, file) = (message.options(), message.parent_file().options());
        let own = own.get_extension(event);
        let text = |field| own.as_message().map_or_else(String::new, |own| text(own, field));
        let (topic, name, key) = (file.get_extension(topic), text("name"), text("key"));
        let topic = topic.as_str().unwrap_or_default().to_owned();
        if topic.is_empty() {
            return Err("has no topic: write `option (cqrs.v1.topic) = \"...\";` in its file".into());
        }
        for (option, value) in [("topic", &topic), ("name", &name)] {
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
            if value.is_empty() {
                return Err(format!("has no {option}"));
            }
            if value.len() > 249 || !value.chars().all(plain) {
                return Err(format!(
                    "has the {option} `{value}`: only 1 to 249 of a-z, A-Z, 0-9, `.`, `-`, `_` are allowed"
                ));
            }
        }
        if key.is_empty() {
            return Err("has no key: it names the string field whose value keeps the order".into());
        }
        if !is_plain_string(message, &key) {
            return Err(format!("has the key `{key}`, which is not a string field that is always there"));
        }
        Ok(Options { topic, name, key })
    }
    /// Writes the impls of an integration event.
    fn integration_event(&self, message: &str) -> String {
        let (ty, members) = (message.to_upper_camel_case(), self.members());
        format!(
            r#"
impl ::cqrs_core::IntegrationEvent for {ty} {{{members}}}
impl ::cqrs_core::Subscribable for {ty} {{
    const SOURCE: ::cqrs_core::Source = ::cqrs_core::Source::Topic {{
        topic: <Self as ::cqrs_core::IntegrationEvent>::TOPIC,
        name: <Self as ::cqrs_core::IntegrationEvent>::NAME,
        content_type: <Self as ::cqrs_core::IntegrationEvent>::CONTENT_TYPE,
    }};
    type AggregateId = ();
    fn aggregate_id(_: &str) -> ::core::result::Result<(), ::cqrs_core::BoxError> {{
        ::core::result::Result::Ok(())
    }}
    fn decode(_: &str, _: u32, bytes: &[u8]) -> ::core::result::Result<Self, ::cqrs_core::BoxError> {{
        <Self as ::cqrs_core::IntegrationEvent>::decode(bytes)
    }}
}}
"#
        )
    }
    /// Writes the impl of a command.
    fn remote_command(&self, message: &str) -> String {
        let (ty, members) = (message.to_upper_camel_case(), self.members());
        format!("\nimpl ::cqrs_core::RemoteCommand for {ty} {{{members}}}\n")
    }
    /// Writes what both have in common. Type and field have the names that prost gives them; `r#` makes a keyword a
    /// name.
    fn members(&self) -> String {
        let (Options { topic, name, .. }, key) = (self, self.key.to_snake_case());
        format!(
            r#"
    const NAME: &'static str = {name:?};
    const TOPIC: &'static str = {topic:?};
    const CONTENT_TYPE: &'static str = "application/protobuf";
    fn key(&self) -> ::std::string::String {{
        self.r#{key}.clone()
    }}
    fn encode(&self) -> ::core::result::Result<::std::vec::Vec<u8>, ::cqrs_core::BoxError> {{
        ::core::result::Result::Ok(::prost::Message::encode_to_vec(self))
    }}
    fn decode(bytes: &[u8]) -> ::core::result::Result<Self, ::cqrs_core::BoxError> {{
        ::core::result::Result::Ok(::prost::Message::decode(bytes)?)
    }}
"#
        )
    }
}

fn text(options: &DynamicMessage, field: &str) -> String {
    let value = options.get_field_by_name(field);
    value.and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

fn is_plain_string(message: &MessageDescriptor, field: &str) -> bool {
    message.get_field_by_name(field).is_some_and(|field| {
        field.kind() == Kind::String && field.cardinality() != Cardinality::Repeated && !field.supports_presence()
    })
}

/// Returns the files in sorted order, so that the generated code does not depend on the file system.
fn proto_files(folder: &Path) -> Result<BTreeSet<PathBuf>, ProtoError> {
    let failed = |error| ProtoError::File(folder.to_owned(), error);
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.is_dir() {
            found.append(&mut proto_files(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "proto") {
            found.insert(path);
        }
    }
    Ok(found)
}
