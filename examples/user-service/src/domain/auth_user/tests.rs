//! Tests of credentials: given, when, then.
use super::{
    Account, AuthUser, AuthUserError, AuthUserEvent, AuthUserId, Authority, AuthoritySource, LONGEST, Provider,
    SESSIONS_MOST, SessionEnd, SessionId, TokenHash, USED_MOST,
};
use crate::domain::testing::{at, kim};
use cqrs_core::{Aggregate, replay, testing::given};

const DAY: u64 = 24 * 3600;

fn id() -> AuthUserId {
    AuthUserId::of(kim())
}
fn created() -> AuthUserEvent {
    AuthUser::unlinked(at(0))
}
fn kakao(unique_id: &str) -> Account {
    Account::parse(Provider::Kakao, unique_id).unwrap()
}
fn linked(account: Account) -> AuthUserEvent {
    AuthUserEvent::Linked { link: kim().0.into(), account, at: at(1) }
}
fn session(number: u64) -> SessionId {
    format!("0198c0de-0000-7000-8000-{number:012x}").parse().unwrap()
}
fn token(name: impl ToString) -> TokenHash {
    TokenHash::of(&name.to_string()).unwrap()
}
/// The session of this number, of a token with the same number, which expires after a month.
fn started(number: u64, seconds: u64) -> AuthUserEvent {
    let (session, token, expires_at) = (session(number), token(number), at(seconds + 30 * DAY));
    AuthUserEvent::SessionStarted { session, token, expires_at, dropped: vec![], at: at(seconds) }
}
fn rotated(number: u64, next: impl ToString, seconds: u64) -> AuthUserEvent {
    let (session, next, expires_at) = (session(number), token(next), at(seconds + 30 * DAY));
    AuthUserEvent::TokenRotated { session, next, expires_at, at: at(seconds) }
}
fn used(number: u64, seconds: u64) -> AuthUserEvent {
    AuthUserEvent::TokenUsed { session: session(number), at: at(seconds) }
}
fn ended(number: u64, reason: SessionEnd, seconds: u64) -> AuthUserEvent {
    AuthUserEvent::SessionsEnded { sessions: vec![session(number)], reason, at: at(seconds) }
}
fn rotate(old: &str, next: &str, seconds: u64) -> impl Fn(&AuthUser) -> Result<Option<AuthUserEvent>, AuthUserError> {
    move |auth_user| auth_user.rotate_token(&token(old), token(next), at(seconds + 30 * DAY), at(seconds))
}

#[test]
fn a_person_is_linked_once() {
    let link = |auth_user: &AuthUser| auth_user.link(kim().0.into(), kakao("7"), at(1));
    given::<AuthUser>(id(), [created()]).when(link).then([linked(kakao("7"))]);
    for account in [kakao("7"), kakao("8")] {
        given::<AuthUser>(id(), [created(), linked(account)]).when(link).then_rejected(AuthUserError::AlreadyLinked);
    }
}
#[test]
fn an_account_is_unique_by_provider_and_id() {
    let unique = |account: Account| replay::<AuthUser, _>(&id(), &[created(), linked(account)]).unwrap().unique();
    assert_eq!(unique(kakao("7")), [("account", "kakao:7".to_owned())]);
    assert_ne!(unique(kakao("7")), unique(Account::parse(Provider::Naver, "7").unwrap()));
    let unlinked = replay::<AuthUser, _>(&id(), &[created()]).unwrap();
    assert!(unlinked.unique().is_empty(), "people without an account do not exclude each other");
}
#[test]
fn the_id_of_an_account_is_visible_and_not_empty() {
    assert!(Account::parse(Provider::Kakao, &"7".repeat(255)).is_ok());
    for bad in ["", " ", "a b", "a\u{0}", "\u{200B}", &"7".repeat(256)] {
        assert_eq!(Account::parse(Provider::Kakao, bad), Err(AuthUserError::UniqueId), "{bad:?}");
    }
}
#[test]
fn an_authority_that_the_person_has_produces_no_event() {
    let changed = |authority, source| AuthUserEvent::AuthorityChanged { authority, source, at: at(1) };
    for source in [AuthoritySource::Operator, AuthoritySource::Configuration] {
        let change = |authority| {
            move |auth_user: &AuthUser| Ok::<_, AuthUserError>(auth_user.change_authority(authority, source, at(1)))
        };
        let promoted = changed(Authority::Admin, source);
        given::<AuthUser>(id(), [created()]).when(change(Authority::User)).then([]);
        given::<AuthUser>(id(), [created()]).when(change(Authority::Admin)).then([promoted.clone()]);
        given::<AuthUser>(id(), [created(), promoted.clone()]).when(change(Authority::Admin)).then([]);
        let demoted = changed(Authority::User, source);
        given::<AuthUser>(id(), [created(), promoted.clone()]).when(change(Authority::User)).then([demoted.clone()]);
        given::<AuthUser>(id(), [created(), promoted, demoted]).when(change(Authority::User)).then([]);
    }
}
#[test]
fn the_configuration_does_not_take_back_what_an_operator_has_given() {
    let changed = |authority, source| AuthUserEvent::AuthorityChanged { authority, source, at: at(1) };
    let configure = |authority| {
        move |auth_user: &AuthUser| {
            Ok::<_, AuthUserError>(auth_user.change_authority(authority, AuthoritySource::Configuration, at(1)))
        }
    };
    let by_operator = changed(Authority::Admin, AuthoritySource::Operator);
    for authority in [Authority::User, Authority::Admin] {
        given::<AuthUser>(id(), [created(), by_operator.clone()]).when(configure(authority)).then([]);
    }
    // Promoted by the configuration first, and then by an operator.
    let by_configuration = changed(Authority::Admin, AuthoritySource::Configuration);
    given::<AuthUser>(id(), [created(), by_configuration.clone()])
        .when(|auth_user| {
            Ok::<_, AuthUserError>(auth_user.change_authority(Authority::Admin, AuthoritySource::Operator, at(1)))
        })
        .then([by_operator.clone()]);
    given::<AuthUser>(id(), [created(), by_configuration, by_operator]).when(configure(Authority::User)).then([]);
}
#[test]
fn permissions_that_were_stored_without_their_source_are_an_operators() {
    let stored = r#"{"AuthorityChanged":{"authority":"Admin","at":"2026-03-01T12:30:00Z"}}"#;
    let event: AuthUserEvent = serde_json::from_str(stored).unwrap();
    let auth_user: AuthUser = replay(&id(), &[created(), event]).unwrap();
    assert_eq!(auth_user.change_authority(Authority::User, AuthoritySource::Configuration, at(1)), None);
}

#[test]
fn a_token_is_replaced_and_its_successor_is_valid() {
    given::<AuthUser>(id(), [created(), started(1, 0)]).when(rotate("1", "a", 10)).then([rotated(1, "a", 10)]);
    given::<AuthUser>(id(), [created(), started(1, 0), rotated(1, "a", 10)])
        .when(rotate("a", "b", 20))
        .then([rotated(1, "b", 20)]);
}
#[test]
fn a_replaced_token_ends_its_session_and_no_other() {
    let past = [created(), started(1, 0), started(2, 0), rotated(1, "a", 10), rotated(1, "b", 20)];
    for old in ["1", "a"] {
        given::<AuthUser>(id(), past.clone()).when(rotate(old, "x", 30)).then([ended(1, SessionEnd::TokenReused, 30)]);
        given::<AuthUser>(id(), past.clone()).when(|auth_user| auth_user.use_token(&token(old), at(30))).then([ended(
            1,
            SessionEnd::TokenReused,
            30,
        )]);
    }
    let after: Vec<_> = past.into_iter().chain([ended(1, SessionEnd::TokenReused, 30)]).collect();
    given::<AuthUser>(id(), after.clone()).when(rotate("b", "x", 31)).then_rejected(AuthUserError::RefreshTokenInvalid);
    given::<AuthUser>(id(), after).when(rotate("2", "x", 31)).then([rotated(2, "x", 31)]);
}
#[test]
fn the_repeat_of_a_rotation_is_no_reuse() {
    let past = [created(), started(1, 0), rotated(1, "a", 10)];
    given::<AuthUser>(id(), past.clone()).when(rotate("1", "a", 11)).then([]);
    let later: Vec<_> = past.into_iter().chain([rotated(1, "b", 20)]).collect();
    given::<AuthUser>(id(), later).when(rotate("1", "a", 21)).then([ended(1, SessionEnd::TokenReused, 21)]);
}
#[test]
fn a_token_cannot_be_its_own_or_anothers_successor() {
    for next in ["1", "2"] {
        given::<AuthUser>(id(), [created(), started(1, 0), started(2, 0)])
            .when(rotate("1", next, 10))
            .then_rejected(AuthUserError::TokenNotNew);
    }
}
#[test]
fn a_token_is_used_up_once() {
    let use_up = |seconds| move |auth_user: &AuthUser| auth_user.use_token(&token(1), at(seconds));
    given::<AuthUser>(id(), [created(), started(1, 0)]).when(use_up(10)).then([used(1, 10)]);
    given::<AuthUser>(id(), [created(), started(1, 0), used(1, 10)]).when(use_up(11)).then([ended(
        1,
        SessionEnd::TokenReused,
        11,
    )]);
}
#[test]
fn an_unknown_or_expired_token_is_refused() {
    let expired = 30 * DAY;
    given::<AuthUser>(id(), [created()]).when(rotate("1", "a", 1)).then_rejected(AuthUserError::RefreshTokenInvalid);
    given::<AuthUser>(id(), [created(), started(1, 0)])
        .when(rotate("1", "a", expired))
        .then_rejected(AuthUserError::RefreshTokenInvalid);
    given::<AuthUser>(id(), [created(), started(1, 0)])
        .when(|auth_user| auth_user.use_token(&token(1), at(expired)))
        .then_rejected(AuthUserError::RefreshTokenInvalid);
    given::<AuthUser>(id(), [created(), started(1, 0)]).when(rotate("1", "a", expired - 1)).then([rotated(
        1,
        "a",
        expired - 1,
    )]);
}
#[test]
fn a_token_begins_one_session() {
    let start = |number: u64| {
        move |auth_user: &AuthUser| auth_user.start_session(session(9), token(number), at(30 * DAY), at(5))
    };
    given::<AuthUser>(id(), [created(), started(1, 0)]).when(start(1)).then([]);
    given::<AuthUser>(id(), [created(), started(1, 0), rotated(1, "a", 1)])
        .when(start(1))
        .then_rejected(AuthUserError::TokenNotNew);
    given::<AuthUser>(id(), [created(), started(1, 0), used(1, 1)])
        .when(start(1))
        .then_rejected(AuthUserError::TokenNotNew);
}
#[test]
fn an_expiry_in_the_past_or_too_far_ahead_is_refused() {
    for (expires_at, valid) in [(at(5), false), (at(6), true), (at(5) + LONGEST, true), (at(6) + LONGEST, false)] {
        let auth_user: AuthUser = replay(&id(), &[created(), started(2, 0)]).unwrap();
        let started = auth_user.start_session(session(1), token(1), expires_at, at(5));
        let rotated = auth_user.rotate_token(&token(2), token(3), expires_at, at(5));
        assert_eq!((started.is_ok(), rotated.is_ok()), (valid, valid), "{expires_at}");
        assert!(valid || (started, rotated) == (Err(AuthUserError::ExpiresAt), Err(AuthUserError::NewExpiresAt)));
    }
}
#[test]
fn one_session_too_many_ends_the_one_that_was_refreshed_first() {
    let past = || [created()].into_iter().chain((1..=SESSIONS_MOST as u64).map(|number| started(number, number)));
    let dropped = |past: Vec<AuthUserEvent>| {
        let auth_user: AuthUser = replay(&id(), &past).unwrap();
        match auth_user.start_session(session(99), token("new"), at(60 * DAY), at(100)).unwrap() {
            Some(AuthUserEvent::SessionStarted { dropped, .. }) => dropped,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(dropped(past().collect()), [session(1)]);
    assert_eq!(dropped(past().chain([rotated(1, "a", 50)]).collect()), [session(2)]);
    // A session that cannot be refreshed is no loss.
    assert_eq!(dropped(past().chain([used(7, 50)]).collect()), [session(7)]);
    assert!(dropped(past().chain([ended(3, SessionEnd::Revoked, 50)]).collect()).is_empty());
}
#[test]
fn an_expired_session_is_dropped_by_the_next_login() {
    let later = 31 * DAY;
    let auth_user: AuthUser = replay(&id(), &[created(), started(1, 0), started(2, later)]).unwrap();
    assert_eq!(auth_user.open_sessions().iter().map(|session| session.id).collect::<Vec<_>>(), [session(2)]);
    assert!(!auth_user.knows(&token(1)));
}
#[test]
fn sessions_are_revoked_by_any_of_their_tokens_or_together() {
    let past = [created(), started(1, 0), started(2, 0), rotated(1, "a", 1)];
    let revoke = |token: Option<TokenHash>| {
        move |auth_user: &AuthUser| Ok::<_, AuthUserError>(auth_user.revoke(token.as_ref(), at(5)))
    };
    for known in ["1", "a"] {
        let revoked = ended(1, SessionEnd::Revoked, 5);
        given::<AuthUser>(id(), past.clone()).when(revoke(Some(token(known)))).then([revoked]);
    }
    given::<AuthUser>(id(), past.clone()).when(revoke(Some(token("x")))).then([]);
    given::<AuthUser>(id(), past).when(revoke(None)).then_state(|auth_user| assert!(!auth_user.knows(&token("a"))));
    given::<AuthUser>(id(), [created()]).when(revoke(None)).then([]);
}
#[test]
fn the_size_of_the_credentials_is_bounded() {
    let mut past = vec![created()];
    for number in 1..=SESSIONS_MOST as u64 {
        past.push(started(number, number));
        past.extend((0..200).map(|step| rotated(number, format!("{number}/{step}"), 1000 * number + step)));
    }
    let auth_user: AuthUser = replay(&id(), &past).unwrap();
    assert!(serde_json::to_vec(&auth_user).unwrap().len() < SESSIONS_MOST * (USED_MOST + 8) * 70);
    assert!(auth_user.knows(&token("3/199")) && auth_user.knows(&token("3/180")) && !auth_user.knows(&token("3/10")));
}
#[test]
fn a_token_is_stored_only_as_its_hash() {
    let canary = "eyJhbGciOiJIUzI1NiJ9.canary.signature";
    let events = [
        created(),
        AuthUserEvent::TokenRotated { session: session(1), next: token(canary), expires_at: at(9), at: at(1) },
    ];
    let shown = format!("{events:?} {}", serde_json::to_string(&events.as_slice()).unwrap());
    assert!(!shown.contains("canary"), "{shown}");
    // echo -n abc | sha256sum
    let hash = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(serde_json::to_value(token("abc")).unwrap(), hash);
    assert_eq!(TokenHash::of(""), Err(AuthUserError::Token));
    assert_eq!(TokenHash::of(&"x".repeat(4097)), Err(AuthUserError::Token));
}
