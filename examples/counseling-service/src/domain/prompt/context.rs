//! The attributes of a counsel that rules refer to, as an analysis finds them.
use serde::{Deserialize, Serialize};

/// Defines an attribute with its values.
macro_rules! attribute {
    ($(#[$doc:meta])* $name:ident { $($value:ident),* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        pub enum $name { $($value),* }
        impl $name {
            /// All values, in the order of the contract.
            pub const ALL: &[$name] = &[$($name::$value),*];
        }
    };
}

attribute!(
    /// The area of life that the counsel is about.
    ImpactDomain { Work, Study, Relationship, Family, Health, Finance, Oneself, Other }
);
attribute!(
    /// The time for which the matter has lasted.
    Timeframe { Today, ThisWeek, ThisMonth, ThisYear, Longer }
);
attribute!(
    /// The strongest emotion.
    EmotionPrimary { Anxiety, Sadness, Anger, Loneliness, Guilt, Shame, Stress, Hope, Calm, Other }
);
attribute!(
    /// The pleasantness of the emotion.
    Valence { Negative, Neutral, Positive }
);
attribute!(
    /// The person's excitement.
    ArousalLevel { Low, Medium, High }
);
attribute!(
    /// The control over the matter that the person believes to have.
    PerceivedControl { Low, Medium, High }
);
attribute!(
    /// The stage of change of the transtheoretical model.
    MotivationStage { Precontemplation, Contemplation, Preparation, Action, Maintenance }
);
attribute!(
    /// The support that the person gets from others.
    SocialSupportLevel { None, Low, Medium, High }
);
attribute!(
    /// A danger to somebody.
    RiskKind { None, SelfHarm, HarmToOthers, Abuse }
);
attribute!(
    /// The person's sleep.
    SleepQuality { Poor, Fair, Good }
);
attribute!(
    /// The load on the person's mind.
    CognitiveLoad { Low, Medium, High }
);
attribute!(
    /// The person's trust in the counsellor.
    AllianceStrength { Weak, Medium, Strong }
);
