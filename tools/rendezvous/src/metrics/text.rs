//! The text format of Prometheus.

use std::fmt::{Display, Write};

use super::Histogram;

/// Each name begins with this.
const PREFIX: &str = "rendezvous_";

/// A text with metrics.
#[derive(Debug, Default)]
pub(super) struct Text(String);

impl Text {
    pub(super) fn gauge(&mut self, name: &str, help: &str, value: u64) {
        self.head(name, help, "gauge");
        self.line(name, "", value);
    }

    pub(super) fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.head(name, help, "counter");
        self.line(name, "", value);
    }

    /// One counter for each value of a label.
    pub(super) fn counters(&mut self, name: &str, help: &str, label: &str, values: &[(&str, u64)]) {
        self.head(name, help, "counter");
        for (of, value) in values {
            self.line(name, &format!("{{{label}=\"{of}\"}}"), *value);
        }
    }

    pub(super) fn histogram(&mut self, name: &str, help: &str, histogram: &Histogram) {
        self.head(name, help, "histogram");
        let bucket = format!("{name}_bucket");
        let mut all = 0;
        for (microseconds, count) in histogram.buckets() {
            let seconds = microseconds as f64 / 1e6;
            self.line(&bucket, &format!("{{le=\"{seconds}\"}}"), count);
            all = count;
        }
        all += histogram.above();
        self.line(&bucket, "{le=\"+Inf\"}", all);
        self.line(
            &format!("{name}_sum"),
            "",
            histogram.microseconds() as f64 / 1e6,
        );
        self.line(&format!("{name}_count"), "", all);
    }

    pub(super) fn finish(self) -> String {
        self.0
    }

    fn head(&mut self, name: &str, help: &str, kind: &str) {
        let _ = writeln!(self.0, "# HELP {PREFIX}{name} {help}");
        let _ = writeln!(self.0, "# TYPE {PREFIX}{name} {kind}");
    }

    fn line(&mut self, name: &str, labels: &str, value: impl Display) {
        let _ = writeln!(self.0, "{PREFIX}{name}{labels} {value}");
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn it_is_what_prometheus_reads() {
        let mut text = Text::default();
        text.gauge("names", "Names.", 3);
        text.counters(
            "dropped_total",
            "Dropped.",
            "reason",
            &[("garbage", 1), ("ignored", 2)],
        );
        let expected = "# HELP rendezvous_names Names.\n\
                        # TYPE rendezvous_names gauge\n\
                        rendezvous_names 3\n\
                        # HELP rendezvous_dropped_total Dropped.\n\
                        # TYPE rendezvous_dropped_total counter\n\
                        rendezvous_dropped_total{reason=\"garbage\"} 1\n\
                        rendezvous_dropped_total{reason=\"ignored\"} 2\n";
        assert_eq!(text.finish(), expected);
    }

    #[test]
    fn the_buckets_of_a_histogram_are_cumulative_and_end_with_all() {
        let histogram = Histogram::default();
        for milliseconds in [0, 1, 100_000] {
            histogram.count(Duration::from_millis(milliseconds));
        }
        let mut text = Text::default();
        text.histogram("datagram_seconds", "Time.", &histogram);
        let text = text.finish();
        for line in [
            "rendezvous_datagram_seconds_bucket{le=\"0.000016\"} 1",
            "rendezvous_datagram_seconds_bucket{le=\"0.001024\"} 2",
            "rendezvous_datagram_seconds_bucket{le=\"16.777216\"} 2",
            "rendezvous_datagram_seconds_bucket{le=\"+Inf\"} 3",
            "rendezvous_datagram_seconds_sum 100.001",
            "rendezvous_datagram_seconds_count 3",
        ] {
            assert!(text.lines().any(|other| other == line), "{line}\n{text}");
        }
    }
}
