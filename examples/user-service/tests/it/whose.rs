//! Who may ask about whom: a person about themselves, if the gateway says that it is them.
use crate::stage::{Stage, by};
use contracts::{
    TOKEN_METADATA, USER_METADATA,
    v1::service::{
        CheckRemainingTokensRequest, FindUserByUserIdRequest, InitializeUserRequest, ReserveTokensRequest,
        UpdateUserRequest, user_service_client::UserServiceClient,
    },
};
use cqrs_core::grpc::{details, header};
use tonic::{
    Code, Request, Status,
    service::interceptor::{InterceptedService, Interceptor},
    transport::Channel,
};

crate::cases![
    nobody_asks_about_somebody_else,
    what_a_stranger_writes_counts_for_nothing,
    a_first_visit_needs_nobody,
    a_key_belongs_to_one_person,
    a_request_is_small
];

/// Every method that concerns a person, asked for `kim` with `ask` around it.
async fn each<I: Interceptor + Clone>(
    users: &UserServiceClient<InterceptedService<Channel, I>>,
    kim: &str,
    asks: Option<&str>,
) -> [Status; 4] {
    let user_id = kim.to_owned();
    let find = FindUserByUserIdRequest { user_id: user_id.clone() };
    let check = CheckRemainingTokensRequest { user_id: user_id.clone() };
    let reserve = ReserveTokensRequest { user_id: user_id.clone(), reservation_id: None };
    let update = UpdateUserRequest { user_id, nickname: Some("고래".into()), ..Default::default() };
    let mut users = users.clone();
    [
        users.find_user_by_user_id(wrap(asks, find)).await.map(drop).unwrap_err(),
        users.check_remaining_tokens(wrap(asks, check)).await.map(drop).unwrap_err(),
        users.reserve_tokens(wrap(asks, reserve)).await.map(drop).unwrap_err(),
        users.update_user(wrap(asks, update)).await.map(drop).unwrap_err(),
    ]
}
fn wrap<T>(asks: Option<&str>, message: T) -> Request<T> {
    match asks {
        Some(user) => by(user, message),
        None => Request::new(message),
    }
}

async fn nobody_asks_about_somebody_else(mut stage: Stage) -> anyhow::Result<()> {
    let (kim, lee) = (stage.visitor().await?, stage.visitor().await?);
    for refused in each(&stage.users, &kim, Some(&lee)).await {
        assert_eq!(refused.code(), Code::PermissionDenied);
    }
    for refused in each(&stage.users, &kim, None).await {
        assert_eq!(refused.code(), Code::Unauthenticated);
        assert_eq!(details(&refused).reason.as_deref(), Some("IDENTITY_MISSING"));
    }
    assert_eq!(stage.remaining(&kim).await?, 7);
    Ok(())
}

/// As if somebody had got past the gateway.
async fn what_a_stranger_writes_counts_for_nothing(mut stage: Stage) -> anyhow::Result<()> {
    let kim = stage.visitor().await?;
    for (token, reason) in [(None, "IDENTITY_NOT_SIGNED"), (Some("e30.e30."), "IDENTITY_INVALID")] {
        let forge = |mut request: Request<()>| {
            request.metadata_mut().insert(USER_METADATA, kim.parse().unwrap());
            if let Some(token) = token {
                request.metadata_mut().insert(TOKEN_METADATA, token.parse().unwrap());
            }
            Ok(request)
        };
        let stranger = UserServiceClient::with_interceptor(stage.channel.clone(), forge);
        for refused in each(&stranger, &kim, None).await {
            assert_eq!(refused.code(), Code::Unauthenticated);
            assert_eq!(details(&refused).reason.as_deref(), Some(reason));
        }
        let visit = stranger.clone().initialize_user(InitializeUserRequest {}).await.unwrap_err();
        assert_eq!(visit.code(), Code::Unauthenticated, "a forger gets nothing at all");
    }
    Ok(())
}

async fn a_first_visit_needs_nobody(stage: Stage) -> anyhow::Result<()> {
    let mut stranger = UserServiceClient::new(stage.channel.clone());
    assert!(stranger.initialize_user(InitializeUserRequest {}).await?.into_inner().user.is_some());
    Ok(())
}

async fn a_key_belongs_to_one_person(mut stage: Stage) -> anyhow::Result<()> {
    let (kim, lee) = (stage.visitor().await?, stage.visitor().await?);
    for (user, nickname) in [(&kim, "수달"), (&lee, "고래")] {
        let message =
            UpdateUserRequest { user_id: user.clone(), nickname: Some(nickname.into()), ..Default::default() };
        let mut request = by(user, message);
        request.metadata_mut().insert(header::KEY, "k-1".parse()?);
        let updated = stage.users.update_user(request).await?.into_inner().user.unwrap_or_default();
        assert_eq!(updated.nickname, nickname);
    }
    Ok(())
}

async fn a_request_is_small(mut stage: Stage) -> anyhow::Result<()> {
    let kim = stage.visitor().await?;
    let introduction = Some("가".repeat(trust::limits::LARGEST_REQUEST / 3));
    let request = UpdateUserRequest { user_id: kim.clone(), introduction, ..Default::default() };
    let refused = stage.users.update_user(by(&kim, request)).await.unwrap_err();
    assert_eq!(refused.code(), Code::OutOfRange, "{refused}");
    Ok(())
}
