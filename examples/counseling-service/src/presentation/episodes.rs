//! The episodes of a counsellor, for `CounselorService`.
use super::{
    mapping::{each, text},
    part,
};
use crate::{
    application::{
        commands::{CreateEpisode, UpdateEpisode},
        projections::EpisodeEntry,
        queries::{FindEpisodeById, FindEpisodes, ReadableEpisode, Reader},
    },
    domain::{
        episode::{
            CutScene, CutSceneContent, CutSceneDraft, EpisodeError, EpisodeId, EpisodeTitle, Line, RapportThreshold,
            SceneSpeaker, StoryDraft, StoryEdit,
        },
        image::ImageUrl,
    },
};
use contracts::{
    iso,
    v1::{model, service as rpc},
};
use cqrs_core::Page;
use service_edge::{
    Call, Endpoint, Rejection, RpcResult,
    parse::{id, optional_id, value},
};
use tonic::Request;

pub(super) async fn create(
    endpoint: &Endpoint,
    request: Request<rpc::CreateEpisodeRequest>,
) -> RpcResult<rpc::CreateEpisodeResponse> {
    let (call, message) = Call::read(request)?;
    let counselor = id("counselor_id", &message.counselor_id)?;
    let story = StoryDraft {
        title: EpisodeTitle::parse(&message.title).map_err(Rejection::from)?,
        threshold: RapportThreshold::parse(message.required_rapport_threshold).map_err(Rejection::from)?,
        is_draft: message.is_temporary,
        cut_scenes: drafts(message.cut_scenes)?,
    };
    let respond = |entry: EpisodeEntry| rpc::CreateEpisodeResponse { episode: Some(entry.into()) };
    endpoint.send(call, CreateEpisode { counselor, story }, respond).await
}

pub(super) async fn update(
    endpoint: &Endpoint,
    request: Request<rpc::UpdateEpisodeRequest>,
) -> RpcResult<rpc::UpdateEpisodeResponse> {
    let (call, message) = Call::read(request)?;
    let id: EpisodeId = id("episode_id", &message.episode_id)?;
    // An empty list is not distinguishable from an absent one on the wire, unless the caller says so.
    let is_sent = message.with_cut_scenes() || !message.cut_scenes.is_empty();
    let edit = StoryEdit {
        title: message.title.as_deref().map(EpisodeTitle::parse).transpose().map_err(Rejection::from)?,
        threshold: message
            .required_rapport_threshold
            .map(RapportThreshold::parse)
            .transpose()
            .map_err(Rejection::from)?,
        is_draft: message.is_temporary,
        cut_scenes: if is_sent { Some(drafts(message.cut_scenes)?) } else { None },
    };
    let respond = |entry: EpisodeEntry| rpc::UpdateEpisodeResponse { episode: Some(entry.into()) };
    endpoint.send(call, UpdateEpisode { id, edit }, respond).await
}

pub(super) async fn list(
    endpoint: &Endpoint,
    request: Request<rpc::FindEpisodesRequest>,
) -> RpcResult<rpc::FindEpisodesResponse> {
    let (call, message) = Call::read(request)?;
    let query = FindEpisodes {
        counselor: id("counselor_id", &message.counselor_id)?,
        reader: reader(&call)?,
        with_drafts: message.with_temporary,
        part: part(message.after.as_deref(), message.limit)?,
    };
    let respond = |page: Page<_>| rpc::FindEpisodesResponse { episodes: each(page.items), next: text(page.next) };
    endpoint.send(call, query, respond).await
}

pub(super) async fn by_id(
    endpoint: &Endpoint,
    request: Request<rpc::FindEpisodeByIdRequest>,
) -> RpcResult<rpc::FindEpisodeByIdResponse> {
    let (call, message) = Call::read(request)?;
    let (id, reader) = (id("episode_id", &message.episode_id)?, reader(&call)?);
    let query = FindEpisodeById { id, reader, with_drafts: message.with_temporary };
    let respond = |found: ReadableEpisode| rpc::FindEpisodeByIdResponse { episode: Some(found.into()) };
    endpoint.send(call, query, respond).await
}

fn reader(call: &Call) -> Result<Reader, Rejection> {
    Ok(if call.is_admin() { Reader::Administrator } else { Reader::Person(call.person()?) })
}

fn drafts(scenes: Vec<rpc::SaveEpisodeCutSceneRequest>) -> Result<Vec<CutSceneDraft>, Rejection> {
    scenes.into_iter().map(draft).collect()
}
fn draft(scene: rpc::SaveEpisodeCutSceneRequest) -> Result<CutSceneDraft, Rejection> {
    let line = Line {
        speaker: match value("cut_scenes.speaker", scene.speaker)? {
            model::Speaker::Unspecified => return Err(EpisodeError::Speaker.into()),
            model::Speaker::Counselor => SceneSpeaker::Counselor,
            model::Speaker::User => SceneSpeaker::User,
        },
        content: CutSceneContent::parse(&scene.content)?,
        image: ImageUrl::parse(&scene.image).ok_or(EpisodeError::Image)?,
    };
    Ok(CutSceneDraft { id: optional_id("cut_scenes.id", scene.id.as_deref())?, order: scene.order_index, line })
}

impl From<EpisodeEntry> for model::Episode {
    fn from(entry: EpisodeEntry) -> Self {
        let episode_id = entry.id.to_string();
        let scene = |(scene, position)| cut_scene(&episode_id, scene, position);
        model::Episode {
            counselor_id: entry.counselor.to_string(),
            title: entry.title.to_string(),
            required_rapport_threshold: entry.threshold.number().try_into().unwrap_or(i32::MAX),
            is_temporary: entry.is_draft,
            cut_scenes: entry.cut_scenes.into_iter().zip(1..).map(scene).collect(),
            created_at: iso(entry.created_at),
            updated_at: iso(entry.updated_at),
            deleted_at: None,
            locked: Some(false),
            id: entry.id.to_string(),
        }
    }
}
impl From<ReadableEpisode> for model::Episode {
    fn from(found: ReadableEpisode) -> Self {
        model::Episode { locked: Some(found.is_locked), ..found.entry.into() }
    }
}

fn cut_scene(episode_id: &str, scene: CutScene, position: i32) -> model::EpisodeCutScene {
    let speaker = match scene.line.speaker {
        SceneSpeaker::Counselor => model::Speaker::Counselor,
        SceneSpeaker::User => model::Speaker::User,
    };
    model::EpisodeCutScene {
        id: scene.id.to_string(),
        episode_id: episode_id.to_owned(),
        speaker: speaker.into(),
        content: scene.line.content.to_string(),
        order_index: position,
        image: scene.line.image.to_string(),
        created_at: iso(scene.changed.created_at),
        updated_at: iso(scene.changed.updated_at),
        deleted_at: None,
    }
}
