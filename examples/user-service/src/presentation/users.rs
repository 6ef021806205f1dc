//! `UserService`: each method parses its request and sends one command, query or process.
use super::{mapping::tracking, requests};
use crate::{
    application::{
        commands::{
            ConfirmReservation, ConnectAuthChannel, CreateActivity, ReleaseTokens, ReserveTokens, RevokeRefreshTokens,
            RotateRefreshToken, SaveRefreshToken, TokenUse, UpdateAuthority, UpdateTracking, UpdateUser,
            VerifyRefreshToken,
        },
        processes::first_visit,
        queries::{
            CheckRemainingTokens, FindAuthUserByAuthUserId, FindAuthUserByChannelInfo, FindAuthUserByUserId,
            FindTrackingByUserId, FindUserByNickname, FindUserByUserId,
        },
    },
    domain::{
        auth_user::{AuthUserError, TokenHash},
        user::Nickname,
        wallet::WalletError,
    },
};
use contracts::v1::service as rpc;
use cqrs_core::{Committed, DomainError, Error, Timestamp, grpc};
use service_edge::{Call, Endpoint, RpcResult, parse};
use tonic::{Request, Status};

pub(super) struct Users(pub(super) Endpoint);

#[tonic::async_trait]
impl rpc::user_service_server::UserService for Users {
    async fn initialize_user(
        &self,
        request: Request<rpc::InitializeUserRequest>,
    ) -> RpcResult<rpc::InitializeUserResponse> {
        let (call, _) = Call::read(request)?;
        // Without an idempotency key: a caller who repeated it would get the identity of that person.
        let Committed { output: initialized, position } = first_visit(&call.without_key(self.0.app())).await?;
        Ok(self.0.respond(initialized.into(), position))
    }
    async fn connect_auth_channel(
        &self,
        request: Request<rpc::ConnectAuthChannelRequest>,
    ) -> RpcResult<rpc::ConnectAuthChannelResponse> {
        let (call, message) = Call::read(request)?;
        let user = parse::id("user_id", &message.user_id)?;
        let command =
            ConnectAuthChannel { user, account: requests::account(message.auth_channel, &message.unique_id)? };
        let connected = call.single(self.0.app()).send_committed(command).await;
        // The framework's message repeats the taken value, which is personal.
        let taken = |error| match error {
            Error::Taken { .. } => Error::Domain(AuthUserError::AccountTaken),
            error => error,
        };
        let Committed { output: auth_user, position } = connected.map_err(taken)?;
        Ok(self.0.respond(rpc::ConnectAuthChannelResponse { auth_user: Some(auth_user.into()) }, position))
    }
    async fn save_refresh_token(
        &self,
        request: Request<rpc::SaveRefreshTokenRequest>,
    ) -> RpcResult<rpc::SaveRefreshTokenResponse> {
        let (call, message) = Call::read(request)?;
        let (user, token) = (parse::id("user_id", &message.user_id)?, hash(&message.token)?);
        let command =
            SaveRefreshToken { user, token, expires_at: time(&message.expires_at, AuthUserError::ExpiresAt)? };
        self.0.send(call, command, |()| rpc::SaveRefreshTokenResponse { success: true }).await
    }
    async fn verify_refresh_token(
        &self,
        request: Request<rpc::VerifyRefreshTokenRequest>,
    ) -> RpcResult<rpc::VerifyRefreshTokenResponse> {
        let (call, message) = Call::read(request)?;
        let (user, token) = (parse::id("user_id", &message.user_id)?, hash(&message.token)?);
        let command = VerifyRefreshToken { user, token };
        let Committed { output, position } = call.single(self.0.app()).send_committed(command).await?;
        valid(output)?;
        Ok(self.0.respond(rpc::VerifyRefreshTokenResponse { success: true }, position))
    }
    async fn rotate_refresh_token(
        &self,
        request: Request<rpc::RotateRefreshTokenRequest>,
    ) -> RpcResult<rpc::RotateRefreshTokenResponse> {
        let (call, message) = Call::read(request)?;
        let (user, token) = (parse::id("user_id", &message.user_id)?, hash(&message.token)?);
        let next = TokenHash::of(&message.new_token).map_err(|_| refused(AuthUserError::NewToken))?;
        let expires_at = time(&message.new_expires_at, AuthUserError::NewExpiresAt)?;
        let command = RotateRefreshToken { user, token, next, expires_at };
        let Committed { output, position } = call.single(self.0.app()).send_committed(command).await?;
        let auth_user = Some(valid(output)?.into());
        Ok(self.0.respond(rpc::RotateRefreshTokenResponse { auth_user }, position))
    }
    async fn revoke_refresh_tokens(
        &self,
        request: Request<rpc::RevokeRefreshTokensRequest>,
    ) -> RpcResult<rpc::RevokeRefreshTokensResponse> {
        let (call, message) = Call::read(request)?;
        let token = message.token.as_deref().map(hash).transpose()?;
        let command = RevokeRefreshTokens { user: parse::id("user_id", &message.user_id)?, token };
        self.0.send(call, command, |()| rpc::RevokeRefreshTokensResponse {}).await
    }
    async fn find_user_by_user_id(
        &self,
        request: Request<rpc::FindUserByUserIdRequest>,
    ) -> RpcResult<rpc::FindUserByUserIdResponse> {
        let (call, message) = Call::read(request)?;
        let query = FindUserByUserId { user: call.acts_for_or_administers(&message.user_id)? };
        self.0.send(call, query, |user| rpc::FindUserByUserIdResponse { user: Some(user.into()) }).await
    }
    async fn find_user_by_nickname(
        &self,
        request: Request<rpc::FindUserByNicknameRequest>,
    ) -> RpcResult<rpc::FindUserByNicknameResponse> {
        let (call, message) = Call::read(request)?;
        let query = FindUserByNickname { nickname: Nickname::parse(&message.nickname).map_err(refused)? };
        self.0.send(call, query, |user| rpc::FindUserByNicknameResponse { user: Some(user.into()) }).await
    }
    async fn find_auth_user_by_auth_user_id(
        &self,
        request: Request<rpc::FindAuthUserByAuthUserIdRequest>,
    ) -> RpcResult<rpc::FindAuthUserByAuthUserIdResponse> {
        let (call, message) = Call::read(request)?;
        let query = FindAuthUserByAuthUserId { auth_user: parse::id("auth_user_id", &message.auth_user_id)? };
        let respond = |found: _| rpc::FindAuthUserByAuthUserIdResponse { auth_user: Some(Into::into(found)) };
        self.0.send(call, query, respond).await
    }
    async fn find_auth_user_by_user_id(
        &self,
        request: Request<rpc::FindAuthUserByUserIdRequest>,
    ) -> RpcResult<rpc::FindAuthUserByUserIdResponse> {
        let (call, message) = Call::read(request)?;
        let query = FindAuthUserByUserId { user: parse::id("user_id", &message.user_id)? };
        let respond = |found: _| rpc::FindAuthUserByUserIdResponse { auth_user: Some(Into::into(found)) };
        self.0.send(call, query, respond).await
    }
    async fn find_auth_user_by_channel_info(
        &self,
        request: Request<rpc::FindAuthUserByChannelInfoRequest>,
    ) -> RpcResult<rpc::FindAuthUserByChannelInfoResponse> {
        let (call, message) = Call::read(request)?;
        let account = requests::account(message.auth_channel, &message.unique_id)?;
        let respond = |found: _| rpc::FindAuthUserByChannelInfoResponse { auth_user: Some(Into::into(found)) };
        self.0.send(call, FindAuthUserByChannelInfo { account }, respond).await
    }
    async fn update_user(&self, request: Request<rpc::UpdateUserRequest>) -> RpcResult<rpc::UpdateUserResponse> {
        let (call, message) = Call::read(request)?;
        let command = UpdateUser { user: call.acts_for(&message.user_id)?, edit: requests::edit(&message)? };
        self.0.send(call, command, |user| rpc::UpdateUserResponse { user: Some(user.into()) }).await
    }
    async fn update_authority(
        &self,
        request: Request<rpc::UpdateAuthorityRequest>,
    ) -> RpcResult<rpc::UpdateAuthorityResponse> {
        let (call, message) = Call::read(request)?;
        let auth_user = parse::id("auth_user_id", &message.auth_user_id)?;
        let source = requests::authority_source(&message);
        let command = UpdateAuthority { auth_user, authority: requests::authority(message.authority)?, source };
        let respond = |changed: _| rpc::UpdateAuthorityResponse { auth_user: Some(Into::into(changed)) };
        self.0.send(call, command, respond).await
    }
    async fn check_remaining_tokens(
        &self,
        request: Request<rpc::CheckRemainingTokensRequest>,
    ) -> RpcResult<rpc::CheckRemainingTokensResponse> {
        let (call, message) = Call::read(request)?;
        let query = CheckRemainingTokens { user: call.acts_for(&message.user_id)? };
        self.0.send(call, query, Into::into).await
    }
    async fn reserve_tokens(
        &self,
        request: Request<rpc::ReserveTokensRequest>,
    ) -> RpcResult<rpc::ReserveTokensResponse> {
        let (call, message) = Call::read(request)?;
        let (user, exchange) = (call.acts_for(&message.user_id)?, message.reservation_id.as_deref());
        let command = ReserveTokens { user, exchange: parse::optional_id("reservation_id", exchange)? };
        self.0.send(call, command, Into::into).await
    }
    async fn confirm_reservation(
        &self,
        request: Request<rpc::ConfirmReservationRequest>,
    ) -> RpcResult<rpc::ConfirmReservationResponse> {
        let (call, message) = Call::read(request)?;
        let command = ConfirmReservation {
            user: call.acts_for(&message.user_id)?,
            reservation: parse::optional_id("reservation_id", message.reservation_id.as_deref())?,
            exchange: parse::id("exchange_id", &message.exchange_id)?,
        };
        self.0.send(call, command, Into::into).await
    }
    async fn release_tokens(
        &self,
        request: Request<rpc::ReleaseTokensRequest>,
    ) -> RpcResult<rpc::ReleaseTokensResponse> {
        let (call, message) = Call::read(request)?;
        let attempt = u32::try_from(message.attempt).ok().filter(|attempt| *attempt > 0);
        let command = ReleaseTokens {
            user: call.acts_for(&message.user_id)?,
            exchange: parse::id("reservation_id", &message.reservation_id)?,
            attempt: attempt.ok_or_else(|| refused(WalletError::Attempt))?,
        };
        self.0.send(call, command, |()| rpc::ReleaseTokensResponse {}).await
    }
    async fn create_activity(
        &self,
        request: Request<rpc::CreateActivityRequest>,
    ) -> RpcResult<rpc::CreateActivityResponse> {
        let (call, message) = Call::read(request)?;
        let command = CreateActivity { user: call.person()?, details: requests::activity(message)? };
        let respond = |created: _| rpc::CreateActivityResponse { user_activity: Some(Into::into(created)) };
        self.0.send(call, command, respond).await
    }
    async fn find_tracking_by_user_id(
        &self,
        request: Request<rpc::FindTrackingByUserIdRequest>,
    ) -> RpcResult<rpc::FindTrackingByUserIdResponse> {
        let (call, message) = Call::read(request)?;
        let query = FindTrackingByUserId { user: call.acts_for(&message.user_id)? };
        let respond = |found| rpc::FindTrackingByUserIdResponse { user_tracking: Some(tracking(found)) };
        self.0.send(call, query, respond).await
    }
    async fn update_tracking(
        &self,
        request: Request<rpc::UpdateTrackingRequest>,
    ) -> RpcResult<rpc::UpdateTrackingResponse> {
        let (call, message) = Call::read(request)?;
        let (user, has_seen_intro_cutscene) = (call.acts_for(&message.user_id)?, message.has_seen_intro_cutscene);
        let command = UpdateTracking { user, has_seen_intro_cutscene };
        let respond = |updated| rpc::UpdateTrackingResponse { user_tracking: Some(tracking(updated)) };
        self.0.send(call, command, respond).await
    }
}

/// Returns the output of a command on a refresh token, or the refusal of one that was used before. The command has ended
/// the session of such a token, so it could not fail.
fn valid<T>(used: TokenUse<T>) -> Result<T, Status> {
    match used {
        TokenUse::Valid(output) => Ok(output),
        TokenUse::Reused => Err(refused(AuthUserError::RefreshTokenReused)),
    }
}
fn hash(token: &str) -> Result<TokenHash, Status> {
    TokenHash::of(token).map_err(refused)
}
fn time(text: &str, error: AuthUserError) -> Result<Timestamp, Status> {
    text.parse().map_err(|_| refused(error))
}
fn refused(error: impl DomainError) -> Status {
    grpc::status_of(&error)
}
