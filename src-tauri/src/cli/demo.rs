//! `tollgate demo`: a first call through the running gateway, and its receipt.

use std::io::Write as _;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use api::problem::Code;
use api::question;
use clap::Args;
use meter::Receipt;

use super::filters::here;
use super::paper;
use super::screen::{Screen, harmless};
use crate::config::Config;

/// Sends a call to the built-in provider `demo` and shows its receipt.
///
/// Needs no key and no network, and costs nothing; figures leave it out unless asked with
/// `--demo`. A gateway has to run: start one with `tollgate serve` in another terminal.
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Where the gateway listens, if not where `config.toml` says
    #[arg(long, value_name = "URL")]
    gateway: Option<String>,
    /// Print the receipt as one JSON object
    #[arg(long)]
    json: bool,
}

/// How long the ledger may take to have the receipt.
const PATIENCE: Duration = Duration::from_secs(5);

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(20);

impl DemoArgs {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let gateway = match &self.gateway {
            Some(url) => url.trim_end_matches('/').to_owned(),
            None => configured()?,
        };
        let (id, answer) = super::wait_for(call(&gateway))??;
        let receipt = receipt(&id, &gateway)?;
        if let Some(answer) = answer {
            super::remark(&format!("The demo answered: {}\n", harmless(&answer)));
        }
        let mut screen = Screen::take();
        if self.json {
            screen.json(&receipt)?;
        } else {
            let text = paper::draw(&receipt, here().zone, screen.width);
            screen.write_all(text.as_bytes())?;
        }
        Ok(screen.flush()?)
    }
}

/// Where `config.toml` says that the gateway listens.
pub(crate) fn configured() -> anyhow::Result<String> {
    let config = Config::load(&super::home()?.config())?;
    let address = config.listen.first().context("`listen` in config.toml names no address")?;
    Ok(format!("http://{address}"))
}

/// The receipt's id and what the demo said.
pub(crate) async fn call(gateway: &str) -> anyhow::Result<(String, Option<String>)> {
    // The gateway is on this machine; a proxy for the rest of the world has no part in it.
    let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build()?;
    let question = serde_json::json!({
        "model": "demo",
        "messages": [{ "role": "user", "content": "What is a toll gate?" }],
    });
    let answer = client
        .post(format!("{gateway}/demo/v1/chat/completions"))
        .json(&question)
        .send()
        .await
        .with_context(|| {
            format!(
                "no Tollgate answers at `{gateway}`\nhint: start one with `tollgate serve` in another \
                 terminal, or name its address with --gateway URL"
            )
        })?;
    let id = answer.headers().get("x-tollgate-receipt").and_then(|id| id.to_str().ok());
    let Some(id) = id.map(str::to_owned) else {
        bail!(
            "what answers at `{gateway}` is not Tollgate\nhint: name its address with --gateway URL"
        );
    };
    let said: serde_json::Value = answer.json().await.unwrap_or_default();
    let text = said["choices"][0]["message"]["content"].as_str().map(str::to_owned);
    Ok((id, text))
}

/// Receipts are written after the answer has left, so this one may take a moment.
fn receipt(id: &str, gateway: &str) -> anyhow::Result<Receipt> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match question::receipt(&super::ledger()?, id) {
            Ok(receipt) => return Ok(receipt),
            Err(problem) if problem.code != Code::NotFound => return Err(problem.into()),
            Err(_) if Instant::now() > deadline => bail!(
                "the receipt `{id}` does not arrive in this home\nhint: the gateway at `{gateway}` may \
                 have another TOLLGATE_HOME; `{gateway}/healthz` says how its recording is doing"
            ),
            Err(_) => thread::sleep(PAUSE),
        }
    }
}
