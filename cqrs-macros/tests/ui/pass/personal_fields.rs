//! Personal fields in every kind of type, with serde's names and forms.
use cqrs_core::{
    Aggregate, Command, Event, Evolve, IntegrationEvent, Process, RemoteCommand, Request, View,
    personal::{HasPersonalFields, Personal, PersonalFields, Redacted},
};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A type whose debug output is written by hand.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
struct Age(u8);
impl fmt::Debug for Age {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}
impl Redacted for Age {}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, PersonalFields)]
#[serde(rename_all = "camelCase")]
struct Address {
    owner_id: u64,
    #[personal(subject = owner_id, erased = "nowhere")]
    street_name: Personal<String>,
}
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Event)]
#[event(name = "user", version = 1)]
#[serde(tag = "kind", content = "of", rename_all = "snake_case")]
enum UserEvent {
    Registered {
        r#type: u8,
        user: u64,
        #[personal(subject = user)]
        #[serde(rename = "mail")]
        email: Option<Personal<String>>,
        #[personal(subject = user)]
        age: Age,
    },
    Moved(#[personal(fields)] Vec<Address>),
    Left,
}
#[derive(Debug, Clone, Serialize, Deserialize, Aggregate)]
#[aggregate(name = "user", event = UserEvent)]
struct User {
    #[id]
    id: u64,
    #[unique]
    #[personal(subject = id)]
    email: Option<Personal<String>>,
    #[unique]
    number: u64,
    #[personal(fields)]
    address: Option<Box<Address>>,
}
impl Evolve<UserEvent> for User {
    fn create(id: u64, _: &UserEvent) -> Option<Self> {
        Some(User { id, email: None, number: id, address: None })
    }
    fn apply(&mut self, _: &UserEvent) {}
}
#[derive(Debug, Clone, Serialize, Deserialize, View)]
#[view(name = "user", key = u64)]
#[index(by_number(number))]
struct Card {
    number: u64,
    #[personal(subject = number)]
    ages: Vec<Age>,
}
#[derive(Debug, Clone, Serialize, Deserialize, IntegrationEvent)]
#[integration_event(name = "user.registered.v1", topic = "users", key = user)]
struct UserRegistered {
    user: u64,
    #[personal(subject = user)]
    email: Personal<String>,
}
#[derive(Debug, Clone, Serialize, Deserialize, Command)]
#[personal(subject = user)]
struct Register {
    user: u64,
    #[personal(subject = user)]
    email: Personal<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize, RemoteCommand)]
#[remote_command(name = "user.greet.v1", topic = "users.commands", key = user)]
struct GreetUser {
    user: u64,
    #[personal(subject = user)]
    email: Personal<String>,
}
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Process)]
#[process(name = "user.welcome", version = 1)]
enum Welcome {
    #[waits_for_ever]
    Greeting {
        user: u64,
        #[personal(subject = user)]
        email: Personal<String>,
    },
}

fn main() {
    assert_eq!(UserEvent::PERSONAL.fields.len(), 3);
    assert_eq!((UserEvent::PERSONAL.tag, UserEvent::PERSONAL.content), ("kind", "of"));
    let names = UserEvent::PERSONAL.fields.iter().map(|field| (field.variant, field.name));
    assert_eq!(names.collect::<Vec<_>>(), [("registered", "mail"), ("registered", "age"), ("moved", "")]);
    assert_eq!(<Address as HasPersonalFields>::PERSONAL.fields[0].name, "streetName");
    assert_eq!((User::UNIQUE, User::PERSONAL_UNIQUE), (&["email", "number"][..], &["email"][..]));
    let user = User { id: 1, email: Some("a@b".into()), number: 7, address: None };
    assert_eq!(user.unique(), [("email", "a@b".to_owned()), ("number", "7".to_owned())]);
    assert_eq!(User { email: None, ..user }.unique(), [("number", "7".to_owned())]);
    assert!(Card::PERSONAL.fields.len() == 1 && UserRegistered::PERSONAL.fields.len() == 1);
    let register = Register { user: 7, email: "a@b".into() };
    assert_eq!(register.personal_subject().as_deref(), Some("7"));
    assert!(Register::PERSONAL.fields.len() == 1 && GreetUser::PERSONAL.fields.len() == 1);
    assert_eq!((Welcome::PERSONAL.fields[0].variant, Welcome::PERSONAL.fields[0].name), ("Greeting", "email"));
}
