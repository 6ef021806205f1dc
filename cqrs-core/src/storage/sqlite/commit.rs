//! Applies a batch statement by statement. A refusal shows as a row count of 0, so no error message is parsed.
use super::{number, timer, view_write::put_all, writer::CommitResult};
use crate::{
    error::VersionConflict,
    event::{NewEntry, SEPARATOR, stream_of},
    metadata::Metadata,
    position::Position,
    storage::parked::encode_headers,
    storage::{Batch, CheckpointMove, CommitError, Park, ReadVersion, Reservation, Row, Snapshot, StoredResponse},
};
use sqlx::{Row as _, SqliteConnection, query};
use std::collections::HashMap;

type Refused = Option<CommitError>;

/// Applies a batch on a connection that is in a transaction. If it is refused, the caller rolls back the writes made so
/// far. The parts run in the order in which refusals are reported.
pub(super) async fn apply(connection: &mut SqliteConnection, batch: Batch) -> sqlx::Result<CommitResult> {
    /// Returns from `apply` if the part was refused.
    macro_rules! pass {
        ($refused:expr) => {
            if let Some(rejected) = $refused {
                return Ok(Err(rejected));
            }
        };
    }
    if let Some(response) = &batch.response {
        let known = query("select 1 from cqrs_stored_response where key = ?").bind(response.key.clone());
        pass!(known.fetch_optional(&mut *connection).await?.map(|_| CommitError::ResponseExists));
    }
    for inbox_record in batch.inbox_records {
        let sql = "insert into cqrs_inbox (grp, message) values (?, ?) on conflict do nothing";
        let done = query(sql).bind(inbox_record.group).bind(inbox_record.message).execute(&mut *connection).await?;
        pass!((done.rows_affected() == 0).then_some(CommitError::AlreadyHandled));
    }
    for step in batch.checkpoint_moves {
        pass!(advance(connection, step).await?);
    }
    for number in batch.unparks {
        let gone = query("delete from cqrs_parked where seq = ?").bind(number as i64).execute(&mut *connection).await?;
        pass!((gone.rows_affected() == 0).then(|| CommitError::Moved(format!("parked message {number}"))));
    }
    // Checked before the first message is written: a message of this batch cannot be the head for others in it.
    for park in batch.parks.iter().filter(|park| park.behind) {
        let head = query("select 1 from cqrs_parked where reader = ? and key = ? limit 1");
        let head = head.bind(park.reader.clone()).bind(park.key.clone()).fetch_optional(&mut *connection).await?;
        pass!(head.is_none().then(|| CommitError::Moved(format!("{}/{}", park.reader, park.key))));
    }
    for parked in batch.parks {
        park(connection, parked).await?;
    }
    for write in batch.timers {
        pass!(timer::apply(connection, write).await?);
    }
    for read in &batch.reads {
        pass!(check_read(connection, read).await?);
    }
    // A row's version proves the version of its stream, even when retention has removed old entries.
    let mut heads: HashMap<String, u64> =
        batch.rows.iter().map(|row| (stream_of(row.kind, &row.id), row.expected)).collect();
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
    for snapshot in batch.snapshots {
        replace_snapshot(connection, snapshot).await?;
    }
    pass!(put_all(connection, batch.views).await?);
    let (taken, released): (Vec<_>, Vec<_>) = batch.reservations.into_iter().partition(|entry| entry.taken);
    for reservation in released {
        let gone = query("delete from cqrs_reservation where name = ? and value = ? and owner = ?");
        gone.bind(reservation.index).bind(reservation.value).bind(reservation.owner).execute(&mut *connection).await?;
    }
    for reservation in taken {
        pass!(take(connection, reservation).await?);
    }
    if let Some(StoredResponse { key, fingerprint, body, .. }) = batch.response {
        let insert = query("insert into cqrs_stored_response (key, fingerprint, body, pos) values (?, ?, ?, ?)");
        insert.bind(key).bind(fingerprint).bind(body).bind(last.0 as i64).execute(&mut *connection).await?;
    }
    Ok(Ok(last))
}

async fn advance(connection: &mut SqliteConnection, step: CheckpointMove) -> sqlx::Result<Refused> {
    let sql = "update cqrs_reader set checkpoint = ?3, fence = case when fence is not null then ?3 end
        where reader = ?1 and checkpoint = ?2 and (epoch = ?4 or ?4 is null and fence is null)";
    let (from, to, epoch) = (step.from as i64, step.to as i64, step.epoch.map(|epoch| epoch as i64));
    let moved = query(sql).bind(step.reader.clone()).bind(from).bind(to).bind(epoch).execute(&mut *connection).await?;
    if moved.rows_affected() > 0 {
        return Ok(None);
    }
    if step.may_begin() {
        let sql = "insert into cqrs_reader (reader, checkpoint, epoch, fence)
            values (?1, ?2, coalesce(?3, 0), case when ?3 > 0 then ?2 end) on conflict do nothing";
        let made = query(sql).bind(step.reader.clone()).bind(to).bind(epoch).execute(&mut *connection).await?;
        if made.rows_affected() > 0 {
            return Ok(None);
        }
    }
    Ok(Some(CommitError::Moved(step.reader)))
}

async fn park(connection: &mut SqliteConnection, park: Park) -> sqlx::Result<()> {
    let sql = "insert into cqrs_parked
        (reader, key, message, at, topic, part, record_key, headers, body, record_time, error, attempts)
        values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    let statement = query(sql).bind(park.reader).bind(park.key).bind(park.message).bind(park.at as i64);
    let statement = match park.record {
        Some(record) => {
            let headers = encode_headers(&record.headers).map_err(|error| sqlx::Error::Encode(error.into()))?;
            let (place, time) = (record.partition, record.timestamp.map(|time| time.timestamp_micros()));
            statement.bind(place.topic).bind(place.part).bind(record.key).bind(headers).bind(record.body).bind(time)
        }
        None => statement
            .bind(None::<String>)
            .bind(None::<String>)
            .bind(None::<Vec<u8>>)
            .bind(None::<String>)
            .bind(None::<Vec<u8>>)
            .bind(None::<i64>),
    };
    statement.bind(park.error).bind(park.attempts).execute(connection).await.map(drop)
}

async fn replace(connection: &mut SqliteConnection, row: Row) -> sqlx::Result<Refused> {
    let exists = row.expected == 0;
    let sql = match exists {
        true => "insert into cqrs_state (kind, id, version, value) values (?1, ?2, ?3, ?4) on conflict do nothing",
        false => "update cqrs_state set version = ?3, value = ?4 where kind = ?1 and id = ?2 and version = ?5",
    };
    let mut statement = query(sql).bind(row.kind).bind(row.id.clone()).bind(row.version as i64).bind(row.state);
    if !exists {
        statement = statement.bind(row.expected as i64);
    }
    let done = statement.execute(connection).await?;
    Ok((done.rows_affected() == 0).then(|| conflict(stream_of(row.kind, &row.id), exists, row.expected)))
}

async fn check_read(connection: &mut SqliteConnection, read: &ReadVersion) -> sqlx::Result<Refused> {
    let stream = stream_of(read.kind, &read.id);
    let found = match read.is_row {
        true => query("select version from cqrs_state where kind = ? and id = ?").bind(read.kind).bind(read.id.clone()),
        false => query("select max(version) from cqrs_log where stream = ? having count(*) > 0").bind(stream.clone()),
    };
    let found = found.fetch_optional(connection).await?.map_or(Ok(0), |row| number(&row, 0))?;
    Ok((found != read.version).then(|| conflict(stream, false, read.version)))
}

fn conflict(what: String, exists: bool, expected: u64) -> CommitError {
    CommitError::Conflict { what, exists, versions: Some(VersionConflict::expecting(expected)) }
}

/// Looks up the found version and the winner of a conflict, once the refused batch is rolled back. The last event of a stream
/// is never archived.
pub(super) async fn look_up_winner(connection: &mut SqliteConnection, refused: &mut CommitError) -> sqlx::Result<()> {
    let CommitError::Conflict { what, versions: Some(versions), .. } = refused else { return Ok(()) };
    let (kind, id) = what.split_once(SEPARATOR).unwrap_or((what, ""));
    let row = query("select version from cqrs_state where kind = ? and id = ?").bind(kind.to_owned());
    let row = row.bind(id.to_owned()).fetch_optional(&mut *connection).await?;
    versions.found = row.map_or(Ok(0), |row| number(&row, 0))?;
    let last = query("select version, metadata from cqrs_log where stream = ? order by version desc limit 1");
    let Some(last) = last.bind(what.clone()).fetch_optional(connection).await? else { return Ok(()) };
    let last_version = number(&last, 0)?;
    versions.found = versions.found.max(last_version);
    if versions.found == last_version {
        let metadata = serde_json::from_str::<Metadata>(last.try_get(1)?);
        versions.winner = metadata.ok().and_then(|metadata| metadata.correlation);
    }
    Ok(())
}

async fn replace_snapshot(connection: &mut SqliteConnection, snapshot: Snapshot) -> sqlx::Result<()> {
    let Snapshot { kind, id, version, event, form, state } = snapshot;
    let sql = "insert into cqrs_snapshot (kind, id, version, event, form, value) values (?, ?, ?, ?, ?, ?)
        on conflict (kind, id) do update set version = excluded.version, event = excluded.event, form = excluded.form,
            value = excluded.value";
    let statement = query(sql).bind(kind).bind(id).bind(version as i64).bind(event).bind(form).bind(state);
    statement.execute(connection).await.map(drop)
}

/// Appends an event to its stream. `heads` holds the last version of the streams known so far.
async fn append(
    connection: &mut SqliteConnection,
    event: NewEntry,
    heads: &mut HashMap<String, u64>,
) -> sqlx::Result<CommitResult> {
    let before = event.version.saturating_sub(1);
    let conflict = |stream, exists| Ok(Err(conflict(stream, exists, before)));
    if event.version == 0 {
        return conflict(event.stream, false);
    }
    if heads.get(&event.stream) != Some(&before) {
        // The last entry of a stream is never archived.
        let head = query("select max(version) from cqrs_log where stream = ?").bind(event.stream.clone());
        let head: Option<i64> = head.fetch_one(&mut *connection).await?.try_get(0)?;
        if head.unwrap_or(0) != before as i64 {
            return conflict(event.stream, event.version == 1);
        }
    }
    let metadata = serde_json::to_string(&event.metadata).map_err(|error| sqlx::Error::Encode(error.into()))?;
    let sql = "insert into cqrs_log
        (stream, version, id, name, schema, payload, metadata, occurred_at,
        topic, message_key, shard, message_type, content_type, message_body)
        values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) on conflict (stream, version) do nothing";
    let statement = query(sql)
        .bind(event.stream.clone())
        .bind(event.version as i64)
        .bind(event.id)
        .bind(event.name)
        .bind(event.schema)
        .bind(event.payload)
        .bind(metadata)
        .bind(event.occurred_at.timestamp_micros());
    let statement = match event.outgoing {
        Some(outgoing) => statement
            .bind(outgoing.topic)
            .bind(outgoing.key)
            .bind(outgoing.shard)
            .bind(outgoing.name)
            .bind(outgoing.content_type)
            .bind(outgoing.body),
        None => statement
            .bind(None::<String>)
            .bind(None::<String>)
            .bind(None::<u16>)
            .bind(None::<String>)
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

async fn take(connection: &mut SqliteConnection, reservation: Reservation) -> sqlx::Result<Refused> {
    let Reservation { index, value, owner, .. } = reservation;
    let sql = "insert into cqrs_reservation (name, value, owner) values (?, ?, ?)
        on conflict (name, value) do update set owner = excluded.owner where owner = excluded.owner";
    let done = query(sql).bind(index.clone()).bind(value.clone()).bind(owner).execute(connection).await?;
    Ok((done.rows_affected() == 0).then_some(CommitError::Taken { index, value }))
}
