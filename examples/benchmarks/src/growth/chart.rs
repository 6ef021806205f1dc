//! A chart of the curves of one row as SVG, with logarithmic axes.
use super::curve::Curve;
use anyhow::{Result, anyhow};
use plotters::prelude::*;
use std::path::Path;

/// Writes the chart. Curves with another unit than the first are left to the table.
pub(crate) fn write(file: &Path, curves: &[&Curve]) -> Result<()> {
    draw(file, curves).map_err(|error| anyhow!("{}: {error}", file.display()))
}

fn draw(file: &Path, curves: &[&Curve]) -> Result<(), Box<dyn std::error::Error>> {
    let Some(first) = curves.first() else { return Ok(()) };
    let curves: Vec<_> = curves.iter().filter(|curve| curve.cost == first.cost).collect();
    let points = || curves.iter().flat_map(|curve| &curve.points);
    let range = |value: fn(&(f64, f64)) -> f64| {
        let (low, high) = points().map(value).fold((f64::MAX, 0.0_f64), |(low, high), at| (low.min(at), high.max(at)));
        (low.max(1e-6) / 1.5)..(high.max(1e-6) * 1.5)
    };
    let area = SVGBackend::new(file, (640, 400)).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .margin(12)
        .caption(format!("growth/{}", first.row), ("sans-serif", 18))
        .x_label_area_size(40)
        .y_label_area_size(70)
        .build_cartesian_2d(range(|point| point.0).log_scale(), range(|point| point.1).log_scale())?;
    chart.configure_mesh().x_desc(first.size).y_desc(first.cost).light_line_style(TRANSPARENT).draw()?;
    for (number, curve) in curves.iter().enumerate() {
        let color = Palette99::pick(number).to_rgba();
        let line =
            chart.draw_series(LineSeries::new(curve.points.iter().copied(), color.stroke_width(2)).point_size(4))?;
        let key = move |(x, y)| PathElement::new([(x, y), (x + 16, y)], color.stroke_width(2));
        line.label(curve.series.clone()).legend(key);
    }
    if curves.len() > 1 {
        chart.configure_series_labels().background_style(WHITE).border_style(BLACK).draw()?;
    }
    area.present()?;
    Ok(())
}
