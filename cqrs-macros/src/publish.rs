//! #[publish]: what others are told of an event.
use crate::{
    function::{Function, submit},
    listener::seen,
};
use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::{Error, ItemFn, Result, spanned::Spanned};

pub(crate) fn expand(args: TokenStream, item: &ItemFn) -> Result<TokenStream> {
    if !args.is_empty() {
        return Err(Error::new_spanned(args, "`#[publish]` takes no arguments: topic and name belong to the contract"));
    }
    let function = Function::of(item, "a publisher", "`&Event`", "Option<ContractEvent>", false)?;
    if let Some(need) = function.needs.first() {
        return Err(Error::new_spanned(need, "a publisher is pure: it takes the event alone"));
    }
    let (ident, text, returns) = (function.ident, function.text(), function.returns);
    let event = seen(&function)?;
    let told = quote_spanned!(returns.span()=> ::cqrs_core::__private::Tells::told);
    let contract = quote_spanned!(returns.span()=> <#returns as ::cqrs_core::__private::Tells>::Contract);
    let submit = submit(quote! {
        ::cqrs_core::__private::Registration::publisher(
            ::core::module_path!(), #text, ::core::any::TypeId::of::<#event>,
            <#contract as ::cqrs_core::Contract>::NAME, <#contract as ::cqrs_core::Contract>::TOPIC, tell,
        )
    });
    Ok(quote! {
        const _: () = {
            fn tell(event: &(dyn ::core::any::Any + ::core::marker::Send + ::core::marker::Sync), entry: &::cqrs_core::batch::NewEntry)
                -> ::core::result::Result<::core::option::Option<::cqrs_core::batch::Told>, ::cqrs_core::Fault>
            {
                ::cqrs_core::__private::tell::<#event, #contract>(event, entry, |recorded| {
                    #told(#ident(::cqrs_core::__private::Seen::of(recorded)))
                })
            }
            #submit
        };
    })
}
