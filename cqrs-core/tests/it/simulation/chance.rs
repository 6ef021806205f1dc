//! Chance: every choice of a schedule comes from here. A seed is a whole schedule, and a list of choices is one that can be made
//! shorter: 0 is always the harmless choice.

/// Gives choices, from a seed or from a list, and remembers them.
#[derive(Debug)]
pub(crate) struct Chance {
    from: From,
    made: Vec<u32>,
}
#[derive(Debug)]
enum From {
    Seed(fastrand::Rng),
    /// What is not in it is 0.
    List(Vec<u32>),
}

impl Chance {
    pub(crate) fn seeded(seed: u64) -> Self {
        Chance { from: From::Seed(fastrand::Rng::with_seed(seed)), made: Vec::new() }
    }
    pub(crate) fn listed(choices: Vec<u32>) -> Self {
        Chance { from: From::List(choices), made: Vec::new() }
    }
    /// A number below `n`.
    pub(crate) fn below(&mut self, n: u32) -> u32 {
        let chosen = match &mut self.from {
            From::Seed(rng) => rng.u32(..n),
            From::List(choices) => choices.get(self.made.len()).map_or(0, |it| it % n),
        };
        self.made.push(chosen);
        chosen
    }
    /// What was chosen so far.
    pub(crate) fn made(&self) -> &[u32] {
        &self.made
    }
}
