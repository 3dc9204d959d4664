//! `tollgate inspect`: the content of calls under one pass, live, for as long as it runs.

use std::collections::HashSet;
use std::io::{self, Write as _};
use std::time::Duration;

use anyhow::bail;
use api::inspector::{InspectedBody, InspectedCall, InspectedHeader, Inspection};
use api::problem::{Code, ErrorBody, Problem};
use axum::http::Method;
use clap::Args;
use serde::de::DeserializeOwned;

use super::figure::instant;
use super::filters::here;
use super::passes::possible;
use super::screen::{BAD, FAINT, GOOD, STRONG, Screen, harmless, painted};
use crate::control;
use crate::home::{Home, Lock};

/// Between two looks.
const PAUSE: Duration = Duration::from_secs(1);

/// Shows what calls under a pass send and are answered, as they happen.
///
/// Begins with the command and ends with it, or after ten minutes. The running Tollgate holds the
/// last 50 calls, at most 256 KiB of each body, in memory and nowhere else, and forgets them then.
/// Credentials in headers are not shown.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tollgate inspect --pass laptop
  tollgate inspect --pass laptop --json | jq -r .answer.text")]
pub(crate) struct InspectArgs {
    /// The pass whose calls are shown
    #[arg(long, value_name = "LABEL")]
    pass: String,
    /// Print one call a line, as JSON
    #[arg(long)]
    json: bool,
}

impl InspectArgs {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let home = super::home()?;
        if let Lock::Taken(_) = home.try_lock()? {
            bail!(
                "no Tollgate is running that could be looked into\nhint: start one with `tollgate serve`"
            );
        }
        super::wait_for(self.look_into(&home))?
    }

    async fn look_into(&self, home: &Home) -> anyhow::Result<()> {
        let path = format!("/api/v1/inspector/{}", possible(&self.pass)?);
        let begun: Inspection = ask(home, Method::POST, &path).await?;
        super::remark(&format!(
            "The CONTENT of calls under `{}` is shown here for {} minutes: what is sent and what is answered. It is held in memory only and forgotten when this ends (Ctrl-C).",
            harmless(&self.pass),
            begun.seconds_left.div_ceil(60)
        ));
        let ended = tokio::select! {
            followed = self.follow(home, &path) => followed,
            _ = tokio::signal::ctrl_c() => Ok(()),
        };
        // Gone already where its ten minutes are over.
        let _ = ask::<Inspection>(home, Method::DELETE, &path).await;
        ended
    }

    async fn follow(&self, home: &Home, path: &str) -> anyhow::Result<()> {
        let mut screen = Screen::take();
        let mut shown = HashSet::new();
        loop {
            let inspection: Inspection = match ask(home, Method::GET, path).await {
                Ok(inspection) => inspection,
                Err(error) if is_closed(&error) => {
                    super::remark("The window is closed, and what it held is forgotten.");
                    return Ok(());
                }
                Err(error) => return Err(error),
            };
            shown.retain(|id| inspection.calls.iter().any(|call| call.id == *id));
            for call in inspection.calls.iter().filter(|call| call.is_over) {
                if !shown.insert(call.id) {
                    continue;
                }
                match ask::<InspectedCall>(home, Method::GET, &format!("{path}/{}", call.id)).await
                {
                    Ok(call) if self.json => screen.json(&call)?,
                    Ok(call) => print(&mut screen, &call)?,
                    // More than fifty calls came in the meantime.
                    Err(error) if is_closed(&error) => {}
                    Err(error) => return Err(error),
                }
            }
            screen.flush()?;
            tokio::time::sleep(PAUSE).await;
        }
    }
}

async fn ask<T: DeserializeOwned>(home: &Home, method: Method, path: &str) -> anyhow::Result<T> {
    let (status, answer) = control::send(home, method, path, None).await?;
    if status.is_success() {
        return Ok(serde_json::from_value(answer)?);
    }
    let refused: ErrorBody = serde_json::from_value(answer)?;
    Err(refused.error.into())
}

fn is_closed(error: &anyhow::Error) -> bool {
    error.downcast_ref::<Problem>().is_some_and(|problem| problem.code == Code::NotFound)
}

fn print(screen: &mut Screen, call: &InspectedCall) -> io::Result<()> {
    let head = &call.head;
    let status = match head.http_status {
        Some(status) if status < 400 => painted(GOOD, &status.to_string()),
        Some(status) => painted(BAD, &status.to_string()),
        None => painted(BAD, "no answer"),
    };
    let title = format!("{} {}", harmless(&head.method), harmless(&head.target));
    let (at, id) = (instant(head.started_at, here().zone), head.id.to_string());
    writeln!(screen, "{at}  {}  {status}  {}", painted(STRONG, &title), painted(FAINT, &id))?;
    if let Some(error) = &head.error {
        writeln!(screen, "  {}", painted(BAD, &harmless(error)))?;
    }
    side(screen, "request", &call.request_headers, &call.request)?;
    side(screen, "answer", &call.answer_headers, &call.answer)?;
    writeln!(screen)
}

fn side(
    screen: &mut Screen,
    name: &str,
    headers: &[InspectedHeader],
    body: &InspectedBody,
) -> io::Result<()> {
    writeln!(screen, "  {}", painted(STRONG, name))?;
    for InspectedHeader { name, value } in headers {
        let line = format!("{}: {}", harmless(name), harmless(value));
        writeln!(screen, "    {}", painted(FAINT, &line))?;
    }
    for line in body.text.lines() {
        writeln!(screen, "    {}", harmless(&line.replace('\t', "  ")))?;
    }
    if body.is_cut {
        writeln!(screen, "    {}", painted(FAINT, "… the rest is not held"))?;
    }
    Ok(())
}
