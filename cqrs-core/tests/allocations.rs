//! Counts the framework's allocations on the way to a handler: none for a query, one unit of work for a command.
//!
//! A `Dep` and `Views` allocate nothing either. A test binary of its own, because it replaces the global allocator.
use cqrs_core::{
    Aggregate, App, Change, Command, Dep, Event, Evolve, HandlerResult, Infallible, Query, StateStored, View, Views,
    handler, projection,
};
use serde::{Deserialize, Serialize};
use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

struct Counting;
thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}
#[expect(unsafe_code, reason = "an allocator cannot be written without unsafe code; this one forwards every call")]
// SAFETY: every call is forwarded to `System` unchanged; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.set(COUNT.get() + 1);
        // SAFETY: the caller upholds the same contract for `System`.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller upholds the same contract for `System`.
        unsafe { System.dealloc(at, layout) }
    }
}
#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Returns the allocations of this thread during one poll of the future, which must complete it.
fn allocations<T>(future: impl Future<Output = T>) -> u64 {
    let mut future = pin!(future);
    let before = COUNT.get();
    let polled = future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    let after = COUNT.get();
    assert!(matches!(polled, Poll::Ready(_)), "the future is not complete after one poll");
    after - before
}

#[derive(Clone, Query)]
struct Plain;
#[handler]
async fn plain(_: Plain) -> HandlerResult<u64, Infallible> {
    Ok(1)
}
struct Port(u64);
#[derive(Clone, Query)]
struct WithDeps;
#[handler]
async fn with_deps(_: WithDeps, one: Dep<Port>, same: Dep<Port>) -> HandlerResult<u64, Infallible> {
    Ok(one.0 + same.0)
}
#[derive(Clone, Serialize, Deserialize, Command)]
struct Act;
#[handler]
async fn act(_: Act, port: Dep<Port>) -> HandlerResult<u64, Infallible> {
    Ok(port.0)
}
#[derive(Clone, Serialize, Deserialize, Event)]
#[event(name = "seen", version = 1)]
struct Seen;
#[derive(Clone, Serialize, Deserialize, Aggregate)]
#[aggregate(name = "spot", event = Seen)]
struct Spot {
    #[id]
    id: u64,
}
impl Evolve<Seen> for Spot {
    fn create(id: u64, _: &Seen) -> Option<Self> {
        Some(Spot { id })
    }
    fn apply(&mut self, _: &Seen) {}
}
#[derive(Clone, Serialize, Deserialize, View)]
#[view(name = "sight", key = u64)]
struct Sight;
#[projection(name = "sight")]
fn sight(_: &Seen) -> Change<Sight> {
    Change::none()
}
#[derive(Clone, Query)]
struct WithViews;
#[handler]
async fn with_views(_: WithViews, sights: Views<Sight>) -> HandlerResult<(), Infallible> {
    drop(sights);
    Ok(())
}

fn app() -> App {
    App::builder("counted")
        .discover(module_path!())
        .provide(Arc::new(Port(1)))
        .aggregate(StateStored::<Spot>::new())
        .build()
        .expect("the app builds")
}

#[test]
fn a_query_allocates_nothing() {
    let app = app();
    assert_eq!(allocations(app.send(Plain)), 0);
    assert_eq!(allocations(app.send(WithDeps)), 0, "a query with two dependencies");
    assert_eq!(allocations(app.send(WithViews)), 0, "a query with a view");
}

#[test]
fn a_command_allocates_its_unit_of_work() {
    let app = app();
    assert_eq!(allocations(app.send(Act)), 1);
}

/// Guards the other tests: a counter that is always zero would pass them all.
#[test]
fn an_allocation_is_counted() {
    assert_eq!(allocations(async { Box::new(1) }), 1);
    assert_eq!(allocations(async {}), 0);
}
