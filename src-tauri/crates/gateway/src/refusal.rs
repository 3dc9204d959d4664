//! How Tollgate itself says no: a status and a sentence, in the wire format the client speaks.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use meter::ReceiptId;
use meter::format::Format;
use serde_json::json;

use crate::body::Body;
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
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
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
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
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
            500.. => "server_error",
            _ => "invalid_request_error",
        }
    }

    fn anthropic_type(&self) -> &'static str {
        match self.status.as_u16() {
            401 => "authentication_error",
            403 => "permission_error",
            404 => "not_found_error",
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
