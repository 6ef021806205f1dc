//! The goals that rows are held against.
use crate::{
    catalogue::Kind, compare::Comparison, live_events::Since, measure::Sample, rest::Operation, statistics::Spread,
};

/// A goal of a row, and the figure of the row that it is about.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Goal {
    pub(crate) text: &'static str,
    figure: Figure,
    limit: Limit,
}

/// A figure of a row. The median counts.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Figure {
    /// The subject's p50 in milliseconds.
    Milliseconds,
    /// The subject's p50 divided by the baseline's.
    RatioOfP50,
    /// The subject's operations a second.
    PerSecond,
    /// The subject's operations a second divided by the baseline's.
    RatioOfRates,
}
#[derive(Debug, Clone, Copy, PartialEq)]
enum Limit {
    AtMost(f64),
    AtLeast(f64),
}

impl Goal {
    /// Returns the goal of the rows of this kind with one caller.
    pub(crate) fn of(kind: Kind) -> Option<Goal> {
        let (text, figure, limit) = match kind {
            Kind::Deployed(Operation::Read | Operation::Update) => {
                ("p50 at most 1.3 times the twin's", Figure::RatioOfP50, Limit::AtMost(1.3))
            }
            Kind::Deployed(Operation::Message) => ("p50 at most 8 ms", Figure::Milliseconds, Limit::AtMost(8.0)),
            Kind::Embedded(Operation::Message) => ("p50 at most 6 ms", Figure::Milliseconds, Limit::AtMost(6.0)),
            Kind::EventSourced(_) => {
                ("at least 0.9 of the state-stored commands a second", Figure::RatioOfRates, Limit::AtLeast(0.9))
            }
            Kind::Rebuild(_) => ("at least 60,000 events a second", Figure::PerSecond, Limit::AtLeast(60_000.0)),
            Kind::BesideRebuild(_) => {
                ("at least 0.8 of the commands a second without it", Figure::RatioOfRates, Limit::AtLeast(0.8))
            }
            Kind::Query(_) => {
                ("at least 0.85 of the bare client's reads a second", Figure::RatioOfRates, Limit::AtLeast(0.85))
            }
            Kind::Live(_) => ("p50 at most 5 ms", Figure::Milliseconds, Limit::AtMost(5.0)),
            Kind::ProcessSteps(_) => {
                ("at least 0.8 of the steps a second by hand", Figure::RatioOfRates, Limit::AtLeast(0.8))
            }
            Kind::Timers(_) => ("at least 5,000 timers a second", Figure::PerSecond, Limit::AtLeast(5_000.0)),
            Kind::LiveEvents(Since::Request) => ("p50 at most 15 ms", Figure::Milliseconds, Limit::AtMost(15.0)),
            _ => return None,
        };
        Some(Goal { text, figure, limit })
    }
    /// Returns the figure of a measured row, or `None` when the row has no such figure.
    pub(crate) fn measured(&self, comparison: &Comparison) -> Option<f64> {
        let p50 = |sample: &Sample| sample.p50;
        let per_second = |sample: &Sample| sample.per_second;
        let samples = || comparison.subject.samples.iter();
        let spread = match self.figure {
            Figure::Milliseconds => Spread::of(samples().map(p50)).map(|spread| spread.times(1e-6)),
            Figure::PerSecond => Spread::of(samples().map(per_second)),
            Figure::RatioOfP50 => comparison.ratio(p50),
            Figure::RatioOfRates => comparison.ratio(per_second),
        };
        Some(spread?.median)
    }
    /// Returns whether the figure reaches the goal.
    pub(crate) fn is_reached(&self, figure: f64) -> bool {
        match self.limit {
            Limit::AtMost(most) => figure <= most,
            Limit::AtLeast(least) => figure >= least,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Goal;
    use crate::{
        catalogue::{Kind, Row},
        compare::{Comparison, Side},
        in_process::{Backend, ViewTarget},
        measure::Sample,
        subject::Counters,
    };

    fn side(name: &'static str, per_second: f64) -> Side {
        let sample = Sample {
            operations: 1,
            failures: 0,
            p50: 1e9 / per_second,
            p99: 1e9 / per_second,
            per_second,
            counters: Counters::default(),
            first_error: None,
        };
        Side { name, payload: None, samples: vec![sample] }
    }
    fn measured(kind: Kind, subject: f64, baseline: Option<f64>) -> Option<(f64, bool)> {
        let baseline = baseline.map(|per_second| side("baseline", per_second));
        let comparison =
            Comparison { row: Row { kind, callers: 1 }, subject: side("subject", subject), baseline, database: None };
        let goal = Goal::of(kind).expect("the row has a goal");
        let figure = goal.measured(&comparison)?;
        Some((figure, goal.is_reached(figure)))
    }

    #[test]
    fn a_goal_about_a_rate_needs_at_least_its_limit() {
        let query = Kind::Query(ViewTarget::Redis);
        assert_eq!(measured(query, 85.0, Some(100.0)), Some((0.85, true)));
        assert_eq!(measured(query, 80.0, Some(100.0)), Some((0.8, false)));
        assert_eq!(measured(Kind::Rebuild(Backend::Sqlite), 59_999.0, None), Some((59_999.0, false)));
        assert_eq!(measured(Kind::Timers(Backend::Sqlite), 5_000.0, None), Some((5_000.0, true)));
        assert_eq!(measured(Kind::ProcessSteps(Backend::Sqlite), 79.0, Some(100.0)), Some((0.79, false)));
    }
    #[test]
    fn a_goal_about_a_time_allows_at_most_its_limit() {
        let live = Kind::Live(Backend::Postgres);
        assert_eq!(measured(live, 250.0, None), Some((4.0, true)));
        assert_eq!(measured(live, 100.0, None), Some((10.0, false)));
    }
    #[test]
    fn a_ratio_needs_a_baseline() {
        assert_eq!(measured(Kind::BesideRebuild(Backend::Postgres), 1.0, None), None);
    }
}
