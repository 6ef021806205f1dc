//! An index that is added or removed while replicas of two programs write the view.
use super::{Server, Trials, Tried};
use crate::{
    bank::until,
    indexes::{all, app, new, old, only_price, project},
};
use async_trait::async_trait;
use cqrs_core::{
    App, Fault,
    app::DRAIN,
    storage::{Storage, StoredView, postgres::Postgres},
    testing::StorageLayer,
};
use std::time::Duration;
use test_support::Database;

pub(crate) fn trials() -> Trials {
    Trials::new()
        .test("pages of an added index are complete while an old program writes", added)
        .test("seeded: a page without the values that lack entries misses the values of an old program", hidden)
        .test("pages of a removed index are complete while the newer program writes", removed)
        .test("two replicas fill in an index together", together)
        .test("a rollback starts while the newest program fills in indexes that the former one lacks", rolled_back)
}

async fn storage(database: &Database) -> anyhow::Result<Postgres> {
    Ok(Postgres::connect(database.url()).await?)
}
async fn stocked(app: &App, items: u32) -> Tried {
    app.migrate().await?;
    for number in 0..items {
        app.send(old::Price(format!("i{number:03}"), items - number)).await?;
    }
    project(app).await;
    Ok(())
}

async fn added(server: Server) -> Tried {
    let database = server.create_database("indexes_added")?;
    let (old, new) = (app!(old, storage(&database).await?), app!(new, storage(&database).await?));
    stocked(&old, 20).await?;
    let joined = new.join().await?;
    // Only the old program's projection runs.
    for (name, price) in [("i010", 500), ("i019", 15), ("new", 7)] {
        old.send(old::Price(name.into(), price)).await?;
    }
    project(&old).await;
    let expected = |found: &[String]| {
        let prices = found.iter().map(|item| item.split(' ').nth(1).and_then(|price| price.parse::<u32>().ok()));
        let prices: Vec<_> = prices.collect();
        found.len() == 21 && prices.is_sorted_by(|a, b| a >= b) && found[0] == "i010 500"
    };
    for limit in [1, 2, 3, 7, 20, 21, 100] {
        let found = all!(new, new::Dearest, limit);
        assert!(expected(&found), "{limit}: {found:?}");
        let (count, mut backwards, mut reversed) = new.send(new::Backwards(limit)).await?;
        backwards.reverse();
        reversed.reverse();
        assert_eq!((count, backwards), (21, found.clone()), "{limit}: counted and read backwards");
        assert_eq!(reversed, found, "{limit}: reversed");
    }
    // The newest program fills them in, and goes on serving.
    let running = joined.start();
    let plain = sqlx::PgPool::connect_lazy(database.url())?;
    let sets = "select count(distinct index_set) from cqrs.view where view = 'shelf'";
    let sets = async || sqlx::query_scalar::<_, i64>(sets).fetch_one(&plain).await.expect("the database responds");
    until("the values are filled in", async || sets().await == 1).await;
    let found = all!(new, new::Dearest, 5);
    assert!(expected(&found), "{found:?}");
    assert!(running.stop(DRAIN).await);
    Ok(())
}

/// A storage that hides the values without entries of an index.
struct Hidden(Postgres);
#[async_trait]
impl StorageLayer for Hidden {
    fn inner(&self) -> &dyn Storage {
        &self.0
    }
    async fn views_of_other_index_sets(&self, _: &str, _: &[i64], _: usize) -> Result<Vec<StoredView>, Fault> {
        Ok(Vec::new())
    }
}

async fn hidden(server: Server) -> Tried {
    let database = server.create_database("indexes_hidden")?;
    let (old, new) = (app!(old, storage(&database).await?), app!(new, Hidden(storage(&database).await?)));
    stocked(&old, 2).await?;
    new.migrate().await?;
    assert_eq!(all!(new, new::Dearest, 5), [""; 0], "the values of the old program are not found");
    Ok(())
}

async fn removed(server: Server) -> Tried {
    let database = server.create_database("indexes_removed")?;
    let (old, newer) = (app!(old, storage(&database).await?), app!(only_price, storage(&database).await?));
    stocked(&old, 5).await?;
    let joined = old.join().await?;
    newer.migrate().await?;
    newer.send(only_price::Price("i003".into(), 9)).await?;
    project(&newer).await;
    until("the old program knows the newer one", async || {
        project(&old).await;
        old.send(old::Named(None, 9)).await.is_ok_and(|(found, _)| found.len() == 5)
    })
    .await;
    let expected = ["i000 5", "i001 4", "i002 3", "i003 9", "i004 1"];
    for limit in [1, 2, 9] {
        assert_eq!(all!(old, old::Named, limit), expected);
    }
    drop(joined);
    Ok(())
}

async fn rolled_back(server: Server) -> Tried {
    let database = server.create_database("indexes_rolled_back")?;
    let (old, newer) = (app!(old, storage(&database).await?), app!(only_price, storage(&database).await?));
    stocked(&old, 1_000).await?;
    let running = newer.start().await?;
    let again = app!(old, storage(&database).await?);
    // Each of them would undo the work of the other one.
    let started = tokio::time::timeout(Duration::from_secs(30), again.migrate()).await;
    started.expect("the former program starts")?;
    assert!(running.stop(DRAIN).await);
    Ok(())
}

async fn together(server: Server) -> Tried {
    let database = server.create_database("indexes_together")?;
    let old = app!(old, storage(&database).await?);
    stocked(&old, 300).await?;
    let (one, two) = (app!(new, storage(&database).await?), app!(new, storage(&database).await?));
    let (first, second) = tokio::join!(one.migrate(), two.migrate());
    first?;
    second?;
    for new in [one, two] {
        assert_eq!(all!(new, new::Dearest, 70).len(), 300);
    }
    Ok(())
}
