//! `tollgate prices refresh`: newer list prices, from where the configuration says.

use std::io::Write as _;

use api::prices::Refreshed;
use axum::http::Method;
use clap::Args;

use super::super::screen::Screen;
use super::day;

/// Fetches newer list prices and puts them in force, also in a running Tollgate
#[derive(Debug, Args)]
#[command(
    after_help = "Off unless config.toml says where from and who must have signed it. There is no official
publisher yet; whoever publishes prices for you names both lines:
  [price_refresh]
  url = 'https://prices.example/tollgate-prices'
  public_key = '64 hexadecimal digits'
  every_hours = 24        # left out: only when this command is typed"
)]
pub(super) struct RefreshArgs {
    /// Print one JSON object, as `POST /api/v1/prices/refresh` answers
    #[arg(long)]
    json: bool,
}

impl RefreshArgs {
    pub(super) fn run(&self) -> anyhow::Result<()> {
        let path = "/api/v1/prices/refresh";
        let done: Refreshed = super::super::change(Method::POST, path, None::<&()>)?;
        if self.json {
            let mut screen = Screen::take();
            screen.json(&done)?;
            return Ok(screen.flush()?);
        }
        let said = if done.renewed { "In force now" } else { "In force already" };
        super::super::remark(&format!(
            "{said}: price book {}, number {} of {}",
            done.book_hash,
            done.sequence,
            day(done.made_at)
        ));
        Ok(())
    }
}
