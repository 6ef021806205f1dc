//! What the service starts with: tones, counsellors, their bubbles, and one active prompt version.
mod counselors;
mod prompts;

use crate::{
    application::commands::{CreateBubble, CreateCounselor, CreateTone, SeedPromptVersion},
    domain::counselor::Profile,
};
use counselors::{COUNSELORS, Counselor, TONES};
use cqrs_core::{BoxError, Dispatch, DomainError, Error, Handled, Metadata, Running};
use uuid::Uuid;

/// Fixed for ever: with another one, everything would be there twice.
const NAMESPACE: Uuid = Uuid::from_u128(0x3f0d_5a4e_9a5c_4a8b_8a41_6b1f_0c58_2d77);

/// What a seed is called gives it its id: the same in every process, at every start.
fn id<T: From<Uuid>>(name: &str) -> T {
    Uuid::new_v5(&NAMESPACE, name.as_bytes()).into()
}

/// Creates what the service starts with. Safe at every start and with several processes at once; what was edited since stays.
///
/// # Errors
/// When the database cannot be used.
pub async fn seed(app: &Running) -> Result<(), BoxError> {
    app.migrate().await?;
    for it in &TONES {
        let (name, description) = (it.name.to_owned(), it.description.to_owned());
        once(app, it.key, CreateTone { id: id(it.key), name, description }).await?;
    }
    for it in &COUNSELORS {
        seed_counselor(app, it).await?;
    }
    let name = "prompt-version/1";
    once(app, name, SeedPromptVersion { id: id(name), name: "첫 번째 버전".to_owned(), prompts: prompts::prompts() })
        .await
}

async fn seed_counselor(app: &Running, it: &Counselor) -> Result<(), BoxError> {
    let counselor = id(it.key);
    let profile = Profile {
        tone: id(it.tone),
        name: it.name.to_owned(),
        description: it.description.to_owned(),
        profile_image: String::new(),
        gender: it.gender,
    };
    once(app, it.key, CreateCounselor { id: counselor, profile }).await?;
    for (number, [question, options @ ..]) in (1..).zip(it.bubbles) {
        let (question, options) = (question.to_owned(), options.map(str::to_owned));
        let name = format!("bubble/{}/{number}", it.key);
        once(app, &name, CreateBubble { id: id(&name), counselor, question, options }).await?;
    }
    Ok(())
}

/// Does it once. Another process may have been faster, or another version of this program have seeded something else: it stays.
async fn once<C>(app: &Running, name: &str, command: C) -> Result<(), BoxError>
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
