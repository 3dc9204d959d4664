//! `tollgate prices override`: the user's own prices.

use std::io::Write as _;

use api::prices::PricesInForce;
use axum::http::Method;
use clap::Args;

use super::super::screen::{FAINT, Screen, painted};
use super::super::table::{self, Align, Cell, Column};
use crate::own_prices;

/// Shows your own prices, from `prices.toml` in the home; refuses a wrong file with its line
#[derive(Debug, Args)]
#[command(after_help = r#"The file, whose entries win over the list from `from` up to `to`:
  [[price]]                      # a negotiated rate, or your own server's; for all models without `model`
  provider = 'openai'
  model = 'gpt-5'
  from = '2026-01-01'
  rates = { 'input.text' = '1.00', 'output.text' = '8' }

  [[price]]                      # your own server by the hour, spread over requests by how long each took
  provider = 'mylab'
  rates = { 'server.seconds' = '2.5/h' }

  [[discount]]                   # what you pay of the list price
  provider = 'anthropic'
  pay = '4/5'

  [[alias]]                      # a deployment, ARN or fine-tune, and the model whose price holds
  provider = 'azure'
  name = 'my-deployment'
  model = 'gpt-5'"#)]
pub(super) struct OverrideArgs {
    /// Also let a running Tollgate read it now
    #[arg(long)]
    check: bool,
    /// Print one entry a line, as JSON
    #[arg(long)]
    json: bool,
}

const COLUMNS: &[Column] = &[
    Column::new("line", Align::Right, 2),
    Column::new("provider", Align::Left, 0),
    Column::new("model", Align::Left, 0).cut(12),
    Column::new("price", Align::Left, 0).cut(20),
    Column::new("from", Align::Left, 1),
    Column::new("to", Align::Left, 1),
];

impl OverrideArgs {
    pub(super) fn run(&self) -> anyhow::Result<()> {
        let book = super::book()?;
        let mut screen = Screen::take();
        let entries = &book.overrides().entries;
        if self.json {
            entries.iter().try_for_each(|entry| screen.json(entry))?;
        } else if entries.is_empty() {
            let path = own_prices::path(&super::super::home()?);
            super::super::remark(&format!("There are no own prices in `{}`.", path.display()));
        } else {
            let rows: Vec<Vec<Cell>> = entries
                .iter()
                .map(|entry| {
                    vec![
                        Cell::new(entry.line.to_string()).style(FAINT),
                        Cell::new(&*entry.provider),
                        Cell::new(entry.model.as_deref().unwrap_or("all")),
                        Cell::new(&entry.says),
                        Cell::optional(entry.from.as_deref()),
                        Cell::optional(entry.to.as_deref()),
                    ]
                })
                .collect();
            table::print(&mut screen, COLUMNS, &rows)?;
            writeln!(screen, "{}", painted(FAINT, &format!("Price book {}", book.hash())))?;
        }
        screen.flush()?;
        if self.check {
            let path = "/api/v1/prices/override";
            let now: PricesInForce = super::super::change(Method::POST, path, None::<&()>)?;
            super::super::remark(&format!("In force: price book {}", now.book_hash));
        }
        Ok(())
    }
}
