//! The command that seeds a counsellor under a given id; an existing counsellor is left unchanged.
use crate::domain::counselor::{Counselor, CounselorId, Profile};
use cqrs_core::{Clock, Command, HandlerResult, Infallible, Repo, handler};
use serde::{Deserialize, Serialize};

/// Creates a counsellor that ships with the program.
#[derive(Debug, Clone, Serialize, Deserialize, Command)]
pub struct SeedCounselor {
    pub id: CounselorId,
    /// The public profile. Its tone is seeded before.
    pub profile: Profile,
}

#[handler]
async fn seed_counselor(
    command: SeedCounselor,
    counselors: Repo<Counselor>,
    clock: Clock,
) -> HandlerResult<(), Infallible> {
    let SeedCounselor { id, profile } = command;
    if counselors.find(&id).await?.is_none() {
        counselors.create(id, Counselor::create(profile, clock.now()))?;
    }
    Ok(())
}
