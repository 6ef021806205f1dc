//! The JSON of episodes and their cut scenes.
use super::{
    each,
    names::Speaker,
    shown::{Shown, answers, pages, shown},
};
use contracts::v1::{model, service as rpc};
use serde::Deserialize;
use utoipa::ToSchema;
use uuid::Uuid;

shown! {
    /// An illustrated story of a counsellor.
    Episode of Episode {
        id: String,
        counselor_id: String,
        title: String,
        /// The rapport at which a person may read it.
        required_rapport_threshold: i32,
        /// True for a draft.
        is_temporary: bool,
        /// Empty in a list when the episode is locked.
        cut_scenes: Vec<EpisodeCutScene>,
        /// True when the caller's rapport is below the threshold.
        locked: Option<bool>,
        created_at: String,
        updated_at: String,
        deleted_at: Option<String>,
    }
}
shown! {
    /// One picture of an episode with its line.
    EpisodeCutScene of EpisodeCutScene {
        id: String,
        episode_id: String,
        speaker: Option<Speaker>,
        content: String,
        order_index: i32,
        image: String,
        created_at: String,
        updated_at: String,
        deleted_at: Option<String>,
    }
}
impl Shown<Vec<EpisodeCutScene>> for Vec<model::EpisodeCutScene> {
    fn shown(self) -> Vec<EpisodeCutScene> {
        each(self)
    }
}
answers! { OneEpisode { episode: Episode of model::Episode } }
pages! { Episodes { episodes: [Episode] of FindEpisodesResponse } }

/// A cut scene of an episode. One with an id keeps it.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct CutScene {
    id: Option<Uuid>,
    speaker: Speaker,
    #[schema(min_length = 1)]
    content: String,
    /// The position, from 1.
    #[schema(minimum = 1)]
    order_index: i32,
    /// The public URL of an uploaded image.
    #[schema(min_length = 1)]
    image: String,
}
impl From<CutScene> for rpc::SaveEpisodeCutSceneRequest {
    fn from(scene: CutScene) -> Self {
        rpc::SaveEpisodeCutSceneRequest {
            id: scene.id.map(|id| id.to_string()),
            speaker: scene.speaker.into(),
            content: scene.content,
            order_index: scene.order_index,
            image: scene.image,
        }
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NewEpisode {
    #[schema(min_length = 1)]
    title: String,
    #[schema(minimum = 0)]
    required_rapport_threshold: i32,
    is_temporary: bool,
    #[schema(min_items = 1)]
    cut_scenes: Vec<CutScene>,
}
impl NewEpisode {
    pub(crate) fn of(self, counselor: Uuid) -> rpc::CreateEpisodeRequest {
        rpc::CreateEpisodeRequest {
            counselor_id: counselor.to_string(),
            title: self.title,
            required_rapport_threshold: self.required_rapport_threshold,
            is_temporary: self.is_temporary,
            cut_scenes: each(self.cut_scenes),
        }
    }
}

/// An absent field keeps its value. The cut scenes are replaced together.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EpisodeEdit {
    #[schema(min_length = 1)]
    title: Option<String>,
    #[schema(minimum = 0)]
    required_rapport_threshold: Option<i32>,
    is_temporary: Option<bool>,
    #[schema(min_items = 1)]
    cut_scenes: Option<Vec<CutScene>>,
}
impl EpisodeEdit {
    pub(crate) fn of(self, episode: Uuid) -> rpc::UpdateEpisodeRequest {
        rpc::UpdateEpisodeRequest {
            episode_id: episode.to_string(),
            title: self.title,
            content: None,
            required_rapport_threshold: self.required_rapport_threshold,
            is_temporary: self.is_temporary,
            // An empty list is not an absent one: the service refuses it.
            with_cut_scenes: Some(self.cut_scenes.is_some()),
            cut_scenes: each(self.cut_scenes.unwrap_or_default()),
        }
    }
}
