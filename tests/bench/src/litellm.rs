//! LiteLLM's proxy from PyPI, in a Python environment of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;
use tempfile::TempDir;

use crate::install::{folder, step};
use crate::subject::{Subject, free_address};

/// LiteLLM and everything it needs, each in one exact version.
const PINS: &str = include_str!("../baselines/litellm.txt");
/// A call takes it more than a hundred times as long as nginx.
const SHARE: usize = 5;
const NEEDS: &str = "Python 3.10 or newer with `venv` as `python3`, and a way to pypi.org";

/// Starts one worker of it in front of the upstream, no keys asked, no database.
pub(crate) fn start(upstream: &Subject) -> anyhow::Result<Subject> {
    let version = version()?;
    let installed = folder(&format!("litellm-{version}"), |folder| install(folder, version))?;
    let home = TempDir::new()?;
    let address = free_address()?;
    let config = home.path().join("config.yaml");
    fs::write(&config, configuration(&upstream.address.to_string()))?;
    let mut command = Command::new(program(&installed, "litellm"));
    command
        .args(["--host", "127.0.0.1", "--telemetry", "False", "--num_workers", "1"])
        .args(["--port", &address.port().to_string()])
        .arg("--config")
        .arg(&config)
        .current_dir(home.path())
        .env("HOME", home.path())
        .env("LITELLM_LOCAL_MODEL_COST_MAP", "True")
        .env_remove("LITELLM_MASTER_KEY")
        .env_remove("DATABASE_URL");
    // https://docs.litellm.ai/docs/proxy/db_info, read 2026-11-21.
    let what = format!(
        "LiteLLM {version} (PyPI), one worker, no key; no receipt: it logs requests to PostgreSQL \
         only, and has none here"
    );
    let mut subject = Subject::start("litellm", what, command, address, home)?;
    subject.share = SHARE;
    Ok(subject)
}

fn version() -> anyhow::Result<&'static str> {
    let version = PINS.lines().find_map(|line| line.strip_prefix("litellm=="));
    version.context("`baselines/litellm.txt` pins no litellm")
}

fn install(folder: &Path, version: &str) -> anyhow::Result<()> {
    let pins = folder.join("pins.txt");
    fs::write(&pins, PINS)?;
    let mut environment = Command::new("python3");
    environment.args(["-m", "venv"]).arg(folder);
    step(environment, NEEDS)?;
    let mut pip = Command::new(program(folder, "pip"));
    pip.args(["install", "--quiet", "--disable-pip-version-check", "--constraint"])
        .arg(&pins)
        .arg(format!("litellm[proxy]=={version}"));
    step(pip, NEEDS)
}

fn program(folder: &Path, name: &str) -> PathBuf {
    folder.join("bin").join(name)
}

fn configuration(upstream: &str) -> String {
    format!(
        "model_list:
  - model_name: gpt-4o-mini
    litellm_params:
      model: openai/gpt-4o-mini
      api_base: http://{upstream}/v1
      api_key: sk-bench
"
    )
}

#[cfg(test)]
mod tests {
    use super::PINS;

    #[test]
    fn every_package_is_pinned_to_one_version() {
        let loose: Vec<&str> = PINS.lines().filter(|line| !line.contains("==")).collect();
        assert_eq!(loose, Vec::<&str>::new());
    }
}
