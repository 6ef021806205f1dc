//! derive(DomainError): a kind, a reason and a field for each variant.
use crate::attr::snake;
use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{Attribute, Data, DeriveInput, Error, Ident, LitStr, Result};

const KINDS: &[(&str, &str)] = &[
    ("invalid", "Invalid"),
    ("unauthenticated", "Unauthenticated"),
    ("forbidden", "Forbidden"),
    ("not_found", "NotFound"),
    ("already_exists", "AlreadyExists"),
    ("conflict", "Conflict"),
    ("precondition", "Precondition"),
    ("exhausted", "Exhausted"),
    ("unavailable", "Unavailable"),
];

enum Kind {
    Of(Ident),
    Transparent,
}

pub(crate) fn expand(input: &DeriveInput) -> Result<TokenStream> {
    let ident = &input.ident;
    let Data::Enum(data) = &input.data else {
        return Err(Error::new(ident.span(), "a domain error is an enum: one variant for each rule"));
    };
    let (mut kinds, mut reasons, mut fields) = (Vec::new(), Vec::new(), Vec::new());
    for variant in &data.variants {
        let name = &variant.ident;
        let kind = match kind(&variant.attrs)? {
            Some(kind) => kind,
            None => kind_of_all(input)?.ok_or_else(|| {
                Error::new(name.span(), format!("say whose fault it is: `#[kind(...)]`, one of {}", names()))
            })?,
        };
        match kind {
            Kind::Transparent => {
                kinds.push(quote!(Self::#name(inner) => ::cqrs_core::DomainError::kind(inner)));
                reasons.push(quote!(Self::#name(inner) => ::cqrs_core::DomainError::reason(inner)));
                fields.push(quote!(Self::#name(inner) => ::cqrs_core::DomainError::field(inner)));
            }
            Kind::Of(kind) => {
                let reason = text(&variant.attrs, "reason")?.map(|it| it.value());
                let reason = reason.unwrap_or_else(|| snake(&name.to_string()).to_uppercase());
                kinds.push(quote!(Self::#name { .. } => ::cqrs_core::ErrorKind::#kind));
                reasons.push(quote!(Self::#name { .. } => ::std::borrow::Cow::Borrowed(#reason)));
                if let Some(field) = text(&variant.attrs, "field")? {
                    fields.push(quote!(Self::#name { .. } => ::core::option::Option::Some(#field)));
                }
            }
        }
    }
    Ok(quote! {
        impl ::cqrs_core::DomainError for #ident {
            fn kind(&self) -> ::cqrs_core::ErrorKind { match self { #(#kinds,)* } }
            fn reason(&self) -> ::std::borrow::Cow<'static, str> { match self { #(#reasons,)* } }
            #[allow(unreachable_patterns)]
            fn field(&self) -> ::core::option::Option<&'static str> {
                match self { #(#fields,)* _ => ::core::option::Option::None }
            }
        }
    })
}

fn kind_of_all(input: &DeriveInput) -> Result<Option<Kind>> {
    kind(&input.attrs)
}
fn kind(attributes: &[Attribute]) -> Result<Option<Kind>> {
    let Some(found) = attributes.iter().find(|it| it.path().is_ident("kind")) else { return Ok(None) };
    let name: Ident = found.parse_args()?;
    if name == "transparent" {
        return Ok(Some(Kind::Transparent));
    }
    let kind = KINDS.iter().find(|(short, _)| name == short);
    let (_, kind) =
        kind.ok_or_else(|| Error::new(name.span(), format!("there is no such kind; there are {}", names())))?;
    Ok(Some(Kind::Of(format_ident!("{kind}"))))
}
fn text(attributes: &[Attribute], name: &str) -> Result<Option<LitStr>> {
    attributes.iter().find(|it| it.path().is_ident(name)).map(Attribute::parse_args).transpose()
}
fn names() -> String {
    KINDS.iter().map(|(short, _)| format!("`{short}`")).collect::<Vec<_>>().join(", ")
}
