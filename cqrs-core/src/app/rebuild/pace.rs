//! The pace of a rebuild: as fast as it can while nobody writes, and in short steps with pauses beside commands.
use std::time::Duration;

/// The time after the last sign of a command in which the service counts as in use.
const IN_USE: Duration = Duration::from_secs(1);
/// The pause after a step beside commands, as a multiple of the time that the step took. So the rebuild has a sixth of the time.
const PAUSE: u32 = 5;
/// The longest pause after one step.
const LONGEST_PAUSE: Duration = Duration::from_millis(250);
/// The time between two looks at the distance from the copy that serves.
const LOOKED: Duration = Duration::from_secs(5);
/// The events of a step while nobody writes, and beside commands. A step of SQLite keeps commands waiting for its whole time.
const ALONE: usize = 4_000;
const BESIDE: usize = 100;

/// Decides how many events the next step applies, and how long the rebuild pauses after it.
#[derive(Debug, Default)]
pub(super) struct Pace {
    is_at_full_speed: bool,
    /// The position of the copy that serves, and the uptime at which it was seen to move last.
    live: u64,
    moved: Option<Duration>,
    /// The distance between the copies at the last look, and the uptime of that look.
    looked: Option<(Duration, u64)>,
    /// Set while the distance does not shrink: pauses would let the rebuild go on for ever.
    hurries: bool,
}
impl Pace {
    /// Creates the pace of a rebuild. At full speed it never pauses.
    pub(super) fn new(is_at_full_speed: bool) -> Self {
        Pace { is_at_full_speed, ..Pace::default() }
    }
    /// Notes the positions of the copy that serves and of the one that is filled, before a step.
    pub(super) fn saw(&mut self, now: Duration, live: u64, filled: u64) {
        // The first position is no sign of a command.
        if live > self.live && self.live > 0 {
            self.moved = Some(now);
        }
        self.live = self.live.max(live);
        let distance = live.saturating_sub(filled);
        match self.looked {
            Some((at, _)) if now.saturating_sub(at) < LOOKED => (),
            before => {
                self.hurries = before.is_some_and(|(_, before)| distance > 0 && distance >= before);
                self.looked = Some((now, distance));
            }
        }
    }
    /// Returns the largest number of events of the next step.
    pub(super) fn step(&self, now: Duration) -> usize {
        if self.gives_way(now) { BESIDE } else { ALONE }
    }
    /// Returns the pause after a step that took this time.
    pub(super) fn pause(&self, now: Duration, took: Duration) -> Duration {
        if self.gives_way(now) { took.saturating_mul(PAUSE).min(LONGEST_PAUSE) } else { Duration::ZERO }
    }
    fn gives_way(&self, now: Duration) -> bool {
        let is_in_use = self.moved.is_some_and(|moved| now.saturating_sub(moved) < IN_USE);
        is_in_use && !self.is_at_full_speed && !self.hurries
    }
}

#[cfg(test)]
mod tests {
    use super::{ALONE, BESIDE, LONGEST_PAUSE, Pace};
    use std::time::Duration;

    const STEP: Duration = Duration::from_millis(10);

    fn at(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn a_rebuild_of_an_idle_service_does_not_pause() {
        let mut pace = Pace::new(false);
        for n in 0..100 {
            pace.saw(at(n * 100), 1_000_000, n * 1_000);
            assert_eq!((pace.step(at(n * 100)), pace.pause(at(n * 100), STEP)), (ALONE, Duration::ZERO));
        }
    }
    #[test]
    fn beside_commands_it_pauses_until_they_end() {
        let mut pace = Pace::new(false);
        pace.saw(at(0), 1_000_000, 0);
        pace.saw(at(100), 1_000_010, 2_000);
        assert_eq!((pace.step(at(100)), pace.pause(at(100), STEP)), (BESIDE, 5 * STEP));
        assert_eq!(pace.pause(at(100), Duration::from_secs(1)), LONGEST_PAUSE);
        pace.saw(at(1_200), 1_000_010, 4_000);
        assert_eq!((pace.step(at(1_200)), pace.pause(at(1_200), STEP)), (ALONE, Duration::ZERO));
    }
    #[test]
    fn it_hurries_while_the_distance_does_not_shrink() {
        let mut pace = Pace::new(false);
        for n in 0..=50 {
            // A thousand events a second, and the copy gets half of them.
            pace.saw(at(n * 100), 1_000_000 + n * 100, n * 50);
        }
        assert_eq!(pace.pause(at(5_000), STEP), Duration::ZERO);
        for n in 51..=101 {
            pace.saw(at(n * 100), 1_000_000 + n * 100, n * 5_000);
        }
        assert_eq!(pace.pause(at(10_100), STEP), 5 * STEP);
    }
    #[test]
    fn at_full_speed_it_never_pauses() {
        let mut pace = Pace::new(true);
        pace.saw(at(0), 1_000, 0);
        pace.saw(at(100), 1_010, 100);
        assert_eq!((pace.step(at(100)), pace.pause(at(100), STEP)), (ALONE, Duration::ZERO));
    }
}
