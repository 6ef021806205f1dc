//! A complete application in one file: a command, an event, an aggregate, a read model and a query, in memory.
use cqrs_core::{
    Aggregate, App, Change, Command, Event, Evolve, HandlerResult, Infallible, Query, Recorded, Repo, StateStored,
    View, Views, handler, projection,
};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, Aggregate)]
#[aggregate(name = "user", event = UserRegistered)]
struct User {
    #[id]
    email: String,
}

#[derive(Clone, Serialize, Deserialize, Event)]
#[event(name = "user-registered", version = 1)]
struct UserRegistered;

impl Evolve<UserRegistered> for User {
    fn create(email: String, _: &UserRegistered) -> Option<Self> {
        Some(User { email })
    }
    fn apply(&mut self, _: &UserRegistered) {}
}

#[derive(Clone, Serialize, Deserialize, Command)]
struct RegisterUser {
    email: String,
}

#[handler]
async fn register_user(command: RegisterUser, users: Repo<User>) -> HandlerResult<(), Infallible> {
    users.create(command.email, UserRegistered)?;
    Ok(())
}

#[derive(Debug, Clone, Serialize, Deserialize, View)]
#[view(name = "greeting", key = String)]
struct Greeting(String);

#[projection(name = "greeting")]
fn greet(event: &Recorded<UserRegistered>) -> Change<Greeting> {
    let email = event.aggregate_id.clone();
    Greeting(format!("Hello, {email}!")).put(email)
}

#[derive(Clone, Query)]
struct FindGreeting(String);

#[handler]
async fn find_greeting(query: FindGreeting, greetings: Views<Greeting>) -> HandlerResult<Option<Greeting>, Infallible> {
    Ok(greetings.find(&query.0).await?)
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let app = App::builder("quickstart").discover(module_path!()).aggregate(StateStored::<User>::new()).build()?;
    let _background = app.start().await?;
    app.send(RegisterUser { email: "kim@example.com".into() }).await?;
    println!("{:?}", app.send(FindGreeting("kim@example.com".into())).await?);
    match app.send(RegisterUser { email: "kim@example.com".into() }).await {
        Ok(()) => println!("the user was registered twice"),
        Err(error) => println!("{error}"),
    }
    Ok(())
}
