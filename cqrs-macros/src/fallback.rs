//! Empty impls that a derive writes after a mistake, so that the mistake gives one error and not one for each use of
//! the type.
use crate::attr::Keys;
use proc_macro2::TokenStream;
use quote::quote;
use syn::{Data, DeriveInput, Type, parse_quote};

pub(crate) fn none(_: &DeriveInput) -> TokenStream {
    TokenStream::new()
}

pub(crate) fn event(input: &DeriveInput) -> TokenStream {
    let ident = &input.ident;
    quote! {
        impl ::cqrs_core::Event for #ident {
            const NAMES: &'static [&'static str] = &[];
            const VERSION: u32 = 0;
            fn name(&self) -> &'static str { "" }
        }
    }
}

pub(crate) fn remote_command(input: &DeriveInput) -> TokenStream {
    let (ident, members) = (&input.ident, contract_members());
    quote!(impl ::cqrs_core::RemoteCommand for #ident { #members })
}

pub(crate) fn integration_event(input: &DeriveInput) -> TokenStream {
    let (ident, members) = (&input.ident, contract_members());
    quote! {
        impl ::cqrs_core::IntegrationEvent for #ident { #members }
        impl ::cqrs_core::Subscribable for #ident {
            const SOURCE: ::cqrs_core::Source =
                ::cqrs_core::Source::Topic { topic: "", name: "", content_type: "" };
            type AggregateId = ();
            fn aggregate_id(_: &str) -> ::core::result::Result<(), ::cqrs_core::BoxError> { ::core::unreachable!() }
            fn decode(_: &str, _: u32, _: &[u8]) -> ::core::result::Result<Self, ::cqrs_core::BoxError> {
                ::core::unreachable!()
            }
        }
    }
}
fn contract_members() -> TokenStream {
    quote! {
        const NAME: &'static str = "";
        const TOPIC: &'static str = "";
        const CONTENT_TYPE: &'static str = "";
        fn key(&self) -> ::std::string::String { ::core::unreachable!() }
        fn encode(&self) -> ::core::result::Result<::std::vec::Vec<u8>, ::cqrs_core::BoxError> {
            ::core::unreachable!()
        }
        fn decode(_: &[u8]) -> ::core::result::Result<Self, ::cqrs_core::BoxError> { ::core::unreachable!() }
    }
}

/// Writes no impl when the event type is missing, because `Aggregate` cannot be implemented without it.
pub(crate) fn aggregate(input: &DeriveInput) -> TokenStream {
    let keys = Keys::from_attributes(&input.attrs, "aggregate", &["name", "event"]).unwrap_or_default();
    let Some(event) = keys.event else { return TokenStream::new() };
    let (ident, id) = (&input.ident, id(input).unwrap_or_else(string));
    quote! {
        impl ::cqrs_core::Aggregate for #ident {
            const NAME: &'static str = "";
            type Id = #id;
            type Event = #event;
            fn id(&self) -> &Self::Id { ::core::unreachable!() }
        }
        impl ::cqrs_core::AggregateEvent for #event {
            const AGGREGATE: &'static str = "";
            type Id = #id;
        }
    }
}
/// Returns the type of the field that is marked `#[id]`, or else of the field that was probably meant: one with the name
/// `id`, or the first.
fn id(input: &DeriveInput) -> Option<Type> {
    let Data::Struct(data) = &input.data else { return None };
    let marked = data.fields.iter().find(|field| field.attrs.iter().any(|attribute| attribute.path().is_ident("id")));
    let named = || data.fields.iter().find(|field| field.ident.as_ref().is_some_and(|name| name == "id"));
    marked.or_else(named).or_else(|| data.fields.iter().next()).map(|field| field.ty.clone())
}
fn string() -> Type {
    parse_quote!(::std::string::String)
}

pub(crate) fn view(input: &DeriveInput) -> TokenStream {
    let keys = Keys::from_attributes(&input.attrs, "view", &["name", "key"]).unwrap_or_default();
    let (ident, key) = (&input.ident, keys.key.unwrap_or_else(string));
    quote! {
        impl ::cqrs_core::View for #ident {
            const NAME: &'static str = "";
            type Key = #key;
        }
    }
}

pub(crate) fn domain_error(input: &DeriveInput) -> TokenStream {
    let ident = &input.ident;
    quote! {
        impl ::cqrs_core::DomainError for #ident {
            fn kind(&self) -> ::cqrs_core::ErrorKind { ::core::unreachable!() }
            fn reason(&self) -> ::std::borrow::Cow<'static, str> { ::core::unreachable!() }
        }
    }
}

pub(crate) fn index_key(input: &DeriveInput) -> TokenStream {
    let ident = &input.ident;
    quote! {
        impl ::cqrs_core::IndexKey for #ident {
            fn put(&self, _: &mut ::std::vec::Vec<u8>) { ::core::unreachable!() }
        }
    }
}

pub(crate) fn personal_fields(input: &DeriveInput) -> TokenStream {
    let ident = &input.ident;
    quote! {
        impl ::cqrs_core::personal::HasPersonalFields for #ident {
            const PERSONAL: &'static ::cqrs_core::personal::PersonalFields =
                &::cqrs_core::personal::PersonalFields::NONE;
        }
    }
}
