//! Measures the overhead of a request over a plain call of its handler, without a database.
//!
//! `cargo bench -p cqrs-core --bench dispatch`. Every line is a thousand calls, so its microseconds are nanoseconds a
//! call. The difference between a line and the one before is the cost of one more part of the dispatch.
//!
//! | line | adds |
//! |---|---|
//! | `a_direct` | nothing: the function is awaited |
//! | `b_handle` | `impl Handled`: the call that `#[handler]` generates, on an existing context |
//! | `c_send_query` | the dispatch: look-up of the registration, middleware, span, deadline |
//! | `d_send_query_with_dep` | one `Dep`: a look-up by type, a clone of an `Arc`, and the future that owns it until the call |
//! | `e_send_command` | a unit of work, and an empty commit, which does not call the storage |
//! | `f_update` | an aggregate in memory is loaded, updated, encoded and committed, for scale |
//!
//! Goals: `handle` at most 5 ns over `a_direct`, `send_query` at most 5 ns over `handle`, a `Dep` at most 15 ns; no
//! allocation up to there (`tests/allocations.rs` counts), one for a command. Times on a shared machine vary: compare
//! the column `fastest`.
//!
//! On two shared cores, 2026-11: 1.6, 1.5, 4.3, 26, 152 ns and 3 µs. So `send_query` meets its goal, and a `Dep` does
//! not: 14 to 22 ns in different runs.
#![allow(missing_docs, reason = "divan's attributes generate items")]
use cqrs_core::{
    Aggregate, App, Command, Context, Dep, Event, Evolve, FromContext, Handled, HandlerResult, Infallible, Query,
    Rejection, Repo, StateStored, handler,
};
use divan::{Bencher, black_box};
use serde::{Deserialize, Serialize};
use std::{
    pin::pin,
    sync::Arc,
    task::{Context as Waiting, Poll, Waker},
};

fn main() {
    divan::main();
}

#[derive(Clone, Query)]
struct Next(u64);
#[handler]
async fn next(request: Next) -> HandlerResult<u64, Infallible> {
    Ok(black_box(request.0) + 1)
}

struct Step(u64);
#[derive(Clone, Query)]
struct NextBy(u64);
#[handler]
async fn next_by(request: NextBy, step: Dep<Step>) -> HandlerResult<u64, Infallible> {
    Ok(black_box(request.0) + step.0)
}

#[derive(Clone, Serialize, Deserialize, Command)]
struct DoNext(u64);
#[handler]
async fn do_next(request: DoNext) -> HandlerResult<u64, Infallible> {
    Ok(black_box(request.0) + 1)
}

#[derive(Clone, Serialize, Deserialize, Aggregate)]
#[aggregate(name = "counter", event = Counted)]
struct Counter {
    #[id]
    id: u64,
    count: u64,
}
#[derive(Clone, Serialize, Deserialize, Event)]
#[event(name = "counted", version = 1)]
struct Counted;
impl Evolve<Counted> for Counter {
    fn create(id: u64, _: &Counted) -> Option<Self> {
        Some(Counter { id, count: 0 })
    }
    fn apply(&mut self, _: &Counted) {
        self.count += 1;
    }
}
#[derive(Clone, Serialize, Deserialize, Command)]
struct Count;
#[handler]
async fn count(_: Count, counters: Repo<Counter>) -> HandlerResult<u64, Infallible> {
    if counters.find(&1).await?.is_none() {
        return Ok(counters.create(1, Counted)?.count);
    }
    Ok(counters.update(&1, |_| Ok::<_, Infallible>(Counted)).await?.count)
}

fn app() -> App {
    let app = App::builder("bench").discover(module_path!()).provide(Arc::new(Step(1)));
    app.aggregate(StateStored::<Counter>::new()).build().expect("the app builds")
}
/// Completes the future with one poll, so that no executor is measured. Nothing here waits.
fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Waiting::from_waker(Waker::noop())) {
        Poll::Ready(out) => out,
        Poll::Pending => unreachable!("the future does not wait"),
    }
}
/// Makes the call a thousand times.
fn calls<T>(mut call: impl FnMut() -> T) {
    for _ in 0..1000 {
        black_box(call());
    }
}

/// A parameter that calls `handle` a thousand times, because a context exists only while parameters are created from
/// it.
struct Handles;
impl FromContext for Handles {
    fn from_context(context: &Context) -> Result<Self, Rejection> {
        calls(|| now(Handled::handle(Next(black_box(1)), context)).unwrap_or(0));
        Ok(Handles)
    }
}
#[derive(Clone, Query)]
struct Handle;
#[handler]
async fn handle(_: Handle, _: Handles) -> HandlerResult<(), Infallible> {
    Ok(())
}

#[divan::bench]
fn a_direct(bencher: Bencher<'_, '_>) {
    bencher.bench_local(|| calls(|| now(next(Next(black_box(1)))).unwrap_or(0)));
}
#[divan::bench]
fn b_handle(bencher: Bencher<'_, '_>) {
    let app = app();
    bencher.bench_local(|| now(app.send(Handle)).unwrap_or(()));
}
#[divan::bench]
fn c_send_query(bencher: Bencher<'_, '_>) {
    let app = app();
    bencher.bench_local(|| calls(|| now(app.send(Next(black_box(1)))).unwrap_or(0)));
}
#[divan::bench]
fn d_send_query_with_dep(bencher: Bencher<'_, '_>) {
    let app = app();
    bencher.bench_local(|| calls(|| now(app.send(NextBy(black_box(1)))).unwrap_or(0)));
}
#[divan::bench]
fn e_send_command(bencher: Bencher<'_, '_>) {
    let app = app();
    bencher.bench_local(|| calls(|| now(app.send(DoNext(black_box(1)))).unwrap_or(0)));
}
#[divan::bench]
fn f_update(bencher: Bencher<'_, '_>) {
    let app = app();
    bencher.bench_local(|| calls(|| now(app.send(Count)).unwrap_or(0)));
}
