//! The names and the key of the timers of an instance.

/// Names the timers of one instance of a process. No two instances share a name or a key, whatever their own keys are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TimerNames(String);

impl TimerNames {
    pub(crate) fn of(process: &str, key: &str) -> Self {
        TimerNames(format!("process/{}/{}", without_slash(process), without_slash(key)))
    }
    /// Returns the key of the commands, which are carried out one after the other.
    pub(crate) fn line(&self) -> &str {
        &self.0
    }
    /// Returns the name of a command: the number of the reaction, and its own number in it.
    pub(crate) fn command(&self, step: u64, number: usize) -> String {
        format!("{}/{step:012}/{number:04}", self.0)
    }
    /// Returns the name of a later command.
    pub(crate) fn later(&self, name: &str) -> String {
        format!("{}/timer/{name}", self.0)
    }
    /// Returns the name of the deadline, which is its key, too: a command that fails holds up the line of its instance, and not the
    /// deadline.
    pub(crate) fn deadline(&self) -> String {
        format!("{}/deadline", self.0)
    }
}

/// Writes the slashes of a text in another way.
fn without_slash(text: &str) -> String {
    text.replace('%', "%25").replace('/', "%2F")
}

#[cfg(test)]
mod tests {
    use super::TimerNames;
    use std::collections::BTreeSet;

    #[test]
    fn instances_whose_keys_look_like_names_of_timers_share_none() {
        let instances = [("p", "k"), ("p", "k/timer"), ("p", "k/deadline"), ("p", "k%2Ftimer"), ("p/k", "timer")];
        let names = |(process, key): (&str, &str)| {
            let names = TimerNames::of(process, key);
            let later = ["deadline", "x", "000000000001/0000"].map(|name| names.later(name));
            [names.line().to_owned(), names.command(1, 0), names.deadline()].into_iter().chain(later)
        };
        let all: Vec<_> = instances.into_iter().flat_map(names).collect();
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len(), "{all:?}");
    }
    #[test]
    fn a_key_without_a_slash_is_readable() {
        assert_eq!(TimerNames::of("shop.fulfilment", "7").command(3, 1), "process/shop.fulfilment/7/000000000003/0001");
    }
}
