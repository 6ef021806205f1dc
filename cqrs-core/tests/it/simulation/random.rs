//! The source of every choice of a schedule, from a seed or from a list.
//!
//! A seed is a whole schedule, and so is a list of choices, which can be shortened: 0 is always the harmless choice.

/// Makes choices from a seed or from a list, and records them.
#[derive(Debug)]
pub(crate) struct Random {
    from: From,
    made: Vec<u32>,
}
#[derive(Debug)]
enum From {
    Seed(fastrand::Rng),
    /// Choices after the end of the list are 0.
    List(Vec<u32>),
}

impl Random {
    pub(crate) fn from_seed(seed: u64) -> Self {
        Random { from: From::Seed(fastrand::Rng::with_seed(seed)), made: Vec::new() }
    }
    pub(crate) fn from_list(choices: Vec<u32>) -> Self {
        Random { from: From::List(choices), made: Vec::new() }
    }
    /// Chooses a number below `n`.
    pub(crate) fn below(&mut self, n: u32) -> u32 {
        let chosen = match &mut self.from {
            From::Seed(rng) => rng.u32(..n),
            From::List(choices) => choices.get(self.made.len()).map_or(0, |choice| choice % n),
        };
        self.made.push(chosen);
        chosen
    }
    /// Returns the choices made so far.
    pub(crate) fn made(&self) -> &[u32] {
        &self.made
    }
}
