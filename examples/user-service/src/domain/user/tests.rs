//! Tests of profile changes (given, when, then) and of parsing.
use super::{
    Birthday, Edit, ImageUrl, Introduction, Mbti, Nickname, PhoneNumber, Profile, ProfileEdit, User, UserEdit,
    UserError, UserEvent,
};
use crate::domain::testing::{at, kim};
use cqrs_core::{Aggregate, testing::given};

fn registered() -> UserEvent {
    User::register(Nickname::parse("kim").unwrap(), at(0))
}

fn mbti(edit: Edit<Mbti>) -> UserEdit {
    UserEdit { profile: ProfileEdit { mbti: edit, ..ProfileEdit::default() }, ..UserEdit::default() }
}
fn infp() -> Mbti {
    Mbti::parse("INFP").unwrap()
}
fn updated(mbti: Option<Mbti>) -> UserEvent {
    let nickname = Nickname::parse("kim").unwrap();
    UserEvent::Updated { nickname, profile: Profile { mbti, ..Profile::default() }, at: at(1) }
}

#[test]
fn a_set_field_is_stored() {
    given::<User>(kim(), [registered()])
        .when(|user| user.update(mbti(Edit::Set(infp())), at(1)))
        .then([updated(Some(infp()))]);
}
#[test]
fn a_cleared_field_is_removed() {
    given::<User>(kim(), [registered(), updated(Some(infp()))])
        .when(|user| user.update(mbti(Edit::Clear), at(1)))
        .then([updated(None)]);
}
#[test]
fn an_unchanged_field_produces_no_event() {
    let same = UserEdit { nickname: Some(Nickname::parse("kim").unwrap()), ..UserEdit::default() };
    given::<User>(kim(), [registered()]).when(|user| user.update(same, at(1))).then([]);
}
#[test]
fn an_update_without_fields_is_refused() {
    given::<User>(kim(), [registered()])
        .when(|user| user.update(UserEdit::default(), at(1)))
        .then_rejected(UserError::NothingToUpdate);
}
#[test]
fn an_edit_round_trips_through_json() {
    let edit = mbti(Edit::Clear);
    assert_eq!(edit, serde_json::from_slice(&serde_json::to_vec(&edit).unwrap()).unwrap());
}

#[test]
fn a_phone_number_must_be_korean_and_mobile() {
    for good in ["010-1234-5678", "01012345678", "011-123-4567", "0191234567"] {
        assert_eq!(PhoneNumber::parse(good).unwrap().to_string(), good.replace('-', ""));
    }
    for bad in [
        "02-123-4567",
        "012-1234-5678",
        "010-1234-567x",
        "010-12-5678",
        "010-12345-6789",
        "+821012345678",
        "０１０-1234-5678",
    ] {
        assert_eq!(PhoneNumber::parse(bad), Err(UserError::PhoneNumber), "{bad}");
    }
}
#[test]
fn a_birthday_must_be_a_date() {
    assert_eq!(Birthday::parse("2000-02-29").unwrap().to_string(), "2000-02-29");
    for bad in [
        "2001-02-29",
        "2000-13-01",
        "2000-1-1",
        "20000101",
        "2000-01-01T00:00:00Z",
        "yesterday",
        "+02000-01-01",
        "1899-12-31",
    ] {
        assert_eq!(Birthday::parse(bad), Err(UserError::Birthday), "{bad}");
    }
}
#[test]
fn a_birthday_after_today_is_refused() {
    // It is 12:30 of the 1st in UTC, and already the 2nd in Kiritimati.
    for (day, refused) in [("2026-03-01", false), ("2026-03-02", false), ("2026-03-03", true), ("2999-01-01", true)] {
        let profile = ProfileEdit { birthday: Edit::Set(Birthday::parse(day).unwrap()), ..ProfileEdit::default() };
        let updated = given::<User>(kim(), [registered()])
            .when(|user| user.update(UserEdit { profile, ..UserEdit::default() }, at(1)));
        match refused {
            true => updated.then_rejected(UserError::Birthday),
            false => {
                updated.then_state(|user| assert_eq!(user.profile().birthday, Some(Birthday::parse(day).unwrap())))
            }
        }
    }
}
#[test]
fn invisible_characters_are_refused() {
    let (zero_width_space, right_to_left, hangul_filler) = ("\u{200B}\u{200B}", "\u{202E}nimda", "\u{3164}");
    let (joiners, mark) = ("\u{200D}\u{200D}", "\u{FE0F}");
    for text in [joiners, mark, " \u{301}"] {
        assert_eq!(Nickname::parse(text), Err(UserError::Nickname), "{text:?}");
        assert_eq!(Introduction::parse(text), Err(UserError::Introduction), "{text:?}");
    }
    for text in [zero_width_space, right_to_left, hangul_filler, "a\u{FEFF}", "a\u{2028}b"] {
        assert_eq!(Nickname::parse(text), Err(UserError::Nickname), "{text:?}");
        assert_eq!(Introduction::parse(text), Err(UserError::Introduction), "{text:?}");
        let url = format!("https://example.com/{text}");
        assert_eq!(ImageUrl::parse(&url), Err(UserError::ProfileImage), "{text:?}");
    }
    assert!(Introduction::parse("첫째 줄\n둘째 줄 👩\u{200D}👧").is_ok());
    assert!(Nickname::parse("수달 2호").is_ok());
}
#[test]
fn an_image_needs_an_https_url() {
    for bad in
        ["javascript:alert(1)", "http://example.com/a.png", "data:text/html,a", "//example.com/a.png", "https://"]
    {
        assert_eq!(ImageUrl::parse(bad), Err(UserError::ProfileImage), "{bad}");
    }
}
#[test]
fn texts_over_their_limit_or_format_are_refused() {
    assert!(Introduction::parse(&"가".repeat(500)).is_ok());
    assert_eq!(Introduction::parse(&"가".repeat(501)), Err(UserError::Introduction));
    assert!(ImageUrl::parse("https://example.com/a.png").is_ok());
    assert_eq!(ImageUrl::parse("https://example.com/a b"), Err(UserError::ProfileImage));
    assert_eq!(Nickname::parse(&"가".repeat(21)), Err(UserError::Nickname));
    assert_eq!(Nickname::parse("a\nb"), Err(UserError::Nickname));
    assert!(["ISTP", "ENFJ"].iter().all(|text| Mbti::parse(text).is_ok()));
    assert!(["istp", "IST", "ISTPP", "XSTP"].iter().all(|text| Mbti::parse(text) == Err(UserError::Mbti)));
}
#[test]
fn texts_are_counted_and_stored_in_form_nfc() {
    // "é" as two characters, and "가" as two jamo.
    let (decomposed, composed) = ("e\u{301}\u{1100}\u{1161}", "é가");
    assert_eq!(Nickname::parse(decomposed).unwrap().to_string(), composed);
    assert_eq!(Introduction::parse(decomposed).unwrap().to_string(), composed);
    assert!(Nickname::parse(&"\u{1100}\u{1161}".repeat(20)).is_ok());
    assert!(Introduction::parse(&"e\u{301}".repeat(500)).is_ok());
    assert_eq!(Introduction::parse(" \n "), Err(UserError::Introduction));
}
#[test]
fn nicknames_that_differ_only_in_case_share_a_unique_value() {
    let unique = |name: &str| {
        let user: User = cqrs_core::replay(&kim(), [&User::register(Nickname::parse(name).unwrap(), at(0))]).unwrap();
        user.unique()
    };
    for (one, other) in [("Otter", "oTTER"), ("STRASSE", "straße"), ("Ångström", "A\u{30a}NGSTRÖM")] {
        assert_eq!(unique(one), unique(other), "{one}, {other}");
        assert_eq!(unique(one)[0].0, "nickname");
    }
    assert_ne!(unique("수달"), unique("고래"));
}
#[test]
fn a_new_nickname_in_another_case_is_stored() {
    let edit = UserEdit { nickname: Some(Nickname::parse("KIM").unwrap()), ..UserEdit::default() };
    given::<User>(kim(), [registered()])
        .when(|user| user.update(edit, at(1)))
        .then_state(|user| assert_eq!(user.nickname().to_string(), "KIM"));
}
#[test]
fn what_a_person_has_seen_is_recorded_once() {
    let seen = |at| UserEvent::Tracked { has_seen_intro_cutscene: true, at };
    let track = |user: &User| Ok::<_, UserError>(user.track(true, at(9)));
    given::<User>(kim(), [registered()]).when(track).then([seen(at(9))]);
    given::<User>(kim(), [registered(), seen(at(1))]).when(track).then([]);
    given::<User>(kim(), [registered(), seen(at(1))])
        .when(|user| Ok::<_, UserError>(user.track(false, at(9))))
        .then_state(|user| {
            let tracking = user.tracking().unwrap();
            assert_eq!((tracking.has_seen_intro_cutscene, tracking.created_at), (false, at(1)));
            assert_eq!((tracking.updated_at, user.updated_at()), (at(9), at(0)));
        });
}
#[test]
fn every_generated_nickname_is_valid() {
    let seeds = (0..2000).map(|step: u32| step.wrapping_mul(2_147_483_659)).chain([0, u32::MAX]);
    for name in seeds.map(Nickname::generated) {
        assert_eq!(Nickname::parse(&name.to_string()).unwrap(), name);
    }
    assert_ne!(Nickname::generated(1), Nickname::generated(10_000));
}
