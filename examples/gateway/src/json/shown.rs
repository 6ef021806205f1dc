//! The conversion of a field between the contracts and JSON.

/// Converts the value of a field: enums between numbers and names, models to their JSON; everything else is kept.
pub(crate) trait Shown<J> {
    fn shown(self) -> J;
}
impl<T> Shown<T> for T {
    fn shown(self) -> T {
        self
    }
}

/// Defines the JSON of a model of the contracts, whose fields have the same names there.
macro_rules! shown {
    ($(#[$attribute:meta])* $name:ident of $model:ident { $($(#[$of_field:meta])* $field:ident: $type:ty),* $(,)? }) => {
        $(#[$attribute])*
        #[derive(serde::Serialize, utoipa::ToSchema)]
        #[serde(rename_all = "camelCase")]
        pub(crate) struct $name {
            $($(#[$of_field])* $field: $type),*
        }
        impl From<contracts::v1::model::$model> for $name {
            fn from(model: contracts::v1::model::$model) -> Self {
                use crate::json::shown::Shown;
                $name { $($field: model.$field.shown()),* }
            }
        }
    };
}

/// Defines the data of an answer with one model, which is converted from a model of the contracts.
macro_rules! answers {
    ($($name:ident { $field:ident: $json:ident of $($model:ident)::+ })*) => {$(
        #[derive(serde::Serialize, utoipa::ToSchema)]
        #[serde(rename_all = "camelCase")]
        pub(crate) struct $name {
            $field: $json,
        }
        impl From<contracts::v1::$($model)::+> for $name {
            fn from(model: contracts::v1::$($model)::+) -> Self {
                $name { $field: model.into() }
            }
        }
    )*};
}
/// Defines the data of an answer with a page of a list, which is converted from a response of the contracts. Its field
/// has the same name there.
macro_rules! pages {
    ($($name:ident { $field:ident: [$json:ident] of $response:ident })*) => {$(
        #[derive(serde::Serialize, utoipa::ToSchema)]
        #[serde(rename_all = "camelCase")]
        pub(crate) struct $name {
            $field: Vec<$json>,
            /// The start of the next page; absent on the last one.
            next: Option<String>,
        }
        impl From<contracts::v1::service::$response> for $name {
            fn from(found: contracts::v1::service::$response) -> Self {
                $name { $field: crate::json::each(found.$field), next: found.next }
            }
        }
    )*};
}
pub(crate) use {answers, pages, shown};
