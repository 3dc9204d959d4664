//! A budget: a line that the calls of a scope are not to cross, in money, requests, tokens or
//! calls at a time, and what happens at that line. What has been used of it others know.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::money::Money;

/// One budget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budget {
    /// What the user calls it; unique.
    pub name: Box<str>,
    /// Which calls count.
    pub scope: Scope,
    /// Where the line is.
    pub limit: Limit,
    /// What happens there.
    pub action: BudgetAction,
    /// Shares of the limit, in percent, that are worth a word.
    pub warn_at: Vec<u8>,
    /// What to do with calls whose price nobody knows, where money is counted.
    pub unpriced: Unpriced,
    /// Tokens that an answer is taken to have if its request does not bound it.
    pub assumed_output: u64,
    /// Whether it counts at all.
    pub is_enabled: bool,
}

/// Output tokens that are set aside for a request that does not bound its answer.
pub const ASSUMED_OUTPUT: u64 = 4096;

/// The line of a budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Dollars within a period of the calendar.
    Spend {
        /// Not more than this.
        most: Money,
        /// Where the sum begins anew.
        per: Span,
    },
    /// Requests within any minute.
    Requests {
        /// Not more than this.
        most: u64,
    },
    /// Tokens, in and out, within any minute.
    Tokens {
        /// Not more than this.
        most: u64,
    },
    /// Calls that run at the same time.
    Concurrent {
        /// Not more than this.
        most: u64,
    },
}

/// The period a sum of money is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, specta::Type)]
#[serde(rename_all = "snake_case")]
pub enum Span {
    /// From the full hour on.
    Hour,
    /// From midnight on.
    Day,
    /// From Monday on.
    Week,
    /// From the first on.
    Month,
    /// For good.
    Total,
}

impl Span {
    /// Every value.
    pub const ALL: [Self; 5] = [Self::Hour, Self::Day, Self::Week, Self::Month, Self::Total];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Total => "total",
        }
    }

    /// As one says it behind an amount.
    pub const fn each(self) -> &'static str {
        match self {
            Self::Hour => "an hour",
            Self::Day => "a day",
            Self::Week => "a week",
            Self::Month => "a month",
            Self::Total => "in total",
        }
    }
}

/// What happens at the line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
#[serde(rename_all = "snake_case")]
pub enum BudgetAction {
    /// The user is told, calls go on.
    Soft,
    /// Calls are denied until the period is over or the limit is raised.
    #[default]
    Hard,
    /// Calls are denied until the user releases the budget for the rest of its period.
    Ask,
}

impl BudgetAction {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Soft => "soft",
            Self::Hard => "hard",
            Self::Ask => "ask",
        }
    }
}

/// What a budget of money does with a call whose price nobody knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
#[serde(rename_all = "snake_case")]
pub enum Unpriced {
    /// It is denied: what cannot be counted cannot be kept within a limit.
    #[default]
    Deny,
    /// It passes and is not counted.
    Allow,
}

impl Unpriced {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Deny => "deny",
            Self::Allow => "allow",
        }
    }
}

/// Which calls count: those that match every part. An empty part asks for nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// Labels of passes.
    pub passes: Vec<Box<str>>,
    /// Labels of stored keys.
    pub keys: Vec<Box<str>>,
    /// Workspaces.
    pub workspaces: Vec<Box<str>>,
    /// Who is paid.
    pub providers: Vec<Box<str>>,
    /// Models, as asked for or as served; see [`is_model`].
    pub models: Vec<Box<str>>,
}

/// What a scope looks at in a call.
#[derive(Clone, Copy, Debug)]
pub struct Facets<'a> {
    /// Label of the pass that was shown.
    pub pass: Option<&'a str>,
    /// Label of the stored key that is put in.
    pub key: Option<&'a str>,
    /// What it is counted in.
    pub workspace: &'a str,
    /// Who is paid.
    pub provider: &'a str,
    /// The model, if one is named.
    pub model: Option<&'a str>,
    /// The model that served when this one was asked for before, if that is known.
    pub served: Option<&'a str>,
    /// No model has been seen, and yet there will be something to pay: it may be any.
    pub may_be_any: bool,
}

impl Scope {
    /// Whether such a call counts.
    pub fn matches(&self, call: &Facets<'_>) -> bool {
        self.matches_but_for_model(call)
            && (self.has_model(call.model) || self.has_model(call.served) || call.may_be_any)
    }

    /// Whether such a call counts if its model does.
    pub fn matches_but_for_model(&self, call: &Facets<'_>) -> bool {
        let one_of = |wanted: &[Box<str>], value: Option<&str>| {
            wanted.is_empty()
                || value.is_some_and(|value| wanted.iter().any(|wanted| **wanted == *value))
        };
        one_of(&self.passes, call.pass)
            && one_of(&self.keys, call.key)
            && one_of(&self.workspaces, Some(call.workspace))
            && one_of(&self.providers, Some(call.provider))
    }

    /// Whether calls of this model count, whatever else they are.
    pub fn has_model(&self, model: Option<&str>) -> bool {
        self.models.is_empty()
            || model.is_some_and(|model| self.models.iter().any(|wanted| is_model(wanted, model)))
    }
}

/// Whether a model is the one that is meant: of this name, a dated edition of it
/// (`gpt-4o-2024-08-06` is `gpt-4o`, `gpt-4-0613` is `gpt-4`), or, where the name ends in `*`, any
/// that begins so.
pub fn is_model(wanted: &str, model: &str) -> bool {
    if let Some(beginning) = wanted.strip_suffix('*') {
        return model.starts_with(beginning);
    }
    let Some(rest) = model.strip_prefix(wanted) else { return false };
    let date = rest.strip_prefix(['-', '@']).unwrap_or_default();
    let digits = date.bytes().filter(u8::is_ascii_digit).count();
    let is_edition = matches!(digits, 3 | 4 | 8) && (digits == 8 || digits == date.len());
    rest.is_empty() || (is_edition && date.bytes().all(|b| b.is_ascii_digit() || b == b'-'))
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Spend { most, per } => write!(f, "{} {}", most.as_dollars(), per.each()),
            Self::Requests { most } => write!(f, "{most} requests a minute"),
            Self::Tokens { most } => write!(f, "{most} tokens a minute"),
            Self::Concurrent { most } => write!(f, "{most} calls at a time"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_itself_its_dated_editions_or_what_a_star_stands_for() {
        for model in ["gpt-4o", "gpt-4o-2024-08-06", "gpt-4o-20240806", "gpt-4o@20240806"] {
            assert!(is_model("gpt-4o", model), "{model}");
        }
        assert!(
            is_model("gpt-4", "gpt-4-0613") && is_model("gemini-2.0-flash", "gemini-2.0-flash-001")
        );
        for model in ["gpt-4o-mini", "gpt-4", "gpt-4o-12", "x-gpt-4o", "gpt-4o-mini-2024-07-18"] {
            assert!(!is_model("gpt-4o", model), "{model}");
        }
        assert!(is_model("gpt-4o*", "gpt-4o-mini") && !is_model("gpt-4o*", "gpt-4"));
        assert!(is_model("*", ""));
    }

    #[test]
    fn a_scope_asks_only_for_what_it_names() {
        let call = Facets {
            pass: Some("ci"),
            key: None,
            workspace: "w",
            provider: "openai",
            model: Some("gpt-4o"),
            served: None,
            may_be_any: false,
        };
        let named = |text: &str| vec![Box::from("other"), Box::from(text)];
        assert!(Scope::default().matches(&call));
        let both = Scope { passes: named("ci"), models: named("gpt-*"), ..Scope::default() };
        assert!(both.matches(&call) && !both.matches(&Facets { pass: None, ..call }));
        let unnamed = Facets { model: None, ..call };
        assert!(!both.matches(&unnamed) && both.matches(&Facets { may_be_any: true, ..unnamed }));
        let alias = Facets { model: Some("alias"), ..call };
        assert!(!both.matches(&alias) && both.matches(&Facets { served: Some("gpt-4o"), ..alias }));
        assert!(!Scope { keys: named("k"), ..Scope::default() }.matches(&call));
        assert!(!Scope { workspaces: named("v"), ..Scope::default() }.matches(&call));
        assert!(!Scope { providers: named("v"), ..Scope::default() }.matches(&call));
    }
}
