//! The results as Markdown tables and as CSV.
use crate::{
    catalogue::Kind,
    compare::{Comparison, Side},
    header::Header,
    measure::Sample,
    rest::Operation,
    statistics::Spread,
};
use std::fmt::Write;

/// The rows that have been measured so far.
pub(crate) struct Report {
    header: Header,
    comparisons: Vec<Comparison>,
}
impl Report {
    pub(crate) fn new(header: Header) -> Report {
        Report { header, comparisons: Vec::new() }
    }
    pub(crate) fn add(&mut self, comparison: Comparison) {
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
            let (subject, baseline) = (&comparison.subject, &comparison.baseline);
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} | {} | {} | {} | {} |",
                comparison.row.name(),
                subject.name,
                time(spread(subject, |sample| sample.p50)),
                time(spread(subject, |sample| sample.p99)),
                baseline.name,
                time(spread(baseline, |sample| sample.p50)),
                time(spread(baseline, |sample| sample.p99)),
                number(ratio(comparison, |sample| sample.p50)),
            );
        }
        text += "\n## Throughput\n\n| row | subject, per second | baseline, per second | ratio |\n|---|--:|--:|--:|\n";
        for comparison in &self.comparisons {
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} |",
                comparison.row.name(),
                number(spread(&comparison.subject, |sample| sample.per_second)),
                number(spread(&comparison.baseline, |sample| sample.per_second)),
                number(ratio(comparison, |sample| sample.per_second)),
            );
        }
        text += &self.costs();
        text += &self.goals();
        text += &self.failures();
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
        for comparison in self.comparisons.iter().filter(|comparison| !matches!(comparison.row.kind, Kind::Dispatch(_)))
        {
            for side in [&comparison.subject, &comparison.baseline] {
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
        text
    }
    /// Writes the table of the goals that belong to these rows.
    fn goals(&self) -> String {
        let mut text = "\n## Goals\n\n| row | goal | measured | reached |\n|---|---|--:|---|\n".to_owned();
        let before = text.len();
        for comparison in self.comparisons.iter().filter(|comparison| comparison.row.callers == 1) {
            let p50 = spread(&comparison.subject, |sample| sample.p50).map(|spread| spread.times(1e-6).median);
            let (goal, measured, most) = match comparison.row.kind {
                Kind::Deployed(Operation::Read | Operation::Update) => {
                    let ratio = ratio(comparison, |sample| sample.p50).map(|ratio| ratio.median);
                    ("p50 at most 1.3 times the twin's", ratio, 1.3)
                }
                Kind::Deployed(Operation::Message) => ("p50 at most 8 ms", p50, 8.0),
                Kind::Embedded(Operation::Message) => ("p50 at most 6 ms", p50, 6.0),
                _ => continue,
            };
            let Some(measured) = measured else { continue };
            let reached = if measured <= most { "yes" } else { "no" };
            let _ = writeln!(text, "| {} | {goal} | {measured:.2} | {reached} |", comparison.row.name());
        }
        if text.len() == before { String::new() } else { text }
    }
    /// Returns the number of calls that failed in measured runs.
    pub(crate) fn failed_calls(&self) -> u64 {
        let sides = self.comparisons.iter().flat_map(|comparison| [&comparison.subject, &comparison.baseline]);
        sides.flat_map(|side| &side.samples).map(|sample| sample.failures).sum()
    }
    fn failures(&self) -> String {
        let mut text = String::new();
        for comparison in &self.comparisons {
            for side in [&comparison.subject, &comparison.baseline] {
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
    /// Writes one line of CSV for each run of each side.
    pub(crate) fn csv(&self) -> String {
        let mut text =
            "row,callers,side,run,operations,failures,p50_ns,p99_ns,per_second,writes,wal_bytes,cpu_ms\n".to_owned();
        for comparison in &self.comparisons {
            for side in [&comparison.subject, &comparison.baseline] {
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
/// Returns the spread of the ratios of the pairs of runs.
fn ratio(comparison: &Comparison, value: impl Fn(&Sample) -> f64) -> Option<Spread> {
    let pairs = comparison.subject.samples.iter().zip(&comparison.baseline.samples);
    Spread::of(pairs.map(|(subject, baseline)| value(subject) / value(baseline)))
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
