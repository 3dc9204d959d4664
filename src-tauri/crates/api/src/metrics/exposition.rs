//! The text format that Prometheus reads, version 0.0.4:
//! <https://prometheus.io/docs/instrumenting/exposition_formats/> (2026-11-21). Amounts and
//! durations are written as exact decimals; rounding is up to whoever reads them.

use std::fmt::Write as _;

use store::Health;

use super::buckets::Buckets;
use super::{Counted, Series, Target};

/// What the text is.
pub(super) const CONTENT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Everything that was counted, as text.
pub(super) fn written(counted: &Counted, health: &Health) -> String {
    let mut page = Page::default();
    page.traffic(counted);
    page.durations(counted);
    page.ledger(health);
    page.text
}

/// The text so far.
#[derive(Default)]
struct Page {
    text: String,
}

impl Page {
    fn traffic(&mut self, counted: &Counted) {
        self.family("requests_total", "counter", "Calls that are over, by how they ended.");
        for (target, series) in &counted.targets {
            for ((kind, status), count) in &series.requests {
                let more = [("kind", kind.as_str()), ("status", status.as_str())];
                self.sample("requests_total", &target.labels(&more), count);
            }
        }
        self.family("errors_total", "counter", "Calls that did not succeed, by class.");
        for (target, series) in &counted.targets {
            for (trouble, count) in &series.errors {
                let labels = target.labels(&[("class", trouble.as_str())]);
                self.sample("errors_total", &labels, count);
            }
        }
        self.family("tokens_total", "counter", "Tokens, each in one factor only.");
        for (target, series) in &counted.targets {
            for (factor, count) in &series.tokens {
                self.sample("tokens_total", &target.labels(&[("factor", factor)]), count);
            }
        }
        self.family("usage_total", "counter", "What is counted in other units than tokens.");
        for (target, series) in &counted.targets {
            for (factor, (_, count)) in &series.units {
                self.sample("usage_total", &target.labels(&[("factor", factor)]), count);
            }
        }
        self.family("cost_total", "counter", "What calls came to, where that is known.");
        for (target, series) in &counted.targets {
            for (currency, cost) in &series.costs {
                let labels = target.labels(&[("currency", currency.as_str())]);
                self.sample("cost_total", &labels, cost);
            }
        }
        self.family("requests_without_cost_total", "counter", "Calls whose cost is unknown.");
        for (target, series) in &counted.targets {
            self.sample("requests_without_cost_total", &target.labels(&[]), series.uncosted);
        }
        self.family("requests_in_flight", "gauge", "Calls that run.");
        for (provider, running) in &counted.in_flight {
            self.sample("requests_in_flight", &label("provider", provider), running);
        }
    }

    fn durations(&mut self, counted: &Counted) {
        let latency = ("latency_seconds", "From a call's head to its last byte.");
        let ttft = ("ttft_seconds", "Until the first content of a stream.");
        let overhead = ("overhead_seconds", "What Tollgate itself added before a call left.");
        self.histogram(latency, counted, |series| &series.latency);
        self.histogram(ttft, counted, |series| &series.ttft);
        self.histogram(overhead, counted, |series| &series.overhead);
    }

    fn histogram(
        &mut self,
        (name, help): (&str, &str),
        counted: &Counted,
        of: fn(&Series) -> &Buckets,
    ) {
        self.family(name, "histogram", help);
        let filled = counted.targets.iter().map(|(target, series)| (target, of(series)));
        for (target, buckets) in filled.filter(|(_, buckets)| buckets.count() > 0) {
            let mut below = 0;
            for (bound, count) in buckets.bounds().iter().zip(buckets.counts()) {
                below += count;
                let bound = seconds(u128::from(*bound));
                let labels = target.labels(&[("le", &bound)]);
                self.sample(&format!("{name}_bucket"), &labels, below);
            }
            let all = target.labels(&[("le", "+Inf")]);
            self.sample(&format!("{name}_bucket"), &all, buckets.count());
            let labels = target.labels(&[]);
            self.sample(&format!("{name}_sum"), &labels, seconds(buckets.sum()));
            self.sample(&format!("{name}_count"), &labels, buckets.count());
        }
    }

    fn ledger(&mut self, health: &Health) {
        for (name, kind, help, value) in [
            ("receipts_recorded_total", "counter", "Receipts in the ledger.", health.recorded),
            ("receipts_lost_total", "counter", "Receipts that found no place.", health.lost),
            ("receipts_waiting", "gauge", "Receipts that wait to be written.", health.waiting),
            ("receipts_spilled", "gauge", "Of those, in the spill file.", health.spilled),
        ] {
            self.family(name, kind, help);
            self.sample(name, "", value);
        }
        self.family("ledger_up", "gauge", "1 while the ledger can be written.");
        self.sample("ledger_up", "", u8::from(health.problem.is_none()));
        self.family("build_info", "gauge", "Which Tollgate this is.");
        self.sample("build_info", &label("version", env!("CARGO_PKG_VERSION")), 1);
    }

    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.text, "# HELP tollgate_{name} {help}\n# TYPE tollgate_{name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &str, value: impl std::fmt::Display) {
        let _ = match labels {
            "" => writeln!(self.text, "tollgate_{name} {value}"),
            labels => writeln!(self.text, "tollgate_{name}{{{labels}}} {value}"),
        };
    }
}

impl Target {
    fn labels(&self, more: &[(&str, &str)]) -> String {
        let own = [("provider", &*self.provider), ("model", &*self.model)];
        let all = own.iter().chain(more).map(|(name, value)| label(name, value));
        all.collect::<Vec<_>>().join(",")
    }
}

fn label(name: &str, value: &str) -> String {
    let value = value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n");
    format!("{name}=\"{value}\"")
}

/// Microseconds as seconds.
fn seconds(micros: u128) -> String {
    let (whole, rest) = (micros / 1_000_000, micros % 1_000_000);
    match rest {
        0 => whole.to_string(),
        _ => format!("{whole}.{}", format!("{rest:06}").trim_end_matches('0')),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_cannot_be_left_from_within() {
        assert_eq!(label("model", "a\"} 1\nb\\"), r#"model="a\"} 1\nb\\""#);
    }

    #[test]
    fn microseconds_are_written_exactly() {
        let written = [0, 1, 50_000, 2_500_000, 60_000_000].map(seconds);
        assert_eq!(written, ["0", "0.000001", "0.05", "2.5", "60"]);
    }
}
