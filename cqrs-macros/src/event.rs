//! derive(Event): the names that events are stored under.
use crate::attr::{Keys, required, snake};
use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::{Data, DeriveInput, Error, LitStr, Result};

pub(crate) fn expand(input: &DeriveInput) -> Result<TokenStream> {
    let ident = &input.ident;
    let keys = Keys::of(&input.attrs, "event", &["name", "version"])?;
    let say = "an event is stored under an explicit name: write `#[event(name = \"...\", version = 1)]`";
    let name = required(keys.name, ident.span(), say)?;
    let version = required(keys.version, ident.span(), "write the version of the stored form: `version = 1`")?;
    let (names, arms) = match &input.data {
        Data::Enum(data) => {
            let named = data.variants.iter().map(|variant| stored_as(&name, variant)).collect::<Result<Vec<_>>>()?;
            for (at, (name, variant)) in named.iter().enumerate() {
                if named[..at].iter().any(|(before, _)| before.value() == name.value()) {
                    return Err(Error::new(variant.span(), format!("two variants are stored as `{}`", name.value())));
                }
            }
            let names: Vec<_> = named.iter().map(|(name, _)| name.clone()).collect();
            let arms = named.iter().map(|(name, variant)| quote!(Self::#variant { .. } => #name,));
            (names, quote!(match self { #(#arms)* }))
        }
        Data::Struct(_) => (vec![name.clone()], quote!(#name)),
        Data::Union(_) => return Err(Error::new(ident.span(), "an event is a struct or an enum")),
    };
    // Told at the name, but seen from here: the name may come from a `macro_rules!`, which knows no `schema`.
    let span = ident.span().resolved_at(Span::call_site());
    let call = quote_spanned!(span=> ::cqrs_core::__private::decode_stored(schema, bytes));
    Ok(quote! {
        impl ::cqrs_core::Event for #ident {
            const NAMES: &'static [&'static str] = &[#(#names),*];
            const VERSION: u32 = #version;
            fn name(&self) -> &'static str { #arms }
        }
        impl ::cqrs_core::Heard for #ident {
            const SOURCE: ::cqrs_core::Source = ::cqrs_core::Source::Log(<Self as ::cqrs_core::Event>::NAMES);
            fn decode(_: &str, schema: u32, bytes: &[u8]) -> ::core::result::Result<Self, ::cqrs_core::BoxError> { #call }
        }
    })
}

fn stored_as<'v>(name: &LitStr, variant: &'v syn::Variant) -> Result<(LitStr, &'v syn::Ident)> {
    let own = Keys::of(&variant.attrs, "event", &["name"])?.name;
    let text = format!("{}.{}", name.value(), snake(&variant.ident.to_string()));
    Ok((own.unwrap_or_else(|| LitStr::new(&text, variant.ident.span())), &variant.ident))
}
