//! A stream of answers, as a query returns it.
use crate::error::Fault;
use futures_util::{
    Stream, StreamExt,
    stream::{BoxStream, try_unfold},
};
use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

/// A stream of answers, each of which can fail. The stream ends after the first fault.
///
/// A handler returns it as the output of a query: [`Views::watch`](crate::Views::watch) and
/// [`Views::watch_page`](crate::Views::watch_page) make the answers of a live query, and
/// [`Views::pages`](crate::Views::pages) those of a long list. It is a [`Stream`], and [`next`](Answers::next) reads it without
/// another crate.
#[must_use = "nothing is read from a stream that is dropped"]
pub struct Answers<T>(BoxStream<'static, Result<T, Fault>>);

impl<T: Send + 'static> Answers<T> {
    /// Creates the stream from a function that returns the next answer and the next state, or `None` at the end.
    pub(super) fn unfold<S, F>(state: S, next: impl FnMut(S) -> F + Send + 'static) -> Self
    where
        S: Send + 'static,
        F: Future<Output = Result<Option<(T, S)>, Fault>> + Send + 'static,
    {
        Answers(try_unfold(state, next).boxed())
    }
    /// Returns the next answer, a fault, or `None` at the end.
    ///
    /// A call that is dropped loses no answer.
    pub async fn next(&mut self) -> Option<Result<T, Fault>> {
        self.0.next().await
    }
    /// Converts each answer.
    pub fn map<U: Send + 'static>(self, mut convert: impl FnMut(T) -> U + Send + 'static) -> Answers<U> {
        Answers(self.0.map(move |answer| answer.map(&mut convert)).boxed())
    }
}

impl<T> Stream for Answers<T> {
    type Item = Result<T, Fault>;
    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.as_mut().poll_next(context)
    }
}

impl<T> fmt::Debug for Answers<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Answers")
    }
}
