//! The summary of a run, as a table or as a JSON document.
use super::run::Row;

/// Prints the summary as a table.
pub(super) fn print(seed: u64, rows: &[Row]) {
    let width = rows.iter().map(|row| row.name.len()).max().unwrap_or(8).max(8);
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
    // Seeded bugs lose events on purpose, so they are not part of the sum.
    let real: Vec<_> = rows.iter().filter(|row| row.expected == "holds").collect();
    let sum = |count: fn(&Row) -> u64| real.iter().map(|row| count(row)).sum::<u64>();
    println!(
        "{:width$} {:>9} {:>6} {:>8} {:>9} {:>11} {:>8.1}  {} scenarios that must hold",
        "sum",
        sum(|row| row.findings.events),
        sum(|row| row.findings.lost),
        sum(|row| row.findings.doubled),
        sum(|row| row.findings.inverted),
        sum(|row| row.findings.duplicates),
        rows.iter().map(|row| row.seconds).sum::<f64>(),
        real.len()
    );
    let highest = |name: &str| rows.iter().filter_map(|row| row.facts.get(name)).copied().reduce(f64::max);
    for (name, meaning) in [
        ("takeover s", "the shards of a killed relay were taken over within"),
        ("drain s", "the work in flight at SIGTERM was finished within"),
        ("exit s", "the process had ended within"),
        ("answered s", "commands succeeded again after the server had resumed within"),
        ("read again s", "query servers answered again after Redis had been lost within"),
        ("drained s", "after the fault every event had arrived within"),
    ] {
        if let Some(highest) = highest(name) {
            println!("{meaning} {highest:.1} s");
        }
    }
    match rows.iter().filter(|row| !row.as_declared).count() {
        0 => println!("Every scenario ended as declared. seed {seed}"),
        differ => println!("{differ} of {} scenarios did not end as declared. seed {seed}", rows.len()),
    }
}

/// Prints the summary as a JSON document.
pub(super) fn json(seed: u64, rows: &[Row]) {
    let as_declared = rows.iter().all(|row| row.as_declared);
    println!("{:#}", serde_json::json!({ "seed": seed, "as_declared": as_declared, "scenarios": rows }));
}
