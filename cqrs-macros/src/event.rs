//! `derive(Event)`: implements `Event` with the names under which the events are stored.
use crate::attr::{Keys, required, snake};
use proc_macro2::TokenStream;
use quote::quote;
use syn::{Data, DeriveInput, Error, LitStr, Result};

pub(crate) fn expand(input: &DeriveInput) -> Result<TokenStream> {
    let ident = &input.ident;
    let keys = Keys::from_attributes(&input.attrs, "event", &["name", "version"])?;
    let message = "an event is stored under an explicit name: write `#[event(name = \"...\", version = 1)]`";
    let name = required(keys.name, ident.span(), message)?;
    let message = "an event needs the version of its stored form: write `#[event(..., version = 1)]`";
    let version = required(keys.version, ident.span(), message)?;
    let (names, arms) = match &input.data {
        Data::Enum(data) => {
            let named = data.variants.iter().map(|variant| stored_as(&name, variant)).collect::<Result<Vec<_>>>()?;
            for (i, (name, variant)) in named.iter().enumerate() {
                if named[..i].iter().any(|(before, _)| before.value() == name.value()) {
                    let message = format!("two variants have the stored name `{}`", name.value());
                    return Err(Error::new(variant.span(), message));
                }
            }
            let names: Vec<_> = named.iter().map(|(name, _)| name.clone()).collect();
            let arms = named.iter().map(|(name, variant)| quote!(Self::#variant { .. } => #name,));
            (names, quote!(match self { #(#arms)* }))
        }
        Data::Struct(_) => (vec![name.clone()], quote!(#name)),
        Data::Union(_) => return Err(Error::new(ident.span(), "an event must be a struct or an enum")),
    };
    Ok(quote! {
        impl ::cqrs_core::Event for #ident {
            const NAMES: &'static [&'static str] = &[#(#names),*];
            const VERSION: u32 = #version;
            fn name(&self) -> &'static str { #arms }
        }
    })
}

fn stored_as<'v>(name: &LitStr, variant: &'v syn::Variant) -> Result<(LitStr, &'v syn::Ident)> {
    let own = Keys::from_attributes(&variant.attrs, "event", &["name"])?.name;
    let text = format!("{}.{}", name.value(), snake(&variant.ident.to_string()));
    Ok((own.unwrap_or_else(|| LitStr::new(&text, variant.ident.span())), &variant.ident))
}
