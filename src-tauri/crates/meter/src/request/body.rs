//! The JSON body of a request: which of its values say what was asked for.
//!
//! Recognises shapes, not formats: a key means the same wherever it is used, so one table
//! serves all wire formats. Prompt text is counted, never kept.

use crate::json::{Kind, Scanner, Sink, Want, plain};
use crate::provider::Route;
use crate::receipt::{self, Capability};
use crate::request::{Asked, TextCount, is_attribute, labels};

/// Bytes of a model's name that are kept.
const MODEL_LIMIT: usize = 256;
/// Bytes of any other word that is looked at.
const WORD_LIMIT: usize = 64;

/// Reads a JSON body.
#[derive(Debug)]
pub(super) struct Body {
    scanner: Scanner,
    /// What was read but is not for others to see.
    facts: Facts,
    /// Something other than white space follows the document.
    has_more: bool,
}

#[derive(Debug, Default)]
struct Facts {
    is_object: bool,
    /// The path names the model: the path wins.
    model_is_known: bool,
    /// Of the text only what is to be spoken counts, because it is billed by the character.
    is_speech: bool,
    cache_breakpoints: u32,
    hour_breakpoints: u32,
    asks_for_reasoning: bool,
    refuses_reasoning: bool,
}

impl Body {
    /// For a request with this route.
    pub(super) fn new(route: &Route) -> Self {
        let facts = Facts {
            model_is_known: route.model.is_some(),
            is_speech: route.kind == receipt::Kind::Speech,
            ..Facts::default()
        };
        Self { scanner: Scanner::default(), facts, has_more: false }
    }

    pub(super) fn push(&mut self, bytes: &[u8], asked: &mut Asked) {
        let taken = self.scanner.push(bytes, &mut Walk { asked, facts: &mut self.facts });
        self.has_more |= bytes[taken..].iter().any(|byte| !byte.is_ascii_whitespace());
    }

    /// The body was one complete object and nothing else.
    pub(super) fn is_one_object(&self) -> bool {
        self.facts.is_object && self.scanner.is_complete() && !self.has_more
    }

    /// It is no JSON object, or there is more than one.
    pub(super) fn is_broken(&self) -> bool {
        self.scanner.is_broken() || self.has_more
    }
}

struct Walk<'a> {
    asked: &'a mut Asked,
    facts: &'a mut Facts,
}

impl Sink for Walk<'_> {
    fn want(&mut self, path: &[&str], kind: Kind) -> Want {
        if let [key] = path
            && names_model(key)
        {
            self.asked.model_names += 1;
        }
        if kind == Kind::Null {
            // A null `stream_options` is a choice of the client's own too.
            self.asked.has_stream_options |= path == ["stream_options"];
            return Want::Skip;
        }
        match path {
            [] => {
                self.facts.is_object = kind == Kind::Object;
                Want::Walk
            }
            [key] => self.at_top(key, kind),
            [home, name] if labels::is_home(home) => self.asked.labels.want(name, kind),
            [.., "cache_control" | "cachePoint"] => self.breakpoint(),
            [.., "cache_control" | "cachePoint", "ttl"] => Want::Keep(WORD_LIMIT),
            [root, ..] if self.is_prompt(root) => self.in_prompt(path, kind),
            [_, ..] => self.in_settings(path, kind),
        }
    }

    fn kept(&mut self, path: &[&str], json: &str) {
        if let [home, name] = path
            && labels::is_home(home)
        {
            return self.asked.labels.take(name, json);
        }
        let word = plain(json);
        match path {
            [key] if labels::names_user(key) => self.asked.labels.take_user(&word),
            ["model" | "model_id"] => self.asked.model = (!word.is_empty()).then(|| word.into()),
            ["stream"] => self.asked.stream = word == "true",
            path if bounds_output(path) => {
                self.asked.most_output = word.parse().ok().or(self.asked.most_output);
            }
            ["n"] | [_, "candidateCount" | "candidate_count"] => {
                self.asked.answers = word.parse().ok();
            }
            ["service_tier" | "serviceTier"] | ["service_tier" | "serviceTier", "type"] => {
                self.asked.service_tier = Some(word.into());
            }
            ["background"] if word == "true" => {
                self.asked.is_background = true;
                self.asked.exercises(Capability::Background);
            }
            [.., "cache_control" | "cachePoint", "ttl"] => {
                self.facts.hour_breakpoints += u32::from(word == "1h");
                self.note_lifetimes();
            }
            [root, ..] if self.is_prompt(root) => self.prompt_word(path, &word),
            [key] if is_attribute(key) => self.asked.wants(key, &word),
            _ => self.setting_word(path, &word),
        }
    }

    fn counted(&mut self, _path: &[&str], text: TextCount) {
        self.asked.text.add(text);
    }
}

/// The top-level keys that choose a model. Some servers (Go's JSON) read keys in any case, and
/// OpenRouter takes a list of models to fall back on.
fn names_model(key: &str) -> bool {
    ["model", "model_id", "models"].iter().any(|known| key.eq_ignore_ascii_case(known))
}

/// The top-level keys whose text the model reads.
fn is_prompt(key: &str) -> bool {
    matches!(
        key,
        "messages"
            | "input"
            | "prompt"
            | "system"
            | "contents"
            | "instructions"
            | "tools"
            | "functions"
            | "systemInstruction"
            | "system_instruction"
            | "toolConfig"
            | "suffix"
            | "content"
            | "requests"
            | "texts"
            | "inputs"
            | "instances"
            | "query"
            | "documents"
            | "inputText"
            | "message"
            | "chat_history"
            | "preamble"
    )
}

/// What is asked for by being there at all.
fn shows(key: &str) -> Option<Capability> {
    Some(match key {
        "web_search_options"
        | "search_parameters"
        | "googleSearch"
        | "google_search"
        | "googleSearchRetrieval"
        | "google_search_retrieval"
        | "enterpriseWebSearch" => Capability::WebSearch,
        "codeExecution" | "code_execution" => Capability::CodeExecution,
        "prompt_cache_key"
        | "prompt_cache_retention"
        | "prompt_cache_options"
        | "cachedContent"
        | "cached_content" => Capability::PromptCaching,
        "responseSchema"
        | "response_schema"
        | "responseJsonSchema"
        | "response_json_schema"
        | "guided_json" => Capability::StructuredOutputs,
        _ => return None,
    })
}

impl Walk<'_> {
    fn is_prompt(&self, key: &str) -> bool {
        if self.facts.is_speech { matches!(key, "input" | "text") } else { is_prompt(key) }
    }

    fn at_top(&mut self, key: &str, kind: Kind) -> Want {
        if let Some(capability) = shows(key) {
            self.asked.exercises(capability);
        }
        match (key, kind) {
            ("model" | "model_id", Kind::String) if !self.facts.model_is_known => {
                Want::Keep(MODEL_LIMIT)
            }
            (
                "stream" | "background" | "think" | "enable_thinking" | "enable_search",
                Kind::Bool,
            )
            | (
                "service_tier" | "serviceTier" | "reasoning_effort" | "think" | "format",
                Kind::String,
            ) => Want::Keep(WORD_LIMIT),
            ("n", Kind::Number) => Want::Keep(WORD_LIMIT),
            (key, Kind::String) if labels::names_user(key) => self.asked.labels.want(key, kind),
            (key, Kind::Number) if bounds_output(&[key]) => Want::Keep(WORD_LIMIT),
            ("stream_options", _) => {
                self.asked.has_stream_options = true;
                Want::Skip
            }
            (
                "previous_response_id"
                | "previous_interaction_id"
                | "conversation"
                | "cachedContent"
                | "cached_content",
                _,
            )
            | ("prompt", Kind::Object) => {
                self.asked.has_remote_history = true;
                Want::Skip
            }
            ("format", Kind::Object) => {
                self.asked.exercises(Capability::StructuredOutputs);
                Want::Skip
            }
            ("audio", Kind::Object) => {
                self.asked.exercises(Capability::AudioOutput);
                Want::Skip
            }
            ("thinking" | "reasoning", Kind::Object) => {
                self.facts.asks_for_reasoning = true;
                self.note_reasoning();
                Want::Walk
            }
            ("cache_control", _) => self.breakpoint(),
            (key, Kind::String) if self.is_prompt(key) => Want::Count,
            (key, Kind::String | Kind::Number) if is_attribute(key) => Want::Keep(WORD_LIMIT),
            (key, Kind::Array) if labels::is_home(key) => Want::Skip,
            (_, Kind::Object | Kind::Array) => Want::Walk,
            (_, Kind::String | Kind::Number | Kind::Bool | Kind::Null) => Want::Skip,
        }
    }

    /// Below a key whose text the model reads.
    fn in_prompt(&mut self, path: &[&str], kind: Kind) -> Want {
        let key = path[path.len() - 1];
        match kind {
            Kind::String => self.prompt_string(path, key),
            Kind::Object | Kind::Array => self.prompt_container(path, key),
            Kind::Number => {
                // A prompt may be given as token ids, one number each.
                let is_id = path.len() < 4 && path[1..].iter().all(|step| is_index(step));
                self.asked.text.dense += u64::from(is_id && matches!(path[0], "input" | "prompt"));
                Want::Skip
            }
            Kind::Bool | Kind::Null => Want::Skip,
        }
    }

    fn prompt_container(&mut self, path: &[&str], key: &str) -> Want {
        if matches!(path, ["tools" | "functions", "0"] | ["toolConfig", "tools", "0"]) {
            self.asked.exercises(Capability::Tools);
        }
        if let Some(capability) = shows(key) {
            self.asked.exercises(capability);
        }
        match key {
            // Schemas and arguments: any shape at all, so their keys mean nothing here.
            "input_schema"
            | "inputSchema"
            | "parameters"
            | "parametersJsonSchema"
            | "properties"
            | "schema"
            | "args"
            | "arguments"
            | "input"
            | "response"
            | "json" => {
                return Want::Count;
            }
            "image" | "video" | "image_url" | "video_url" => {
                self.asked.sends_media(Capability::Vision)
            }
            "document" | "file" => self.asked.sends_media(Capability::Documents),
            "input_audio" => self.asked.sends_media(Capability::AudioInput),
            _ => {}
        }
        Want::Walk
    }

    fn prompt_string(&mut self, path: &[&str], key: &str) -> Want {
        match key {
            "type" | "media_type" | "mimeType" | "mime_type" => Want::Keep(WORD_LIMIT),
            "image_url" => {
                self.asked.sends_media(Capability::Vision);
                Want::Skip
            }
            "data" | "bytes" | "bytesBase64Encoded" | "gcsUri" | "file_data" | "file_id"
            | "file_url" | "fileUri" | "file_uri" | "b64_json" | "encrypted_content" => {
                self.asked.has_media = true;
                Want::Skip
            }
            "role" | "id" | "url" | "call_id" | "tool_call_id" | "tool_use_id" | "signature"
            | "thoughtSignature" | "thought_signature" | "detail" | "format" | "model"
            | "taskType" => Want::Skip,
            _ if matches!(path, [.., "images", _]) => {
                self.asked.sends_media(Capability::Vision);
                Want::Skip
            }
            _ => Want::Count,
        }
    }

    fn prompt_word(&mut self, path: &[&str], word: &str) {
        let is_tool = matches!(path, ["tools", _, _]);
        match word {
            _ if is_tool => {
                if let Some(capability) = tool_capability(word) {
                    self.asked.exercises(capability);
                }
            }
            "image" | "image_url" | "input_image" | "video" | "video_url" | "input_video" => {
                self.asked.sends_media(Capability::Vision);
            }
            "input_audio" | "audio" => self.asked.sends_media(Capability::AudioInput),
            "document" | "file" | "input_file" | "application/pdf" => {
                self.asked.sends_media(Capability::Documents);
            }
            _ if word.starts_with("image/") || word.starts_with("video/") => {
                self.asked.sends_media(Capability::Vision);
            }
            _ if word.starts_with("audio/") => self.asked.sends_media(Capability::AudioInput),
            _ => {}
        }
    }

    /// Below any other key.
    fn in_settings(&mut self, path: &[&str], kind: Kind) -> Want {
        let key = path[path.len() - 1];
        if let Some(capability) = shows(key) {
            self.asked.exercises(capability);
        }
        match (path, kind) {
            (
                ["generationConfig" | "generation_config", "thinkingConfig" | "thinking_config"],
                _,
            ) => {
                self.facts.asks_for_reasoning = true;
                self.note_reasoning();
                Want::Walk
            }
            (
                ["response_format" | "output_format", "type"]
                | ["text" | "output_config", "format", "type"]
                | ["service_tier" | "serviceTier", "type"]
                | ["thinking", "type"]
                | ["reasoning", "effort" | "enabled"]
                | ["plugins", _, "id"]
                | ["modalities" | "response_modalities", _]
                | [_, "responseMimeType" | "response_mime_type"]
                | [_, "responseModalities" | "response_modalities", _]
                | [_, "thinkingConfig" | "thinking_config", "thinkingBudget" | "thinking_budget"],
                Kind::String | Kind::Bool | Kind::Number,
            ) => Want::Keep(WORD_LIMIT),
            ([_, "candidateCount" | "candidate_count"], Kind::Number) => Want::Keep(WORD_LIMIT),
            (path, Kind::Number) if bounds_output(path) => Want::Keep(WORD_LIMIT),
            (_, Kind::Object | Kind::Array) if path.len() < 4 => Want::Walk,
            _ => Want::Skip,
        }
    }

    fn setting_word(&mut self, path: &[&str], word: &str) {
        match (path, word) {
            (
                ["think" | "enable_thinking" | "reasoning_effort", ..]
                | ["thinking" | "reasoning", ..]
                | [_, "thinkingConfig" | "thinking_config", _],
                _,
            ) => {
                let refuses = matches!(word, "none" | "disabled" | "false" | "0");
                self.facts.asks_for_reasoning |= !refuses;
                self.facts.refuses_reasoning |= refuses;
                self.note_reasoning();
            }
            (_, "json_schema" | "json_object" | "application/json") | (["format"], "json") => {
                self.asked.exercises(Capability::StructuredOutputs);
            }
            (_, "audio" | "AUDIO") => self.asked.exercises(Capability::AudioOutput),
            (["plugins", ..], "web") | (["enable_search"], "true") => {
                self.asked.exercises(Capability::WebSearch);
            }
            _ => {}
        }
    }

    fn breakpoint(&mut self) -> Want {
        self.asked.exercises(Capability::PromptCaching);
        self.facts.cache_breakpoints += 1;
        self.note_lifetimes();
        Want::Walk
    }

    fn note_lifetimes(&mut self) {
        self.asked.caches_for_an_hour = self.facts.cache_breakpoints == self.facts.hour_breakpoints;
    }

    fn note_reasoning(&mut self) {
        if self.facts.refuses_reasoning {
            self.asked.capabilities.retain(|c| *c != Capability::Reasoning);
        } else if self.facts.asks_for_reasoning {
            self.asked.exercises(Capability::Reasoning);
        }
    }
}

/// Whether this is the number of tokens that an answer may have.
fn bounds_output(path: &[&str]) -> bool {
    matches!(
        path,
        ["max_tokens" | "max_completion_tokens" | "max_output_tokens" | "max_tokens_to_sample"]
            | ["generationConfig" | "generation_config", "maxOutputTokens" | "max_output_tokens"]
            | ["inferenceConfig", "maxTokens"]
            | ["textGenerationConfig", "maxTokenCount"]
            | ["parameters", "max_tokens" | "max_new_tokens" | "max_output_tokens"]
            | ["options", "num_predict"]
    )
}

/// What a provider-side tool of this type does.
fn tool_capability(kind: &str) -> Option<Capability> {
    if kind.contains("web_search") || kind == "x_search" || kind == "google_search" {
        Some(Capability::WebSearch)
    } else if kind == "code_interpreter" || kind.starts_with("code_execution") {
        Some(Capability::CodeExecution)
    } else {
        None
    }
}

fn is_index(step: &str) -> bool {
    step.bytes().all(|byte| byte.is_ascii_digit())
}
