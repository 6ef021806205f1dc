//! The command that changes a tone.
use crate::{
    application::projections::ToneSummary,
    domain::counselor::{CounselorError, Tone, ToneEdit, ToneId},
};
use cqrs_core::{Clock, Command, HandlerResult, Repo, handler};
use serde::{Deserialize, Serialize};

/// Changes the given fields and keeps the others.
#[derive(Debug, Clone, Serialize, Deserialize, Command)]
pub struct UpdateTone {
    pub id: ToneId,
    pub edit: ToneEdit,
}

#[handler]
async fn update_tone(
    command: UpdateTone,
    tones: Repo<Tone>,
    clock: Clock,
) -> HandlerResult<ToneSummary, CounselorError> {
    let tone = tones.update(&command.id, |tone| tone.update(command.edit, clock.now())).await?;
    Ok(ToneSummary::of(&tone))
}
