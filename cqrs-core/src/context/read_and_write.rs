//! Repositories and views as a handler's parameters.
use crate::{
    aggregate::{Aggregate, Foreign, ForeignTable, History, Persisted, Repo},
    context::needs::Needs,
    context::{Context, FromContext},
    error::Rejection,
    view::{View, Views},
};
use std::marker::PhantomData;

impl<A: Aggregate> FromContext for Repo<A> {
    fn from_context(context: &Context) -> Result<Self, Rejection> {
        let persisted = context.runtime.provided.get::<Persisted<A>>();
        let persisted = persisted.ok_or_else(|| Rejection::missing(format_args!("aggregate {}", A::NAME)))?;
        let unit = context.unit.cloned();
        let unit =
            unit.ok_or_else(|| Rejection::missing("a unit of work (only commands and subscribers change aggregates)"))?;
        let (stored_as, table) = (persisted.stored_as, persisted.table.clone());
        Ok(Repo { stored_as, table, runtime: context.runtime.clone(), unit, of: PhantomData })
    }
    fn needs(needs: &mut Needs) {
        needs.aggregate::<Persisted<A>>(A::NAME);
    }
}

impl<A: Aggregate> FromContext for History<A> {
    fn from_context(context: &Context) -> Result<Self, Rejection> {
        Ok(History { runtime: context.runtime.clone(), of: PhantomData })
    }
    fn needs(needs: &mut Needs) {
        needs.history::<Persisted<A>>(A::NAME);
    }
}

impl<T: ForeignTable> FromContext for Foreign<T> {
    fn from_context(context: &Context) -> Result<Self, Rejection> {
        let unit = context.unit.cloned();
        let unit = unit.ok_or_else(|| Rejection::missing("a unit of work (only commands and subscribers have one)"))?;
        Ok(Foreign { table: context.get::<T>()?, runtime: context.runtime.clone(), unit })
    }
    fn needs(needs: &mut Needs) {
        needs.foreign::<T>();
    }
}

impl<V: View> FromContext for Views<V> {
    fn from_context(context: &Context) -> Result<Self, Rejection> {
        Ok(Views {
            runtime: context.runtime.clone(),
            sees: Some(context.metadata.token.clone()),
            own_commits: true,
            of: PhantomData,
        })
    }
    fn needs(needs: &mut Needs) {
        needs.view(V::NAME);
    }
}
