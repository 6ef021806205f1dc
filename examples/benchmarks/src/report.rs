//! The results as Markdown tables and as CSV.
use crate::{
    compare::{Comparison, Side, Unmeasured},
    goals::Goal,
    groups::Measured,
    header::Header,
    measure::Sample,
    statistics::Spread,
};
use std::fmt::Write;

/// The rows that have been measured so far.
pub(crate) struct Report {
    header: Header,
    comparisons: Vec<Comparison>,
    unmeasured: Vec<Unmeasured>,
}
impl Report {
    pub(crate) fn new(header: Header) -> Report {
        Report { header, comparisons: Vec::new(), unmeasured: Vec::new() }
    }
    pub(crate) fn add(&mut self, measured: Measured) {
        let comparison = match measured {
            Ok(comparison) => comparison,
            Err(unmeasured) => return self.unmeasured.push(unmeasured),
        };
        if let Some(database) = &comparison.database {
            self.header.add("database", database.clone());
        }
        self.comparisons.push(comparison);
    }
    pub(crate) fn markdown(&self) -> String {
        let mut text = format!("# Benchmarks\n\n{}\n", self.header.end().markdown());
        text += "Each value is the median of the runs, with the smallest and the largest run after it. A ratio is the \
                 subject's value divided by the baseline's of the same pair of runs.\n\n";
        text += "## Latency\n\n| row | subject | p50 | p99 | baseline | p50 | p99 | ratio of p50 |\n\
                 |---|---|--:|--:|---|--:|--:|--:|\n";
        for comparison in &self.comparisons {
            let (subject, baseline) = (Some(&comparison.subject), comparison.baseline.as_ref());
            let p50 = |side: Option<&Side>| time(side.and_then(|side| spread(side, |sample| sample.p50)));
            let p99 = |side: Option<&Side>| time(side.and_then(|side| spread(side, |sample| sample.p99)));
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} | {} | {} | {} | {} |",
                comparison.row.name(),
                comparison.subject.name,
                p50(subject),
                p99(subject),
                baseline.map_or("-", |baseline| baseline.name),
                p50(baseline),
                p99(baseline),
                number(comparison.ratio(|sample| sample.p50)),
            );
        }
        text += "\n## Throughput\n\n| row | subject, per second | baseline, per second | ratio |\n|---|--:|--:|--:|\n";
        for comparison in &self.comparisons {
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} |",
                comparison.row.name(),
                number(spread(&comparison.subject, |sample| sample.per_second)),
                number(comparison.baseline.as_ref().and_then(|side| spread(side, |sample| sample.per_second))),
                number(comparison.ratio(|sample| sample.per_second)),
            );
        }
        text += &self.costs();
        text += &self.goals();
        text += &self.failures();
        text += &self.missing();
        text
    }
    /// Writes the table of costs other than time.
    fn costs(&self) -> String {
        let mut text = "\n## Costs of one call\n\nWriting transactions and log bytes are the PostgreSQL server's, \
                        background work included; processor time is that of the subject's own processes. Body sizes are \
                        those of the REST request and response.\n\n\
                        | row | side | writing transactions | log, bytes | processor, ms | request, bytes | response, bytes |\n\
                        |---|---|--:|--:|--:|--:|--:|\n"
            .to_owned();
        let before = text.len();
        let has_costs =
            |side: &&Side| side.payload.is_some() || side.samples.iter().any(|sample| sample.counters.are_known());
        for comparison in &self.comparisons {
            for side in comparison.sides().filter(has_costs) {
                let size = |size: Option<usize>| size.map_or_else(|| "-".to_owned(), |size| size.to_string());
                let _ = writeln!(
                    text,
                    "| {} | {} | {} | {} | {} | {} | {} |",
                    comparison.row.name(),
                    side.name,
                    number(per_call(side, |sample| sample.counters.writes)),
                    number(per_call(side, |sample| sample.counters.wal)),
                    number(per_call(side, |sample| sample.counters.cpu)),
                    size(side.payload.map(|payload| payload.request)),
                    size(side.payload.map(|payload| payload.response)),
                );
            }
        }
        if text.len() == before { String::new() } else { text }
    }
    /// Writes the table of the goals that belong to these rows.
    fn goals(&self) -> String {
        let mut text = "\n## Goals\n\n| row | goal | measured | reached |\n|---|---|--:|---|\n".to_owned();
        let before = text.len();
        for comparison in self.comparisons.iter().filter(|comparison| comparison.row.callers == 1) {
            let Some(goal) = Goal::of(comparison.row.kind) else { continue };
            let Some(measured) = goal.measured(comparison) else { continue };
            let reached = if goal.is_reached(measured) { "yes" } else { "no" };
            let _ = writeln!(text, "| {} | {} | {} | {reached} |", comparison.row.name(), goal.text, digits(measured));
        }
        if text.len() == before { String::new() } else { text }
    }
    /// Returns the number of calls that failed in measured runs.
    pub(crate) fn failed_calls(&self) -> u64 {
        let sides = self.comparisons.iter().flat_map(Comparison::sides);
        sides.flat_map(|side| &side.samples).map(|sample| sample.failures).sum()
    }
    fn failures(&self) -> String {
        let mut text = String::new();
        for comparison in &self.comparisons {
            for side in comparison.sides() {
                let failed: u64 = side.samples.iter().map(|sample| sample.failures).sum();
                let first = side.samples.iter().find_map(|sample| sample.first_error.as_deref());
                if let Some(first) = first {
                    let name = comparison.row.name();
                    let _ = writeln!(text, "- {name}, {}: {failed} calls failed; the first: {first}", side.name);
                }
            }
        }
        if text.is_empty() { text } else { format!("\n## Failed calls\n\n{text}") }
    }
    /// Returns the number of rows that could not be measured on this machine.
    pub(crate) fn unmeasured(&self) -> usize {
        self.unmeasured.len()
    }
    fn missing(&self) -> String {
        let line = |Unmeasured { row, reason }: &Unmeasured| format!("- {}: {reason}\n", row.name());
        let text: String = self.unmeasured.iter().map(line).collect();
        if text.is_empty() { text } else { format!("\n## Not measured\n\n{text}") }
    }
    /// Writes one line of CSV for each run of each side.
    pub(crate) fn csv(&self) -> String {
        let mut text =
            "row,callers,side,run,operations,failures,p50_ns,p99_ns,per_second,writes,wal_bytes,cpu_ms\n".to_owned();
        for comparison in &self.comparisons {
            for side in comparison.sides() {
                for (run, sample) in (1..).zip(&side.samples) {
                    let count = |count: Option<u64>| count.map(|count| count.to_string()).unwrap_or_default();
                    let _ = writeln!(
                        text,
                        "{},{},{},{run},{},{},{:.1},{:.1},{:.1},{},{},{}",
                        comparison.row.name(),
                        comparison.row.callers,
                        side.name,
                        sample.operations,
                        sample.failures,
                        sample.p50,
                        sample.p99,
                        sample.per_second,
                        count(sample.counters.writes),
                        count(sample.counters.wal),
                        count(sample.counters.cpu),
                    );
                }
            }
        }
        text
    }
}

fn spread(side: &Side, value: impl Fn(&Sample) -> f64) -> Option<Spread> {
    Spread::of(side.samples.iter().map(value))
}
fn per_call(side: &Side, count: impl Fn(&Sample) -> Option<u64>) -> Option<Spread> {
    let per_call = |sample: &Sample| Some(count(sample)? as f64 / sample.operations as f64);
    Spread::of(side.samples.iter().filter_map(per_call))
}

/// Formats a time in the unit that suits its median.
fn time(nanoseconds: Option<Spread>) -> String {
    let Some(spread) = nanoseconds else { return "-".to_owned() };
    let (unit, factor) = match spread.median {
        median if median >= 1e5 => ("ms", 1e-6),
        median if median >= 1e3 => ("µs", 1e-3),
        _ => ("ns", 1.0),
    };
    let Spread { median, min, max } = spread.times(factor);
    format!("{} {unit} ({}..{})", digits(median), digits(min), digits(max))
}
fn number(spread: Option<Spread>) -> String {
    let Some(Spread { median, min, max }) = spread else { return "-".to_owned() };
    format!("{} ({}..{})", digits(median), digits(min), digits(max))
}
/// Formats a number with two or three significant digits.
fn digits(value: f64) -> String {
    match value.abs() {
        large if large >= 100.0 => format!("{value:.0}"),
        middle if middle >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}
