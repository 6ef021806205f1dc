//! The id of an exchange. It is derived from the idempotency key, so that a retry resumes the exchange and consumes
//! one token.
use uuid::Uuid;

/// Must never change: with another namespace, retries during the change would consume a second token.
const NAMESPACE: Uuid = Uuid::from_u128(0x8d1a_6c1e_52f4_4b0f_9d3b_2f6d_7a0c_41e7);

/// Returns the exchange id of a message in a counsel.
pub(crate) fn of_message(user: Uuid, counsel: Uuid, key: Option<&str>) -> Uuid {
    id("message", user, counsel, key)
}

/// Returns the exchange id of opening a counsel with a bubble.
pub(crate) fn of_counsel(user: Uuid, counselor: Uuid, key: Option<&str>) -> Uuid {
    id("counsel", user, counselor, key)
}

/// Derives the id. The parts before the key have a fixed length, so different inputs never give the same text.
fn id(kind: &str, user: Uuid, with: Uuid, key: Option<&str>) -> Uuid {
    match key {
        Some(key) => Uuid::new_v5(&NAMESPACE, format!("{kind}/{user}/{with}/{key}").as_bytes()),
        None => Uuid::now_v7(),
    }
}

#[cfg(test)]
mod tests {
    use super::{of_counsel, of_message};
    use uuid::Uuid;

    #[test]
    fn the_same_person_counsel_and_key_give_the_same_exchange_id() {
        let (kim, lee, counsel) = (Uuid::from_u128(1), Uuid::from_u128(2), Uuid::from_u128(3));
        let exchange = of_message(kim, counsel, Some("k"));
        assert_eq!(exchange.to_string(), "b8f968ca-478a-582c-967e-b94d4fdca5f5"); // must never change
        assert_eq!(exchange, of_message(kim, counsel, Some("k")));
        for other in [
            of_message(kim, counsel, Some("l")),
            of_message(lee, counsel, Some("k")),
            of_message(counsel, kim, Some("k")),
            of_counsel(kim, counsel, Some("k")),
        ] {
            assert_ne!(exchange, other);
        }
        assert_ne!(of_message(kim, counsel, None), of_message(kim, counsel, None));
    }
}
