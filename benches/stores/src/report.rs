//! Numbers of several rounds, and the Markdown table they end in.

use std::fmt;

use crate::stores::Kind;

/// What the rounds gave, of which the median and the extremes are shown.
#[derive(Default)]
pub struct Spread(Vec<f64>);

impl Spread {
    pub fn add(&mut self, value: f64) {
        self.0.push(value);
        self.0.sort_by(f64::total_cmp);
    }

    /// The value that this share of all values does not exceed.
    pub fn quantile(&self, share: f64) -> f64 {
        let last = self.0.len().saturating_sub(1) as f64;
        self.0.get((last * share).round() as usize).copied().unwrap_or(f64::NAN)
    }
}

impl FromIterator<f64> for Spread {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        Self(values)
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [low, median, high] = [0.0, 0.5, 1.0].map(|share| short(self.quantile(share)));
        write!(f, "{median} ({low}..{high})")
    }
}

/// Three digits are all that such a measurement carries.
pub fn short(value: f64) -> String {
    match value {
        value if value >= 100.0 => format!("{value:.0}"),
        value if value >= 10.0 => format!("{value:.1}"),
        value => format!("{value:.2}"),
    }
}

/// One row for each measure, one column for each store.
pub struct Table(Vec<(String, Vec<String>)>);

impl Table {
    pub fn new() -> Self {
        Self(Vec::new())
    }

    pub fn row(&mut self, measure: impl Into<String>, cells: impl IntoIterator<Item = impl fmt::Display>) {
        self.0.push((measure.into(), cells.into_iter().map(|cell| cell.to_string()).collect()));
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = Kind::ALL.map(Kind::name);
        writeln!(f, "| median (min..max) | {} |", names.join(" | "))?;
        writeln!(f, "| --- |{}", " --- |".repeat(names.len()))?;
        self.0.iter().try_for_each(|(measure, cells)| writeln!(f, "| {measure} | {} |", cells.join(" | ")))
    }
}
