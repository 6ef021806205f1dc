//! Checks the process manager of orders (I14): reactions are whole, commands are carried out once, and every order comes to one
//! end that agrees with the stock.
use super::{Invariant::I14, Moved, Notes, Orders, Seen};
use std::collections::HashMap;

/// The commands of the process manager, each with the event of its effect.
const COMMANDS: [(&str, &str); 5] = [
    (REQUEST, REQUESTED),
    (RETURN, "order.goods_returned"),
    ("ConfirmOrder", CONFIRMED),
    ("RejectOrder", REJECTED),
    ("RemindBuyer", "order.reminded"),
];
const REQUEST: &str = "RequestGoods";
/// The command that undoes the request.
const RETURN: &str = "ReturnGoods";
const REQUESTED: &str = "order.goods_requested";
const CONFIRMED: &str = "order.confirmed";
const REJECTED: &str = "order.rejected";

/// The observations of one order.
#[derive(Default)]
struct Order<'a> {
    events: Vec<&'a str>,
    moved: Vec<&'a Moved>,
    stock: Vec<&'a str>,
}
impl Order<'_> {
    fn count(&self, event: &str) -> usize {
        self.events.iter().filter(|found| **found == event).count()
    }
    fn sent(&self, command: &str) -> usize {
        self.moved.iter().flat_map(|moved| &moved.sent).filter(|sent| *sent == command).count()
    }
    fn count_stock(&self, event: &str) -> usize {
        self.stock.iter().filter(|found| **found == event).count()
    }
    /// Returns whether the order has come to an end, its request was answered, and the stock agrees with it.
    fn has_ended(&self) -> bool {
        let (reserved, released) = (self.count_stock("stock.reserved"), self.count_stock("stock.released"));
        let is_answered = reserved + self.count_stock("stock.sold_out") == self.count(REQUESTED);
        let agrees = match (self.count(CONFIRMED), self.count(REJECTED)) {
            (1, 0) => (reserved, released) == (1, 0),
            (0, 1) => reserved == released,
            _ => false,
        };
        is_answered && agrees
    }
}

fn by_order(orders: &Orders) -> HashMap<&str, Order<'_>> {
    let mut all: HashMap<&str, Order<'_>> = HashMap::new();
    for (order, name) in &orders.events {
        all.entry(order).or_default().events.push(name);
    }
    for moved in &orders.moved {
        all.entry(&moved.key).or_default().moved.push(moved);
    }
    for (order, name) in &orders.stock {
        all.entry(order).or_default().stock.push(name);
    }
    all
}

/// Returns whether every order has come to an end, the stock agrees, and no timer is due.
pub fn have_ended(orders: &Orders) -> bool {
    let all = by_order(orders);
    let has_ended = |order: &String| all.get(order.as_str()).is_some_and(Order::has_ended);
    orders.placed.iter().all(has_ended) && !orders.timers.values().any(|is_due| *is_due)
}

pub(super) fn check(seen: &Seen, notes: &mut Notes) {
    let Some(orders) = &seen.orders else { return };
    let all = by_order(orders);
    for name in &orders.placed {
        match all.get(name.as_str()) {
            Some(order) if order.count("order.placed") == 1 => {
                reactions(orders, name, order, notes);
                commands(name, order, notes);
                end(orders, name, order, notes);
            }
            _ => notes.lost(|| format!("order {name} was placed and is not in the log")),
        }
    }
}

/// Compares the stored instance with the noted reactions: each begins where the one before has ended.
fn reactions(orders: &Orders, name: &str, order: &Order<'_>, notes: &mut Notes) {
    let (mut state, mut steps) = ("", 0);
    for moved in &order.moved {
        steps += 1;
        if (moved.step, &*moved.from) != (steps, state) {
            notes.broken(I14, 1, || format!("order {name}: {moved:?} follows reaction {} to `{state}`", steps - 1));
        }
        state = &moved.to;
    }
    let stored = orders.instances.get(name);
    let agrees = stored.is_some_and(|stored| {
        let is_in_state = if state == "end" { stored.status == "ended" } else { stored.state == state };
        stored.steps == steps && is_in_state
    });
    if !agrees {
        notes.broken(I14, 1, || format!("order {name}: {steps} reactions lead to `{state}`, but {stored:?} is stored"));
    }
}

/// Compares the commands that were sent with their effects.
fn commands(name: &str, order: &Order<'_>, notes: &mut Notes) {
    for (command, event) in COMMANDS {
        let (sent, done) = (order.sent(command), order.count(event));
        // A request that was not carried out yet is withdrawn when the flow gives up.
        let is_withdrawn = command == REQUEST && order.sent(RETURN) > 0;
        if done > sent {
            notes.counts.doubled += (done - sent) as u64;
            notes.broken(I14, 1, || {
                format!("order {name}: {command} was sent {sent} times and carried out {done} times")
            });
        } else if done < sent && !is_withdrawn {
            notes.counts.lost += (sent - done) as u64;
            notes.broken(I14, 1, || {
                format!("order {name}: {command} was sent {sent} times and carried out {done} times")
            });
        }
    }
}

/// Checks the end of an order: there is one, after everything else, and the stock and the deadline agree with it.
fn end(orders: &Orders, name: &str, order: &Order<'_>, notes: &mut Notes) {
    let (events, stock) = (&order.events, &order.stock);
    let is_last = matches!(events.last(), Some(&(CONFIRMED | REJECTED)));
    if !order.has_ended() || !is_last {
        notes.broken(I14, 1, || format!("order {name} has the events {events:?} and the goods {stock:?}"));
    }
    let deadline = format!("process/orders.fulfilment/{name}/deadline");
    let (has_deadline, waits) = (orders.timers.contains_key(&deadline), order.count(CONFIRMED) > 0);
    if has_deadline != waits {
        notes.broken(I14, 1, || format!("order {name} has the events {events:?}; it has a deadline: {has_deadline}"));
    }
}
