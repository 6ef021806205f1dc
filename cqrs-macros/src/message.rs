//! `derive(Command)` and `derive(Query)`: implement `Message` and `Request`.
use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{DeriveInput, Result};

pub(crate) fn expand(input: &DeriveInput, sent: &str) -> Result<TokenStream> {
    let (name, text, sent) = (&input.ident, input.ident.to_string(), format_ident!("{sent}"));
    Ok(quote! {
        impl ::cqrs_core::Message for #name { const NAME: &'static str = #text; }
        impl ::cqrs_core::Request for #name { type Sent = ::cqrs_core::#sent; }
    })
}
