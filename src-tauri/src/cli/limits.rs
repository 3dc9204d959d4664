//! `tollgate limits`: how much the providers still allow, as their last answers said.

use std::io::{self, Write as _};

use api::limits::{KnownLimit, KnownLimits, LimitState};
use api::period::Here;
use axum::http::Method;
use clap::Args;
use meter::Timestamp;
use meter::limits::RETRY;

use super::figure::{grouped, instant};
use super::filters::here;
use super::screen::{BAD, FAINT, ODD, PLAIN, Screen};
use super::table::{self, Align, Cell, Column};

/// Shows how much the providers still allow, and for how long that lasts at the present pace.
///
/// They say so in the headers of their answers; the running Tollgate remembers the last ones.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tollgate limits
  tollgate limits --json | jq 'select(.state == \"low\")'")]
pub(crate) struct LimitsArgs {
    /// Print one limit a line, as JSON
    #[arg(long)]
    json: bool,
}

const COLUMNS: &[Column] = &[
    Column::new("provider", Align::Left, 0),
    Column::new("model", Align::Left, 2).cut(12),
    Column::new("key", Align::Left, 3),
    Column::new("limit of", Align::Left, 0),
    Column::new("left", Align::Right, 0),
    Column::new("of", Align::Right, 1),
    Column::new("used", Align::Right, 0),
    Column::new("state", Align::Left, 0),
    Column::new("seen", Align::Left, 4),
];

impl LimitsArgs {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let known: KnownLimits = super::change(Method::GET, "/api/v1/limits", None::<&()>)?;
        let mut screen = Screen::take();
        if self.json {
            known.limits.iter().try_for_each(|limit| screen.json(limit))?;
        } else if known.limits.is_empty() {
            super::remark(
                "No provider has spoken of a limit since Tollgate was started. They do so in the headers of their answers.",
            );
        } else {
            print(&mut screen, &known.limits, here())?;
        }
        Ok(screen.flush()?)
    }
}

fn print(screen: &mut Screen, limits: &[KnownLimit], here: Here) -> io::Result<()> {
    let number = |count: Option<u64>| count.map(grouped);
    let rows: Vec<Vec<Cell>> = limits
        .iter()
        .map(|one| {
            let style = match one.state {
                LimitState::Exhausted => BAD,
                LimitState::Low => ODD,
                LimitState::Fine => PLAIN,
                LimitState::Reset => FAINT,
            };
            let used = one.used_percent.map(|percent| format!("{percent} %"));
            vec![
                Cell::new(&one.provider).style(style),
                Cell::optional(one.model.as_deref()).style(style),
                Cell::new(one.key.as_deref().unwrap_or("the client's own")).style(style),
                Cell::new(one.what.replace('-', " ")).style(style),
                Cell::optional(number(one.remaining).as_deref()).style(style),
                Cell::optional(number(one.limit).as_deref()).style(style),
                Cell::optional(used.as_deref()).style(style),
                Cell::new(state(one, here)).style(style),
                Cell::new(instant(one.seen_at, here.zone)).style(style),
            ]
        })
        .collect();
    table::print(screen, COLUMNS, &rows)
}

/// How it stands, and when that changes: `used up in 4 min`.
fn state(one: &KnownLimit, here: Here) -> String {
    let until = |at: Timestamp| span(at.millis() - here.now.millis());
    match (one.state, one.used_up_at, one.resets_at) {
        (LimitState::Reset, ..) => "whole again".to_owned(),
        (LimitState::Exhausted, _, Some(at)) if one.what == RETRY => {
            format!("asks to wait {}", until(at))
        }
        (LimitState::Exhausted, _, Some(at)) => format!("used up for {}", until(at)),
        (LimitState::Exhausted, _, None) => "used up".to_owned(),
        (LimitState::Low | LimitState::Fine, Some(at), _) => format!("used up in {}", until(at)),
        (LimitState::Low | LimitState::Fine, None, Some(at)) => {
            format!("lasts; whole in {}", until(at))
        }
        (LimitState::Low, None, None) => "little left".to_owned(),
        (LimitState::Fine, None, None) => "enough".to_owned(),
    }
}

/// A span in its largest unit.
pub(crate) fn span(ms: i64) -> String {
    let seconds = ms.max(0).unsigned_abs().div_ceil(1000);
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_said_in_its_largest_unit() {
        let said = [-5, 1, 119_000, 120_000, 7_200_000, 172_800_000].map(span);
        assert_eq!(said, ["0 s", "1 s", "119 s", "2 min", "2 h", "2 days"]);
    }
}
