//! Saying who one is.
use crate::stage::{Stage, by};
use contracts::v1::{
    model::{Gender, Mbti, User},
    service::{FindUserByUserIdRequest, UpdateUserRequest},
};
use cqrs_core::grpc::details;
use tonic::{Code, Status};

crate::cases![
    what_is_told_is_shown,
    an_empty_value_clears,
    what_is_wrong_is_named_and_changes_nothing,
    a_nickname_belongs_to_one,
    a_key_is_answered_once
];

async fn update(stage: &Stage, request: UpdateUserRequest) -> Result<User, Status> {
    Ok(stage
        .users
        .clone()
        .update_user(by(&request.user_id.clone(), request))
        .await?
        .into_inner()
        .user
        .unwrap_or_default())
}
async fn find(stage: &Stage, user: &str) -> Result<User, Status> {
    let request = FindUserByUserIdRequest { user_id: user.into() };
    Ok(stage.users.clone().find_user_by_user_id(by(user, request)).await?.into_inner().user.unwrap_or_default())
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

async fn what_is_told_is_shown(mut stage: Stage) -> anyhow::Result<()> {
    let kim = stage.visitor().await?;
    let told = update(&stage, everything(&kim)).await?;
    let profile = told.user_profile.clone().unwrap();
    assert_eq!((&*told.nickname, &*profile.phone_number), ("수달", "01012345678"));
    assert_eq!((profile.gender(), profile.mbti()), (Gender::Female, Mbti::Istp));
    assert_eq!((&*profile.birthday, &*profile.introduction), ("1990-01-31", "안녕하세요"));
    assert!(told.updated_at >= told.created_at);
    assert_eq!(find(&stage, &kim).await?, told);
    // The same again is no change, and nobody is told.
    assert_eq!(update(&stage, everything(&kim)).await?, told);
    stage.settle().await;
    assert_eq!(stage.ears.heard(), [format!("registered {kim}"), format!("updated {kim}")]);
    Ok(())
}

async fn an_empty_value_clears(mut stage: Stage) -> anyhow::Result<()> {
    let kim = stage.visitor().await?;
    update(&stage, everything(&kim)).await?;
    let request =
        UpdateUserRequest { phone_number: Some(String::new()), mbti: Some(Mbti::Unspecified.into()), ..of(&kim) };
    let profile = update(&stage, request).await?.user_profile.unwrap();
    assert_eq!((&*profile.phone_number, profile.mbti()), ("", Mbti::Unspecified));
    assert_eq!((&*profile.birthday, profile.gender()), ("1990-01-31", Gender::Female), "absent stays");
    Ok(())
}

async fn what_is_wrong_is_named_and_changes_nothing(mut stage: Stage) -> anyhow::Result<()> {
    let kim = stage.visitor().await?;
    let before = find(&stage, &kim).await?;
    let wrong = [
        ("phone_number", UpdateUserRequest { phone_number: Some("02-123-4567".into()), ..everything(&kim) }),
        ("nickname", UpdateUserRequest { nickname: Some(String::new()), ..everything(&kim) }),
        ("birthday", UpdateUserRequest { birthday: Some("1990-02-30".into()), ..everything(&kim) }),
        ("introduction", UpdateUserRequest { introduction: Some("가".repeat(501)), ..everything(&kim) }),
        ("gender", UpdateUserRequest { gender: Some(9), ..everything(&kim) }),
        ("mbti", UpdateUserRequest { mbti: Some(99), ..everything(&kim) }),
        ("user_id", everything("kim")),
    ];
    for (field, request) in wrong {
        let status = update(&stage, request).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{field}");
        assert_eq!(details(&status).fields[0].0, field);
    }
    let status = update(&stage, of(&kim)).await.unwrap_err();
    assert_eq!((status.code(), details(&status).reason.as_deref()), (Code::InvalidArgument, Some("NOTHING_TO_UPDATE")));
    assert_eq!(find(&stage, &kim).await?, before);
    Ok(())
}

async fn a_nickname_belongs_to_one(mut stage: Stage) -> anyhow::Result<()> {
    let (kim, lee) = (stage.visitor().await?, stage.visitor().await?);
    let named = |user: &str, name: &str| UpdateUserRequest { nickname: Some(name.into()), ..of(user) };
    update(&stage, named(&kim, "수달")).await?;
    let status = update(&stage, named(&lee, "수달")).await.unwrap_err();
    assert_eq!((status.code(), details(&status).reason.as_deref()), (Code::AlreadyExists, Some("TAKEN")));
    update(&stage, named(&kim, "고래")).await?;
    update(&stage, named(&lee, "수달")).await?;
    Ok(())
}

async fn a_key_is_answered_once(mut stage: Stage) -> anyhow::Result<()> {
    let kim = stage.visitor().await?;
    let keyed = |name: &str| {
        let mut request = by(&kim, UpdateUserRequest { nickname: Some(name.into()), ..of(&kim) });
        request.metadata_mut().insert(cqrs_core::grpc::header::KEY, "rename-1".parse().unwrap());
        request
    };
    let first = stage.users.update_user(keyed("수달")).await?.into_inner();
    update(&stage, UpdateUserRequest { nickname: Some("고래".into()), ..of(&kim) }).await?;
    assert_eq!(stage.users.update_user(keyed("수달")).await?.into_inner(), first, "answered, not done again");
    assert_eq!(find(&stage, &kim).await?.nickname, "고래");
    let status = stage.users.update_user(keyed("여우")).await.unwrap_err();
    assert_eq!(details(&status).reason.as_deref(), Some("IDEMPOTENCY_KEY_REUSED"));
    Ok(())
}
