//! `derive(Command)` and `derive(Query)`: implement `Message` and `Request`.
use crate::personal;
use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{DeriveInput, Error, LitStr, Result};

pub(crate) fn expand(input: &DeriveInput, sent: &str) -> Result<TokenStream> {
    let (name, sent) = (&input.ident, format_ident!("{sent}"));
    let (personal, checks) = personal::command(input)?;
    let text = own_name(input)?.unwrap_or_else(|| input.ident.to_string());
    Ok(quote! {
        impl ::cqrs_core::Message for #name { const NAME: &'static str = #text; }
        impl ::cqrs_core::Request for #name {
            type Sent = ::cqrs_core::#sent;
            #personal
        }
        #checks
    })
}

/// Returns the name in `#[command(name = "...")]`. A query has no such attribute.
fn own_name(input: &DeriveInput) -> Result<Option<String>> {
    let mut name = None;
    for attribute in input.attrs.iter().filter(|attribute| attribute.path().is_ident("command")) {
        attribute.parse_nested_meta(|meta| {
            if !meta.path.is_ident("name") {
                return Err(meta.error("unknown key: expected `name`"));
            }
            let text: LitStr = meta.value()?.parse()?;
            if text.value().is_empty() {
                return Err(Error::new(text.span(), "the name of a command cannot be empty"));
            }
            name = Some(text.value());
            Ok(())
        })?;
    }
    Ok(name)
}
