//! What a request costs beside the function it ends in, without a database.
//!
//! `cargo bench -p cqrs-core --bench dispatch`. Every line is a thousand calls, so its microseconds are nanoseconds a call. Read
//! the lines downwards: the difference to the one before is what one more part of the way costs.
//!
//! | line | what it adds |
//! |---|---|
//! | `a_direct` | nothing: the function is awaited |
//! | `b_handle` | `impl Handled`: the call that `#[handler]` writes, on a context that is there |
//! | `c_send_query` | the way in: discovered or not, layers, span, deadline |
//! | `d_send_query_with_dep` | one `Dep`: a look-up by type, a clone of an `Arc`, and the future that holds it until the call |
//! | `e_send_command` | a unit of work, and a commit of nothing, which asks no storage |
//! | `f_stage` | an aggregate in memory is loaded, decided on, encoded and committed: for scale |
//!
//! Goals: `handle` at most 5 ns over `a_direct`, `send_query` at most 5 ns over `handle`, a `Dep` at most 15 ns; no allocation up
//! to there (`tests/allocations.rs` counts), one for a command. Times on a shared machine wander: believe the fastest column.
//!
//! On two shared cores, 2026-11: 1.6, 1.5, 4.3, 26, 152 ns and 3 µs. So `send_query` is inside its goal, and a `Dep` is not: 14 to 22 ns
//! in different runs.
#![allow(missing_docs, reason = "divan's attributes make items of their own")]
use cqrs_core::{
    Aggregate, App, Command, Context, Dep, Event, Evolve, FromContext, Handled, Missing, Never, Query, Repo, Result,
    Rows, Running, handler,
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
async fn next(request: Next) -> Result<u64, Never> {
    Ok(black_box(request.0) + 1)
}

struct Step(u64);
#[derive(Clone, Query)]
struct NextBy(u64);
#[handler]
async fn next_by(request: NextBy, step: Dep<Step>) -> Result<u64, Never> {
    Ok(black_box(request.0) + step.0)
}

#[derive(Clone, Serialize, Deserialize, Command)]
struct DoNext(u64);
#[handler]
async fn do_next(request: DoNext) -> Result<u64, Never> {
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
    fn create(_: &Counted) -> Option<Self> {
        Some(Counter { id: 1, count: 0 })
    }
    fn apply(&mut self, _: &Counted) {
        self.count += 1;
    }
}
#[derive(Clone, Serialize, Deserialize, Command)]
struct Count;
#[handler]
async fn count(_: Count, counters: Repo<Counter>) -> Result<u64, Never> {
    if counters.find(&1).await?.is_none() {
        return Ok(counters.create(Counted)?.count);
    }
    Ok(counters.update(&1, |_| Ok::<_, Never>(Counted)).await?.count)
}

fn app() -> Running {
    let app = App::new("bench").discover(module_path!()).provide(Arc::new(Step(1)));
    app.aggregate(Rows::<Counter>::new()).build().expect("it fits together")
}
/// Nothing here waits for anything, so one look is enough: no executor in the numbers.
fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Waiting::from_waker(Waker::noop())) {
        Poll::Ready(out) => out,
        Poll::Pending => unreachable!("it waits for nothing"),
    }
}
/// A thousand times.
fn calls<T>(mut call: impl FnMut() -> T) {
    for _ in 0..1000 {
        black_box(call());
    }
}

/// A context is lent to those who make a parameter of it, so that is where `handle` is called a thousand times.
struct Handles;
impl FromContext for Handles {
    fn from_context(context: &Context) -> std::result::Result<Self, Missing> {
        calls(|| now(Handled::handle(Next(black_box(1)), context)).unwrap_or(0));
        Ok(Handles)
    }
}
#[derive(Clone, Query)]
struct Handle;
#[handler]
async fn handle(_: Handle, _: Handles) -> Result<(), Never> {
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
fn f_stage(bencher: Bencher<'_, '_>) {
    let app = app();
    bencher.bench_local(|| calls(|| now(app.send(Count)).unwrap_or(0)));
}
