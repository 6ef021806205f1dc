//! Describes the stored form of an event, a state or a view: its variants and fields with their names and types.
use crate::serde_attributes::{Both, Names, SerdeAttributes, field_name, variant_name};
use proc_macro2::TokenStream;
use quote::{ToTokens, format_ident, quote};
use syn::{
    Attribute, Data, DeriveInput, Error, Field, Fields, LitStr, Result, Token, Type, Variant, parenthesized,
    punctuated::Punctuated,
};

/// Writes the method `stored_form`. `events` are the stored names of an event's variants, in their order.
pub(crate) fn method(input: &DeriveInput, events: &[LitStr]) -> Result<TokenStream> {
    let form = form(input, events)?;
    Ok(quote! {
        fn stored_form() -> ::cqrs_core::__private::StoredForm {
            #form
        }
    })
}

fn form(input: &DeriveInput, events: &[LitStr]) -> Result<TokenStream> {
    let is_unchecked = is_unchecked(&input.attrs)?;
    let unknown = quote!(::cqrs_core::__private::StoredForm::default());
    let own = SerdeAttributes::parse(&input.attrs);
    match &input.data {
        Data::Struct(data) => {
            let content = match &own {
                Some(own) => content(&data.fields, own, own.rules(), own.has("default"))?,
                None => None,
            };
            let is_plain = own.is_some_and(|own| !own.is_custom() && own.tag.is_none());
            match content {
                Some(content) if is_plain && !is_unchecked => {
                    let event = events.first().map(LitStr::value).unwrap_or_default();
                    Ok(quote!(::cqrs_core::__private::StoredForm::of_struct(#event, #content)))
                }
                _ => Ok(unknown),
            }
        }
        Data::Enum(data) => {
            // Every variant is visited, so that each mistake in an attribute of ours is reported.
            let variants = data.variants.iter().enumerate();
            let variants = variants.map(|(i, found)| variant(found, own.as_ref(), events.get(i)));
            let variants: Option<Vec<_>> = variants.collect::<Result<Vec<_>>>()?.into_iter().collect();
            match (own, variants) {
                (Some(own), Some(variants)) if !own.is_custom() && !own.has("untagged") && !is_unchecked => {
                    let (tag, content) = (own.tag.unwrap_or_default(), own.content.unwrap_or_default());
                    let variants = variants.into_iter().flatten();
                    Ok(quote!(::cqrs_core::__private::StoredForm::of_enum(#tag, #content, ::std::vec![#(#variants),*])))
                }
                _ => Ok(unknown),
            }
        }
        Data::Union(_) => Ok(unknown),
    }
}

/// Returns the description of a variant, `Some(None)` for one that is never stored, and `None` if the form of the whole
/// enum cannot be seen.
fn variant(
    variant: &Variant,
    of_enum: Option<&SerdeAttributes>,
    event: Option<&LitStr>,
) -> Result<Option<Option<TokenStream>>> {
    no_attribute(&variant.attrs, "a variant")?;
    let own = SerdeAttributes::parse(&variant.attrs);
    let no_attributes = SerdeAttributes::default();
    let (of_enum, found) = (of_enum.unwrap_or(&no_attributes), own.as_ref().unwrap_or(&no_attributes));
    let content = content(&variant.fields, found, &found.rules_for_fields(of_enum), false)?;
    let Some(own) = own.filter(|own| !own.has("untagged")) else { return Ok(None) };
    if own.is_skipped() {
        return Ok(Some(None));
    }
    let content =
        content.filter(|_| !own.is_custom()).unwrap_or_else(|| quote!(::cqrs_core::__private::StoredContent::Unknown));
    let Names { written, read } = own.names(&variant.ident, of_enum.rules(), variant_name);
    let event = event.map(LitStr::value).unwrap_or_default();
    let flags = [
        own.has("skip_serializing").then(|| quote!(.unwritten())),
        own.has("skip_deserializing").then(|| quote!(.unread())),
        own.has("other").then(|| quote!(.other())),
    ];
    let flags = flags.into_iter().flatten();
    Ok(Some(Some(
        quote!(::cqrs_core::__private::StoredVariant::new(#event, #written, &[#(#read),*], #content) #(#flags)*),
    )))
}

/// Returns the description of the fields of a struct or a variant, or `None` if serde's attributes have a mistake.
fn content(fields: &Fields, own: &SerdeAttributes, rules: &Both, has_default: bool) -> Result<Option<TokenStream>> {
    let mut found = Vec::new();
    let mut is_open = false;
    let mut has_mistake = false;
    for (i, field) in fields.iter().enumerate() {
        let accepted = accepted(field)?;
        let Some(serde) = SerdeAttributes::parse(&field.attrs) else {
            has_mistake = true;
            continue;
        };
        if serde.has("flatten") {
            is_open = true;
        } else if !serde.is_skipped() {
            let ident = field.ident.clone().unwrap_or_else(|| format_ident!("_{i}"));
            let mut names = serde.names(&ident, rules, field_name);
            if field.ident.is_none() {
                names = Names { written: i.to_string(), read: vec![i.to_string()] };
            }
            found.push(described(field, &serde, &names, has_default || serde.has("default"), &accepted));
        }
    }
    if has_mistake {
        return Ok(None);
    }
    let denies_unknown = own.has("deny_unknown_fields");
    Ok(Some(match fields {
        Fields::Unit => quote!(::cqrs_core::__private::StoredContent::Unit),
        _ if own.has("transparent") => match found.first() {
            Some(field) => quote!(::cqrs_core::__private::StoredContent::Value(#field)),
            None => return Ok(None),
        },
        Fields::Unnamed(unnamed) if unnamed.unnamed.len() == 1 => match found.first() {
            Some(field) => quote!(::cqrs_core::__private::StoredContent::Value(#field)),
            None => quote!(::cqrs_core::__private::StoredContent::Unknown),
        },
        Fields::Unnamed(_) => quote!(::cqrs_core::__private::StoredContent::Tuple(::std::vec![#(#found),*])),
        Fields::Named(_) => {
            quote!(::cqrs_core::__private::StoredContent::fields(::std::vec![#(#found),*], #is_open, #denies_unknown))
        }
    }))
}

fn described(
    field: &Field,
    serde: &SerdeAttributes,
    Names { written, read }: &Names,
    has_default: bool,
    accepted: &[String],
) -> TokenStream {
    let ty = &field.ty;
    let new = match serde.is_custom() {
        true => quote!(::cqrs_core::__private::StoredField::of_unknown_type(#written)),
        false => quote!(::cqrs_core::__private::StoredField::new(#written, ::core::any::type_name::<#ty>())),
    };
    let is_renamed = read.len() != 1 || read[0] != *written;
    let calls = [
        is_renamed.then(|| quote!(.read_as(&[#(#read),*]))),
        has_default.then(|| quote!(.with_default())),
        serde.has("skip_serializing_if").then(|| quote!(.sometimes_written())),
        serde.has("skip_serializing").then(|| quote!(.never_written())),
        serde.has("skip_deserializing").then(|| quote!(.unread())),
        (!accepted.is_empty()).then(|| quote!(.accepts(&[#(#accepted),*]))),
    ];
    let calls = calls.into_iter().flatten();
    quote!(#new #(#calls)*)
}

/// Returns the types in `#[stored(accepts(Type, ...))]`. They may be gone, so they are text from here on.
fn accepted(field: &Field) -> Result<Vec<String>> {
    let mut accepted = Vec::new();
    for attribute in of_ours(&field.attrs) {
        attribute.parse_nested_meta(|meta| {
            if !meta.path.is_ident("accepts") {
                return Err(meta.error("unknown key: a field takes `accepts(Type, ...)`"));
            }
            let types;
            parenthesized!(types in meta.input);
            if types.is_empty() {
                return Err(types.error("expected the types as which the field may be stored: `accepts(Type, ...)`"));
            }
            let types: Punctuated<Type, Token![,]> =
                types.parse_terminated(<Type as syn::parse::Parse>::parse, Token![,])?;
            accepted.extend(types.iter().map(|ty| ty.to_token_stream().to_string()));
            Ok(())
        })?;
    }
    Ok(accepted)
}

/// Returns `true` if the type has `#[stored(unchecked)]`.
fn is_unchecked(attributes: &[Attribute]) -> Result<bool> {
    let mut is_unchecked = false;
    for attribute in of_ours(attributes) {
        attribute.parse_nested_meta(|meta| {
            is_unchecked = meta.path.is_ident("unchecked");
            match is_unchecked {
                true => Ok(()),
                false => {
                    Err(meta.error("unknown key: a type takes `unchecked`, and a field takes `accepts(Type, ...)`"))
                }
            }
        })?;
    }
    Ok(is_unchecked)
}

fn no_attribute(attributes: &[Attribute], subject: &str) -> Result<()> {
    match of_ours(attributes).next() {
        None => Ok(()),
        Some(found) => {
            let message =
                format!("{subject} takes no `stored`: write it on the type (`unchecked`) or on a field (`accepts`)");
            Err(Error::new_spanned(found, message))
        }
    }
}

fn of_ours(attributes: &[Attribute]) -> impl Iterator<Item = &Attribute> {
    attributes.iter().filter(|attribute| attribute.path().is_ident("stored"))
}
