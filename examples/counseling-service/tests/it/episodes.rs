//! Tests of episodes: cut scenes and their ids, thresholds, locks and drafts.
use crate::{
    catalogue::{is, names, nobody},
    fixture::{Fixture, KIM, LEE},
};
use contracts::v1::{
    model::{Episode, Speaker},
    service::{
        CreateEpisodeRequest, FindEpisodeByIdRequest, FindEpisodesRequest, SaveEpisodeCutSceneRequest,
        UpdateEpisodeRequest,
    },
};
use cqrs_core::grpc::details;
use service_edge::testing::{by, by_admin};
use tonic::{Code, Request, Status};
use uuid::Uuid;

service_edge::cases![
    an_episode_is_created_and_found,
    defect_14_an_update_without_cut_scenes_leaves_them,
    defect_14_cut_scene_ids_survive_an_update,
    defect_14_the_order_is_checked_on_each_save,
    defect_14_drafts_and_locked_episodes_are_hidden_from_people,
    episodes_are_listed_by_threshold_and_locked_below_it,
    an_episode_is_unlocked_by_rapport_with_its_counsellor,
    each_bad_field_is_named_and_nothing_changes,
];

/// An administrator who is no other caller of the tests.
const ADMIN: Uuid = Uuid::from_u128(0x0198_c0de_0000_7000_8000_0000_0000_00ad);

impl Fixture {
    async fn create_episode(&self, request: CreateEpisodeRequest) -> Result<Episode, Status> {
        let created = self.counselors.clone().create_episode(by_admin(ADMIN, request)).await?.into_inner();
        Ok(created.episode.unwrap_or_default())
    }
    async fn update_episode(&self, request: UpdateEpisodeRequest) -> Result<Episode, Status> {
        let updated = self.counselors.clone().update_episode(by_admin(ADMIN, request)).await?.into_inner();
        Ok(updated.episode.unwrap_or_default())
    }
    async fn episode(&self, find: Request<FindEpisodeByIdRequest>) -> Result<Episode, Status> {
        Ok(self.counselors.clone().find_episode_by_id(find).await?.into_inner().episode.unwrap_or_default())
    }
    async fn episodes(&self, find: Request<FindEpisodesRequest>) -> Result<Vec<Episode>, Status> {
        Ok(self.counselors.clone().find_episodes(find).await?.into_inner().episodes)
    }
    /// Returns a valid new episode of the first counsellor with two cut scenes.
    async fn new_episode(
        &self,
        title: &str,
        threshold: i32,
        is_temporary: bool,
    ) -> anyhow::Result<CreateEpisodeRequest> {
        Ok(CreateEpisodeRequest {
            counselor_id: self.counselor().await?,
            title: title.into(),
            required_rapport_threshold: threshold,
            is_temporary,
            cut_scenes: vec![scene(1, "안녕", &self.picture().await?), scene(2, "반가워", &self.picture().await?)],
        })
    }
}

fn scene(order_index: i32, content: &str, image: &str) -> SaveEpisodeCutSceneRequest {
    let speaker = Speaker::Counselor.into();
    SaveEpisodeCutSceneRequest { id: None, speaker, content: content.into(), order_index, image: image.into() }
}
fn find(id: &str, with_temporary: bool) -> FindEpisodeByIdRequest {
    FindEpisodeByIdRequest { episode_id: id.into(), with_temporary }
}
fn of(counselor_id: &str, with_temporary: bool) -> FindEpisodesRequest {
    FindEpisodesRequest { counselor_id: counselor_id.into(), with_temporary, ..Default::default() }
}
fn change(id: &str) -> UpdateEpisodeRequest {
    UpdateEpisodeRequest { episode_id: id.into(), ..Default::default() }
}
/// Returns an episode's cut scenes as a client sends them back.
fn again(episode: &Episode) -> Vec<SaveEpisodeCutSceneRequest> {
    let scene = |scene: &contracts::v1::model::EpisodeCutScene| SaveEpisodeCutSceneRequest {
        id: Some(scene.id.clone()),
        speaker: scene.speaker,
        content: scene.content.clone(),
        order_index: scene.order_index,
        image: scene.image.clone(),
    };
    episode.cut_scenes.iter().map(scene).collect()
}
fn lines(episode: &Episode) -> Vec<(i32, &str)> {
    episode.cut_scenes.iter().map(|scene| (scene.order_index, scene.content.as_str())).collect()
}

async fn an_episode_is_created_and_found(fixture: Fixture) -> anyhow::Result<()> {
    let mut new = fixture.new_episode("첫 만남", 0, false).await?;
    new.cut_scenes.reverse();
    let created = fixture.create_episode(new.clone()).await?;
    assert_eq!((created.title.as_str(), created.required_rapport_threshold), ("첫 만남", 0));
    assert_eq!(lines(&created), [(1, "안녕"), (2, "반가워")], "in the order of the positions");
    assert!(created.cut_scenes.iter().all(|scene| scene.episode_id == created.id && !scene.image.is_empty()));
    assert_eq!(fixture.episode(by(KIM, find(&created.id, false))).await?, created);
    assert_eq!(fixture.episodes(by(KIM, of(&new.counselor_id, false))).await?, std::slice::from_ref(&created));
    is(fixture.create_episode(CreateEpisodeRequest { counselor_id: nobody(), ..new }).await, Code::NotFound);
    is(fixture.episode(by(KIM, find(&nobody(), false))).await, Code::NotFound);
    is(
        fixture.update_episode(UpdateEpisodeRequest { title: Some("제목".into()), ..change(&nobody()) }).await,
        Code::NotFound,
    );
    Ok(())
}

async fn defect_14_an_update_without_cut_scenes_leaves_them(fixture: Fixture) -> anyhow::Result<()> {
    let created = fixture.create_episode(fixture.new_episode("첫 만남", 0, false).await?).await?;
    fixture.environment.pass(60);
    let update = UpdateEpisodeRequest {
        title: Some("두 번째 만남".into()),
        required_rapport_threshold: Some(0),
        ..change(&created.id)
    };
    let updated = fixture.update_episode(update).await?;
    assert_eq!(updated.title, "두 번째 만남");
    assert_eq!(updated.cut_scenes, created.cut_scenes);
    assert!(updated.updated_at > created.updated_at && updated.created_at == created.created_at);
    assert_eq!(fixture.episode(by(KIM, find(&created.id, false))).await?, updated);
    // An empty list is not an absent one.
    let emptied = UpdateEpisodeRequest { with_cut_scenes: Some(true), ..change(&created.id) };
    names(fixture.update_episode(emptied).await, "cut_scenes");
    is(fixture.update_episode(change(&created.id)).await, Code::InvalidArgument);
    let content_alone = UpdateEpisodeRequest { content: Some("무시".into()), ..change(&created.id) };
    is(fixture.update_episode(content_alone).await, Code::InvalidArgument);
    assert_eq!(fixture.episode(by(KIM, find(&created.id, false))).await?, updated);
    Ok(())
}

async fn defect_14_cut_scene_ids_survive_an_update(fixture: Fixture) -> anyhow::Result<()> {
    let created = fixture.create_episode(fixture.new_episode("첫 만남", 0, false).await?).await?;
    fixture.environment.pass(60);
    // The first cut scene moves to the end, the second one gets another line, and a new one comes between.
    let [mut first, mut second] = <[_; 2]>::try_from(again(&created)).unwrap();
    (first.order_index, second.order_index) = (3, 1);
    second.content = "반가워요".into();
    let new = scene(2, "그리고", &fixture.picture().await?);
    let update = UpdateEpisodeRequest { cut_scenes: vec![first, second, new], ..change(&created.id) };
    let updated = fixture.update_episode(update).await?;
    assert_eq!(lines(&updated), [(1, "반가워요"), (2, "그리고"), (3, "안녕")]);
    let ids: Vec<_> = updated.cut_scenes.iter().map(|scene| &scene.id).collect();
    assert_eq!((ids[0], ids[2]), (&created.cut_scenes[1].id, &created.cut_scenes[0].id));
    assert!(!created.cut_scenes.iter().any(|old| old.id == *ids[1]));
    assert_eq!(updated.cut_scenes[2].updated_at, created.cut_scenes[0].updated_at, "its line is the same");
    assert!(updated.cut_scenes[0].updated_at > created.cut_scenes[1].updated_at);
    assert_eq!(fixture.episode(by(KIM, find(&created.id, false))).await?, updated);

    // An id of another episode is not taken over, and no id is used twice.
    let other = fixture.create_episode(fixture.new_episode("다른 이야기", 0, false).await?).await?;
    let taken = UpdateEpisodeRequest { cut_scenes: again(&other), ..change(&created.id) };
    names(fixture.update_episode(taken).await, "cut_scenes.id");
    let mut twice = again(&updated);
    twice[1].id = twice[0].id.clone();
    names(
        fixture.update_episode(UpdateEpisodeRequest { cut_scenes: twice, ..change(&created.id) }).await,
        "cut_scenes.id",
    );
    // Sent back as they are, nothing is stored.
    let end = fixture.app.storage().high_water_mark().await?;
    fixture.update_episode(UpdateEpisodeRequest { cut_scenes: again(&updated), ..change(&created.id) }).await?;
    assert_eq!(fixture.app.storage().high_water_mark().await?, end);
    Ok(())
}

async fn defect_14_the_order_is_checked_on_each_save(fixture: Fixture) -> anyhow::Result<()> {
    let new = fixture.new_episode("첫 만남", 0, false).await?;
    let created = fixture.create_episode(new.clone()).await?;
    for orders in [[0, 1], [1, 1], [2, 3], [-1, 1]] {
        let ordered = |mut scenes: Vec<SaveEpisodeCutSceneRequest>| {
            scenes.iter_mut().zip(orders).for_each(|(scene, order)| scene.order_index = order);
            scenes
        };
        let cut_scenes = ordered(new.cut_scenes.clone());
        names(
            fixture.create_episode(CreateEpisodeRequest { cut_scenes, ..new.clone() }).await,
            "cut_scenes.order_index",
        );
        let update = UpdateEpisodeRequest { cut_scenes: ordered(again(&created)), ..change(&created.id) };
        names(fixture.update_episode(update).await, "cut_scenes.order_index");
    }
    Ok(())
}

async fn defect_14_drafts_and_locked_episodes_are_hidden_from_people(fixture: Fixture) -> anyhow::Result<()> {
    let counselor_id = fixture.counselor().await?;
    let draft = fixture.create_episode(fixture.new_episode("초안", 0, true).await?).await?;
    let locked = fixture.create_episode(fixture.new_episode("먼 이야기", 5, false).await?).await?;
    // A person asks for drafts, and is refused; without asking, a draft does not exist.
    for refused in [
        fixture.episode(by(KIM, find(&draft.id, true))).await.map(drop),
        fixture.episodes(by(KIM, of(&counselor_id, true))).await.map(drop),
    ] {
        is(refused, Code::PermissionDenied);
    }
    is(fixture.episode(by(KIM, find(&draft.id, false))).await, Code::NotFound);
    let refused = fixture.episode(by(KIM, find(&locked.id, false))).await.unwrap_err();
    assert_eq!((refused.code(), details(&refused).reason.as_deref()), (Code::PermissionDenied, Some("EPISODE_LOCKED")));
    let listed = fixture.episodes(by(KIM, of(&counselor_id, false))).await?;
    assert_eq!(listed.iter().map(|episode| &episode.id).collect::<Vec<_>>(), [&locked.id]);

    // An administrator sees drafts on demand, and is never locked out.
    assert_eq!(fixture.episode(by_admin(ADMIN, find(&locked.id, false))).await?, locked);
    assert_eq!(fixture.episode(by_admin(ADMIN, find(&draft.id, true))).await?, draft);
    is(fixture.episode(by_admin(ADMIN, find(&draft.id, false))).await, Code::NotFound);
    let all = fixture.episodes(by_admin(ADMIN, of(&counselor_id, true))).await?;
    assert_eq!(all, [draft.clone(), locked]);
    assert_eq!(fixture.episodes(by_admin(ADMIN, of(&counselor_id, false))).await?.len(), 1);

    // A published draft is there for people, and a withdrawn one is not.
    for (is_temporary, code) in [(false, Code::Ok), (true, Code::NotFound)] {
        fixture.update_episode(UpdateEpisodeRequest { is_temporary: Some(is_temporary), ..change(&draft.id) }).await?;
        let found = fixture.episode(by(KIM, find(&draft.id, false))).await;
        assert_eq!(found.map_or_else(|status| status.code(), |_| Code::Ok), code);
    }
    Ok(())
}

async fn episodes_are_listed_by_threshold_and_locked_below_it(fixture: Fixture) -> anyhow::Result<()> {
    let counselor_id = fixture.counselor().await?;
    for (title, threshold) in [("셋", 20), ("하나", 0), ("둘", 3)] {
        fixture.create_episode(fixture.new_episode(title, threshold, false).await?).await?;
    }
    let listed = fixture.episodes(by(KIM, of(&counselor_id, false))).await?;
    let seen: Vec<_> = listed
        .iter()
        .map(|episode| {
            (episode.title.as_str(), episode.locked, episode.cut_scenes.len(), episode.required_rapport_threshold)
        })
        .collect();
    assert_eq!(seen, [("하나", Some(false), 2, 0), ("둘", Some(true), 0, 3), ("셋", Some(true), 0, 20)]);
    let as_admin = fixture.episodes(by_admin(ADMIN, of(&counselor_id, false))).await?;
    assert!(as_admin.iter().all(|episode| episode.locked == Some(false) && episode.cut_scenes.len() == 2));

    let first = FindEpisodesRequest { limit: Some(2), ..of(&counselor_id, false) };
    let page = fixture.counselors.clone().find_episodes(by(KIM, first)).await?.into_inner();
    let second = FindEpisodesRequest { after: page.next, ..of(&counselor_id, false) };
    let rest = fixture.counselors.clone().find_episodes(by(KIM, second)).await?.into_inner();
    assert_eq!(([page.episodes, rest.episodes].concat(), rest.next), (listed, None));
    assert_eq!(fixture.episodes(by(KIM, of(&nobody(), false))).await?, []);
    Ok(())
}

async fn an_episode_is_unlocked_by_rapport_with_its_counsellor(fixture: Fixture) -> anyhow::Result<()> {
    let counselor_id = fixture.counselor().await?;
    let episode = fixture.create_episode(fixture.new_episode("둘만의 이야기", 2, false).await?).await?;
    let counsel = fixture.opened().await?;
    for (number, code) in [(1, Code::PermissionDenied), (2, Code::Ok)] {
        fixture.send(&counsel, Uuid::now_v7(), &format!("{number}번째 말")).await?;
        fixture.settle().await;
        let found = fixture.episode(by(KIM, find(&episode.id, false))).await;
        assert_eq!(found.map_or_else(|status| status.code(), |_| Code::Ok), code, "after {number} messages");
    }
    assert_eq!(fixture.episode(by(KIM, find(&episode.id, false))).await?, episode);
    assert_eq!(fixture.episodes(by(KIM, of(&counselor_id, false))).await?, std::slice::from_ref(&episode));
    // The rapport is Kim's alone.
    is(fixture.episode(by(LEE, find(&episode.id, false))).await, Code::PermissionDenied);
    Ok(())
}

async fn each_bad_field_is_named_and_nothing_changes(fixture: Fixture) -> anyhow::Result<()> {
    let new = fixture.new_episode("첫 만남", 0, false).await?;
    let created = fixture.create_episode(new.clone()).await?;
    let end = fixture.app.storage().high_water_mark().await?;
    let with = |change: &dyn Fn(&mut SaveEpisodeCutSceneRequest)| {
        let mut scenes = new.cut_scenes.clone();
        change(&mut scenes[1]);
        scenes
    };
    let cut_scenes = [
        (with(&|scene| scene.speaker = 0), "cut_scenes.speaker"),
        (with(&|scene| scene.speaker = 3), "cut_scenes.speaker"),
        (with(&|scene| scene.content = " ".into()), "cut_scenes.content"),
        (with(&|scene| scene.content = "가".repeat(1001)), "cut_scenes.content"),
        (with(&|scene| scene.image = String::new()), "cut_scenes.image"),
        (with(&|scene| scene.image = "https://evil.example.com/a.png".into()), "cut_scenes.image"),
        (with(&|scene| scene.image = "/v1/images/counselings/none.png".into()), "cut_scenes.image"),
        (with(&|scene| scene.id = Some("1".into())), "cut_scenes.id"),
        (with(&|scene| scene.id = Some(nobody())), "cut_scenes.id"),
    ];
    for (cut_scenes, field) in cut_scenes {
        let update = UpdateEpisodeRequest { cut_scenes: cut_scenes.clone(), ..change(&created.id) };
        names(fixture.update_episode(update).await, field);
        names(fixture.create_episode(CreateEpisodeRequest { cut_scenes, ..new.clone() }).await, field);
    }
    let many = (1..=101).map(|order| scene(order, "안녕", &new.cut_scenes[0].image)).collect();
    for (request, field) in [
        (CreateEpisodeRequest { title: String::new(), ..new.clone() }, "title"),
        (CreateEpisodeRequest { title: "가".repeat(101), ..new.clone() }, "title"),
        (CreateEpisodeRequest { required_rapport_threshold: -1, ..new.clone() }, "required_rapport_threshold"),
        (CreateEpisodeRequest { cut_scenes: Vec::new(), ..new.clone() }, "cut_scenes"),
        (CreateEpisodeRequest { cut_scenes: many, ..new.clone() }, "cut_scenes"),
        (CreateEpisodeRequest { counselor_id: "하늘".into(), ..new.clone() }, "counselor_id"),
    ] {
        names(fixture.create_episode(request).await, field);
    }
    for (request, field) in [
        (UpdateEpisodeRequest { title: Some(" ".into()), ..change(&created.id) }, "title"),
        (
            UpdateEpisodeRequest { required_rapport_threshold: Some(-5), ..change(&created.id) },
            "required_rapport_threshold",
        ),
        (change("첫 만남"), "episode_id"),
    ] {
        names(fixture.update_episode(request).await, field);
    }
    assert_eq!(fixture.app.storage().high_water_mark().await?, end);
    Ok(())
}
