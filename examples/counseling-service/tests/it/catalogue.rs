//! Tests of counsellors, tones and bubbles: changes by administrators, and refusals.
use crate::fixture::{Fixture, KIM};
use contracts::v1::{
    model::{Bubble, Counselor, CounselorGender, Tone},
    service::{
        CreateBubbleRequest, CreateCounselRequest, CreateCounselorRequest, CreateToneRequest, DeleteBubbleRequest,
        FindBubbleByIdRequest, FindBubblesRequest, FindCounselorByIdRequest, FindCounselorsRequest,
        FindRandomBubbleRequest, FindToneByIdRequest, FindTonesRequest, UpdateBubbleRequest, UpdateCounselorRequest,
        UpdateToneRequest,
    },
};
use cqrs_core::grpc::{details, header};
use service_edge::testing::by_admin;
use tonic::{Code, Status};
use uuid::Uuid;

service_edge::cases![
    a_counsellor_is_created_found_and_changed,
    a_tone_is_created_found_and_changed,
    a_bubble_is_created_found_and_changed,
    the_tone_of_a_counsellor_must_exist_on_create_and_update,
    each_bad_field_is_named_and_nothing_changes,
    an_update_of_nothing_and_of_nobody_is_refused,
    the_same_key_creates_one_counsellor,
    edits_of_seeds_survive_another_seeding,
    defect_11_missing_bubbles_are_not_found,
    defect_19_a_bubble_never_moves_to_another_counsellor,
    defect_19_deleting_a_bubble_succeeds_and_counsels_stay,
];

impl Fixture {
    pub(crate) async fn create_counselor(&self, request: CreateCounselorRequest) -> Result<Counselor, Status> {
        let created = self.counselors.clone().create_counselor(by_admin(KIM, request)).await?.into_inner();
        Ok(created.counselor.unwrap_or_default())
    }
    pub(crate) async fn update_counselor(&self, request: UpdateCounselorRequest) -> Result<Counselor, Status> {
        let updated = self.counselors.clone().update_counselor(by_admin(KIM, request)).await?.into_inner();
        Ok(updated.counselor.unwrap_or_default())
    }
    async fn create_tone(&self, name: &str, description: &str) -> Result<Tone, Status> {
        let request = CreateToneRequest { name: name.into(), description: description.into() };
        Ok(self.counselors.clone().create_tone(by_admin(KIM, request)).await?.into_inner().tone.unwrap_or_default())
    }
    async fn update_tone(&self, request: UpdateToneRequest) -> Result<Tone, Status> {
        Ok(self.counselors.clone().update_tone(by_admin(KIM, request)).await?.into_inner().tone.unwrap_or_default())
    }
    async fn create_bubble(&self, request: CreateBubbleRequest) -> Result<Bubble, Status> {
        Ok(self.counselors.clone().create_bubble(by_admin(KIM, request)).await?.into_inner().bubble.unwrap_or_default())
    }
    async fn update_bubble(&self, request: UpdateBubbleRequest) -> Result<Bubble, Status> {
        Ok(self.counselors.clone().update_bubble(by_admin(KIM, request)).await?.into_inner().bubble.unwrap_or_default())
    }
    async fn delete_bubble(&self, bubble_id: &str, counselor_id: &str) -> Result<bool, Status> {
        let request = DeleteBubbleRequest { bubble_id: bubble_id.into(), counselor_id: counselor_id.into() };
        Ok(self.counselors.clone().delete_bubble(by_admin(KIM, request)).await?.into_inner().success)
    }
    async fn bubbles(&self, counselor_id: &str) -> Result<Vec<Bubble>, Status> {
        let request = FindBubblesRequest { counselor_id: counselor_id.into(), ..Default::default() };
        Ok(self.counselors.clone().find_bubbles(request).await?.into_inner().bubbles)
    }
    async fn all_counselors(&self) -> Result<Vec<Counselor>, Status> {
        let found = self.counselors.clone().find_counselors(FindCounselorsRequest::default()).await?.into_inner();
        Ok(found.counselors)
    }
    /// Returns the highest position of the log, which a refused command does not move.
    async fn end(&self) -> anyhow::Result<impl PartialEq + std::fmt::Debug + use<>> {
        Ok(self.app.storage().high_water_mark().await?)
    }
}

/// Checks that a request was refused as invalid because of this field.
#[track_caller]
pub(crate) fn names<T: std::fmt::Debug>(answer: Result<T, Status>, field: &str) {
    let refused = answer.unwrap_err();
    let named: Vec<_> = details(&refused).fields.into_iter().map(|(name, _)| name).collect();
    assert_eq!((refused.code(), named), (Code::InvalidArgument, vec![field.to_owned()]), "{refused}");
}
#[track_caller]
pub(crate) fn is<T: std::fmt::Debug>(answer: Result<T, Status>, code: Code) {
    assert_eq!(answer.unwrap_err().code(), code);
}
pub(crate) fn nobody() -> String {
    Uuid::now_v7().to_string()
}

/// A valid new counsellor with the tone of the first one.
pub(crate) async fn new_counselor(fixture: &Fixture) -> Result<CreateCounselorRequest, Status> {
    Ok(CreateCounselorRequest {
        tone_id: fixture.all_counselors().await?.remove(0).tone_id,
        name: "바다".into(),
        description: "무슨 말이든 끝까지 듣는 상담사예요.".into(),
        profile_image: String::new(),
        counselor_gender: CounselorGender::None.into(),
    })
}
fn new_bubble(counselor_id: &str) -> CreateBubbleRequest {
    CreateBubbleRequest {
        counselor_id: counselor_id.into(),
        question: "오늘 어땠어요?".into(),
        response_option1: "좋았어요".into(),
        response_option2: "힘들었어요".into(),
    }
}

async fn a_counsellor_is_created_found_and_changed(fixture: Fixture) -> anyhow::Result<()> {
    let created = fixture.create_counselor(new_counselor(&fixture).await?).await?;
    assert_eq!((created.name.as_str(), created.gender()), ("바다", CounselorGender::None));
    assert!(created.profile_image.is_empty() && created.created_at == created.updated_at);
    let find = FindCounselorByIdRequest { counselor_id: created.id.clone() };
    let found = fixture.counselors.clone().find_counselor_by_id(find.clone()).await?.into_inner().counselor;
    assert_eq!(found.as_ref(), Some(&created));
    assert_eq!(fixture.all_counselors().await?.last(), Some(&created));

    fixture.environment.pass(60);
    // The name is sent in parts, as some keyboards do; it is stored composed.
    let name = Some(" \u{1112}\u{1161}\u{11AB}별 ".to_owned());
    let update = UpdateCounselorRequest { counselor_id: created.id.clone(), name, ..Default::default() };
    let updated = fixture.update_counselor(update).await?;
    assert_ne!(updated.updated_at, created.updated_at);
    let expected = Counselor { name: "한별".into(), updated_at: updated.updated_at.clone(), ..created.clone() };
    assert_eq!(updated, expected);
    let found = fixture.counselors.clone().find_counselor_by_id(find).await?.into_inner().counselor;
    assert_eq!(found, Some(updated.clone()));

    // Another tone moves the counsellor to the list of that tone.
    let tone = fixture.create_tone("씩씩한 말투", "힘을 주는 말투예요.").await?;
    let update = UpdateCounselorRequest {
        counselor_id: created.id.clone(),
        tone_id: Some(tone.id.clone()),
        ..Default::default()
    };
    fixture.update_counselor(update).await?;
    let of_tone = async |tone_id: &str| {
        let request = FindCounselorsRequest { tone_id: Some(tone_id.into()), ..Default::default() };
        let found = fixture.counselors.clone().find_counselors(request).await?.into_inner().counselors;
        anyhow::Ok(found.iter().any(|counselor| counselor.id == created.id))
    };
    assert!(of_tone(&tone.id).await? && !of_tone(&created.tone_id).await?);
    // Equal values store nothing.
    let end = fixture.end().await?;
    let same = UpdateCounselorRequest {
        counselor_id: created.id,
        name: Some("한별".into()),
        profile_image: Some(String::new()),
        ..Default::default()
    };
    fixture.update_counselor(same).await?;
    assert_eq!(fixture.end().await?, end);
    Ok(())
}

async fn a_tone_is_created_found_and_changed(fixture: Fixture) -> anyhow::Result<()> {
    let created = fixture.create_tone("씩씩한 말투", "힘을 주는 말투예요.").await?;
    let find = FindToneByIdRequest { tone_id: created.id.clone() };
    let mut client = fixture.counselors.clone();
    assert_eq!(client.find_tone_by_id(find.clone()).await?.into_inner().tone.as_ref(), Some(&created));
    fixture.environment.pass(60);
    let name = Some("당당한 말투".to_owned());
    let updated =
        fixture.update_tone(UpdateToneRequest { tone_id: created.id.clone(), name, description: None }).await?;
    assert_eq!((updated.name.as_str(), &updated.description), ("당당한 말투", &created.description));
    assert!(updated.updated_at > created.updated_at && updated.created_at == created.created_at);
    assert_eq!(client.find_tone_by_id(find).await?.into_inner().tone.as_ref(), Some(&updated));
    let mut named = async |name: &str| {
        let request = FindTonesRequest { name: Some(name.into()), ..Default::default() };
        anyhow::Ok(client.find_tones(request).await?.into_inner().tones)
    };
    assert_eq!(named("당당한 말투").await?, [updated]);
    assert_eq!(named("씩씩한 말투").await?, []);
    Ok(())
}

async fn a_bubble_is_created_found_and_changed(fixture: Fixture) -> anyhow::Result<()> {
    let counselor_id = fixture.counselor().await?;
    let created = fixture.create_bubble(new_bubble(&counselor_id)).await?;
    assert_eq!(fixture.bubbles(&counselor_id).await?.last(), Some(&created));
    fixture.environment.pass(60);
    let update = UpdateBubbleRequest {
        bubble_id: created.id.clone(),
        counselor_id: counselor_id.clone(),
        response_option2: Some("그저 그랬어요".into()),
        ..Default::default()
    };
    let updated = fixture.update_bubble(update).await?;
    let expected =
        Bubble {
            response_option2: "그저 그랬어요".into(), updated_at: updated.updated_at.clone(), ..created.clone()
        };
    assert!(updated == expected && updated.updated_at > created.updated_at, "{updated:?}");
    let find = FindBubbleByIdRequest { bubble_id: created.id, counselor_id };
    assert_eq!(fixture.counselors.clone().find_bubble_by_id(find).await?.into_inner().bubble, Some(updated));
    is(fixture.create_bubble(new_bubble(&nobody())).await, Code::NotFound);
    Ok(())
}

async fn the_tone_of_a_counsellor_must_exist_on_create_and_update(fixture: Fixture) -> anyhow::Result<()> {
    let (new, end) = (new_counselor(&fixture).await?, fixture.end().await?);
    is(fixture.create_counselor(CreateCounselorRequest { tone_id: nobody(), ..new }).await, Code::NotFound);
    let counselor_id = fixture.counselor().await?;
    let update = UpdateCounselorRequest { counselor_id, tone_id: Some(nobody()), ..Default::default() };
    is(fixture.update_counselor(update).await, Code::NotFound);
    assert_eq!(fixture.end().await?, end);
    Ok(())
}

async fn each_bad_field_is_named_and_nothing_changes(fixture: Fixture) -> anyhow::Result<()> {
    let (new, end) = (new_counselor(&fixture).await?, fixture.end().await?);
    let counselor_id = fixture.counselor().await?;
    let (long, blank) = (|characters| "가".repeat(characters), " \u{3000}\n".to_owned());
    for (request, field) in [
        (CreateCounselorRequest { name: long(21), ..new.clone() }, "name"),
        (CreateCounselorRequest { name: blank.clone(), ..new.clone() }, "name"),
        (CreateCounselorRequest { description: long(101), ..new.clone() }, "description"),
        (CreateCounselorRequest { description: String::new(), ..new.clone() }, "description"),
        (CreateCounselorRequest { profile_image: "javascript:alert(1)".into(), ..new.clone() }, "profile_image"),
        (CreateCounselorRequest { counselor_gender: 0, ..new.clone() }, "counselor_gender"),
        (CreateCounselorRequest { counselor_gender: 4, ..new.clone() }, "counselor_gender"),
        (CreateCounselorRequest { tone_id: "따뜻한".into(), ..new.clone() }, "tone_id"),
    ] {
        names(fixture.create_counselor(request).await, field);
    }
    let update = UpdateCounselorRequest { counselor_id: counselor_id.clone(), ..Default::default() };
    for (request, field) in [
        (UpdateCounselorRequest { name: Some(String::new()), ..update.clone() }, "name"),
        (UpdateCounselorRequest { description: Some(blank.clone()), ..update.clone() }, "description"),
        (UpdateCounselorRequest { profile_image: Some("//evil/a.png".into()), ..update.clone() }, "profile_image"),
        (UpdateCounselorRequest { counselor_gender: Some(0), ..update.clone() }, "counselor_gender"),
        (UpdateCounselorRequest { tone_id: Some(String::new()), ..update.clone() }, "tone_id"),
        (UpdateCounselorRequest { counselor_id: "하늘".into(), ..update }, "counselor_id"),
    ] {
        names(fixture.update_counselor(request).await, field);
    }
    let bubble = new_bubble(&counselor_id);
    for (request, field) in [
        (CreateBubbleRequest { question: blank.clone(), ..bubble.clone() }, "question"),
        (CreateBubbleRequest { question: long(501), ..bubble.clone() }, "question"),
        (CreateBubbleRequest { response_option1: long(81), ..bubble.clone() }, "response_option1"),
        (CreateBubbleRequest { response_option2: String::new(), ..bubble.clone() }, "response_option2"),
        (CreateBubbleRequest { counselor_id: "하늘".into(), ..bubble }, "counselor_id"),
    ] {
        names(fixture.create_bubble(request).await, field);
    }
    let bubble_id = fixture.bubbles(&counselor_id).await?.remove(0).id;
    let update = UpdateBubbleRequest { bubble_id, counselor_id: counselor_id.clone(), ..Default::default() };
    for (request, field) in [
        (UpdateBubbleRequest { question: Some(String::new()), ..update.clone() }, "question"),
        (UpdateBubbleRequest { response_option1: Some(blank.clone()), ..update.clone() }, "response_option1"),
        (UpdateBubbleRequest { response_option2: Some(long(81)), ..update.clone() }, "response_option2"),
        (UpdateBubbleRequest { bubble_id: "1".into(), ..update }, "bubble_id"),
    ] {
        names(fixture.update_bubble(request).await, field);
    }
    names(fixture.create_tone(&long(21), "말투").await, "name");
    names(fixture.create_tone("말투", &long(101)).await, "description");
    let tone_id = fixture.all_counselors().await?.remove(0).tone_id;
    let update = UpdateToneRequest { tone_id, name: Some(blank), description: None };
    names(fixture.update_tone(update).await, "name");
    assert_eq!(fixture.end().await?, end);
    // The longest texts are accepted.
    let longest = CreateCounselorRequest { name: long(20), description: long(100), ..new };
    fixture.create_counselor(longest).await?;
    fixture.create_bubble(CreateBubbleRequest { response_option1: long(80), ..new_bubble(&counselor_id) }).await?;
    Ok(())
}

async fn an_update_of_nothing_and_of_nobody_is_refused(fixture: Fixture) -> anyhow::Result<()> {
    let counselor = fixture.all_counselors().await?.remove(0);
    let (counselor_id, tone_id) = (counselor.id, counselor.tone_id);
    let bubble_id = fixture.bubbles(&counselor_id).await?.remove(0).id;
    let end = fixture.end().await?;
    let nothing = UpdateCounselorRequest { counselor_id: counselor_id.clone(), ..Default::default() };
    is(fixture.update_counselor(nothing).await, Code::InvalidArgument);
    is(fixture.update_tone(UpdateToneRequest { tone_id, ..Default::default() }).await, Code::InvalidArgument);
    let nothing = UpdateBubbleRequest { bubble_id, counselor_id: counselor_id.clone(), ..Default::default() };
    is(fixture.update_bubble(nothing).await, Code::InvalidArgument);

    let name = Some("이름".to_owned());
    let of_nobody = UpdateCounselorRequest { counselor_id: nobody(), name: name.clone(), ..Default::default() };
    is(fixture.update_counselor(of_nobody).await, Code::NotFound);
    is(fixture.update_tone(UpdateToneRequest { tone_id: nobody(), name, ..Default::default() }).await, Code::NotFound);
    let question = Some("뭐 해요?".to_owned());
    let of_nobody = UpdateBubbleRequest { bubble_id: nobody(), counselor_id, question, ..Default::default() };
    is(fixture.update_bubble(of_nobody).await, Code::NotFound);
    assert_eq!(fixture.end().await?, end);
    Ok(())
}

async fn the_same_key_creates_one_counsellor(fixture: Fixture) -> anyhow::Result<()> {
    let (new, before) = (new_counselor(&fixture).await?, fixture.all_counselors().await?.len());
    let create = async || {
        let mut request = by_admin(KIM, new.clone());
        request.metadata_mut().insert(header::IDEMPOTENCY_KEY, "k-1".parse().unwrap());
        anyhow::Ok(fixture.counselors.clone().create_counselor(request).await?.into_inner())
    };
    assert_eq!(create().await?, create().await?);
    assert_eq!(fixture.all_counselors().await?.len(), before + 1);
    Ok(())
}

async fn edits_of_seeds_survive_another_seeding(fixture: Fixture) -> anyhow::Result<()> {
    let counselor = fixture.all_counselors().await?.remove(0);
    let name = Some("새 이름".to_owned());
    let update =
        UpdateCounselorRequest { counselor_id: counselor.id.clone(), name: name.clone(), ..Default::default() };
    fixture.update_counselor(update).await?;
    fixture.update_tone(UpdateToneRequest { tone_id: counselor.tone_id.clone(), name, description: None }).await?;
    let deleted = fixture.bubbles(&counselor.id).await?.remove(0).id;
    fixture.delete_bubble(&deleted, &counselor.id).await?;
    let end = fixture.end().await?;
    // Also when the stored responses of the first seeding are gone.
    for _ in 0..2 {
        counseling_service::seed(&fixture.app).await.map_err(anyhow::Error::from_boxed)?;
        fixture.environment.pass(8 * 24 * 3600);
    }
    assert_eq!(fixture.end().await?, end);
    assert_eq!(fixture.all_counselors().await?[0].name, "새 이름");
    assert!(fixture.bubbles(&counselor.id).await?.iter().all(|bubble| bubble.id != deleted));
    Ok(())
}

async fn defect_11_missing_bubbles_are_not_found(fixture: Fixture) -> anyhow::Result<()> {
    let without_bubbles = fixture.create_counselor(new_counselor(&fixture).await?).await?.id;
    let mut client = fixture.counselors.clone();
    let random = FindRandomBubbleRequest { counselor_id: without_bubbles.clone() };
    is(client.find_random_bubble(random).await, Code::NotFound);
    let counselor_id = fixture.counselor().await?;
    let missing = FindBubbleByIdRequest { bubble_id: nobody(), counselor_id: counselor_id.clone() };
    is(client.find_bubble_by_id(missing).await, Code::NotFound);
    let of_another = fixture.bubbles(&counselor_id).await?.remove(0).id;
    let elsewhere = FindBubbleByIdRequest { bubble_id: of_another.clone(), counselor_id: without_bubbles.clone() };
    is(client.find_bubble_by_id(elsewhere).await, Code::NotFound);
    for bubble_id in [nobody(), of_another] {
        let open = CreateCounselRequest {
            user_id: KIM.to_string(),
            counselor_id: without_bubbles.clone(),
            bubble_id: Some(bubble_id),
            response_option_no: Some(1),
            exchange_id: Some(nobody()),
            ..Default::default()
        };
        is(fixture.open(open).await, Code::NotFound);
    }
    Ok(())
}

async fn defect_19_a_bubble_never_moves_to_another_counsellor(fixture: Fixture) -> anyhow::Result<()> {
    let all = fixture.all_counselors().await?;
    let (owner, other) = (&all[0].id, &all[1].id);
    let (of_owner, of_other) = (fixture.bubbles(owner).await?, fixture.bubbles(other).await?);
    let update = UpdateBubbleRequest {
        bubble_id: of_owner[0].id.clone(),
        counselor_id: other.clone(),
        question: Some("옮겨질까요?".into()),
        ..Default::default()
    };
    is(fixture.update_bubble(update).await, Code::NotFound);
    is(fixture.delete_bubble(&of_owner[0].id, other).await, Code::NotFound);
    assert_eq!((fixture.bubbles(owner).await?, fixture.bubbles(other).await?), (of_owner, of_other));
    Ok(())
}

async fn defect_19_deleting_a_bubble_succeeds_and_counsels_stay(fixture: Fixture) -> anyhow::Result<()> {
    let counselor_id = fixture.counselor().await?;
    let bubble = fixture.bubbles(&counselor_id).await?.remove(0);
    let open = CreateCounselRequest {
        user_id: KIM.to_string(),
        counselor_id: counselor_id.clone(),
        bubble_id: Some(bubble.id.clone()),
        response_option_no: Some(1),
        exchange_id: Some(nobody()),
        ..Default::default()
    };
    let opened = fixture.open(open.clone()).await?;
    assert!(fixture.delete_bubble(&bubble.id, &counselor_id).await?, "the answer says success");

    assert!(fixture.bubbles(&counselor_id).await?.iter().all(|left| left.id != bubble.id));
    let mut client = fixture.counselors.clone();
    let find = FindBubbleByIdRequest { bubble_id: bubble.id.clone(), counselor_id: counselor_id.clone() };
    is(client.find_bubble_by_id(find).await, Code::NotFound);
    for _ in 0..32 {
        let random = FindRandomBubbleRequest { counselor_id: counselor_id.clone() };
        assert_ne!(client.find_random_bubble(random).await?.into_inner().bubble.unwrap().id, bubble.id);
    }
    let question = Some("다시?".to_owned());
    let update = UpdateBubbleRequest {
        bubble_id: bubble.id.clone(),
        counselor_id: counselor_id.clone(),
        question,
        ..Default::default()
    };
    is(fixture.update_bubble(update).await, Code::NotFound);
    is(fixture.delete_bubble(&bubble.id, &counselor_id).await, Code::NotFound);

    // The counsel stays, a repeat of its request too, and no other counsel is opened from it.
    let counsel_id = opened.counsel.as_ref().unwrap().id.clone();
    assert_eq!(fixture.messages(&counsel_id).await?, opened.counsel_messages);
    assert_eq!(fixture.open(open.clone()).await?, opened);
    is(fixture.open(CreateCounselRequest { exchange_id: Some(nobody()), ..open }).await, Code::NotFound);
    Ok(())
}
