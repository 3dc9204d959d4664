//! `/api/v1/inspector`: the content of the last calls under one pass, while its user looks. The only
//! place where content is shown; it is for those who manage, and nothing here is written anywhere.

use std::fmt;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::routing::get;
use axum::{Json, Router};
use meter::{ReceiptId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::problem::{Code, Problem};
use crate::router::Desk;

/// What there is to see of a pass.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
pub struct Inspection {
    /// The pass.
    pub pass: String,
    /// Until the window closes by itself.
    pub seconds_left: u32,
    /// The last calls, oldest first; at most 50.
    pub calls: Vec<InspectedHead>,
}

/// One call without its bodies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
pub struct InspectedHead {
    /// The receipt it leaves.
    pub id: ReceiptId,
    /// When its head was read.
    pub started_at: Timestamp,
    /// Its method.
    pub method: String,
    /// Where it goes; `•••` stands where something may be a secret.
    pub target: String,
    /// What was answered.
    pub http_status: Option<u16>,
    /// Why it was refused or failed.
    pub error: Option<String>,
    /// Whether it has ended.
    pub is_over: bool,
    /// Bytes of its body so far, decoded.
    pub request_bytes: u64,
    /// Bytes of the answer's body so far, decoded.
    pub answer_bytes: u64,
}

/// One call with its bodies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
pub struct InspectedCall {
    /// All but the bodies.
    pub head: InspectedHead,
    /// The client's headers.
    pub request_headers: Vec<InspectedHeader>,
    /// What the client sent.
    pub request: InspectedBody,
    /// The answer's headers, as upstream sent them.
    pub answer_headers: Vec<InspectedHeader>,
    /// What upstream answered.
    pub answer: InspectedBody,
}

/// One header. Values that may be secrets are `•••`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
pub struct InspectedHeader {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// The beginning of a body: at most 256 KiB, decoded.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
pub struct InspectedBody {
    /// As text; `\u{fffd}` stands for what is none.
    pub text: String,
    /// Whether there was more.
    pub is_cut: bool,
}

impl fmt::Debug for InspectedHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InspectedHeader({}, •••)", self.name)
    }
}

impl fmt::Debug for InspectedBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InspectedBody({} bytes)", self.text.len())
    }
}

/// Begins to look at a pass.
pub type Opens = Arc<dyn Fn(&str) -> Result<Inspection, Problem> + Send + Sync>;

/// Says what there is to see of a pass.
pub type Looks = Arc<dyn Fn(&str) -> Option<Inspection> + Send + Sync>;

/// Shows one call under a pass.
pub type ShowsCall = Arc<dyn Fn(&str, ReceiptId) -> Option<InspectedCall> + Send + Sync>;

/// Who holds what is looked at.
#[derive(Clone)]
pub struct InspectDesk {
    /// Begins to look at a pass, or joins those who do.
    pub open: Opens,
    /// What there is to see, if somebody opened it.
    pub look: Looks,
    /// One call of it.
    pub call: ShowsCall,
    /// Forgets all of it. `false`: nobody was looking.
    pub close: Arc<dyn Fn(&str) -> bool + Send + Sync>,
}

impl fmt::Debug for InspectDesk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InspectDesk")
    }
}

pub(crate) fn routes() -> Router<Desk> {
    Router::new()
        .route("/api/v1/inspector/{pass}", get(look).post(open).delete(close))
        .route("/api/v1/inspector/{pass}/{id}", get(call))
}

async fn open(
    State(desk): State<Desk>,
    Path(pass): Path<String>,
) -> Result<Json<Inspection>, Problem> {
    (desk.inspector.open)(&pass).map(Json)
}

async fn look(
    State(desk): State<Desk>,
    Path(pass): Path<String>,
) -> Result<Json<Inspection>, Problem> {
    (desk.inspector.look)(&pass).map(Json).ok_or_else(|| closed(&pass))
}

async fn call(
    State(desk): State<Desk>,
    Path((pass, id)): Path<(String, String)>,
) -> Result<Json<InspectedCall>, Problem> {
    let gone = || Problem::new(Code::NotFound, "that call is not among the last ones of this pass");
    let id = id.parse().map_err(|_| gone())?;
    (desk.inspector.call)(&pass, id).map(Json).ok_or_else(gone)
}

async fn close(
    State(desk): State<Desk>,
    Path(pass): Path<String>,
) -> Result<Json<Inspection>, Problem> {
    match (desk.inspector.close)(&pass) {
        true => Ok(Json(Inspection { pass, seconds_left: 0, calls: Vec::new() })),
        false => Err(closed(&pass)),
    }
}

fn closed(pass: &str) -> Problem {
    let pass: String = pass.chars().take(100).collect();
    Problem::new(Code::NotFound, format!("nobody looks at the calls of `{pass}`"))
        .hint("Begin with `tollgate inspect --pass NAME`, or on the page of passes; it ends after ten minutes.")
}
