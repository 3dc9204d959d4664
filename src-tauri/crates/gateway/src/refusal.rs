//! How Tollgate itself says no: a status and a sentence, in the wire format the client speaks.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use meter::ReceiptId;
use meter::format::Format;
use serde_json::json;

use crate::body::Body;
use crate::budget::Stop;
use crate::headers::RECEIPT;

/// The shape in which a client expects errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// `{"error":{"message","type","param","code"}}`
    Openai,
    /// `{"type":"error","error":{"type","message"}}`
    Anthropic,
    /// `{"error":{"code","message","status"}}`
    Gemini,
    /// `{"error":"…"}`
    Ollama,
    /// `{"message":"…"}`
    Cohere,
}

impl Dialect {
    /// What the format says, or else path and headers.
    pub(crate) fn of(format: Option<Format>, path: &str, headers: &HeaderMap) -> Self {
        // The families with a shape of their own; all others read OpenAI's, or any text.
        match format {
            Some(Format::AnthropicMessages) => return Self::Anthropic,
            Some(Format::GeminiGenerate | Format::GeminiInteractions | Format::GeminiEmbed) => {
                return Self::Gemini;
            }
            Some(Format::Ollama) => return Self::Ollama,
            Some(Format::CohereChat | Format::CohereEmbed) => return Self::Cohere,
            Some(_) => return Self::Openai,
            None => {}
        }
        if headers.contains_key("anthropic-version") || path.contains("/v1/messages") {
            Self::Anthropic
        } else if path.contains("/v1beta") || headers.contains_key("x-goog-api-key") {
            Self::Gemini
        } else {
            Self::Openai
        }
    }
}

/// A no of Tollgate's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    /// The word for machines, also on the receipt.
    pub(crate) code: &'static str,
    /// The sentence for people. It must hold no secret.
    pub(crate) message: String,
    /// When to try again, where that is worth saying.
    pub(crate) retry: Retry,
}

/// When a client should try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Retry {
    /// Nothing is said about it.
    Unsaid,
    /// After this time, by itself.
    Soon(Duration),
    /// Not by itself: the answer will be the same, at least for this time.
    NotByItself(Option<Duration>),
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), retry: Retry::Unsaid }
    }

    /// The "no" of a budget.
    pub(crate) fn over_budget(stop: &Stop) -> Self {
        let retry = match (stop.is_about_pace(), stop.retry_after) {
            (true, Some(wait)) => Retry::Soon(wait),
            (_, wait) => Retry::NotByItself(wait),
        };
        let status = StatusCode::TOO_MANY_REQUESTS;
        Self { retry, ..Self::new(status, stop.code(), stop.to_string()) }
    }

    /// The answer, complete but for hop-by-hop matters.
    pub(crate) fn answer(&self, dialect: Dialect, receipt: ReceiptId) -> Response<Body> {
        let mut response = Response::new(Body::from(self.body(dialect)));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if self.status == StatusCode::UPGRADE_REQUIRED {
            headers.insert(header::UPGRADE, HeaderValue::from_static("HTTP/1.1"));
            headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        }
        if self.status == StatusCode::METHOD_NOT_ALLOWED {
            // All that are not refused everywhere (RFC 9110 §15.5.6 wants them named).
            let allowed = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
            headers.insert(header::ALLOW, allowed);
        }
        if let Retry::Soon(wait) | Retry::NotByItself(Some(wait)) = self.retry {
            let seconds = wait.as_millis().div_ceil(1000).max(1);
            let seconds = HeaderValue::from(u64::try_from(seconds).unwrap_or(u64::MAX));
            headers.insert(header::RETRY_AFTER, seconds);
        }
        if let Retry::NotByItself(_) = self.retry {
            // The SDKs of OpenAI and Anthropic try a 429 twice more unless told not to.
            headers.insert("x-should-retry", HeaderValue::from_static("false"));
        }
        stamp(headers, receipt);
        response
    }

    fn body(&self, dialect: Dialect) -> Bytes {
        let message = format!("Tollgate: {}", self.message);
        let json = match dialect {
            Dialect::Openai => json!({"error": {
                "message": message, "type": self.openai_type(), "param": null, "code": self.code,
            }}),
            Dialect::Anthropic => json!({"type": "error", "error": {
                "type": self.anthropic_type(), "message": message,
            }}),
            Dialect::Gemini => json!({"error": {
                "code": self.status.as_u16(), "message": message, "status": self.gemini_status(),
            }}),
            Dialect::Ollama => json!({"error": message}),
            Dialect::Cohere => json!({"message": message}),
        };
        Bytes::from(json.to_string())
    }

    fn openai_type(&self) -> &'static str {
        match self.status.as_u16() {
            401 => "authentication_error",
            403 => "permission_error",
            429 if matches!(self.retry, Retry::Soon(_)) => "rate_limit_exceeded",
            429 => "insufficient_quota",
            500.. => "server_error",
            _ => "invalid_request_error",
        }
    }

    fn anthropic_type(&self) -> &'static str {
        match self.status.as_u16() {
            401 => "authentication_error",
            403 => "permission_error",
            404 => "not_found_error",
            429 => "rate_limit_error",
            504 => "timeout_error",
            500.. => "api_error",
            _ => "invalid_request_error",
        }
    }

    fn gemini_status(&self) -> &'static str {
        match self.status.as_u16() {
            401 => "UNAUTHENTICATED",
            403 => "PERMISSION_DENIED",
            404 => "NOT_FOUND",
            429 => "RESOURCE_EXHAUSTED",
            504 => "DEADLINE_EXCEEDED",
            500.. => "UNAVAILABLE",
            _ => "INVALID_ARGUMENT",
        }
    }
}

/// Puts the receipt's id on an answer.
pub(crate) fn stamp(headers: &mut HeaderMap, receipt: ReceiptId) {
    let id = HeaderValue::from_maybe_shared(Bytes::from(receipt.to_string()));
    headers.insert(RECEIPT, id.expect("an id is hex digits and dashes"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_dialect_has_its_own_shape() {
        let refusal = Refusal::new(StatusCode::UNAUTHORIZED, "no_credential", "say who you are");
        let read = |dialect| -> serde_json::Value {
            serde_json::from_slice(&refusal.body(dialect)).unwrap()
        };
        let openai = &read(Dialect::Openai)["error"];
        assert_eq!(
            (&openai["type"], &openai["code"]),
            (&json!("authentication_error"), &json!("no_credential"))
        );
        assert_eq!(read(Dialect::Anthropic)["type"], "error");
        assert_eq!(read(Dialect::Anthropic)["error"]["type"], "authentication_error");
        assert_eq!(read(Dialect::Gemini)["error"]["status"], "UNAUTHENTICATED");
        assert_eq!(read(Dialect::Ollama)["error"], "Tollgate: say who you are");
        assert_eq!(read(Dialect::Cohere)["message"], "Tollgate: say who you are");
    }
}
