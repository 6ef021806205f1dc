//! Snapshots, the end and the history of aggregates, their rows and the archive on PostgreSQL.
use super::{Server, Trials, Tried, fresh};
use crate::{
    archiving, deleting, history, purse::StoredAs, reads_of_deleted, rebuild_rows, rebuild_views, snapshots,
    warm_states,
};
use cqrs_core::storage::{Batch, CheckpointMove, Storage, SwitchedReader, ViewSwitch, postgres::ARCHIVE};
use futures_util::{FutureExt, future::BoxFuture};
use sqlx::AssertSqlSafe;
use std::{sync::Arc, time::Duration};

type Test = fn(Arc<dyn Storage>, StoredAs) -> BoxFuture<'static, ()>;

pub(crate) fn trials() -> Trials {
    let (rows, events, every) = (StoredAs::State, StoredAs::Events, StoredAs::Snapshots(10));
    let tests: [(&str, Test, &[StoredAs]); 13] = [
        (
            "a command on a long stream folds few events",
            |of, stored_as| snapshots::few_events(of, stored_as).boxed(),
            &[every],
        ),
        (
            "a load folds the events since the last one",
            |of, stored_as| warm_states::last_events(of, stored_as).boxed(),
            &[events, every],
        ),
        (
            "the events of another process are folded",
            |of, stored_as| warm_states::two_processes(of, stored_as).boxed(),
            &[events, every],
        ),
        (
            "an aggregate that ends and begins again is loaded",
            |of, stored_as| warm_states::deleted(of, stored_as).boxed(),
            &[events, every],
        ),
        (
            "a deleted aggregate is not found",
            |of, stored_as| deleting::ends(of, stored_as).boxed(),
            &[rows, events, every],
        ),
        ("an id is used again", |of, stored_as| deleting::begins_anew(of, stored_as).boxed(), &[rows, events, every]),
        (
            "the end of an aggregate is a change for those that read it",
            |of, stored_as| reads_of_deleted::ended(of, stored_as).boxed(),
            &[rows, events, every],
        ),
        (
            "the absence of a deleted aggregate is compared",
            |of, stored_as| reads_of_deleted::absent(of, stored_as).boxed(),
            &[rows, events, every],
        ),
        ("the past of an aggregate is found", |of, stored_as| history::past(of, stored_as).boxed(), &[rows, every]),
        ("rows are rebuilt", |of, stored_as| rebuild_rows::rebuilt(of, stored_as).boxed(), &[rows]),
        ("a view is rebuilt and switched", |of, stored_as| rebuild_views::switched(of, stored_as).boxed(), &[rows]),
        (
            "a view is rebuilt beside commands",
            |of, stored_as| rebuild_views::under_load(of, stored_as).boxed(),
            &[rows],
        ),
        ("archived events are found", |of, stored_as| archiving::found(of, stored_as).boxed(), &[rows, every]),
    ];
    let mut trials = Trials::new();
    for (name, test, kinds) in tests {
        for stored_as in kinds.iter().copied() {
            trials = trials.test(format!("{name}: {stored_as:?}"), move |server: Server| async move {
                let fresh = fresh(server, "event_sourcing").await?;
                test(Arc::new(fresh.storage.clone()), stored_as).await;
                anyhow::Ok(())
            });
        }
    }
    let trials = trials.test("a batch of a former version is refused after a switch", former_version);
    trials.test("a step of archiving scans no table", planned).within(Duration::from_secs(60))
}

/// Runs the statements with which the versions before copies moved a checkpoint.
async fn former_version(server: Server) -> Tried {
    let fresh = fresh(server, "former_version").await?;
    let storage: &dyn Storage = &fresh.storage;
    let reader = |copy: &str| format!("projection/card{copy}");
    for copy in ["", "~1"] {
        let moved = CheckpointMove { reader: reader(copy), from: 0, to: 5, epoch: None };
        storage.commit(Batch { checkpoint_moves: vec![moved], ..Batch::default() }).await?;
    }
    let statements = [
        "update cqrs.reader set checkpoint = 6 where reader = 'projection/card' and checkpoint = 5",
        "insert into cqrs.reader as r (reader, checkpoint) values ('projection/card', 6)
            on conflict (reader) do update set checkpoint = excluded.checkpoint where r.checkpoint = 5",
    ];
    let moved = sqlx::query("update cqrs.reader set checkpoint = 5 where reader = 'projection/card'");
    moved.execute(&fresh.plain).await?;
    let of = SwitchedReader { live: reader(""), filled: reader("~1"), kept: reader("~0") };
    let (view, checkpoints, readers) = ("card".to_owned(), vec![of.clone()], vec![of]);
    anyhow::ensure!(storage.switch_view(&ViewSwitch { view, from: 0, to: 1, checkpoints, readers }).await?);
    for statement in statements {
        let refused = sqlx::query(statement).execute(&fresh.plain).await.expect_err("a former version is refused");
        anyhow::ensure!(refused.to_string().contains("reader_fence"), "{refused}");
    }
    Ok(())
}

async fn planned(server: Server) -> Tried {
    let fresh = fresh(server, "archive_plan").await?;
    let explain = format!("prepare it as {ARCHIVE}; explain execute it(null, null, null, null); deallocate it");
    let settings = "set enable_seqscan = off; set plan_cache_mode = force_generic_plan; set enable_hashjoin = off; \
        set enable_mergejoin = off;";
    let plan = sqlx::raw_sql(AssertSqlSafe(format!("{settings} {explain}"))).fetch_all(&fresh.plain).await?;
    let plan: Vec<String> = plan.iter().map(|line| sqlx::Row::get(line, 0)).collect();
    let scan = plan.iter().find(|line| line.contains("Seq Scan"));
    anyhow::ensure!(scan.is_none(), "{}", plan.join("\n"));
    Ok(())
}
