//! `derive(RemoteCommand)` and `#[receive]`: a command to another service, and the function that receives one.
use crate::{
    attr::{Keys, Limit, required},
    function::{Function, submit},
    integration_event::{Declaration, Words, contract},
    subscriptions::first_event,
};
use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::{DeriveInput, Error, ItemFn, Result, spanned::Spanned};

pub(crate) fn expand(input: &DeriveInput) -> Result<TokenStream> {
    let words = Words { subject: "a remote command", attribute: "remote_command", sent: "sent" };
    let trait_path = quote!(::cqrs_core::RemoteCommand);
    let Declaration { ident, members, checks, .. } = contract(input, &words, &trait_path)?;
    Ok(quote! {
        impl #trait_path for #ident { #members }
        #checks
    })
}

pub(crate) fn receive(args: TokenStream, item: &ItemFn) -> Result<TokenStream> {
    let keys = Keys::parse(args, &["group", "limit"])?;
    let message = "a receiver of commands needs an explicit consumer group: write `#[receive(group = \"...\")]`";
    let group = required(keys.group, item.sig.ident.span(), message)?;
    let function =
        Function::parse(item, "a receiver of commands", "`RemoteCommand`", "Result<Command, BoxError>", false)?;
    if let Some(need) = function.needs.first() {
        let message = "a receiver of commands is a pure function: its only parameter is the command";
        return Err(Error::new_spanned(need, message));
    }
    let (ident, function_name, contract, returns) =
        (function.ident, function.name(), function.message, function.returns);
    let into_result = quote_spanned!(returns.span()=> ::cqrs_core::__private::ReceivedCommand::into_result);
    let command = quote_spanned!(returns.span()=> <#returns as ::cqrs_core::__private::ReceivedCommand>::Command);
    let contract = quote_spanned!(contract.span()=> #contract);
    let limited = Limit::call(keys.limit.as_ref());
    let from = first_event(None, "subscriber_from", ident);
    let submit = submit(quote! {
        ::cqrs_core::__private::Registration::subscriber(
            ::core::module_path!(), #function_name, #group, SOURCE, FROM,
            ::cqrs_core::__private::receiver_needs, run,
        ) #limited
    });
    Ok(quote! {
        const _: () = {
            const SOURCE: ::cqrs_core::Source = ::cqrs_core::Source::Topic {
                topic: <#contract as ::cqrs_core::RemoteCommand>::TOPIC,
                name: <#contract as ::cqrs_core::RemoteCommand>::NAME,
                content_type: <#contract as ::cqrs_core::RemoteCommand>::CONTENT_TYPE,
            };
            #from
            fn run<'a>(
                context: &'a ::cqrs_core::Context<'a>,
                raw: ::cqrs_core::__private::RawEvent,
            ) -> ::cqrs_core::__private::BoxFuture<'a, ::core::result::Result<(), ::cqrs_core::__private::SubscriberError>> {
                ::cqrs_core::__private::receive_command::<#contract, #command>(
                    context, raw, |command| #into_result(#ident(command)),
                )
            }
            #submit
        };
    })
}
