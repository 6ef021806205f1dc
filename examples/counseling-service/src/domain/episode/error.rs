//! The domain errors of episodes and their cut scenes.
use cqrs_core::DomainError;

/// A refusal of an episode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error, DomainError)]
#[kind(invalid)]
pub enum EpisodeError {
    /// The title is empty, too long, or has invisible characters.
    #[error("1 to 100 visible characters")]
    #[field("title")]
    Title,
    /// The threshold is negative.
    #[error("0 or more")]
    #[field("required_rapport_threshold")]
    Threshold,
    /// There is no cut scene.
    #[error("at least one")]
    #[field("cut_scenes")]
    NoCutScene,
    /// There are too many cut scenes.
    #[error("at most 100")]
    #[field("cut_scenes")]
    TooManyCutScenes,
    /// A cut scene has the id of none of the episode's cut scenes, or the id of another one in the list.
    #[error("an id of this episode's cut scenes, each at most once, or none")]
    #[field("cut_scenes.id")]
    CutSceneId,
    /// The positions are not 1 to n.
    #[error("the positions 1 to the number of cut scenes, each once")]
    #[field("cut_scenes.order_index")]
    Order,
    /// A cut scene has no speaker.
    #[error("the counsellor or the user")]
    #[field("cut_scenes.speaker")]
    Speaker,
    /// The content of a cut scene is empty, too long, or has invisible characters.
    #[error("1 to 1,000 visible characters")]
    #[field("cut_scenes.content")]
    Content,
    /// The picture of a cut scene is not one that was uploaded.
    #[error("the public URL of an uploaded image")]
    #[field("cut_scenes.image")]
    Image,
    /// The request names no field to change.
    #[error("at least one field to change is required")]
    NothingToUpdate,
    /// The reader's rapport is below the threshold.
    #[error("this episode is locked until the rapport with the counsellor is higher")]
    #[kind(forbidden)]
    #[reason("EPISODE_LOCKED")]
    Locked,
    /// Somebody who is not an administrator asks for drafts.
    #[error("only administrators see drafts")]
    #[kind(forbidden)]
    #[field("with_temporary")]
    #[reason("DRAFTS_ARE_FOR_ADMINISTRATORS")]
    Drafts,
}
