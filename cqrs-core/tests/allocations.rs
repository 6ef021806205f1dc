//! What the framework allocates on the way to a handler: nothing for a query, a `Dep` or `Views`, one unit of work for a command.
//! Its own binary, since it counts with the allocator.
use cqrs_core::{App, Change, Command, Dep, Event, Never, Query, Result, Running, View, Views, handler, projection};
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
#[expect(unsafe_code, reason = "an allocator cannot be written without; it passes every call on")]
// SAFETY: every call goes to `System` as it came; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.set(COUNT.get() + 1);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(at, layout) }
    }
}
#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Allocations of this thread during one look at the future, which must be enough.
fn allocations<T>(future: impl Future<Output = T>) -> u64 {
    let mut future = pin!(future);
    let before = COUNT.get();
    let looked = future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    let after = COUNT.get();
    assert!(matches!(looked, Poll::Ready(_)), "it waits for something");
    after - before
}

#[derive(Clone, Query)]
struct Plain;
#[handler]
async fn plain(_: Plain) -> Result<u64, Never> {
    Ok(1)
}
struct Port(u64);
#[derive(Clone, Query)]
struct Asks;
#[handler]
async fn asks(_: Asks, one: Dep<Port>, same: Dep<Port>) -> Result<u64, Never> {
    Ok(one.0 + same.0)
}
#[derive(Clone, Serialize, Deserialize, Command)]
struct Act;
#[handler]
async fn act(_: Act, port: Dep<Port>) -> Result<u64, Never> {
    Ok(port.0)
}
#[derive(Clone, Serialize, Deserialize, Event)]
#[event(name = "seen", version = 1)]
struct Seen;
#[derive(Clone, Serialize, Deserialize, View)]
#[view(name = "sight", key = u64)]
struct Sight;
#[projection(name = "sight")]
fn sight(_: &Seen) -> Change<Sight> {
    Change::none()
}
#[derive(Clone, Query)]
struct Looks;
#[handler]
async fn looks(_: Looks, sights: Views<Sight>) -> Result<(), Never> {
    drop(sights);
    Ok(())
}

fn app() -> Running {
    App::new("counted").discover(module_path!()).provide(Arc::new(Port(1))).build().expect("it fits together")
}

#[test]
fn a_query_allocates_nothing() {
    let app = app();
    assert_eq!(allocations(app.send(Plain)), 0);
    assert_eq!(allocations(app.send(Asks)), 0, "two deps");
    assert_eq!(allocations(app.send(Looks)), 0, "a view");
}

#[test]
fn a_command_allocates_its_unit_of_work() {
    let app = app();
    assert_eq!(allocations(app.send(Act)), 1);
}

/// A count that is always nought would pass everything.
#[test]
fn an_allocation_is_counted() {
    assert_eq!(allocations(async { Box::new(1) }), 1);
    assert_eq!(allocations(async {}), 0);
}
