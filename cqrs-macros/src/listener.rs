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
    let (ident, text, done) = (function.ident, function.text(), done(&function));
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
                    let event = ::cqrs_core::__private::decode::<#event>(raw)
                        .map_err(::cqrs_core::__private::Unhandled::Unreadable)?;
                    let (#(#names,)*) =
                        #take.map_err(|missing| ::cqrs_core::__private::Unhandled::Failed(missing.into()))?;
                    #done(#ident(event, #(#names),*).await)
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
    let (ident, text, done) = (function.ident, function.text(), done(&function));
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
                    let event = ::cqrs_core::__private::decode::<#event>(raw)
                        .map_err(::cqrs_core::__private::Unhandled::Unreadable)?;
                    let (#(#names,)*) =
                        #take.map_err(|missing| ::cqrs_core::__private::Unhandled::Failed(missing.into()))?;
                    #done(#ident(event, #(#names,)* tx).await)
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
    let (changes, name_of_view) = (
        quote_spanned!(returns.span()=> ::cqrs_core::__private::Changes::erase),
        quote_spanned!(returns.span()=> <<#returns as ::cqrs_core::__private::Changes>::View as ::cqrs_core::View>::NAME),
    );
    let submit = submit(quote! {
        ::cqrs_core::__private::Registration::projection(
            ::core::module_path!(), #text, #name, #name_of_view,
            <#event as ::cqrs_core::Heard>::SOURCE, project,
        )
    });
    Ok(quote! {
        const _: () = {
            fn project(raw: ::cqrs_core::Recorded<::cqrs_core::__private::Raw>)
                -> ::core::result::Result<::cqrs_core::__private::ErasedChange, ::cqrs_core::BoxError>
            {
                let event = ::cqrs_core::__private::decode::<#event>(raw)?;
                ::core::result::Result::Ok(#changes(#ident(::cqrs_core::__private::Seen::of(&event))))
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
    quote_spanned!(message.span()=> <#message as ::cqrs_core::__private::RecordedEvent>::Event)
}

/// What makes of the function's own result what the framework goes by.
fn done(function: &Function<'_>) -> TokenStream {
    quote_spanned!(function.returns.span()=> ::cqrs_core::__private::Done::done)
}

/// The event in `&Event` or `&Recorded<Event>`.
pub(crate) fn seen(function: &Function<'_>) -> Result<TokenStream> {
    let Type::Reference(TypeReference { elem, mutability: None, .. }) = function.message else {
        return Err(Error::new_spanned(function.message, "it only looks: take `&Event` or `&Recorded<Event>`"));
    };
    Ok(quote_spanned!(elem.span()=> <&'static #elem as ::cqrs_core::__private::Seen<'static>>::Event))
}
