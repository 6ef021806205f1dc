//! The growth table as Markdown.
use super::curve::Curve;
use crate::header::Header;
use std::fmt::Write;

pub(crate) fn markdown(header: &Header, curves: &[Curve]) -> String {
    let mut text = format!("# Growth\n\n{}\n", header.end().markdown());
    text += "The exponent is that of the last step: 1 is linear, 2 is square.\n\n";
    text += "| row | size | cost | 1x | 10x | 100x | exponent | bar | figure | met |\n|---|---|---|--:|--:|--:|--:|---|--:|---|\n";
    for curve in curves {
        let row =
            if curve.series.is_empty() { curve.row.to_owned() } else { format!("{}: {}", curve.row, curve.series) };
        let _ = write!(text, "| {row} | {} | {} |", curve.size, curve.cost);
        for point in 0..3 {
            let cell = curve.points.get(point).map(|(size, cost)| format!(" {}: {} |", number(*size), number(*cost)));
            text += &cell.unwrap_or_else(|| " - |".to_owned());
        }
        let exponent = curve.exponent().map_or_else(|| "-".to_owned(), |exponent| format!("{exponent:.2}"));
        let _ = match curve.bar() {
            Some((bar, figure, met)) => {
                writeln!(text, " {exponent} | {bar} | {} | {} |", number(figure), if met { "yes" } else { "no" })
            }
            None => writeln!(text, " {exponent} | - | - | - |"),
        };
    }
    text
}

/// Writes a number with three digits, and large ones in full.
fn number(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        magnitude if magnitude >= 100.0 => format!("{value:.0}"),
        magnitude if magnitude >= 10.0 => format!("{value:.1}"),
        magnitude if magnitude >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn numbers_have_three_digits_or_are_whole() {
        assert_eq!(
            [0.0, 0.01234, 1.236, 12.36, 123.6, 1_000_000.0].map(super::number),
            ["0", "0.0123", "1.24", "12.4", "124", "1000000"]
        );
    }
}
