//! A route as it is written: an entry of `[[routes]]`, the body of a request, a form.

use std::time::Duration;

use meter::provider::Providers;
use meter::route::{
    Failover, Family, MOST_TARGETS, NAME_LIMIT, NamedRoute, Profile, Target, is_name,
};
use serde::{Deserialize, Serialize};

use crate::alerts::written::{whole, wrong};
use crate::problem::{Code, Problem};

/// A route as it is written: whom to call, in which order, and when the next one is tried.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
#[serde(deny_unknown_fields)]
pub struct RouteRule {
    /// What clients ask for, as the model `route/NAME` or in the header `x-tollgate-route`.
    pub name: String,
    /// `PROVIDER/MODEL`, in the user's order. All must speak one wire format.
    pub targets: Vec<String>,
    /// What is preferred among them, by the user's own receipts; their order if left out.
    pub profile: Option<Profile>,
    /// Statuses after which the next target is tried; 408, 429, 500, 502, 503, 504 and 529 if
    /// left out. Faults of connections always are.
    pub retry_on: Option<Vec<i64>>,
    /// The most tries of one call; one for each target if left out.
    pub attempts: Option<i64>,
    /// Milliseconds that a target may take to its answer's first byte; as long as any call if
    /// left out.
    pub first_byte_ms: Option<i64>,
    /// The longest wait, in milliseconds, that a provider may ask for before the same target is
    /// tried again; 2000 if left out.
    pub longest_wait_ms: Option<i64>,
    /// Failures one after the other after which a target rests; 3 if left out.
    pub rest_after: Option<i64>,
    /// How many seconds it rests; 30 if left out.
    pub rest_seconds: Option<i64>,
    /// `false` answers calls that ask for it with a "no" until it is taken back.
    pub enabled: Option<bool>,
}

/// The most tries of one call.
const MOST_TRIES: i64 = 20;
const MINUTE_MS: i64 = 60_000;
const DAY_SECONDS: i64 = 86_400;

impl RouteRule {
    /// Reads the body of a request.
    ///
    /// # Errors
    /// Says what cannot be read.
    pub fn read(body: &[u8]) -> Result<Self, Problem> {
        // An object: a list would be read as fields without names.
        let fields: Result<serde_json::Map<_, _>, _> = serde_json::from_slice(body);
        let rule = fields.and_then(|fields| serde_json::from_value(fields.into()));
        rule.map_err(|error| {
            Problem::new(Code::BadBody, format!("this is not a route: {error}")).hint(
                "Send such as {\"name\":\"fast\",\"targets\":[\"groq/llama-3.3-70b-versatile\",\"openai/gpt-4o\"]}.",
            )
        })
    }

    /// The checked route.
    ///
    /// # Errors
    /// Names the field that is wrong and says what may stand there.
    pub fn check(&self, providers: &Providers) -> Result<NamedRoute, Problem> {
        let name = self.name.trim();
        if !is_name(name) {
            let why = "cannot be what a model is called";
            let hint = format!(
                "Write up to {NAME_LIMIT} letters, digits, `-`, `_` and `.`, a letter or digit first."
            );
            return Err(wrong("name", why, &hint));
        }
        Ok(NamedRoute {
            name: name.into(),
            targets: self.targets(providers)?,
            profile: self.profile,
            failover: self.failover()?,
            is_enabled: self.enabled.unwrap_or(true),
        })
    }

    fn targets(&self, providers: &Providers) -> Result<Vec<Target>, Problem> {
        let refused = |why: &str, hint: &str| Err(wrong("targets", why, hint));
        if self.targets.is_empty() || self.targets.len() > MOST_TARGETS {
            let hint = format!("Give 1 to {MOST_TARGETS}, such as `openai/gpt-4o`.");
            return refused("is empty, or too long", &hint);
        }
        let mut targets: Vec<Target> = Vec::with_capacity(self.targets.len());
        let mut of = Vec::with_capacity(self.targets.len());
        for text in &self.targets {
            let shown: String = text.chars().take(100).collect();
            let Ok(target) = text.trim().parse::<Target>() else {
                let why = format!("has `{shown}`, which is no provider and model");
                return refused(&why, "Write `PROVIDER/MODEL`, such as `openai/gpt-4o`.");
            };
            if *target.provider == *"route" {
                let why = format!("has `{shown}`: a route cannot lead to a route");
                return refused(&why, "Name the targets of that route instead.");
            }
            let Some(provider) = providers.get(&target.provider) else {
                let why = format!("has `{shown}`, whose provider is not known here");
                return refused(&why, "`tollgate doctor` and config.toml name the providers.");
            };
            if provider.speaks.is_empty() {
                let why =
                    format!("has `{shown}`, and {} is called in ways of its own", provider.name);
                return refused(&why, "It cannot be in a route; call it directly.");
            }
            if targets.contains(&target) {
                let why = format!("has `{shown}` twice");
                return refused(
                    &why,
                    "Write it once; `attempts` says how often targets are tried.",
                );
            }
            targets.push(target);
            of.push(provider);
        }
        if Family::shared(of.iter().copied()).is_empty() {
            let speaks = of.iter().map(|provider| {
                let formats: Vec<&str> = provider.speaks.iter().map(|one| one.as_str()).collect();
                format!("{} speaks {}", provider.id, formats.join(" and "))
            });
            let mut speaks: Vec<String> = speaks.collect();
            speaks.dedup();
            let why = format!("speak no wire format in common: {}", speaks.join(", "));
            let hint = "Nothing is translated between formats; make a route for each of them.";
            return refused(&why, hint);
        }
        Ok(targets)
    }

    fn failover(&self) -> Result<Failover, Problem> {
        let usual = Failover::default();
        let number = |field: &str, value: Option<i64>, from: i64, to: i64| {
            value.map(|value| whole(field, value, from, to)).transpose()
        };
        let statuses = match &self.retry_on {
            None => usual.statuses,
            Some(given) => {
                let mut statuses = Vec::with_capacity(given.len().min(200));
                for status in given.iter().take(200) {
                    let status = whole("retry_on", *status, 400, 599)?;
                    statuses.push(u16::try_from(status).unwrap_or(u16::MAX));
                }
                statuses.sort_unstable();
                statuses.dedup();
                statuses
            }
        };
        let small = |number: Option<u64>| number.and_then(|number| u32::try_from(number).ok());
        let first_byte = number("first_byte_ms", self.first_byte_ms, 1, 60 * MINUTE_MS)?;
        let wait = number("longest_wait_ms", self.longest_wait_ms, 0, MINUTE_MS)?;
        let rest = number("rest_seconds", self.rest_seconds, 0, DAY_SECONDS)?;
        Ok(Failover {
            statuses,
            tries: small(number("attempts", self.attempts, 1, MOST_TRIES)?),
            first_byte: first_byte.map(Duration::from_millis),
            longest_wait: wait.map_or(usual.longest_wait, Duration::from_millis),
            rest_after: small(number("rest_after", self.rest_after, 1, 1000)?)
                .unwrap_or(usual.rest_after),
            rest: rest.map_or(usual.rest, Duration::from_secs),
        })
    }
}

/// A route written out, without what goes without saying.
impl From<&NamedRoute> for RouteRule {
    fn from(route: &NamedRoute) -> Self {
        let (failover, usual) = (&route.failover, Failover::default());
        let ms = |time: Duration| i64::try_from(time.as_millis()).ok();
        Self {
            name: route.name.to_string(),
            targets: route.targets.iter().map(ToString::to_string).collect(),
            profile: route.profile,
            retry_on: (failover.statuses != usual.statuses)
                .then(|| failover.statuses.iter().map(|status| i64::from(*status)).collect()),
            attempts: failover.tries.map(i64::from),
            first_byte_ms: failover.first_byte.and_then(ms),
            longest_wait_ms: Some(failover.longest_wait)
                .filter(|wait| *wait != usual.longest_wait)
                .and_then(ms),
            rest_after: Some(i64::from(failover.rest_after))
                .filter(|after| *after != i64::from(usual.rest_after)),
            rest_seconds: Some(failover.rest)
                .filter(|rest| *rest != usual.rest)
                .and_then(|rest| i64::try_from(rest.as_secs()).ok()),
            enabled: (!route.is_enabled).then_some(false),
        }
    }
}
