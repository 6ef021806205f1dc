//! Tests of access: a person may access only their own data, and only calls signed by the gateway count.
use crate::fixture::Fixture;
use contracts::{
    TOKEN_METADATA, USER_METADATA,
    v1::service::{
        CheckRemainingTokensRequest, FindUserByUserIdRequest, InitializeUserRequest, ReserveTokensRequest,
        UpdateUserRequest, user_service_client::UserServiceClient,
    },
};
use cqrs_core::grpc::{details, header};
use service_edge::testing::by;
use tonic::{
    Code, Request, Status,
    service::interceptor::{InterceptedService, Interceptor},
    transport::Channel,
};

service_edge::cases![
    another_persons_data_is_refused,
    forged_identity_headers_are_refused,
    a_first_visit_needs_no_identity,
    an_idempotency_key_is_scoped_to_one_person,
    a_large_request_is_refused
];

/// Calls each method that concerns `kim` on behalf of `caller`, and returns the refusals.
async fn each<I: Interceptor + Clone>(
    users: &UserServiceClient<InterceptedService<Channel, I>>,
    kim: &str,
    caller: Option<&str>,
) -> [Status; 4] {
    let user_id = kim.to_owned();
    let find = FindUserByUserIdRequest { user_id: user_id.clone() };
    let check = CheckRemainingTokensRequest { user_id: user_id.clone() };
    let reserve = ReserveTokensRequest { user_id: user_id.clone(), reservation_id: None };
    let update = UpdateUserRequest { user_id, nickname: Some("고래".into()), ..Default::default() };
    let mut users = users.clone();
    [
        users.find_user_by_user_id(wrap(caller, find)).await.map(drop).unwrap_err(),
        users.check_remaining_tokens(wrap(caller, check)).await.map(drop).unwrap_err(),
        users.reserve_tokens(wrap(caller, reserve)).await.map(drop).unwrap_err(),
        users.update_user(wrap(caller, update)).await.map(drop).unwrap_err(),
    ]
}
fn wrap<T>(caller: Option<&str>, message: T) -> Request<T> {
    match caller {
        Some(user) => by(user, message),
        None => Request::new(message),
    }
}

async fn another_persons_data_is_refused(mut fixture: Fixture) -> anyhow::Result<()> {
    let (kim, lee) = (fixture.visitor().await?, fixture.visitor().await?);
    for refused in each(&fixture.users, &kim, Some(&lee)).await {
        assert_eq!(refused.code(), Code::PermissionDenied);
    }
    for refused in each(&fixture.users, &kim, None).await {
        assert_eq!(refused.code(), Code::Unauthenticated);
        assert_eq!(details(&refused).reason.as_deref(), Some("IDENTITY_MISSING"));
    }
    assert_eq!(fixture.remaining(&kim).await?, 7);
    Ok(())
}

/// Simulates a caller that bypasses the gateway.
async fn forged_identity_headers_are_refused(mut fixture: Fixture) -> anyhow::Result<()> {
    let kim = fixture.visitor().await?;
    for (token, reason) in [(None, "IDENTITY_NOT_SIGNED"), (Some("e30.e30."), "IDENTITY_INVALID")] {
        let forge = |mut request: Request<()>| {
            request.metadata_mut().insert(USER_METADATA, kim.parse().unwrap());
            if let Some(token) = token {
                request.metadata_mut().insert(TOKEN_METADATA, token.parse().unwrap());
            }
            Ok(request)
        };
        let stranger = UserServiceClient::with_interceptor(fixture.channel.clone(), forge);
        for refused in each(&stranger, &kim, None).await {
            assert_eq!(refused.code(), Code::Unauthenticated);
            assert_eq!(details(&refused).reason.as_deref(), Some(reason));
        }
        let visit = stranger.clone().initialize_user(InitializeUserRequest {}).await.unwrap_err();
        assert_eq!(visit.code(), Code::Unauthenticated, "forged headers are refused for every method");
    }
    Ok(())
}

async fn a_first_visit_needs_no_identity(fixture: Fixture) -> anyhow::Result<()> {
    let mut stranger = UserServiceClient::new(fixture.channel.clone());
    assert!(stranger.initialize_user(InitializeUserRequest {}).await?.into_inner().user.is_some());
    Ok(())
}

async fn an_idempotency_key_is_scoped_to_one_person(mut fixture: Fixture) -> anyhow::Result<()> {
    let (kim, lee) = (fixture.visitor().await?, fixture.visitor().await?);
    for (user, nickname) in [(&kim, "수달"), (&lee, "고래")] {
        let message =
            UpdateUserRequest { user_id: user.clone(), nickname: Some(nickname.into()), ..Default::default() };
        let mut request = by(user, message);
        request.metadata_mut().insert(header::IDEMPOTENCY_KEY, "k-1".parse()?);
        let updated = fixture.users.update_user(request).await?.into_inner().user.unwrap_or_default();
        assert_eq!(updated.nickname, nickname);
    }
    Ok(())
}

async fn a_large_request_is_refused(mut fixture: Fixture) -> anyhow::Result<()> {
    let kim = fixture.visitor().await?;
    let introduction = Some("가".repeat(service_auth::limits::LARGEST_REQUEST / 3));
    let request = UpdateUserRequest { user_id: kim.clone(), introduction, ..Default::default() };
    let refused = fixture.users.update_user(by(&kim, request)).await.unwrap_err();
    assert_eq!(refused.code(), Code::OutOfRange, "{refused}");
    Ok(())
}
