//! What was counted, read back from the metrics themselves: what the console shows and what is scraped are one thing.

use prometheus::core::Collector;
use prometheus::proto::Metric;

/// One value by its labels, in the order in which they were asked for.
pub(crate) type SeriesValue<const LABELS: usize> = ([String; LABELS], u64);

/// What is counted of events and answers, as it balanced at one moment.
#[derive(Debug, Default)]
pub(crate) struct Tallies {
    /// By source and type.
    pub(crate) accepted: Vec<SeriesValue<2>>,
    /// By source, type and outcome.
    pub(crate) events: Vec<SeriesValue<3>>,
    /// By source and reason.
    pub(crate) dead_letters: Vec<SeriesValue<2>>,
    /// By source and reason.
    pub(crate) refused: Vec<SeriesValue<2>>,
    /// By outcome or problem code.
    pub(crate) requests: Vec<SeriesValue<1>>,
    /// By lane.
    pub(crate) spool_records: Vec<SeriesValue<1>>,
    pub(crate) spool_bytes: Vec<SeriesValue<1>>,
    /// By source, type and field.
    pub(crate) drift: Vec<SeriesValue<3>>,
    /// How many answers took at most so many seconds; the last bound is infinite.
    pub(crate) answer_seconds: Vec<(f64, u64)>,
}

fn metrics(collector: &impl Collector) -> Vec<Metric> {
    collector.collect().into_iter().flat_map(|mut family| family.take_metric()).collect()
}

/// All series of a counter, or of a gauge of what is never below zero.
pub(super) fn tally<const LABELS: usize>(
    collector: &impl Collector,
    labels: [&str; LABELS],
) -> Vec<SeriesValue<LABELS>> {
    let read = |metric: Metric| {
        let labels = labels.map(|name| {
            let label = metric.get_label().iter().find(|label| label.name() == name);
            label.map(|label| label.value().to_owned()).unwrap_or_default()
        });
        // A series is one of both; the other reads as zero.
        let value = metric.get_counter().get_value() + metric.get_gauge().get_value();
        (labels, value.max(0.0) as u64)
    };
    metrics(collector).into_iter().map(read).collect()
}

/// The buckets of a histogram without labels.
pub(super) fn buckets(collector: &impl Collector) -> Vec<(f64, u64)> {
    let Some(metric) = metrics(collector).pop() else { return Vec::new() };
    let histogram = metric.get_histogram();
    let bounds = histogram.get_bucket().iter().map(|bucket| (bucket.upper_bound(), bucket.cumulative_count()));
    bounds.chain([(f64::INFINITY, histogram.get_sample_count())]).collect()
}
