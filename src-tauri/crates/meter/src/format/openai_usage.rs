//! The usage object of the OpenAI family: chat, completions, embeddings, responses, and
//! everyone who copies them with spellings of their own. Knows fields, not providers.

use super::answer::{Answer, Call};
use crate::leaves::Leaves;
use crate::money::{Currency, Money};
use crate::provider::Reasoning;
use crate::receipt::{Anomaly, ReportedCost};
use crate::usage::{Count, Factor, Unit, UsageLine};

const INPUT: [&str; 2] = ["prompt_tokens", "input_tokens"];
const OUTPUT: [&str; 2] = ["completion_tokens", "output_tokens"];
const TOTAL: &str = "total_tokens";
/// The first that is there counts; they are copies of each other. (`num_cached_tokens`, which
/// stands beside them at times, is a server's own prefix cache: it changes no bill.)
const CACHED: [&str; 6] = [
    "prompt_tokens_details.cached_tokens",
    "input_tokens_details.cached_tokens",
    "input_tokens_details.cache_read_input_tokens",
    "prompt_token_details.cached_tokens",
    "cached_tokens",
    "prompt_cache_hit_tokens",
];
const WRITTEN: [&str; 3] = [
    "prompt_tokens_details.cache_write_tokens",
    "input_tokens_details.cache_write_tokens",
    "input_tokens_details.cache_creation_input_tokens",
];
const REASONING: [&str; 4] = [
    "completion_tokens_details.reasoning_tokens",
    "output_tokens_details.reasoning_tokens",
    "completion_token_details.reasoning_tokens",
    "reasoning_tokens",
];
/// Where the parts of the input stand.
const INPUT_PARTS: [&str; 3] =
    ["prompt_tokens_details", "input_tokens_details", "input_token_details"];
/// Where the parts of the output stand.
const OUTPUT_PARTS: [&str; 3] =
    ["completion_tokens_details", "output_tokens_details", "output_token_details"];

/// Makes disjoint lines of the usage object and reads a cost that it states.
pub(super) fn bill(answer: &mut Answer, call: Call<'_>) {
    let usage = std::mem::take(&mut answer.usage);
    if usage.first_count(&INPUT).is_none() {
        timings(&usage, answer);
    }
    input(&usage, answer);
    output(&usage, call.reasoning, answer);
    tools(&usage, answer);
    answer.reported_cost = cost(&usage);
    if answer.service_tier.is_none() {
        answer.service_tier = usage.text("service_tier").map(Into::into);
    }
    answer.usage = usage;
}

/// Takes the cached part of the prompt from elsewhere, if the usage does not tell it.
pub(super) fn note_cached(answer: &mut Answer, cached: Count) {
    let is_known = answer.usage.first_count(&CACHED).is_some();
    if !is_known && answer.usage.first_count(&INPUT).is_some() {
        answer.usage.set("cached_tokens", &cached.to_string());
        answer.keep_beside("cached_tokens", &cached.to_string());
    }
}

/// A server's own measurements: what it computed anew, what it had in its cache, what it wrote.
fn timings(usage: &Leaves, answer: &mut Answer) {
    answer.reported(Factor::InputText, usage.count("prompt_n"));
    answer.reported(Factor::InputCacheRead, usage.count("cache_n"));
    answer.reported(Factor::OutputText, usage.count("predicted_n"));
}

/// Puts the lines of each model that had a part in the answer in the place of their sum, unless
/// the parts leave something out.
pub(super) fn split(answer: &mut Answer, by_model: &Leaves, call: Call<'_>) {
    let models = by_model.items("models");
    if models.is_empty() {
        return;
    }
    let (usage, cost) = (std::mem::take(&mut answer.usage), answer.reported_cost.take());
    let whole = std::mem::take(&mut answer.lines);
    for part in models {
        let from = answer.lines.len();
        answer.usage = part.under("usage");
        bill(answer, call);
        let model = part.text("model");
        answer.lines[from..].iter_mut().for_each(|line| line.model = model.map(Into::into));
    }
    (answer.usage, answer.reported_cost) = (usage, cost);
    let is_token = |line: &&UsageLine| line.factor.unit() == Unit::Token;
    let tokens =
        |lines: &[UsageLine]| lines.iter().filter(is_token).map(|line| line.count).sum::<Count>();
    if tokens(&answer.lines) < tokens(&whole) {
        answer.lines = whole;
    } else {
        answer.lines.extend(whole.into_iter().filter(|line| !is_token(&line)));
    }
}

/// A part of the input or output, wherever it stands.
fn part(usage: &Leaves, places: [&str; 3], name: &str) -> Option<Count> {
    places.iter().find_map(|place| usage.count_in(place, name))
}

fn input(usage: &Leaves, answer: &mut Answer) {
    let Some(total) = usage.first_count(&INPUT) else { return };
    let cached = usage.first_count(&CACHED);
    let written = usage.first_count(&WRITTEN);
    let media = Media::of(usage);
    let total = if media.is_outside(total, usage) { total.plus(media.sum()) } else { total };
    let (read, wrote) = (cached.unwrap_or_default(), written.unwrap_or_default());
    let (fresh, written) = if read > total || wrote > total {
        // The sender counts like those who leave cached tokens out of the input.
        answer.flag(Anomaly::DialectMismatch);
        (total, written)
    } else if let Some(fresh) = total.less(read.plus(wrote)) {
        (fresh, written)
    } else {
        // The same tokens were called read and written.
        answer.flag(Anomaly::PartsExceedTotal);
        (Count::ZERO, total.less(read))
    };
    let (media, text) = media.within(fresh, read).unwrap_or_else(|| {
        answer.flag(Anomaly::PartsExceedTotal);
        (media.cut_to(fresh), Count::ZERO)
    });
    answer.reported(Factor::InputText, Some(text));
    let lines =
        media.fresh.into_iter().zip(FRESH).chain(media.cached.into_iter().zip(CACHED_MEDIA));
    for (count, factor) in lines.filter(|(count, _)| !count.is_zero()) {
        answer.reported(factor, Some(count));
    }
    let cached_text = read.less(media.cached.into_iter().sum()).unwrap_or_default();
    answer.reported(Factor::InputCacheRead, cached.map(|_| cached_text));
    writes(usage, written, answer);
}

const MEDIA: [&str; 3] = ["image_tokens", "audio_tokens", "video_tokens"];
const MEDIA_FROM_CACHE: [&str; 3] = [
    "cached_tokens_details.image_tokens",
    "cached_tokens_details.audio_tokens",
    "cached_tokens_details.video_tokens",
];
const FRESH: [Factor; 3] = [Factor::InputImage, Factor::InputAudio, Factor::InputVideo];
const CACHED_MEDIA: [Factor; 3] =
    [Factor::InputCacheReadImage, Factor::InputCacheReadAudio, Factor::InputCacheReadVideo];

/// Tokens of the input that are no text, fresh and cached.
#[derive(Clone, Copy)]
struct Media {
    fresh: [Count; 3],
    cached: [Count; 3],
}

impl Media {
    /// As reported: each kind with its cached part, which is told apart only at times.
    fn of(usage: &Leaves) -> Self {
        let all_of =
            |names: [&str; 3]| names.map(|name| part(usage, INPUT_PARTS, name).unwrap_or_default());
        let (all, cached) = (all_of(MEDIA), all_of(MEDIA_FROM_CACHE));
        let mut fresh = all;
        for (fresh, cached) in fresh.iter_mut().zip(cached) {
            *fresh = fresh.less(cached).unwrap_or_default();
        }
        Self { fresh, cached }
    }

    fn sum(&self) -> Count {
        self.fresh.into_iter().chain(self.cached).sum()
    }

    /// Some servers count media beside the input; then only the total has both.
    fn is_outside(&self, input: Count, usage: &Leaves) -> bool {
        let output = usage.first_count(&OUTPUT).unwrap_or_default();
        let text = input.plus(output);
        !self.sum().is_zero() && usage.count(TOTAL) == Some(text.plus(self.sum()))
    }

    /// The media and the text that make up `fresh` tokens. What is too much is media that was
    /// cached, if as many were.
    fn within(mut self, fresh: Count, read: Count) -> Option<(Self, Count)> {
        let sum = self.fresh.into_iter().sum::<Count>();
        let mut excess = sum.less(fresh).unwrap_or_default();
        read.less(self.cached.into_iter().sum())?.less(excess)?;
        for (mine, cached) in self.fresh.iter_mut().zip(&mut self.cached) {
            let moved = (*mine).min(excess);
            excess = excess.less(moved)?;
            *mine = mine.less(moved)?;
            *cached = cached.plus(moved);
        }
        let text = fresh.less(self.fresh.into_iter().sum())?;
        Some((self, text))
    }

    /// No more than `fresh` in all.
    fn cut_to(mut self, fresh: Count) -> Self {
        let mut room = fresh;
        for mine in &mut self.fresh {
            *mine = (*mine).min(room);
            room = room.less(*mine).unwrap_or_default();
        }
        self
    }
}

/// Cache writes, by lifetime where that is told.
fn writes(usage: &Leaves, written: Option<Count>, answer: &mut Answer) {
    let Some(total) = written else { return };
    let short = part(usage, INPUT_PARTS, "cache_write_tokens_details.ttl_30m_tokens");
    let long = part(usage, INPUT_PARTS, "cache_write_tokens_details.ttl_12h_tokens");
    let split = [short, long].into_iter().flatten().sum::<Count>();
    match total.less(split) {
        Some(rest) if !split.is_zero() => {
            answer.reported(Factor::InputCacheWrite30m, short);
            answer.reported(Factor::InputCacheWrite12h, long);
            answer.reported(Factor::InputCacheWrite, Some(rest).filter(|rest| !rest.is_zero()));
        }
        Some(_) => answer.reported(Factor::InputCacheWrite, Some(total)),
        None => {
            answer.flag(Anomaly::PartsExceedTotal);
            answer.reported(Factor::InputCacheWrite, Some(total));
        }
    }
}

fn output(usage: &Leaves, default: Reasoning, answer: &mut Answer) {
    let Some(total) = usage.first_count(&OUTPUT) else { return };
    let reasoning = usage.first_count(&REASONING).filter(|count| !count.is_zero());
    let [audio, image] = ["audio_tokens", "image_tokens"]
        .map(|name| part(usage, OUTPUT_PARTS, name).filter(|count| !count.is_zero()));
    let inside = match reasoning.map(|r| place_of(r, total, usage, default)) {
        Some((Reasoning::Inside, is_clear)) => {
            if !is_clear {
                answer.flag(Anomaly::ReasoningAmbiguous);
            }
            reasoning.unwrap_or_default()
        }
        Some((Reasoning::Outside, is_clear)) => {
            if !is_clear {
                answer.flag(Anomaly::ReasoningAmbiguous);
            }
            Count::ZERO
        }
        None => Count::ZERO,
    };
    let parts = [Some(inside), audio, image].into_iter().flatten().sum();
    let text = total.less(parts).unwrap_or_else(|| {
        answer.flag(Anomaly::PartsExceedTotal);
        Count::ZERO
    });
    answer.reported(Factor::OutputText, Some(text));
    answer.reported(Factor::OutputReasoning, reasoning);
    answer.reported(Factor::OutputAudio, audio);
    answer.reported(Factor::OutputImage, image);
    answer
        .reported(Factor::OutputCitation, usage.count("citation_tokens").filter(|c| !c.is_zero()));
    if reasoning.is_none() && default == Reasoning::Outside {
        hidden(usage, total, answer);
    }
}

/// Where the reasoning is counted, and whether the numbers leave no doubt.
fn place_of(r: Count, output: Count, usage: &Leaves, default: Reasoning) -> (Reasoning, bool) {
    let input = usage.first_count(&INPUT).unwrap_or_default();
    let total = usage.count(TOTAL);
    // Whoever bills citations leaves them and the reasoning out of the total as well.
    let total_is_partial = usage.text("citation_tokens").is_some();
    if r > output || total == Some(input.plus(output).plus(r)) || total_is_partial {
        return (Reasoning::Outside, true);
    }
    if total == Some(input.plus(output)) {
        return (Reasoning::Inside, true);
    }
    (default, false)
}

/// Reasoning that shows only in the total.
fn hidden(usage: &Leaves, output: Count, answer: &mut Answer) {
    let (Some(total), Some(input)) = (usage.count(TOTAL), usage.first_count(&INPUT)) else {
        return;
    };
    let Some(rest) = total.less(input.plus(output)).filter(|rest| !rest.is_zero()) else { return };
    answer.derived(Factor::OutputReasoning, rest);
}

fn tools(usage: &Leaves, answer: &mut Answer) {
    let searches = usage.first_count(&[
        "server_tool_use_details.web_search_requests",
        "server_side_tool_usage_details.web_search_calls",
        "num_search_queries",
    ]);
    answer.reported(Factor::ToolWebSearch, searches.filter(|count| !count.is_zero()));
    answer.reported(Factor::AudioInputSeconds, usage.count("prompt_audio_seconds"));
    for (tool, calls) in usage.under("server_side_tool_usage_details").all() {
        let factor = match tool.strip_suffix("_calls") {
            // Read above, in all its spellings.
            None | Some("web_search") => continue,
            Some("code_interpreter") => Factor::ToolCodeSession,
            Some("file_search") => Factor::ToolFileSearch,
            Some(other) => Factor::ToolOther(other.into()),
        };
        answer.reported(factor, Count::parse(calls).filter(|count| !count.is_zero()));
    }
}

/// A cost stated in one of the known spellings, all in US dollars.
pub(super) fn cost(usage: &Leaves) -> Option<ReportedCost> {
    let stated = |amount: Money, source: &str| ReportedCost {
        amount,
        currency: Currency::USD,
        source: source.into(),
    };
    if let Some(ticks) = usage.text("cost_in_usd_ticks") {
        // One tick is 1e-10 dollars.
        let attos = ticks.parse::<i128>().ok().filter(|t| *t >= 0)?.checked_mul(100_000_000)?;
        return Some(stated(Money::from_attos(attos), "usage.cost_in_usd_ticks"));
    }
    if let Some(total) = usage.money("cost.total_cost") {
        return Some(stated(total, "usage.cost.total_cost"));
    }
    let cost = usage.money("cost")?;
    let upstream = usage.money("cost_details.upstream_inference_cost");
    match upstream.filter(|_| usage.text("is_byok") == Some("true")) {
        // With the user's own key upstream, `cost` is only the fee for passing it on.
        Some(upstream) => {
            Some(stated(cost.checked_add(upstream)?, "usage.cost + upstream_inference_cost"))
        }
        None => Some(stated(cost, "usage.cost")),
    }
}

/// Input without any cache or parts, as embeddings report it.
pub(super) fn embedded(usage: &Leaves) -> Option<UsageLine> {
    let count = usage.first_count(&INPUT).or_else(|| usage.count(TOTAL))?;
    Some(UsageLine::reported(Factor::EmbeddingInput, count))
}
