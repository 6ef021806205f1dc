//! Tests of the decisions of counsellors, bubbles and tones: given, when, then.
use super::{
    Bubble, BubbleEdit, BubbleEvent, Choice, Counselor, CounselorDescription, CounselorEdit, CounselorError,
    CounselorEvent, CounselorName, Gender, ImageEdit, Profile, Question, ResponseOptions, Tone, ToneDescription,
    ToneEdit, ToneEvent, ToneName, response_option1, response_option2,
};
use crate::domain::image::ImageUrl;
use cqrs_core::{Timestamp, replay, testing::given};
use uuid::Uuid;

fn id<T: From<Uuid>>(number: u128) -> T {
    Uuid::from_u128(number).into()
}
fn at(seconds: i64) -> Timestamp {
    Timestamp::from_timestamp(1_700_000_000 + seconds, 0).unwrap()
}
fn profile(name: &str) -> Profile {
    Profile {
        tone: id(2),
        name: CounselorName::parse(name).unwrap(),
        description: CounselorDescription::parse("들어 주는 상담사").unwrap(),
        profile_image: Some(image()),
        gender: Gender::None,
    }
}
fn image() -> ImageUrl {
    ImageUrl::parse("/v1/images/a.png").unwrap()
}
fn question(text: &str) -> Question {
    Question::parse(text).unwrap()
}
fn options() -> ResponseOptions {
    [response_option1("네").unwrap(), response_option2("아니요").unwrap()]
}
fn bubble() -> BubbleEvent {
    Bubble::create(id(1), question("잘 지냈어요?"), options(), at(0))
}

#[test]
fn the_limits_of_the_texts_are_counted_in_characters() {
    assert!(CounselorName::parse(&"가".repeat(20)).is_ok() && ToneName::parse(&"가".repeat(20)).is_ok());
    assert_eq!(CounselorName::parse(&"가".repeat(21)), Err(CounselorError::Name));
    assert_eq!(ToneName::parse(&"가".repeat(21)), Err(CounselorError::Name));
    assert_eq!(ToneName::parse(" "), Err(CounselorError::Name));
    assert!(CounselorDescription::parse(&"가".repeat(100)).is_ok());
    assert_eq!(CounselorDescription::parse(&"가".repeat(101)), Err(CounselorError::Description));
    assert_eq!(ToneDescription::parse(""), Err(CounselorError::Description));
    assert_eq!(Question::parse("\n"), Err(CounselorError::Question));
    assert_eq!(Question::parse(&"가".repeat(501)), Err(CounselorError::Question));
    assert!(response_option1(&"가".repeat(80)).is_ok());
    assert_eq!(response_option1(&"가".repeat(81)), Err(CounselorError::ResponseOption1));
    assert_eq!(response_option2(" "), Err(CounselorError::ResponseOption2));
    // 80 syllables, each sent in three parts.
    assert!(response_option1(&"\u{1112}\u{1161}\u{11AB}".repeat(80)).is_ok());
}

#[test]
fn only_the_given_fields_of_a_counsellor_change() {
    let created = Counselor::create(profile("하늘"), at(0));
    let update = |edit: CounselorEdit| move |counselor: &Counselor| counselor.update(edit, at(1));
    let named = CounselorEdit { name: Some(CounselorName::parse("바다").unwrap()), ..CounselorEdit::default() };
    given::<Counselor>(id(1), [created.clone()])
        .when(update(named))
        .then([CounselorEvent::Updated { profile: profile("바다"), at: at(1) }]);
    let without_image = CounselorEdit { profile_image: ImageEdit::Remove, ..CounselorEdit::default() };
    given::<Counselor>(id(1), [created.clone()])
        .when(update(without_image))
        .then_state(|counselor| assert_eq!(counselor.profile().profile_image, None));
    let same =
        CounselorEdit { profile_image: ImageEdit::Set(image()), gender: Some(Gender::None), ..Default::default() };
    given::<Counselor>(id(1), [created.clone()]).when(update(same)).then([]);
    given::<Counselor>(id(1), [created])
        .when(update(CounselorEdit::default()))
        .then_rejected(CounselorError::NothingToUpdate);
}

#[test]
fn the_times_of_a_counsellor_are_those_of_its_creation_and_last_change() {
    let updated = CounselorEvent::Updated { profile: profile("바다"), at: at(5) };
    let counselor: Counselor = replay(&id(1), &[Counselor::create(profile("하늘"), at(0)), updated]).unwrap();
    assert_eq!((counselor.changed().created_at, counselor.changed().updated_at), (at(0), at(5)));
}

#[test]
fn a_bubble_changes_field_by_field() {
    let update = |edit: BubbleEdit| move |bubble: &Bubble| bubble.update(edit, at(1));
    let second = BubbleEdit { option2: Some(response_option2("글쎄요").unwrap()), ..BubbleEdit::default() };
    let [first, _] = options();
    let changed = [first, response_option2("글쎄요").unwrap()];
    given::<Bubble>(id(3), [bubble()]).when(update(second)).then([BubbleEvent::Updated {
        question: question("잘 지냈어요?"),
        options: changed,
        at: at(1),
    }]);
    let same = BubbleEdit { question: Some(question("잘 지냈어요?")), ..BubbleEdit::default() };
    given::<Bubble>(id(3), [bubble()]).when(update(same)).then([]);
    given::<Bubble>(id(3), [bubble()])
        .when(update(BubbleEdit::default()))
        .then_rejected(CounselorError::NothingToUpdate);
}

#[test]
fn a_deleted_bubble_keeps_its_texts_for_the_counsels_that_were_opened_from_it() {
    let bubble: Bubble = replay(&id(3), &[bubble(), BubbleEvent::Deleted { at: at(9) }]).unwrap();
    assert!(bubble.is_deleted() && bubble.is_of(id(1)));
    assert_eq!((bubble.question(), bubble.option(Choice::Second).as_str()), ("잘 지냈어요?", "아니요"));
}

#[test]
fn a_tone_changes_field_by_field() {
    let (name, description) = (ToneName::parse("따뜻한").unwrap(), ToneDescription::parse("포근하게").unwrap());
    let created = Tone::create(name.clone(), description, at(0));
    let update = |edit: ToneEdit| move |tone: &Tone| tone.update(edit, at(1));
    let calm = ToneDescription::parse("차분하게").unwrap();
    let edit = ToneEdit { description: Some(calm.clone()), ..ToneEdit::default() };
    given::<Tone>(id(2), [created.clone()]).when(update(edit)).then([ToneEvent::Updated {
        name: name.clone(),
        description: calm,
        at: at(1),
    }]);
    given::<Tone>(id(2), [created.clone()]).when(update(ToneEdit { name: Some(name), ..ToneEdit::default() })).then([]);
    given::<Tone>(id(2), [created]).when(update(ToneEdit::default())).then_rejected(CounselorError::NothingToUpdate);
}
