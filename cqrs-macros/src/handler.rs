//! #[handler]: `impl Handled`, whose body is the call.
use crate::function::{Function, submit};
use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::{Error, ItemFn, Result, spanned::Spanned};

pub(crate) fn expand(args: TokenStream, item: &ItemFn) -> Result<TokenStream> {
    if !args.is_empty() {
        return Err(Error::new_spanned(args, "`#[handler]` takes no arguments"));
    }
    let function =
        Function::of(item, "a handler", "its command or query", "cqrs_core::Result<Output, DomainError>", true)?;
    let (ident, request, returns, text) = (function.ident, function.message, function.returns, function.text());
    let (names, take, needs) = (function.names(), function.take(), function.needs());
    let handled = quote_spanned!(request.span()=> ::cqrs_core::Handled);
    // All of its tokens at the return type, so that what is wrong with it is told there.
    let output = quote_spanned!(returns.span()=> <#returns as ::cqrs_core::Outcome>::Output);
    let error = quote_spanned!(returns.span()=> <#returns as ::cqrs_core::Outcome>::Error);
    let submit = submit(quote! {
        ::cqrs_core::__private::Registration::handler::<#request>(::core::module_path!(), #text, needs)
    });
    // Without needs it is the call and nothing else: what would be around it costs more than the way there.
    let body = match &names[..] {
        [] => quote!(#ident(self)),
        names => quote! {
            let taken = #take;
            async move {
                let (#(#names,)*) = taken?;
                #ident(self, #(#names),*).await
            }
        },
    };
    let context = if names.is_empty() { quote!(_) } else { quote!(context) };
    Ok(quote! {
        const _: () = {
            impl #handled for #request {
                type Output = #output;
                type Error = #error;
                fn registration() -> &'static ::cqrs_core::app::Registration { &REGISTRATION }
                fn handle(self, #context: &::cqrs_core::Context)
                    -> impl ::core::future::Future<Output = #returns> + ::core::marker::Send
                {
                    #body
                }
            }
            #needs
            #submit
        };
    })
}
