//! Response metadata: what a client that asks for it (`x-tollgate-meta: 1`) is told of its own
//! receipt behind the answer. Nobody else's answer is touched.

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use meter::format::Format;
use meter::format::postscript::Postscript;
use meter::receipt::{Attempt, CostState, Line, Status, UsageState};
use meter::request::Asked;
use meter::usage::{Count, Factor, Unit};
use meter::{Currency, Money, Receipt, ReceiptId};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::headers;
use crate::tally::Tally;

/// In a request: whether its client wants to be told. In its answer: how it is.
const META: HeaderName = HeaderName::from_static("x-tollgate-meta");
/// What the client wants to hear again.
const CUSTOMER_DATA: HeaderName = HeaderName::from_static("x-tollgate-customer-data");
/// Bytes of that; more is cut off.
const CUSTOMER_DATA_LIMIT: usize = 2 * 1024;
/// Headers that vouch for every byte of an answer: to such a one nothing is added.
const DIGESTS: [&str; 4] = ["content-md5", "content-digest", "repr-digest", "digest"];
/// On the receipt of an answer that was added to.
const NOTE: &str = "response metadata was put behind the answer, because its client asked for it";

/// A client's wish to be told.
pub(crate) struct Wish {
    /// JSON on one line; the header's word, before that of the body.
    customer_data: Option<Box<RawValue>>,
    /// The answer has a place for it.
    is_granted: bool,
    told: Option<String>,
}

/// What a request's head wishes.
pub(crate) fn wish(headers: &HeaderMap) -> Option<Box<Wish>> {
    let word = headers.get(META)?.to_str().ok()?.trim();
    let is_wished = word == "1" || word.eq_ignore_ascii_case("true");
    // A header's value may be UTF-8, although most call that obsolete.
    let data = headers.get(CUSTOMER_DATA).and_then(|v| std::str::from_utf8(v.as_bytes()).ok());
    let customer_data = data.and_then(|data| {
        RawValue::from_string(serde_json::to_string(headers::cut(data, CUSTOMER_DATA_LIMIT)).ok()?)
            .ok()
    });
    is_wished.then(|| Box::new(Wish { customer_data, is_granted: false, told: None }))
}

impl Wish {
    /// From here on the answer is known to have a place for it.
    pub(crate) fn grant(&mut self) {
        self.is_granted = true;
    }

    /// Takes down what is to be told of a finished receipt, and notes on it that it is told.
    pub(crate) fn take_down(&mut self, receipt: &mut Receipt, asked: &Asked) {
        if !self.is_granted {
            return;
        }
        let of_body = || one_line(asked.labels.customer_data()?);
        let customer_data = self.customer_data.take().or_else(of_body);
        self.told = serde_json::to_string(&Meta::of(receipt, customer_data.as_deref())).ok();
        receipt.note = Some(match receipt.note.take() {
            Some(note) => format!("{note}; {NOTE}").into(),
            None => NOTE.into(),
        });
    }

    /// JSON on one line.
    pub(crate) fn into_told(self) -> Option<String> {
        self.told
    }
}

/// JSON without line breaks, which stand nowhere inside its strings; none if it is no JSON.
fn one_line(json: &str) -> Option<Box<RawValue>> {
    RawValue::from_string(json.replace(['\r', '\n'], " ")).ok()
}

/// The answer must come in the clear to be added to. What is signed stays as it was signed.
pub(crate) fn adjust(headers: &mut HeaderMap) {
    let is_signed =
        headers.get(header::AUTHORIZATION).is_some_and(|v| v.as_bytes().starts_with(b"AWS4-"));
    if !is_signed {
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    }
}

/// Makes an answer's head ready for what will stand behind it, and says in a header where that is,
/// or why it is nowhere. Does nothing for a client that wishes nothing.
pub(crate) fn prepare(
    tally: &Tally,
    status: StatusCode,
    headers: &mut HeaderMap,
    is_bodiless: bool,
) -> Option<Postscript> {
    if !tally.has_wish() {
        return None;
    }
    let format = tally.receipt().format;
    let (place, postscript) = match obstacle(status, headers, is_bodiless) {
        Some(why) => (why, None),
        None => match media_type(headers).as_deref() {
            Some("text/event-stream") if !knows_comments(format) => ("none; format", None),
            Some("text/event-stream") => ("comment", Some(Postscript::comment())),
            Some(json) if json == "application/json" || json.ends_with("+json") => {
                ("member", Some(Postscript::member()))
            }
            Some(_) | None => ("none; type", None),
        },
    };
    headers.insert(META, HeaderValue::from_static(place));
    if postscript.is_some() {
        // It gets longer.
        headers.remove(header::CONTENT_LENGTH);
    }
    postscript
}

/// What forbids to add to an answer whatever its type is.
fn obstacle(status: StatusCode, headers: &HeaderMap, is_bodiless: bool) -> Option<&'static str> {
    let mut codings = headers.get_all(header::CONTENT_ENCODING).iter();
    let is_plain = codings.all(|coding| coding.as_bytes().eq_ignore_ascii_case(b"identity"));
    if !status.is_success() {
        Some("none; status")
    } else if is_bodiless {
        Some("none; empty")
    } else if status == StatusCode::PARTIAL_CONTENT {
        Some("none; partial")
    } else if !is_plain {
        Some("none; compressed")
    } else if DIGESTS.iter().any(|name| headers.contains_key(*name)) {
        Some("none; digest")
    } else {
        None
    }
}

/// Google's SDKs take every line that is no `data:` for the beginning of an error
/// (google-genai 3.4.0 for Python, `_iter_response_stream`, read 2026-11-21).
fn knows_comments(format: Option<Format>) -> bool {
    !matches!(format, Some(Format::GeminiGenerate | Format::GeminiInteractions))
}

fn media_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    Some(value.split(';').next()?.trim().to_ascii_lowercase())
}

/// What a client is told.
#[derive(Serialize)]
struct Meta<'a> {
    receipt: ReceiptId,
    status: Status,
    workspace: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    workflow: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    route: Option<&'a str>,
    used_provider: &'a str,
    used_model: Option<&'a str>,
    duration_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttft_ms: Option<u64>,
    usage: Usage<'a>,
    /// Absent where it is unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    cost: Option<Money>,
    /// The priced part of a cost that is not known whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    subtotal: Option<Money>,
    currency: Currency,
    cost_state: CostState,
    attempts: &'a [Attempt],
    #[serde(skip_serializing_if = "Option::is_none")]
    customer_data: Option<&'a RawValue>,
}

#[derive(Serialize)]
struct Usage<'a> {
    state: UsageState,
    input_tokens: u64,
    output_tokens: u64,
    lines: Vec<Used<'a>>,
}

#[derive(Serialize)]
struct Used<'a> {
    factor: &'a Factor,
    count: Count,
    unit: Unit,
    #[serde(skip_serializing_if = "Option::is_none")]
    rate: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    amount: Option<Money>,
}

impl<'a> Meta<'a> {
    fn of(receipt: &'a Receipt, customer_data: Option<&'a RawValue>) -> Self {
        let used = |line: &'a Line| Used {
            factor: &line.factor,
            count: line.count,
            unit: line.unit,
            rate: line.rate.as_deref(),
            amount: line.amount,
        };
        Self {
            receipt: receipt.id,
            status: receipt.status,
            workspace: &receipt.workspace,
            workflow: receipt.tags.get("workflow").map(|name| &**name),
            route: receipt.route.as_deref(),
            used_provider: &receipt.provider,
            used_model: receipt.model.as_deref().or(receipt.model_requested.as_deref()),
            duration_ms: receipt.latency_ms,
            ttft_ms: receipt.ttft_ms,
            usage: Usage {
                state: receipt.usage_state,
                input_tokens: receipt.input_tokens(),
                output_tokens: receipt.output_tokens(),
                lines: receipt.lines.iter().map(used).collect(),
            },
            cost: receipt.cost,
            subtotal: receipt.subtotal,
            currency: receipt.currency,
            cost_state: receipt.cost_state,
            attempts: &receipt.attempts,
            customer_data,
        }
    }
}
