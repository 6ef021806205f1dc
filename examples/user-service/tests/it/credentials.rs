//! Tests of credentials: links to accounts, authorities, and the look-ups of both.
use crate::fixture::{Fixture, field, refusal};
use contracts::v1::{
    model::{AuthChannel, AuthUser, Authority},
    service::{
        ConnectAuthChannelRequest, FindAuthUserByAuthUserIdRequest, FindAuthUserByChannelInfoRequest,
        FindUserByNicknameRequest, FindUserByUserIdRequest, UpdateAuthorityRequest, UpdateUserRequest,
    },
};
use futures_util::future::join_all;
use service_edge::testing::{by, by_admin};
use tonic::{Code, Status};
use uuid::Uuid;

service_edge::cases![
    a_link_is_shown_and_raises_the_tokens,
    a_link_is_published_with_its_channel,
    defect_10_a_second_link_is_refused_and_grants_nothing,
    defect_15_an_account_belongs_to_one_person,
    defect_15_of_concurrent_links_to_an_account_one_succeeds,
    the_same_id_with_two_providers_is_two_accounts,
    an_invalid_account_is_refused,
    defect_12_a_look_up_of_an_unknown_account_creates_nothing,
    an_administrator_has_practically_unlimited_tokens,
    a_demotion_sets_the_tokens_back,
    a_login_takes_back_only_what_the_configuration_gave,
    an_invalid_authority_is_refused,
    credentials_are_found_by_their_id,
    a_person_is_found_by_nickname_regardless_of_case,
    an_administrator_finds_anybody,
    unknown_people_are_not_found,
];

async fn by_channel(fixture: &Fixture, channel: AuthChannel, id: &str) -> Result<AuthUser, Status> {
    let request = FindAuthUserByChannelInfoRequest { auth_channel: channel.into(), unique_id: id.into() };
    let found = fixture.users.clone().find_auth_user_by_channel_info(request).await?.into_inner();
    Ok(found.auth_user.unwrap_or_default())
}

async fn a_link_is_shown_and_raises_the_tokens(mut fixture: Fixture) -> anyhow::Result<()> {
    let kim = fixture.visitor().await?;
    let before = fixture.auth_user(&kim).await?;
    assert_eq!((before.auth_channel(), before.oauth_channel_info.is_none()), (AuthChannel::Unlinked, true));
    let linked = fixture.link(&kim, "4000001").await?;
    let account = linked.oauth_channel_info.clone().unwrap_or_default();
    assert_eq!((linked.auth_channel(), account.auth_channel()), (AuthChannel::Kakao, AuthChannel::Kakao));
    assert_eq!((&*account.unique_id, linked.authority()), ("4000001", Authority::User));
    assert_eq!(fixture.auth_user(&kim).await?, linked);
    assert_eq!(by_channel(&fixture, AuthChannel::Kakao, "4000001").await?, linked);
    let wallet = fixture.wallet(&kim).await?;
    assert_eq!((wallet.remaining_tokens, wallet.max_tokens), (1_000, 1_000));
    Ok(())
}

async fn a_link_is_published_with_its_channel(mut fixture: Fixture) -> anyhow::Result<()> {
    let kim = fixture.visitor().await?;
    fixture.link_to(&kim, AuthChannel::Naver, "abc-DEF_1").await?;
    fixture.settle().await;
    assert_eq!(fixture.received.events(), [format!("registered {kim}"), format!("updated {kim} AUTH_CHANNEL_NAVER")]);
    Ok(())
}

async fn defect_10_a_second_link_is_refused_and_grants_nothing(mut fixture: Fixture) -> anyhow::Result<()> {
    let kim = fixture.visitor().await?;
    fixture.link(&kim, "1").await?;
    fixture.reserve(&kim, Uuid::now_v7()).await?;
    for id in ["1", "2"] {
        assert_eq!(refusal(fixture.link(&kim, id).await), (Code::AlreadyExists, "ALREADY_LINKED".into()));
    }
    assert_eq!(fixture.remaining(&kim).await?, 999);
    assert_eq!(refusal(by_channel(&fixture, AuthChannel::Kakao, "2").await).0, Code::NotFound);
    Ok(())
}

async fn defect_15_an_account_belongs_to_one_person(mut fixture: Fixture) -> anyhow::Result<()> {
    let (kim, lee) = (fixture.visitor().await?, fixture.visitor().await?);
    fixture.link(&kim, "4000001").await?;
    let status = fixture.link(&lee, "4000001").await.unwrap_err();
    assert!(!status.message().contains("4000001"), "the id of the account is personal: {status}");
    assert_eq!(refusal::<()>(Err(status)), (Code::AlreadyExists, "ACCOUNT_TAKEN".into()));
    assert_eq!(by_channel(&fixture, AuthChannel::Kakao, "4000001").await?.user_id, kim);
    assert_eq!(fixture.remaining(&lee).await?, 7, "the refused link grants no tokens");
    Ok(())
}

async fn defect_15_of_concurrent_links_to_an_account_one_succeeds(mut fixture: Fixture) -> anyhow::Result<()> {
    let mut people = Vec::new();
    for _ in 0..8 {
        people.push(fixture.visitor().await?);
    }
    let links = join_all(people.iter().map(|user| fixture.link(user, "4000001"))).await;
    assert_eq!(links.iter().filter(|link| link.is_ok()).count(), 1, "{links:?}");
    for (user, link) in people.iter().zip(links) {
        let max = fixture.wallet(user).await?.max_tokens;
        assert_eq!(max, if link.is_ok() { 1_000 } else { 7 });
    }
    Ok(())
}

async fn the_same_id_with_two_providers_is_two_accounts(mut fixture: Fixture) -> anyhow::Result<()> {
    let (kim, lee) = (fixture.visitor().await?, fixture.visitor().await?);
    fixture.link_to(&kim, AuthChannel::Kakao, "7").await?;
    fixture.link_to(&lee, AuthChannel::Naver, "7").await?;
    assert_eq!(by_channel(&fixture, AuthChannel::Kakao, "7").await?.user_id, kim);
    assert_eq!(by_channel(&fixture, AuthChannel::Naver, "7").await?.user_id, lee);
    Ok(())
}

async fn an_invalid_account_is_refused(mut fixture: Fixture) -> anyhow::Result<()> {
    let kim = fixture.visitor().await?;
    for (channel, id, wrong) in [
        (AuthChannel::Unspecified.into(), "1", "auth_channel"),
        (AuthChannel::Unlinked.into(), "1", "auth_channel"),
        (9, "1", "auth_channel"),
        (AuthChannel::Kakao.into(), "", "unique_id"),
        (AuthChannel::Kakao.into(), "a b", "unique_id"),
        (AuthChannel::Naver.into(), &"7".repeat(256), "unique_id"),
    ] {
        let request = ConnectAuthChannelRequest { user_id: kim.clone(), auth_channel: channel, unique_id: id.into() };
        let connected = fixture.users.connect_auth_channel(request).await;
        assert_eq!(field(connected), (Code::InvalidArgument, wrong.into()), "{channel} {id}");
        let request = FindAuthUserByChannelInfoRequest { auth_channel: channel, unique_id: id.into() };
        let found = fixture.users.find_auth_user_by_channel_info(request).await;
        assert_eq!(field(found), (Code::InvalidArgument, wrong.into()), "{channel} {id}");
    }
    assert_eq!(field(fixture.link("kim", "1").await), (Code::InvalidArgument, "user_id".into()));
    assert_eq!(refusal(fixture.link(&Uuid::now_v7().to_string(), "1").await).0, Code::NotFound);
    assert_eq!(fixture.auth_user(&kim).await?.auth_channel(), AuthChannel::Unlinked);
    Ok(())
}

async fn defect_12_a_look_up_of_an_unknown_account_creates_nothing(mut fixture: Fixture) -> anyhow::Result<()> {
    for _ in 0..2 {
        let refused = by_channel(&fixture, AuthChannel::Kakao, "4000001").await.unwrap_err();
        assert_eq!(refused.code(), Code::NotFound);
        assert!(!refused.message().contains("4000001"), "{refused}");
    }
    fixture.settle().await;
    assert!(fixture.received.events().is_empty(), "nobody was registered");
    let kim = fixture.visitor().await?;
    fixture.link(&kim, "4000001").await?;
    assert_eq!(by_channel(&fixture, AuthChannel::Kakao, "4000001").await?.user_id, kim);
    Ok(())
}

async fn an_administrator_has_practically_unlimited_tokens(mut fixture: Fixture) -> anyhow::Result<()> {
    let kim = fixture.visitor().await?;
    let id = fixture.auth_user(&kim).await?.id;
    let promoted = fixture.authority(&id, Authority::Admin).await?;
    assert_eq!((promoted.authority(), &promoted.user_id), (Authority::Admin, &kim));
    assert_eq!(fixture.auth_user(&kim).await?, promoted);
    assert_eq!(fixture.wallet(&kim).await?.max_tokens, 999_999_999);
    assert_eq!(fixture.reserve(&kim, Uuid::now_v7()).await?.remaining_tokens, 999_999_998);
    // A repeat fills nothing, and neither does a link.
    fixture.authority(&id, Authority::Admin).await?;
    fixture.link(&kim, "1").await?;
    assert_eq!(fixture.remaining(&kim).await?, 999_999_998);
    Ok(())
}

async fn a_demotion_sets_the_tokens_back(mut fixture: Fixture) -> anyhow::Result<()> {
    let (kim, lee) = (fixture.visitor().await?, fixture.visitor().await?);
    fixture.link(&lee, "1").await?;
    for (user, tokens) in [(&kim, 7), (&lee, 1_000)] {
        fixture.authority(user, Authority::Admin).await?;
        assert_eq!(fixture.authority(user, Authority::User).await?.authority(), Authority::User);
        let wallet = fixture.wallet(user).await?;
        assert_eq!((wallet.remaining_tokens, wallet.max_tokens), (tokens, tokens));
    }
    Ok(())
}

/// Applies the configuration's list of administrators to a person, as the gateway does at each login.
async fn configured(fixture: &Fixture, auth_user: &str, authority: Authority) -> Result<Authority, Status> {
    let (auth_user_id, authority) = (auth_user.into(), authority.into());
    let request = UpdateAuthorityRequest { auth_user_id, authority, by_configuration: Some(true) };
    let updated = fixture.users.clone().update_authority(request).await?.into_inner().auth_user.unwrap_or_default();
    Ok(updated.authority())
}

async fn a_login_takes_back_only_what_the_configuration_gave(mut fixture: Fixture) -> anyhow::Result<()> {
    let (kim, lee, park) = (fixture.visitor().await?, fixture.visitor().await?, fixture.visitor().await?);
    // Kim is promoted by an operator, Lee by the configuration, and Park by both.
    fixture.authority(&kim, Authority::Admin).await?;
    assert_eq!(configured(&fixture, &lee, Authority::Admin).await?, Authority::Admin);
    assert_eq!(configured(&fixture, &park, Authority::Admin).await?, Authority::Admin);
    fixture.authority(&park, Authority::Admin).await?;
    for (user, expected, max) in
        [(&kim, Authority::Admin, 999_999_999), (&lee, Authority::User, 7), (&park, Authority::Admin, 999_999_999)]
    {
        assert_eq!(configured(&fixture, user, Authority::User).await?, expected);
        assert_eq!(fixture.auth_user(user).await?.authority(), expected);
        assert_eq!(fixture.wallet(user).await?.max_tokens, max, "the tokens follow the permissions");
    }
    // An operator takes back whatever was given, and the configuration may give it again.
    for user in [&kim, &park] {
        assert_eq!(fixture.authority(user, Authority::User).await?.authority(), Authority::User);
        assert_eq!(configured(&fixture, user, Authority::Admin).await?, Authority::Admin);
        assert_eq!(fixture.authority(user, Authority::User).await?.authority(), Authority::User);
    }
    Ok(())
}

async fn an_invalid_authority_is_refused(mut fixture: Fixture) -> anyhow::Result<()> {
    let kim = fixture.visitor().await?;
    for authority in [0, 3, -1] {
        let request = UpdateAuthorityRequest { auth_user_id: kim.clone(), authority, by_configuration: None };
        let updated = fixture.users.update_authority(request).await;
        assert_eq!(field(updated), (Code::InvalidArgument, "authority".into()));
    }
    let (unknown, bad) = (Uuid::now_v7().to_string(), "kim");
    assert_eq!(refusal(fixture.authority(&unknown, Authority::Admin).await).0, Code::NotFound);
    assert_eq!(field(fixture.authority(bad, Authority::Admin).await), (Code::InvalidArgument, "auth_user_id".into()));
    Ok(())
}

async fn credentials_are_found_by_their_id(mut fixture: Fixture) -> anyhow::Result<()> {
    let kim = fixture.visitor().await?;
    let credentials = fixture.link(&kim, "1").await?;
    let request = FindAuthUserByAuthUserIdRequest { auth_user_id: credentials.id.clone() };
    let found = fixture.users.find_auth_user_by_auth_user_id(by_admin(Uuid::now_v7(), request)).await?.into_inner();
    assert_eq!(found.auth_user, Some(credentials));
    Ok(())
}

async fn a_person_is_found_by_nickname_regardless_of_case(mut fixture: Fixture) -> anyhow::Result<()> {
    let kim = fixture.visitor().await?;
    let named = UpdateUserRequest { user_id: kim.clone(), nickname: Some("Otter".into()), ..Default::default() };
    fixture.users.update_user(by(&kim, named)).await?;
    let mut find = async |nickname: &str| {
        let request = by_admin(Uuid::now_v7(), FindUserByNicknameRequest { nickname: nickname.into() });
        fixture.users.find_user_by_nickname(request).await.map(|found| found.into_inner().user.unwrap_or_default())
    };
    for nickname in ["Otter", "oTTER", " otter "] {
        let found = find(nickname).await?;
        assert_eq!((found.id, &*found.nickname), (kim.clone(), "Otter"));
    }
    assert_eq!(find("whale").await.unwrap_err().code(), Code::NotFound);
    assert_eq!(field(find(" ").await), (Code::InvalidArgument, "nickname".into()));
    Ok(())
}

async fn an_administrator_finds_anybody(mut fixture: Fixture) -> anyhow::Result<()> {
    let kim = fixture.visitor().await?;
    let find = |user: &str| FindUserByUserIdRequest { user_id: user.into() };
    let found = fixture.users.find_user_by_user_id(by_admin(Uuid::now_v7(), find(&kim))).await?.into_inner();
    assert_eq!(found.user.unwrap_or_default().id, kim);
    let unknown = fixture.users.find_user_by_user_id(by_admin(&kim, find(&Uuid::now_v7().to_string()))).await;
    assert_eq!(refusal(unknown).0, Code::NotFound);
    let bad = fixture.users.find_user_by_user_id(by_admin(&kim, find("kim"))).await;
    assert_eq!(field(bad), (Code::InvalidArgument, "user_id".into()));
    Ok(())
}

async fn unknown_people_are_not_found(mut fixture: Fixture) -> anyhow::Result<()> {
    let unknown = Uuid::now_v7().to_string();
    assert_eq!(refusal(fixture.auth_user(&unknown).await).0, Code::NotFound);
    assert_eq!(field(fixture.auth_user("kim").await), (Code::InvalidArgument, "user_id".into()));
    let request = FindAuthUserByAuthUserIdRequest { auth_user_id: unknown };
    let found = fixture.users.find_auth_user_by_auth_user_id(by_admin(Uuid::now_v7(), request)).await;
    assert_eq!(refusal(found).0, Code::NotFound);
    Ok(())
}
