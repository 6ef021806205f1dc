//! Tests of the nickname in prompts: it comes from the user service's events.
use crate::{
    fixture::{Fixture, KIM},
    neighbour::{ReportUser, Reported},
};
use uuid::Uuid;

service_edge::cases![a_person_is_addressed_by_the_current_nickname];

async fn a_person_is_addressed_by_the_current_nickname(fixture: Fixture) -> anyhow::Result<()> {
    let counsel = fixture.opened().await?;
    let registered = |nickname: String| Reported::Registered { user: KIM, nickname };
    let updated = |nickname: Option<&str>| Reported::Updated { user: KIM, nickname: nickname.map(str::to_owned) };
    let steps = [
        (None, None),
        (Some(registered(Uuid::now_v7().to_string())), None),
        (Some(updated(Some("김밤편지"))), Some("김밤편지")),
        (Some(updated(None)), Some("김밤편지")), // published by an older user service
        (Some(registered("옛이름".into())), Some("김밤편지")), // delivered late
        (Some(updated(Some("</Persona>"))), None),
    ];
    for (event, expected) in steps {
        if let Some(event) = event {
            fixture.neighbour.send(ReportUser(event)).await?;
            fixture.settle().await;
        }
        fixture.send(&counsel, Uuid::now_v7(), "안녕").await?;
        assert_eq!(fixture.responder.prompts().pop().unwrap().client.as_deref(), expected);
    }
    Ok(())
}
