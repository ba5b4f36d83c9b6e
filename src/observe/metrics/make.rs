//! Makes metrics and registers them.

use prometheus::{
    Error, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry,
};

use crate::build_info::BuildInfo;

/// From a fraction of a round trip to Kafka to the acknowledgement timeout.
const BUCKETS: [f64; 13] = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0];
/// Before those, from the signature of a small body on.
const FINE_BUCKETS: [f64; 6] = [0.000_01, 0.000_02, 0.000_05, 0.000_1, 0.000_2, 0.000_5];

/// Each fails when there is a metric of that name already, which a test rules out.
pub(super) struct Make<'a>(pub(super) &'a Registry);

impl Make<'_> {
    pub(super) fn counter(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec, Error> {
        let made = IntCounterVec::new(Opts::new(name, help), labels)?;
        self.0.register(Box::new(made.clone()))?;
        Ok(made)
    }

    /// One whose series are there from the start, by the values of its label.
    pub(super) fn announced(
        &self,
        name: &str,
        help: &str,
        label: &str,
        values: &[&str],
    ) -> Result<IntCounterVec, Error> {
        let made = self.counter(name, help, &[label])?;
        for value in values {
            made.with_label_values(&[*value]);
        }
        Ok(made)
    }

    pub(super) fn single(&self, name: &str, help: &str) -> Result<IntCounter, Error> {
        let made = IntCounter::new(name, help)?;
        self.0.register(Box::new(made.clone()))?;
        Ok(made)
    }

    pub(super) fn gauge(&self, name: &str, help: &str) -> Result<IntGauge, Error> {
        let made = IntGauge::new(name, help)?;
        self.0.register(Box::new(made.clone()))?;
        Ok(made)
    }

    pub(super) fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntGaugeVec, Error> {
        let made = IntGaugeVec::new(Opts::new(name, help), labels)?;
        self.0.register(Box::new(made.clone()))?;
        Ok(made)
    }

    /// Which program it is, in labels.
    pub(super) fn build_info(&self, build: &BuildInfo) -> Result<(), Error> {
        let (names, values): (Vec<_>, Vec<_>) = build.labels().into_iter().unzip();
        let help = "Always 1; the labels are the versions of the program and of the libraries that it is linked with.";
        self.gauges("build_info", help, &names)?.with_label_values(&values).set(1);
        Ok(())
    }

    pub(super) fn seconds(&self, name: &str, help: &str, labels: &[&str]) -> Result<GaugeVec, Error> {
        let made = GaugeVec::new(Opts::new(name, help), labels)?;
        self.0.register(Box::new(made.clone()))?;
        Ok(made)
    }

    pub(super) fn histogram(&self, name: &str, help: &str) -> Result<Histogram, Error> {
        let made = Histogram::with_opts(HistogramOpts::new(name, help).buckets(BUCKETS.to_vec()))?;
        self.0.register(Box::new(made.clone()))?;
        Ok(made)
    }

    pub(super) fn fine_histograms(&self, name: &str, help: &str, labels: &[&str]) -> Result<HistogramVec, Error> {
        let buckets = [&FINE_BUCKETS[..], &BUCKETS].concat();
        let made = HistogramVec::new(HistogramOpts::new(name, help).buckets(buckets), labels)?;
        self.0.register(Box::new(made.clone()))?;
        Ok(made)
    }
}
