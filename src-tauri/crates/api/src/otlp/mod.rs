//! Finished calls as OpenTelemetry says them: a trace each, and histograms of all, in OTLP's own
//! protobuf. Names are those of the conventions for generative AI as of 2026-11-21:
//! <https://github.com/open-telemetry/semantic-conventions-genai/tree/main/docs/gen-ai>.
//! Pure: when and where it is sent is not known here. Receipts hold no content, so none of it does.

mod attributes;
mod instruments;
mod spans;

use std::collections::BTreeMap;

use meter::Receipt;
use meter::format::Format;
use meter::provider::Providers;
use meter::receipt::{AttemptEnd, Kind, Status, TraceParent};
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::resource::v1::Resource;

use attributes::Attributes;

pub use instruments::Instruments;
pub use spans::traces;

/// A call that is over.
#[derive(Clone, Debug)]
pub struct Ended {
    /// What it left.
    pub receipt: Receipt,
    /// The span it was made from, if its client said so.
    pub parent: Option<TraceParent>,
}

impl Ended {
    /// Whether it belongs into a trace: its client did not say that nobody keeps this one.
    pub fn is_kept(&self) -> bool {
        self.parent.is_none_or(|parent| parent.is_sampled)
    }
}

/// What the conventions call the providers.
#[derive(Clone, Debug, Default)]
pub struct Names {
    by_id: BTreeMap<Box<str>, Box<str>>,
}

impl Names {
    /// Of these.
    pub fn of(providers: &Providers) -> Self {
        let named =
            providers.iter().filter_map(|one| Some((one.id.clone(), one.otel_name.clone()?)));
        Self { by_id: named.collect() }
    }

    fn of_provider<'a>(&'a self, id: &'a str) -> &'a str {
        self.by_id.get(id).map_or(id, |name| name)
    }
}

/// Who tells it.
fn resource() -> Option<Resource> {
    let mut told = Attributes::default();
    told.text("service.name", "tollgate").text("service.version", env!("CARGO_PKG_VERSION"));
    Some(Resource { attributes: told.into(), ..Resource::default() })
}

fn scope() -> Option<InstrumentationScope> {
    let version = env!("CARGO_PKG_VERSION").to_owned();
    Some(InstrumentationScope { name: "tollgate".to_owned(), version, ..Default::default() })
}

/// `gen_ai.operation.name`: the conventions' word where they have one, else our own.
fn operation(receipt: &Receipt) -> &'static str {
    match (receipt.kind, receipt.format) {
        (Kind::Chat, Some(Format::GeminiGenerate)) => "generate_content",
        (Kind::Completion, _) => "text_completion",
        (Kind::Embedding, _) => "embeddings",
        (kind, _) => kind.as_str(),
    }
}

/// `error.type`, in few enough words: how the try ended, or what status it was answered with.
fn error(status: Status, ended: Option<AttemptEnd>, http_status: Option<u16>) -> Option<String> {
    let ended = match status {
        Status::Succeeded | Status::Pending => return None,
        Status::Denied | Status::Cancelled | Status::Interrupted => {
            return Some(status.to_string());
        }
        Status::Error => ended,
    };
    Some(match (ended, http_status) {
        (Some(end @ (AttemptEnd::Unreachable | AttemptEnd::TimedOut | AttemptEnd::Broken)), _) => {
            end.to_string()
        }
        (_, Some(code @ 400..)) => code.to_string(),
        (_, _) => "_OTHER".to_owned(),
    })
}

/// Milliseconds since 1970 as nanoseconds.
fn nanos(ms: i64) -> u64 {
    u64::try_from(ms).unwrap_or(0).saturating_mul(1_000_000)
}
