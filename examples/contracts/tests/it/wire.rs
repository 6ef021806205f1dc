//! Tests of the wire format, with bytes written by hand from the original's field numbers:
//! tag = number << 3 | (0 varint, 2 length-delimited).
use contracts::v1::{
    message::{CounselMessageCreated, UserUpdated},
    model::{AuthChannel, Counsel, CounselMessage, CounselMessageReaction, Gender, Mbti, User, UserProfile},
    service::{
        CheckRemainingTokensResponse, CreateCounselRequest, CreateMessageRequest, FindCounselsRequest,
        ReserveTokensRequest, ReserveTokensResponse, UpdateUserRequest,
    },
};
use prost::Message;
use std::fmt::Debug;

/// Checks both directions: decoding the bytes of the original, and encoding to the same bytes.
#[track_caller]
fn same<M: Message + Default + PartialEq + Debug>(bytes: &[u8], message: M) {
    assert_eq!(M::decode(bytes).unwrap(), message);
    assert_eq!(message.encode_to_vec(), bytes);
}

#[test]
fn field_4_of_a_user_is_skipped() {
    let user = User {
        id: "1".into(),
        nickname: "n".into(),
        created_at: "c".into(),
        updated_at: "u".into(),
        ..User::default()
    };
    same(b"\x0a\x011\x12\x01n\x2a\x01c\x32\x01u", user.clone());
    let with_progress = b"\x0a\x011\x12\x01n\x22\x02\x08\x01\x2a\x01c\x32\x01u"; // the oldest peers still send field 4
    assert_eq!(User::decode(&with_progress[..]).unwrap(), user);
}

#[test]
fn enums_of_a_profile_are_numbers() {
    let profile = UserProfile {
        gender: Gender::Female.into(),
        birthday: "1999-01-01".into(),
        mbti: Mbti::Isfj.into(),
        deleted_at: Some("d".into()),
        ..UserProfile::default()
    };
    same(b"\x18\x02\x22\x0a1999-01-01\x30\x10\x4a\x01d", profile);
}

#[test]
fn an_unknown_enum_value_is_preserved() {
    let message = CounselMessage::decode(&b"\x30\x63"[..]).unwrap();
    assert_eq!(message.reaction, Some(99));
    assert_eq!(message.reaction(), CounselMessageReaction::Unspecified);
    assert_eq!(message.encode_to_vec(), b"\x30\x63");
}

#[test]
fn an_empty_optional_field_is_not_absent() {
    same(b"\x0a\x01u\x12\x00\x28\x00", {
        UpdateUserRequest { user_id: "u".into(), nickname: Some("".into()), gender: Some(0), ..Default::default() }
    });
    same(b"\x0a\x01u", UpdateUserRequest { user_id: "u".into(), ..Default::default() });
}

#[test]
fn a_counsel_has_the_bytes_of_the_original() {
    same(b"\x0a\x011\x12\x012\x1a\x013\x22\x02hi\x2a\x01t\x32\x014\x3a\x01c\x42\x01u", {
        Counsel {
            id: "1".into(),
            counselor_id: "2".into(),
            user_id: "3".into(),
            last_message: Some("hi".into()),
            last_chated_at: Some("t".into()),
            prompt_version_id: "4".into(),
            created_at: "c".into(),
            updated_at: "u".into(),
            deleted_at: None,
        }
    });
}

#[test]
fn added_fields_are_absent_in_messages_of_the_original() {
    same(b"\x0a\x0242", ReserveTokensRequest { user_id: "42".into(), reservation_id: None });
    same(b"\x08\x06\x10\x07\x18\x01", {
        ReserveTokensResponse {
            remaining_tokens: 6,
            max_tokens: 7,
            reserved: true,
            attempt: None,
            reservation_id: None,
        }
    });
    same(b"\x08\x06\x10\x07", {
        CheckRemainingTokensResponse { remaining_tokens: 6, max_tokens: 7, ..Default::default() }
    });
    same(b"\x0a\x017\x12\x02hi", {
        CreateMessageRequest { counsel_id: "7".into(), message: "hi".into(), ..Default::default() }
    });
    same(b"\x0a\x011\x12\x012", {
        FindCounselsRequest { user_id: "1".into(), counselor_id: Some("2".into()), after: None, limit: None }
    });
}

#[test]
fn an_opening_with_a_bubble_has_the_bytes_of_the_original() {
    same(b"\x0a\x011\x12\x012\x1a\x013\x20\x02", {
        CreateCounselRequest {
            user_id: "1".into(),
            counselor_id: "2".into(),
            bubble_id: Some("3".into()),
            response_option_no: Some(2),
            prompt_version_id: None,
            ..Default::default()
        }
    });
}

#[test]
fn a_peer_of_the_original_skips_added_fields() {
    /// The request of the original, which has only field 1.
    #[derive(Clone, PartialEq, prost::Message)]
    struct Original {
        #[prost(string, tag = "1")]
        user_id: String,
    }
    let ours = ReserveTokensRequest { user_id: "42".into(), reservation_id: Some("e".into()) };
    assert_eq!(Original::decode(&*ours.encode_to_vec()).unwrap(), Original { user_id: "42".into() });
}

#[test]
fn events_have_the_bytes_of_the_original() {
    same(b"\x0a\x011\x10\x02\x1a\x01t", {
        UserUpdated {
            user_id: "1".into(),
            auth_channel: AuthChannel::Kakao.into(),
            occurred_at: "t".into(),
            nickname: None,
        }
    });
    same(b"\x0a\x011\x12\x012\x1a\x013\x22\x02hi\x28\x01\x32\x01t", {
        CounselMessageCreated {
            counsel_message_id: "1".into(),
            counsel_id: "2".into(),
            user_id: "3".into(),
            message: "hi".into(),
            is_user_message: true,
            occurred_at: "t".into(),
        }
    });
}
