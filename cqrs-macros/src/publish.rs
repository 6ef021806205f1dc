//! `#[publish]`: registers the function that turns an event into an integration event.
use crate::{
    function::{Function, submit},
    subscriptions::event_argument,
};
use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::{Error, ItemFn, Result, spanned::Spanned};

pub(crate) fn expand(args: TokenStream, item: &ItemFn) -> Result<TokenStream> {
    if !args.is_empty() {
        let message = "`#[publish]` takes no arguments: the integration event defines topic and name";
        return Err(Error::new_spanned(args, message));
    }
    let function = Function::parse(item, "a publisher", "`&Event`", "Option<IntegrationEvent>", false)?;
    if let Some(need) = function.needs.first() {
        return Err(Error::new_spanned(need, "a publisher is a pure function: its only parameter is the event"));
    }
    let (ident, name, returns) = (function.ident, function.name(), function.returns);
    let event = event_argument(&function)?;
    let into_option = quote_spanned!(returns.span()=> ::cqrs_core::__private::PublisherReturn::into_option);
    let integration_event =
        quote_spanned!(returns.span()=> <#returns as ::cqrs_core::__private::PublisherReturn>::IntegrationEvent);
    let submit = submit(quote! {
        ::cqrs_core::__private::Registration::publisher(
            ::core::module_path!(), #name, ::core::any::TypeId::of::<#event>,
            (
                <#integration_event as ::cqrs_core::IntegrationEvent>::NAME,
                !<#integration_event as ::cqrs_core::IntegrationEvent>::PERSONAL.is_empty(),
            ),
            <#integration_event as ::cqrs_core::IntegrationEvent>::TOPIC, run_publisher,
        )
    });
    Ok(quote! {
        const _: () = {
            fn run_publisher(
                event: &(dyn ::core::any::Any + ::core::marker::Send + ::core::marker::Sync),
                entry: &::cqrs_core::__private::NewEntry,
            ) -> ::core::result::Result<
                ::core::option::Option<::cqrs_core::__private::OutgoingMessage>,
                ::cqrs_core::Fault,
            > {
                ::cqrs_core::__private::outgoing_message::<#event, #integration_event>(event, entry, |recorded| {
                    #into_option(#ident(::cqrs_core::__private::EventArgument::from_recorded(recorded)))
                })
            }
            #submit
        };
    })
}
