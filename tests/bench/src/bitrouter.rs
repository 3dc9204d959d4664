//! bitrouter from crates.io: a router in Rust that writes a row a request into SQLite.

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::install::{folder, step};
use crate::subject::{Subject, free_address};

const VERSION: &str = "1.0.0-alpha.35";
const NEEDS: &str = "Rust 1.93 or newer with `cargo`, a C compiler, and a way to crates.io";

/// Starts it in front of the upstream, no keys asked, its database a file.
pub(crate) fn start(upstream: &Subject) -> anyhow::Result<Subject> {
    let installed = folder(&format!("bitrouter-{VERSION}"), install)?;
    let home = TempDir::new()?;
    let address = free_address()?;
    let config = home.path().join("bitrouter.yaml");
    let database = home.path().join("bitrouter.db");
    let database = database.display().to_string();
    let listen = address.to_string();
    fs::write(&config, configuration(&upstream.address.to_string(), &listen, &database))?;
    let mut command = Command::new(installed.join("bin/bro"));
    command
        .args(["serve", "--config"])
        .arg(&config)
        .current_dir(home.path())
        .env("HOME", home.path())
        .env("BITROUTER_HOME", home.path());
    let what = format!(
        "bitrouter {VERSION} (crates.io) without its agent features, no key; a receipt: a row a \
         request in SQLite"
    );
    Subject::start("bitrouter", what, command, address, home)
}

fn install(folder: &Path) -> anyhow::Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .args(["install", "bitrouter", "--version", VERSION, "--locked", "--root"])
        .arg(folder)
        .args(["--no-default-features", "--features", "core"])
        .current_dir(folder);
    step(command, NEEDS)
}

fn configuration(upstream: &str, listen: &str, database: &str) -> String {
    format!(
        "inherit_defaults: false
server:
  listen: \"{listen}\"
  skip_auth: true
database:
  url: \"sqlite://{database}?mode=rwc\"
providers:
  bare:
    api_base: http://{upstream}/v1
    api_key: sk-bench
    api_protocol:
      - \"*\": chat_completions
    models:
      - id: gpt-4o-mini
        pricing:
          input_micro_usd_per_token: 0.15
          output_micro_usd_per_token: 0.6
"
    )
}
