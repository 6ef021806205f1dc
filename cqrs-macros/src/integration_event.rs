//! `derive(IntegrationEvent)`: implements both sides, publishing and subscribing, from name, topic and key.
use crate::{
    aggregate::named_fields,
    attr::{Keys, required},
    personal::{Personal, is_personal},
};
use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::{DeriveInput, Error, Field, Ident, LitStr, Result, Type};

/// The keys of `#[integration_event(...)]`.
pub(crate) const KEYS: &[&str] = &["name", "topic", "key", "encoding"];

pub(crate) fn expand(input: &DeriveInput) -> Result<TokenStream> {
    let ident = &input.ident;
    let fields = named_fields(input, "an integration event must be a struct with named fields")?;
    let keys = Keys::from_attributes(&input.attrs, "integration_event", KEYS)?;
    let message = "an integration event is published under an explicit name: \
        write `#[integration_event(name = \"...\", topic = \"...\", key = field)]`";
    let name = required(keys.name, ident.span(), message)?;
    let message = "an integration event needs its topic: write `#[integration_event(..., topic = \"...\")]`";
    let topic = required(keys.topic, ident.span(), message)?;
    let message = "an integration event needs the field whose value keeps its order: \
        write `#[integration_event(..., key = field)]`";
    let key = key_field(required(keys.key, ident.span(), message)?, &fields)?;
    if fields.iter().any(|field| field.ident.as_ref() == Some(&key) && is_personal(field)) {
        return Err(Error::new(key.span(), "the key of an integration event cannot be personal: brokers read it"));
    }
    let personal = Personal::of(input)?;
    let (constant, checks) = (personal.constant(), personal.checks());
    // Errors point at the type's name or the key, but the identifiers resolve here: a name that comes from a
    // `macro_rules!` has another hygiene context, in which `bytes` does not exist.
    let span = ident.span().resolved_at(Span::call_site());
    let encoding = Encoding::parse(keys.encoding)?;
    if matches!(encoding, Encoding::Protobuf) && !personal.is_empty() {
        let message = "an integration event with personal fields is encoded as JSON: protobuf has no place for a value \
            that is encrypted alone";
        return Err(Error::new(ident.span(), message));
    }
    let (content_type, encode, decode) = match encoding {
        Encoding::Json => (
            "application/json",
            quote_spanned!(span=>
                ::cqrs_core::__private::encode_json(self, <Self as ::cqrs_core::IntegrationEvent>::PERSONAL)
            ),
            quote_spanned!(span=> ::cqrs_core::__private::decode_json(bytes)),
        ),
        Encoding::Protobuf => (
            "application/protobuf",
            quote_spanned!(span=> ::core::result::Result::Ok(::prost::Message::encode_to_vec(self))),
            quote_spanned!(span=> ::core::result::Result::Ok(::prost::Message::decode(bytes)?)),
        ),
    };
    let at = key.span().resolved_at(Span::call_site());
    let key = quote_spanned!(at=> ::cqrs_core::__private::key_text(&self.#key));
    Ok(quote! {
        impl ::cqrs_core::IntegrationEvent for #ident {
            const NAME: &'static str = #name;
            const TOPIC: &'static str = #topic;
            const CONTENT_TYPE: &'static str = #content_type;
            #constant
            fn key(&self) -> ::std::string::String { #key }
            fn encode(&self) -> ::core::result::Result<::std::vec::Vec<u8>, ::cqrs_core::BoxError> { #encode }
            fn decode(bytes: &[u8]) -> ::core::result::Result<Self, ::cqrs_core::BoxError> { #decode }
        }
        impl ::cqrs_core::Subscribable for #ident {
            const SOURCE: ::cqrs_core::Source = ::cqrs_core::Source::Topic {
                topic: #topic,
                name: #name,
                content_type: #content_type,
            };
            type AggregateId = ();
            fn aggregate_id(_: &str) -> ::core::result::Result<(), ::cqrs_core::BoxError> {
                ::core::result::Result::Ok(())
            }
            fn decode(_: &str, _: u32, bytes: &[u8]) -> ::core::result::Result<Self, ::cqrs_core::BoxError> {
                <Self as ::cqrs_core::IntegrationEvent>::decode(bytes)
            }
        }
        #checks
    })
}

/// The encoding of the payload: JSON through serde, or protobuf through prost.
enum Encoding {
    Json,
    Protobuf,
}
impl Encoding {
    fn parse(written: Option<LitStr>) -> Result<Self> {
        let Some(written) = written else { return Ok(Encoding::Json) };
        match written.value().as_str() {
            "json" => Ok(Encoding::Json),
            "protobuf" => Ok(Encoding::Protobuf),
            _ => Err(Error::new(written.span(), "unknown encoding: expected `json` or `protobuf`")),
        }
    }
}

/// Returns the name of the field that `key = ...` names.
fn key_field(written: Type, fields: &[&Field]) -> Result<Ident> {
    let field = match &written {
        Type::Path(path) => path.path.get_ident().cloned(),
        _ => None,
    };
    let field = field.ok_or_else(|| Error::new_spanned(&written, "the key must be the name of a field"))?;
    if !fields.iter().any(|candidate| candidate.ident.as_ref() == Some(&field)) {
        return Err(Error::new(field.span(), format!("the integration event has no field `{field}`")));
    }
    Ok(field)
}
