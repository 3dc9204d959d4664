//! What a call may come to, said before it is made: what a budget sets aside for it until its
//! receipt tells. Looks at what the request bounds, and leans to the dear side.
//!
//! Not foreseen are fees of tools that the provider calls, a conversation that the provider
//! keeps, and what one media file counts beyond its bytes.

use super::{Book, Query, rate};
use crate::money::{Currency, Money};
use crate::provider::Provider;
use crate::receipt::{Capability, CostState, Kind};
use crate::request::Asked;
use crate::time::Timestamp;
use crate::usage::{Factor, UsageLine};

/// Bytes of a request in one token, where its text has not been read.
const BYTES_PER_TOKEN: u64 = 4;
/// Bytes of an image, sound or document in one token. A photograph of 1 MB in base64 is some
/// 1,600 tokens where it is counted by its size in pixels.
const MEDIA_BYTES_PER_TOKEN: u64 = 500;
/// The same of documents, which may be nothing but text.
const DOCUMENT_BYTES_PER_TOKEN: u64 = 50;

/// A call that is to be made.
#[derive(Clone, Copy, Debug)]
pub struct Prospect<'a> {
    /// Who is called.
    pub provider: &'a Provider,
    /// The host that is called, for regional rates.
    pub host: &'a str,
    /// What sort of call.
    pub kind: Kind,
    /// When it begins.
    pub at: Timestamp,
    /// Whether it only looks at something that is there, which nobody charges for.
    pub only_looks: bool,
    /// Whether the user's own machine serves it, which is free unless he says what it costs.
    pub is_local: bool,
    /// The model that served when this one was asked for before, if that is known.
    pub served: Option<&'a str>,
    /// Whether all of its request has been read.
    pub is_whole: bool,
    /// What has been read of its request.
    pub asked: &'a Asked,
    /// Bytes of the request's body, as far as that is known.
    pub bytes: u64,
    /// Tokens that an answer is taken to have which nothing bounds.
    pub assumed_output: u64,
}

/// What can be said beforehand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outlook {
    /// Tokens, in and out.
    pub tokens: u64,
    /// Money.
    pub cost: Foreseen,
}

/// What can be said of a cost beforehand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Foreseen {
    /// Nothing is charged.
    Nothing,
    /// Hardly more than this.
    About(Money, Currency),
    /// There is a price, but what it is multiplied by only the answer tells; so many of them.
    Open(u64),
    /// What is asked for stands further behind than anybody read.
    Unseen,
    /// There is no price.
    Unpriced,
}

impl Prospect<'_> {
    /// What the call may come to.
    pub fn outlook(&self, book: &Book) -> Outlook {
        let (input, output) = (self.input_tokens(), self.output_tokens());
        let tokens = input.saturating_add(output);
        let is_free = self.only_looks || self.kind.is_never_billed();
        let cost = match (is_free, self.kind) {
            (true, _) => Foreseen::Nothing,
            _ if self.asked.model.is_some() => self.cost(book, input, output),
            // Uploads and the like.
            (false, Kind::Other | Kind::Moderation) => Foreseen::Nothing,
            // A batch names its models in a file, a thread's run nowhere.
            (false, _) if self.is_whole => Foreseen::Open(self.answers()),
            (false, _) => Foreseen::Unseen,
        };
        Outlook { tokens, cost }
    }

    fn input_tokens(&self) -> u64 {
        let asked = self.asked;
        if !asked.is_complete_object {
            return self.bytes.div_ceil(BYTES_PER_TOKEN);
        }
        let per_token = match asked.capabilities.contains(&Capability::Documents) {
            true => DOCUMENT_BYTES_PER_TOKEN,
            false => MEDIA_BYTES_PER_TOKEN,
        };
        let media = if asked.has_media { self.bytes / per_token } else { 0 };
        // The rule of thumb is low by up to a third on code.
        let text = asked.text.tokens().millionths() / crate::usage::Count::ONE;
        (text.saturating_mul(4) / 3).saturating_add(media)
    }

    fn answers(&self) -> u64 {
        self.asked.answers.unwrap_or(1).max(1)
    }

    fn output_tokens(&self) -> u64 {
        match self.kind {
            Kind::Chat | Kind::Completion => {
                let one = self.asked.most_output.unwrap_or(self.assumed_output);
                one.saturating_mul(self.answers())
            }
            _ => 0,
        }
    }

    fn cost(&self, book: &Book, input: u64, output: u64) -> Foreseen {
        let asked = self.asked;
        let seconds = asked.attributes.iter().find(|(name, _)| **name == *"seconds");
        let seconds: Option<u64> = seconds.and_then(|(_, seconds)| seconds.parse().ok());
        let (ways, is_whole): (Vec<Vec<(Factor, u64)>>, bool) = match (self.kind, seconds) {
            (Kind::Chat | Kind::Completion, _) => (self.chat(input, output), true),
            (Kind::Embedding, _) => (vec![vec![(Factor::EmbeddingInput, input)]], true),
            (Kind::Image, _) => (vec![vec![(Factor::ImagesGenerated, self.answers())]], true),
            (Kind::Speech, _) => {
                (vec![vec![(Factor::TtsCharacters, asked.text.characters())]], true)
            }
            (Kind::Video, Some(seconds)) => (vec![vec![(Factor::VideoSeconds, seconds)]], true),
            // Anything with a price: it only tells that there is one.
            _ => (vec![vec![(Factor::InputText, 1)], vec![(Factor::AudioInputSeconds, 1)]], false),
        };
        let mut dearest: Option<(Money, Currency)> = None;
        let mut has_price = false;
        for way in ways {
            let attributes = &asked.attributes;
            let lines: Vec<UsageLine> = way
                .into_iter()
                .map(|(factor, count)| UsageLine {
                    attributes: attributes.clone(),
                    ..UsageLine::reported(factor, count)
                })
                .collect();
            // A tier that is only a wish, such as `auto`, is no tier of the list.
            let query = self.query(&lines);
            let standard = || rate(book, &Query { service_tier: None, ..query });
            let valuation = Some(rate(book, &query)).filter(|found| found.cost.is_some());
            let valuation = valuation.unwrap_or_else(standard);
            if valuation.state == CostState::Free {
                return Foreseen::Nothing;
            }
            has_price |= valuation.state != CostState::Unknown;
            if let Some(cost) = valuation.cost
                && dearest.is_none_or(|(most, _)| most < cost)
            {
                dearest = Some((cost, valuation.currency));
            }
        }
        match dearest {
            Some((cost, currency)) if is_whole => Foreseen::About(cost, currency),
            Some(_) | None if has_price || self.is_known(book) => Foreseen::Open(self.answers()),
            Some(_) | None => Foreseen::Unpriced,
        }
    }

    /// Every way a chat may come to be counted; which is the dearest only rates tell.
    fn chat(&self, input: u64, output: u64) -> Vec<Vec<(Factor, u64)>> {
        let mut outputs = vec![Factor::OutputText];
        if self.asked.capabilities.contains(&Capability::AudioOutput) {
            outputs.push(Factor::OutputAudio);
        }
        let mut inputs = vec![Factor::InputText];
        if self.asked.capabilities.contains(&Capability::PromptCaching) {
            inputs.extend([Factor::InputCacheWrite, Factor::InputCacheWrite5m]);
            if self.asked.caches_for_an_hour {
                inputs.push(Factor::InputCacheWrite1h);
            }
        }
        let both = |from: &Factor| {
            let from = from.clone();
            outputs.iter().map(move |to| vec![(from.clone(), input), (to.clone(), output)])
        };
        inputs.iter().flat_map(both).collect()
    }

    /// Whether there are prices for it, or the user calls it as he likes, so that nobody can say.
    fn is_known(&self, book: &Book) -> bool {
        let models = [self.asked.model.as_deref(), self.served].into_iter().flatten();
        book.prices(&self.provider.id).is_some_and(|prices| prices.user_named)
            || models.into_iter().any(|model| book.find(&self.provider.id, model).is_some())
    }

    fn query<'q>(&'q self, lines: &'q [UsageLine]) -> Query<'q> {
        Query {
            provider: &self.provider.id,
            host: Some(self.host),
            model_requested: self.asked.model.as_deref(),
            model_served: self.served,
            kind: self.kind,
            at: self.at,
            took_ms: None,
            service_tier: self.asked.service_tier.as_deref(),
            region: None,
            local: self.is_local,
            reported_cost: None,
            lines,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::Providers;
    use crate::request::RequestScanner;

    fn outlook(provider: &str, path: &str, body: &str) -> Outlook {
        let provider = Providers::built_in().get(provider).unwrap();
        let route = provider.route("POST", path);
        let mut scanner = RequestScanner::new(&route, Some("application/json"));
        scanner.push(body.as_bytes());
        scanner.finish();
        let prospect = Prospect {
            provider,
            host: "api.openai.com",
            kind: route.kind,
            at: Timestamp::parse("2026-11-20T12:00:00Z").unwrap(),
            only_looks: false,
            is_local: false,
            served: None,
            is_whole: true,
            asked: scanner.asked(),
            bytes: body.len() as u64,
            assumed_output: 1000,
        };
        prospect.outlook(Book::built_in())
    }

    fn dollars(text: &str) -> Foreseen {
        Foreseen::About(text.parse().unwrap(), Currency::USD)
    }

    #[test]
    fn what_the_request_bounds_is_priced_and_the_rest_assumed() {
        // gpt-4o: $2.50 and $10 a million tokens.
        let body = |more: &str| {
            let text = "word".repeat(300);
            format!(
                r#"{{"model":"gpt-4o","messages":[{{"role":"user","content":"{text}"}}]{more}}}"#
            )
        };
        let chat = |more| outlook("openai", "/v1/chat/completions", &body(more));
        // 300 tokens and a third.
        assert_eq!(chat("").tokens, 400 + 1000);
        assert_eq!(chat("").cost, dollars("0.011"));
        assert_eq!(chat(r#","max_tokens":100"#).cost, dollars("0.002"));
        assert_eq!(chat(r#","max_completion_tokens":100,"n":3"#).cost, dollars("0.004"));
        assert_eq!(chat(r#","max_tokens":"many""#).cost, dollars("0.011"));
    }

    #[test]
    fn bounds_are_found_in_every_format() {
        let tokens = |provider: &str, path: &str, body: &str| outlook(provider, path, body).tokens;
        let gemini = r#"{"generationConfig":{"maxOutputTokens":7,"candidateCount":2}}"#;
        let path = "/v1beta/models/gemini-2.5-pro:generateContent";
        assert_eq!(tokens("gemini", path, gemini), 14);
        let messages = r#"{"model":"claude-sonnet-4-5","max_tokens":9,"messages":[]}"#;
        assert_eq!(tokens("anthropic", "/v1/messages", messages), 9);
        let responses = r#"{"model":"gpt-4o","max_output_tokens":8,"input":""}"#;
        assert_eq!(tokens("openai", "/v1/responses", responses), 8);
        let converse = r#"{"inferenceConfig":{"maxTokens":6},"messages":[]}"#;
        let path = "/model/anthropic.claude-3-haiku-20240307-v1:0/converse";
        assert_eq!(tokens("bedrock", path, converse), 6);
    }

    #[test]
    fn what_has_no_price_is_not_taken_for_free() {
        let unknown = r#"{"model":"nobody-knows-this","messages":[]}"#;
        assert_eq!(outlook("openai", "/v1/chat/completions", unknown).cost, Foreseen::Unpriced);
        let file = outlook("openai", "/v1/files", r#"{"purpose":"x"}"#);
        assert_eq!(file.cost, Foreseen::Nothing);
        let batch = outlook("openai", "/v1/batches", r#"{"input_file_id":"f"}"#);
        assert_eq!(batch.cost, Foreseen::Open(1));
        let moderation = outlook(
            "openai",
            "/v1/moderations",
            r#"{"model":"omni-moderation-latest","input":"x"}"#,
        );
        assert_eq!(moderation.cost, Foreseen::Nothing);
        for (path, model) in [
            ("/v1/embeddings", "text-embedding-3-small"),
            ("/v1/audio/speech", "tts-1"),
            ("/v1/audio/speech", "gpt-4o-mini-tts"),
            ("/v1/images/generations", "gpt-image-1"),
        ] {
            let body = format!(r#"{{"model":"{model}","input":"words","seconds":"4"}}"#);
            let cost = outlook("openai", path, &body).cost;
            assert!(matches!(cost, Foreseen::About(..) | Foreseen::Open(_)), "{model}: {cost:?}");
        }
        let wish =
            r#"{"model":"claude-sonnet-4-5","max_tokens":9,"service_tier":"auto","messages":[]}"#;
        assert!(matches!(outlook("anthropic", "/v1/messages", wish).cost, Foreseen::About(..)));
        let own_name = r#"{"messages":[]}"#;
        let path = "/openai/deployments/prod-chat/chat/completions";
        assert_eq!(outlook("azure", path, own_name).cost, Foreseen::Open(1));
        let heard = r#"{"model":"whisper-1"}"#;
        assert_eq!(outlook("openai", "/v1/audio/transcriptions", heard).cost, Foreseen::Open(1));
    }

    #[test]
    fn writing_to_the_cache_is_taken_into_account() {
        let body = |cached: &str| {
            let text = "word".repeat(300);
            format!(
                r#"{{"model":"claude-sonnet-4-5","max_tokens":1,"messages":[{{"role":"user","content":[{{"type":"text","text":"{text}"{cached}}}]}}]}}"#
            )
        };
        let cost = |cached: &str| match outlook("anthropic", "/v1/messages", &body(cached)).cost {
            Foreseen::About(cost, _) => cost,
            other => panic!("{other:?}"),
        };
        let (plain, five) = (cost(""), cost(r#","cache_control":{"type":"ephemeral"}"#));
        let hour = cost(r#","cache_control":{"type":"ephemeral","ttl":"1h"}"#);
        assert!(plain < five && five < hour, "{plain} {five} {hour}");
    }
}
