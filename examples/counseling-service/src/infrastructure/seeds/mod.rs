//! Seeds the service with tones, counsellors, their bubbles and one active prompt version.
mod counselors;
mod prompts;

use crate::{
    application::commands::{SeedBubble, SeedCounselor, SeedTone},
    domain::counselor::{
        CounselorDescription, CounselorName, Profile, Question, ToneDescription, ToneName, response_option1,
        response_option2,
    },
};
use counselors::{COUNSELORS, Counselor, TONES};
use cqrs_core::{App, BoxError, Dispatch, DomainError, Error, Handled, Metadata};
use uuid::Uuid;

/// Must never change: another namespace would create all seeds a second time.
const NAMESPACE: Uuid = Uuid::from_u128(0x3f0d_5a4e_9a5c_4a8b_8a41_6b1f_0c58_2d77);

/// Derives the id of a seed from its name, so that every process computes the same id at every start.
fn id<T: From<Uuid>>(name: &str) -> T {
    Uuid::new_v5(&NAMESPACE, name.as_bytes()).into()
}

/// Creates the seeds. Safe at every start and in several processes at once; later edits are not overwritten.
///
/// # Errors
/// Fails when the database cannot be used, and when a seed is not valid.
pub async fn seed(app: &App) -> Result<(), BoxError> {
    app.migrate().await?;
    for tone in &TONES {
        let (name, description) = (ToneName::parse(tone.name)?, ToneDescription::parse(tone.description)?);
        once(app, tone.key, SeedTone { id: id(tone.key), name, description }).await?;
    }
    for counselor in &COUNSELORS {
        seed_counselor(app, counselor).await?;
    }
    once(app, prompts::KEY, prompts::prompts()?).await
}

async fn seed_counselor(app: &App, seed: &Counselor) -> Result<(), BoxError> {
    let counselor = id(seed.key);
    let profile = Profile {
        tone: id(seed.tone),
        name: CounselorName::parse(seed.name)?,
        description: CounselorDescription::parse(seed.description)?,
        profile_image: None,
        gender: seed.gender,
    };
    once(app, seed.key, SeedCounselor { id: counselor, profile }).await?;
    for (number, [question, option1, option2]) in (1..).zip(seed.bubbles) {
        let question = Question::parse(question)?;
        let options = [response_option1(option1)?, response_option2(option2)?];
        let name = format!("bubble/{}/{number}", seed.key);
        once(app, &name, SeedBubble { id: id(&name), counselor, question, options }).await?;
    }
    Ok(())
}

/// Sends a seed command once. When another process, or another version of the program, has created the seed, it stays.
async fn once<C>(app: &App, name: &str, command: C) -> Result<(), BoxError>
where
    C: Handled<Output = (), Error: DomainError>,
    C::Sent: Dispatch<C>,
{
    let key = format!("seed/{}", id::<Uuid>(name));
    match app.with(Metadata::default().key(key)).send(command).await {
        Ok(()) | Err(Error::Exists { .. } | Error::KeyReused) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
