//! `tollgate requests`: receipts as a list, once or as they come in.

use std::io::{self, Write as _};
use std::thread;
use std::time::Duration;

use api::conversion::{Conversion, ConvertedCost};
use api::period::Here;
use api::query::{Query, Question};
use api::question;
use api::standing::{Standing, tokens};
use clap::Args;
use meter::Receipt;
use meter::receipt::{Status, Technology, UsageState};
use meter::usage::Basis;
use serde::Serialize;

use super::figure::{cost, duration, grouped, in_currency, money, short_instant};
use super::filters::{Filters, Parameters, here};
use super::screen::{BAD, FAINT, GOOD, ODD, PLAIN, Screen};
use super::table::{Align, Cell, Column, Layout};

/// Lists requests, newest first; `~` marks a stream.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tollgate requests --last 1h
  tollgate requests --status error --status 429 --limit 20
  tollgate requests --model gpt-5 --tag team=search --stream
  tollgate requests --follow
  tollgate requests --from today --json | jq .cost")]
pub(crate) struct RequestsArgs {
    /// How many at most, 1 to 1000 [default: 50]
    #[arg(short = 'n', long, value_name = "NUMBER")]
    limit: Option<String>,
    /// Only older ones than this receipt: where the page before ended
    #[arg(long, value_name = "ID", conflicts_with = "follow")]
    before: Option<String>,
    /// Then go on with those that come in, newest last, until Ctrl-C
    #[arg(short, long)]
    follow: bool,
    /// Say costs in this currency too, at the rates of `tollgate exchange`
    #[arg(long, value_name = "CODE")]
    currency: Option<String>,
    /// Print one receipt a line, as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    filters: Filters,
}

/// Between two looks at what came in.
const PAUSE: Duration = Duration::from_millis(250);

/// The most that one look takes.
const GULP: usize = 500;

impl RequestsArgs {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let own = [("limit", &self.limit), ("before", &self.before), ("currency", &self.currency)];
        let own: Parameters =
            own.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))).collect();
        let query = self.filters.query(Question::Requests, own)?;
        let list = List {
            screen: Screen::take(),
            here: Here { zone: query.zone, ..here() },
            json: self.json,
            conversion: query.conversion(),
        };
        if self.follow { list.follow(&query) } else { list.once(&query) }
    }
}

struct List {
    screen: Screen,
    here: Here,
    json: bool,
    conversion: Option<Conversion>,
}

/// A receipt's own JSON with one more member.
#[derive(Serialize)]
struct Both<'a> {
    #[serde(flatten)]
    receipt: &'a Receipt,
    converted: Option<ConvertedCost>,
}

impl List {
    fn once(mut self, query: &Query) -> anyhow::Result<()> {
        let ledger = super::ledger()?;
        let page = question::requests(&ledger, query)?;
        let layout = self.layout(COLUMNS, &page.requests);
        if !page.requests.is_empty() {
            self.titles(&layout)?;
        }
        self.print(&layout, &page.requests)?;
        self.screen.flush()?;
        if !self.json && page.requests.iter().any(|r| Standing::of(r).is_repriced()) {
            super::remark("* priced again: `tollgate show ID` has both valuations.");
        }
        // Behind the last page begins what was pruned.
        if page.next.is_none() && !self.json {
            super::prune::tell(&ledger, query.filter.from)?;
        }
        if page.requests.is_empty() && !self.json {
            super::remark("No requests match.");
        } else if let Some(next) = page.next {
            super::remark(&format!("There are older ones: --before {next}"));
        }
        Ok(())
    }

    fn follow(mut self, query: &Query) -> anyhow::Result<()> {
        let mut ledger = super::ledger()?;
        // Taken before the list is read, so that nothing falls between the two.
        let mut since = ledger.last_arrival()?;
        let mut begun = question::requests(&ledger, query)?.requests;
        begun.reverse();
        let layout = self.layout(FOLLOWED, &begun);
        self.titles(&layout)?;
        self.print(&layout, &begun)?;
        let mut shown: Vec<_> = begun.iter().map(|receipt| receipt.id).collect();
        loop {
            self.screen.flush()?;
            thread::sleep(PAUSE);
            if !super::home()?.path().join("ledger.db").exists() {
                continue;
            }
            if since == store::Arrival::default() {
                // There was no ledger, or an empty one, when this one was opened.
                ledger = super::ledger()?;
            }
            let (mut news, until) = ledger.arrived(&query.filter, since, GULP)?;
            since = until;
            news.retain(|receipt| !shown.contains(&receipt.id));
            // Only what came in while the list was read can be in both.
            shown.clear();
            self.print(&layout, &news)?;
        }
    }

    fn layout(&self, columns: &[Column], receipts: &[Receipt]) -> Layout {
        let rows: Vec<Vec<Cell>> = receipts.iter().map(|r| self.cells(r)).collect();
        let mut columns = columns.to_vec();
        if self.conversion.is_some() {
            columns.insert(CONVERTED, Column::new("converted", Align::Point, 0).at_least(10));
        }
        Layout::fit(&columns, &rows, self.screen.width)
    }

    fn titles(&mut self, layout: &Layout) -> io::Result<()> {
        if self.json { Ok(()) } else { layout.header(&mut self.screen) }
    }

    fn print(&mut self, layout: &Layout, receipts: &[Receipt]) -> io::Result<()> {
        receipts.iter().try_for_each(|receipt| match (&self.conversion, self.json) {
            (_, false) => {
                let cells = self.cells(receipt);
                layout.row(&mut self.screen, &cells)
            }
            (None, true) => self.screen.json(receipt),
            (Some(to), true) => {
                let converted = to.receipt(receipt);
                self.screen.json(&Both { receipt, converted })
            }
        })
    }

    fn cells(&self, receipt: &Receipt) -> Vec<Cell> {
        let mut cells = cells(receipt, self.here);
        if let Some(to) = &self.conversion {
            let cost = to.receipt(receipt).map(|is| in_currency(&money(is.cost), is.currency));
            cells.insert(CONVERTED, Cell::optional(cost.as_deref()));
        }
        cells
    }
}

const ID: Column = Column::new("id", Align::Left, 1);
const TIME: Column = Column::new("time", Align::Left, 2);
const STATUS: Column = Column::new("status", Align::Left, 0);
const MODEL: Column = Column::new("model", Align::Left, 0).cut(12);
const PROVIDER: Column = Column::new("provider", Align::Left, 5);
const TOKENS_IN: Column = Column::new("tokens in", Align::Right, 3);
const TOKENS_OUT: Column = Column::new("tokens out", Align::Right, 3);
const COST: Column = Column::new("cost", Align::Point, 0);
const TOOK: Column = Column::new("took", Align::Right, 4);
const CLIENT: Column = Column::new("client", Align::Left, 6).cut(6);
const TECHNOLOGY: Column = Column::new("technology", Align::Left, 7);
const CAPABILITIES: Column = Column::new("capabilities", Align::Left, 8).cut(8);

/// Where the converted cost stands: behind the cost.
const CONVERTED: usize = 8;

/// What a page needs.
const COLUMNS: &[Column] = &[
    ID,
    TIME,
    STATUS,
    MODEL,
    PROVIDER,
    TOKENS_IN,
    TOKENS_OUT,
    COST,
    TOOK,
    CLIENT,
    TECHNOLOGY,
    CAPABILITIES,
];

/// The same with room for what nobody has seen yet.
const FOLLOWED: &[Column] = &[
    ID.at_least(18),
    TIME.at_least(8),
    STATUS.at_least(13),
    MODEL.at_least(28),
    PROVIDER.at_least(10),
    TOKENS_IN,
    TOKENS_OUT,
    COST.at_least(10),
    TOOK.at_least(7),
    CLIENT.at_least(16),
    TECHNOLOGY.at_least(10),
    CAPABILITIES.at_least(16),
];

fn cells(receipt: &Receipt, here: Here) -> Vec<Cell> {
    let standing = Standing::of(receipt);
    let tokens = tokens(receipt);
    let model = receipt.model.as_deref().or(receipt.model_requested.as_deref());
    let stream = if receipt.stream { " ~" } else { "" };
    let status_style = match standing.status {
        Status::Succeeded => GOOD,
        Status::Pending | Status::Cancelled => ODD,
        Status::Error | Status::Denied | Status::Interrupted => BAD,
    };
    let code = receipt.http_status.filter(|code| *code != 200);
    let code = code.map(|code| format!(" {code}")).unwrap_or_default();
    let is_estimated = standing.usage_state == UsageState::Estimated
        || standing.lines.iter().any(|line| line.basis == Basis::Estimated);
    let is_odd = standing.cost.is_none() || !receipt.anomalies.is_empty();
    let side = |number: u64| {
        let text = if standing.lines.is_empty() { String::new() } else { grouped(number) };
        Cell::new(text)
    };
    let tries = match receipt.attempts.len() {
        0 | 1 => String::new(),
        tries => format!(" {tries} tries"),
    };
    let id = receipt.id.to_string();
    let used: Vec<&str> = receipt.capabilities.iter().map(|one| one.as_str()).collect();
    vec![
        Cell::new(&id[..18]).style(FAINT),
        Cell::new(short_instant(receipt.started_at, here)),
        Cell::new(format!("{}{code}{tries}", standing.status)).style(status_style),
        match model {
            Some(model) => Cell::new(format!("{model}{stream}")),
            None => Cell::optional(None),
        },
        Cell::new(&*receipt.provider),
        side(tokens.input),
        side(tokens.output),
        Cell::new(cost(receipt, &standing, is_estimated)).style(if is_odd { ODD } else { PLAIN }),
        Cell::new(duration(receipt.latency_ms)),
        Cell::optional(receipt.client.as_deref()),
        Cell::new(receipt.technology.map_or("", Technology::as_str)),
        Cell::new(used.join(", ")),
    ]
}
