//! `derive(Aggregate)`: implements `Aggregate` from the name, the id and the unique fields, and ties the event to it.
use crate::{
    attr::{Keys, required},
    personal::{Personal, is_personal, placeholder_of},
    stored_form,
};
use proc_macro2::TokenStream;
use quote::quote;
use syn::{Data, DeriveInput, Error, Field, Fields, Result, Type};

pub(crate) fn expand(input: &DeriveInput) -> Result<TokenStream> {
    let ident = &input.ident;
    let keys = Keys::from_attributes(&input.attrs, "aggregate", &["name", "event"])?;
    let message = "an aggregate is stored under an explicit name: write `#[aggregate(name = \"...\", event = Type)]`";
    let name = required(keys.name, ident.span(), message)?;
    let message = "an aggregate needs the type of its events: write `#[aggregate(..., event = Type)]`";
    let event = required(keys.event, ident.span(), message)?;
    let fields = named_fields(input, "an aggregate must be a struct with named fields")?;
    let has = |field: &Field, attribute: &str| field.attrs.iter().any(|found| found.path().is_ident(attribute));
    let ids: Vec<_> = fields.iter().filter(|field| has(field, "id")).collect();
    let [id] = ids[..] else {
        let culprit = ids.get(1).and_then(|field| field.ident.as_ref()).unwrap_or(ident);
        return Err(Error::new(culprit.span(), "an aggregate must have exactly one field marked `#[id]`"));
    };
    if is_personal(id) {
        return Err(Error::new(ident.span(), "the id of an aggregate cannot be personal: it names streams and rows"));
    }
    let (id, id_type) = (&id.ident, &id.ty);
    let unique = fields.iter().filter(|field| has(field, "unique")).map(|field| {
        if is_personal(field) {
            let (field, text, erased) =
                (&field.ident, field.ident.as_ref().map(ToString::to_string), placeholder_of(field)?);
            return Ok(quote!(
                let value = ::cqrs_core::__private::unique_text(&self.#field, #erased);
                unique.extend(value.map(|value| (#text, value)));
            ));
        }
        let (field, text, optional) =
            (&field.ident, field.ident.as_ref().map(ToString::to_string), is_option(&field.ty));
        let value = quote!(::std::string::ToString::to_string(value));
        Ok(match optional {
            true => quote!(if let ::core::option::Option::Some(value) = &self.#field { unique.push((#text, #value)) }),
            false => quote!({ let value = &self.#field; unique.push((#text, #value)) }),
        })
    });
    let unique: Vec<_> = unique.collect::<Result<_>>()?;
    let personal_unique = fields.iter().filter(|field| has(field, "unique") && is_personal(field));
    let personal_unique = personal_unique.filter_map(|field| field.ident.as_ref().map(ToString::to_string));
    let personal_unique: Vec<_> = personal_unique.collect();
    let unique_fields = fields.iter().filter(|field| has(field, "unique"));
    let unique_fields = unique_fields.filter_map(|field| field.ident.as_ref().map(ToString::to_string));
    let unique_fields: Vec<_> = unique_fields.collect();
    let unique = (!unique.is_empty()).then(|| {
        quote! {
            const UNIQUE: &'static [&'static str] = &[#(#unique_fields),*];
            const PERSONAL_UNIQUE: &'static [&'static str] = &[#(#personal_unique),*];
            fn unique(&self) -> ::std::vec::Vec<(&'static str, ::std::string::String)> {
                let mut unique = ::std::vec::Vec::new();
                #(#unique)*
                unique
            }
        }
    });
    let stored_form = stored_form::method(input, &[])?;
    let personal = Personal::of(input)?;
    let (constant, checks) = (personal.constant(), personal.checks());
    Ok(quote! {
        impl ::cqrs_core::Aggregate for #ident {
            const NAME: &'static str = #name;
            type Id = #id_type;
            type Event = #event;
            fn id(&self) -> &Self::Id { &self.#id }
            #unique
            #constant
            #stored_form
        }
        #checks
        impl ::cqrs_core::AggregateEvent for #event {
            const AGGREGATE: &'static str = #name;
            type Id = #id_type;
        }
    })
}

pub(crate) fn named_fields<'a>(input: &'a DeriveInput, message: &str) -> Result<Vec<&'a Field>> {
    match &input.data {
        Data::Struct(data) if matches!(data.fields, Fields::Named(_)) => Ok(data.fields.iter().collect()),
        _ => Err(Error::new(input.ident.span(), message)),
    }
}

fn is_option(ty: &Type) -> bool {
    matches!(ty, Type::Path(path) if path.path.segments.last().is_some_and(|segment| segment.ident == "Option"))
}
