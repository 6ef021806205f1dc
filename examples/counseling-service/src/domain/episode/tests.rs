//! Tests of the decisions of episodes: given, when, then.
use super::{
    CutScene, CutSceneContent, CutSceneDraft, CutSceneId, Episode, EpisodeError, EpisodeEvent, EpisodeTitle, Line,
    RapportThreshold, SceneSpeaker, Story, StoryDraft, StoryEdit,
};
use crate::domain::{counselor::Changed, image::ImageUrl};
use cqrs_core::{Timestamp, testing::given};
use uuid::Uuid;

fn id<T: From<Uuid>>(number: u128) -> T {
    Uuid::from_u128(number).into()
}
fn at(seconds: i64) -> Timestamp {
    Timestamp::from_timestamp(1_700_000_000 + seconds, 0).unwrap()
}
fn ids(first: u128) -> impl FnMut() -> CutSceneId {
    let mut next = first;
    move || {
        next += 1;
        id(next - 1)
    }
}
fn line(content: &str) -> Line {
    Line {
        speaker: SceneSpeaker::Counselor,
        content: CutSceneContent::parse(content).unwrap(),
        image: ImageUrl::parse("/v1/images/a.png").unwrap(),
    }
}
fn scene(number: u128, content: &str, created: i64, updated: i64) -> CutScene {
    let changed = Changed { created_at: at(created), updated_at: at(updated) };
    CutScene { id: id(number), line: line(content), changed }
}
fn draft(number: Option<u128>, order: i32, content: &str) -> CutSceneDraft {
    CutSceneDraft { id: number.map(id), order, line: line(content) }
}
fn title() -> EpisodeTitle {
    EpisodeTitle::parse("첫 만남").unwrap()
}
fn threshold(number: i32) -> RapportThreshold {
    RapportThreshold::parse(number).unwrap()
}
fn story(cut_scenes: Vec<CutScene>) -> Story {
    Story { title: title(), threshold: threshold(3), is_draft: false, cut_scenes }
}
/// An episode with the cut scenes 11 (안녕) and 12 (반가워).
fn created() -> EpisodeEvent {
    let cut_scenes = vec![scene(11, "안녕", 0, 0), scene(12, "반가워", 0, 0)];
    EpisodeEvent::Created { counselor: id(1), story: story(cut_scenes), at: at(0) }
}
fn with_scenes(cut_scenes: Vec<CutSceneDraft>) -> StoryEdit {
    StoryEdit { cut_scenes: Some(cut_scenes), ..StoryEdit::default() }
}
fn update(edit: StoryEdit) -> impl FnOnce(&Episode) -> Result<Option<EpisodeEvent>, EpisodeError> {
    move |episode| episode.update(edit, ids(20), at(9))
}

#[test]
fn an_episode_is_created_in_the_order_of_its_positions() {
    let cut_scenes = vec![draft(None, 2, "반가워"), draft(None, 1, "안녕")];
    let new = StoryDraft { title: title(), threshold: threshold(3), is_draft: false, cut_scenes };
    assert_eq!(Episode::create(id(1), new, ids(11), at(0)), Ok(created()));
}

#[test]
fn the_positions_are_one_to_n() {
    for orders in [&[0, 1][..], &[1, 1], &[1, 3], &[2], &[-1, 1], &[i32::MAX]] {
        let drafts: Vec<_> = orders.iter().map(|order| draft(None, *order, "안녕")).collect();
        let new = StoryDraft { title: title(), threshold: threshold(0), is_draft: true, cut_scenes: drafts.clone() };
        assert_eq!(Episode::create(id(1), new, ids(11), at(0)), Err(EpisodeError::Order), "{orders:?}");
        given::<Episode>(id(5), [created()]).when(update(with_scenes(drafts))).then_rejected(EpisodeError::Order);
    }
}

#[test]
fn an_episode_has_one_to_a_hundred_cut_scenes() {
    let scenes = |number: i32| (1..=number).map(|order| draft(None, order, "안녕")).collect::<Vec<_>>();
    given::<Episode>(id(5), [created()]).when(update(with_scenes(Vec::new()))).then_rejected(EpisodeError::NoCutScene);
    given::<Episode>(id(5), [created()])
        .when(update(with_scenes(scenes(101))))
        .then_rejected(EpisodeError::TooManyCutScenes);
    given::<Episode>(id(5), [created()])
        .when(update(with_scenes(scenes(100))))
        .then_state(|episode| assert_eq!(episode.story().cut_scenes.len(), 100));
}

#[test]
fn cut_scenes_keep_the_ids_that_are_sent() {
    let edit = with_scenes(vec![draft(Some(12), 1, "반가워"), draft(None, 2, "그리고"), draft(Some(11), 3, "또 만나")]);
    let arranged = vec![scene(12, "반가워", 0, 0), scene(20, "그리고", 9, 9), scene(11, "또 만나", 0, 9)];
    given::<Episode>(id(5), [created()])
        .when(update(edit))
        .then([EpisodeEvent::Updated { story: story(arranged), at: at(9) }]);
}

#[test]
fn an_id_of_another_episode_or_a_repeated_one_is_refused() {
    for edit in [vec![draft(Some(99), 1, "안녕")], vec![draft(Some(11), 1, "안녕"), draft(Some(11), 2, "안녕")]] {
        given::<Episode>(id(5), [created()]).when(update(with_scenes(edit))).then_rejected(EpisodeError::CutSceneId);
    }
    let new = StoryDraft {
        title: title(),
        threshold: threshold(0),
        is_draft: true,
        cut_scenes: vec![draft(Some(11), 1, "안녕")],
    };
    assert_eq!(Episode::create(id(1), new, ids(11), at(0)), Err(EpisodeError::CutSceneId));
}

#[test]
fn an_update_without_cut_scenes_leaves_them() {
    let edit = StoryEdit { threshold: Some(threshold(7)), is_draft: Some(true), ..StoryEdit::default() };
    let cut_scenes = vec![scene(11, "안녕", 0, 0), scene(12, "반가워", 0, 0)];
    let expected = Story { threshold: threshold(7), is_draft: true, ..story(cut_scenes) };
    given::<Episode>(id(5), [created()])
        .when(update(edit))
        .then([EpisodeEvent::Updated { story: expected, at: at(9) }]);
    given::<Episode>(id(5), [created()])
        .when(update(StoryEdit::default()))
        .then_rejected(EpisodeError::NothingToUpdate);
    let same = with_scenes(vec![draft(Some(12), 2, "반가워"), draft(Some(11), 1, "안녕")]);
    given::<Episode>(id(5), [created()]).when(update(same)).then([]);
}

#[test]
fn texts_and_thresholds_have_limits() {
    assert_eq!(RapportThreshold::parse(-1), Err(EpisodeError::Threshold));
    assert!(threshold(0).is_reached_by(0) && threshold(3).is_reached_by(3) && !threshold(3).is_reached_by(2));
    assert_eq!(EpisodeTitle::parse(" "), Err(EpisodeError::Title));
    assert_eq!(EpisodeTitle::parse(&"가".repeat(101)), Err(EpisodeError::Title));
    assert_eq!(CutSceneContent::parse(""), Err(EpisodeError::Content));
    assert!(CutSceneContent::parse(&"가".repeat(1000)).is_ok());
    assert_eq!(CutSceneContent::parse(&"가".repeat(1001)), Err(EpisodeError::Content));
}
