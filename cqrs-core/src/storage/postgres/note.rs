//! The notes of a database about the systems around it.
use super::{Inner, errors, read::Parameters};
use crate::error::Fault;
use sqlx::{Row, postgres::PgRow};

const NOTES: &str = "select name, value from cqrs.note where starts_with(name, $1) order by name";
const ADD: &str = "insert into cqrs.note (name, value) values ($1, $2) on conflict (name) do nothing returning 1";
const REPLACE: &str = "update cqrs.note set value = $3 where name = $1 and value = $2 returning 1";
const REMOVE: &str = "delete from cqrs.note where name = $1 and value = $2 returning 1";

impl Inner {
    pub(super) async fn notes(&self, prefix: &str) -> Result<Vec<(String, String)>, Fault> {
        let rows = self.read(NOTES, Parameters::default().and(prefix)?).await?;
        let note = |row: &PgRow| Ok((row.try_get(0)?, row.try_get(1)?));
        rows.iter().map(note).collect::<sqlx::Result<_>>().map_err(errors::fault)
    }
    pub(super) async fn replace_note(
        &self,
        name: &str,
        expected: Option<&str>,
        value: Option<&str>,
    ) -> Result<bool, Fault> {
        let name = Parameters::default().and(name)?;
        let replaced = match (expected, value) {
            (None, Some(value)) => self.read(ADD, name.and(value)?).await?,
            (Some(expected), Some(value)) => self.read(REPLACE, name.and(expected)?.and(value)?).await?,
            (Some(expected), None) => self.read(REMOVE, name.and(expected)?).await?,
            (None, None) => return Ok(true),
        };
        Ok(!replaced.is_empty())
    }
}
