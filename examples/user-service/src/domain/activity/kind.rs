//! The kinds of activities and devices, by the names of the contract without their prefix.

/// Defines an enum whose variants have names in capitals.
macro_rules! named {
    ($(#[$doc:meta])* $type:ident { $($variant:ident = $name:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        pub enum $type { $($variant),* }
        impl $type {
            /// Returns the name in capitals.
            pub fn name(self) -> &'static str {
                match self { $($type::$variant => $name),* }
            }
            /// Returns the value with this name, if there is one.
            pub fn named(name: &str) -> Option<Self> {
                match name { $($name => Some($type::$variant),)* _ => None }
            }
        }
    };
}

named! {
    /// The kind of an activity.
    ActivityKind {
        Login = "LOGIN",
        Logout = "LOGOUT",
        UnloginnedUserComeIn = "UNLOGINNED_USER_COME_IN",
        UnloginnedUserStartedCounseling = "UNLOGINNED_USER_STARTED_COUNSELING",
        UnloginnedUserFinishedCounseling = "UNLOGINNED_USER_FINISHED_COUNSELING",
        OnboardingStart = "ONBOARDING_START",
        OnboardingEnd = "ONBOARDING_END",
        SetConversationPreference = "SET_CONVERSATION_PREFERENCE",
        CounselingStart = "COUNSELING_START",
        CounselingEnd = "COUNSELING_END",
        ProfileUpdate = "PROFILE_UPDATE",
        FeedbackSubmit = "FEEDBACK_SUBMIT",
        SubscriptionStart = "SUBSCRIPTION_START",
        SubscriptionCancel = "SUBSCRIPTION_CANCEL",
        PaymentComplete = "PAYMENT_COMPLETE",
    }
}
named! {
    /// The device of a person.
    Platform {
        Web = "WEB",
        Ios = "IOS",
        Android = "ANDROID",
        Desktop = "DESKTOP",
    }
}
