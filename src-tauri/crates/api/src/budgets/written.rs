//! A budget as it is written: an entry of `[[budgets]]`, the body of a request, a form. One
//! limit of the four is given; what that limit does not know is refused, not forgotten.

use std::collections::BTreeMap;

use meter::budget::{ASSUMED_OUTPUT, Budget, BudgetAction, Limit, Scope, Span, Unpriced};
use serde::{Deserialize, Serialize};

use crate::alerts::written::{dollars, one_or_many, visible, whole, wrong};
use crate::problem::{Code, Problem};

/// A budget as it is written. Exactly one of `spend`, `requests_per_minute`,
/// `tokens_per_minute` and `concurrent` is given: its limit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
#[serde(deny_unknown_fields)]
pub struct BudgetRule {
    /// What the user calls it; up to 80 characters.
    pub name: String,
    /// Dollars, as decimal text, that may be spent in the present period.
    pub spend: Option<String>,
    /// The period of `spend`; `day` if left out.
    pub per: Option<Span>,
    /// Requests within any minute.
    pub requests_per_minute: Option<i64>,
    /// Tokens, in and out, within any minute.
    pub tokens_per_minute: Option<i64>,
    /// Calls that run at the same time.
    pub concurrent: Option<i64>,
    /// Only these calls: values by `pass`, `key`, `workspace`, `provider` or `model`. A model
    /// may end in `*`, and means its dated editions too.
    #[serde(default, deserialize_with = "one_or_many")]
    #[specta(type = BTreeMap<String, Vec<String>>)]
    pub only: BTreeMap<String, Vec<String>>,
    /// What happens at the limit; `hard` if left out.
    pub action: Option<BudgetAction>,
    /// Shares of `spend`, in percent, that are worth a word; 50, 80 and 100 if left out.
    pub warn_at: Option<Vec<i64>>,
    /// What to do with calls whose price nobody knows; `deny` if left out.
    pub unpriced: Option<Unpriced>,
    /// Tokens that an answer is taken to have if its request does not bound it; 4096 if left out.
    pub assumed_output: Option<i64>,
    /// `false` counts nothing until it is taken back.
    pub enabled: Option<bool>,
}

/// What is worth a word unless something else is said.
const WARN_AT: [u8; 3] = [50, 80, 100];

/// The longest value of a scope, and the most of them.
const VALUE: usize = 1000;
const MOST_VALUES: usize = 50;

/// More of anything than this is a slip of the finger.
const MOST: i64 = 1_000_000_000;

impl BudgetRule {
    /// Reads the body of a request.
    ///
    /// # Errors
    /// Says what cannot be read.
    pub fn read(body: &[u8]) -> Result<Self, Problem> {
        // An object: a list would be read as fields without names.
        let fields: Result<serde_json::Map<_, _>, _> = serde_json::from_slice(body);
        let rule = fields.and_then(|fields| serde_json::from_value(fields.into()));
        rule.map_err(|error| {
            Problem::new(Code::BadBody, format!("this is not a budget: {error}"))
                .hint("Send such as {\"name\":\"CI\",\"spend\":\"5.00\",\"per\":\"day\",\"only\":{\"pass\":\"ci\"}}.")
        })
    }

    /// The checked budget.
    ///
    /// # Errors
    /// Names the field that is wrong and says what may stand there.
    pub fn check(&self) -> Result<Budget, Problem> {
        let limit = self.limit()?;
        let is_money = matches!(limit, Limit::Spend { .. });
        let strangers = [
            ("per", self.per.is_some()),
            ("warn_at", self.warn_at.is_some()),
            ("unpriced", self.unpriced.is_some()),
        ];
        if let Some((name, _)) = strangers.iter().find(|(_, given)| *given && !is_money) {
            return Err(wrong(
                name,
                "belongs to a limit of money",
                "Leave it out, or give `spend`.",
            ));
        }
        let action = self.action.unwrap_or_default();
        if action == BudgetAction::Ask && !is_money {
            return Err(wrong(
                "action",
                "cannot be `ask` for a pace, which is over in a minute",
                "Write `soft` or `hard`.",
            ));
        }
        Ok(Budget {
            name: visible(&self.name)?.into(),
            scope: self.scope()?,
            limit,
            action,
            warn_at: self.shares()?,
            unpriced: self.unpriced.unwrap_or_default(),
            assumed_output: match self.assumed_output {
                Some(tokens) => whole("assumed_output", tokens, 0, MOST)?,
                None => ASSUMED_OUTPUT,
            },
            is_enabled: self.enabled.unwrap_or(true),
        })
    }

    fn limit(&self) -> Result<Limit, Problem> {
        let most = |field: &str, value: i64| whole(field, value, 0, MOST);
        match (&self.spend, self.requests_per_minute, self.tokens_per_minute, self.concurrent) {
            (Some(spend), None, None, None) => Ok(Limit::Spend {
                most: dollars("spend", Some(spend))?,
                per: self.per.unwrap_or(Span::Day),
            }),
            (None, Some(requests), None, None) => {
                Ok(Limit::Requests { most: most("requests_per_minute", requests)? })
            }
            (None, None, Some(tokens), None) => {
                Ok(Limit::Tokens { most: most("tokens_per_minute", tokens)? })
            }
            (None, None, None, Some(calls)) => {
                Ok(Limit::Concurrent { most: most("concurrent", calls)? })
            }
            _ => {
                let name: String = self.name.chars().take(80).collect();
                Err(Problem::new(
                    Code::BadBody,
                    format!("the budget `{name}` must have exactly one limit"),
                )
                .hint("Give one of `spend`, `requests_per_minute`, `tokens_per_minute`, `concurrent`."))
            }
        }
    }

    fn scope(&self) -> Result<Scope, Problem> {
        let mut scope = Scope::default();
        for (name, values) in &self.only {
            let part = match &**name {
                "pass" => &mut scope.passes,
                "key" => &mut scope.keys,
                "workspace" => &mut scope.workspaces,
                "provider" => &mut scope.providers,
                "model" => &mut scope.models,
                _ => {
                    let name: String = name.chars().take(80).collect();
                    let why = format!("cannot name `{name}`");
                    let hint =
                        "A budget is for a `pass`, `key`, `workspace`, `provider` or `model`.";
                    return Err(wrong("only", &why, hint));
                }
            };
            let fits = |value: &String| (1..=VALUE).contains(&value.len());
            if values.is_empty() || values.len() > MOST_VALUES || !values.iter().all(fits) {
                let why = format!("has no value for `{name}`, too many, or one that is too long");
                let hint = format!("Give 1 to {MOST_VALUES} of up to {VALUE} bytes each.");
                return Err(wrong("only", &why, &hint));
            }
            part.extend(values.iter().map(|value| Box::from(value.as_str())));
        }
        Ok(scope)
    }

    fn shares(&self) -> Result<Vec<u8>, Problem> {
        let Some(given) = &self.warn_at else { return Ok(WARN_AT.to_vec()) };
        let share = |share: &i64| {
            u8::try_from(whole("warn_at", *share, 1, 100)?)
                .map_err(|_| wrong("warn_at", "is out of range", "Write percents from 1 to 100."))
        };
        let mut shares: Vec<u8> = given.iter().map(share).collect::<Result<_, _>>()?;
        shares.sort_unstable();
        shares.dedup();
        Ok(shares)
    }
}

/// A budget written out, without what goes without saying.
impl From<&Budget> for BudgetRule {
    fn from(budget: &Budget) -> Self {
        let Budget { scope, limit, .. } = budget;
        let texts =
            |values: &[Box<str>]| values.iter().map(ToString::to_string).collect::<Vec<_>>();
        let parts = [
            ("pass", &scope.passes),
            ("key", &scope.keys),
            ("workspace", &scope.workspaces),
            ("provider", &scope.providers),
            ("model", &scope.models),
        ];
        let given = parts.into_iter().filter(|(_, values)| !values.is_empty());
        let number = |number: u64| i64::try_from(number).ok();
        let plain = Self {
            name: budget.name.to_string(),
            only: given.map(|(name, values)| (name.to_owned(), texts(values))).collect(),
            action: Some(budget.action),
            assumed_output: number(budget.assumed_output)
                .filter(|_| budget.assumed_output != ASSUMED_OUTPUT),
            enabled: (!budget.is_enabled).then_some(false),
            ..Self::default()
        };
        match *limit {
            Limit::Spend { most, per } => Self {
                spend: Some(most.to_string()),
                per: Some(per),
                warn_at: (budget.warn_at != WARN_AT)
                    .then(|| budget.warn_at.iter().map(|share| i64::from(*share)).collect()),
                unpriced: Some(budget.unpriced).filter(|unpriced| *unpriced != Unpriced::Deny),
                ..plain
            },
            Limit::Requests { most } => Self { requests_per_minute: number(most), ..plain },
            Limit::Tokens { most } => Self { tokens_per_minute: number(most), ..plain },
            Limit::Concurrent { most } => Self { concurrent: number(most), ..plain },
        }
    }
}
