//! `#[subscriber]`, `#[projection]` and `#[projector]`: register functions that handle events.
use crate::{
    attr::{FirstEvent, Keys, Limit, required},
    function::{Function, submit},
};
use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::{Error, Ident, ItemFn, LitStr, Result, Type, TypeReference, spanned::Spanned};

pub(crate) fn subscriber(args: TokenStream, item: &ItemFn) -> Result<TokenStream> {
    let keys = Keys::parse(args, &["group", "from", "limit"])?;
    let message = "a subscriber needs an explicit consumer group: write `#[subscriber(group = \"...\")]`";
    let group = required(keys.group, item.sig.ident.span(), message)?;
    let function = Function::parse(item, "a subscriber", "`Recorded<Event>`", "Result<(), BoxError>", true)?;
    let (event, take, needs) = (subscribed(&function), function.take_needs(), function.declare_needs());
    let (ident, function_name, names) = (function.ident, function.name(), function.need_names());
    let into_result = into_result(&function);
    let (from, limited) = (first_event(keys.from.as_ref(), "subscriber_from", ident), Limit::call(keys.limit.as_ref()));
    let submit = submit(quote! {
        ::cqrs_core::__private::Registration::subscriber(
            ::core::module_path!(), #function_name, #group, SOURCE, FROM, needs, run,
        ) #limited
    });
    Ok(quote! {
        const _: () = {
            const SOURCE: ::cqrs_core::Source = <#event as ::cqrs_core::Subscribable>::SOURCE;
            #from
            fn run<'a>(
                context: &'a ::cqrs_core::Context<'a>,
                raw: ::cqrs_core::__private::RawEvent,
            ) -> ::cqrs_core::__private::BoxFuture<'a, ::core::result::Result<(), ::cqrs_core::__private::SubscriberError>> {
                ::std::boxed::Box::pin(async move {
                    let event = ::cqrs_core::__private::decode::<#event>(raw)
                        .map_err(::cqrs_core::__private::SubscriberError::Unreadable)?;
                    let (#(#names,)*) =
                        #take.map_err(|rejection| ::cqrs_core::__private::SubscriberError::Failed(rejection.into()))?;
                    #into_result(#ident(event, #(#names),*).await)
                })
            }
            #needs
            #submit
        };
    })
}

pub(crate) fn projector(args: TokenStream, item: &ItemFn) -> Result<TokenStream> {
    let Keys { name, from, .. } = Keys::parse(args, &["name", "from"])?;
    let name = checkpoint_name(name, item, "projector")?;
    let mut function = Function::parse(item, "a projector", "`Recorded<Event>`", "Result<(), BoxError>", true)?;
    if !matches!(function.needs.pop(), Some(Type::Reference(_))) {
        return Err(Error::new(item.sig.inputs.span(), "the last parameter of a projector must be `tx: &mut dyn Tx`"));
    }
    let (event, take, needs) = (subscribed(&function), function.take_needs(), function.declare_needs());
    let (ident, function_name, names) = (function.ident, function.name(), function.need_names());
    let into_result = into_result(&function);
    let submit = submit(quote! {
        ::cqrs_core::__private::Registration::projector(
            ::core::module_path!(), #function_name, #name, SOURCE, FROM, needs, run,
        )
    });
    let from = first_event(from.as_ref(), "projection_from", ident);
    let context = if names.is_empty() { quote!(_) } else { quote!(context) };
    Ok(quote! {
        const _: () = {
            const SOURCE: ::cqrs_core::Source = <#event as ::cqrs_core::Subscribable>::SOURCE;
            #from
            fn run<'a>(
                #context: &'a ::cqrs_core::Context<'a>,
                raw: ::cqrs_core::__private::RawEvent,
                tx: &'a mut dyn ::cqrs_core::storage::Tx,
            ) -> ::cqrs_core::__private::BoxFuture<'a, ::core::result::Result<(), ::cqrs_core::__private::SubscriberError>> {
                ::std::boxed::Box::pin(async move {
                    let event = ::cqrs_core::__private::decode::<#event>(raw)
                        .map_err(::cqrs_core::__private::SubscriberError::Unreadable)?;
                    let (#(#names,)*) =
                        #take.map_err(|rejection| ::cqrs_core::__private::SubscriberError::Failed(rejection.into()))?;
                    #into_result(#ident(event, #(#names,)* tx).await)
                })
            }
            #needs
            #submit
        };
    })
}

pub(crate) fn projection(args: TokenStream, item: &ItemFn) -> Result<TokenStream> {
    let Keys { name, from, inline, .. } = Keys::parse(args, &["name", "from", "inline"])?;
    let name = checkpoint_name(name, item, "projection")?;
    let function = Function::parse(item, "a projection", "`&Event`", "Change<View>", false)?;
    if let Some(need) = function.needs.first() {
        return Err(Error::new_spanned(need, "a projection is a pure function: its only parameter is the event"));
    }
    let (ident, function_name, returns) = (function.ident, function.name(), function.returns);
    let event = event_argument(&function)?;
    let (erase, view) = (
        quote_spanned!(returns.span()=> ::cqrs_core::__private::ProjectionReturn::erase),
        quote_spanned!(returns.span()=> <#returns as ::cqrs_core::__private::ProjectionReturn>::View),
    );
    let submit = submit(quote! {
        ::cqrs_core::__private::Registration::projection(
            ::core::module_path!(), #function_name, #name,
            (
                <#view as ::cqrs_core::View>::NAME,
                <#view as ::cqrs_core::View>::INDEXES,
                ::core::any::TypeId::of::<#view>,
                ::cqrs_core::__private::index_entries::<#view>,
                ::cqrs_core::__private::view_form::<#view>,
                !<#view as ::cqrs_core::View>::PERSONAL.is_empty(),
            ),
            SOURCE, (FROM, INLINE), project,
        )
    });
    let from = first_event(from.as_ref(), "projection_from", ident);
    let inline = quote_spanned!(ident.span()=> ::cqrs_core::__private::projection_inline(SOURCE, #inline));
    Ok(quote! {
        const _: () = {
            const SOURCE: ::cqrs_core::Source = <#event as ::cqrs_core::Subscribable>::SOURCE;
            #from
            const INLINE: bool = #inline;
            fn project(raw: ::cqrs_core::__private::RawEvent)
                -> ::core::result::Result<::cqrs_core::__private::ErasedChange, ::cqrs_core::BoxError>
            {
                let event = ::cqrs_core::__private::decode::<#event>(raw)?;
                ::core::result::Result::Ok(#erase(#ident(::cqrs_core::__private::EventArgument::from_recorded(&event))))
            }
            #submit
        };
    })
}

/// Returns the name under which the checkpoint of a projection or projector is stored.
fn checkpoint_name(name: Option<LitStr>, item: &ItemFn, attribute: &str) -> Result<LitStr> {
    let message = format!("a {attribute} stores its checkpoint under a name: write `#[{attribute}(name = \"...\")]`");
    required(name, item.sig.ident.span(), &message)
}

/// Returns the constant `FROM`. Whether the event belongs to the service's own log is known to its type alone, so
/// `check`, a constant function, refuses a missing or a meaningless choice at compile time.
pub(crate) fn first_event(from: Option<&FirstEvent>, check: &str, function: &Ident) -> TokenStream {
    let from = match from {
        None => quote!(::core::option::Option::None),
        Some(FirstEvent::Now) => quote!(::core::option::Option::Some(::cqrs_core::__private::FirstEvent::Now)),
        Some(FirstEvent::Beginning) => {
            quote!(::core::option::Option::Some(::cqrs_core::__private::FirstEvent::Beginning))
        }
    };
    let check = Ident::new(check, function.span());
    let call = quote_spanned!(function.span()=> ::cqrs_core::__private::#check(SOURCE, #from));
    quote!(const FROM: ::cqrs_core::__private::FirstEvent = #call;)
}

/// Returns the event type in `Recorded<Event>`. The type system resolves it, so a type alias works as well.
fn subscribed(function: &Function<'_>) -> TokenStream {
    let message = function.message;
    quote_spanned!(message.span()=> <#message as ::cqrs_core::__private::RecordedEvent>::Event)
}

/// Returns the path of the function that converts the result of a subscriber or projector for the framework.
fn into_result(function: &Function<'_>) -> TokenStream {
    quote_spanned!(function.returns.span()=> ::cqrs_core::__private::SubscriberReturn::into_result)
}

/// Returns the event type in `&Event` or `&Recorded<Event>`.
pub(crate) fn event_argument(function: &Function<'_>) -> Result<TokenStream> {
    let Type::Reference(TypeReference { elem, mutability: None, .. }) = function.message else {
        let message = "the event must be taken by reference: `&Event` or `&Recorded<Event>`";
        return Err(Error::new_spanned(function.message, message));
    };
    Ok(quote_spanned!(elem.span()=> <&'static #elem as ::cqrs_core::__private::EventArgument<'static>>::Event))
}
