//! The golden list `fields.txt` of the published contract. A change may only add lines.
use expect_test::expect_file;
use protox::prost_reflect::{
    DescriptorPool, EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor, MethodDescriptor, ServiceDescriptor,
};

#[test]
fn the_contract_matches_the_golden_list() {
    let pool = DescriptorPool::decode(contracts::FILE_DESCRIPTOR_SET).unwrap();
    let ours = |name: &str| name.starts_with("com.hearlers.");
    let mut lines: Vec<String> = [
        pool.all_messages().filter(|message| ours(message.full_name())).flat_map(fields).collect::<Vec<_>>(),
        pool.all_enums().filter(|descriptor| ours(descriptor.full_name())).flat_map(values).collect(),
        pool.services().flat_map(rpcs).collect(),
        pool.all_messages().filter_map(event).collect(),
    ]
    .concat();
    lines.sort();
    expect_file!["fields.txt"].assert_eq(&(lines.join("\n") + "\n"));
}

fn fields(message: MessageDescriptor) -> Vec<String> {
    let line = |field: FieldDescriptor| {
        let label = match field.field_descriptor_proto() {
            proto if proto.proto3_optional() => "optional ",
            _ if field.is_list() => "repeated ",
            _ => "",
        };
        format!("{} = {} {label}{}", field.full_name(), field.number(), kind(&field))
    };
    message.fields().map(line).collect()
}

fn kind(field: &FieldDescriptor) -> String {
    match field.kind() {
        Kind::Message(message) => message.full_name().to_owned(),
        Kind::Enum(descriptor) => descriptor.full_name().to_owned(),
        scalar => format!("{scalar:?}").to_lowercase(),
    }
}

fn values(of: EnumDescriptor) -> Vec<String> {
    of.values().map(|value| format!("{}.{} = {}", of.full_name(), value.name(), value.number())).collect()
}

fn rpcs(service: ServiceDescriptor) -> Vec<String> {
    let line = |rpc: MethodDescriptor| {
        let stream = if rpc.is_server_streaming() { "stream " } else { "" };
        format!("{}({}) {stream}{}", rpc.full_name(), rpc.input().full_name(), rpc.output().full_name())
    };
    service.methods().map(line).collect()
}

/// Reads the same options as the build script, for review in the golden list.
fn event(message: MessageDescriptor) -> Option<String> {
    let (pool, file, options) = (message.parent_pool(), message.parent_file().options(), message.options());
    let option = |name| pool.get_extension_by_name(name).unwrap();
    let (topic, event) = (option("cqrs.v1.topic"), option("cqrs.v1.event"));
    options.has_extension(&event).then(|| {
        let [event, topic] = [options.get_extension(&event), file.get_extension(&topic)];
        let [name, key] = ["name", "key"].map(|field| event.as_message().unwrap().get_field_by_name(field).unwrap());
        let [name, topic, key] = [&name, &topic, &key].map(|value| value.as_str().unwrap());
        format!("{} is event {name} on {topic} by {key}", message.full_name())
    })
}
