//! The description of a service as text: every function that discovery found.
use crate::{
    app::App,
    event::Source,
    message::RequestKind,
    registry::{AggregateRegistration, Role},
};
use std::{
    collections::BTreeMap,
    fmt::{self, Write},
};

/// A description of a service: one sorted line for each of its functions and aggregates, stable enough for a golden
/// file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description(String);
impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl App {
    /// Describes every command, query, aggregate, integration event, subscriber and projection, with their
    /// dependencies.
    pub fn describe(&self) -> Description {
        let mut sections: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        let mut add = |section, line| sections.entry(section).or_default().push(line);
        for registration in &*self.registrations {
            let needs = match registration.needs().in_words() {
                needs if needs.is_empty() => String::new(),
                needs => format!("  needs {}", needs.join(", ")),
            };
            match &registration.role {
                Role::Handler { request, kind: RequestKind::Command, .. } => {
                    add("1 commands", format!("{request}{needs}"))
                }
                Role::Handler { request, kind: RequestKind::Query, .. } => {
                    add("2 queries", format!("{request}{needs}"))
                }
                Role::Subscriber(subscriber) => {
                    let events = events(subscriber.source);
                    add("5 subscribers", format!("{}  handles {events}{needs}", subscriber.group));
                }
                Role::Projection(projection) => {
                    let events = events(projection.source);
                    let inline = if projection.is_inline { "  inline" } else { "" };
                    let (name, view) = (projection.name, projection.view);
                    add("6 projections", format!("{name}  view {view}{inline}  handles {events}"));
                }
                Role::Projector(projector) => {
                    let events = events(projector.source);
                    add("6 projections", format!("{}  handles {events}{needs}", projector.name));
                }
                Role::Publisher(publisher) => {
                    add("4 integration events", format!("{}  on {}", publisher.contract, publisher.topic));
                }
            }
        }
        for AggregateRegistration { name, events, is_state_stored, is_mapped, .. } in &*self.aggregates {
            let persistence = match (is_mapped, is_state_stored) {
                (true, _) => "in a table of its own",
                (false, true) => "state-stored",
                (false, false) => "event-sourced",
            };
            add("3 aggregates", format!("{name}  {persistence}  {}", events.join(", ")));
        }
        let mut text = self.runtime.service.clone();
        for (title, mut lines) in sections {
            lines.sort_unstable();
            lines.dedup();
            // Writing to a String cannot fail.
            let _ = write!(text, "\n  {}", &title[2..]);
            for line in lines {
                let _ = write!(text, "\n    {line}");
            }
        }
        text.push('\n');
        Description(text)
    }
}

fn events(source: Source) -> String {
    match source {
        Source::Log(names) => names.join(", "),
        Source::Topic { topic, name, .. } => format!("{name} on {topic}"),
    }
}
