//! `derive(Event)`: implements `Event` with the names under which the events are stored.
use crate::{
    attr::{Keys, Upcast, required, snake},
    personal::Personal,
    stored_form,
};
use proc_macro2::TokenStream;
use quote::quote;
use syn::{Data, DeriveInput, Error, LitInt, LitStr, Path, Result};

pub(crate) fn expand(input: &DeriveInput) -> Result<TokenStream> {
    let ident = &input.ident;
    let keys = Keys::from_attributes(&input.attrs, "event", &["name", "version", "upcast"])?;
    let message = "an event is stored under an explicit name: write `#[event(name = \"...\", version = 1)]`";
    let name = required(keys.name, ident.span(), message)?;
    let message = "an event needs the version of its stored form: write `#[event(..., version = 1)]`";
    let version = required(keys.version, ident.span(), message)?;
    let upcasters = keys.upcast.map(|upcasts| chain(&version, &upcasts)).transpose()?;
    let upcasters = upcasters
        .map(|functions| quote!(const UPCASTERS: &'static [::cqrs_core::event::Upcaster] = &[#(#functions),*];));
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
    let stored_form = stored_form::method(input, &names)?;
    let personal = Personal::of(input)?;
    let (constant, checks) = (personal.constant(), personal.checks());
    Ok(quote! {
        impl ::cqrs_core::Event for #ident {
            const NAMES: &'static [&'static str] = &[#(#names),*];
            const VERSION: u32 = #version;
            #upcasters
            #constant
            fn name(&self) -> &'static str { #arms }
            #stored_form
        }
        #checks
    })
}

/// Returns the upcasters in the order of their versions. Each version below the current one must have one.
fn chain(current: &LitInt, upcasts: &[Upcast]) -> Result<Vec<Path>> {
    let newest: u32 = current.base10_parse()?;
    let mut functions = vec![None; newest.saturating_sub(1) as usize];
    for Upcast { version, function } in upcasts {
        let number: u32 = version.base10_parse()?;
        let Some(place) = number.checked_sub(1).and_then(|index| functions.get_mut(index as usize)) else {
            let message = format!("an upcaster is for a version from 1 to below the current one, which is {newest}");
            return Err(Error::new(version.span(), message));
        };
        if place.replace(function.clone()).is_some() {
            return Err(Error::new(version.span(), format!("version {number} has two upcasters")));
        }
    }
    let missing = functions.iter().position(Option::is_none);
    if let Some(missing) = missing.map(|index| index + 1) {
        let message = format!(
            "version {missing} has no upcaster: write `upcast({missing} = function)`, from its JSON to that of version {}",
            missing + 1
        );
        return Err(Error::new(current.span(), message));
    }
    Ok(functions.into_iter().flatten().collect())
}

fn stored_as<'v>(name: &LitStr, variant: &'v syn::Variant) -> Result<(LitStr, &'v syn::Ident)> {
    let own = Keys::from_attributes(&variant.attrs, "event", &["name"])?.name;
    let text = format!("{}.{}", name.value(), snake(&variant.ident.to_string()));
    Ok((own.unwrap_or_else(|| LitStr::new(&text, variant.ident.span())), &variant.ident))
}
