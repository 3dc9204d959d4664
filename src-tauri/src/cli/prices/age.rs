//! `tollgate prices age`: when the book was last compared with its sources, the newest change of
//! each provider that it knows of, and what it expects to change.

use std::io::Write as _;

use clap::Args;
use meter::Timestamp;
use meter::price::{Book, ListedModel};
use serde::Serialize;

use super::super::filters::now;
use super::super::screen::{FAINT, ODD, Screen, painted};
use super::super::table::{self, Align, Cell, Column};
use super::day;

/// Days after which a book is worth renewing.
const STALE: i64 = 45;
const DAY: i64 = 24 * 60 * 60 * 1000;

/// Shows how fresh the price book is, and which prices are due to change
#[derive(Debug, Args)]
pub(super) struct AgeArgs {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Age<'a> {
    book_hash: &'a str,
    models: usize,
    /// When it was last compared with its sources.
    made_at: Timestamp,
    /// Since then.
    days: i64,
    stale: bool,
    /// The number of the bundle it came in; `null`: compiled into the program.
    sequence: Option<u64>,
    /// The newest change that is in force.
    newest: Option<Timestamp>,
    providers: Vec<ProviderAge<'a>>,
    /// Changes that are announced.
    due: Vec<Due<'a>>,
    /// Changes that were announced, and whose day came after the book was made: whether they
    /// came true nobody has looked.
    passed: Vec<Due<'a>>,
}

#[derive(Debug, Serialize)]
struct ProviderAge<'a> {
    provider: &'a str,
    models: usize,
    newest: Option<Timestamp>,
}

#[derive(Debug, Serialize)]
struct Due<'a> {
    provider: &'a str,
    model: &'a str,
    at: Timestamp,
}

const COLUMNS: &[Column] = &[
    Column::new("provider", Align::Left, 0),
    Column::new("models", Align::Right, 0),
    Column::new("newest change", Align::Left, 0),
];

impl AgeArgs {
    pub(super) fn run(&self) -> anyhow::Result<()> {
        let (book, now) = (super::book()?, now());
        let models = book.catalogue();
        let age = Age::of(&book, &models, now);
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
                "Nobody has compared it with the lists for more than {STALE} days: install a newer \
                 Tollgate, or see `tollgate prices refresh --help`."
            ));
        }
        Ok(())
    }
}

fn row(age: &ProviderAge<'_>) -> Vec<Cell> {
    let newest = age.newest.map(day);
    vec![
        Cell::new(age.provider),
        Cell::new(age.models.to_string()),
        Cell::optional(newest.as_deref()),
    ]
}

impl<'a> Age<'a> {
    fn of(book: &'a Book, models: &'a [ListedModel], now: Timestamp) -> Self {
        let newest = |models: &mut dyn Iterator<Item = &ListedModel>| {
            let starts = models.flat_map(|m| m.versions.iter().filter_map(|v| v.from));
            starts.filter(|from| *from <= now).max()
        };
        let providers = book.providers().map(|provider| {
            let of = || models.iter().filter(|model| *model.provider == *provider);
            ProviderAge { provider, models: of().count(), newest: newest(&mut of()) }
        });
        let made_at = book.edition().made_at;
        let first = |model: &'a ListedModel, after: Timestamp| {
            let starts = model.versions.iter().filter_map(|v| v.from).filter(|from| *from > after);
            starts.min().map(|at| Due { provider: &model.provider, model: &model.id, at })
        };
        let passed = models.iter().filter_map(|model| first(model, made_at));
        let days = (now.millis() - made_at.millis()) / DAY;
        Self {
            book_hash: book.hash(),
            models: models.len(),
            made_at,
            days,
            stale: days > STALE,
            sequence: book.edition().sequence,
            newest: newest(&mut models.iter()),
            providers: providers.collect(),
            due: models.iter().filter_map(|model| first(model, now)).collect(),
            passed: passed.filter(|due| due.at <= now).collect(),
        }
    }
}
