//! Portkey's gateway from npm, run by Node as its own `start:node` does.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Context;
use tempfile::TempDir;

use crate::install::{folder, step};
use crate::subject::{Subject, free_address};

/// Besides the gateway it holds its web server back: with any newer one every stream is
/// answered by `TypeError: immutable` (<https://github.com/Portkey-AI/gateway/issues/1389>).
const PACKAGE: &str = include_str!("../baselines/portkey/package.json");
const LOCK: &str = include_str!("../baselines/portkey/package-lock.json");
const MODULE: &str = "@portkey-ai/gateway";
/// It holds each stream's first chunk back for 25 ms, so that a round would take a minute.
const SHARE: usize = 20;
const NEEDS: &str = "Node 20 or newer with `npm`, and a way to registry.npmjs.org";

/// Starts it in front of the upstream, without its console.
pub(crate) fn start(upstream: &Subject) -> anyhow::Result<Subject> {
    let package: serde_json::Value = serde_json::from_str(PACKAGE)?;
    let version = package["dependencies"][MODULE].as_str();
    let version = version.context("`baselines/portkey/package.json` pins no gateway")?;
    let installed = folder(&format!("portkey-{version}"), install)?;
    let home = TempDir::new()?;
    let address = free_address()?;
    let mut command = Command::new("node");
    command
        .arg(installed.join("node_modules").join(MODULE).join("build/start-server.js"))
        .args([&format!("--port={}", address.port()), "--headless"])
        .current_dir(home.path())
        .env("HOME", home.path());
    // Its README, 1.15.2: the console's logs are those of the running process, logging and
    // tracing beyond that are the hosted product's.
    let what = format!(
        "Portkey's gateway {version} (npm) on Node, without its console; no receipt: logs are kept \
         by the hosted product only"
    );
    let mut subject = Subject::start("portkey", what, command, address, home)?;
    subject.headers = format!(
        "x-portkey-provider: openai\r\nx-portkey-custom-host: http://{}/v1\r\n",
        upstream.address
    );
    subject.share = SHARE;
    Ok(subject)
}

fn install(folder: &Path) -> anyhow::Result<()> {
    fs::write(folder.join("package.json"), PACKAGE)?;
    fs::write(folder.join("package-lock.json"), LOCK)?;
    let mut npm = Command::new("npm");
    npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(folder);
    step(npm, NEEDS)
}
