//! `fields.txt` lists all that others rely on. A change of it may add lines, and do nothing else.
use expect_test::expect_file;
use protox::prost_reflect::{
    DescriptorPool, EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor, MethodDescriptor, ServiceDescriptor,
};

#[test]
fn promises_are_kept() {
    let pool = DescriptorPool::decode(contracts::FILE_DESCRIPTOR_SET).unwrap();
    let ours = |name: &str| name.starts_with("com.hearlers.");
    let mut promised: Vec<String> = [
        pool.all_messages().filter(|it| ours(it.full_name())).flat_map(fields).collect::<Vec<_>>(),
        pool.all_enums().filter(|it| ours(it.full_name())).flat_map(values).collect(),
        pool.services().flat_map(rpcs).collect(),
        pool.all_messages().filter_map(event).collect(),
    ]
    .concat();
    promised.sort();
    expect_file!["fields.txt"].assert_eq(&(promised.join("\n") + "\n"));
}

fn fields(message: MessageDescriptor) -> Vec<String> {
    let line = |field: FieldDescriptor| {
        let label = match field.field_descriptor_proto() {
            it if it.proto3_optional() => "optional ",
            _ if field.is_list() => "repeated ",
            _ => "",
        };
        format!("{} = {} {label}{}", field.full_name(), field.number(), kind(&field))
    };
    message.fields().map(line).collect()
}

fn kind(field: &FieldDescriptor) -> String {
    match field.kind() {
        Kind::Message(it) => it.full_name().to_owned(),
        Kind::Enum(it) => it.full_name().to_owned(),
        scalar => format!("{scalar:?}").to_lowercase(),
    }
}

fn values(of: EnumDescriptor) -> Vec<String> {
    of.values().map(|it| format!("{}.{} = {}", of.full_name(), it.name(), it.number())).collect()
}

fn rpcs(service: ServiceDescriptor) -> Vec<String> {
    let line = |rpc: MethodDescriptor| {
        format!("{}({}) {}", rpc.full_name(), rpc.input().full_name(), rpc.output().full_name())
    };
    service.methods().map(line).collect()
}

/// The same options that build.rs reads; here the outcome is a person's to review.
fn event(message: MessageDescriptor) -> Option<String> {
    let (pool, file, options) = (message.parent_pool(), message.parent_file().options(), message.options());
    let option = |name| pool.get_extension_by_name(name).unwrap();
    let (topic, event) = (option("com.hearlers.v1.common.topic"), option("com.hearlers.v1.common.event"));
    options.has_extension(&event).then(|| {
        let [event, topic] = [options.get_extension(&event), file.get_extension(&topic)];
        let [name, key] = ["name", "key"].map(|it| event.as_message().unwrap().get_field_by_name(it).unwrap());
        let [name, topic, key] = [&name, &topic, &key].map(|it| it.as_str().unwrap());
        format!("{} is event {name} on {topic} by {key}", message.full_name())
    })
}
