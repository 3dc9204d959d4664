//! `tollgate reprice`: a second valuation of receipts, or a second reading, previewed first.

use std::io::{self, IsTerminal as _, Write};

use api::problem::Problem;
use api::query::Question;
use api::reprice::{Difference, RepriceOrder, Repriced, Values};
use axum::http::Method;
use clap::Args;
use meter::{Currency, Money};

use super::figure::{grouped, in_currency, line_money};
use super::filters::{Filters, zone};
use super::screen::{FAINT, STRONG, Screen, painted};
use super::table::{self, Align, Cell, Column};
use super::words;

/// Values receipts again by the prices of their own time, as the price book knows them now.
///
/// Shows what would change, then appends a second valuation to each receipt that changes.
/// The first valuation stays on the receipt.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tollgate reprice --from 2026-11-01 --to 2026-12-01 --reason 'the list was wrong'
  tollgate reprice --model gpt-5 --last 30d --reason 'negotiated rates' --yes
  tollgate reprice --reread --provider openai --reason 'cached tokens were misread'")]
pub(crate) struct RepriceArgs {
    /// Why; stays with each second valuation
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Go by the list prices that receipts name by this hash, not by those in force
    #[arg(long, value_name = "HASH")]
    book: Option<String>,
    /// Read the usage again before, as this version understands what the provider reported
    #[arg(long)]
    reread: bool,
    /// Append the second valuations without asking
    #[arg(long)]
    yes: bool,
    /// Print one JSON object, as `POST /api/v1/reprice` answers
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    filters: Filters,
}

impl RepriceArgs {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let mut order = self.order()?;
        let preview = send(&order)?;
        let mut screen = Screen::take();
        if !self.json {
            print(&mut screen, &preview)?;
            screen.flush()?;
        }
        let append = preview.changed != 0 && (self.yes || (!self.json && agreed()?));
        let done = if append {
            order.append = true;
            send(&order)?
        } else {
            preview
        };
        if self.json {
            screen.json(&done)?;
        } else if done.appended {
            let many = grouped(done.changed);
            super::remark(&format!("Second valuations appended: {many}."));
        } else if done.changed != 0 {
            super::remark("Nothing was changed. Add --yes to append these valuations.");
        }
        Ok(screen.flush()?)
    }

    fn order(&self) -> Result<RepriceOrder, Problem> {
        // Refused here, before a running process has to.
        self.filters.query(Question::Reprice, Vec::new())?;
        let mut order = RepriceOrder {
            reason: self.reason.clone(),
            book: self.book.clone(),
            reread: self.reread,
            ..RepriceOrder::default()
        };
        let zone = ("tz", zone().name().to_owned());
        for (name, value) in [zone].into_iter().chain(self.filters.parameters()) {
            let values = order.filters.entry(name.to_owned()).or_insert(Values::Many(Vec::new()));
            match values {
                // The zone that was asked for, behind that of this machine.
                Values::Many(many) if name == "tz" => *many = vec![value],
                Values::Many(many) => many.push(value),
                Values::One(_) => *values = Values::One(value),
            }
        }
        Ok(order)
    }
}

fn send(order: &RepriceOrder) -> anyhow::Result<Repriced> {
    super::change(Method::POST, "/api/v1/reprice", Some(order))
}

/// Asks, if somebody is there to answer.
fn agreed() -> io::Result<bool> {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Ok(false);
    }
    write!(io::stderr(), "Append these valuations? [y/N] ")?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

const COLUMNS: &[Column] = &[
    Column::new("model", Align::Left, 0).cut(12),
    Column::new("provider", Align::Left, 1),
    Column::new("receipts", Align::Right, 0),
    Column::new("until now", Align::Point, 0),
    Column::new("from then on", Align::Point, 0),
    Column::new("tokens until now", Align::Right, 2),
    Column::new("from then on", Align::Right, 2),
];

fn print(screen: &mut Screen, preview: &Repriced) -> io::Result<()> {
    if preview.changed != 0 {
        let rows = preview.rows.iter().map(|row| {
            let name = Cell::optional(row.model.as_deref());
            cells(name, &row.provider, row.currency, &row.difference)
        });
        let totals = preview.totals.iter().map(|(currency, difference)| {
            let row = cells(Cell::new("total"), "", *currency, difference);
            row.into_iter().map(|cell| cell.style(STRONG)).collect()
        });
        let rows: Vec<Vec<Cell>> = rows.chain(totals).collect();
        // Tokens only change where something was read again.
        let shown = if preview.reread == 0 { COLUMNS.len() - 2 } else { COLUMNS.len() };
        let rows: Vec<Vec<Cell>> =
            rows.into_iter().map(|row| row.into_iter().take(shown).collect()).collect();
        table::print(screen, &COLUMNS[..shown], &rows)?;
        writeln!(screen)?;
    }
    let (changed, unchanged) = (grouped(preview.changed), grouped(preview.unchanged));
    writeln!(screen, "Receipts that change: {changed}; that stay as they are: {unchanged}.")?;
    if preview.reread != 0 {
        let many = grouped(preview.reread);
        writeln!(screen, "Receipts whose usage is read otherwise: {many}.")?;
    }
    for (why, many) in &preview.passed_over {
        writeln!(screen, "Left alone: {} that {}.", grouped(*many), words::passed_over(*why))?;
    }
    writeln!(screen, "{}", painted(FAINT, &format!("Price book {}", preview.book_hash)))
}

fn cells(name: Cell, provider: &str, currency: Currency, change: &Difference) -> Vec<Cell> {
    vec![
        name,
        Cell::new(provider),
        Cell::new(grouped(change.receipts)),
        Cell::new(sum(currency, change.cost_before, change.unpriced_before, change.receipts)),
        Cell::new(sum(currency, change.cost_after, change.unpriced_after, change.receipts)),
        Cell::new(grouped(change.tokens_before)),
        Cell::new(grouped(change.tokens_after)),
    ]
}

/// A sum with what it leaves out, to the last digit that matters in a comparison.
fn sum(currency: Currency, cost: Money, unpriced: u64, receipts: u64) -> String {
    let cost = in_currency(&line_money(cost), currency);
    match unpriced {
        0 => cost,
        all if all == receipts => format!("{} unpriced", grouped(all)),
        some => format!("{cost} + {} unpriced", grouped(some)),
    }
}
