//! #[subscriber], #[projection], #[projector]: functions that hear events.
use crate::{
    attr::{Keys, required},
    function::{Function, submit},
};
use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::{Error, ItemFn, LitStr, Result, Type, TypeReference, spanned::Spanned};

pub(crate) fn subscriber(args: TokenStream, item: &ItemFn) -> Result<TokenStream> {
    let group = Keys::parse(args, &["group"])?.group;
    let group =
        required(group, item.sig.ident.span(), "a group lives in databases: write `#[subscriber(group = \"...\")]`")?;
    let function = Function::of(item, "a subscriber", "`Recorded<Event>`", "Result<(), BoxError>", true)?;
    let (event, take, needs, names) = (heard(&function), function.take(), function.needs(), function.names());
    let (ident, text, recorded) = (function.ident, function.text(), function.message);
    let submit = submit(quote! {
        ::cqrs_core::__private::Registration::subscriber(
            ::core::module_path!(), #text, #group, <#event as ::cqrs_core::Heard>::SOURCE, needs, run,
        )
    });
    Ok(quote! {
        const _: () = {
            fn run<'a>(
                context: &'a ::cqrs_core::Context<'a>,
                raw: ::cqrs_core::Recorded<::cqrs_core::__private::Raw>,
            ) -> ::cqrs_core::__private::BoxFuture<'a, ::core::result::Result<(), ::cqrs_core::__private::Unhandled>> {
                ::std::boxed::Box::pin(async move {
                    let event: #recorded =
                        ::cqrs_core::__private::decode(raw).map_err(::cqrs_core::__private::Unhandled::Unreadable)?;
                    let (#(#names,)*) =
                        #take.map_err(|missing| ::cqrs_core::__private::Unhandled::Failed(missing.into()))?;
                    #ident(event, #(#names),*)
                        .await
                        .map_err(|error| ::cqrs_core::__private::Unhandled::Failed(error.into()))
                })
            }
            #needs
            #submit
        };
    })
}

pub(crate) fn projector(args: TokenStream, item: &ItemFn) -> Result<TokenStream> {
    let name = named(args, item, "projector")?;
    let mut function = Function::of(item, "a projector", "`Recorded<Event>`", "Result<(), BoxError>", true)?;
    if !matches!(function.needs.pop(), Some(Type::Reference(_))) {
        return Err(Error::new(item.sig.inputs.span(), "a projector takes `tx: &mut dyn Tx` last"));
    }
    let (event, take, needs, names) = (heard(&function), function.take(), function.needs(), function.names());
    let (ident, text, recorded) = (function.ident, function.text(), function.message);
    let submit = submit(quote! {
        ::cqrs_core::__private::Registration::projector(
            ::core::module_path!(), #text, #name, <#event as ::cqrs_core::Heard>::SOURCE, needs, run,
        )
    });
    let context = if names.is_empty() { quote!(_) } else { quote!(context) };
    Ok(quote! {
        const _: () = {
            fn run<'a>(
                #context: &'a ::cqrs_core::Context<'a>,
                raw: ::cqrs_core::Recorded<::cqrs_core::__private::Raw>,
                tx: &'a mut dyn ::cqrs_core::storage::Tx,
            ) -> ::cqrs_core::__private::BoxFuture<'a, ::core::result::Result<(), ::cqrs_core::__private::Unhandled>> {
                ::std::boxed::Box::pin(async move {
                    let event: #recorded =
                        ::cqrs_core::__private::decode(raw).map_err(::cqrs_core::__private::Unhandled::Unreadable)?;
                    let (#(#names,)*) =
                        #take.map_err(|missing| ::cqrs_core::__private::Unhandled::Failed(missing.into()))?;
                    #ident(event, #(#names,)* tx)
                        .await
                        .map_err(|error| ::cqrs_core::__private::Unhandled::Failed(error.into()))
                })
            }
            #needs
            #submit
        };
    })
}

pub(crate) fn projection(args: TokenStream, item: &ItemFn) -> Result<TokenStream> {
    let name = named(args, item, "projection")?;
    let function = Function::of(item, "a projection", "`&Event`", "Change<View>", false)?;
    if let Some(need) = function.needs.first() {
        return Err(Error::new_spanned(need, "a projection is pure: it takes the event alone"));
    }
    let (ident, text, returns) = (function.ident, function.text(), function.returns);
    let event = seen(&function)?;
    let changes = quote_spanned!(returns.span()=> ::cqrs_core::__private::Changes);
    let submit = submit(quote! {
        ::cqrs_core::__private::Registration::projection(
            ::core::module_path!(), #text, #name, <<#returns as #changes>::View as ::cqrs_core::View>::NAME,
            <#event as ::cqrs_core::Heard>::SOURCE, project,
        )
    });
    Ok(quote! {
        const _: () = {
            fn project(raw: ::cqrs_core::Recorded<::cqrs_core::__private::Raw>)
                -> ::core::result::Result<::cqrs_core::__private::ErasedChange, ::cqrs_core::BoxError>
            {
                let event = ::cqrs_core::__private::decode::<#event>(raw)?;
                ::core::result::Result::Ok(#changes::erase(#ident(::cqrs_core::__private::Seen::of(&event))))
            }
            #submit
        };
    })
}

fn named(args: TokenStream, item: &ItemFn, attribute: &str) -> Result<LitStr> {
    let say = format!("its position is stored under a name: write `#[{attribute}(name = \"...\")]`");
    required(Keys::parse(args, &["name"])?.name, item.sig.ident.span(), &say)
}

/// The event in `Recorded<Event>`, asked of the type itself, so that an alias works too.
fn heard(function: &Function<'_>) -> TokenStream {
    let message = function.message;
    let of = quote_spanned!(message.span()=> ::cqrs_core::__private::RecordedEvent);
    quote!(<#message as #of>::Event)
}

/// The event in `&Event` or `&Recorded<Event>`.
pub(crate) fn seen(function: &Function<'_>) -> Result<TokenStream> {
    let Type::Reference(TypeReference { elem, mutability: None, .. }) = function.message else {
        return Err(Error::new_spanned(function.message, "it only looks: take `&Event` or `&Recorded<Event>`"));
    };
    let seen = quote_spanned!(elem.span()=> ::cqrs_core::__private::Seen);
    Ok(quote!(<&'static #elem as #seen<'static>>::Event))
}
