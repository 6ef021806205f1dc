//! Fills in index entries of view values that a program without these indexes has written.
//!
//! Each value carries the fingerprint of the indexes it has entries for, so values without them are found whoever wrote
//! them, and an interrupted run continues where it was.
use crate::{
    app::App,
    app::background::Job,
    catalogue::{Declaration, index_set},
    error::Fault,
    job::Step,
    registry::{Projection, Role},
    storage::{Batch, CommitError, ViewWrite, copy_of, stored_as},
};
use std::{
    collections::{BTreeMap, HashSet},
    hash::{BuildHasher, BuildHasherDefault, DefaultHasher},
    time::Duration,
};

/// The largest number of values in one commit.
const VALUES: usize = 100;
/// The number of values after which the start logs its progress.
const LOGGED: usize = 10_000;
/// The interval at which the newest program looks for values that other programs have written.
const INTERVAL: Duration = Duration::from_secs(1);

impl App {
    /// Fills in the index entries that values of this program's views lack.
    ///
    /// It ends when a read finds fewer values than it asked for: those are the ones that other programs write meanwhile,
    /// which the newest program's job fills in. A program that is not the newest, after a rollback, makes one pass: where
    /// the newest one lacks an index of this program, it undoes the work, and neither would end.
    pub(super) async fn fill_indexes(&self) -> Result<(), Fault> {
        for projection in self.indexed_views() {
            let (view, mut done, mut limit) = (projection.view, 0, VALUES);
            // The hashes of the keys that this pass has written.
            let mut passed = HashSet::new();
            loop {
                match self.fill_some(&projection, limit).await? {
                    Filled::Nothing => break,
                    Filled::Conflict => limit = (limit / 2).max(1),
                    Filled::Values(keys) => {
                        let values = keys.len();
                        if done == 0 {
                            tracing::info!(view, "filling in the indexes of a view that this program has added");
                        } else if done / LOGGED < (done + values) / LOGGED {
                            tracing::info!(view, values = done + values, "still filling in the indexes of a view");
                        }
                        done += values;
                        if values < VALUES && limit == VALUES {
                            break;
                        }
                        let hash = |key: &String| BuildHasherDefault::<DefaultHasher>::default().hash_one(key);
                        let repeated = keys.iter().filter(|key| !passed.insert(hash(key))).count();
                        if repeated > 0 && !self.runtime.newer_programs.is_newest() {
                            break;
                        }
                        limit = (limit * 2).min(VALUES);
                    }
                }
            }
            if done > 0 {
                tracing::info!(view, values = done, "the indexes of a view are complete");
            }
        }
        Ok(())
    }
    /// Returns a problem for each index that this program adds to a view whose stored values it cannot read. One value is
    /// tried, so that a start that cannot succeed ends before it has changed anything.
    pub(super) async fn unreadable_views(&self, earlier: &[Declaration]) -> Result<Vec<String>, Fault> {
        let mut problems = Vec::new();
        for Projection { view, indexes, index_entries, .. } in self.indexed_views() {
            let lacks = |index: &str| {
                earlier.iter().filter_map(|program| program.views.get(view)).any(|known| !known.contains_key(index))
            };
            let Some((index, _)) = indexes.iter().find(|(index, _)| lacks(index)) else { continue };
            let own = index_set(indexes.iter().copied());
            let first = self.storage().views_of_other_index_sets(view, &[own], 1).await?.pop();
            if first.and_then(|stored| stored.value).is_some_and(|value| index_entries(&value).is_err()) {
                problems.push(format!(
                    "view `{view}` cannot read its stored values to fill in index `{index}`: give the view and its \
                     projection new names, so that they fill beside the old ones"
                ));
            }
        }
        Ok(problems)
    }
    /// Returns one projection of each view that has indexes.
    fn indexed_views(&self) -> Vec<Projection> {
        let roles = self.registrations.iter().map(|registration| &registration.role);
        let projections = roles.filter_map(|role| match role {
            Role::Projection(projection) if !projection.indexes.is_empty() => Some((projection.view, *projection)),
            _ => None,
        });
        projections.collect::<BTreeMap<_, _>>().into_values().collect()
    }
    /// Writes up to `limit` values again, unchanged, with the entries of every index of this program.
    async fn fill_some(&self, projection: &Projection, limit: usize) -> Result<Filled, Fault> {
        match self.runtime.newer_programs.index_sets_with(projection.view, projection.indexes) {
            Some(complete) => self.fill_all_but(projection, &complete, limit).await,
            None => Ok(Filled::Nothing),
        }
    }
    /// Writes up to `limit` values again that have entries for none of these sets of indexes.
    async fn fill_all_but(&self, projection: &Projection, complete: &[i64], limit: usize) -> Result<Filled, Fault> {
        // Read and written by the name of the copy, so that a switch in between cannot bring its values into the other one.
        let copy = copy_of(projection.view, self.storage().serving_copy(projection.view).await?);
        self.fill_values(projection, copy, complete, limit).await
    }
    /// Writes some values of one copy of a view again, if they have entries of another set of indexes than this program's.
    /// Returns whether there were some.
    pub(super) async fn fill_copy(&self, view: &str, copy: u64) -> Result<bool, Fault> {
        let Some(projection) = self.indexed_views().into_iter().find(|projection| projection.view == view) else {
            return Ok(false);
        };
        let own = [index_set(projection.indexes.iter().copied())];
        let filled = self.fill_values(&projection, copy_of(projection.view, copy), &own, VALUES).await?;
        Ok(!matches!(filled, Filled::Nothing))
    }
    async fn fill_values(
        &self,
        projection: &Projection,
        copy: &'static str,
        complete: &[i64],
        limit: usize,
    ) -> Result<Filled, Fault> {
        let (view, storage) = (projection.view, self.storage());
        let mut batch = Batch::default();
        for stored in storage.views_of_other_index_sets(copy, complete, limit).await? {
            let key = stored.key;
            let entries = stored.value.as_deref().map(projection.index_entries).transpose();
            let entries = entries.map_err(|fault| {
                Fault::internal(format!("the value of view {view} under key {key} cannot be read")).because(fault)
            })?;
            batch.views.push(ViewWrite {
                view: stored_as(copy),
                key,
                expected: stored.version,
                value: stored.value,
                entries: entries.unwrap_or_default(),
                index_set: index_set(projection.indexes.iter().copied()),
            });
        }
        let values = batch.views.len();
        if values == 0 {
            return Ok(Filled::Nothing);
        }
        let keys = batch.views.iter().map(|write| write.key.clone()).collect();
        batch.sort();
        match storage.commit(batch).await {
            Ok(_) => {
                self.runtime.meter.indexed(view, values);
                Ok(Filled::Values(keys))
            }
            Err(CommitError::Conflict { .. }) => Ok(Filled::Conflict),
            Err(CommitError::Fault(fault)) => Err(fault),
            Err(rejected) => {
                Err(Fault::internal(format!("index entries of view {view} were refused")).because(rejected))
            }
        }
    }
    /// Returns the job that fills in the index entries which values of other programs lack. [`App::start`] runs it unless the
    /// database has one process alone; a caller that starts the parts by itself runs its steps.
    pub fn index_filler(&self) -> IndexFiller {
        IndexFiller { app: self.clone(), has_named_all: false }
    }
}

/// The result of a run over some values.
enum Filled {
    /// No value lacks entries.
    Nothing,
    /// The keys of the values that were written.
    Values(Vec<String>),
    /// A value has changed meanwhile. It is read again.
    Conflict,
}

/// The background job that fills in the entries of values that other programs go on writing. Only the newest program does
/// so, since two programs that lack each other's indexes would otherwise undo each other's work.
#[must_use = "it does nothing unless `step` is called"]
#[derive(Debug)]
pub struct IndexFiller {
    app: App,
    /// Set when no value is left that was stored before values named their indexes. Such a value would count as one that
    /// lacks every index when a later program removes one.
    has_named_all: bool,
}
impl IndexFiller {
    /// Fills in the entries of some values, if this program is the newest one of the service.
    ///
    /// # Errors
    /// Fails when the database fails, or when a value cannot be read. Call it again.
    pub async fn step(&mut self) -> Result<Step, Fault> {
        let app = self.app.clone();
        let runtime = &app.runtime;
        runtime.newer_programs.refresh(&*runtime.storage, &*runtime.environment).await?;
        let mut done = 0;
        if runtime.newer_programs.is_newest() {
            for projection in app.indexed_views() {
                done += match app.fill_some(&projection, VALUES).await? {
                    Filled::Nothing => 0,
                    Filled::Conflict => 1,
                    Filled::Values(keys) => keys.len(),
                };
            }
        }
        if done == 0 && runtime.newer_programs.is_newest() && !self.has_named_all {
            done = self.name_some().await?;
        }
        // The commits of this process do not wake the job: they have the entries.
        Ok(if done > 0 { Step::Did(done) } else { Step::Paused(INTERVAL) })
    }
    async fn name_some(&mut self) -> Result<usize, Fault> {
        for projection in self.app.indexed_views() {
            let known = self.app.runtime.newer_programs.index_sets(projection.view);
            match self.app.fill_all_but(&projection, &known, VALUES).await? {
                Filled::Nothing => {}
                Filled::Conflict => return Ok(1),
                Filled::Values(keys) => return Ok(keys.len()),
            }
        }
        self.has_named_all = true;
        Ok(0)
    }
}
#[async_trait::async_trait]
impl Job for IndexFiller {
    fn name(&self) -> String {
        "indexes".to_owned()
    }
    async fn step(&mut self) -> Result<Step, crate::BoxError> {
        Ok(IndexFiller::step(self).await?)
    }
}
