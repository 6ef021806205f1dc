//! The cost of reads beside many parked messages, in instructions of the database's virtual machine.
use super::{first_parked, left_to_newer_program, lookup_inbox, parked, parked_counts, parked_keys};
use crate::{
    storage::sqlite::migrate::migrate,
    storage::{LEFT_TO_NEWER_PROGRAM, ParkedPage},
};
use sqlx::{
    SqlitePool, query,
    sqlite::{SqliteConnectOptions, SqlitePoolOptions},
};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::SeqCst},
};

/// Returns a database in memory with `count` parked messages of each of two readers, and a count of the instructions. A
/// third of the messages has one key, and each other one has its own.
async fn filled(count: u32) -> sqlx::Result<(SqlitePool, Arc<AtomicU64>)> {
    let instructions = Arc::new(AtomicU64::new(0));
    let counter = instructions.clone();
    let pool = SqlitePoolOptions::new().max_connections(1).after_connect(move |connection, _| {
        let counter = counter.clone();
        Box::pin(async move {
            connection.lock_handle().await?.set_progress_handler(1, move || {
                counter.fetch_add(1, SeqCst);
                true
            });
            Ok(())
        })
    });
    let pool = pool.connect_with(SqliteConnectOptions::new().in_memory(true)).await?;
    migrate(&mut *pool.acquire().await?).await.expect("the schema can be created");
    let fill = "with recursive n(i) as (select 1 union all select i + 1 from n where i < ?1)
        insert into cqrs_parked (reader, key, message, at, error, attempts)
        select 'reader-' || (i % 2), case i % 3 when 0 then 'key-of-many' else 'key-' || i end, zeroblob(16), i, ?2, 1 from n";
    query(fill).bind(2 * count).bind(LEFT_TO_NEWER_PROGRAM).execute(&pool).await?;
    Ok((pool, instructions))
}

/// Returns the instructions of each read.
async fn costs(count: u32) -> sqlx::Result<Vec<(&'static str, u64)>> {
    let (pool, instructions) = filled(count).await?;
    let (pool, mut costs) = (&pool, Vec::new());
    let mut note = |read| costs.push((read, instructions.swap(0, SeqCst)));
    note("the fill");
    let page = ParkedPage { limit: 50, count_up_to: 10, ..ParkedPage::default() };
    assert_eq!(parked_keys(pool, &page).await?.len(), 50);
    note("the first page of keys");
    let of_reader = ParkedPage { reader: Some("reader-1"), after: Some(("reader-1", "key-3")), ..page };
    assert_eq!(parked_keys(pool, &of_reader).await?.len(), 50);
    note("a page of the keys of a reader");
    assert_eq!(left_to_newer_program(pool, 50).await?.len(), 50);
    note("the keys that are left to a newer program");
    assert_eq!(parked_counts(pool, 50).await?.len(), 2);
    note("a count up to a limit");
    let keys = ["key-of-many", "key-1", "none"].map(str::to_owned);
    assert_eq!(first_parked(pool, "reader-1", &keys).await?.len(), 2);
    note("the first messages of some keys");
    assert_eq!(parked(pool, "reader-1", "key-of-many", 0, 1).await?.len(), 1);
    note("the first message of a key");
    assert_eq!(lookup_inbox(pool, "reader-1", &[], &keys).await?.parked.len(), 2);
    note("the look-up of a message in the inbox");
    costs.remove(0);
    Ok(costs)
}

#[tokio::test]
async fn reads_cost_the_same_beside_ten_times_as_many_parked_messages() {
    let [few, many] = [costs(300).await, costs(3_000).await].map(|costs| costs.expect("the database responds"));
    for ((read, few), (_, many)) in few.into_iter().zip(many) {
        assert!(few > 0 && many * 4 <= few * 5, "{read}: {few} instructions, and {many} beside ten times as many");
    }
}

/// Before, each step to the next key read all messages of the reader.
#[tokio::test]
async fn a_comparison_of_rows_with_a_joined_row_reads_the_whole_reader() {
    let sql = "select m.seq from cqrs_parked p cross join cqrs_parked m where p.seq = ?1
        and (m.reader, m.key) > (p.reader, p.key) order by m.reader, m.key limit 1";
    let mut costs = Vec::new();
    for count in [300, 3_000] {
        let (pool, instructions) = filled(count).await.expect("the database responds");
        instructions.store(0, SeqCst);
        let found = query(sql).bind(2 * count - 1).fetch_optional(&pool).await;
        assert!(found.expect("the database responds").is_some());
        costs.push(instructions.load(SeqCst));
    }
    assert!(costs[1] > 5 * costs[0], "the count does not show the cost: {costs:?}");
}
