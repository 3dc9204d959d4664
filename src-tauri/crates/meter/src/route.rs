//! A named route: an ordered list of targets, what it prefers among them, and when the next one
//! is tried. Says what may be; who is called, and what became of it, is the gateway's.

mod family;
mod rank;
mod span;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

pub use crate::receipt::Profile;
pub use family::Family;
pub use rank::{Figures, KNOWN_AFTER, Ranked, rank};
pub use span::model_span;

/// How a model's name begins that is a route's.
pub const PREFIX: &str = "route/";

/// The longest name of a route, in bytes.
pub const NAME_LIMIT: usize = 64;

/// The most targets of a route.
pub const MOST_TARGETS: usize = 20;

/// A named route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedRoute {
    /// What clients ask for, behind `route/`.
    pub name: Box<str>,
    /// Whom to call, the user's order. Never empty.
    pub targets: Vec<Target>,
    /// What is preferred among them; absent: their order.
    pub profile: Option<Profile>,
    /// When the next one is tried.
    pub failover: Failover,
    /// Whether it may be asked for.
    pub is_enabled: bool,
}

/// A model of a provider, written `PROVIDER/MODEL`. The model may have slashes of its own.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Target {
    /// The provider's id.
    pub provider: Box<str>,
    /// The model's name as the provider knows it.
    pub model: Box<str>,
}

/// It is no target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a target is a provider and its model, such as `openai/gpt-4o`")]
pub struct NoTarget;

/// When a target counts as failed, and what happens then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failover {
    /// Statuses after which the next target is tried. Faults of connections always are.
    pub statuses: Vec<u16>,
    /// The most tries of one call; absent: one for each target.
    pub tries: Option<u32>,
    /// How long a target may take to its answer's first byte; absent: as long as any call.
    pub first_byte: Option<Duration>,
    /// The longest wait that a provider may ask for before the same target is tried again.
    pub longest_wait: Duration,
    /// Failures one after the other after which a target rests.
    pub rest_after: u32,
    /// How long it rests.
    pub rest: Duration,
}

impl Default for Failover {
    fn default() -> Self {
        Self {
            // Anthropic says 529 when it is overloaded.
            statuses: vec![408, 429, 500, 502, 503, 504, 529],
            tries: None,
            first_byte: None,
            longest_wait: Duration::from_secs(2),
            rest_after: 3,
            rest: Duration::from_secs(30),
        }
    }
}

impl NamedRoute {
    /// The most tries of one call.
    pub fn tries(&self) -> usize {
        self.failover.tries.map_or(self.targets.len(), |tries| tries as usize)
    }
}

/// The route that a model's name asks for.
pub fn asked_by(model: &str) -> Option<&str> {
    model.strip_prefix(PREFIX)
}

/// Whether a route may be called so: what can stand in a header, a path and a model's name.
pub fn is_name(name: &str) -> bool {
    let is_fine = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    (1..=NAME_LIMIT).contains(&name.len())
        && name.bytes().all(is_fine)
        && name.as_bytes()[0].is_ascii_alphanumeric()
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.provider, self.model)
    }
}

impl FromStr for Target {
    type Err = NoTarget;

    fn from_str(text: &str) -> Result<Self, NoTarget> {
        let (provider, model) = text.split_once('/').ok_or(NoTarget)?;
        let is_word = |word: &str| {
            (1..=200).contains(&word.len())
                && !word.contains(|c: char| c.is_control() || c.is_whitespace())
        };
        if !is_word(provider) || !is_word(model) {
            return Err(NoTarget);
        }
        Ok(Self { provider: provider.into(), model: model.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_a_provider_and_whatever_stands_behind_it() {
        let target: Target = "openrouter/anthropic/claude:free".parse().unwrap();
        assert_eq!((&*target.provider, &*target.model), ("openrouter", "anthropic/claude:free"));
        assert_eq!(target.to_string(), "openrouter/anthropic/claude:free");
        for wrong in ["openai", "/m", "openai/", "", "a/b c", "a/\u{7}", " a/b"] {
            assert_eq!(wrong.parse::<Target>(), Err(NoTarget), "{wrong:?}");
        }
    }

    #[test]
    fn a_name_can_stand_anywhere() {
        for fine in ["fast", "a", "v2.1_x-y", "9"] {
            assert!(is_name(fine), "{fine}");
        }
        for wrong in ["", "a/b", "ä", "a b", "-a", ".", &"x".repeat(65)] {
            assert!(!is_name(wrong), "{wrong}");
        }
        assert_eq!(asked_by("route/fast"), Some("fast"));
        assert_eq!(asked_by("fast"), None);
    }
}
