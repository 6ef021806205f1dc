//! `CounselorService`: the catalogue of counsellors. Each method parses its request and sends one command or query.
use super::{
    episodes, images,
    mapping::{each, text},
    part,
};
use crate::{
    application::{
        commands::{
            CreateBubble, CreateCounselor, CreateTone, DeleteBubble, UpdateBubble, UpdateCounselor, UpdateTone,
        },
        queries::{
            FindBubbleById, FindBubbles, FindCounselorById, FindCounselors, FindRandomBubble, FindToneById, FindTones,
        },
    },
    domain::{
        counselor::{
            BubbleEdit, CounselorDescription, CounselorEdit, CounselorError, CounselorName, Gender, ImageEdit, Profile,
            Question, ToneDescription, ToneEdit, ToneName, response_option1, response_option2,
        },
        image::{ImageFolder, ImageUrl},
    },
};
use contracts::v1::{model, service as rpc};
use cqrs_core::{DomainError, Page};
use service_edge::{
    Call, Endpoint, Rejection, RpcResult,
    parse::{id, optional_id, value},
};
use tonic::Request;

pub(super) struct Counselors(pub(super) Endpoint);

#[tonic::async_trait]
impl rpc::counselor_service_server::CounselorService for Counselors {
    async fn find_counselors(
        &self,
        request: Request<rpc::FindCounselorsRequest>,
    ) -> RpcResult<rpc::FindCounselorsResponse> {
        let (call, message) = Call::read(request)?;
        let tone = optional_id("tone_id", message.tone_id.as_deref())?;
        let query = FindCounselors { tone, part: part(message.after.as_deref(), message.limit)? };
        let respond =
            |page: Page<_>| rpc::FindCounselorsResponse { counselors: each(page.items), next: text(page.next) };
        self.0.send(call, query, respond).await
    }
    async fn find_counselor_by_id(
        &self,
        request: Request<rpc::FindCounselorByIdRequest>,
    ) -> RpcResult<rpc::FindCounselorByIdResponse> {
        let (call, message) = Call::read(request)?;
        let query = FindCounselorById { id: id("counselor_id", &message.counselor_id)? };
        self.0.send(call, query, |found| rpc::FindCounselorByIdResponse { counselor: Some(found.into()) }).await
    }
    async fn find_bubbles(&self, request: Request<rpc::FindBubblesRequest>) -> RpcResult<rpc::FindBubblesResponse> {
        let (call, message) = Call::read(request)?;
        let counselor = id("counselor_id", &message.counselor_id)?;
        let query = FindBubbles { counselor, part: part(message.after.as_deref(), message.limit)? };
        let respond = |page: Page<_>| rpc::FindBubblesResponse { bubbles: each(page.items), next: text(page.next) };
        self.0.send(call, query, respond).await
    }
    async fn find_bubble_by_id(
        &self,
        request: Request<rpc::FindBubbleByIdRequest>,
    ) -> RpcResult<rpc::FindBubbleByIdResponse> {
        let (call, message) = Call::read(request)?;
        let counselor = id("counselor_id", &message.counselor_id)?;
        let query = FindBubbleById { id: id("bubble_id", &message.bubble_id)?, counselor };
        self.0.send(call, query, |found| rpc::FindBubbleByIdResponse { bubble: Some(found.into()) }).await
    }
    async fn find_random_bubble(
        &self,
        request: Request<rpc::FindRandomBubbleRequest>,
    ) -> RpcResult<rpc::FindRandomBubbleResponse> {
        let (call, message) = Call::read(request)?;
        let query = FindRandomBubble { counselor: id("counselor_id", &message.counselor_id)? };
        self.0.send(call, query, |found| rpc::FindRandomBubbleResponse { bubble: Some(found.into()) }).await
    }
    async fn find_tones(&self, request: Request<rpc::FindTonesRequest>) -> RpcResult<rpc::FindTonesResponse> {
        let (call, message) = Call::read(request)?;
        let query = FindTones { part: part(message.after.as_deref(), message.limit)?, name: message.name };
        let respond = |page: Page<_>| rpc::FindTonesResponse { tones: each(page.items), next: text(page.next) };
        self.0.send(call, query, respond).await
    }
    async fn find_tone_by_id(
        &self,
        request: Request<rpc::FindToneByIdRequest>,
    ) -> RpcResult<rpc::FindToneByIdResponse> {
        let (call, message) = Call::read(request)?;
        let query = FindToneById { id: id("tone_id", &message.tone_id)? };
        self.0.send(call, query, |found| rpc::FindToneByIdResponse { tone: Some(found.into()) }).await
    }
    async fn create_counselor(
        &self,
        request: Request<rpc::CreateCounselorRequest>,
    ) -> RpcResult<rpc::CreateCounselorResponse> {
        let (call, message) = Call::read(request)?;
        let command = CreateCounselor { profile: profile(&message)? };
        self.0.send(call, command, |made| rpc::CreateCounselorResponse { counselor: Some(made.into()) }).await
    }
    async fn update_counselor(
        &self,
        request: Request<rpc::UpdateCounselorRequest>,
    ) -> RpcResult<rpc::UpdateCounselorResponse> {
        let (call, message) = Call::read(request)?;
        let command = UpdateCounselor { id: id("counselor_id", &message.counselor_id)?, edit: edit(&message)? };
        self.0.send(call, command, |changed| rpc::UpdateCounselorResponse { counselor: Some(changed.into()) }).await
    }
    async fn generate_counselor_image_url(
        &self,
        request: Request<rpc::GenerateCounselorImageUrlRequest>,
    ) -> RpcResult<rpc::GenerateCounselorImageUrlResponse> {
        let (call, message) = Call::read(request)?;
        let respond = |url| rpc::GenerateCounselorImageUrlResponse { presigned_url: Some(url) };
        let image = (message.counselor_id.as_str(), message.extension);
        images::generate_url(&self.0, call, ImageFolder::CounselorProfiles, image, respond).await
    }
    async fn create_bubble(&self, request: Request<rpc::CreateBubbleRequest>) -> RpcResult<rpc::CreateBubbleResponse> {
        let (call, message) = Call::read(request)?;
        let command = CreateBubble {
            counselor: id("counselor_id", &message.counselor_id)?,
            question: Question::parse(&message.question).map_err(Rejection::from)?,
            options: [
                response_option1(&message.response_option1).map_err(Rejection::from)?,
                response_option2(&message.response_option2).map_err(Rejection::from)?,
            ],
        };
        self.0.send(call, command, |made| rpc::CreateBubbleResponse { bubble: Some(made.into()) }).await
    }
    async fn update_bubble(&self, request: Request<rpc::UpdateBubbleRequest>) -> RpcResult<rpc::UpdateBubbleResponse> {
        let (call, message) = Call::read(request)?;
        let (id, counselor) = (id("bubble_id", &message.bubble_id)?, id("counselor_id", &message.counselor_id)?);
        let command = UpdateBubble { id, counselor, edit: bubble_edit(&message)? };
        self.0.send(call, command, |changed| rpc::UpdateBubbleResponse { bubble: Some(changed.into()) }).await
    }
    async fn delete_bubble(&self, request: Request<rpc::DeleteBubbleRequest>) -> RpcResult<rpc::DeleteBubbleResponse> {
        let (call, message) = Call::read(request)?;
        let (id, counselor) = (id("bubble_id", &message.bubble_id)?, id("counselor_id", &message.counselor_id)?);
        self.0.send(call, DeleteBubble { id, counselor }, |()| rpc::DeleteBubbleResponse { success: true }).await
    }
    async fn create_episode(
        &self,
        request: Request<rpc::CreateEpisodeRequest>,
    ) -> RpcResult<rpc::CreateEpisodeResponse> {
        episodes::create(&self.0, request).await
    }
    async fn find_episodes(&self, request: Request<rpc::FindEpisodesRequest>) -> RpcResult<rpc::FindEpisodesResponse> {
        episodes::list(&self.0, request).await
    }
    async fn find_episode_by_id(
        &self,
        request: Request<rpc::FindEpisodeByIdRequest>,
    ) -> RpcResult<rpc::FindEpisodeByIdResponse> {
        episodes::by_id(&self.0, request).await
    }
    async fn update_episode(
        &self,
        request: Request<rpc::UpdateEpisodeRequest>,
    ) -> RpcResult<rpc::UpdateEpisodeResponse> {
        episodes::update(&self.0, request).await
    }
    async fn generate_cut_scene_image_url(
        &self,
        request: Request<rpc::GenerateCutSceneImageUrlRequest>,
    ) -> RpcResult<rpc::GenerateCutSceneImageUrlResponse> {
        let (call, message) = Call::read(request)?;
        let respond = |url| rpc::GenerateCutSceneImageUrlResponse { presigned_url: Some(url) };
        let image = (message.counselor_id.as_str(), message.extension);
        images::generate_url(&self.0, call, ImageFolder::EpisodeCutScenes, image, respond).await
    }
    async fn create_tone(&self, request: Request<rpc::CreateToneRequest>) -> RpcResult<rpc::CreateToneResponse> {
        let (call, message) = Call::read(request)?;
        let command = CreateTone {
            name: ToneName::parse(&message.name).map_err(Rejection::from)?,
            description: ToneDescription::parse(&message.description).map_err(Rejection::from)?,
        };
        self.0.send(call, command, |made| rpc::CreateToneResponse { tone: Some(made.into()) }).await
    }
    async fn update_tone(&self, request: Request<rpc::UpdateToneRequest>) -> RpcResult<rpc::UpdateToneResponse> {
        let (call, message) = Call::read(request)?;
        let edit = ToneEdit {
            name: message.name.as_deref().map(ToneName::parse).transpose().map_err(Rejection::from)?,
            description: message
                .description
                .as_deref()
                .map(ToneDescription::parse)
                .transpose()
                .map_err(Rejection::from)?,
        };
        let command = UpdateTone { id: id("tone_id", &message.tone_id)?, edit };
        self.0.send(call, command, |changed| rpc::UpdateToneResponse { tone: Some(changed.into()) }).await
    }
}

/// The error of a value that only this service knows.
#[derive(Debug, PartialEq, Eq, thiserror::Error, DomainError)]
#[kind(invalid)]
enum BadCounselor {
    #[error("male, female or none")]
    #[field("counselor_gender")]
    Gender,
}

fn profile(message: &rpc::CreateCounselorRequest) -> Result<Profile, Rejection> {
    Ok(Profile {
        tone: id("tone_id", &message.tone_id)?,
        name: CounselorName::parse(&message.name)?,
        description: CounselorDescription::parse(&message.description)?,
        profile_image: image(&message.profile_image)?,
        gender: gender(message.counselor_gender)?,
    })
}
fn edit(message: &rpc::UpdateCounselorRequest) -> Result<CounselorEdit, Rejection> {
    Ok(CounselorEdit {
        tone: optional_id("tone_id", message.tone_id.as_deref())?,
        name: message.name.as_deref().map(CounselorName::parse).transpose()?,
        description: message.description.as_deref().map(CounselorDescription::parse).transpose()?,
        profile_image: match message.profile_image.as_deref().map(image).transpose()? {
            None => ImageEdit::Keep,
            Some(None) => ImageEdit::Remove,
            Some(Some(url)) => ImageEdit::Set(url),
        },
        gender: message.counselor_gender.map(gender).transpose()?,
    })
}
/// Parses the URL of a picture. The empty text is no picture.
fn image(text: &str) -> Result<Option<ImageUrl>, CounselorError> {
    match text {
        "" => Ok(None),
        text => ImageUrl::parse(text).map(Some).ok_or(CounselorError::ProfileImage),
    }
}
fn gender(number: i32) -> Result<Gender, Rejection> {
    match value("counselor_gender", number)? {
        model::CounselorGender::Unspecified => Err(BadCounselor::Gender.into()),
        model::CounselorGender::Male => Ok(Gender::Male),
        model::CounselorGender::Female => Ok(Gender::Female),
        model::CounselorGender::None => Ok(Gender::None),
    }
}
fn bubble_edit(message: &rpc::UpdateBubbleRequest) -> Result<BubbleEdit, Rejection> {
    Ok(BubbleEdit {
        question: message.question.as_deref().map(Question::parse).transpose()?,
        option1: message.response_option1.as_deref().map(response_option1).transpose()?,
        option2: message.response_option2.as_deref().map(response_option2).transpose()?,
    })
}
