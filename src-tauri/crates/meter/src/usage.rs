//! Usage lines: what was used, in disjoint pieces, before any money is put on it.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

macro_rules! factors {
    ($($(#[$doc:meta])* $name:ident $text:literal $unit:ident,)*) => {
        /// One kind of billable thing. Every unit of a call is in exactly one factor, so the
        /// sum of all `input.*` is the whole prompt and of all `output.*` the whole answer.
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Factor {
            $($(#[$doc])* $name,)*
            /// Cache writes with a lifetime that has no variant of its own, such as `2h`.
            InputCacheWriteFor(Box<str>),
            /// Calls of a provider-side tool that has no variant of its own.
            ToolOther(Box<str>),
        }

        impl Factor {
            /// Every factor with a fixed name.
            pub const NAMED: &'static [Self] = &[$(Self::$name,)*];

            /// The dotted name used in JSON, SQL, CLI and UI.
            pub fn name(&self) -> Cow<'static, str> {
                match self {
                    $(Self::$name => Cow::Borrowed($text),)*
                    Self::InputCacheWriteFor(ttl) => Cow::Owned(format!("input.cache_write_{ttl}")),
                    Self::ToolOther(tool) => Cow::Owned(format!("tool.other:{tool}")),
                }
            }

            /// What one of it is.
            pub const fn unit(&self) -> Unit {
                match self {
                    $(Self::$name => Unit::$unit,)*
                    Self::InputCacheWriteFor(_) => Unit::Token,
                    Self::ToolOther(_) => Unit::Call,
                }
            }
        }

        impl FromStr for Factor {
            type Err = UnknownFactor;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $($text => return Ok(Self::$name),)*
                    _ => {}
                }
                if let Some(tool) = text.strip_prefix("tool.other:").filter(|t| !t.is_empty()) {
                    return Ok(Self::ToolOther(tool.into()));
                }
                match text.strip_prefix("input.cache_write_").filter(|t| !t.is_empty()) {
                    Some(ttl) => Ok(Self::InputCacheWriteFor(ttl.into())),
                    None => Err(UnknownFactor),
                }
            }
        }
    };
}

factors! {
    /// Uncached, unwritten text of the prompt.
    InputText "input.text" Token,
    /// Prompt tokens served from the provider's cache.
    InputCacheRead "input.cache_read" Token,
    /// The audio part of the cache read, where the split is reported.
    InputCacheReadAudio "input.cache_read.audio" Token,
    /// The image part of the cache read, where the split is reported.
    InputCacheReadImage "input.cache_read.image" Token,
    /// The video part of the cache read, where the split is reported.
    InputCacheReadVideo "input.cache_read.video" Token,
    /// Written to the cache, lifetime not reported.
    InputCacheWrite "input.cache_write" Token,
    /// Written to the cache for five minutes.
    InputCacheWrite5m "input.cache_write_5m" Token,
    /// Written to the cache for thirty minutes.
    InputCacheWrite30m "input.cache_write_30m" Token,
    /// Written to the cache for an hour.
    InputCacheWrite1h "input.cache_write_1h" Token,
    /// Written to the cache for twelve hours.
    InputCacheWrite12h "input.cache_write_12h" Token,
    /// Uncached audio of the prompt.
    InputAudio "input.audio" Token,
    /// Uncached images of the prompt.
    InputImage "input.image" Token,
    /// Uncached video of the prompt.
    InputVideo "input.video" Token,
    /// Uncached documents of the prompt.
    InputDocument "input.document" Token,
    /// Results of provider-side tools fed back as prompt.
    InputToolUse "input.tool_use" Token,
    /// The visible answer and tool-call arguments.
    OutputText "output.text" Token,
    /// Thinking, hidden or visible.
    OutputReasoning "output.reasoning" Token,
    /// Generated audio, in tokens.
    OutputAudio "output.audio" Token,
    /// Generated images, in tokens.
    OutputImage "output.image" Token,
    /// Generated video, in tokens.
    OutputVideo "output.video" Token,
    /// Citations billed apart.
    OutputCitation "output.citation" Token,
    /// Embedded text.
    EmbeddingInput "embedding.input" Token,
    /// Finished images.
    ImagesGenerated "images.generated" Image,
    /// Images sent in, where they are billed apiece.
    ImagesInput "images.input" Image,
    /// Audio heard.
    AudioInputSeconds "audio.input_seconds" Second,
    /// Audio spoken.
    AudioOutputSeconds "audio.output_seconds" Second,
    /// A live session's length.
    AudioSessionSeconds "audio.session_seconds" Second,
    /// Characters turned into speech (Unicode scalar values).
    TtsCharacters "tts.characters" Character,
    /// Finished video.
    VideoSeconds "video.seconds" Second,
    /// How long the user's own server worked on it, where that is what it is charged by.
    ServerSeconds "server.seconds" Second,
    /// Searches of the web made by the provider.
    ToolWebSearch "tool.web_search" Call,
    /// Pages fetched by the provider.
    ToolWebFetch "tool.web_fetch" Call,
    /// Searches of stored files.
    ToolFileSearch "tool.file_search" Call,
    /// Code-execution containers.
    ToolCodeSession "tool.code_session" Call,
    /// Reranking, in the provider's search units.
    RerankSearchUnits "rerank.search_units" SearchUnit,
    /// Pages read by OCR.
    OcrPages "ocr.pages" Page,
    /// Classified inputs.
    ClassifyUnits "classify.units" ClassifyUnit,
    /// Guardrail checks, in the provider's text units.
    GuardrailUnits "guardrail.units" GuardrailUnit,
    /// Tokens a fine-tuning trained on.
    TrainTokens "train.tokens" Token,
    /// A flat fee of the request itself.
    RequestFee "request.fee" Request,
}

impl fmt::Display for Factor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

impl Serialize for Factor {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(&self.name())
    }
}

impl<'de> Deserialize<'de> for Factor {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        <Cow<'de, str>>::deserialize(input)?.parse().map_err(serde::de::Error::custom)
    }
}

/// The text names no factor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a usage factor")]
pub struct UnknownFactor;

/// What a [`Count`] counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, specta::Type)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Unit {
    Token,
    Image,
    Second,
    Character,
    Call,
    SearchUnit,
    Page,
    ClassifyUnit,
    GuardrailUnit,
    Request,
}

/// How many, in millionths, because seconds and some providers' token counts are fractional.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Count(u64);

impl Count {
    /// None at all: measured zero, not unknown.
    pub const ZERO: Self = Self(0);
    /// Millionths in one.
    pub const ONE: u64 = 1_000_000;

    /// A whole number; saturates above 18 trillion.
    pub const fn whole(count: u64) -> Self {
        Self(count.saturating_mul(Self::ONE))
    }

    /// From millionths.
    pub const fn from_millionths(millionths: u64) -> Self {
        Self(millionths)
    }

    /// In millionths.
    pub const fn millionths(self) -> u64 {
        self.0
    }

    /// The whole number, if it is one.
    pub const fn as_whole(self) -> Option<u64> {
        if self.0.is_multiple_of(Self::ONE) { Some(self.0 / Self::ONE) } else { None }
    }

    /// Zero or not.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// The sum, held at the largest count.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// What is left, or nothing when `other` is the larger one.
    pub const fn less(self, other: Self) -> Option<Self> {
        match self.0.checked_sub(other.0) {
            Some(rest) => Some(Self(rest)),
            None => None,
        }
    }

    /// Reads a JSON number or decimal text; more than six decimals are rounded half up.
    /// Negative, non-finite and non-numeric text is refused.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix('+').unwrap_or(text);
        let (mantissa, exponent) = match text.find(['e', 'E']) {
            Some(at) => (&text[..at], text[at + 1..].parse::<i32>().ok()?),
            None => (text, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        if whole.is_empty() && fraction.is_empty() || mantissa.len() > 60 {
            return None;
        }
        let digits = || whole.bytes().chain(fraction.bytes());
        if !digits().all(|d| d.is_ascii_digit()) {
            return None;
        }
        // How many of the digits stand before the millionths' own point.
        let keep = i64::try_from(whole.len()).ok()? + i64::from(exponent) + 6;
        let mut value: u64 = 0;
        let mut seen: i64 = 0;
        let mut round = false;
        for digit in digits() {
            if seen < keep {
                value = value.checked_mul(10)?.checked_add(u64::from(digit - b'0'))?;
            } else if seen == keep {
                round = digit >= b'5';
            }
            seen += 1;
        }
        if value != 0 {
            for _ in seen..keep {
                value = value.checked_mul(10)?;
            }
        }
        value.checked_add(u64::from(round)).map(Self)
    }
}

impl From<u64> for Count {
    fn from(count: u64) -> Self {
        Self::whole(count)
    }
}

impl std::iter::Sum for Count {
    fn sum<I: Iterator<Item = Self>>(counts: I) -> Self {
        counts.fold(Self::ZERO, Self::plus)
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / Self::ONE, self.0 % Self::ONE);
        if rest == 0 {
            return write!(f, "{whole}");
        }
        write!(f, "{whole}.{}", format!("{rest:06}").trim_end_matches('0'))
    }
}

impl Serialize for Count {
    /// A JSON number: whole where it is whole. Six decimals survive a double up to 9e9.
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        if !out.is_human_readable() {
            return out.serialize_u64(self.0);
        }
        match self.as_whole() {
            Some(whole) => out.serialize_u64(whole),
            None => {
                #[expect(clippy::cast_precision_loss, reason = "display only, see above")]
                let value = self.0 as f64 / Self::ONE as f64;
                out.serialize_f64(value)
            }
        }
    }
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        if !input.is_human_readable() {
            return u64::deserialize(input).map(Self);
        }
        let value = serde_json::Value::deserialize(input)?;
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not a count"))
    }
}

/// Where a count comes from.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, specta::Type,
)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// The provider said so.
    #[default]
    Reported,
    /// Worked out from what the provider said or did, exactly by its own rules.
    Derived,
    /// Counted or guessed by Tollgate.
    Estimated,
}

/// Whether a count can be off, and to which side.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, specta::Type,
)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// It is this many.
    #[default]
    Exact,
    /// At least this many.
    Lower,
    /// At most this many.
    Upper,
}

/// One disjoint piece of usage, as read from the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageLine {
    /// What was used.
    pub factor: Factor,
    /// How many of the factor's unit.
    pub count: Count,
    /// The model it ran on, only where that is not the receipt's own.
    pub model: Option<Box<str>>,
    /// Where the count comes from.
    pub basis: Basis,
    /// Whether it can be off.
    pub bound: Bound,
    /// What the price may depend on besides the model, such as an image's `size` and `quality`.
    pub attributes: Vec<(Box<str>, Box<str>)>,
}

impl UsageLine {
    /// A count the provider reported.
    pub fn reported(factor: Factor, count: impl Into<Count>) -> Self {
        Self {
            factor,
            count: count.into(),
            model: None,
            basis: Basis::Reported,
            bound: Bound::Exact,
            attributes: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_factor_and_its_name_are_the_same_thing() {
        let mut all = Factor::NAMED.to_vec();
        all.push(Factor::InputCacheWriteFor("2h".into()));
        all.push(Factor::ToolOther("x_search".into()));
        for factor in all {
            assert_eq!(factor.name().parse::<Factor>(), Ok(factor));
        }
        assert!("output.smell".parse::<Factor>().is_err());
    }

    #[test]
    fn counts_are_read_as_providers_spell_them() {
        for (text, want) in [
            ("0", "0"),
            ("17", "17"),
            ("17.0", "17"),
            ("12.4", "12.4"),
            ("1e3", "1000"),
            ("1.5E-3", "0.0015"),
            ("0.00000049", "0"),
            ("12.3999996185", "12.4"),
        ] {
            assert_eq!(Count::parse(text).map(|c| c.to_string()).as_deref(), Some(want), "{text}");
        }
        for wrong in ["-1", "", "NaN", "true", "1.2.3", "99999999999999999999"] {
            assert_eq!(Count::parse(wrong), None, "{wrong}");
        }
    }
}
