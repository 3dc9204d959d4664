//! `tollgate budgets`: what may be spent, what was, and every change of it.

use std::io::{self, Write as _};

use api::alerts::escaped;
use api::budgets::{BudgetRule, BudgetStanding, BudgetState, Budgets, ReleaseOrder};
use axum::http::Method;
use clap::{Args, Subcommand, ValueEnum};
use meter::budget::{BudgetAction, Span, Unpriced};

use super::figure::{instant, short_instant};
use super::filters::here;
use super::screen::{BAD, FAINT, GOOD, ODD, STRONG, Screen, harmless, painted};
use crate::config::Config;
use crate::rule_file::unknown_budget;

/// Says how much may be spent, or how fast, and what happens then.
///
/// A call that does not fit a budget is denied before it leaves, with status 429 in its client's
/// own format. Calls that run count with what their requests bound (`max_tokens`) until their
/// receipts tell; without a bound an answer is taken to have 4096 tokens. Budgets stand as `[[budgets]]`
/// in `config.toml`, where these commands write them.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
#[command(after_help = "Examples:
  tollgate budgets add everything --spend 200 --per month
  tollgate budgets add ci --spend 5 --per day --only pass=ci
  tollgate budgets add agent --spend 2 --per hour --only workspace=agent --action ask
  tollgate budgets add pace --requests-per-minute 60 --only model='gpt-4o*'
  tollgate budgets edit ci --spend 7.50
  tollgate budgets release agent            denies nothing until the hour is over")]
pub(crate) struct BudgetsArgs {
    #[command(subcommand)]
    command: Option<BudgetsCommand>,
    /// Print one budget a line, as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum BudgetsCommand {
    /// Lists the budgets and how they stand
    List {
        /// Print one budget a line, as JSON
        #[arg(long)]
        json: bool,
    },
    /// Adds a budget
    Add {
        /// What it is called
        name: String,
        #[command(flatten)]
        limit: Box<LimitArgs>,
    },
    /// Changes a budget; what is not named stays as it is
    Edit {
        /// What it is called
        name: String,
        /// Calls it so from now on
        #[arg(long, value_name = "NEW")]
        rename: Option<String>,
        #[command(flatten)]
        limit: Box<LimitArgs>,
    },
    /// Removes a budget
    Remove {
        /// What it is called
        name: String,
    },
    /// Lets a budget deny nothing for a while; `now` ends that
    Release {
        /// What it is called
        name: String,
        /// `1h`, `tomorrow`, a date or an instant [default: until its period is over]
        until: Option<String>,
    },
}

/// A budget's limit (exactly one of the first four), and what happens there.
#[derive(Debug, Args)]
struct LimitArgs {
    /// Dollars that may be spent in the present period
    #[arg(long, value_name = "DOLLARS", allow_negative_numbers = true)]
    spend: Option<String>,
    /// Requests that may be made within any minute
    #[arg(long, value_name = "REQUESTS", allow_negative_numbers = true)]
    requests_per_minute: Option<i64>,
    /// Tokens, in and out, that may be used within any minute
    #[arg(long, value_name = "TOKENS", allow_negative_numbers = true)]
    tokens_per_minute: Option<i64>,
    /// Calls that may run at the same time
    #[arg(long, value_name = "CALLS", allow_negative_numbers = true)]
    concurrent: Option<i64>,
    /// The period of `--spend` [default: day]
    #[arg(long, value_enum)]
    per: Option<Per>,
    /// Only calls that fit: `pass=`, `key=`, `workspace=`, `provider=` or `model=`; may repeat.
    /// A model may end in `*`
    #[arg(long, value_name = "FILTER=VALUE")]
    only: Vec<String>,
    /// Count all calls again
    #[arg(long, conflicts_with = "only")]
    everything: bool,
    /// What happens at the limit [default: hard]
    #[arg(long, value_enum)]
    action: Option<Action>,
    /// Shares of `--spend` in percent that are worth a word [default: 50,80,100]
    #[arg(long, value_name = "PERCENTS", value_delimiter = ',')]
    warn_at: Option<Vec<i64>>,
    /// What to do with calls whose price nobody knows [default: deny]
    #[arg(long, value_enum)]
    unpriced: Option<UnpricedWord>,
    /// Tokens that an answer is taken to have if its request does not bound it [default: 4096]
    #[arg(long, value_name = "TOKENS", allow_negative_numbers = true)]
    assumed_output: Option<i64>,
    /// Counts, or with `--enabled false` does not until it is taken back
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    enabled: Option<bool>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Per {
    Hour,
    Day,
    Week,
    Month,
    Total,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Action {
    /// Only say so
    Soft,
    /// Deny calls
    Hard,
    /// Deny calls until you release it
    Ask,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum UnpricedWord {
    Deny,
    Allow,
}

impl LimitArgs {
    /// `budget` with what these flags say. Another limit takes what belonged to the one before.
    fn over(&self, budget: BudgetRule) -> anyhow::Result<BudgetRule> {
        let has_other = [
            (self.spend.is_some(), budget.spend.is_some()),
            (self.requests_per_minute.is_some(), budget.requests_per_minute.is_some()),
            (self.tokens_per_minute.is_some(), budget.tokens_per_minute.is_some()),
            (self.concurrent.is_some(), budget.concurrent.is_some()),
        ];
        let budget = match has_other.iter().any(|(given, had)| *given && !had) {
            true => BudgetRule {
                name: budget.name,
                only: budget.only,
                action: budget.action,
                enabled: budget.enabled,
                ..BudgetRule::default()
            },
            false => budget,
        };
        let mut only = budget.only;
        if self.everything || !self.only.is_empty() {
            only.clear();
        }
        for filter in &self.only {
            let Some((name, value)) = filter.split_once('=') else {
                anyhow::bail!("`{filter}` is no filter\nhint: write such as `--only pass=NAME`");
            };
            only.entry(name.to_owned()).or_default().push(value.to_owned());
        }
        let per = self.per.map(|per| match per {
            Per::Hour => Span::Hour,
            Per::Day => Span::Day,
            Per::Week => Span::Week,
            Per::Month => Span::Month,
            Per::Total => Span::Total,
        });
        let action = self.action.map(|action| match action {
            Action::Soft => BudgetAction::Soft,
            Action::Hard => BudgetAction::Hard,
            Action::Ask => BudgetAction::Ask,
        });
        let unpriced = self.unpriced.map(|word| match word {
            UnpricedWord::Deny => Unpriced::Deny,
            UnpricedWord::Allow => Unpriced::Allow,
        });
        Ok(BudgetRule {
            name: budget.name,
            spend: self.spend.clone().or(budget.spend),
            per: per.or(budget.per),
            requests_per_minute: self.requests_per_minute.or(budget.requests_per_minute),
            tokens_per_minute: self.tokens_per_minute.or(budget.tokens_per_minute),
            concurrent: self.concurrent.or(budget.concurrent),
            only,
            action: action.or(budget.action),
            warn_at: self.warn_at.clone().or(budget.warn_at),
            unpriced: unpriced.or(budget.unpriced),
            assumed_output: self.assumed_output.or(budget.assumed_output),
            enabled: self.enabled.map_or(budget.enabled, |enabled| (!enabled).then_some(false)),
        })
    }
}

impl BudgetsArgs {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        match &self.command {
            None => list(self.json),
            Some(BudgetsCommand::List { json }) => list(*json),
            Some(BudgetsCommand::Add { name, limit }) => {
                let budget = BudgetRule { name: name.clone(), ..BudgetRule::default() };
                let budget = limit.over(budget)?;
                said(&super::change(Method::POST, "/api/v1/budgets", Some(&budget))?);
                Ok(())
            }
            Some(BudgetsCommand::Edit { name, rename, limit }) => {
                let budgets = Config::load(&super::home()?.config())?.budgets;
                let before = budgets.iter().find(|budget| *budget.name == **name);
                let before = BudgetRule::from(before.ok_or_else(|| unknown_budget(name))?);
                let new_name = rename.clone().unwrap_or_else(|| before.name.clone());
                let budget = limit.over(BudgetRule { name: new_name, ..before })?;
                said(&super::change(Method::PUT, &path(name, ""), Some(&budget))?);
                Ok(())
            }
            Some(BudgetsCommand::Remove { name }) => {
                let _: Budgets = super::change(Method::DELETE, &path(name, ""), None::<&()>)?;
                super::remark(&format!("Budget `{name}` is removed."));
                Ok(())
            }
            Some(BudgetsCommand::Release { name, until }) => {
                let order = ReleaseOrder { until: until.clone() };
                let released: BudgetStanding =
                    super::change(Method::POST, &path(name, "/release"), Some(&order))?;
                super::remark(&match released.released_until {
                    Some(until) => {
                        format!("`{name}` denies nothing until {}.", instant(until, here().zone))
                    }
                    None => format!("`{name}` counts again."),
                });
                Ok(())
            }
        }
    }
}

fn path(name: &str, below: &str) -> String {
    format!("/api/v1/budgets/{}{below}", escaped(name))
}

fn said(budget: &BudgetStanding) {
    super::remark(&format!("Budget `{}`: {}.", budget.budget.name, budget.says));
}

fn list(json: bool) -> anyhow::Result<()> {
    let budgets: Budgets = super::change(Method::GET, "/api/v1/budgets", None::<&()>)?;
    let mut screen = Screen::take();
    if json {
        budgets.budgets.iter().try_for_each(|budget| screen.json(budget))?;
    } else if budgets.budgets.is_empty() {
        super::remark("There are no budgets. Add one with `tollgate budgets add`.");
    } else {
        budgets.budgets.iter().try_for_each(|budget| print(&mut screen, budget))?;
    }
    Ok(screen.flush()?)
}

fn print(screen: &mut Screen, one: &BudgetStanding) -> io::Result<()> {
    let at = |at| short_instant(at, here());
    let state = match (one.state, one.released_until) {
        (BudgetState::Fine, _) => painted(GOOD, "fine"),
        (BudgetState::Near, _) => painted(ODD, &format!("{} % used", one.share)),
        (BudgetState::Stopping, _) => painted(BAD, "DENIES CALLS"),
        (BudgetState::Over, _) => painted(BAD, "over its limit"),
        (BudgetState::Released, Some(until)) => {
            painted(ODD, &format!("released until {}", at(until)))
        }
        (BudgetState::Released, None) => painted(ODD, "released"),
        (BudgetState::Off, _) => painted(FAINT, "off"),
    };
    let (name, says) = (harmless(&one.budget.name), harmless(&one.says));
    writeln!(screen, "{}: {state}  {}", painted(STRONG, &name), painted(FAINT, &says))?;
    let denied = match one.denied {
        0 => String::new(),
        1 => ", 1 call denied".to_owned(),
        many => format!(", {many} calls denied"),
    };
    if let Some(money) = one.money {
        let end = money.to.map(|to| format!(" until {}", at(to))).unwrap_or_default();
        let aside = match one.running {
            0 => String::new(),
            running => {
                format!(", {} set aside for {running} running", money.set_aside.as_dollars())
            }
        };
        let (spent, left) = (money.spent.as_dollars(), money.left.as_dollars());
        writeln!(screen, "    {spent} spent ({} %), {left} left{end}{aside}{denied}", one.share)
    } else if let Some(used) = one.used {
        writeln!(screen, "    {used} now ({} %){denied}", one.share)
    } else {
        Ok(())
    }
}
