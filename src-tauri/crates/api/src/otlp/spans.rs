//! A call as a trace: one SERVER span for the call, in it one CLIENT span for each try at an
//! upstream. The trace is the client's own, or else has the number of the receipt.

use axum::http::Uri;
use meter::Receipt;
use meter::receipt::{Attempt, Status};
use meter::usage::{Count, Factor, Unit};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{
    ResourceSpans, ScopeSpans, Span, Status as SpanStatus,
};
use prost::Message as _;

use super::attributes::Attributes;
use super::{Ended, Names, error, nanos, operation, resource, scope};

/// The parent came from another process (bits 8 and 9 of a span's flags), and is kept.
const REMOTE_PARENT: u32 = 0x301;
/// The parent is in this process, and is kept.
const OWN_PARENT: u32 = 0x101;

/// These calls as one OTLP message.
pub fn traces(calls: &[Ended], names: &Names) -> Vec<u8> {
    let spans = calls.iter().flat_map(|call| Story { call, names }.spans()).collect();
    let scope_spans = vec![ScopeSpans { scope: scope(), spans, ..ScopeSpans::default() }];
    let told = ResourceSpans { resource: resource(), scope_spans, ..ResourceSpans::default() };
    ExportTraceServiceRequest { resource_spans: vec![told] }.encode_to_vec()
}

/// One call while its spans are written.
struct Story<'a> {
    call: &'a Ended,
    names: &'a Names,
}

impl Story<'_> {
    fn receipt(&self) -> &Receipt {
        &self.call.receipt
    }

    fn spans(&self) -> Vec<Span> {
        let last = self.receipt().attempts.len().saturating_sub(1);
        let tries = self.receipt().attempts.iter().enumerate();
        let tries = tries.map(|(number, attempt)| self.attempt(number, attempt, number == last));
        std::iter::once(self.call()).chain(tries).collect()
    }

    fn trace_id(&self) -> Vec<u8> {
        let own = self.receipt().id.as_u128();
        self.call.parent.map_or(own, |parent| parent.trace_id).to_be_bytes().to_vec()
    }

    /// What happened between client and Tollgate.
    fn call(&self) -> Span {
        let receipt = self.receipt();
        let parent = self.call.parent.map(|parent| parent.span_id.to_be_bytes().to_vec());
        Span {
            trace_id: self.trace_id(),
            span_id: receipt.id.span_id().to_be_bytes().to_vec(),
            flags: if parent.is_some() { REMOTE_PARENT } else { OWN_PARENT },
            parent_span_id: parent.unwrap_or_default(),
            name: format!("tollgate {}", receipt.kind),
            kind: SpanKind::Server.into(),
            attributes: self.of_call().into(),
            status: status(receipt.status),
            ..self.times(0, receipt.latency_ms)
        }
    }

    fn of_call(&self) -> Attributes {
        let receipt = self.receipt();
        let mut told = Attributes::default();
        told.text("tollgate.receipt", &receipt.id.to_string())
            .text("tollgate.status", receipt.status.as_str())
            .text("tollgate.workspace", &receipt.workspace)
            .maybe("tollgate.pass", receipt.pass.as_ref())
            .maybe("tollgate.key", receipt.key.as_ref())
            .maybe("tollgate.client", receipt.client.as_ref())
            .maybe("tollgate.route", receipt.route.as_ref())
            .text("tollgate.billing", receipt.billing.as_str())
            .maybe("tollgate.cost", receipt.cost.map(|cost| cost.to_string()))
            .maybe("tollgate.currency", receipt.cost.map(|_| receipt.currency.to_string()))
            .text("tollgate.cost_state", receipt.cost_state.as_str())
            .text("tollgate.usage_state", receipt.usage_state.as_str())
            .whole("tollgate.overhead_us", receipt.overhead_us)
            .maybe("tollgate.error_type", receipt.error_type.as_ref())
            .whole("http.response.status_code", receipt.http_status.map(u64::from))
            .maybe("error.type", self.error(receipt.attempts.last()));
        for (name, value) in &receipt.tags {
            told.text(&format!("tollgate.tag.{name}"), value);
        }
        told
    }

    fn error(&self, attempt: Option<&Attempt>) -> Option<String> {
        let receipt = self.receipt();
        error(receipt.status, attempt.map(|attempt| attempt.ended), receipt.http_status)
    }

    /// What happened between Tollgate and one upstream. What was used stands on the last try.
    fn attempt(&self, number: usize, attempt: &Attempt, is_last: bool) -> Span {
        let receipt = self.receipt();
        let model = attempt.model.as_deref();
        let name = operation(receipt);
        let status_of = if is_last { receipt.status } else { Status::Error };
        let mut told = Attributes::default();
        told.text("gen_ai.operation.name", name)
            .text("gen_ai.provider.name", self.names.of_provider(&attempt.provider))
            .maybe("gen_ai.request.model", model)
            .whole("http.response.status_code", attempt.http_status.map(u64::from))
            .maybe("error.type", error(status_of, Some(attempt.ended), attempt.http_status));
        if is_last {
            self.served(&mut told);
        }
        let parent = receipt.id.span_id().to_be_bytes().to_vec();
        Span {
            trace_id: self.trace_id(),
            span_id: receipt.id.attempt_span_id(number as u64).to_be_bytes().to_vec(),
            parent_span_id: parent,
            flags: OWN_PARENT,
            name: model.map_or(name.to_owned(), |model| format!("{name} {model}")),
            kind: SpanKind::Client.into(),
            attributes: told.into(),
            status: status(status_of),
            ..self.times(attempt.started_ms, attempt.duration_ms)
        }
    }

    /// What the upstream that served gave.
    fn served(&self, told: &mut Attributes) {
        let receipt = self.receipt();
        if receipt.stream {
            told.flag("gen_ai.request.stream", true);
        }
        let upstream = receipt.upstream.parse::<Uri>().unwrap_or_default();
        let standard = if upstream.scheme_str() == Some("http") { 80 } else { 443 };
        let host = upstream.host().map(|host| host.trim_matches(['[', ']']));
        told.maybe("server.address", host)
            .whole("server.port", host.map(|_| upstream.port_u16().unwrap_or(standard).into()))
            .maybe("gen_ai.response.model", receipt.model.as_ref())
            .maybe("gen_ai.response.id", receipt.response_id.as_ref())
            .texts("gen_ai.response.finish_reasons", &receipt.finish_reason)
            .seconds("gen_ai.response.time_to_first_chunk", receipt.ttft_ms);
        if receipt.lines.iter().any(|line| line.unit == Unit::Token) {
            told.whole("gen_ai.usage.input_tokens", Some(receipt.input_tokens()))
                .whole("gen_ai.usage.output_tokens", Some(receipt.output_tokens()));
        }
        let reads = "input.cache_read";
        told.whole(
            "gen_ai.usage.cache_read.input_tokens",
            tokens(receipt, |f| f.starts_with(reads)),
        )
        .whole(
            "gen_ai.usage.cache_creation.input_tokens",
            tokens(receipt, |factor| factor.starts_with("input.cache_write")),
        )
        .whole(
            "gen_ai.usage.reasoning.output_tokens",
            tokens(receipt, |factor| *factor == *Factor::OutputReasoning.name()),
        );
    }

    /// A span with nothing but its times, milliseconds after the call began.
    fn times(&self, from: u64, took: u64) -> Span {
        let began = nanos(self.receipt().started_at.millis());
        let start = began.saturating_add(from.saturating_mul(1_000_000));
        Span {
            start_time_unix_nano: start,
            end_time_unix_nano: start.saturating_add(took.saturating_mul(1_000_000)),
            ..Span::default()
        }
    }
}

/// Whole tokens of the factors that count; nothing where there is no such line.
fn tokens(receipt: &Receipt, counts: impl Fn(&str) -> bool) -> Option<u64> {
    let lines = receipt.lines.iter().filter(|line| counts(&line.factor.name()));
    let counts: Vec<Count> = lines.map(|line| line.count).collect();
    (!counts.is_empty()).then(|| counts.into_iter().sum::<Count>().millionths() / Count::ONE)
}

/// Errors are marked, success is left to whoever looks.
fn status(status: Status) -> Option<SpanStatus> {
    match status {
        Status::Succeeded | Status::Pending => None,
        Status::Error | Status::Denied | Status::Cancelled | Status::Interrupted => {
            Some(SpanStatus { code: StatusCode::Error.into(), ..SpanStatus::default() })
        }
    }
}
