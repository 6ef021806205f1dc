//! The summary: a table for people, a document for programs.
use super::run::Row;

/// Prints the table.
pub(super) fn print(seed: u64, rows: &[Row]) {
    let width = rows.iter().map(|it| it.name.len()).max().unwrap_or(8).max(8);
    println!(
        "{:width$} {:>9} {:>6} {:>8} {:>9} {:>11} {:>8}  verdict",
        "scenario", "events", "lost", "doubled", "inverted", "duplicates", "seconds"
    );
    for row in rows {
        let f = &row.findings;
        println!(
            "{:width$} {:>9} {:>6} {:>8} {:>9} {:>11} {:>8.1}  {}",
            row.name, f.events, f.lost, f.doubled, f.inverted, f.duplicates, row.seconds, row.verdict
        );
    }
    // Planted bugs lose on purpose: they are not part of the sum.
    let real: Vec<_> = rows.iter().filter(|it| it.expected == "holds").collect();
    let sum = |what: fn(&Row) -> u64| real.iter().map(|it| what(it)).sum::<u64>();
    println!(
        "{:width$} {:>9} {:>6} {:>8} {:>9} {:>11} {:>8.1}  of what must hold, {} runs",
        "sum",
        sum(|it| it.findings.events),
        sum(|it| it.findings.lost),
        sum(|it| it.findings.doubled),
        sum(|it| it.findings.inverted),
        sum(|it| it.findings.duplicates),
        rows.iter().map(|it| it.seconds).sum::<f64>(),
        real.len()
    );
    let highest = |what: &str| rows.iter().filter_map(|it| it.facts.get(what)).copied().reduce(f64::max);
    for (what, meaning) in [
        ("takeover s", "the lanes of a killed relay were taken over within"),
        ("drain s", "what was in flight at SIGTERM was finished within"),
        ("exit s", "the process was gone within"),
        ("drained s", "after the fault everything had arrived within"),
    ] {
        if let Some(highest) = highest(what) {
            println!("{meaning} {highest:.1} s");
        }
    }
    match rows.iter().filter(|it| !it.as_declared).count() {
        0 => println!("Everything was as declared. seed {seed}"),
        differ => println!("{differ} of {} were not as declared. seed {seed}", rows.len()),
    }
}

/// Prints the document.
pub(super) fn json(seed: u64, rows: &[Row]) {
    let as_declared = rows.iter().all(|it| it.as_declared);
    println!("{:#}", serde_json::json!({ "seed": seed, "as_declared": as_declared, "scenarios": rows }));
}
