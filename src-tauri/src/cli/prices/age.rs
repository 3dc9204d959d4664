//! `tollgate prices age`: when the book was last compared with its sources, the newest change of
//! each provider that it knows of, and what it expects to change.

use std::io::Write as _;

use api::prices::{PriceList, ProviderPrices, STALE_DAYS};
use clap::Args;

use super::super::filters::now;
use super::super::screen::{FAINT, ODD, Screen, painted};
use super::super::table::{self, Align, Cell, Column};
use super::day;

/// Shows how fresh the price book is, and which prices are due to change
#[derive(Debug, Args)]
pub(super) struct AgeArgs {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

const COLUMNS: &[Column] = &[
    Column::new("provider", Align::Left, 0),
    Column::new("models", Align::Right, 0),
    Column::new("newest change", Align::Left, 0),
];

impl AgeArgs {
    pub(super) fn run(&self) -> anyhow::Result<()> {
        let (book, now) = (super::book()?, now());
        let age = PriceList::of(&book, now);
        let mut screen = Screen::take();
        if self.json {
            screen.json(&age)?;
            return Ok(screen.flush()?);
        }
        let rows: Vec<Vec<Cell>> = age.providers.iter().map(row).collect();
        table::print(&mut screen, COLUMNS, &rows)?;
        for due in &age.due {
            writeln!(screen, "{} at {} changes on {}", due.model, due.provider, day(due.at))?;
        }
        for due in &age.passed {
            let said = format!(
                "{} at {} was announced to change on {}: nobody has looked since",
                due.model,
                due.provider,
                day(due.at)
            );
            writeln!(screen, "{}", painted(ODD, &said))?;
        }
        let from = match age.sequence {
            Some(number) => format!("number {number}"),
            None => "of this program".to_owned(),
        };
        let said = format!("Price book {from}, {}, {} days old", day(age.made_at), age.days);
        writeln!(screen, "{}", painted(if age.stale { ODD } else { FAINT }, &said))?;
        writeln!(screen, "{}", painted(FAINT, &format!("Hash {}", age.book_hash)))?;
        screen.flush()?;
        if age.stale {
            super::super::remark(&format!(
                "Nobody has compared it with the lists for more than {STALE_DAYS} days: install a newer \
                 Tollgate, or see `tollgate prices refresh --help`."
            ));
        }
        Ok(())
    }
}

fn row(age: &ProviderPrices) -> Vec<Cell> {
    let newest = age.newest.map(day);
    vec![
        Cell::new(&*age.provider),
        Cell::new(age.models.to_string()),
        Cell::optional(newest.as_deref()),
    ]
}
