//! Both services in one process, on SQLite files in a folder: `cargo run -p order-fulfilment -- /tmp`. A later run with the
//! same folder goes on where this one has ended, and reminds the buyer if the hour has passed.
use anyhow::Context;
use cqrs_core::{Metadata, storage::Sqlite, transport::InProcess};
use order_fulfilment::inventory::{self, Deliver};
use order_fulfilment::orders::{self, FindEvents, PlaceOrder};
use std::{path::PathBuf, time::Duration};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let folder = PathBuf::from(std::env::args().nth(1).context("pass a folder for the files")?);
    let transport = InProcess::new();
    let orders = orders::app().storage(Sqlite::open(folder.join("orders.db")).await?).transport(transport.clone());
    let inventory = inventory::app().storage(Sqlite::open(folder.join("inventory.db")).await?).transport(transport);
    let (orders, inventory) = (orders.build()?, inventory.build()?);
    // Both join before either starts, so that nothing is published before the other one listens.
    let (joined_orders, joined_inventory) = (orders.join().await?, inventory.join().await?);
    let _background = [joined_orders.start(), joined_inventory.start()];

    inventory.with(Metadata::default().key("delivery-1")).send(Deliver("book".into(), 3)).await?;
    for order in ["order-1", "order-2"] {
        let place = PlaceOrder(order.into(), "book".into(), 2);
        orders.with(Metadata::default().key(order)).send(place).await?;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    for order in ["order-1", "order-2"] {
        println!("{order}: {:?}", orders.send(FindEvents(order.into())).await?);
    }
    println!("{:?}", orders.timers().counts(10).await?);
    Ok(())
}
