//! Tests of the callers of each RPC of the catalogue and of relationships: unsigned, the gateway, a person, an
//! administrator.
use crate::fixture::{Fixture, KIM};
use contracts::v1::service::{
    counsel_service_client::CounselServiceClient, counselor_service_client::CounselorServiceClient,
};
use service_edge::testing::{by, by_admin};
use tonic::{Code, Request};

service_edge::cases![each_rpc_is_for_the_callers_of_the_contract];

/// A caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Caller {
    /// Without a signature.
    Nobody,
    /// The gateway for a visitor.
    Gateway,
    Person,
    Administrator,
}

/// An empty request of this caller. When the caller is allowed, its answer is a list or the refusal of a field.
fn request<M: Default>(caller: Caller) -> Request<M> {
    match caller {
        Caller::Nobody | Caller::Gateway => Request::new(M::default()),
        Caller::Person => by(KIM, M::default()),
        Caller::Administrator => by_admin(KIM, M::default()),
    }
}

/// Calls each RPC and returns its name, the callers that it is for, and the code of the answer.
macro_rules! call_each {
    ($caller:expr, $($client:expr => { $($access:literal: $($method:ident),+;)+ })+) => {{
        let mut codes = Vec::new();
        $($($({
            let answer = $client.clone().$method(request($caller)).await;
            codes.push((stringify!($method), $access, answer.map_or_else(|status| status.code(), |_| Code::Ok)));
        })+)+)+
        codes
    }};
}
macro_rules! call_all {
    ($caller:expr, $counselors:expr, $counsels:expr) => {
        call_each!($caller,
            $counselors => {
                "public": find_counselors, find_counselor_by_id, find_bubbles, find_bubble_by_id, find_random_bubble,
                    find_tones, find_tone_by_id;
                "person": find_episodes, find_episode_by_id;
                "admin": create_counselor, update_counselor, generate_counselor_image_url, create_bubble, update_bubble,
                    delete_bubble, create_episode, update_episode, generate_cut_scene_image_url, create_tone, update_tone;
            }
            $counsels => {
                "person": find_counselor_user_relationship_by_id, find_counselor_user_relationships,
                    find_counselor_user_relationship_by_user_and_counselor_id;
            }
        )
    };
}

async fn each_rpc_is_for_the_callers_of_the_contract(fixture: Fixture) -> anyhow::Result<()> {
    let end = fixture.app.storage().high_water_mark().await?;
    let (counselors, counsels) = (&fixture.counselors, &fixture.counsels);
    let mut answers = Vec::new();
    for caller in [Caller::Gateway, Caller::Person, Caller::Administrator] {
        answers.extend(call_all!(caller, counselors, counsels).into_iter().map(|answer| (caller, answer)));
    }
    let counselors = CounselorServiceClient::new(fixture.channel.clone());
    let counsels = CounselServiceClient::new(fixture.channel.clone());
    let unsigned = call_all!(Caller::Nobody, counselors, counsels);
    answers.extend(unsigned.into_iter().map(|answer| (Caller::Nobody, answer)));

    assert_eq!(answers.len(), 4 * 23);
    for (caller, (method, access, code)) in answers {
        let refusal = match (access, caller) {
            (_, Caller::Nobody) | ("person" | "admin", Caller::Gateway) => Some(Code::Unauthenticated),
            ("admin", Caller::Person) => Some(Code::PermissionDenied),
            _ => None,
        };
        match refusal {
            Some(refusal) => assert_eq!(code, refusal, "{method} as {caller:?}"),
            None => assert!(matches!(code, Code::Ok | Code::InvalidArgument), "{method} as {caller:?}: {code}"),
        }
    }
    assert_eq!(fixture.app.storage().high_water_mark().await?, end);
    Ok(())
}
