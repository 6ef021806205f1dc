//! `derive(Process)` and `#[process]`: the states of a process manager, and its functions.
use crate::{
    attr::{FirstEvent, Keys, required},
    function::{Function, submit},
    personal::Personal,
    subscriptions::{event_argument, first_event},
};
use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::{
    Attribute, Data, DeriveInput, Error, Ident, ItemFn, LitInt, LitStr, Path, Result, Token, Type, Variant,
    parse::{Parse, ParseStream},
    spanned::Spanned,
};

/// A step: `Command, undone_by = Other` or `Command, irreversible`.
struct Step {
    command: Type,
    undo: Option<Type>,
}
impl Parse for Step {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let command: Type = input.parse()?;
        let message = "a step names the command that undoes it: write `Command, undone_by = Other`, or \
            `Command, irreversible`";
        if input.is_empty() {
            return Err(Error::new(command.span(), message));
        }
        input.parse::<Token![,]>()?;
        let word: Ident = input.parse()?;
        match &*word.to_string() {
            "irreversible" => Ok(Step { command, undo: None }),
            "undone_by" => {
                input.parse::<Token![=]>()?;
                Ok(Step { command, undo: Some(input.parse()?) })
            }
            _ => Err(Error::new(word.span(), message)),
        }
    }
}

/// The deadline of a state.
struct Deadline {
    seconds: LitInt,
    then: Path,
}

pub(crate) fn derive(input: &DeriveInput) -> Result<TokenStream> {
    let ident = &input.ident;
    let keys = Keys::from_attributes(&input.attrs, "process", &["name", "version"])?;
    let message = "a process is stored under an explicit name: write `#[process(name = \"...\", version = 1)]`";
    let name = required(keys.name, ident.span(), message)?;
    let version = required(keys.version, ident.span(), message)?;
    let kind = LitStr::new(&format!("process:{}", name.value()), name.span());
    let Data::Enum(data) = &input.data else {
        return Err(Error::new(ident.span(), "the state of a process is an enum with a variant for each state"));
    };
    let (mut states, mut names, mut expired) = (Vec::new(), Vec::new(), Vec::new());
    for variant in &data.variants {
        let (variant_ident, text) = (&variant.ident, variant.ident.to_string());
        names.push(quote!(#ident::#variant_ident { .. } => #text,));
        let deadline = match deadline(variant)? {
            Some(Deadline { seconds, then }) => {
                expired.push(quote!(state @ #ident::#variant_ident { .. } => #then(state),));
                quote!(::core::option::Option::Some(::core::time::Duration::from_secs(#seconds)))
            }
            None => {
                expired.push(quote!(#ident::#variant_ident { .. } => ::cqrs_core::Reaction::none(),));
                quote!(::core::option::Option::None)
            }
        };
        states.push(quote!(::cqrs_core::__private::ProcessState { name: #text, deadline: #deadline }));
    }
    let steps = steps(input, "step")?;
    let definitions = steps.iter().map(|Step { command, undo }| match undo {
        Some(undo) => quote!(::cqrs_core::__private::process_step::<#command, #undo>()),
        None => quote!(::cqrs_core::__private::irreversible_process_step::<#command>()),
    });
    let remote_steps = self::steps(input, "remote_step")?;
    let remote_definitions = remote_steps.iter().map(|Step { command, undo }| match undo {
        Some(undo) => quote!(::cqrs_core::__private::remote_step::<#command, #undo>()),
        None => quote!(::cqrs_core::__private::irreversible_remote_step::<#command>()),
    });
    let sends = steps.iter().map(|Step { command, undo }| {
        let undo = undo_of(undo.as_ref());
        quote!(impl ::cqrs_core::process::Sends<#command> for #ident { type Undo = #undo; })
    });
    let sends_remote = remote_steps.iter().map(|Step { command, undo }| {
        let undo = undo_of(undo.as_ref());
        quote!(impl ::cqrs_core::process::SendsRemote<#command> for #ident { type Undo = #undo; })
    });
    let personal = Personal::of(input)?;
    let (constant, checks) = (personal.constant(), personal.checks());
    Ok(quote! {
        impl ::cqrs_core::Process for #ident {
            const NAME: &'static str = #name;
            const KIND: &'static str = #kind;
            const VERSION: u32 = #version;
            const STATES: &'static [::cqrs_core::__private::ProcessState] = &[#(#states),*];
            #constant
            fn state(&self) -> &'static str {
                match self { #(#names)* }
            }
            fn steps() -> ::std::vec::Vec<::cqrs_core::__private::StepDefinition> {
                ::std::vec![#(#definitions),*]
            }
            fn remote_steps() -> ::std::vec::Vec<::cqrs_core::__private::RemoteStepDefinition> {
                ::std::vec![#(#remote_definitions),*]
            }
            fn expired(self) -> ::cqrs_core::Reaction<Self> {
                match self { #(#expired)* }
            }
        }
        #checks
        #(#sends)*
        #(#sends_remote)*
    })
}

/// Returns the steps that attributes of this name declare.
fn steps(input: &DeriveInput, attribute: &str) -> Result<Vec<Step>> {
    let attributes = input.attrs.iter().filter(|candidate| candidate.path().is_ident(attribute));
    attributes.map(Attribute::parse_args::<Step>).collect()
}
/// Returns the type of the command that undoes a step.
fn undo_of(undo: Option<&Type>) -> TokenStream {
    undo.map_or_else(|| quote!(::cqrs_core::process::Irreversible), |undo| quote!(#undo))
}

/// Returns the deadline of a state, or `None` if it waits for ever.
fn deadline(variant: &Variant) -> Result<Option<Deadline>> {
    let is_for_ever = variant.attrs.iter().any(|attribute| attribute.path().is_ident("waits_for_ever"));
    let attribute = variant.attrs.iter().find(|attribute| attribute.path().is_ident("deadline"));
    let message = "a state says how long the process may be in it: write `#[deadline(secs = 900, then = function)]`, or \
        `#[waits_for_ever]`";
    let attribute = match (is_for_ever, attribute) {
        (true, None) => return Ok(None),
        (false, Some(attribute)) => attribute,
        _ => return Err(Error::new(variant.ident.span(), message)),
    };
    let (mut seconds, mut then) = (None, None);
    attribute.parse_nested_meta(|meta| {
        if meta.path.is_ident("secs") {
            seconds = Some(meta.value()?.parse()?);
        } else if meta.path.is_ident("then") {
            then = Some(meta.value()?.parse()?);
        } else {
            return Err(meta.error("expected one of `secs`, `then`"));
        }
        Ok(())
    })?;
    let seconds: LitInt = required(seconds, attribute.span(), message)?;
    if seconds.base10_parse::<u64>()? == 0 {
        return Err(Error::new(seconds.span(), "a state lasts for at least a second: a deadline of 0 passes for ever"));
    }
    Ok(Some(Deadline { seconds, then: required(then, attribute.span(), message)? }))
}

/// The keys of `#[process(...)]` on a function.
#[derive(Default)]
struct FunctionKeys {
    key: Option<Ident>,
    unexpected: Option<LitStr>,
    when: Option<LitStr>,
    then: Option<LitStr>,
    from: Option<FirstEvent>,
}

pub(crate) fn function(args: TokenStream, item: &ItemFn) -> Result<TokenStream> {
    let mut keys = FunctionKeys::default();
    let parser = syn::meta::parser(|meta| {
        let key = meta.path.get_ident().map(ToString::to_string).unwrap_or_default();
        match key.as_str() {
            "key" => keys.key = Some(meta.value()?.parse()?),
            "unexpected" => keys.unexpected = Some(meta.value()?.parse()?),
            "when" => keys.when = Some(meta.value()?.parse()?),
            "then" => keys.then = Some(meta.value()?.parse()?),
            "from" => keys.from = Some(meta.value()?.parse()?),
            _ => return Err(meta.error("expected one of `key`, `unexpected`, `when`, `then`, `from`")),
        }
        Ok(())
    });
    syn::parse::Parser::parse2(parser, args)?;
    let function = Function::parse(item, "a function of a process", "`&Event`", "Reaction<State>", false)?;
    let (ident, function_name, returns) = (function.ident, function.name(), function.returns);
    let span = ident.span();
    let key = "the key names the instance: write `key = field`, a field of the event, or `key = aggregate_id`";
    let key = required(keys.key, span, key)?;
    let then =
        "the picture needs the states that follow: write `then = \"State\"`, several with `|`, and `end` for the end";
    let then = names(&required(keys.then, span, then)?);
    let unexpected =
        "an event for no instance has a meaning: write `unexpected = \"starts\"`, `\"ignored\"` or `\"error\"`";
    let unexpected = required(keys.unexpected, span, unexpected)?;
    let (event, state) = (event_argument(&function)?, &function.needs[..]);
    let process = quote_spanned!(returns.span()=> <#returns as ::cqrs_core::__private::ProcessReaction>::Process);
    let begins = unexpected.value() == "starts";
    let meaning = match &*unexpected.value() {
        "starts" => quote!(Starts),
        "ignored" => quote!(Ignored),
        "error" => quote!(Error),
        _ => {
            return Err(Error::new(unexpected.span(), "`unexpected` is `\"starts\"`, `\"ignored\"` or `\"error\"`"));
        }
    };
    let recorded = quote!(::cqrs_core::__private::EventArgument::from_recorded(event));
    let (react, when) = match (begins, state, keys.when) {
        (true, [], None) => (
            quote!(::cqrs_core::__private::begin_process::<#process, #event>(raw, |event| #ident(#recorded))),
            Vec::new(),
        ),
        (false, [_], Some(when)) => (
            quote! {
                ::cqrs_core::__private::continue_process::<#process, #event>(
                    raw, state, |event, state| #ident(#recorded, state),
                )
            },
            names(&when),
        ),
        (true, ..) => {
            let message = "a function that starts an instance takes the event alone, and has no `when`";
            return Err(Error::new(span, message));
        }
        (false, ..) => {
            let message = "a function of an instance takes the event and the state, and says in which states it reacts: \
                write `when = \"State\"`, several with `|`";
            return Err(Error::new(span, message));
        }
    };
    let unused = begins.then(|| quote!(let _ = state;));
    let from = first_event(keys.from.as_ref(), "subscriber_from", ident);
    let submit = submit(quote! {
        ::cqrs_core::__private::Registration::process(
            ::core::module_path!(), #function_name, <#process as ::cqrs_core::Process>::NAME, SOURCE, FROM,
            ::cqrs_core::__private::process_needs, run, FUNCTION,
        )
    });
    Ok(quote! {
        const _: () = {
            const SOURCE: ::cqrs_core::Source = <#event as ::cqrs_core::Subscribable>::SOURCE;
            #from
            fn key(
                raw: &::cqrs_core::__private::RawEvent,
            ) -> ::core::result::Result<::std::string::String, ::cqrs_core::__private::SubscriberError> {
                ::cqrs_core::__private::process_key::<#event>(
                    raw, |event| ::cqrs_core::__private::key_text(&event.#key),
                )
            }
            fn react(
                raw: &::cqrs_core::__private::RawEvent,
                state: ::core::option::Option<::cqrs_core::serde_json::Value>,
            ) -> ::core::result::Result<::cqrs_core::__private::Reacted, ::cqrs_core::__private::SubscriberError> {
                #unused
                #react
            }
            const FUNCTION: ::cqrs_core::__private::ProcessFunction = ::cqrs_core::__private::ProcessFunction {
                definition: ::cqrs_core::__private::process_definition::<#process>,
                key,
                react,
                when: &[#(#when),*],
                then: &[#(#then),*],
                unexpected: ::cqrs_core::__private::Unexpected::#meaning,
            };
            fn run<'a>(
                context: &'a ::cqrs_core::Context<'a>,
                raw: ::cqrs_core::__private::RawEvent,
            ) -> ::cqrs_core::__private::BoxFuture<'a, ::core::result::Result<(), ::cqrs_core::__private::SubscriberError>> {
                ::cqrs_core::__private::run_process(context, raw, FUNCTION)
            }
            #submit
        };
    })
}

/// Returns the names in a text such as `Paying | Granting`.
fn names(text: &LitStr) -> Vec<LitStr> {
    let value = text.value();
    value.split('|').map(|name| LitStr::new(name.trim(), text.span())).collect()
}
