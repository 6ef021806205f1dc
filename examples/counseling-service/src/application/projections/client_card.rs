//! The view of a person for prompts: the nickname and nothing else. It follows the user service's events.
use crate::domain::counsel::UserId;
use contracts::v1::message::{UserRegistered, UserUpdated};
use cqrs_core::{Change, Recorded, View, projection};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A person, as a counsellor knows them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, View)]
#[view(name = "client-card", key = UserId)]
pub struct ClientCard {
    pub user: UserId,
    pub nickname: String,
}

impl ClientCard {
    /// Returns the nickname when the person can be addressed by it. A generated one that is a UUID is no name, and one with
    /// other characters than letters, digits and spaces could be mistaken for markup of the prompt.
    pub fn form_of_address(&self) -> Option<&str> {
        let name = self.nickname.trim();
        let is_name = |text: &str| text.chars().all(|c| c.is_alphanumeric() || c == ' ');
        (!name.is_empty() && is_name(name) && Uuid::try_parse(name).is_err()).then_some(name)
    }
}

/// Adds a person. The two projections have no common order, so a later nickname stays.
#[projection(name = "client-card")]
fn client_registered(event: &Recorded<UserRegistered>) -> Change<ClientCard> {
    let Ok(user) = event.user_id.parse() else { return Change::none() };
    let card = ClientCard { user, nickname: event.nickname.clone() };
    Change::none().and(user, move |known| known.or(Some(card)))
}

/// Sets the nickname. An older user service does not publish it.
#[projection(name = "client-card-nickname")]
fn client_updated(event: &Recorded<UserUpdated>) -> Change<ClientCard> {
    match (event.user_id.parse(), event.nickname.clone()) {
        (Ok(user), Some(nickname)) => ClientCard { user, nickname }.put(user),
        _ => Change::none(),
    }
}

#[cfg(test)]
mod tests {
    use super::ClientCard;
    use uuid::Uuid;

    #[test]
    fn only_a_name_is_a_form_of_address() {
        let card = |nickname: &str| ClientCard { user: Uuid::nil().into(), nickname: nickname.to_owned() };
        for name in ["김밤편지", "느긋한수달0001", "Kim Bam"] {
            assert_eq!(card(name).form_of_address(), Some(name));
        }
        for other in
            ["", "  ", "0190163d-8694-739b-aea5-966c26f8ad91", "0190163d8694739baea5966c26f8ad91", "<Tone>", "a\nb"]
        {
            assert_eq!(card(other).form_of_address(), None, "{other:?}");
        }
    }
}
