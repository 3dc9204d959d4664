//! `tollgate prices diff`: what the lists changed between two instants.

use std::io::Write as _;

use clap::Args;
use meter::price::{ListedModel, ListedVersion};
use meter::{Currency, Timestamp};
use serde::Serialize;

use super::super::screen::Screen;
use super::super::table::{self, Align, Cell, Column};
use super::instant;

/// Shows which list prices changed between two instants
#[derive(Debug, Args)]
pub(super) struct DiffArgs {
    /// The first instant
    #[arg(long, value_name = "WHEN")]
    from: String,
    /// The second instant [default: now]
    #[arg(long, value_name = "WHEN")]
    to: Option<String>,
    /// Only this provider
    #[arg(long, value_name = "ID")]
    provider: Option<String>,
    /// Print one change a line, as JSON
    #[arg(long)]
    json: bool,
}

/// A rate that is another at the second instant.
#[derive(Debug, Serialize)]
struct Changed<'a> {
    provider: &'a str,
    model: &'a str,
    currency: Currency,
    tier: &'a str,
    factor: &'a str,
    /// `null`: not listed.
    before: Option<&'a str>,
    /// `null`: no longer listed.
    after: Option<&'a str>,
}

const COLUMNS: &[Column] = &[
    Column::new("provider", Align::Left, 2),
    Column::new("model", Align::Left, 0).cut(16),
    Column::new("tier", Align::Left, 1),
    Column::new("rate", Align::Left, 0),
    Column::new("before", Align::Point, 0),
    Column::new("after", Align::Point, 0),
];

impl DiffArgs {
    pub(super) fn run(&self) -> anyhow::Result<()> {
        let from = instant("--from", Some(&self.from))?;
        let to = instant("--to", self.to.as_deref())?;
        let mut models = super::book()?.catalogue();
        models.retain(|model| {
            self.provider.as_deref().is_none_or(|provider| *provider == *model.provider)
        });
        let changes: Vec<Changed<'_>> =
            models.iter().flat_map(|model| changes(model, from, to)).collect();
        let mut screen = Screen::take();
        if self.json {
            changes.iter().try_for_each(|change| screen.json(change))?;
        } else if changes.is_empty() {
            super::super::remark("No list price changed in between.");
        } else {
            let rows: Vec<Vec<Cell>> = changes.iter().map(row).collect();
            table::print(&mut screen, COLUMNS, &rows)?;
        }
        Ok(screen.flush()?)
    }
}

fn row(change: &Changed<'_>) -> Vec<Cell> {
    vec![
        Cell::new(change.provider),
        Cell::new(change.model),
        Cell::new(change.tier),
        Cell::new(change.factor),
        Cell::optional(change.before),
        Cell::optional(change.after),
    ]
}

fn changes(model: &ListedModel, from: Timestamp, to: Timestamp) -> Vec<Changed<'_>> {
    let mut changes = Vec::new();
    let before: Vec<&ListedVersion> = model.at(from).collect();
    let after: Vec<&ListedVersion> = model.at(to).collect();
    let mut seen = Vec::new();
    for version in before.iter().chain(&after) {
        for factor in version.rates.keys() {
            let rate = |versions: &[&'_ ListedVersion]| {
                let same = versions.iter().position(|other| other.tier == version.tier);
                same.filter(|at| versions[*at].rates.contains_key(factor))
            };
            let (old, new) = (rate(&before), rate(&after));
            let old = old.map(|at| &*before[at].rates[factor]);
            let new = new.map(|at| &*after[at].rates[factor]);
            if old == new || seen.contains(&(&version.tier, factor)) {
                continue;
            }
            seen.push((&version.tier, factor));
            changes.push(Changed {
                provider: &model.provider,
                model: &model.id,
                currency: model.currency,
                tier: &version.tier,
                factor,
                before: old,
                after: new,
            });
        }
    }
    changes
}
