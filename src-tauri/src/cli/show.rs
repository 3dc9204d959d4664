//! `tollgate show`: one receipt.

use std::io::Write as _;

use api::question;
use clap::Args;

use super::filters::here;
use super::paper;
use super::screen::Screen;

/// Shows one receipt, line by line.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tollgate show 019aa0b2-7c1e-7a00
  tollgate show 019aa0b2-7c1e-7a00-8f3e-5b2c1d0e9f8a --json")]
pub(crate) struct ShowArgs {
    /// The receipt's id, or its beginning if no other begins so
    #[arg(value_name = "ID")]
    id: String,
    /// Print the receipt as one JSON object, as `GET /api/v1/requests/ID` answers
    #[arg(long)]
    json: bool,
}

impl ShowArgs {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let receipt = question::receipt(&super::ledger()?, &self.id)?;
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
