//! `derive(IndexKey)`: an enum by the numbers of its variants, or a type around another one.
use proc_macro2::TokenStream;
use quote::quote;
use syn::{Data, DataEnum, DeriveInput, Error, Fields, Result};

pub(crate) fn expand(input: &DeriveInput) -> Result<TokenStream> {
    let ident = &input.ident;
    let put = match &input.data {
        Data::Enum(data) => number(input, data)?,
        Data::Struct(data) if data.fields.len() == 1 => {
            let member = data.fields.members();
            quote!(::cqrs_core::IndexKey::put(#(&self.#member)*, out))
        }
        _ => {
            let message = "an index key is an enum, or a struct with one field; several fields are several columns";
            return Err(Error::new(ident.span(), message));
        }
    };
    Ok(quote! {
        impl ::cqrs_core::IndexKey for #ident {
            fn put(&self, out: &mut ::std::vec::Vec<u8>) { #put }
        }
    })
}

/// Writes the number of a variant. The numbers are explicit, so that the stored order does not follow the order of the
/// source.
fn number(input: &DeriveInput, data: &DataEnum) -> Result<TokenStream> {
    if data.variants.is_empty() {
        return Err(Error::new(input.ident.span(), "an index key needs a variant"));
    }
    let mut numbers = Vec::new();
    for variant in &data.variants {
        let name = &variant.ident;
        if !matches!(variant.fields, Fields::Unit) {
            let message = "a variant of an index key has no fields: make them columns of their own";
            return Err(Error::new(name.span(), message));
        }
        if variant.discriminant.is_none() {
            let message = format!(
                "a variant of an index key is stored as its number, by which it sorts: write `{name} = 1`, and never \
                 change it"
            );
            return Err(Error::new(name.span(), message));
        }
        numbers.push(quote!(Self::#name => Self::#name as i64));
    }
    Ok(quote!(::cqrs_core::IndexKey::put(&match self { #(#numbers),* }, out)))
}
