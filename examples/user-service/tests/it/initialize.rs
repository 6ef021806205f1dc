//! First visits.
use crate::stage::{Stage, by};
use contracts::v1::{
    model::{AuthChannel, Authority},
    service::{FindUserByUserIdRequest, InitializeUserRequest},
};
use tonic::{Code, Request};

crate::cases![
    two_visits_are_two_people,
    a_key_makes_nobody_somebody_else,
    a_new_person_is_found,
    a_taken_nickname_is_made_up_again,
    nobody_is_not_found
];

async fn two_visits_are_two_people(mut stage: Stage) -> anyhow::Result<()> {
    let first = stage.users.initialize_user(InitializeUserRequest {}).await?.into_inner();
    let second = stage.users.initialize_user(InitializeUserRequest {}).await?.into_inner();
    let (first, second) = (first.user.unwrap(), second.user.unwrap());
    assert_ne!(first.id, second.id);
    assert_ne!(first.nickname, second.nickname);
    stage.settle().await;
    assert_eq!(stage.ears.heard().len(), 2);
    Ok(())
}

async fn a_key_makes_nobody_somebody_else(mut stage: Stage) -> anyhow::Result<()> {
    let mut visits = Vec::new();
    for _ in 0..2 {
        let mut request = Request::new(InitializeUserRequest {});
        request.metadata_mut().insert(cqrs_core::grpc::header::KEY, "stolen".parse()?);
        visits.push(stage.users.initialize_user(request).await?.into_inner().user.unwrap().id);
    }
    assert_ne!(visits[0], visits[1]);
    Ok(())
}

async fn a_new_person_is_found(mut stage: Stage) -> anyhow::Result<()> {
    let visited = stage.users.initialize_user(InitializeUserRequest {}).await?;
    let position = cqrs_core::grpc::position(visited.metadata());
    assert!(position.of("user").0 > 0, "the answer says where its events lie");
    let visited = visited.into_inner();
    let (user, auth_user) = (visited.user.unwrap(), visited.auth_user.unwrap());
    assert_eq!((auth_user.auth_channel(), auth_user.authority()), (AuthChannel::Unlinked, Authority::User));
    assert_eq!(auth_user.user_id, user.id);
    assert!(user.created_at.ends_with('Z'), "{}", user.created_at);

    let mut request = by(&user.id, FindUserByUserIdRequest { user_id: user.id.clone() });
    request.metadata_mut().insert(cqrs_core::grpc::header::POSITION, position.to_string().parse()?);
    assert_eq!(stage.users.find_user_by_user_id(request).await?.into_inner().user.as_ref(), Some(&user));
    let wallet = stage.wallet(&user.id).await?;
    assert_eq!((wallet.remaining_tokens, wallet.max_tokens, wallet.reserved), (7, 7, false));
    stage.settle().await;
    assert_eq!(stage.ears.heard(), [format!("registered {}", user.id)]);
    Ok(())
}

async fn a_taken_nickname_is_made_up_again(mut stage: Stage) -> anyhow::Result<()> {
    stage.world.next_ids_end_alike(1);
    let first = stage.users.initialize_user(InitializeUserRequest {}).await?.into_inner().user.unwrap();
    stage.world.next_ids_end_alike(1);
    let second = stage.users.initialize_user(InitializeUserRequest {}).await?.into_inner().user.unwrap();
    assert!(first.nickname.ends_with("0000") && second.nickname != first.nickname, "{first:?} {second:?}");
    stage.settle().await;
    assert_eq!(stage.ears.heard().len(), 2, "the try that failed left nothing");
    Ok(())
}

async fn nobody_is_not_found(mut stage: Stage) -> anyhow::Result<()> {
    let nobody = uuid::Uuid::now_v7().to_string();
    let request = by(&nobody, FindUserByUserIdRequest { user_id: nobody.clone() });
    assert_eq!(stage.users.find_user_by_user_id(request).await.unwrap_err().code(), Code::NotFound);
    assert_eq!(stage.wallet(&nobody).await.unwrap_err().code(), Code::NotFound);
    assert_eq!(stage.reserve(&nobody, uuid::Uuid::now_v7()).await.unwrap_err().code(), Code::NotFound);
    let status = stage.wallet("kim").await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert_eq!(cqrs_core::grpc::details(&status).fields[0].0, "user_id");
    Ok(())
}
