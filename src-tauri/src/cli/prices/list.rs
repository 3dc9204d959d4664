//! `tollgate prices list` and `show`: what is listed.

use std::io::{self, Write as _};

use anyhow::bail;
use clap::Args;
use meter::Timestamp;
use meter::price::{ListedModel, ListedVersion};

use super::super::screen::{FAINT, ODD, STRONG, Screen, painted};
use super::super::table::{self, Align, Cell, Column};
use super::{book, day, instant};

/// Lists the models with a price, and their rates per million tokens
#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// Only this provider
    #[arg(long, value_name = "ID")]
    provider: Option<String>,
    /// Only models whose id has this in it
    #[arg(long, value_name = "TEXT")]
    model: Option<String>,
    /// As of this instant instead of now
    #[arg(long, value_name = "WHEN")]
    at: Option<String>,
    /// Print one model a line, as JSON
    #[arg(long)]
    json: bool,
}

/// Shows every price a model ever had
#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    /// The model's id
    #[arg(value_name = "MODEL")]
    model: String,
    /// Only at this provider
    #[arg(long, value_name = "ID")]
    provider: Option<String>,
    /// Print one model a line, as JSON
    #[arg(long)]
    json: bool,
}

const COLUMNS: &[Column] = &[
    Column::new("provider", Align::Left, 1),
    Column::new("model", Align::Left, 0).cut(16),
    Column::new("input", Align::Point, 0),
    Column::new("cached", Align::Point, 2),
    Column::new("output", Align::Point, 0),
    Column::new("since", Align::Left, 3),
    Column::new("state", Align::Left, 4),
];

impl ListArgs {
    pub(super) fn run(&self) -> anyhow::Result<()> {
        let at = instant("--at", self.at.as_deref())?;
        let wanted = self.model.as_deref().unwrap_or_default().to_ascii_lowercase();
        let mut models = book()?.catalogue();
        models.retain(|model| {
            self.provider.as_deref().is_none_or(|provider| *provider == *model.provider)
                && model.id.to_ascii_lowercase().contains(&wanted)
        });
        let mut screen = Screen::take();
        if self.json {
            models.iter().try_for_each(|model| screen.json(model))?;
        } else if models.is_empty() {
            super::super::remark("No model matches.");
        } else {
            let rows: Vec<Vec<Cell>> = models.iter().map(|model| row(model, at)).collect();
            table::print(&mut screen, COLUMNS, &rows)?;
        }
        Ok(screen.flush()?)
    }
}

fn row(model: &ListedModel, at: Timestamp) -> Vec<Cell> {
    let now = model.at(at).find(|version| *version.tier == *"standard");
    let rate = |factor: &str| {
        let rate = now.and_then(|version| version.rates.get(factor));
        Cell::optional(rate.map(|rate| &**rate))
    };
    let state = match (now, model.free, model.confidence.as_deref()) {
        (None, _, _) => Cell::new("not listed then").style(ODD),
        (Some(_), true, _) => Cell::new("free"),
        (Some(_), false, confidence) => Cell::new(confidence.unwrap_or_default()).style(FAINT),
    };
    let since = now.and_then(|version| version.from).map(day);
    vec![
        Cell::new(&*model.provider).style(FAINT),
        Cell::new(&*model.id),
        rate("input.text"),
        rate("input.cache_read"),
        rate("output.text"),
        Cell::optional(since.as_deref()),
        state,
    ]
}

impl ShowArgs {
    pub(super) fn run(&self) -> anyhow::Result<()> {
        let book = book()?;
        let mut models = book.catalogue();
        models.retain(|model| {
            let here = self.provider.as_deref().is_none_or(|id| *id == *model.provider);
            here && model.is_called(&self.model)
        });
        if models.is_empty() {
            bail!(
                "no price is listed for `{}`\nhint: `tollgate prices list --model TEXT` finds ids",
                self.model
            );
        }
        let mut screen = Screen::take();
        for model in &models {
            if self.json {
                screen.json(model)?;
            } else {
                draw(&mut screen, model)?;
            }
        }
        if !self.json {
            let named = |of: &&meter::price::OwnPrice| {
                of.model.as_deref().is_none_or(|id| id.eq_ignore_ascii_case(&self.model))
                    && models.iter().any(|model| model.provider == of.provider)
            };
            for entry in book.overrides().entries.iter().filter(named) {
                let said = format!("prices.toml, line {}: {}", entry.line, entry.says);
                writeln!(screen, "{}", painted(ODD, &said))?;
            }
        }
        Ok(screen.flush()?)
    }
}

fn draw(screen: &mut Screen, model: &ListedModel) -> io::Result<()> {
    let name = format!("{} at {}", model.id, model.provider);
    let of = format!("{} {}", model.currency, model.confidence.as_deref().unwrap_or_default());
    writeln!(screen, "{}  {}", painted(STRONG, &name), painted(FAINT, of.trim_end()))?;
    if !model.aliases.is_empty() {
        writeln!(screen, "  also {}", model.aliases.join(", "))?;
    }
    model.versions.iter().try_for_each(|version| draw_version(screen, version))?;
    if let Some(note) = &model.note {
        writeln!(screen, "  {}", painted(FAINT, note))?;
    }
    writeln!(screen)
}

fn draw_version(screen: &mut Screen, version: &ListedVersion) -> io::Result<()> {
    let from = version.from.map_or_else(|| "the beginning".to_owned(), day);
    let to = version.to.map(|to| format!(" up to {}", day(to))).unwrap_or_default();
    writeln!(screen, "  {} from {from}{to}", version.tier)?;
    for (factor, rate) in &version.rates {
        writeln!(screen, "    {factor:<24} {rate}")?;
    }
    for (above, rates) in &version.above {
        for (factor, rate) in rates {
            writeln!(screen, "    {factor:<24} {rate}  {}", painted(FAINT, above))?;
        }
    }
    for window in &version.windows {
        writeln!(screen, "    {}", painted(FAINT, &format!("at other hours: {window}")))?;
    }
    Ok(())
}
