//! Tests of the parsing of activities.
use super::{ActivityData, ActivityError, ActivityKind, LARGEST_DATA, Platform, Seconds, UserAgent};
use contracts::v1::model;
use cqrs_core::serde_json::{Map, Value};

fn of_size(size: usize) -> Map<String, Value> {
    // `{"a":"..."}` has eight characters around the text.
    Map::from_iter([("a".to_owned(), Value::String("x".repeat(size - 8)))])
}

#[test]
fn data_over_the_limit_are_refused() {
    assert!(ActivityData::parse(of_size(LARGEST_DATA)).is_ok());
    assert_eq!(ActivityData::parse(of_size(LARGEST_DATA + 1)), Err(ActivityError::ActivityData));
}
#[test]
fn debug_output_does_not_contain_the_data() {
    let data = ActivityData::parse(Map::from_iter([("secret".to_owned(), Value::from("canary"))])).unwrap();
    assert_eq!(format!("{data:?}"), "ActivityData(1 fields)");
}
#[test]
fn a_negative_duration_is_refused() {
    assert_eq!(Seconds::parse(0).map(Seconds::get), Ok(0));
    assert_eq!(Seconds::parse(-1), Err(ActivityError::DurationSeconds));
}
#[test]
fn a_user_agent_is_short_and_visible() {
    assert!(UserAgent::parse(&"x".repeat(512)).is_ok());
    for bad in [&*"x".repeat(513), "Mozilla\n5.0", "a\u{202E}b"] {
        assert_eq!(UserAgent::parse(bad), Err(ActivityError::UserAgent), "{bad:?}");
    }
}
/// Finds a value of the contract that was added there and not here.
#[test]
fn every_kind_and_platform_of_the_contract_is_known() {
    for value in (1..).map_while(|number| model::ActivityType::try_from(number).ok()) {
        let name = value.as_str_name().trim_start_matches("ACTIVITY_TYPE_");
        assert_eq!(ActivityKind::named(name).map(ActivityKind::name), Some(name));
    }
    for value in (1..).map_while(|number| model::DevicePlatform::try_from(number).ok()) {
        let name = value.as_str_name().trim_start_matches("DEVICE_PLATFORM_");
        assert_eq!(Platform::named(name).map(Platform::name), Some(name));
    }
}
