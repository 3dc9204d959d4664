//! Units of use: tokens, images, seconds, characters and requests, each with a sum of its own.
//! They are never added together, and neither are seconds of sound and of film.

use std::collections::BTreeMap;
use std::fmt;

use meter::usage::{Count, Factor, Unit};
use serde::{Deserialize, Serialize};

/// What models of one sort are used by.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, specta::Type,
)]
#[serde(rename_all = "snake_case")]
pub enum UnitOfUse {
    /// Tokens, in and out, embedded and trained on.
    Tokens,
    /// Images that were made.
    Images,
    /// Images that were sent in, where they are billed apiece.
    ImagesRead,
    /// Seconds of film that were made.
    VideoSeconds,
    /// Seconds of sound, heard and spoken.
    AudioSeconds,
    /// Characters turned into speech.
    Characters,
    /// Seconds that the user's own server worked, where it is charged by them.
    ServerSeconds,
    /// Calls of tools that the provider runs.
    ToolCalls,
    /// What reranking is counted in.
    SearchUnits,
    /// Pages that were read.
    Pages,
    /// Inputs that were classified.
    Classified,
    /// What guardrails are counted in.
    GuardrailUnits,
    /// Requests with a fee of their own.
    Requests,
}

impl UnitOfUse {
    /// What a factor is summed up as.
    pub const fn of(factor: &Factor) -> Self {
        match (factor, factor.unit()) {
            (_, Unit::Token) => Self::Tokens,
            (Factor::ImagesInput, _) => Self::ImagesRead,
            (_, Unit::Image) => Self::Images,
            (Factor::VideoSeconds, _) => Self::VideoSeconds,
            (Factor::ServerSeconds, _) => Self::ServerSeconds,
            (_, Unit::Second) => Self::AudioSeconds,
            (_, Unit::Character) => Self::Characters,
            (_, Unit::Call) => Self::ToolCalls,
            (_, Unit::SearchUnit) => Self::SearchUnits,
            (_, Unit::Page) => Self::Pages,
            (_, Unit::ClassifyUnit) => Self::Classified,
            (_, Unit::GuardrailUnit) => Self::GuardrailUnits,
            (_, Unit::Request) => Self::Requests,
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Tokens => "tokens",
            Self::Images => "images",
            Self::ImagesRead => "images read",
            Self::VideoSeconds => "s of video",
            Self::AudioSeconds => "s of audio",
            Self::Characters => "characters",
            Self::ServerSeconds => "s of server",
            Self::ToolCalls => "tool calls",
            Self::SearchUnits => "search units",
            Self::Pages => "pages",
            Self::Classified => "inputs classified",
            Self::GuardrailUnits => "guardrail units",
            Self::Requests => "requests with a fee",
        }
    }
}

/// As it stands after a number: `12 s of audio`.
impl fmt::Display for UnitOfUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Each unit's own sum.
pub(crate) fn units(factors: &BTreeMap<Factor, Count>) -> BTreeMap<UnitOfUse, Count> {
    let mut units: BTreeMap<UnitOfUse, Count> = BTreeMap::new();
    for (factor, count) in factors.iter().filter(|(_, count)| **count != Count::ZERO) {
        let sum = units.entry(UnitOfUse::of(factor)).or_default();
        *sum = sum.plus(*count);
    }
    units
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_has_its_own_sum_and_none_is_added_to_another() {
        let used = [
            (Factor::InputText, 100),
            (Factor::OutputReasoning, 20),
            (Factor::EmbeddingInput, 3),
            (Factor::ImagesGenerated, 4),
            (Factor::ImagesInput, 2),
            (Factor::AudioInputSeconds, 30),
            (Factor::AudioOutputSeconds, 5),
            (Factor::VideoSeconds, 8),
            (Factor::TtsCharacters, 1830),
            (Factor::ToolWebSearch, 1),
            (Factor::OutputText, 0),
        ];
        let used = used.map(|(factor, count)| (factor, Count::whole(count))).into();
        let want = [
            (UnitOfUse::Tokens, 123),
            (UnitOfUse::Images, 4),
            (UnitOfUse::ImagesRead, 2),
            (UnitOfUse::AudioSeconds, 35),
            (UnitOfUse::VideoSeconds, 8),
            (UnitOfUse::Characters, 1830),
            (UnitOfUse::ToolCalls, 1),
        ];
        assert_eq!(units(&used), want.map(|(unit, count)| (unit, Count::whole(count))).into());
        assert_eq!(units(&BTreeMap::new()), BTreeMap::new());
    }
}
