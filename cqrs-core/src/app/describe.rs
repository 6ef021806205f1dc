//! What a service consists of, as text: discovery hides the list, this gives it back.
use super::{Kind, Role, Running};
use crate::Source;
use std::{
    collections::BTreeMap,
    fmt::{self, Write},
};

/// What a service consists of: sorted, one line each, stable enough for a golden file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description(String);
impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Running {
    /// Every command, query, event, subscriber, projection and what each needs.
    pub fn describe(&self) -> Description {
        let mut sections: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        let mut say = |section, line| sections.entry(section).or_default().push(line);
        for registration in &self.shared.registrations {
            let needs = match registration.needs().in_words() {
                needs if needs.is_empty() => String::new(),
                needs => format!("  needs {}", needs.join(", ")),
            };
            match &registration.role {
                Role::Handler { request, kind: Kind::Command, .. } => say("1 commands", format!("{request}{needs}")),
                Role::Handler { request, kind: Kind::Query, .. } => say("2 queries", format!("{request}{needs}")),
                Role::Subscriber(it) => {
                    say("5 subscribers", format!("{}  hears {}{needs}", it.group, heard(it.source)))
                }
                Role::Projection(it) => {
                    say("6 projections", format!("{}  keeps {}  hears {}", it.name, it.view, heard(it.source)));
                }
                Role::Projector(it) => say("6 projections", format!("{}  hears {}{needs}", it.name, heard(it.source))),
                Role::Publisher(it) => say("4 told to others", format!("{}  on {}", it.contract, it.topic)),
            }
        }
        for (name, events, row) in &*self.aggregates {
            let kept = if *row { "rows" } else { "streams" };
            say("3 aggregates", format!("{name}  as {kept}  {}", events.join(", ")));
        }
        let mut text = self.shared.service.clone();
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

fn heard(source: Source) -> String {
    match source {
        Source::Log(names) => names.join(", "),
        Source::Topic { topic, name } => format!("{name} on {topic}"),
    }
}
