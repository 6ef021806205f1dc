//! One measured curve: a cost at growing sizes.

/// A cost at growing sizes, with the bar that it is held against.
#[derive(Debug, Clone)]
pub(crate) struct Curve {
    pub(crate) row: &'static str,
    /// The series within the row.
    pub(crate) series: String,
    /// The quantity that grows.
    pub(crate) size: &'static str,
    /// The measured quantity, with its unit.
    pub(crate) cost: &'static str,
    pub(crate) points: Vec<(f64, f64)>,
    pub(crate) bar: Option<Bar>,
}

/// The bar that the last point of a curve is held against.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bar {
    /// The bar in words.
    pub(crate) text: &'static str,
    /// The figure that is compared: the last point, or a rate from it.
    pub(crate) figure: Figure,
    pub(crate) limit: Limit,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Figure {
    /// The cost at the largest size.
    Cost,
    /// The largest size divided by its cost.
    Rate,
    /// The cost at the largest size divided by that at the smallest.
    Ratio,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Limit {
    AtMost(f64),
    AtLeast(f64),
}

impl Curve {
    /// Returns the exponent with which the cost grows between the last two sizes: 1 is linear, 2 is square.
    pub(crate) fn exponent(&self) -> Option<f64> {
        let [.., (size, cost), (larger, more)] = self.points[..] else { return None };
        (cost > 0.0 && more > 0.0).then(|| (more / cost).ln() / (larger / size).ln())
    }
    /// Returns the figure of the bar, and whether it is met.
    pub(crate) fn bar(&self) -> Option<(&'static str, f64, bool)> {
        let (bar, (size, cost), (_, first)) = (self.bar?, *self.points.last()?, *self.points.first()?);
        let figure = match bar.figure {
            Figure::Cost => cost,
            Figure::Rate => size / cost,
            Figure::Ratio => cost / first,
        };
        let met = match bar.limit {
            Limit::AtMost(limit) => figure <= limit,
            Limit::AtLeast(limit) => figure >= limit,
        };
        Some((bar.text, figure, met))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(points: &[(f64, f64)], bar: Option<Bar>) -> Curve {
        Curve { row: "r", series: String::new(), size: "keys", cost: "s", points: points.to_vec(), bar }
    }

    #[test]
    fn the_exponent_is_that_of_the_last_step() {
        assert_eq!(curve(&[(1.0, 5.0)], None).exponent(), None);
        let square = curve(&[(1.0, 9.0), (10.0, 1.0), (100.0, 100.0)], None);
        assert!((square.exponent().expect("two points") - 2.0).abs() < 1e-9);
    }
    #[test]
    fn a_ratio_is_the_last_cost_by_the_first() {
        let bar = Bar { text: "b", figure: Figure::Ratio, limit: Limit::AtMost(3.0) };
        assert_eq!(curve(&[(1.0, 2.0), (10.0, 1.0), (100.0, 7.0)], Some(bar)).bar(), Some(("b", 3.5, false)));
    }
    #[test]
    fn a_rate_is_the_largest_size_by_its_cost() {
        let bar = Bar { text: "b", figure: Figure::Rate, limit: Limit::AtLeast(49.0) };
        assert_eq!(curve(&[(1.0, 1.0), (100.0, 2.0)], Some(bar)).bar(), Some(("b", 50.0, true)));
        let bar = Bar { limit: Limit::AtMost(1.0), figure: Figure::Cost, ..bar };
        assert_eq!(curve(&[(100.0, 2.0)], Some(bar)).bar(), Some(("b", 2.0, false)));
    }
}
