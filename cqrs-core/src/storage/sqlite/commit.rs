//! One batch, statement by statement: a row count of 0 where it was refused, so no message is parsed.
use super::writer::Verdict;
use crate::{
    batch::{Answer, Batch, Claim, Move, NewEntry, Park, Position, Rejected, Row, ViewWrite},
    storage::parked::encode_headers,
};
use sqlx::{SqliteConnection, query};
use std::collections::HashMap;

type Refused = Option<Rejected>;

/// Applies a batch on a connection that is in a transaction; the caller undoes what was refused half-way. The order of the
/// parts is the order of refusals.
pub(super) async fn apply(connection: &mut SqliteConnection, batch: Batch) -> sqlx::Result<Verdict> {
    /// Ends with the refusal, if it is one.
    macro_rules! pass {
        ($refused:expr) => {
            if let Some(rejected) = $refused {
                return Ok(Err(rejected));
            }
        };
    }
    if let Some(answer) = &batch.answer {
        let known = query("select 1 from cqrs_answer where key = ?").bind(answer.key.clone());
        pass!(known.fetch_optional(&mut *connection).await?.map(|_| Rejected::Answered));
    }
    for mark in batch.marks {
        let sql = "insert into cqrs_inbox (grp, message) values (?, ?) on conflict do nothing";
        let marked = query(sql).bind(mark.group).bind(mark.message).execute(&mut *connection).await?;
        pass!((marked.rows_affected() == 0).then_some(Rejected::Seen));
    }
    for step in batch.moves {
        pass!(advance(connection, step).await?);
    }
    for number in batch.unparks {
        let gone = query("delete from cqrs_parked where seq = ?").bind(number as i64).execute(&mut *connection).await?;
        pass!((gone.rows_affected() == 0).then(|| Rejected::Moved(format!("parked message {number}"))));
    }
    // Looked at before the first is written: one of this batch is no head of others in it.
    for park in batch.parks.iter().filter(|it| it.behind) {
        let head = query("select 1 from cqrs_parked where reader = ? and key = ? limit 1");
        let head = head.bind(park.reader.clone()).bind(park.key.clone()).fetch_optional(&mut *connection).await?;
        pass!(head.is_none().then(|| Rejected::Moved(format!("{}/{}", park.reader, park.key))));
    }
    for parked in batch.parks {
        park(connection, parked).await?;
    }
    // What a row's version already proves need not be looked up, and stands even when old entries are gone.
    let mut heads: HashMap<String, u64> =
        batch.rows.iter().map(|it| (format!("{}-{}", it.kind, it.id), it.expected)).collect();
    for row in batch.rows {
        pass!(replace(connection, row).await?);
    }
    let mut last = Position(0);
    for event in batch.events {
        match append(connection, event, &mut heads).await? {
            Ok(position) => last = position,
            Err(rejected) => return Ok(Err(rejected)),
        }
    }
    for write in batch.views {
        pass!(put(connection, write).await?);
    }
    let (taken, given): (Vec<_>, Vec<_>) = batch.claims.into_iter().partition(|it| it.taken);
    for claim in given {
        let gone = query("delete from cqrs_claim where name = ? and value = ? and owner = ?");
        gone.bind(claim.index).bind(claim.value).bind(claim.owner).execute(&mut *connection).await?;
    }
    for claim in taken {
        pass!(take(connection, claim).await?);
    }
    if let Some(Answer { key, fingerprint, body, .. }) = batch.answer {
        let answered = query("insert into cqrs_answer (key, fingerprint, body, pos) values (?, ?, ?, ?)");
        answered.bind(key).bind(fingerprint).bind(body).bind(last.0 as i64).execute(&mut *connection).await?;
    }
    Ok(Ok(last))
}

async fn advance(connection: &mut SqliteConnection, step: Move) -> sqlx::Result<Refused> {
    let sql = "update cqrs_reader set at = ?3 where reader = ?1 and at = ?2 and epoch = coalesce(?4, epoch)";
    let (from, to, epoch) = (step.from as i64, step.to as i64, step.epoch.map(|it| it as i64));
    let moved = query(sql).bind(step.reader.clone()).bind(from).bind(to).bind(epoch).execute(&mut *connection).await?;
    if moved.rows_affected() > 0 {
        return Ok(None);
    }
    if from == 0 && epoch.unwrap_or(0) == 0 {
        let sql = "insert into cqrs_reader (reader, at) values (?, ?) on conflict do nothing";
        let made = query(sql).bind(step.reader.clone()).bind(to).execute(&mut *connection).await?;
        if made.rows_affected() > 0 {
            return Ok(None);
        }
    }
    Ok(Some(Rejected::Moved(step.reader)))
}

async fn park(connection: &mut SqliteConnection, park: Park) -> sqlx::Result<()> {
    let sql = "insert into cqrs_parked
        (reader, key, message, at, topic, part, record_key, headers, body, error, attempts)
        values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    let statement = query(sql).bind(park.reader).bind(park.key).bind(park.message).bind(park.at as i64);
    let statement = match park.record {
        Some(record) => {
            let headers = encode_headers(&record.headers).map_err(|it| sqlx::Error::Encode(it.into()))?;
            let place = record.partition;
            statement.bind(place.topic).bind(place.part).bind(record.key).bind(headers).bind(record.body)
        }
        None => statement
            .bind(None::<String>)
            .bind(None::<String>)
            .bind(None::<Vec<u8>>)
            .bind(None::<String>)
            .bind(None::<Vec<u8>>),
    };
    statement.bind(park.error).bind(park.attempts).execute(connection).await.map(drop)
}

async fn replace(connection: &mut SqliteConnection, row: Row) -> sqlx::Result<Refused> {
    let exists = row.expected == 0;
    let sql = match exists {
        true => "insert into cqrs_row (kind, id, version, state) values (?1, ?2, ?3, ?4) on conflict do nothing",
        false => "update cqrs_row set version = ?3, state = ?4 where kind = ?1 and id = ?2 and version = ?5",
    };
    let mut statement = query(sql).bind(row.kind).bind(row.id.clone()).bind(row.version as i64).bind(row.state);
    if !exists {
        statement = statement.bind(row.expected as i64);
    }
    let done = statement.execute(connection).await?;
    let what = || format!("{}/{}", row.kind, row.id);
    Ok((done.rows_affected() == 0).then(|| Rejected::Conflict { what: what(), exists }))
}

/// `heads` has the last version of the streams that are known.
async fn append(
    connection: &mut SqliteConnection,
    event: NewEntry,
    heads: &mut HashMap<String, u64>,
) -> sqlx::Result<Verdict> {
    let conflict = |stream, exists| Ok(Err(Rejected::Conflict { what: stream, exists }));
    let before = event.version.wrapping_sub(1);
    if event.version == 0 {
        return conflict(event.stream, false);
    }
    if before > 0 && heads.get(&event.stream) != Some(&before) {
        let head = query("select 1 from cqrs_log where stream = ? and version = ?");
        let head = head.bind(event.stream.clone()).bind(before as i64).fetch_optional(&mut *connection).await?;
        if head.is_none() {
            return conflict(event.stream, false);
        }
    }
    let metadata = serde_json::to_string(&event.metadata).map_err(|it| sqlx::Error::Encode(it.into()))?;
    let sql = "insert into cqrs_log
        (stream, version, id, name, schema, payload, metadata, at, topic, key, lane, type, body)
        values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) on conflict (stream, version) do nothing";
    let statement = query(sql)
        .bind(event.stream.clone())
        .bind(event.version as i64)
        .bind(event.id)
        .bind(event.name)
        .bind(event.schema)
        .bind(event.payload)
        .bind(metadata)
        .bind(event.at.timestamp_micros());
    let statement = match event.told {
        Some(told) => statement.bind(told.topic).bind(told.key).bind(told.lane).bind(told.name).bind(told.body),
        None => statement
            .bind(None::<String>)
            .bind(None::<String>)
            .bind(None::<u16>)
            .bind(None::<String>)
            .bind(None::<Vec<u8>>),
    };
    let done = statement.execute(connection).await?;
    if done.rows_affected() == 0 {
        return conflict(event.stream, event.version == 1);
    }
    heads.insert(event.stream, event.version);
    Ok(Ok(Position(done.last_insert_rowid() as u64)))
}

async fn put(connection: &mut SqliteConnection, write: ViewWrite) -> sqlx::Result<Refused> {
    let ViewWrite { view, key, expected, value, entries } = write;
    let removed = value.is_none();
    let sql = match expected {
        0 => "insert into cqrs_view (view, key, version, value) values (?1, ?2, ?3 + 1, ?4) on conflict do nothing",
        _ => "update cqrs_view set version = ?3 + 1, value = ?4 where view = ?1 and key = ?2 and version = ?3",
    };
    let statement = query(sql).bind(view).bind(key.clone()).bind(expected as i64).bind(value);
    if statement.execute(&mut *connection).await?.rows_affected() == 0 {
        return Ok(Some(Rejected::Conflict { what: format!("{view}/{key}"), exists: false }));
    }
    if expected > 0 {
        let unlisted = query("delete from cqrs_entry where view = ? and key = ?").bind(view).bind(key.clone());
        unlisted.execute(&mut *connection).await?;
    }
    for (index, entry) in entries.into_iter().filter(|_| !removed) {
        let sql = "insert into cqrs_entry (view, name, entry, key) values (?, ?, ?, ?) on conflict do nothing";
        query(sql).bind(view).bind(index).bind(entry).bind(key.clone()).execute(&mut *connection).await?;
    }
    Ok(None)
}

async fn take(connection: &mut SqliteConnection, claim: Claim) -> sqlx::Result<Refused> {
    let Claim { index, value, owner, .. } = claim;
    let sql = "insert into cqrs_claim (name, value, owner) values (?, ?, ?)
        on conflict (name, value) do update set owner = excluded.owner where owner = excluded.owner";
    let done = query(sql).bind(index.clone()).bind(value.clone()).bind(owner).execute(connection).await?;
    Ok((done.rows_affected() == 0).then_some(Rejected::Taken { index, value }))
}
