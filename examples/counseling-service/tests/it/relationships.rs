//! Tests of relationships: rapport by the person's messages, the limit of a day, and who sees a relationship.
use crate::{
    catalogue::{is, names, nobody},
    fixture::{Fixture, KIM, LEE},
    responder::Step,
};
use contracts::v1::{
    model::CounselorUserRelationship,
    service::{
        CreateCounselRequest, FindBubblesRequest, FindCounselorUserRelationshipByIdRequest,
        FindCounselorUserRelationshipByUserAndCounselorIdRequest, FindCounselorUserRelationshipsRequest,
        FindCounselorsRequest,
    },
};
use service_edge::testing::by;
use tonic::{Code, Status};
use uuid::Uuid;

service_edge::cases![
    rapport_rises_by_the_persons_messages_alone,
    the_answer_to_a_bubble_counts_as_a_message,
    a_retried_message_counts_once,
    defect_09_rapport_rises_again_after_a_day_at_the_limit,
    defect_15_concurrent_first_messages_begin_one_relationship,
    relationships_are_listed_newest_first,
    another_persons_relationship_is_not_found,
];

impl Fixture {
    async fn relationships(&self, user: Uuid) -> Result<Vec<CounselorUserRelationship>, Status> {
        self.settle().await;
        let request = FindCounselorUserRelationshipsRequest { user_id: user.to_string(), ..Default::default() };
        let found = self.counsels.clone().find_counselor_user_relationships(by(user, request)).await?.into_inner();
        Ok(found.counselor_user_relationships)
    }
    async fn relationship_with(&self, user: Uuid, counselor_id: &str) -> Result<CounselorUserRelationship, Status> {
        let (user_id, counselor_id) = (user.to_string(), counselor_id.to_owned());
        let request = FindCounselorUserRelationshipByUserAndCounselorIdRequest { user_id, counselor_id };
        let mut client = self.counsels.clone();
        let found = client.find_counselor_user_relationship_by_user_and_counselor_id(by(user, request)).await?;
        Ok(found.into_inner().counselor_user_relationship.unwrap_or_default())
    }
    async fn relationship(&self, user: Uuid, id: &str) -> Result<CounselorUserRelationship, Status> {
        let request = by(user, FindCounselorUserRelationshipByIdRequest { relationship_id: id.into() });
        let found = self.counsels.clone().find_counselor_user_relationship_by_id(request).await?.into_inner();
        Ok(found.counselor_user_relationship.unwrap_or_default())
    }
    async fn open_with(&self, counselor_id: &str) -> Result<String, Status> {
        let (user_id, counselor_id) = (KIM.to_string(), counselor_id.to_owned());
        let request = CreateCounselRequest { user_id, counselor_id, ..Default::default() };
        Ok(self.open(request).await?.counsel.unwrap_or_default().id)
    }
}

async fn rapport_rises_by_the_persons_messages_alone(fixture: Fixture) -> anyhow::Result<()> {
    let (counselor_id, counsel) = (fixture.counselor().await?, fixture.opened().await?);
    assert_eq!(fixture.relationships(KIM).await?, [], "a greeting begins no relationship");
    is(fixture.relationship_with(KIM, &counselor_id).await, Code::NotFound);
    for rapport in 1..=3 {
        fixture.environment.pass(60);
        fixture.send(&counsel, Uuid::now_v7(), &format!("{rapport}번째 말")).await?;
        let found = fixture.relationships(KIM).await?;
        assert!(matches!(&found[..], [one] if one.rapport == rapport && one.counselor_id == counselor_id), "{found:?}");
    }
    let found = fixture.relationships(KIM).await?.remove(0);
    assert!(found.user_id == KIM.to_string() && found.updated_at > found.created_at);
    assert_eq!(fixture.relationship_with(KIM, &counselor_id).await?, found);
    assert_eq!(fixture.relationship(KIM, &found.id).await?, found);
    Ok(())
}

async fn the_answer_to_a_bubble_counts_as_a_message(fixture: Fixture) -> anyhow::Result<()> {
    let counselor_id = fixture.counselor().await?;
    let of = FindBubblesRequest { counselor_id: counselor_id.clone(), ..Default::default() };
    let bubble = fixture.counselors.clone().find_bubbles(of).await?.into_inner().bubbles.remove(0);
    let request = CreateCounselRequest {
        user_id: KIM.to_string(),
        counselor_id,
        bubble_id: Some(bubble.id),
        response_option_no: Some(1),
        exchange_id: Some(nobody()),
        ..Default::default()
    };
    fixture.open(request).await?;
    assert_eq!(fixture.relationships(KIM).await?[0].rapport, 1);
    Ok(())
}

async fn a_retried_message_counts_once(fixture: Fixture) -> anyhow::Result<()> {
    let (counsel, exchange) = (fixture.opened().await?, Uuid::now_v7());
    fixture.responder.then(Step::Fail);
    is(fixture.send(&counsel, exchange, "안녕").await, Code::Unavailable);
    assert_eq!(fixture.relationships(KIM).await?[0].rapport, 1, "it counts when it is sent");
    for _ in 0..2 {
        fixture.send(&counsel, exchange, "안녕").await?;
    }
    assert_eq!(fixture.relationships(KIM).await?[0].rapport, 1);
    Ok(())
}

async fn defect_09_rapport_rises_again_after_a_day_at_the_limit(fixture: Fixture) -> anyhow::Result<()> {
    let counsel = fixture.opened().await?;
    let say = async |times: u32| {
        for number in 0..times {
            fixture.send(&counsel, Uuid::now_v7(), &format!("{number}")).await?;
        }
        anyhow::Ok(fixture.relationships(KIM).await?[0].rapport)
    };
    // The day must not end in Seoul meanwhile, so the clock is put to a minute after midnight there.
    fixture.environment.pass(until_midnight_in_seoul(&fixture.relationship_day(&counsel).await?) + 60);
    assert_eq!(say(22).await?, 21, "one of the day before, and twenty of this day");
    fixture.environment.pass(24 * 3600);
    assert_eq!(say(1).await?, 22);
    assert_eq!(say(21).await?, 41);
    Ok(())
}
fn until_midnight_in_seoul(at: &str) -> u64 {
    let at: cqrs_core::Timestamp = at.parse().unwrap();
    let second_of_day = (at.timestamp() + 9 * 3600).rem_euclid(24 * 3600);
    (24 * 3600 - second_of_day).try_into().unwrap()
}
impl Fixture {
    /// Sends a message and returns its time.
    async fn relationship_day(&self, counsel: &str) -> Result<String, Status> {
        let sent = self.send(counsel, Uuid::now_v7(), "처음").await?;
        Ok(sent.created_counsel_message.unwrap_or_default().created_at)
    }
}

async fn defect_15_concurrent_first_messages_begin_one_relationship(fixture: Fixture) -> anyhow::Result<()> {
    let counselor_id = fixture.counselor().await?;
    let mut counsels = Vec::new();
    for _ in 0..4 {
        counsels.push(fixture.open_with(&counselor_id).await?);
    }
    let sent = counsels.iter().map(|counsel| fixture.send(counsel, Uuid::now_v7(), "안녕"));
    for one in futures_util::future::join_all(sent).await {
        one?;
    }
    let found = fixture.relationships(KIM).await?;
    assert!(matches!(&found[..], [one] if one.rapport == 4), "{found:?}");
    Ok(())
}

async fn relationships_are_listed_newest_first(fixture: Fixture) -> anyhow::Result<()> {
    let all =
        fixture.counselors.clone().find_counselors(FindCounselorsRequest::default()).await?.into_inner().counselors;
    for counselor in &all {
        fixture.environment.pass(60);
        let counsel = fixture.open_with(&counselor.id).await?;
        fixture.send(&counsel, Uuid::now_v7(), "안녕").await?;
    }
    let found = fixture.relationships(KIM).await?;
    let counselors: Vec<_> = found.iter().map(|relationship| &relationship.counselor_id).collect();
    assert_eq!(counselors, all.iter().rev().map(|counselor| &counselor.id).collect::<Vec<_>>());
    let page = async |after: Option<String>| {
        let request = FindCounselorUserRelationshipsRequest { user_id: KIM.to_string(), after, limit: Some(2) };
        anyhow::Ok(fixture.counsels.clone().find_counselor_user_relationships(by(KIM, request)).await?.into_inner())
    };
    let first = page(None).await?;
    let rest = page(first.next).await?;
    let pages = [first.counselor_user_relationships, rest.counselor_user_relationships].concat();
    assert_eq!((pages, rest.next), (found, None));
    assert_eq!(fixture.relationships(LEE).await?, []);
    Ok(())
}

async fn another_persons_relationship_is_not_found(fixture: Fixture) -> anyhow::Result<()> {
    let (counselor_id, counsel) = (fixture.counselor().await?, fixture.opened().await?);
    fixture.send(&counsel, Uuid::now_v7(), "안녕").await?;
    let kims = fixture.relationships(KIM).await?.remove(0);
    let there = fixture.relationship(LEE, &kims.id).await.unwrap_err();
    let not_there = fixture.relationship(LEE, &nobody()).await.unwrap_err();
    assert_eq!((there.code(), not_there.code()), (Code::NotFound, Code::NotFound));
    is(fixture.relationship_with(LEE, &counselor_id).await, Code::NotFound);
    let of_kim = FindCounselorUserRelationshipsRequest { user_id: KIM.to_string(), ..Default::default() };
    let listed = fixture.counsels.clone().find_counselor_user_relationships(by(LEE, of_kim)).await;
    is(listed, Code::PermissionDenied);
    let of_kim = FindCounselorUserRelationshipByUserAndCounselorIdRequest { user_id: KIM.to_string(), counselor_id };
    let found =
        fixture.counsels.clone().find_counselor_user_relationship_by_user_and_counselor_id(by(LEE, of_kim)).await;
    is(found, Code::PermissionDenied);
    names(fixture.relationship(KIM, "관계").await, "relationship_id");
    names(fixture.relationship_with(KIM, "하늘").await, "counselor_id");
    Ok(())
}
