//! Tests of first visits.
use crate::fixture::Fixture;
use contracts::v1::{
    model::{AuthChannel, Authority},
    service::{FindUserByUserIdRequest, InitializeUserRequest},
};
use service_edge::testing::by;
use tonic::{Code, Request};

service_edge::cases![
    two_visits_register_two_people,
    a_repeated_idempotency_key_registers_another_person,
    a_registered_person_is_found_with_the_consistency_token,
    a_taken_nickname_is_generated_again,
    an_unknown_person_is_not_found,
    defect_16_a_first_visit_stores_all_of_a_person_or_nothing,
];

async fn two_visits_register_two_people(mut fixture: Fixture) -> anyhow::Result<()> {
    let first = fixture.users.initialize_user(InitializeUserRequest {}).await?.into_inner();
    let second = fixture.users.initialize_user(InitializeUserRequest {}).await?.into_inner();
    let (first, second) = (first.user.unwrap(), second.user.unwrap());
    assert_ne!(first.id, second.id);
    assert_ne!(first.nickname, second.nickname);
    fixture.settle().await;
    assert_eq!(fixture.received.events().len(), 2);
    Ok(())
}

async fn a_repeated_idempotency_key_registers_another_person(mut fixture: Fixture) -> anyhow::Result<()> {
    let mut visits = Vec::new();
    for _ in 0..2 {
        let mut request = Request::new(InitializeUserRequest {});
        request.metadata_mut().insert(cqrs_core::grpc::header::IDEMPOTENCY_KEY, "stolen".parse()?);
        visits.push(fixture.users.initialize_user(request).await?.into_inner().user.unwrap().id);
    }
    assert_ne!(visits[0], visits[1]);
    Ok(())
}

async fn a_registered_person_is_found_with_the_consistency_token(mut fixture: Fixture) -> anyhow::Result<()> {
    let visited = fixture.users.initialize_user(InitializeUserRequest {}).await?;
    let position = cqrs_core::grpc::consistency_token(visited.metadata());
    assert!(position.of("user").0 > 0, "the response has the consistency token of its events");
    let visited = visited.into_inner();
    let (user, auth_user) = (visited.user.unwrap(), visited.auth_user.unwrap());
    assert_eq!((auth_user.auth_channel(), auth_user.authority()), (AuthChannel::Unlinked, Authority::User));
    assert_eq!(auth_user.user_id, user.id);
    assert!(user.created_at.ends_with('Z'), "{}", user.created_at);

    let mut request = by(&user.id, FindUserByUserIdRequest { user_id: user.id.clone() });
    request.metadata_mut().insert(cqrs_core::grpc::header::CONSISTENCY_TOKEN, position.to_string().parse()?);
    assert_eq!(fixture.users.find_user_by_user_id(request).await?.into_inner().user.as_ref(), Some(&user));
    let wallet = fixture.wallet(&user.id).await?;
    assert_eq!((wallet.remaining_tokens, wallet.max_tokens, wallet.reserved), (7, 7, false));
    fixture.settle().await;
    assert_eq!(fixture.received.events(), [format!("registered {}", user.id)]);
    Ok(())
}

async fn a_taken_nickname_is_generated_again(mut fixture: Fixture) -> anyhow::Result<()> {
    fixture.environment.collide_next_ids(1);
    let first = fixture.users.initialize_user(InitializeUserRequest {}).await?.into_inner().user.unwrap();
    fixture.environment.collide_next_ids(1);
    let second = fixture.users.initialize_user(InitializeUserRequest {}).await?.into_inner().user.unwrap();
    assert!(first.nickname.ends_with("0000") && second.nickname != first.nickname, "{first:?} {second:?}");
    fixture.settle().await;
    assert_eq!(fixture.received.events().len(), 2, "the failed attempt stored nothing");
    Ok(())
}

async fn an_unknown_person_is_not_found(mut fixture: Fixture) -> anyhow::Result<()> {
    let unknown = uuid::Uuid::now_v7().to_string();
    let request = by(&unknown, FindUserByUserIdRequest { user_id: unknown.clone() });
    assert_eq!(fixture.users.find_user_by_user_id(request).await.unwrap_err().code(), Code::NotFound);
    assert_eq!(fixture.wallet(&unknown).await.unwrap_err().code(), Code::NotFound);
    assert_eq!(fixture.reserve(&unknown, uuid::Uuid::now_v7()).await.unwrap_err().code(), Code::NotFound);
    let status = fixture.wallet("kim").await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert_eq!(cqrs_core::grpc::details(&status).fields[0].0, "user_id");
    Ok(())
}

/// A registration stores a person, their credentials and their wallet in one commit, so a refused one stores none of them.
async fn defect_16_a_first_visit_stores_all_of_a_person_or_nothing(mut fixture: Fixture) -> anyhow::Result<()> {
    fixture.environment.collide_next_ids(1);
    fixture.visitor().await?;
    // Every attempt generates the nickname of that person.
    fixture.environment.collide_next_ids(1000);
    let refused = fixture.users.initialize_user(InitializeUserRequest {}).await.unwrap_err();
    assert_eq!(refused.code(), Code::AlreadyExists);
    fixture.environment.collide_next_ids(0);
    let kim = fixture.visitor().await?;
    assert_eq!(fixture.auth_user(&kim).await?.user_id, kim);
    assert_eq!(fixture.remaining(&kim).await?, 7);
    fixture.settle().await;
    assert_eq!(fixture.received.events().len(), 2, "the refused visit registered nobody");
    Ok(())
}
