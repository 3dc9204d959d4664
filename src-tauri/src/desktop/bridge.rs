//! The pages' one command: a management request, answered by the router that also answers
//! over HTTP. Two things a browser does by itself are done here for the window: a file is
//! saved where downloads go, and the test call is sent from this side.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use api::problem::{Code, ErrorBody, Problem};
use axum::http::Method;
use axum::http::header::CONTENT_DISPOSITION;
use http_body_util::BodyExt as _;
use serde::Serialize;
use serde_json::{Value, json};
use tauri::{AppHandle, Manager as _, State};
use tokio::io::AsyncWriteExt as _;

use super::gate::Gate;
use crate::cli::demo;

/// What came back.
#[derive(Debug, Serialize)]
pub(super) struct Answer {
    status: u16,
    body: Value,
}

/// Sends one management request on behalf of the page.
#[tauri::command]
pub(super) async fn ask(
    app: AppHandle,
    gate: State<'_, Arc<Gate>>,
    method: String,
    path: String,
    body: Option<Value>,
) -> Result<Answer, String> {
    let method: Method = method.parse().map_err(|_| "there is no such method".to_owned())?;
    if !path.starts_with("/api/v1/") {
        return Err("only `/api/v1/` can be asked".to_owned());
    }
    if is_file(&path) {
        let folder = app.path().download_dir().or_else(|_| app.path().home_dir());
        let folder = folder.map_err(|error| error.to_string())?;
        return Ok(said(save(&gate, &path, &folder).await.map(|path| json!({ "saved": path }))));
    }
    if path == "/api/v1/demo-call" {
        return Ok(said(demo_call().await.map(|()| Value::Null)));
    }
    let (status, body) = gate.ask(method, &path, body.as_ref()).await;
    Ok(Answer { status: status.as_u16(), body })
}

/// Whether a browser would put what comes back among its downloads.
fn is_file(path: &str) -> bool {
    let is_finished = path.starts_with("/api/v1/exports/") && path.ends_with("/file");
    is_finished || path.starts_with("/api/v1/export?") || path.starts_with("/api/v1/report?")
}

fn said(done: anyhow::Result<Value>) -> Answer {
    match done {
        Ok(body) => Answer { status: 200, body },
        Err(error) => {
            let problem = Problem::new(Code::Conflict, format!("{error:#}"));
            let body = serde_json::to_value(ErrorBody { error: problem }).unwrap_or_default();
            Answer { status: 409, body }
        }
    }
}

async fn demo_call() -> anyhow::Result<()> {
    demo::call(&demo::configured()?).await.map(|_| ())
}

/// Writes an export into `folder` as it comes, under the name it has; whole or not at all.
async fn save(gate: &Gate, path: &str, folder: &Path) -> anyhow::Result<PathBuf> {
    let answer = gate.stream(path).await?;
    if !answer.status().is_success() {
        let said = answer.into_body().collect().await?.to_bytes();
        let refused: ErrorBody = serde_json::from_slice(&said)?;
        return Err(refused.error.into());
    }
    let named = answer.headers().get(CONTENT_DISPOSITION).and_then(|value| value.to_str().ok());
    let name = named
        .and_then(|value| value.split('"').nth(1))
        .filter(|name| !name.contains(['/', '\\']))
        .unwrap_or("usage.csv");
    let (whole, part) = (folder.join(name), folder.join(format!("{name}.part")));
    let mut file = tokio::fs::File::create(&part)
        .await
        .with_context(|| format!("could not write `{}`", part.display()))?;
    let mut body = answer.into_body();
    let written = async {
        while let Some(frame) = body.frame().await {
            if let Some(data) = frame?.data_ref() {
                file.write_all(data).await?;
            }
        }
        file.flush().await?;
        anyhow::Ok(())
    };
    if let Err(error) = written.await {
        let _ = tokio::fs::remove_file(&part).await;
        return Err(error.context("the export broke off; nothing was saved"));
    }
    tokio::fs::rename(&part, &whole).await?;
    Ok(whole)
}
