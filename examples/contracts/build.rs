//! Compiles `proto/` to Rust without a system `protoc`: messages, clients, servers, and integration events.
use protox::prost_reflect::{
    Cardinality, DescriptorPool, DynamicMessage, ExtensionDescriptor, Kind, MessageDescriptor,
};
use std::{
    collections::BTreeSet,
    env,
    error::Error,
    fs, io,
    path::{Path, PathBuf},
};

fn main() -> Result<(), Box<dyn Error>> {
    let proto = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("../../proto");
    println!("cargo:rerun-if-changed={}", proto.display());
    let out = PathBuf::from(env::var("OUT_DIR")?);

    let mut compiler = protox::Compiler::new([&proto])?;
    compiler.include_imports(true).include_source_info(true).open_files(proto_files(&proto)?)?;
    fs::write(out.join("descriptors.bin"), compiler.encode_file_descriptor_set())?;
    fs::write(out.join("events.rs"), events(&compiler.descriptor_pool()))?;
    tonic_prost_build::configure().compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}

/// Returns the files in sorted order, so that the generated code does not depend on the file system.
fn proto_files(folder: &Path) -> io::Result<BTreeSet<PathBuf>> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.append(&mut proto_files(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "proto") {
            found.insert(path);
        }
    }
    Ok(found)
}

/// Generates Rust from the options of `common/v1/event.proto`. An error in them fails the build, because nothing later
/// checks them.
fn events(pool: &DescriptorPool) -> String {
    let option = |name| pool.get_extension_by_name(name).unwrap_or_else(|| panic!("{name} is not declared"));
    let (topic, event) = (option("com.hearlers.v1.common.topic"), option("com.hearlers.v1.common.event"));

    let (mut names, mut topics, mut code) = (BTreeSet::new(), BTreeSet::new(), String::new());
    for message in pool.all_messages().filter(|message| message.options().has_extension(&event)) {
        let options = message.options();
        let options = options.get_extension(&event);
        let options = options.as_message().expect("an EventContract");
        let (name, key) = (text(options, "name"), text(options, "key"));
        let topic = file_topic(&message, &topic);
        assert!(names.insert(name.clone()), "two events have the name {name}");
        assert!(
            is_plain_string(&message, &key),
            "{}: the key `{key}` is not a plain string field",
            message.full_name()
        );
        code += &implementation(message.name(), &name, &topic, &key);
        topics.insert(topic);
    }
    format!(
        "/// The topics of all events.\npub const TOPICS: &[&str] = &{:?};\n{code}",
        topics.iter().collect::<Vec<_>>()
    )
}

fn text(options: &DynamicMessage, field: &str) -> String {
    let value = options.get_field_by_name(field).expect("a field of EventContract");
    value.as_str().expect("a string").to_owned()
}

fn file_topic(message: &MessageDescriptor, topic: &ExtensionDescriptor) -> String {
    let file = message.parent_file();
    assert!(file.options().has_extension(topic), "{} has events but no topic", file.name());
    file.options().get_extension(topic).as_str().expect("a string").to_owned()
}

fn is_plain_string(message: &MessageDescriptor, field: &str) -> bool {
    message.get_field_by_name(field).is_some_and(|field| {
        field.kind() == Kind::String && field.cardinality() != Cardinality::Repeated && !field.supports_presence()
    })
}

fn implementation(message: &str, name: &str, topic: &str, key: &str) -> String {
    format!(
        r#"
impl ::cqrs_core::IntegrationEvent for {message} {{
    const NAME: &'static str = {name:?};
    const TOPIC: &'static str = {topic:?};
    const CONTENT_TYPE: &'static str = "application/protobuf";
    fn key(&self) -> String {{
        self.{key}.clone()
    }}
    fn encode(&self) -> Result<Vec<u8>, ::cqrs_core::BoxError> {{
        Ok(::prost::Message::encode_to_vec(self))
    }}
    fn decode(bytes: &[u8]) -> Result<Self, ::cqrs_core::BoxError> {{
        Ok(::prost::Message::decode(bytes)?)
    }}
}}
impl ::cqrs_core::Subscribable for {message} {{
    const SOURCE: ::cqrs_core::Source = ::cqrs_core::Source::Topic {{
        topic: <Self as ::cqrs_core::IntegrationEvent>::TOPIC,
        name: <Self as ::cqrs_core::IntegrationEvent>::NAME,
        content_type: <Self as ::cqrs_core::IntegrationEvent>::CONTENT_TYPE,
    }};
    fn decode(_name: &str, _schema: u32, bytes: &[u8]) -> Result<Self, ::cqrs_core::BoxError> {{
        <Self as ::cqrs_core::IntegrationEvent>::decode(bytes)
    }}
}}
"#
    )
}
