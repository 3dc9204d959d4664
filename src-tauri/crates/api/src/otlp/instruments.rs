//! The two histograms of the conventions, summed up since the process began: whoever was away
//! for an hour misses nothing by it.

use std::collections::BTreeMap;

use meter::receipt::Status;
use meter::usage::Unit;
use meter::{Receipt, Timestamp};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Histogram, HistogramDataPoint, Metric, ResourceMetrics, ScopeMetrics,
};
use prost::Message as _;

use super::attributes::{Attributes, in_seconds};
use super::{Names, error, nanos, operation, resource, scope};
use crate::metrics::buckets::Buckets;
use crate::metrics::{OTHER, shortened};

/// Sets of attributes that are kept apart.
const MOST: usize = 500;
/// In milliseconds, as the conventions want them.
const DURATION: &[u64] =
    &[10, 20, 40, 80, 160, 320, 640, 1280, 2560, 5120, 10_240, 20_480, 40_960, 81_920];
/// In tokens, as the conventions want them.
const TOKENS: &[u64] = &[
    1, 4, 16, 64, 256, 1024, 4096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304, 16_777_216,
    67_108_864,
];

/// Which calls are summed up together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Sort {
    operation: &'static str,
    provider: Box<str>,
    requested: Option<Box<str>>,
    served: Option<Box<str>>,
    error: Option<String>,
}

/// What they took.
#[derive(Debug)]
struct Sums {
    duration: Buckets,
    input: Buckets,
    output: Buckets,
}

/// How long calls took and how many tokens they used, since an instant.
#[derive(Debug)]
pub struct Instruments {
    since: Timestamp,
    sums: BTreeMap<Sort, Sums>,
}

impl Instruments {
    /// Nothing counted yet.
    pub const fn since(since: Timestamp) -> Self {
        Self { since, sums: BTreeMap::new() }
    }

    /// Counts a call, unless it never left or only looked something up.
    pub fn note(&mut self, receipt: &Receipt) {
        if receipt.attempts.is_empty() || receipt.kind.is_never_billed() {
            return;
        }
        let sort = self.sort_of(receipt);
        let sums = self.sums.entry(sort).or_insert_with(|| Sums {
            duration: Buckets::new(DURATION),
            input: Buckets::new(TOKENS),
            output: Buckets::new(TOKENS),
        });
        sums.duration.record(receipt.latency_ms);
        if receipt.lines.iter().any(|line| line.unit == Unit::Token) {
            sums.input.record(receipt.input_tokens());
            sums.output.record(receipt.output_tokens());
        }
    }

    /// Names that clients make up share one sort, and so does what comes when there is no room.
    fn sort_of(&self, receipt: &Receipt) -> Sort {
        let name = |name: &Option<Box<str>>| name.as_deref().map(|name| shortened(name).into());
        let ended = receipt.attempts.last().map(|attempt| attempt.ended);
        let sort = Sort {
            operation: operation(receipt),
            provider: receipt.provider.clone(),
            requested: name(&receipt.model_requested),
            served: name(&receipt.model),
            error: error(receipt.status, ended, receipt.http_status),
        };
        let is_known = || self.sums.keys().any(|known| known.requested == sort.requested);
        let is_real = receipt.status == Status::Succeeded || is_known();
        if self.sums.contains_key(&sort) || (is_real && self.sums.len() < MOST) {
            return sort;
        }
        Sort { requested: Some(OTHER.into()), served: None, ..sort }
    }

    /// All of it as one OTLP message.
    pub fn written(&self, names: &Names, now: Timestamp) -> Vec<u8> {
        let page = Page { instruments: self, names, now };
        let metrics = vec![page.duration(), page.tokens()];
        let scope_metrics = vec![ScopeMetrics { scope: scope(), metrics, ..Default::default() }];
        let told = ResourceMetrics { resource: resource(), scope_metrics, ..Default::default() };
        ExportMetricsServiceRequest { resource_metrics: vec![told] }.encode_to_vec()
    }
}

/// The message while it is written.
struct Page<'a> {
    instruments: &'a Instruments,
    names: &'a Names,
    now: Timestamp,
}

impl Page<'_> {
    fn duration(&self) -> Metric {
        let sums = self.instruments.sums.iter();
        let points =
            sums.map(|(sort, sums)| self.point(self.attributes(sort), &sums.duration, in_seconds));
        metric("gen_ai.client.operation.duration", "s", "GenAI operation duration.", points)
    }

    fn tokens(&self) -> Metric {
        let sums = self.instruments.sums.iter();
        let points = sums.flat_map(|(sort, sums)| {
            let sides = [("input", &sums.input), ("output", &sums.output)];
            sides.into_iter().filter(|(_, side)| side.count() > 0).map(move |(side, buckets)| {
                let mut told = self.attributes(sort);
                told.text("gen_ai.token.type", side);
                self.point(told, buckets, exactly)
            })
        });
        let what = "Number of input and output tokens used.";
        metric("gen_ai.client.token.usage", "{token}", what, points)
    }

    fn attributes(&self, sort: &Sort) -> Attributes {
        let mut told = Attributes::default();
        told.text("gen_ai.operation.name", sort.operation)
            .text("gen_ai.provider.name", self.names.of_provider(&sort.provider))
            .maybe("gen_ai.request.model", sort.requested.as_ref())
            .maybe("gen_ai.response.model", sort.served.as_ref())
            .maybe("error.type", sort.error.as_ref());
        told
    }

    fn point(&self, told: Attributes, of: &Buckets, unit: fn(u64) -> f64) -> HistogramDataPoint {
        HistogramDataPoint {
            attributes: told.into(),
            start_time_unix_nano: nanos(self.instruments.since.millis()),
            time_unix_nano: nanos(self.now.millis()),
            count: of.count(),
            sum: Some(unit(u64::try_from(of.sum()).unwrap_or(u64::MAX))),
            bucket_counts: of.counts().to_vec(),
            explicit_bounds: of.bounds().iter().map(|bound| unit(*bound)).collect(),
            ..HistogramDataPoint::default()
        }
    }
}

fn metric(
    name: &str,
    unit: &str,
    description: &str,
    points: impl Iterator<Item = HistogramDataPoint>,
) -> Metric {
    let data = Data::Histogram(Histogram {
        data_points: points.collect(),
        aggregation_temporality: AggregationTemporality::Cumulative.into(),
    });
    Metric {
        name: name.to_owned(),
        unit: unit.to_owned(),
        description: description.to_owned(),
        data: Some(data),
        ..Metric::default()
    }
}

/// Counts below 2^53 are the same as a double.
#[expect(clippy::cast_precision_loss, reason = "OTLP's sums are doubles")]
fn exactly(count: u64) -> f64 {
    count as f64
}
