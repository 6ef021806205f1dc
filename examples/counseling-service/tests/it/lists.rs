//! Tests of lists: order, pages, and the seeds.
use crate::fixture::{Fixture, KIM, LEE};
use contracts::v1::service::{
    CreateCounselRequest, FindBubbleByIdRequest, FindBubblesRequest, FindCounselorByIdRequest, FindCounselorsRequest,
    FindCounselsRequest, FindMessagesRequest, FindRandomBubbleRequest, FindToneByIdRequest, FindTonesRequest,
};
use cqrs_core::grpc::details;
use service_edge::testing::by;
use std::collections::BTreeSet;
use tonic::Code;
use uuid::Uuid;

service_edge::cases![
    counsels_are_listed_newest_first,
    messages_are_listed_in_the_order_of_the_counsel,
    messages_are_paged_backwards,
    a_list_without_a_limit_has_up_to_a_thousand_entries,
    an_invalid_cursor_or_limit_is_refused,
    counsellors_are_listed_and_found_by_id_and_tone,
    bubbles_are_listed_drawn_and_found_per_counsellor,
    tones_are_found_by_their_exact_name,
    seeding_again_changes_nothing,
];

async fn counsels_are_listed_newest_first(fixture: Fixture) -> anyhow::Result<()> {
    let all = fixture.counselors.clone().find_counselors(FindCounselorsRequest::default()).await?.into_inner();
    let mut opened = Vec::new();
    for counselor in [0, 1, 0, 1, 0] {
        let (user_id, counselor_id) = (KIM.to_string(), all.counselors[counselor].id.clone());
        let counsel = fixture.open(CreateCounselRequest { user_id, counselor_id, ..Default::default() }).await?.counsel;
        opened.insert(0, counsel.unwrap());
    }
    let mut client = fixture.counsels.clone();
    let (user_id, limit) = (KIM.to_string(), Some(2));
    let mut request = FindCounselsRequest { user_id: user_id.clone(), limit, ..Default::default() };
    let mut found = Vec::new();
    loop {
        let page = client.find_counsels(by(KIM, request.clone())).await?.into_inner();
        assert!(page.counsels.len() <= 2);
        found.extend(page.counsels);
        let Some(next) = page.next else { break };
        request.after = Some(next);
    }
    assert_eq!(found, opened);
    let counselor_id = Some(all.counselors[1].id.clone());
    let with_one = FindCounselsRequest { user_id, counselor_id, ..Default::default() };
    let with_one = client.find_counsels(by(KIM, with_one)).await?.into_inner();
    assert_eq!((with_one.counsels, with_one.next), (vec![opened[1].clone(), opened[3].clone()], None));
    let lees = FindCounselsRequest { user_id: LEE.to_string(), ..Default::default() };
    assert!(client.find_counsels(by(LEE, lees)).await?.into_inner().counsels.is_empty());
    Ok(())
}

async fn messages_are_listed_in_the_order_of_the_counsel(fixture: Fixture) -> anyhow::Result<()> {
    let counsel_id = fixture.opened().await?;
    for number in 0..12 {
        fixture.send(&counsel_id, Uuid::now_v7(), &format!("{number}")).await?;
    }
    let all = fixture.messages(&counsel_id).await?;
    let sent: Vec<_> =
        all.iter().filter(|message| message.is_user_message).map(|message| message.message.parse().unwrap()).collect();
    assert_eq!((all.len(), sent), (25, (0..12).collect::<Vec<u32>>()));
    let mut client = fixture.counsels.clone();
    let first = FindMessagesRequest { counsel_id: counsel_id.clone(), limit: Some(20), ..Default::default() };
    let first = client.find_messages(by(KIM, first)).await?.into_inner();
    let rest = FindMessagesRequest { counsel_id, after: first.next, ..Default::default() };
    let rest = client.find_messages(by(KIM, rest)).await?.into_inner();
    assert_eq!(([first.counsel_messages, rest.counsel_messages].concat(), rest.next), (all, None));
    Ok(())
}

async fn an_invalid_cursor_or_limit_is_refused(fixture: Fixture) -> anyhow::Result<()> {
    let counsel_id = fixture.opened().await?;
    let user_id = KIM.to_string();
    for (after, limit, field) in [
        (Some("somewhere".to_owned()), None, "after"),
        (Some(String::new()), None, "after"),
        (None, Some(0), "limit"),
        (None, Some(-1), "limit"),
        (None, Some(101), "limit"),
    ] {
        let messages =
            FindMessagesRequest { counsel_id: counsel_id.clone(), after: after.clone(), limit, before: None };
        let counsels =
            FindCounselsRequest { user_id: user_id.clone(), after: after.clone(), limit, counselor_id: None };
        let tones = FindTonesRequest { after, limit, name: None };
        let (mut client, mut counselors) = (fixture.counsels.clone(), fixture.counselors.clone());
        for answer in [
            client.find_messages(by(KIM, messages)).await.map(drop),
            client.find_counsels(by(KIM, counsels)).await.map(drop),
            counselors.find_tones(tones).await.map(drop),
        ] {
            let refused = answer.unwrap_err();
            assert_eq!(refused.code(), Code::InvalidArgument);
            assert_eq!(details(&refused).fields[0].0, field);
        }
    }
    Ok(())
}

async fn counsellors_are_listed_and_found_by_id_and_tone(fixture: Fixture) -> anyhow::Result<()> {
    let mut client = fixture.counselors.clone();
    let all = client.find_counselors(FindCounselorsRequest::default()).await?.into_inner().counselors;
    let tones: BTreeSet<_> = all.iter().map(|counselor| &counselor.tone_id).collect();
    assert!(all.len() >= 3 && tones.len() == all.len());
    for counselor in &all {
        let counselor_id = counselor.id.clone();
        let found = client.find_counselor_by_id(FindCounselorByIdRequest { counselor_id }).await?.into_inner();
        assert_eq!(found.counselor.as_ref(), Some(counselor));
        let of_tone = FindCounselorsRequest { tone_id: Some(counselor.tone_id.clone()), ..Default::default() };
        let found = client.find_counselors(of_tone).await?.into_inner().counselors;
        assert_eq!(found.as_slice(), std::slice::from_ref(counselor));
        let tone_id = counselor.tone_id.clone();
        assert!(client.find_tone_by_id(FindToneByIdRequest { tone_id }).await?.into_inner().tone.is_some());
    }
    let unknown = FindCounselorByIdRequest { counselor_id: Uuid::now_v7().to_string() };
    assert_eq!(client.find_counselor_by_id(unknown).await.unwrap_err().code(), Code::NotFound);
    let bad = FindCounselorByIdRequest { counselor_id: "하늘".into() };
    assert_eq!(client.find_counselor_by_id(bad).await.unwrap_err().code(), Code::InvalidArgument);
    Ok(())
}

async fn bubbles_are_listed_drawn_and_found_per_counsellor(fixture: Fixture) -> anyhow::Result<()> {
    let mut client = fixture.counselors.clone();
    let all = client.find_counselors(FindCounselorsRequest::default()).await?.into_inner().counselors;
    let (counselor_id, other) = (all[0].id.clone(), all[1].id.clone());
    let of = FindBubblesRequest { counselor_id: counselor_id.clone(), ..Default::default() };
    let bubbles = client.find_bubbles(of).await?.into_inner().bubbles;
    assert_eq!(bubbles.len(), 3);
    let mut drawn = BTreeSet::new();
    for _ in 0..64 {
        let random = FindRandomBubbleRequest { counselor_id: counselor_id.clone() };
        drawn.insert(client.find_random_bubble(random).await?.into_inner().bubble.unwrap().id);
    }
    assert_eq!(drawn, bubbles.iter().map(|bubble| bubble.id.clone()).collect());
    let bubble_id = bubbles[0].id.clone();
    let found = FindBubbleByIdRequest { bubble_id: bubble_id.clone(), counselor_id };
    assert_eq!(client.find_bubble_by_id(found).await?.into_inner().bubble.as_ref(), Some(&bubbles[0]));
    let of_another = FindBubbleByIdRequest { bubble_id, counselor_id: other };
    assert_eq!(client.find_bubble_by_id(of_another).await.unwrap_err().code(), Code::NotFound);
    let of_nobody = FindRandomBubbleRequest { counselor_id: Uuid::now_v7().to_string() };
    assert_eq!(client.find_random_bubble(of_nobody).await.unwrap_err().code(), Code::NotFound);
    Ok(())
}

async fn tones_are_found_by_their_exact_name(fixture: Fixture) -> anyhow::Result<()> {
    let mut client = fixture.counselors.clone();
    let all = client.find_tones(FindTonesRequest::default()).await?.into_inner().tones;
    assert!(all.len() >= 3);
    let named = FindTonesRequest { name: Some(all[1].name.clone()), ..Default::default() };
    assert_eq!(client.find_tones(named).await?.into_inner().tones, [all[1].clone()]);
    let part = FindTonesRequest { name: Some(all[1].name.chars().take(2).collect()), ..Default::default() };
    assert!(client.find_tones(part).await?.into_inner().tones.is_empty());
    Ok(())
}

async fn seeding_again_changes_nothing(fixture: Fixture) -> anyhow::Result<()> {
    let mut client = fixture.counselors.clone();
    let before = client.find_counselors(FindCounselorsRequest::default()).await?.into_inner();
    let end = fixture.app.storage().high_water_mark().await?;
    counseling_service::seed(&fixture.app).await.map_err(anyhow::Error::from_boxed)?;
    // Several processes at once, after the retention of stored responses.
    fixture.environment.pass(8 * 24 * 3600);
    let (one, other) = tokio::join!(counseling_service::seed(&fixture.app), counseling_service::seed(&fixture.app));
    one.and(other).map_err(anyhow::Error::from_boxed)?;
    assert_eq!(fixture.app.storage().high_water_mark().await?, end);
    assert_eq!(client.find_counselors(FindCounselorsRequest::default()).await?.into_inner(), before);
    Ok(())
}

async fn messages_are_paged_backwards(fixture: Fixture) -> anyhow::Result<()> {
    let counsel_id = fixture.opened().await?;
    for number in 0..5 {
        fixture.send(&counsel_id, Uuid::now_v7(), &format!("{number}")).await?;
    }
    let all = fixture.messages(&counsel_id).await?;
    let find = async |after: Option<String>, before: Option<String>, limit| {
        let request = FindMessagesRequest { counsel_id: counsel_id.clone(), after, before, limit };
        fixture.counsels.clone().find_messages(by(KIM, request)).await.map(tonic::Response::into_inner)
    };
    // The whole list needs no other page.
    let whole = find(None, None, None).await?;
    assert_eq!((whole.counsel_messages.len(), &whole.next, &whole.previous), (11, &None, &None));
    // From the last page to the first, and forwards again.
    let first = find(None, None, Some(9)).await?;
    let last = find(first.next.clone(), None, Some(9)).await?;
    assert_eq!((&first.previous, &last.next, last.counsel_messages.as_slice()), (&None, &None, &all[9..]));
    let middle = find(None, last.previous.clone(), Some(4)).await?;
    assert_eq!(middle.counsel_messages, all[5..9]);
    let start = find(None, middle.previous.clone(), Some(100)).await?;
    assert_eq!((start.counsel_messages.as_slice(), &start.previous), (&all[..5], &None));
    let forwards = find(start.next, None, None).await?;
    assert_eq!(forwards.counsel_messages, all[5..]);
    // A cursor of the other direction, of both, or of neither is refused.
    for (after, before) in [
        (None, first.next.clone()),
        (first.next.clone(), last.previous.clone()),
        (None, Some("b.somewhere".to_owned())),
        (None, Some(String::new())),
    ] {
        let refused = find(after, before, None).await.unwrap_err();
        assert_eq!((refused.code(), details(&refused).fields[0].0.as_str()), (Code::InvalidArgument, "before"));
    }
    let refused = find(last.previous, None, None).await.unwrap_err();
    assert_eq!((refused.code(), details(&refused).fields[0].0.as_str()), (Code::InvalidArgument, "after"));
    // So is one of another counsel.
    let request = FindMessagesRequest { counsel_id: fixture.opened().await?, after: first.next, ..Default::default() };
    let refused = fixture.counsels.clone().find_messages(by(KIM, request)).await.unwrap_err();
    let reason = details(&refused).reason;
    assert_eq!((refused.code(), reason.as_deref()), (Code::InvalidArgument, Some("CURSOR_OF_ANOTHER_RANGE")));
    Ok(())
}

async fn a_list_without_a_limit_has_up_to_a_thousand_entries(fixture: Fixture) -> anyhow::Result<()> {
    let counsel_id = fixture.opened().await?;
    for number in 0..51 {
        fixture.send(&counsel_id, Uuid::now_v7(), &format!("{number}")).await?;
    }
    assert_eq!(fixture.messages(&counsel_id).await?.len(), 103);
    let limited = FindMessagesRequest { counsel_id, limit: Some(100), ..Default::default() };
    let limited = fixture.counsels.clone().find_messages(by(KIM, limited)).await?.into_inner();
    assert_eq!(limited.counsel_messages.len(), 100);
    Ok(())
}
