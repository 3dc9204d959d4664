//! `tollgate alerts`: the rules and how they stand, what there was, and every change of them.

mod line;

use std::io::{self, Write as _};
use std::time::Duration;

use api::alerts::{
    AlertEvent, AlertHistory, AlertRule, AlertStanding, Alerts, Hush, Kept, MeasureUnit, Memory,
    PauseOrder, RuleState, SnoozeOrder, Turn, compliance, escaped,
};
use axum::http::Method;
use clap::{Args, Subcommand};

use self::line::{LineArgs, hours};
use super::figure::{instant, short_instant};
use super::filters::here;
use super::screen::{BAD, FAINT, GOOD, ODD, STRONG, Screen, harmless, painted};
use crate::alert_book::{self, AlertLog};
use crate::config::Config;
use crate::home::Home;

/// Speaks up when a line is crossed: rules, what goes on, and what there was.
///
/// Unless rules are written, daily spend over $20 and an error rate over 20 % of at least 10
/// calls in 5 minutes are watched. Rules stand as `[[alerts]]` in `config.toml`, where these
/// commands write them; `[quiet_hours]` there says when nothing disturbs.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
#[command(after_help = "Examples:
  tollgate alerts add 'client-a this month' --spend-above 100 --per month --only workspace=client-a
  tollgate alerts add Pace --forecast-above 500 --per month --after-percent 10
  tollgate alerts add Runaway --loop-above 60 --within 1m
  tollgate alerts add Cache --cache-hits-below 50 --within 1h --compared-with 7d
  tollgate alerts add SLA --availability-below 99.5 --within 30d --at-least 100
  tollgate alerts add Slow --latency-above-ms 8000 --percentile 99 --within 1h --only provider=openai
  tollgate alerts edit 'Daily spend' --spend-above 35
  tollgate alerts snooze Errors tomorrow
  tollgate alerts quiet-hours 22:00 07:00
  tollgate alerts --follow --json         what goes on, then every event as it happens")]
pub(crate) struct AlertsArgs {
    #[command(subcommand)]
    command: Option<AlertsCommand>,
    /// Print what goes on, then what happens as it does
    #[arg(long)]
    follow: bool,
    /// Print one rule a line, or with --follow one event a line, as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum AlertsCommand {
    /// Lists the rules and how they stand
    List {
        /// Print one rule a line, as JSON
        #[arg(long)]
        json: bool,
    },
    /// Shows what there was, newest first
    History {
        /// Only of this rule
        #[arg(long, value_name = "NAME")]
        rule: Option<String>,
        /// At most so many events
        #[arg(long, value_name = "N", default_value_t = 50)]
        limit: usize,
        /// Only events numbered below this one
        #[arg(long, value_name = "NUMBER")]
        before: Option<u64>,
        /// Print one event a line, as JSON
        #[arg(long)]
        json: bool,
    },
    /// Shows how rules of availability and durations were kept, day by day
    Compliance {
        /// Print one JSON object, as `GET /api/v1/alerts/compliance` answers
        #[arg(long)]
        json: bool,
    },
    /// Adds a rule
    Add {
        /// What it is called
        name: String,
        #[command(flatten)]
        line: Box<LineArgs>,
        /// Print it as JSON
        #[arg(long)]
        json: bool,
    },
    /// Changes a rule; what is not named stays as it is
    Edit {
        /// What it is called
        name: String,
        /// Calls it so from now on
        #[arg(long, value_name = "NEW")]
        rename: Option<String>,
        #[command(flatten)]
        line: Box<LineArgs>,
        /// Print it as JSON
        #[arg(long)]
        json: bool,
    },
    /// Removes a rule
    Remove {
        /// What it is called
        name: String,
    },
    /// Lets a rule disturb nobody for a while; `now` ends that
    Snooze {
        /// What it is called
        name: String,
        /// `1h`, `7d`, `tomorrow`, a date or an instant
        #[arg(default_value = "1h")]
        until: String,
    },
    /// Lets no rule disturb anybody, for a while or until `resume`
    Pause {
        /// `1h`, `7d`, `tomorrow`, a date or an instant
        until: Option<String>,
    },
    /// Ends a pause
    Resume,
    /// Sets the hours in which nothing disturbs, or `off`
    QuietHours {
        /// Such as `22:00`, or `off`
        from: String,
        /// Such as `07:00`
        to: Option<String>,
    },
}

/// Between two looks at the history's size.
const PAUSE: Duration = Duration::from_millis(250);

impl AlertsArgs {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        match &self.command {
            None if self.follow => follow(self.json),
            None => list(self.json),
            Some(AlertsCommand::List { json }) => list(*json),
            Some(AlertsCommand::Compliance { json }) => kept(*json),
            Some(AlertsCommand::History { rule, limit, before, json }) => {
                history(rule.as_deref(), *limit, *before, *json)
            }
            Some(AlertsCommand::Add { name, line, json }) => {
                let rule = line.over(AlertRule { name: name.clone(), ..AlertRule::default() })?;
                let added = super::change(Method::POST, "/api/v1/alerts", Some(&rule))?;
                said(&added, *json)
            }
            Some(AlertsCommand::Edit { name, rename, line, json }) => {
                let plan = Config::load(&super::home()?.config())?.alerts;
                let rule = plan.rules.iter().find(|rule| rule.name == *name);
                let before = rule.map(AlertRule::from);
                let before = before.ok_or_else(|| crate::rule_file::unknown(name))?;
                let name = rename.clone().unwrap_or_else(|| before.name.clone());
                let rule = line.over(AlertRule { name, ..before.clone() })?;
                let changed = super::change(Method::PUT, &path(&before.name, ""), Some(&rule))?;
                said(&changed, *json)
            }
            Some(AlertsCommand::Remove { name }) => {
                let _: Alerts = super::change(Method::DELETE, &path(name, ""), None::<&()>)?;
                super::remark(&format!("Rule `{name}` is removed."));
                Ok(())
            }
            Some(AlertsCommand::Snooze { name, until }) => {
                let order = SnoozeOrder { until: until.clone() };
                let snoozed: AlertStanding =
                    super::change(Method::POST, &path(name, "/snooze"), Some(&order))?;
                super::remark(&match snoozed.snoozed_until {
                    Some(until) => {
                        format!("`{name}` disturbs nobody until {}.", instant(until, here().zone))
                    }
                    None => format!("`{name}` may disturb again."),
                });
                Ok(())
            }
            Some(AlertsCommand::Pause { until }) => pause(until.clone()),
            Some(AlertsCommand::Resume) => pause(Some("now".to_owned())),
            Some(AlertsCommand::QuietHours { from, to }) => quiet_hours(from, to.as_deref()),
        }
    }
}

fn path(name: &str, below: &str) -> String {
    format!("/api/v1/alerts/{}{below}", escaped(name))
}

fn said(rule: &AlertStanding, json: bool) -> anyhow::Result<()> {
    if json {
        let mut screen = Screen::take();
        screen.json(rule)?;
        screen.flush()?;
    } else {
        super::remark(&format!("Rule `{}`: {}.", rule.rule.name, rule.watches));
    }
    Ok(())
}

fn pause(until: Option<String>) -> anyhow::Result<()> {
    let order = PauseOrder { until };
    let alerts: Alerts = super::change(Method::POST, "/api/v1/alerts/pause", Some(&order))?;
    super::remark(&paused(&alerts).unwrap_or_else(|| "Alerts may disturb again.".to_owned()));
    Ok(())
}

fn quiet_hours(from: &str, to: Option<&str>) -> anyhow::Result<()> {
    let order = match (from, to) {
        ("off", None) => None,
        (from, to) => Some(hours(from, to.unwrap_or_default())?),
    };
    let alerts: Alerts = super::change(Method::PUT, "/api/v1/alerts/quiet-hours", Some(&order))?;
    super::remark(&match alerts.quiet_hours {
        Some(hours) => format!("Nothing disturbs from {} to {}.", hours.from, hours.to),
        None => "Alerts may disturb at any hour.".to_owned(),
    });
    Ok(())
}

fn paused(alerts: &Alerts) -> Option<String> {
    let pause = alerts.pause.as_ref()?;
    Some(match pause.occurrence.until {
        Some(until) => format!("Alerts are paused until {}.", instant(until, here().zone)),
        None => "Alerts are paused until `tollgate alerts resume`.".to_owned(),
    })
}

fn standing(home: &Home) -> anyhow::Result<Alerts> {
    Ok(alert_book::standing_of(home, &Config::load(&home.config())?.alerts))
}

fn list(json: bool) -> anyhow::Result<()> {
    let alerts = standing(&super::home()?)?;
    let mut screen = Screen::take();
    if json {
        alerts.rules.iter().try_for_each(|rule| screen.json(rule))?;
        return Ok(screen.flush()?);
    }
    for rule in &alerts.rules {
        print(&mut screen, rule)?;
    }
    if alerts.rules.is_empty() {
        writeln!(screen, "Nothing is watched. Add a rule with `tollgate alerts add`.")?;
    }
    if let Some(paused) = paused(&alerts) {
        writeln!(screen, "\n{}", painted(ODD, &paused))?;
    }
    if let Some(hours) = alerts.quiet_hours {
        writeln!(screen, "\nNothing disturbs from {} to {}.", hours.from, hours.to)?;
    }
    Ok(screen.flush()?)
}

fn print(screen: &mut Screen, rule: &AlertStanding) -> io::Result<()> {
    let at = |at| short_instant(at, here());
    let state = match (rule.state, rule.snoozed_until) {
        (RuleState::Active, _) => painted(BAD, "ALERT"),
        (RuleState::Snoozed, Some(until)) => painted(ODD, &format!("snoozed until {}", at(until))),
        (RuleState::Snoozed, None) => painted(ODD, "snoozed"),
        (RuleState::Off, _) => painted(FAINT, "off"),
        (RuleState::Fine, _) => painted(GOOD, "fine"),
    };
    let (name, watches) = (harmless(&rule.rule.name), harmless(&rule.watches));
    writeln!(screen, "{}: {state}  {}", painted(STRONG, &name), painted(FAINT, &watches))?;
    let Some(began) = &rule.began else { return Ok(()) };
    let said = harmless(&began.occurrence.said);
    writeln!(screen, "    since {}: {said}", at(began.at))?;
    match (&rule.told_at, began.occurrence.hush) {
        (None, Some(hush)) => writeln!(screen, "    not told yet: {}", hushed(hush)),
        (Some(_), _) | (None, None) => Ok(()),
    }
}

const fn hushed(hush: Hush) -> &'static str {
    match hush {
        Hush::QuietHours => "quiet hours",
        Hush::Snoozed => "snoozed",
        Hush::Paused => "paused",
    }
}

fn history(
    rule: Option<&str>,
    limit: usize,
    before: Option<u64>,
    json: bool,
) -> anyhow::Result<()> {
    let events = AlertLog::of(&super::home()?).events();
    let mut screen = Screen::take();
    let page = AlertHistory::page(events, before, limit, rule);
    for event in &page.events {
        match json {
            true => screen.json(event)?,
            false => told(&mut screen, event)?,
        }
    }
    if page.events.is_empty() && !json {
        super::remark("Nothing happened yet.");
    }
    Ok(screen.flush()?)
}

/// How promises were kept: a mark for each day of the last thirty.
fn kept(json: bool) -> anyhow::Result<()> {
    let plan = Config::load(&super::home()?.config())?.alerts;
    let answer = compliance(&super::ledger()?, &plan.rules, here())?;
    let mut screen = Screen::take();
    if json {
        screen.json(&answer)?;
        return Ok(screen.flush()?);
    }
    for rule in &answer.rules {
        let state = match rule.whole.kept {
            Some(true) => painted(GOOD, "kept"),
            Some(false) => painted(BAD, "BROKEN"),
            None => painted(FAINT, "too few calls"),
        };
        let (name, watches) = (harmless(&rule.name), harmless(&rule.watches));
        writeln!(screen, "{}: {state}  {}", painted(STRONG, &name), painted(FAINT, &watches))?;
        let mark = |day: &Kept| match day.kept {
            Some(true) => painted(GOOD, "+"),
            Some(false) => painted(BAD, "!"),
            None => painted(FAINT, "."),
        };
        let days: String = rule.days.iter().map(mark).collect();
        let unit = if rule.unit == MeasureUnit::Percent { "%" } else { "ms" };
        let value = rule.whole.value.as_deref().unwrap_or("nothing");
        writeln!(
            screen,
            "    {days}  {} of {} days",
            rule.days_kept,
            rule.days_kept + rule.days_broken
        )?;
        let budget = rule.error_budget.map(|most| format!("; {} failed, {most} may", rule.failed));
        writeln!(
            screen,
            "    {value} {unit} over 30 days, line {} {unit}{}",
            rule.line,
            budget.unwrap_or_default()
        )?;
    }
    if answer.rules.is_empty() {
        writeln!(
            screen,
            "No rule watches availability or durations. Add one, such as `tollgate alerts add SLA --availability-below 99.5`."
        )?;
    }
    Ok(screen.flush()?)
}

/// What goes on, then everything that is written down from now on.
fn follow(json: bool) -> anyhow::Result<()> {
    let log = AlertLog::of(&super::home()?);
    let mut screen = Screen::take();
    let show = |screen: &mut Screen, event: &AlertEvent| match json {
        true => screen.json(event),
        false => told(screen, event),
    };
    let mut size = log.size();
    let events = log.events();
    let mut last = events.last().map_or(0, |event| event.number);
    let memory = Memory::recall(&events);
    memory.active().into_iter().try_for_each(|event| show(&mut screen, event))?;
    loop {
        screen.flush()?;
        std::thread::sleep(PAUSE);
        let now = log.size();
        if now == size {
            continue;
        }
        size = now;
        let mut newest = last;
        for event in log.events().iter().filter(|event| event.number > last) {
            show(&mut screen, event)?;
            newest = event.number;
        }
        last = newest;
    }
}

fn told(screen: &mut Screen, event: &AlertEvent) -> io::Result<()> {
    let occurrence = &event.occurrence;
    let turn = match occurrence.turn {
        Turn::Began => painted(BAD, "began"),
        Turn::Told => painted(BAD, "told"),
        Turn::Ended => painted(GOOD, "ended"),
        Turn::Snoozed => painted(ODD, "snoozed"),
        Turn::Woken => painted(FAINT, "woken"),
        Turn::Paused => painted(ODD, "paused"),
        Turn::Resumed => painted(FAINT, "resumed"),
        Turn::Budget => painted(ODD, "budget"),
    };
    let rule = occurrence.rule.as_deref().map(|rule| format!("{}: ", harmless(rule)));
    let (at, said) = (instant(event.at, here().zone), harmless(&occurrence.said));
    let hush = occurrence.hush.map(|hush| painted(FAINT, &format!(" ({})", hushed(hush))));
    let until = occurrence.until.map(|until| format!(" Until {}.", instant(until, here().zone)));
    let [rule, hush, until] = [rule, hush, until].map(Option::unwrap_or_default);
    writeln!(screen, "{at}  {turn}  {rule}{said}{until}{hush}")
}
