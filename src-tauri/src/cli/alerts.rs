//! `tollgate alerts`: the rules, what goes on, and what there was.

use std::io::{self, Write as _};
use std::time::Duration;

use api::alerts::{Line, Rule, Turn};
use clap::Args;

use super::figure::{instant, money};
use super::filters::here;
use super::screen::{FAINT, STRONG, Screen, painted};
use crate::config::Config;
use crate::jobs::alerts::{Event, History};

/// Shows the alert rules, what they say now, and their history.
///
/// Rules are `[[alerts]]` in `config.toml`; without any, daily spend over $20 and an error rate
/// over 20 % of at least 10 calls in 5 minutes are watched. `alerts = []` watches nothing.
#[derive(Debug, Args)]
#[command(after_help = "In config.toml:
  [[alerts]]
  name = 'Monthly spend of client-a'
  spend_above = '100.00'         # dollars
  per = 'month'                  # hour, day (default), week, month
  only = { workspace = 'client-a' }

  [[alerts]]
  name = 'Runaway loop'
  calls_above = 120              # or error_rate_above (percent), latency_above_ms (p95)
  within = '1m'")]
pub(crate) struct AlertsArgs {
    /// Go on, and print what happens as it does
    #[arg(long)]
    follow: bool,
    /// Print one event of the history a line, as JSON
    #[arg(long)]
    json: bool,
}

/// Between two looks at the history.
const PAUSE: Duration = Duration::from_millis(500);

impl AlertsArgs {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let home = super::home()?;
        let (rules, history) = (Config::load(&home.config())?.alerts, History::of(&home));
        let events = history.events();
        let mut screen = Screen::take();
        if self.json {
            events.iter().try_for_each(|event| screen.json(event))?;
        } else {
            show(&mut screen, &rules, &history, &events)?;
        }
        screen.flush()?;
        if !self.follow {
            return Ok(());
        }
        let mut last = events.last().map(|event| event.at);
        loop {
            std::thread::sleep(PAUSE);
            let seen = last;
            for event in history.events().iter().filter(|event| Some(event.at) > seen) {
                if self.json {
                    screen.json(event)?
                } else {
                    told(&mut screen, event)?
                }
                last = Some(event.at);
            }
            screen.flush()?;
        }
    }
}

fn show(
    screen: &mut Screen,
    rules: &[Rule],
    history: &History,
    events: &[Event],
) -> io::Result<()> {
    let active = history.active();
    for rule in rules {
        let now = match active.get(&rule.name) {
            Some(event) => {
                painted(STRONG, &format!("ALERT since {}", instant(event.at, here().zone)))
            }
            None => painted(FAINT, "quiet"),
        };
        writeln!(screen, "{}: {}  {now}", rule.name, line(rule))?;
    }
    if rules.is_empty() {
        writeln!(screen, "Nothing is watched: `alerts` in config.toml is empty.")?;
    }
    if !events.is_empty() {
        writeln!(screen)?;
    }
    let first = events.len().saturating_sub(20);
    events[first..].iter().try_for_each(|event| told(screen, event))
}

fn told(screen: &mut Screen, event: &Event) -> io::Result<()> {
    let turn = match event.turn {
        Turn::Began => painted(STRONG, "began"),
        Turn::Ended => painted(FAINT, "ended"),
    };
    writeln!(screen, "{}  {turn}  {}: {}", instant(event.at, here().zone), event.rule, event.said)
}

fn line(rule: &Rule) -> String {
    let mut said = match &rule.line {
        Line::Spend { above, per } => format!("spend over {} a {}", money(*above), per.as_str()),
        Line::Errors { above_percent, within, at_least } => {
            format!("over {above_percent} % errors of at least {at_least} calls within {within}")
        }
        Line::Latency { above_ms, within, at_least } => {
            format!("p95 over {above_ms} ms of at least {at_least} calls within {within}")
        }
        Line::Calls { above, within } => format!("over {above} calls within {within}"),
    };
    for (name, value) in &rule.filters {
        said.push_str(&format!(", {name} {value}"));
    }
    said
}
