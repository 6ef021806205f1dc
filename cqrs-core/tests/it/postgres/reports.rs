//! The reports of the guide on PostgreSQL, run by a role that can read the views and nothing else.
use super::{Server, Trials, Tried, fresh};
use crate::reports::{INDEXED, Report, fill, reports, views};
use sqlx::{AssertSqlSafe, PgPool};

/// The part of the grants that is for readers.
const GRANTS: &str = include_str!("../../../../examples/deploy/grants.sql");

pub(crate) fn trials() -> Trials {
    Trials::new()
        .test("the reports of the guide return what it says, to a role that can read only them", all)
        .test("reports of one stream, a range of positions or one key scan no table", indexed)
        .test("values that jsonb cannot hold are null, with their text beside them", odd_values)
}

async fn all(server: Server) -> Tried {
    let fresh = fresh(server, "reports").await?;
    fill(fresh.storage.clone()).await;
    let name = fresh.database.name();
    let (reader, service) = (format!("{name}_reader"), format!("{name}_service"));
    for role in [&reader, &service] {
        sqlx::raw_sql(AssertSqlSafe(format!("create role \"{role}\" login"))).execute(&fresh.plain).await?;
    }
    let grants =
        GRANTS.replace(":\"service\"", &format!("\"{service}\"")).replace(":\"reader\"", &format!("\"{reader}\""));
    sqlx::raw_sql(AssertSqlSafe(grants)).execute(&fresh.plain).await?;
    let url = fresh.database.url().replacen("postgres@", &format!("{reader}@"), 1);
    anyhow::ensure!(url.contains(&reader), "{url}");
    let reader = PgPool::connect(&url).await?;

    for Report { sql, table } in reports("postgres") {
        // The texts of a row's columns, in their order.
        let cells = |part: &str| {
            format!("select array(select coalesce({part}, '') from json_each_text(row_to_json(t)) c) from ({sql}) t")
        };
        let names: Vec<Vec<String>> = sqlx::query_scalar(AssertSqlSafe(cells("c.key"))).fetch_all(&reader).await?;
        let rows: Vec<Vec<String>> = sqlx::query_scalar(AssertSqlSafe(cells("c.value"))).fetch_all(&reader).await?;
        let found: Vec<_> = names.into_iter().take(1).chain(rows).collect();
        anyhow::ensure!(found == table, "{found:#?} instead of {table:#?}: {sql}");
    }
    for (view, columns) in views() {
        let names = "select attname::text from pg_attribute where attrelid = ('cqrs_read.' || $1)::regclass \
            and attnum > 0 order by attnum";
        let names: Vec<String> = sqlx::query_scalar(names).bind(&view).fetch_all(&reader).await?;
        anyhow::ensure!(names == columns, "{view}: {names:?}");
        sqlx::raw_sql(AssertSqlSafe(format!("select * from cqrs_read.{view}"))).fetch_all(&reader).await?;
    }
    for refused in [
        "select from cqrs.log",
        "select from cqrs.state",
        "select from cqrs.stored_response",
        "select from cqrs_read.events for update",
        "delete from cqrs_read.aggregates",
        "update cqrs_read.unique_values set value = ''",
        "insert into cqrs_read.views (view, key) values ('card', 'x')",
        "select nextval('cqrs.log_pos_seq')",
        "create table cqrs_read.more (id int)",
        "create view cqrs_read.more as select 1",
        "create schema more",
    ] {
        let result = sqlx::raw_sql(refused).execute(&reader).await;
        let code =
            result.as_ref().err().and_then(|error| error.as_database_error()?.code().map(|code| code.into_owned()));
        // Without the right (42501), or nobody has it: a view over several tables takes no rows (55000).
        anyhow::ensure!(matches!(code.as_deref(), Some("42501" | "55000")), "{refused}: {result:?}");
    }
    Ok(())
}

async fn indexed(server: Server) -> Tried {
    let fresh = fresh(server, "reports_plan").await?;
    for sql in INDEXED {
        let explain = format!("set enable_seqscan = off; explain {sql}");
        let plan = sqlx::raw_sql(AssertSqlSafe(explain)).fetch_all(&fresh.plain).await?;
        let plan: Vec<String> = plan.iter().map(|line| sqlx::Row::get(line, 0)).collect();
        anyhow::ensure!(!plan.iter().any(|line| line.contains("Seq Scan")), "{sql}: {}", plan.join("\n"));
    }
    Ok(())
}

async fn odd_values(server: Server) -> Tried {
    let fresh = fresh(server, "odd_values").await?;
    let insert = "insert into cqrs.state (kind, id, version, value) values ('k', 'nul', 1, '{\"a\": \"\\u0000\"}'::text::bytea), \
        ('k', 'bytes', 1, '\\xff00'), ('k', 'empty', 1, ''), ('k', 'deleted', 2, null), ('k', 'json', 1, '[1]'), \
        ('k', 'surrogate', 1, convert_to('\"\\ud800\"', 'UTF8')), ('k', 'deep', 1, repeat('[', 100000)::bytea)";
    let insert = insert.replace("'{\"a\": \"\\u0000\"}'::text::bytea", "convert_to('{\"a\": \"\\u0000\"}', 'UTF8')");
    sqlx::raw_sql(AssertSqlSafe(insert)).execute(&fresh.plain).await?;
    let select = "select id, state::text, left(raw_state, 12), is_deleted from cqrs_read.aggregates order by id";
    let rows: Vec<(String, Option<String>, Option<String>, bool)> =
        sqlx::query_as(select).fetch_all(&fresh.plain).await?;
    let rows: Vec<_> =
        rows.iter().map(|(id, state, raw, gone)| (&**id, state.as_deref(), raw.as_deref(), *gone)).collect();
    let expected = [
        ("bytes", None, None, false),
        ("deep", None, Some("[[[[[[[[[[[["), false),
        ("deleted", None, None, true),
        ("empty", None, Some(""), false),
        ("json", Some("[1]"), Some("[1]"), false),
        ("nul", None, Some("{\"a\": \"\\u000"), false),
        ("surrogate", None, Some("\"\\ud800\""), false),
    ];
    anyhow::ensure!(rows == expected, "{rows:#?}");
    Ok(())
}
