//! Tests of activities and of what people have seen.
use crate::fixture::{Fixture, field, refusal};
use contracts::v1::{
    model::{ActivityType, DevicePlatform, UserTracking},
    service::{CreateActivityRequest, FindTrackingByUserIdRequest, UpdateTrackingRequest},
};
use cqrs_core::grpc::{consistency_token, header};
use prost_types::{ListValue, Struct, Value, value::Kind};
use service_edge::testing::by;
use tonic::{Code, Status};
use uuid::Uuid;

service_edge::cases![
    an_activity_is_recorded_as_it_was_given,
    an_activity_needs_no_optional_field,
    an_invalid_activity_names_its_field,
    a_repeated_idempotency_key_records_one_activity,
    an_activity_of_an_unknown_person_is_refused,
    defect_20_a_look_up_of_what_was_seen_writes_nothing,
    defect_19_a_value_of_false_is_recorded,
    what_a_person_has_seen_is_recorded,
];

fn of(fields: impl IntoIterator<Item = (&'static str, Kind)>) -> Struct {
    let fields = fields.into_iter().map(|(name, kind)| (name.to_owned(), Value { kind: Some(kind) })).collect();
    Struct { fields }
}
fn login() -> CreateActivityRequest {
    CreateActivityRequest { activity_type: ActivityType::Login.into(), ..Default::default() }
}

async fn an_activity_is_recorded_as_it_was_given(mut fixture: Fixture) -> anyhow::Result<()> {
    let kim = fixture.visitor().await?;
    let list = ListValue { values: vec![Value { kind: Some(Kind::NullValue(0)) }, Value::from(true)] };
    let nested = of([("가", Kind::NumberValue(-1.5)), ("list", Kind::ListValue(list))]);
    let request = CreateActivityRequest {
        activity_type: ActivityType::CounselingEnd.into(),
        activity_data: Some(of([("a", Kind::StringValue("😀".into())), ("b", Kind::StructValue(nested))])),
        platform: DevicePlatform::Ios.into(),
        ip_address: "2001:db8::1".into(),
        user_agent: "Mozilla/5.0".into(),
        duration_seconds: 90,
    };
    let created = fixture.users.create_activity(by(&kim, request.clone())).await?.into_inner();
    let activity = created.user_activity.unwrap_or_default();
    assert_eq!((activity.activity_type, activity.platform), (request.activity_type, request.platform));
    assert_eq!(activity.activity_data, request.activity_data);
    assert_eq!((activity.ip_address, activity.user_agent), (request.ip_address, request.user_agent));
    assert_eq!((activity.duration_seconds, activity.deleted_at), (90, None));
    assert!(activity.created_at.ends_with('Z') && activity.updated_at == activity.created_at);
    Ok(())
}

async fn an_activity_needs_no_optional_field(mut fixture: Fixture) -> anyhow::Result<()> {
    let kim = fixture.visitor().await?;
    let created = fixture.users.create_activity(by(&kim, login())).await?.into_inner();
    let activity = created.user_activity.unwrap_or_default();
    assert_eq!((activity.platform(), &*activity.ip_address), (DevicePlatform::Unspecified, ""));
    assert_eq!((activity.activity_data, activity.duration_seconds), (Some(Struct::default()), 0));
    Ok(())
}

async fn an_invalid_activity_names_its_field(mut fixture: Fixture) -> anyhow::Result<()> {
    let kim = fixture.visitor().await?;
    let data = |kind| Some(of([("a", kind)]));
    for (wrong, request) in [
        ("activity_type", CreateActivityRequest { activity_type: 0, ..login() }),
        ("activity_type", CreateActivityRequest { activity_type: 99, ..login() }),
        ("platform", CreateActivityRequest { platform: 9, ..login() }),
        ("activity_data", CreateActivityRequest { activity_data: data(Kind::NumberValue(f64::NAN)), ..login() }),
        (
            "activity_data",
            CreateActivityRequest { activity_data: data(Kind::StringValue("x".repeat(9000))), ..login() },
        ),
        ("ip_address", CreateActivityRequest { ip_address: "localhost".into(), ..login() }),
        ("user_agent", CreateActivityRequest { user_agent: "x".repeat(513), ..login() }),
        ("duration_seconds", CreateActivityRequest { duration_seconds: -1, ..login() }),
    ] {
        let created = fixture.users.create_activity(by(&kim, request)).await;
        assert_eq!(field(created), (Code::InvalidArgument, wrong.into()));
    }
    Ok(())
}

async fn a_repeated_idempotency_key_records_one_activity(mut fixture: Fixture) -> anyhow::Result<()> {
    let kim = fixture.visitor().await?;
    let keyed = || {
        let mut request = by(&kim, login());
        request.metadata_mut().insert(header::IDEMPOTENCY_KEY, "activity-1".parse().unwrap());
        request
    };
    let first = fixture.users.create_activity(keyed()).await?;
    fixture.environment.pass(10);
    let second = fixture.users.create_activity(keyed()).await?;
    assert_eq!(consistency_token(second.metadata()), consistency_token(first.metadata()));
    assert_eq!(second.into_inner(), first.into_inner());
    Ok(())
}

async fn an_activity_of_an_unknown_person_is_refused(mut fixture: Fixture) -> anyhow::Result<()> {
    assert_eq!(refusal(fixture.users.create_activity(by(Uuid::now_v7(), login())).await).0, Code::NotFound);
    Ok(())
}

async fn find(fixture: &Fixture, user: &str) -> Result<(UserTracking, u64), Status> {
    let request = by(user, FindTrackingByUserIdRequest { user_id: user.into() });
    let found = fixture.users.clone().find_tracking_by_user_id(request).await?;
    let position = consistency_token(found.metadata()).of("user").0;
    Ok((found.into_inner().user_tracking.unwrap_or_default(), position))
}
async fn update(fixture: &Fixture, user: &str, seen: bool) -> Result<UserTracking, Status> {
    let request = by(user, UpdateTrackingRequest { user_id: user.into(), has_seen_intro_cutscene: seen });
    Ok(fixture.users.clone().update_tracking(request).await?.into_inner().user_tracking.unwrap_or_default())
}

async fn defect_20_a_look_up_of_what_was_seen_writes_nothing(mut fixture: Fixture) -> anyhow::Result<()> {
    let kim = fixture.visitor().await?;
    for _ in 0..2 {
        let (tracking, position) = find(&fixture, &kim).await?;
        assert_eq!(tracking, UserTracking::default());
        assert_eq!(position, 0, "a query commits nothing");
    }
    Ok(())
}

async fn defect_19_a_value_of_false_is_recorded(mut fixture: Fixture) -> anyhow::Result<()> {
    let kim = fixture.visitor().await?;
    assert!(update(&fixture, &kim, true).await?.has_seen_intro_cutscene);
    fixture.environment.pass(10);
    let tracking = update(&fixture, &kim, false).await?;
    assert!(!tracking.has_seen_intro_cutscene && tracking.updated_at > tracking.created_at, "{tracking:?}");
    assert_eq!(find(&fixture, &kim).await?.0, tracking);
    Ok(())
}

async fn what_a_person_has_seen_is_recorded(mut fixture: Fixture) -> anyhow::Result<()> {
    let (kim, lee) = (fixture.visitor().await?, fixture.visitor().await?);
    let tracking = update(&fixture, &kim, true).await?;
    fixture.environment.pass(10);
    assert_eq!(update(&fixture, &kim, true).await?, tracking, "a repeat changes nothing");
    assert_eq!(find(&fixture, &kim).await?.0, tracking);
    assert_eq!(find(&fixture, &lee).await?.0, UserTracking::default());
    assert_eq!(refusal(update(&fixture, &Uuid::now_v7().to_string(), true).await).0, Code::NotFound);
    Ok(())
}
