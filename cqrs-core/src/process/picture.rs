//! The picture of a process, from the same declarations that run it.
use crate::registry::{ProcessDefinition, ProcessFunction, Unexpected};
use std::{collections::BTreeSet, fmt::Write};

/// Returns the state diagram of a process as Mermaid text. Each function is given with the names of its events.
pub(crate) fn picture(definition: &ProcessDefinition, functions: &[(Vec<&str>, ProcessFunction)]) -> String {
    let mut arrows = BTreeSet::new();
    for (events, function) in functions {
        let from = match function.unexpected {
            Unexpected::Starts => &["[*]"][..],
            Unexpected::Ignored | Unexpected::Error => function.when,
        };
        for from in from {
            for to in function.then {
                let to = if *to == "end" { "[*]" } else { to };
                arrows.insert(format!("    {from} --> {to} : {}", events.join(", ")));
            }
        }
    }
    let mut picture = "stateDiagram-v2\n".to_owned();
    for state in definition.states {
        let wait = match state.deadline {
            Some(deadline) => format!("deadline {} s", deadline.as_secs()),
            None => "waits for ever".to_owned(),
        };
        // Writing to a String cannot fail.
        let _ = writeln!(picture, "    {} : {}, {wait}", state.name, state.name);
    }
    for arrow in arrows {
        let _ = writeln!(picture, "{arrow}");
    }
    picture
}
