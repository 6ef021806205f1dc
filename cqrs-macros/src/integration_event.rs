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
    let words = Words { subject: "an integration event", attribute: "integration_event", sent: "published" };
    let trait_path = quote!(::cqrs_core::IntegrationEvent);
    let Declaration { ident, name, topic, content_type, members, checks } = contract(input, &words, &trait_path)?;
    Ok(quote! {
        impl ::cqrs_core::IntegrationEvent for #ident { #members }
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

/// The words for a kind of messages in the errors of its derive.
pub(crate) struct Words {
    pub(crate) subject: &'static str,
    pub(crate) attribute: &'static str,
    /// What a service does with it.
    pub(crate) sent: &'static str,
}

/// The contract of a message to or from another service, as its derive declares it.
pub(crate) struct Declaration<'a> {
    pub(crate) ident: &'a Ident,
    pub(crate) name: LitStr,
    pub(crate) topic: LitStr,
    pub(crate) content_type: &'static str,
    /// The constants and functions that an integration event and a remote command have in common.
    pub(crate) members: TokenStream,
    /// The checks that the debug output of no personal value shows it.
    pub(crate) checks: TokenStream,
}

/// Parses the contract. Its members are those of the trait with this path.
pub(crate) fn contract<'a>(input: &'a DeriveInput, words: &Words, trait_path: &TokenStream) -> Result<Declaration<'a>> {
    let ident = &input.ident;
    let Words { subject, attribute, sent } = words;
    let fields = named_fields(input, &format!("{subject} must be a struct with named fields"))?;
    let keys = Keys::from_attributes(&input.attrs, attribute, KEYS)?;
    let message = format!(
        "{subject} is {sent} under an explicit name: \
        write `#[{attribute}(name = \"...\", topic = \"...\", key = field)]`"
    );
    let name = required(keys.name, ident.span(), &message)?;
    let message = format!("{subject} needs its topic: write `#[{attribute}(..., topic = \"...\")]`");
    let topic = required(keys.topic, ident.span(), &message)?;
    let message = format!(
        "{subject} needs the field whose value keeps its order: \
        write `#[{attribute}(..., key = field)]`"
    );
    let key = key_field(required(keys.key, ident.span(), &message)?, &fields, subject)?;
    if fields.iter().any(|field| field.ident.as_ref() == Some(&key) && is_personal(field)) {
        let message = format!("the key of {subject} cannot be personal: brokers read it");
        return Err(Error::new(key.span(), message));
    }
    let personal = Personal::of(input)?;
    let (constant, checks) = (personal.constant(), personal.checks());
    // Errors point at the type's name or the key, but the identifiers resolve here: a name that comes from a
    // `macro_rules!` has another hygiene context, in which `bytes` does not exist.
    let span = ident.span().resolved_at(Span::call_site());
    let encoding = Encoding::parse(keys.encoding)?;
    if matches!(encoding, Encoding::Protobuf) && !personal.is_empty() {
        let message = format!(
            "{subject} with personal fields is encoded as JSON: protobuf has no place for a value that is encrypted \
             alone"
        );
        return Err(Error::new(ident.span(), message));
    }
    let (content_type, encode, decode) = match encoding {
        Encoding::Json => (
            "application/json",
            quote_spanned!(span=>
                ::cqrs_core::__private::encode_json(self, <Self as #trait_path>::PERSONAL)
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
    let members = quote! {
        const NAME: &'static str = #name;
        const TOPIC: &'static str = #topic;
        const CONTENT_TYPE: &'static str = #content_type;
        #constant
        fn key(&self) -> ::std::string::String { #key }
        fn encode(&self) -> ::core::result::Result<::std::vec::Vec<u8>, ::cqrs_core::BoxError> { #encode }
        fn decode(bytes: &[u8]) -> ::core::result::Result<Self, ::cqrs_core::BoxError> { #decode }
    };
    Ok(Declaration { ident, name, topic, content_type, members, checks })
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
fn key_field(written: Type, fields: &[&Field], subject: &str) -> Result<Ident> {
    let field = match &written {
        Type::Path(path) => path.path.get_ident().cloned(),
        _ => None,
    };
    let field = field.ok_or_else(|| Error::new_spanned(&written, "the key must be the name of a field"))?;
    if !fields.iter().any(|candidate| candidate.ident.as_ref() == Some(&field)) {
        let subject = subject.trim_start_matches("an ").trim_start_matches("a ");
        return Err(Error::new(field.span(), format!("the {subject} has no field `{field}`")));
    }
    Ok(field)
}
