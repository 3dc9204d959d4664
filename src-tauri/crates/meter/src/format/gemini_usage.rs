//! Gemini's `usageMetadata`: a prompt that includes what was cached, split by modality, and
//! an answer that leaves the thoughts out, with exceptions.

use super::answer::{Answer, name};
use crate::leaves::Leaves;
use crate::receipt::Anomaly;
use crate::usage::{Count, Factor};

// The last of each is how interactions spell it.
const PROMPT: [&str; 3] = ["promptTokenCount", "prompt_token_count", "total_input_tokens"];
const CACHED: [&str; 3] =
    ["cachedContentTokenCount", "cached_content_token_count", "total_cached_tokens"];
const TOOL_USE: [&str; 3] =
    ["toolUsePromptTokenCount", "tool_use_prompt_token_count", "total_tool_use_tokens"];
const ANSWER: [&str; 4] =
    ["candidatesTokenCount", "candidates_token_count", "responseTokenCount", "total_output_tokens"];
const THOUGHTS: [&str; 3] = ["thoughtsTokenCount", "thoughts_token_count", "total_thought_tokens"];
const TOTAL: [&str; 3] = ["totalTokenCount", "total_token_count", "total_tokens"];

const PROMPT_PARTS: [&str; 4] = [
    "promptTokensDetails",
    "prompt_tokens_details",
    "promptTokenDetails",
    "input_tokens_by_modality",
];
const CACHED_PARTS: [&str; 3] =
    ["cacheTokensDetails", "cache_tokens_details", "cached_tokens_by_modality"];
const ANSWER_PARTS: [&str; 4] = [
    "candidatesTokensDetails",
    "candidates_tokens_details",
    "responseTokensDetails",
    "output_tokens_by_modality",
];

/// Tokens that are no text, by modality.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Media {
    audio: Count,
    image: Count,
    video: Count,
    document: Count,
}

impl Media {
    /// Of a list of `{modality, tokenCount}`; a modality may come twice.
    fn of(usage: &Leaves, places: &[&str]) -> Self {
        let mut media = Self::default();
        for item in places.iter().flat_map(|place| usage.items(place)) {
            let count = item.first_count(&["tokenCount", "token_count", "tokens"]);
            let Some(count) = count else { continue };
            // Words, or `Modality` by number.
            match item.text("modality") {
                Some("IMAGE" | "image" | "2") => media.image = media.image.plus(count),
                Some("VIDEO" | "video" | "3") => media.video = media.video.plus(count),
                Some("AUDIO" | "audio" | "4") => media.audio = media.audio.plus(count),
                Some("DOCUMENT" | "document" | "5") => media.document = media.document.plus(count),
                _ => {}
            }
        }
        media
    }

    fn sum(self) -> Count {
        [self.audio, self.image, self.video, self.document].into_iter().sum()
    }

    /// What is left without `other`, or nothing where that is more.
    fn less(self, other: Self) -> Option<Self> {
        Some(Self {
            audio: self.audio.less(other.audio)?,
            image: self.image.less(other.image)?,
            video: self.video.less(other.video)?,
            document: self.document.less(other.document)?,
        })
    }

    /// Cuts off what does not fit into `room`: of documents first, of sound last, because
    /// sound is what it costs most to be wrong about.
    fn fit(&mut self, room: Count) {
        let mut left = room;
        for part in [&mut self.audio, &mut self.image, &mut self.video, &mut self.document] {
            *part = (*part).min(left);
            left = left.less(*part).unwrap_or_default();
        }
    }
}

/// Makes disjoint lines of the usage.
pub(super) fn bill(answer: &mut Answer) {
    let usage = std::mem::take(&mut answer.usage);
    input(&usage, answer);
    output(&usage, answer);
    tier(&usage, answer);
    answer.usage = usage;
}

fn input(usage: &Leaves, answer: &mut Answer) {
    let Some(prompt) = usage.first_count(&PROMPT) else { return };
    let cached = usage.first_count(&CACHED);
    let rest = prompt.less(cached.unwrap_or_default()).unwrap_or_else(|| {
        answer.flag(Anomaly::DialectMismatch);
        prompt
    });
    let cached_media = Media::of(usage, &CACHED_PARTS);
    let mut media = Media::of(usage, &PROMPT_PARTS);
    media = media.less(cached_media).unwrap_or_else(|| {
        answer.flag(Anomaly::PartsExceedTotal);
        media
    });
    if media.sum() > rest {
        // What is cached is told without its modalities, so some of it was no text.
        if cached.is_none_or(Count::is_zero) {
            answer.flag(Anomaly::PartsExceedTotal);
        }
        media.fit(rest);
    }
    let some = |count: Count| Some(count).filter(|count| !count.is_zero());
    answer.reported(Factor::InputText, rest.less(media.sum()));
    answer.reported(Factor::InputAudio, some(media.audio));
    answer.reported(Factor::InputImage, some(media.image));
    answer.reported(Factor::InputVideo, some(media.video));
    answer.reported(Factor::InputDocument, some(media.document));
    // Cached documents have no line of their own: they cost what cached text costs.
    let apart = Media { document: Count::ZERO, ..cached_media };
    let plain = cached.map(|cached| cached.less(apart.sum()).unwrap_or_default());
    answer.reported(Factor::InputCacheRead, plain);
    answer.reported(Factor::InputCacheReadAudio, some(apart.audio));
    answer.reported(Factor::InputCacheReadImage, some(apart.image));
    answer.reported(Factor::InputCacheReadVideo, some(apart.video));
    let tool_use = usage.first_count(&TOOL_USE).filter(|count| !count.is_zero());
    answer.reported(Factor::InputToolUse, tool_use);
}

fn output(usage: &Leaves, answer: &mut Answer) {
    let thoughts = usage.first_count(&THOUGHTS).filter(|count| !count.is_zero());
    let candidates = match (usage.first_count(&ANSWER), thoughts) {
        (Some(count), _) => count,
        // All of it was thinking, or there was no answer at all.
        (None, _) if answer.seen.usage || thoughts.is_some() => Count::ZERO,
        (None, _) => return,
    };
    let reasoning = thoughts.unwrap_or_default();
    let beside = [usage.first_count(&PROMPT), usage.first_count(&TOOL_USE)];
    let without_thoughts = beside.into_iter().flatten().sum::<Count>().plus(candidates);
    let includes_thoughts = usage.first_count(&TOTAL) == Some(without_thoughts);
    let visible = match candidates.less(reasoning) {
        Some(rest) if includes_thoughts && thoughts.is_some() => rest,
        _ => candidates,
    };
    let media = Media::of(usage, &ANSWER_PARTS);
    let text = visible.less(media.sum()).unwrap_or_else(|| {
        answer.flag(Anomaly::PartsExceedTotal);
        Count::ZERO
    });
    let some = |count: Count| Some(count).filter(|count| !count.is_zero());
    answer.reported(Factor::OutputText, Some(text));
    answer.reported(Factor::OutputReasoning, thoughts);
    answer.reported(Factor::OutputAudio, some(media.audio));
    answer.reported(Factor::OutputImage, some(media.image));
    answer.reported(Factor::OutputVideo, some(media.video));
}

/// `trafficType` names the usual tier too, and says it with a word of its own.
fn tier(usage: &Leaves, answer: &mut Answer) {
    let told = usage.text("serviceTier").or_else(|| usage.text("service_tier"));
    let traffic = usage.text("trafficType").or_else(|| usage.text("traffic_type"));
    let tier = told.or(match traffic {
        None | Some("ON_DEMAND" | "1" | "TRAFFIC_TYPE_UNSPECIFIED" | "0") => None,
        Some("ON_DEMAND_PRIORITY") => Some("priority"),
        Some("ON_DEMAND_FLEX") => Some("flex"),
        Some(other) => Some(other),
    });
    if let Some(tier) = tier {
        name(&mut answer.service_tier, tier);
    }
}

/// The prompt of an embedding; media in it have prices of their own.
pub(super) fn bill_embedding(answer: &mut Answer) {
    let usage = std::mem::take(&mut answer.usage);
    if let Some(prompt) = usage.first_count(&PROMPT).or_else(|| usage.first_count(&TOTAL)) {
        let mut media = Media::of(&usage, &PROMPT_PARTS);
        media.fit(prompt);
        let some = |count: Count| Some(count).filter(|count| !count.is_zero());
        answer.reported(Factor::EmbeddingInput, prompt.less(media.sum()));
        answer.reported(Factor::InputAudio, some(media.audio));
        answer.reported(Factor::InputImage, some(media.image));
        answer.reported(Factor::InputVideo, some(media.video));
        answer.reported(Factor::InputDocument, some(media.document));
    }
    answer.usage = usage;
}
