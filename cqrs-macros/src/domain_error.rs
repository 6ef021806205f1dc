//! `derive(DomainError)`: maps each variant to its kind, reason and field.
use crate::attr::snake;
use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{Attribute, Data, DeriveInput, Error, Ident, LitStr, Result};

/// The name of each kind in `#[kind(...)]`, and its variant of `ErrorKind`.
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

enum VariantKind {
    Fixed(Ident),
    /// The kind, reason and field of the inner error.
    Transparent,
}

pub(crate) fn expand(input: &DeriveInput) -> Result<TokenStream> {
    let ident = &input.ident;
    let Data::Enum(data) = &input.data else {
        return Err(Error::new(ident.span(), "a domain error must be an enum with one variant for each rule"));
    };
    let (mut kinds, mut reasons, mut fields) = (Vec::new(), Vec::new(), Vec::new());
    for variant in &data.variants {
        let name = &variant.ident;
        let kind = match kind(&variant.attrs)? {
            Some(kind) => kind,
            None => kind(&input.attrs)?.ok_or_else(|| {
                let message = format!("this variant has no kind: write `#[kind(...)]` with one of {}", names());
                Error::new(name.span(), message)
            })?,
        };
        match kind {
            VariantKind::Transparent => {
                kinds.push(quote!(Self::#name(inner) => ::cqrs_core::DomainError::kind(inner)));
                reasons.push(quote!(Self::#name(inner) => ::cqrs_core::DomainError::reason(inner)));
                fields.push(quote!(Self::#name(inner) => ::cqrs_core::DomainError::field(inner)));
            }
            VariantKind::Fixed(kind) => {
                let reason = text(&variant.attrs, "reason")?.map(|reason| reason.value());
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

fn kind(attributes: &[Attribute]) -> Result<Option<VariantKind>> {
    let Some(found) = attributes.iter().find(|attribute| attribute.path().is_ident("kind")) else { return Ok(None) };
    let name: Ident = found.parse_args()?;
    if name == "transparent" {
        return Ok(Some(VariantKind::Transparent));
    }
    let kind = KINDS.iter().find(|(short, _)| name == short);
    let (_, kind) =
        kind.ok_or_else(|| Error::new(name.span(), format!("unknown kind: expected one of {}", names())))?;
    Ok(Some(VariantKind::Fixed(format_ident!("{kind}"))))
}
fn text(attributes: &[Attribute], name: &str) -> Result<Option<LitStr>> {
    attributes.iter().find(|attribute| attribute.path().is_ident(name)).map(Attribute::parse_args).transpose()
}
fn names() -> String {
    KINDS.iter().map(|(short, _)| format!("`{short}`")).collect::<Vec<_>>().join(", ")
}
