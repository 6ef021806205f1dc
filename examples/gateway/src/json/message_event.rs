//! The description of a server-sent event with messages.
use super::MessageChanges;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{Object, Ref, RefOr, Schema, schema::Type},
};

/// A server-sent event as OpenAPI describes it: by its fields. Its data is a text that holds JSON.
pub(crate) enum MessageEvent {}

impl PartialSchema for MessageEvent {
    fn schema() -> RefOr<Schema> {
        let text = |description: &str| Object::builder().schema_type(Type::String).description(Some(description));
        let changes = Ref::from_schema_name(MessageChanges::name());
        let data = text("The changed messages, as JSON.").content_media_type("application/json");
        Object::builder()
            .schema_type(Type::Object)
            .description(Some("A server-sent event. The stream also has comments, which keep the connection open."))
            .property("event", text("The type of the event, which is `messages`."))
            .property("id", text("The position after the event. A client resumes with it as `Last-Event-ID`."))
            .property("data", data.content_schema(Some(changes)))
            .required("event")
            .required("id")
            .required("data")
            .into()
    }
}
impl ToSchema for MessageEvent {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((MessageChanges::name().into_owned(), MessageChanges::schema()));
        MessageChanges::schemas(schemas);
    }
}
