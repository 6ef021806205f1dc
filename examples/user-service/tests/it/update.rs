//! Tests of profile changes.
use crate::fixture::Fixture;
use contracts::v1::{
    model::{Gender, Mbti, User},
    service::{FindUserByUserIdRequest, UpdateUserRequest},
};
use cqrs_core::grpc::details;
use futures_util::future::join_all;
use service_edge::testing::by;
use tonic::{Code, Status};

service_edge::cases![
    an_update_is_stored_and_published_once,
    an_empty_value_clears_a_field,
    an_invalid_field_is_named_and_changes_nothing,
    a_taken_nickname_is_refused,
    defect_15_a_nickname_is_unique_regardless_of_case,
    defect_15_of_concurrent_claims_of_a_nickname_one_succeeds,
    a_repeated_idempotency_key_returns_the_stored_response
];

async fn update(fixture: &Fixture, request: UpdateUserRequest) -> Result<User, Status> {
    Ok(fixture
        .users
        .clone()
        .update_user(by(request.user_id.clone(), request))
        .await?
        .into_inner()
        .user
        .unwrap_or_default())
}
async fn find(fixture: &Fixture, user: &str) -> Result<User, Status> {
    let request = FindUserByUserIdRequest { user_id: user.into() };
    Ok(fixture.users.clone().find_user_by_user_id(by(user, request)).await?.into_inner().user.unwrap_or_default())
}
fn of(user: &str) -> UpdateUserRequest {
    UpdateUserRequest { user_id: user.into(), ..Default::default() }
}
fn everything(user: &str) -> UpdateUserRequest {
    UpdateUserRequest {
        user_id: user.into(),
        nickname: Some("수달".into()),
        profile_image: Some("https://example.com/otter.png".into()),
        phone_number: Some("010-1234-5678".into()),
        gender: Some(Gender::Female.into()),
        birthday: Some("1990-01-31".into()),
        introduction: Some("안녕하세요".into()),
        mbti: Some(Mbti::Istp.into()),
    }
}

async fn an_update_is_stored_and_published_once(mut fixture: Fixture) -> anyhow::Result<()> {
    let kim = fixture.visitor().await?;
    let shown = update(&fixture, everything(&kim)).await?;
    let profile = shown.user_profile.clone().unwrap();
    assert_eq!((&*shown.nickname, &*profile.phone_number), ("수달", "01012345678"));
    assert_eq!((profile.gender(), profile.mbti()), (Gender::Female, Mbti::Istp));
    assert_eq!((&*profile.birthday, &*profile.introduction), ("1990-01-31", "안녕하세요"));
    assert!(shown.updated_at >= shown.created_at);
    assert_eq!(find(&fixture, &kim).await?, shown);
    // The same update again changes nothing and publishes nothing.
    assert_eq!(update(&fixture, everything(&kim)).await?, shown);
    fixture.settle().await;
    assert_eq!(fixture.received.events(), [format!("registered {kim}"), format!("updated {kim}")]);
    Ok(())
}

async fn an_empty_value_clears_a_field(mut fixture: Fixture) -> anyhow::Result<()> {
    let kim = fixture.visitor().await?;
    update(&fixture, everything(&kim)).await?;
    let request =
        UpdateUserRequest { phone_number: Some(String::new()), mbti: Some(Mbti::Unspecified.into()), ..of(&kim) };
    let profile = update(&fixture, request).await?.user_profile.unwrap();
    assert_eq!((&*profile.phone_number, profile.mbti()), ("", Mbti::Unspecified));
    assert_eq!(
        (&*profile.birthday, profile.gender()),
        ("1990-01-31", Gender::Female),
        "absent fields keep their value"
    );
    Ok(())
}

async fn an_invalid_field_is_named_and_changes_nothing(mut fixture: Fixture) -> anyhow::Result<()> {
    let kim = fixture.visitor().await?;
    let before = find(&fixture, &kim).await?;
    let wrong = [
        ("phone_number", UpdateUserRequest { phone_number: Some("02-123-4567".into()), ..everything(&kim) }),
        ("nickname", UpdateUserRequest { nickname: Some(String::new()), ..everything(&kim) }),
        ("birthday", UpdateUserRequest { birthday: Some("1990-02-30".into()), ..everything(&kim) }),
        ("introduction", UpdateUserRequest { introduction: Some("가".repeat(501)), ..everything(&kim) }),
        ("introduction", UpdateUserRequest { introduction: Some(" \n".into()), ..everything(&kim) }),
        ("gender", UpdateUserRequest { gender: Some(9), ..everything(&kim) }),
        ("mbti", UpdateUserRequest { mbti: Some(99), ..everything(&kim) }),
        ("user_id", everything("kim")),
    ];
    for (field, request) in wrong {
        let status = update(&fixture, request).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{field}");
        assert_eq!(details(&status).fields[0].0, field);
    }
    let status = update(&fixture, of(&kim)).await.unwrap_err();
    assert_eq!((status.code(), details(&status).reason.as_deref()), (Code::InvalidArgument, Some("NOTHING_TO_UPDATE")));
    assert_eq!(find(&fixture, &kim).await?, before);
    Ok(())
}

async fn a_taken_nickname_is_refused(mut fixture: Fixture) -> anyhow::Result<()> {
    let (kim, lee) = (fixture.visitor().await?, fixture.visitor().await?);
    let named = |user: &str, name: &str| UpdateUserRequest { nickname: Some(name.into()), ..of(user) };
    update(&fixture, named(&kim, "수달")).await?;
    let status = update(&fixture, named(&lee, "수달")).await.unwrap_err();
    assert_eq!((status.code(), details(&status).reason.as_deref()), (Code::AlreadyExists, Some("TAKEN")));
    update(&fixture, named(&kim, "고래")).await?;
    update(&fixture, named(&lee, "수달")).await?;
    Ok(())
}

async fn defect_15_a_nickname_is_unique_regardless_of_case(mut fixture: Fixture) -> anyhow::Result<()> {
    let (kim, lee) = (fixture.visitor().await?, fixture.visitor().await?);
    let named = |user: &str, name: &str| UpdateUserRequest { nickname: Some(name.into()), ..of(user) };
    update(&fixture, named(&kim, "Café")).await?;
    // The same name in other cases, and with "é" as two characters.
    for name in ["CAFÉ", "cafe\u{301}", " café "] {
        assert_eq!(update(&fixture, named(&lee, name)).await.unwrap_err().code(), Code::AlreadyExists, "{name}");
    }
    assert_eq!(update(&fixture, named(&kim, "CAFÉ")).await?.nickname, "CAFÉ", "it is the person's own");
    Ok(())
}

async fn defect_15_of_concurrent_claims_of_a_nickname_one_succeeds(mut fixture: Fixture) -> anyhow::Result<()> {
    let mut people = Vec::new();
    for _ in 0..8 {
        people.push(fixture.visitor().await?);
    }
    let claim = |user: &String| update(&fixture, UpdateUserRequest { nickname: Some("수달".into()), ..of(user) });
    let claims = join_all(people.iter().map(claim)).await;
    assert_eq!(claims.iter().filter(|claim| claim.is_ok()).count(), 1, "{claims:?}");
    assert!(claims.iter().flat_map(|claim| claim.as_ref().err()).all(|refused| refused.code() == Code::AlreadyExists));
    Ok(())
}

async fn a_repeated_idempotency_key_returns_the_stored_response(mut fixture: Fixture) -> anyhow::Result<()> {
    let kim = fixture.visitor().await?;
    let keyed = |name: &str| {
        let mut request = by(&kim, UpdateUserRequest { nickname: Some(name.into()), ..of(&kim) });
        request.metadata_mut().insert(cqrs_core::grpc::header::IDEMPOTENCY_KEY, "rename-1".parse().unwrap());
        request
    };
    let first = fixture.users.update_user(keyed("수달")).await?.into_inner();
    update(&fixture, UpdateUserRequest { nickname: Some("고래".into()), ..of(&kim) }).await?;
    assert_eq!(
        fixture.users.update_user(keyed("수달")).await?.into_inner(),
        first,
        "the stored response is returned, the command is not run again"
    );
    assert_eq!(find(&fixture, &kim).await?.nickname, "고래");
    let status = fixture.users.update_user(keyed("여우")).await.unwrap_err();
    assert_eq!(details(&status).reason.as_deref(), Some("IDEMPOTENCY_KEY_REUSED"));
    Ok(())
}
