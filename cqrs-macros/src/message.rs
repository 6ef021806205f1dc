//! derive(Command, Query): a name and a marker.
use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{DeriveInput, Error, Result};

pub(crate) fn expand(input: &DeriveInput, sent: &str) -> Result<TokenStream> {
    if !input.generics.params.is_empty() {
        return Err(Error::new_spanned(
            &input.generics,
            "a request cannot be generic: its handler is found by its type",
        ));
    }
    let (name, text, sent) = (&input.ident, input.ident.to_string(), format_ident!("{sent}"));
    Ok(quote! {
        impl ::cqrs_core::Message for #name { const NAME: &'static str = #text; }
        impl ::cqrs_core::Request for #name { type Sent = ::cqrs_core::#sent; }
    })
}
