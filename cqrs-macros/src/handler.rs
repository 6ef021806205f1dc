//! `#[handler]`: implements `Handled` for the request with a call of the function.
use crate::{
    attr::{Keys, Limit},
    function::{Function, submit},
};
use proc_macro2::{Delimiter, Group, TokenStream};
use quote::{quote, quote_spanned};
use syn::{Error, ItemFn, Result, spanned::Spanned};

pub(crate) fn expand(args: TokenStream, item: &ItemFn) -> Result<TokenStream> {
    let no_limit = Error::new_spanned(&args, "`#[handler]` takes no arguments but `limit = \"...\"`");
    let keys = if args.is_empty() { Keys::default() } else { Keys::parse(args, &["limit"]).map_err(|_| no_limit)? };
    let limited = Limit::call(keys.limit.as_ref());
    let result = "cqrs_core::HandlerResult<Output, DomainError>";
    let function = Function::parse(item, "a handler", "its command or query", result, true)?;
    let (ident, request, returns, name) = (function.ident, function.message, function.returns, function.name());
    let (names, take, needs) = (function.need_names(), function.take_needs(), function.declare_needs());
    // All tokens have the span of the return type, so that rustc reports a wrong return type there.
    let output = quote_spanned!(returns.span()=> <#returns as ::cqrs_core::HandlerReturn>::Output);
    let error = quote_spanned!(returns.span()=> <#returns as ::cqrs_core::HandlerReturn>::Error);
    let submit = submit(quote! {
        ::cqrs_core::__private::handler::<#request>(::core::module_path!(), #name, needs) #limited
    });
    // A handler without needs is called directly: an async block around the call would cost more than the dispatch
    // itself.
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
    let items = quote! {
        type Output = #output;
        type Error = #error;
        fn registration() -> &'static ::cqrs_core::__private::Registration { &REGISTRATION }
        fn handle(self, #context: &::cqrs_core::Context)
            -> impl ::core::future::Future<Output = #returns> + ::core::marker::Send
        {
            #body
        }
    };
    // The impl has the span of the request, so that rustc shows a second handler at its parameter.
    let head = quote_spanned!(request.span()=> impl ::cqrs_core::Handled for #request);
    let mut items = Group::new(Delimiter::Brace, items);
    items.set_span(request.span());
    Ok(quote! {
        const _: () = {
            #head #items
            #needs
            #submit
        };
    })
}
