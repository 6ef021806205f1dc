//! Tests of access: a person may access only their own data, and only calls signed by the gateway count.
use crate::fixture::Fixture;
use contracts::{
    TOKEN_METADATA, USER_METADATA,
    v1::{
        access::Access,
        model::{ActivityType, AuthChannel, Authority},
        service::{
            CheckRemainingTokensRequest, ConfirmReservationRequest, ConnectAuthChannelRequest, CreateActivityRequest,
            FindAuthUserByAuthUserIdRequest, FindAuthUserByChannelInfoRequest, FindAuthUserByUserIdRequest,
            FindTrackingByUserIdRequest, FindUserByNicknameRequest, FindUserByUserIdRequest, InitializeUserRequest,
            ReleaseTokensRequest, ReserveTokensRequest, RevokeRefreshTokensRequest, RotateRefreshTokenRequest,
            SaveRefreshTokenRequest, UpdateAuthorityRequest, UpdateTrackingRequest, UpdateUserRequest,
            VerifyRefreshTokenRequest, user_service_client::UserServiceClient, user_service_server::SERVICE_NAME,
        },
    },
};
use cqrs_core::grpc::{details, header};
use service_edge::testing::{by, by_admin};
use std::collections::BTreeMap;
use tonic::{
    Code, Request, Status,
    service::interceptor::{InterceptedService, Interceptor},
    transport::Channel,
};
use uuid::Uuid;

service_edge::cases![
    every_method_is_called_as_each_caller,
    a_refused_call_changes_nothing,
    forged_identity_headers_are_refused,
    an_idempotency_key_is_scoped_to_one_person,
    a_large_request_is_refused
];

/// The caller of a method, beside the program that signs the call.
#[derive(Debug, Clone)]
enum Caller {
    /// No person.
    Program,
    Person(String),
    Admin(String),
}
impl Caller {
    fn request<M>(&self, message: M) -> Request<M> {
        match self {
            Caller::Program => Request::new(message),
            Caller::Person(user) => by(user, message),
            Caller::Admin(user) => by_admin(user, message),
        }
    }
}

/// Calls each method about `kim`, and returns the refusals by the method's name; `None` is a success.
async fn each<I: Interceptor + Clone>(
    users: &UserServiceClient<InterceptedService<Channel, I>>,
    kim: &str,
    caller: &Caller,
) -> BTreeMap<&'static str, Option<Status>> {
    macro_rules! calls {
        ($($rpc:ident($message:expr)),* $(,)?) => {
            BTreeMap::from([$((stringify!($rpc), users.clone().$rpc(caller.request($message)).await.err())),*])
        };
    }
    let user = || kim.to_owned();
    let (exchange, unique_id, token) =
        (Uuid::now_v7().to_string(), Uuid::now_v7().to_string(), Uuid::now_v7().to_string());
    let kakao = AuthChannel::Kakao.into();
    let expires_at = "2999-01-01T00:00:00Z".to_owned();
    calls![
        initialize_user(InitializeUserRequest {}),
        connect_auth_channel(ConnectAuthChannelRequest {
            user_id: user(),
            auth_channel: kakao,
            unique_id: unique_id.clone()
        }),
        save_refresh_token(SaveRefreshTokenRequest {
            user_id: user(),
            token: token.clone(),
            expires_at: expires_at.clone()
        }),
        verify_refresh_token(VerifyRefreshTokenRequest { user_id: user(), token: token.clone() }),
        find_user_by_user_id(FindUserByUserIdRequest { user_id: user() }),
        find_user_by_nickname(FindUserByNicknameRequest { nickname: "nobody".into() }),
        find_auth_user_by_auth_user_id(FindAuthUserByAuthUserIdRequest { auth_user_id: user() }),
        find_auth_user_by_user_id(FindAuthUserByUserIdRequest { user_id: user() }),
        find_auth_user_by_channel_info(FindAuthUserByChannelInfoRequest { auth_channel: kakao, unique_id }),
        check_remaining_tokens(CheckRemainingTokensRequest { user_id: user() }),
        reserve_tokens(ReserveTokensRequest { user_id: user(), reservation_id: None }),
        update_user(UpdateUserRequest { user_id: user(), introduction: Some("안녕".into()), ..Default::default() }),
        create_activity(CreateActivityRequest { activity_type: ActivityType::Login.into(), ..Default::default() }),
        update_authority(UpdateAuthorityRequest {
            auth_user_id: user(),
            authority: Authority::User.into(),
            by_configuration: None
        }),
        find_tracking_by_user_id(FindTrackingByUserIdRequest { user_id: user() }),
        update_tracking(UpdateTrackingRequest { user_id: user(), has_seen_intro_cutscene: true }),
        rotate_refresh_token(RotateRefreshTokenRequest {
            user_id: user(),
            token: token.clone(),
            new_token: "next".into(),
            new_expires_at: expires_at
        }),
        revoke_refresh_tokens(RevokeRefreshTokensRequest { user_id: user(), token: Some(token) }),
        confirm_reservation(ConfirmReservationRequest {
            user_id: user(),
            reservation_id: None,
            exchange_id: exchange.clone()
        }),
        release_tokens(ReleaseTokensRequest { user_id: user(), reservation_id: exchange, attempt: 1 }),
    ]
}
/// Returns the code with which access was refused; `None` when the method was reached, whatever it answered.
fn access_refused(status: &Status) -> Option<Code> {
    let is_identity = details(status).reason.is_some_and(|reason| reason.starts_with("IDENTITY_"));
    let refused = is_identity || [Code::PermissionDenied, Code::Unimplemented].contains(&status.code());
    refused.then(|| status.code())
}
/// Returns the access that the contract gives to each method, by the name of its client's function.
fn contract() -> BTreeMap<String, Access> {
    let of_service = |path: &str| path.strip_prefix(&format!("/{SERVICE_NAME}/")).map(str::to_owned);
    let snake = |name: String| {
        let words = name.chars().flat_map(|c| c.is_uppercase().then_some('_').into_iter().chain(c.to_lowercase()));
        words.skip(1).collect()
    };
    contracts::rpcs().filter_map(|(path, access)| Some((snake(of_service(path)?), access))).collect()
}

async fn every_method_is_called_as_each_caller(mut fixture: Fixture) -> anyhow::Result<()> {
    let (kim, lee) = (fixture.visitor().await?, fixture.visitor().await?);
    let unsigned = UserServiceClient::with_interceptor(fixture.channel.clone(), Ok::<Request<()>, Status>);
    let contract = contract();
    assert_eq!(contract.len(), 20);
    let check = |called: BTreeMap<&'static str, Option<Status>>,
                 who: &str,
                 expected: &dyn Fn(&str, Access) -> Option<Code>| {
        assert!(called.keys().copied().eq(contract.keys().map(String::as_str)), "a method is not called: {called:?}");
        for (name, status) in called {
            let refused = status.as_ref().and_then(access_refused);
            assert_eq!(refused, expected(name, contract[name]), "{name} called by {who}: {status:?}");
        }
    };
    let (unauthenticated, forbidden) = (Some(Code::Unauthenticated), Some(Code::PermissionDenied));

    check(each(&unsigned, &kim, &Caller::Program).await, "nobody", &|_, _| unauthenticated);
    check(each(&fixture.users, &kim, &Caller::Program).await, "the gateway", &|_, access| match access {
        Access::Public | Access::Gateway => None,
        _ => unauthenticated,
    });
    check(each(&fixture.users, &kim, &Caller::Person(kim.clone())).await, "the person", &|_, access| match access {
        Access::Public | Access::Person => None,
        _ => forbidden,
    });
    check(each(&fixture.users, &kim, &Caller::Person(lee.clone())).await, "another person", &|name, access| {
        // An activity belongs to its caller.
        (access != Access::Public && name != "create_activity").then_some(Code::PermissionDenied)
    });
    check(each(&fixture.users, &kim, &Caller::Admin(lee)).await, "an administrator", &|name, access| {
        let own = ["create_activity", "find_user_by_user_id"].contains(&name);
        let allowed = own || matches!(access, Access::Public | Access::Admin);
        (!allowed).then_some(Code::PermissionDenied)
    });
    Ok(())
}

async fn a_refused_call_changes_nothing(mut fixture: Fixture) -> anyhow::Result<()> {
    let (kim, lee) = (fixture.visitor().await?, fixture.visitor().await?);
    let find = || by(&kim, FindUserByUserIdRequest { user_id: kim.clone() });
    let before = fixture.users.find_user_by_user_id(find()).await?.into_inner();
    let credentials = fixture.auth_user(&kim).await?;
    let unsigned = UserServiceClient::with_interceptor(fixture.channel.clone(), Ok::<Request<()>, Status>);
    each(&unsigned, &kim, &Caller::Program).await;
    for stranger in [Caller::Person(lee.clone()), Caller::Admin(lee)] {
        each(&fixture.users, &kim, &stranger).await;
    }
    assert_eq!(fixture.users.find_user_by_user_id(find()).await?.into_inner(), before);
    assert_eq!(fixture.auth_user(&kim).await?, credentials);
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
        for (name, refused) in each(&stranger, &kim, &Caller::Program).await {
            let refused = refused.expect(name);
            assert_eq!(refused.code(), Code::Unauthenticated, "{name}");
            assert_eq!(details(&refused).reason.as_deref(), Some(reason), "{name}");
        }
    }
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
