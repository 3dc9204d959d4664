//! What is said when a question or a change cannot be answered: one shape, a closed set
//! of codes, on HTTP and on the command line.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use store::StoreError;

/// Every way in which a question or a change can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// A parameter is unknown, unreadable, or contradicts another one.
    BadParameter,
    /// The body is not what this address takes.
    BadBody,
    /// The body does not say that it is JSON.
    NotJson,
    /// No valid credential was shown.
    Unauthenticated,
    /// The credential is valid and its scopes do not cover this.
    Forbidden,
    /// There is no such thing.
    NotFound,
    /// More than one thing goes by that name.
    Ambiguous,
    /// This address does not know that method.
    MethodNotAllowed,
    /// It contradicts what is already there.
    Conflict,
    /// A part of a file was asked for that it does not have.
    BadRange,
    /// More was asked within a second, or ordered at once, than is done.
    TooManyRequests,
    /// Somebody else's server did not give what it was asked for.
    Unreachable,
    /// The ledger cannot be read or written.
    LedgerUnavailable,
    /// A mistake of Tollgate's own.
    Internal,
}

impl Code {
    /// The HTTP status that goes with it.
    pub const fn http_status(self) -> StatusCode {
        match self {
            Self::BadParameter | Self::BadBody => StatusCode::BAD_REQUEST,
            Self::NotJson => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Unauthenticated => StatusCode::UNAUTHORIZED,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Ambiguous | Self::Conflict => StatusCode::CONFLICT,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::BadRange => StatusCode::RANGE_NOT_SATISFIABLE,
            Self::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
            Self::Unreachable => StatusCode::BAD_GATEWAY,
            Self::LedgerUnavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// What went wrong, in words for people and a code for programs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize, specta::Type)]
#[error("{message}{}", .hint.as_deref().map(|hint| format!("\nhint: {hint}")).unwrap_or_default())]
pub struct Problem {
    /// For programs.
    pub code: Code,
    /// One sentence without a full stop; values in backticks.
    pub message: String,
    /// What to do or type next.
    pub hint: Option<String>,
}

/// The JSON around a [`Problem`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
pub struct ErrorBody {
    /// What went wrong.
    pub error: Problem,
}

impl Problem {
    /// A problem without a hint.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: None }
    }

    /// The same with a hint.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// A parameter has a value that cannot be used; `allowed` says which can.
    pub(crate) fn parameter(name: &str, value: &str, allowed: impl Into<String>) -> Self {
        let value: String = value.chars().take(100).collect();
        Self::new(Code::BadParameter, format!("cannot use `{value}` for `{name}`")).hint(allowed)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.code.http_status();
        let mut response = (status, Json(ErrorBody { error: self })).into_response();
        if status == StatusCode::UNAUTHORIZED {
            let scheme = axum::http::HeaderValue::from_static("Bearer");
            response.headers_mut().insert(axum::http::header::WWW_AUTHENTICATE, scheme);
        }
        if status == StatusCode::TOO_MANY_REQUESTS {
            let second = axum::http::HeaderValue::from_static("1");
            response.headers_mut().insert(axum::http::header::RETRY_AFTER, second);
        }
        response
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        let code = match error {
            StoreError::Newer { .. }
            | StoreError::Older { .. }
            | StoreError::Unopened { .. }
            | StoreError::Home { .. }
            | StoreError::NoRoom { .. }
            | StoreError::NotCopied { .. }
            | StoreError::Unsound { .. }
            | StoreError::Unavailable
            | StoreError::Damaged
            | StoreError::Sqlite(_) => Code::LedgerUnavailable,
            StoreError::PassExists { .. }
            | StoreError::PassRevoked { .. }
            | StoreError::WorkspaceExists { .. }
            | StoreError::MergedIntoItself { .. }
            | StoreError::DemoWorkspace
            | StoreError::TooYoungToPrune { .. }
            | StoreError::NotSummedUp
            | StoreError::StillAwaited { .. } => Code::Conflict,
            StoreError::NoSuchPass { .. }
            | StoreError::NoSuchWorkspace { .. }
            | StoreError::FormerWorkspace { .. } => Code::NotFound,
            StoreError::NoRandomness(_) => Code::Internal,
        };
        let sentence = error.to_string();
        match sentence.split_once("\nhint: ") {
            Some((message, hint)) => Self::new(code, message).hint(hint),
            None => Self::new(code, sentence),
        }
    }
}
