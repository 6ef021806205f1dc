//! `derive(FromContext)`: implements `FromContext` for a struct whose fields are taken from the context.
use crate::aggregate::named_fields;
use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::{DeriveInput, Result, spanned::Spanned};

pub(crate) fn expand(input: &DeriveInput) -> Result<TokenStream> {
    let ident = &input.ident;
    let fields = named_fields(input, "a type that derives `FromContext` must be a struct with named fields")?;
    let taken = fields.iter().map(|field| {
        let (name, ty) = (&field.ident, &field.ty);
        quote_spanned!(ty.span()=> #name: <#ty as ::cqrs_core::FromContext>::from_context(context)?)
    });
    // The needs of every field are declared, so that a missing dependency is found at start-up and not by the first
    // request.
    let needed = fields.iter().map(|field| {
        let ty = &field.ty;
        quote_spanned!(ty.span()=> <#ty as ::cqrs_core::FromContext>::needs(needs);)
    });
    Ok(quote! {
        impl ::cqrs_core::FromContext for #ident {
            fn from_context(context: &::cqrs_core::Context) -> ::core::result::Result<Self, ::cqrs_core::Rejection> {
                ::core::result::Result::Ok(#ident { #(#taken,)* })
            }
            fn needs(needs: &mut ::cqrs_core::Needs) {
                #(#needed)*
            }
        }
    })
}
