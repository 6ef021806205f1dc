//! The JSON of a person's activities and tracking.
use super::{
    names::{ActivityType, DevicePlatform},
    shown::{Shown, answers, shown},
};
use crate::error::Error;
use contracts::v1::service as rpc;
use prost_types::{ListValue, Struct, Value as ProtoValue, value::Kind};
use serde::Deserialize;
use serde_json::{Map, Number, Value};
use utoipa::ToSchema;

/// The most levels of objects and lists in the data of an activity. A level takes three of the hundred levels that a protobuf
/// message may have.
const DEEPEST: usize = 16;

shown! {
    /// The parts of the app that a person has seen.
    UserTracking of UserTracking {
        has_seen_intro_cutscene: bool,
        created_at: String,
        updated_at: String,
        deleted_at: Option<String>,
    }
}
shown! {
    /// Something that a person did, for statistics.
    UserActivity of UserActivity {
        activity_type: Option<ActivityType>,
        #[schema(value_type = Option<Object>)]
        activity_data: Option<Map<String, Value>>,
        platform: Option<DevicePlatform>,
        duration_seconds: i32,
        created_at: String,
        updated_at: String,
        deleted_at: Option<String>,
    }
}
answers! {
    OneTracking { user_tracking: UserTracking of model::UserTracking }
    OneActivity { user_activity: UserActivity of model::UserActivity }
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TrackingUpdate {
    pub(crate) has_seen_intro_cutscene: bool,
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NewActivity {
    activity_type: ActivityType,
    #[schema(value_type = Option<Object>)]
    activity_data: Option<Map<String, Value>>,
    platform: DevicePlatform,
    #[serde(default)]
    #[schema(minimum = 0)]
    duration_seconds: i32,
}
impl NewActivity {
    /// Builds the request. The address is not stored: no statistic needs it.
    ///
    /// # Errors
    /// Fails when the data is nested too deeply: a protobuf message has a limit of its own.
    pub(crate) fn of(self, user_agent: String) -> Result<rpc::CreateActivityRequest, Error> {
        let too_deep = || Error::invalid(format!("activityData: at most {DEEPEST} levels"));
        let data = self.activity_data.map(|data| to_proto(data, DEEPEST).ok_or_else(too_deep)).transpose()?;
        Ok(rpc::CreateActivityRequest {
            activity_type: self.activity_type.into(),
            activity_data: data,
            platform: self.platform.into(),
            ip_address: String::new(),
            user_agent,
            duration_seconds: self.duration_seconds,
        })
    }
}

impl Shown<Option<Map<String, Value>>> for Option<Struct> {
    fn shown(self) -> Option<Map<String, Value>> {
        self.map(of_proto)
    }
}
fn of_proto(data: Struct) -> Map<String, Value> {
    data.fields.into_iter().map(|(name, value)| (name, value_of_proto(value))).collect()
}
fn value_of_proto(value: ProtoValue) -> Value {
    match value.kind {
        None | Some(Kind::NullValue(_)) => Value::Null,
        Some(Kind::BoolValue(value)) => value.into(),
        Some(Kind::NumberValue(value)) => number_of_proto(value),
        Some(Kind::StringValue(text)) => text.into(),
        Some(Kind::StructValue(data)) => Value::Object(of_proto(data)),
        Some(Kind::ListValue(list)) => list.values.into_iter().map(value_of_proto).collect(),
    }
}
/// Returns a whole number without a fraction, as JSON libraries of clients write it.
fn number_of_proto(value: f64) -> Value {
    /// The largest number up to which every whole number is exact.
    const EXACT: f64 = 9_007_199_254_740_991.0;
    if value.fract() == 0.0 && value.abs() <= EXACT {
        return Value::from(value as i64);
    }
    Number::from_f64(value).map_or(Value::Null, Value::Number)
}
/// Converts data of at most this many levels. `None` when it has more.
fn to_proto(data: Map<String, Value>, levels: usize) -> Option<Struct> {
    let levels = levels.checked_sub(1)?;
    let fields = data.into_iter().map(|(name, value)| Some((name, value_to_proto(value, levels)?)));
    Some(Struct { fields: fields.collect::<Option<_>>()? })
}
fn value_to_proto(value: Value, levels: usize) -> Option<ProtoValue> {
    let kind = match value {
        Value::Null => Kind::NullValue(0),
        Value::Bool(value) => Kind::BoolValue(value),
        Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or_default()),
        Value::String(text) => Kind::StringValue(text),
        Value::Array(items) => {
            let levels = levels.checked_sub(1)?;
            let values = items.into_iter().map(|item| value_to_proto(item, levels)).collect::<Option<_>>()?;
            Kind::ListValue(ListValue { values })
        }
        Value::Object(fields) => Kind::StructValue(to_proto(fields, levels)?),
    };
    Some(ProtoValue { kind: Some(kind) })
}

#[cfg(test)]
mod tests {
    use super::{of_proto, to_proto};
    use serde_json::{Value, json};

    #[test]
    fn data_is_the_same_after_both_conversions() {
        let data = json!({ "a": null, "b": true, "c": 1.5, "d": "글", "e": [1, -2, { "f": [] }], "h": 1e300, "g": {} });
        let Value::Object(fields) = data.clone() else { unreachable!() };
        assert_eq!(Value::Object(of_proto(to_proto(fields, 4).unwrap())), data);
    }
}
