//! `tollgate prices`: questions to the price book.

mod age;
mod diff;
mod list;
mod own;
mod rate;
mod refresh;

use clap::{Args, Subcommand};
use meter::Timestamp;
use meter::price::Book;

use super::filters::here;
use crate::config::Config;
use crate::own_prices;

/// Asks the price book.
#[derive(Debug, Args)]
pub(crate) struct PricesArgs {
    #[command(subcommand)]
    command: PricesCommand,
}

#[derive(Debug, Subcommand)]
enum PricesCommand {
    List(list::ListArgs),
    Show(list::ShowArgs),
    Override(own::OverrideArgs),
    Diff(diff::DiffArgs),
    Age(age::AgeArgs),
    Refresh(refresh::RefreshArgs),
    /// Rates usage: one JSON object a line on standard input, one answer a line
    ///
    /// A question has `model` and `lines` (factor to count) and may have `id`, `provider` or
    /// `base_url`, `kind`, `at`, `service_tier`. Its answer has the rated `lines`, and `cost`
    /// only if every line is priced.
    #[command(after_help = r#"Example:
  echo '{"model":"gpt-5","lines":{"input.text":1000,"output.text":200}}' | tollgate prices rate"#)]
    Rate,
}

impl PricesArgs {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        match &self.command {
            PricesCommand::List(args) => args.run(),
            PricesCommand::Show(args) => args.run(),
            PricesCommand::Override(args) => args.run(),
            PricesCommand::Diff(args) => args.run(),
            PricesCommand::Age(args) => args.run(),
            PricesCommand::Refresh(args) => args.run(),
            PricesCommand::Rate => rate::run(),
        }
    }
}

/// The list prices with the user's own before them.
fn book() -> anyhow::Result<Book> {
    let home = super::home()?;
    let config = Config::load(&home.config())?;
    own_prices::read(&home, &config)
}

/// Reads an instant of a flag; now, if it is left out.
fn instant(flag: &str, text: Option<&str>) -> anyhow::Result<Timestamp> {
    let here = here();
    let Some(text) = text else { return Ok(here.now) };
    here.instant(text).ok_or_else(|| {
        let shapes = api::period::INSTANT_SHAPES;
        anyhow::anyhow!("cannot use `{text}` for {flag}\nhint: {shapes}")
    })
}

/// A day of UTC, which is how price lists are dated; with the hour where it is not midnight.
fn day(at: Timestamp) -> String {
    let text = at.to_string();
    match text.strip_suffix("T00:00:00.000Z") {
        Some(day) => day.to_owned(),
        None => text,
    }
}
