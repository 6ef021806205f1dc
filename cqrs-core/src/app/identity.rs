//! The identity of a database: the service that it belongs to, and its epoch.
pub use crate::storage::ForeignDatabase;
use crate::{
    app::App,
    catalogue::Declaration,
    error::Fault,
    position::Epoch,
    storage::{
        Storage,
        identity::{EPOCH, SERVICE, foreign, note, parsed},
    },
};

impl App {
    /// Refuses the database of another service. `services` are the services of the programs that have used it, which
    /// decide if the database has no identity yet.
    pub(super) async fn refuse_foreign_database(&self, services: &[&str]) -> Result<(), Fault> {
        let owner = note(&**self.storage(), SERVICE).await?;
        let own = self.service();
        let owner = match &owner {
            Some(owner) => Some(owner.as_str()),
            None if services.contains(&own) => None,
            None => services.last().copied(),
        };
        match owner {
            Some(owner) if owner != own => Err(foreign(own, owner)),
            _ => Ok(()),
        }
    }
    /// Does the same with the services of the programs that are stored: a database from before identities has no name.
    async fn refuse_database_of_others(&self) -> Result<(), Fault> {
        let programs = self.storage().programs(0).await?;
        let read = |text: &str| serde_json::from_str::<Declaration>(text).ok();
        let services: Vec<_> = programs.iter().filter_map(|program| read(&program.declaration)).collect();
        let services: Vec<_> = services.iter().map(|program| program.service.as_str()).collect();
        self.refuse_foreign_database(&services).await
    }
    /// Migrates the database for a command of an operator, without the declaration of this program, which does not run.
    /// The database of another service is refused, and nothing in it is changed.
    ///
    /// # Errors
    /// Fails when the database fails, or with a [`ForeignDatabase`] as the source.
    #[cfg(feature = "operations")]
    pub(crate) async fn migrate_for_command(&self) -> Result<(), Fault> {
        // Before the migration, which would change the database of the other service. A database from before identities
        // has no table to read the name from: that error is left to the second look, as every other one is.
        match self.refuse_database_of_others().await {
            Err(fault) if is_foreign(&fault) => return Err(fault),
            Ok(()) | Err(_) => {}
        }
        self.storage().migrate().await?;
        self.refuse_database_of_others().await?;
        match &self.runtime.personal {
            Some(personal) => personal.keys.open().await,
            None => Ok(()),
        }
    }
    /// Gives the database to this service, unless it has one, and reads its epoch. A new database gets one.
    pub(super) async fn identify_database(&self) -> Result<(), Fault> {
        let (storage, environment) = (&**self.storage(), &*self.runtime.environment);
        let owner = kept(storage, SERVICE, self.service()).await?;
        // Two services may have started at the same time.
        if owner != self.service() {
            return Err(foreign(self.service(), &owner));
        }
        let epoch = match note(storage, EPOCH).await? {
            Some(epoch) => epoch,
            None => kept(storage, EPOCH, &Epoch::new(environment, None).to_string()).await?,
        };
        self.runtime.set_epoch(parsed(&epoch)?);
        Ok(())
    }
    /// Gives the database a new epoch, and returns it. Call it after a backup was restored, while no process of the service
    /// runs: consistency tokens from before are refused from then on, instead of being compared with the positions of
    /// a log that has become another one.
    ///
    /// # Errors
    /// Fails when the database fails, or with a [`ForeignDatabase`] as the source when it belongs to another service.
    pub async fn renew_epoch(&self) -> Result<Epoch, Fault> {
        self.refuse_on_query_side()?;
        let (storage, environment) = (&**self.storage(), &*self.runtime.environment);
        self.refuse_database_of_others().await?;
        let owner = kept(storage, SERVICE, self.service()).await?;
        if owner != self.service() {
            return Err(foreign(self.service(), &owner));
        }
        loop {
            let stored = note(storage, EPOCH).await?;
            let last = stored.as_deref().map(parsed).transpose()?;
            let epoch = Epoch::new(environment, last);
            if storage.replace_note(EPOCH, stored.as_deref(), Some(&epoch.to_string())).await? {
                tracing::warn!(service = self.service(), %epoch, "the database has a new epoch");
                self.runtime.set_epoch(epoch);
                return Ok(epoch);
            }
        }
    }
}

#[cfg(feature = "operations")]
fn is_foreign(fault: &Fault) -> bool {
    std::error::Error::source(fault).is_some_and(|source| source.is::<ForeignDatabase>())
}

/// Stores a note unless there is one, and returns the stored value.
async fn kept(storage: &dyn Storage, name: &str, value: &str) -> Result<String, Fault> {
    loop {
        if let Some(stored) = note(storage, name).await? {
            return Ok(stored);
        }
        if storage.replace_note(name, None, Some(value)).await? {
            return Ok(value.to_owned());
        }
    }
}
