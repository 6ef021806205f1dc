//! Tests of sessions: refresh tokens are stored, replaced, used up and revoked.
use crate::fixture::{Fixture, field, refusal};
use contracts::v1::{
    model::AuthUser,
    service::{
        RevokeRefreshTokensRequest, RotateRefreshTokenRequest, SaveRefreshTokenRequest, VerifyRefreshTokenRequest,
    },
};
use cqrs_core::grpc::header;
use futures_util::future::join_all;
use tonic::{Code, Request, Status};
use uuid::Uuid;

service_edge::cases![
    a_session_shows_its_expiry_and_no_token,
    a_rotation_returns_the_current_credentials,
    defect_03_a_replaced_token_ends_its_session,
    defect_03_a_verified_token_cannot_be_used_again,
    defect_03_concurrent_uses_of_a_token_end_its_session,
    defect_03_no_refusal_and_no_event_contains_a_token,
    the_repeat_of_a_rotation_is_no_reuse,
    a_repeated_idempotency_key_returns_the_stored_rotation,
    an_unknown_or_expired_token_is_refused,
    a_token_of_somebody_else_is_unknown,
    an_invalid_token_or_expiry_is_refused,
    a_logout_ends_one_session_or_all,
    one_session_too_many_ends_the_oldest,
];

const MONTH: u64 = 30 * 24 * 3600;

async fn save(fixture: &Fixture, user: &str, token: &str) -> Result<bool, Status> {
    let (user_id, token, expires_at) = (user.into(), token.into(), fixture.in_seconds(MONTH));
    let request = SaveRefreshTokenRequest { user_id, token, expires_at };
    Ok(fixture.users.clone().save_refresh_token(request).await?.into_inner().success)
}
async fn verify(fixture: &Fixture, user: &str, token: &str) -> Result<bool, Status> {
    let request = VerifyRefreshTokenRequest { user_id: user.into(), token: token.into() };
    Ok(fixture.users.clone().verify_refresh_token(request).await?.into_inner().success)
}
fn rotation(fixture: &Fixture, user: &str, token: &str, next: &str) -> RotateRefreshTokenRequest {
    RotateRefreshTokenRequest {
        user_id: user.into(),
        token: token.into(),
        new_token: next.into(),
        new_expires_at: fixture.in_seconds(MONTH),
    }
}
async fn rotate(fixture: &Fixture, user: &str, token: &str, next: &str) -> Result<AuthUser, Status> {
    let request = rotation(fixture, user, token, next);
    Ok(fixture.users.clone().rotate_refresh_token(request).await?.into_inner().auth_user.unwrap_or_default())
}
async fn revoke(fixture: &Fixture, user: &str, token: Option<&str>) -> Result<(), Status> {
    let request = RevokeRefreshTokensRequest { user_id: user.into(), token: token.map(Into::into) };
    fixture.users.clone().revoke_refresh_tokens(request).await.map(drop)
}
async fn sessions(fixture: &Fixture, user: &str) -> Result<usize, Status> {
    Ok(fixture.auth_user(user).await?.refresh_tokens.len())
}
fn invalid() -> (Code, String) {
    (Code::Unauthenticated, "REFRESH_TOKEN_INVALID".into())
}
fn reused() -> (Code, String) {
    (Code::Unauthenticated, "REFRESH_TOKEN_REUSED".into())
}

async fn a_session_shows_its_expiry_and_no_token(mut fixture: Fixture) -> anyhow::Result<()> {
    let kim = fixture.visitor().await?;
    assert!(fixture.auth_user(&kim).await?.last_login_at.is_empty());
    assert!(save(&fixture, &kim, "t-1").await?);
    let auth_user = fixture.auth_user(&kim).await?;
    let [session] = &auth_user.refresh_tokens[..] else { panic!("{auth_user:?}") };
    assert_eq!(session.token, "");
    assert!(session.expires_at > session.created_at && session.expires_at.ends_with('Z'), "{session:?}");
    assert_eq!(auth_user.last_login_at, session.created_at);
    // A repeat is the same session.
    save(&fixture, &kim, "t-1").await?;
    assert_eq!(sessions(&fixture, &kim).await?, 1);
    fixture.environment.pass(MONTH + 60);
    assert_eq!(sessions(&fixture, &kim).await?, 0, "an expired session is not shown");
    Ok(())
}

async fn a_rotation_returns_the_current_credentials(mut fixture: Fixture) -> anyhow::Result<()> {
    let kim = fixture.visitor().await?;
    save(&fixture, &kim, "t-1").await?;
    fixture.link(&kim, "1").await?;
    fixture.environment.pass(10);
    let rotated = rotate(&fixture, &kim, "t-1", "t-2").await?;
    assert_eq!(rotated.auth_channel().as_str_name(), "AUTH_CHANNEL_KAKAO", "the channel is read, not copied");
    assert_eq!(rotated.refresh_tokens.len(), 1);
    assert!(rotated.last_login_at > rotated.created_at);
    assert_eq!(fixture.auth_user(&kim).await?, rotated);
    assert_eq!(rotate(&fixture, &kim, "t-2", "t-3").await?.refresh_tokens.len(), 1);
    Ok(())
}

async fn defect_03_a_replaced_token_ends_its_session(mut fixture: Fixture) -> anyhow::Result<()> {
    let kim = fixture.visitor().await?;
    save(&fixture, &kim, "phone-1").await?;
    save(&fixture, &kim, "laptop-1").await?;
    rotate(&fixture, &kim, "phone-1", "phone-2").await?;
    rotate(&fixture, &kim, "phone-2", "phone-3").await?;
    assert_eq!(refusal(rotate(&fixture, &kim, "phone-1", "stolen").await), reused());
    // The refusal has ended the session, so neither the thief nor the person can refresh it.
    assert_eq!(refusal(rotate(&fixture, &kim, "phone-3", "phone-4").await), invalid());
    assert_eq!(refusal(rotate(&fixture, &kim, "stolen", "stolen-2").await), invalid());
    assert_eq!(sessions(&fixture, &kim).await?, 1);
    rotate(&fixture, &kim, "laptop-1", "laptop-2").await?;
    Ok(())
}

async fn defect_03_a_verified_token_cannot_be_used_again(mut fixture: Fixture) -> anyhow::Result<()> {
    let kim = fixture.visitor().await?;
    save(&fixture, &kim, "t-1").await?;
    assert!(verify(&fixture, &kim, "t-1").await?);
    assert_eq!(sessions(&fixture, &kim).await?, 0);
    assert_eq!(refusal(verify(&fixture, &kim, "t-1").await), reused());
    assert_eq!(refusal(verify(&fixture, &kim, "t-1").await), invalid());
    assert_eq!(refusal(rotate(&fixture, &kim, "t-1", "t-2").await), invalid());
    Ok(())
}

async fn defect_03_concurrent_uses_of_a_token_end_its_session(mut fixture: Fixture) -> anyhow::Result<()> {
    let kim = fixture.visitor().await?;
    save(&fixture, &kim, "t-1").await?;
    let next: Vec<_> = (0..8).map(|number| format!("next-{number}")).collect();
    let uses = join_all(next.iter().map(|next| rotate(&fixture, &kim, "t-1", next))).await;
    assert_eq!(uses.iter().filter(|used| used.is_ok()).count(), 1, "{uses:?}");
    assert!(uses.iter().flat_map(|used| used.as_ref().err()).all(|refused| refused.code() == Code::Unauthenticated));
    assert_eq!(sessions(&fixture, &kim).await?, 0);
    Ok(())
}

async fn defect_03_no_refusal_and_no_event_contains_a_token(mut fixture: Fixture) -> anyhow::Result<()> {
    let kim = fixture.visitor().await?;
    save(&fixture, &kim, "canary-1").await?;
    let auth_user = rotate(&fixture, &kim, "canary-1", "canary-2").await?;
    let refusals = [
        rotate(&fixture, &kim, "canary-2", "canary-1").await.unwrap_err(),
        rotate(&fixture, &kim, "canary-1", "canary-3").await.unwrap_err(),
        rotate(&fixture, &kim, "canary-2", "canary-3").await.unwrap_err(),
    ];
    fixture.settle().await;
    let seen = format!("{auth_user:?} {refusals:?} {:?}", fixture.received.events());
    assert!(!seen.contains("canary"), "{seen}");
    Ok(())
}

async fn the_repeat_of_a_rotation_is_no_reuse(mut fixture: Fixture) -> anyhow::Result<()> {
    let kim = fixture.visitor().await?;
    save(&fixture, &kim, "t-1").await?;
    let first = rotate(&fixture, &kim, "t-1", "t-2").await?;
    assert_eq!(rotate(&fixture, &kim, "t-1", "t-2").await?, first, "the caller did not see the first response");
    rotate(&fixture, &kim, "t-2", "t-3").await?;
    Ok(())
}

async fn a_repeated_idempotency_key_returns_the_stored_rotation(mut fixture: Fixture) -> anyhow::Result<()> {
    let kim = fixture.visitor().await?;
    save(&fixture, &kim, "t-1").await?;
    let message = rotation(&fixture, &kim, "t-1", "t-2");
    let keyed = || {
        let mut request = Request::new(message.clone());
        request.metadata_mut().insert(header::IDEMPOTENCY_KEY, "refresh-1".parse().unwrap());
        request
    };
    let first = fixture.users.rotate_refresh_token(keyed()).await?.into_inner();
    rotate(&fixture, &kim, "t-2", "t-3").await?;
    assert_eq!(fixture.users.rotate_refresh_token(keyed()).await?.into_inner(), first);
    rotate(&fixture, &kim, "t-3", "t-4").await?;
    Ok(())
}

async fn an_unknown_or_expired_token_is_refused(mut fixture: Fixture) -> anyhow::Result<()> {
    let (kim, unknown) = (fixture.visitor().await?, Uuid::now_v7().to_string());
    for user in [&kim, &unknown] {
        assert_eq!(refusal(rotate(&fixture, user, "t-0", "t-1").await), invalid());
        assert_eq!(refusal(verify(&fixture, user, "t-0").await), invalid());
    }
    save(&fixture, &kim, "t-1").await?;
    fixture.environment.pass(MONTH + 1);
    assert_eq!(refusal(verify(&fixture, &kim, "t-1").await), invalid());
    assert_eq!(refusal(rotate(&fixture, &kim, "t-1", "t-2").await), invalid());
    assert_eq!(refusal(save(&fixture, &unknown, "t-1").await).0, Code::NotFound);
    Ok(())
}

async fn a_token_of_somebody_else_is_unknown(mut fixture: Fixture) -> anyhow::Result<()> {
    let (kim, lee) = (fixture.visitor().await?, fixture.visitor().await?);
    save(&fixture, &kim, "t-1").await?;
    assert_eq!(refusal(rotate(&fixture, &lee, "t-1", "t-2").await), invalid());
    assert_eq!(refusal(verify(&fixture, &lee, "t-1").await), invalid());
    revoke(&fixture, &lee, Some("t-1")).await?;
    rotate(&fixture, &kim, "t-1", "t-2").await?;
    Ok(())
}

async fn an_invalid_token_or_expiry_is_refused(mut fixture: Fixture) -> anyhow::Result<()> {
    let kim = fixture.visitor().await?;
    assert_eq!(field(save(&fixture, &kim, "").await), (Code::InvalidArgument, "token".into()));
    assert_eq!(field(save(&fixture, &kim, &"x".repeat(4097)).await), (Code::InvalidArgument, "token".into()));
    assert_eq!(field(save(&fixture, "kim", "t-1").await), (Code::InvalidArgument, "user_id".into()));
    save(&fixture, &kim, "t-1").await?;
    assert_eq!(field(rotate(&fixture, &kim, "t-1", "").await), (Code::InvalidArgument, "new_token".into()));
    let (past, far) = ("2020-01-01T00:00:00Z".to_owned(), fixture.in_seconds(367 * 24 * 3600));
    for expires_at in ["".to_owned(), "tomorrow".into(), "2999-01-01T00:00:00".into(), past, far] {
        let (user_id, token) = (kim.clone(), "t-9".to_owned());
        let request = SaveRefreshTokenRequest { user_id, token, expires_at: expires_at.clone() };
        let saved = fixture.users.save_refresh_token(request).await;
        assert_eq!(field(saved), (Code::InvalidArgument, "expires_at".into()), "{expires_at}");
        let request =
            RotateRefreshTokenRequest { new_expires_at: expires_at.clone(), ..rotation(&fixture, &kim, "t-1", "t-2") };
        let rotated = fixture.users.rotate_refresh_token(request).await;
        assert_eq!(field(rotated), (Code::InvalidArgument, "new_expires_at".into()), "{expires_at}");
    }
    // Nothing of it has used up the token.
    rotate(&fixture, &kim, "t-1", "t-2").await?;
    assert_eq!(refusal(save(&fixture, &kim, "t-1").await), (Code::AlreadyExists, "TOKEN_NOT_NEW".into()));
    Ok(())
}

async fn a_logout_ends_one_session_or_all(mut fixture: Fixture) -> anyhow::Result<()> {
    let kim = fixture.visitor().await?;
    for token in ["phone", "laptop", "tablet"] {
        save(&fixture, &kim, token).await?;
    }
    rotate(&fixture, &kim, "phone", "phone-2").await?;
    // A logout may come with the token from before the last refresh.
    revoke(&fixture, &kim, Some("phone")).await?;
    assert_eq!(refusal(rotate(&fixture, &kim, "phone-2", "phone-3").await), invalid());
    assert_eq!(sessions(&fixture, &kim).await?, 2);
    revoke(&fixture, &kim, Some("phone")).await?;
    revoke(&fixture, &kim, None).await?;
    revoke(&fixture, &kim, None).await?;
    assert_eq!(sessions(&fixture, &kim).await?, 0);
    assert_eq!(refusal(verify(&fixture, &kim, "laptop").await), invalid());
    assert_eq!(refusal(revoke(&fixture, &Uuid::now_v7().to_string(), None).await).0, Code::NotFound);
    Ok(())
}

async fn one_session_too_many_ends_the_oldest(mut fixture: Fixture) -> anyhow::Result<()> {
    let kim = fixture.visitor().await?;
    for number in 0..10 {
        save(&fixture, &kim, &format!("t-{number}")).await?;
    }
    rotate(&fixture, &kim, "t-0", "t-0/2").await?;
    save(&fixture, &kim, "t-10").await?;
    assert_eq!(sessions(&fixture, &kim).await?, 10);
    assert_eq!(refusal(rotate(&fixture, &kim, "t-1", "x").await), invalid());
    rotate(&fixture, &kim, "t-0/2", "t-0/3").await?;
    Ok(())
}
