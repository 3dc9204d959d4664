//! From a request to what will be sent: which dialect is spoken, which text, which tool
//! call, which usage. The dialects' own files write the frames.

use serde::Serialize;
use serde_json::{Value, json};

use crate::http::Head;
use crate::play::{Misfortune, Play};
use crate::{anthropic, gemini, ollama, openai, responses};

/// Stands for bytes that are not UTF-8 until the frames are written.
const NOT_UTF8: char = '\u{e000}';

/// A request, understood as far as an answer needs.
#[derive(Debug)]
pub struct Ask {
    /// Its number in the record; ids and token counts of the answer are made of it.
    pub number: u64,
    /// The method.
    pub method: String,
    /// The path, with `%3A` read as a colon.
    pub path: String,
    /// The query, without `?`.
    pub query: String,
    /// What came in `authorization`, without `Bearer`.
    pub credential: String,
    /// The body, if it is JSON.
    pub body: Value,
    /// What to do.
    pub play: Play,
}

/// The usage that an answer states: disjoint counts, and the id they go with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Said {
    /// The response's id.
    pub id: String,
    /// Fresh input tokens.
    pub fresh: u64,
    /// Read from the provider's cache.
    pub cache_read: u64,
    /// Written to it.
    pub cache_write: u64,
    /// Visible output.
    pub output: u64,
    /// Hidden output.
    pub reasoning: u64,
}

/// What will be sent.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Headers besides the framing's own.
    pub headers: Vec<(String, String)>,
    /// The body; each frame leaves in a write of its own.
    pub frames: Vec<Vec<u8>>,
    /// Which frame an endless answer repeats.
    pub repeats: usize,
    /// What the format sends when it fails half-way.
    pub error_frame: Vec<u8>,
    /// Chunked, not counted.
    pub streamed: bool,
    /// The usage it states.
    pub said: Option<Said>,
}

impl Ask {
    pub(crate) fn new(number: u64, head: &Head, body: &[u8], play: Play) -> Self {
        Self {
            number,
            method: head.method().to_owned(),
            path: head.path().replace("%3A", ":").replace("%3a", ":"),
            query: head.target().split_once('?').map(|(_, q)| q.to_owned()).unwrap_or_default(),
            credential: head.get("authorization").unwrap_or_default().replace("Bearer ", ""),
            body: serde_json::from_slice(body).unwrap_or_default(),
            play,
        }
    }

    /// The model, as asked.
    pub(crate) fn model(&self) -> &str {
        self.body["model"].as_str().unwrap_or("standin")
    }

    /// Whether the body asks for a stream.
    pub(crate) fn streams(&self) -> bool {
        self.body["stream"].as_bool().unwrap_or(false)
    }

    /// An id of the answer.
    pub(crate) fn id(&self, prefix: &str) -> String {
        format!("{prefix}{:06}", self.number)
    }

    /// The text of the answer, in the pieces it is streamed in.
    pub(crate) fn pieces(&self) -> Vec<String> {
        const MORE: [&str; 6] = [" world", ", 世界", " 🚪", " \"quoted\\\"", "\n{line}", " end"];
        let mut pieces: Vec<String> = MORE
            .iter()
            .cycle()
            .map(|&p| p.to_owned())
            .take(self.play.chunks.saturating_sub(1))
            .collect();
        let mut first = self.play.say.clone();
        if self.play.latin {
            first.push(NOT_UTF8);
        }
        first.push_str(&"0123456789abcdef".repeat(self.play.big_mib << 16));
        pieces.insert(0, first);
        pieces
    }

    /// The whole text.
    pub(crate) fn text(&self) -> String {
        self.pieces().concat()
    }

    /// The usage of this answer: numbers that differ between requests, to be checked by hand.
    pub(crate) fn usage(&self, id: String, reasoning: u64) -> Said {
        Said {
            id,
            fresh: 900 + self.number,
            cache_read: 200,
            cache_write: 100,
            output: 30 + self.number % 50,
            reasoning,
        }
    }

    /// The tool to call and its arguments, if this is a turn for it: one is offered, wanted,
    /// and no result came back yet.
    pub(crate) fn tool_call(&self) -> Option<(String, Value)> {
        const RESULTS: [&str; 5] = [
            "\"role\":\"tool\"",
            "\"type\":\"tool_result\"",
            "\"type\":\"function_call_output\"",
            "\"functionResponse\":",
            "\"type\":\"custom_tool_call_output\"",
        ];
        let names = tool_names(&self.body["tools"]);
        let known = names.iter().find_map(|name| Some((name.clone(), agent_arguments(name)?)));
        let asked = || names.first().filter(|_| self.play.tool);
        let call = known.or_else(|| Some((asked()?.clone(), json!({"city": "Paris"}))))?;
        let said = self.body.to_string();
        (!RESULTS.iter().any(|mark| said.contains(mark))).then_some(call)
    }
}

/// Names of offered tools in any dialect.
fn tool_names(tools: &Value) -> Vec<String> {
    let of = |tool: &Value| -> Vec<String> {
        let declared = tool["functionDeclarations"].as_array().cloned().unwrap_or_default();
        let mut all = vec![tool["name"].clone(), tool["function"]["name"].clone()];
        all.extend(declared.iter().map(|d| d["name"].clone()));
        all.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect()
    };
    tools.as_array().map(|tools| tools.iter().flat_map(of).collect()).unwrap_or_default()
}

/// What an agent's shell shall run: a harmless command whose output can be looked for.
fn agent_arguments(tool: &str) -> Option<Value> {
    const COMMAND: &str = "echo through-the-gate";
    match tool {
        "Bash" => Some(json!({"command": COMMAND, "description": "Says a word"})),
        "exec_command" => Some(json!({"cmd": COMMAND})),
        "shell_command" => Some(json!({"command": COMMAND})),
        "shell" => Some(json!({"command": ["bash", "-lc", COMMAND]})),
        _ => None,
    }
}

impl Answer {
    /// The answer to this request.
    pub fn to(ask: &Ask) -> Self {
        let mut answer = Self::by_path(ask);
        if let Some((after, Misfortune::Fail)) = ask.play.misfortune {
            answer.frames.truncate(after);
            answer.frames.push(answer.error_frame.clone());
            answer.said = None;
        }
        if ask.play.latin {
            answer.frames.iter_mut().for_each(spoil);
        }
        answer
    }

    fn by_path(ask: &Ask) -> Self {
        let ends = |tail: &str| ask.path.ends_with(tail);
        if ends("/messages") || ends("/messages/count_tokens") {
            return anthropic::answer(ask);
        }
        if ask.path.contains("/models/") && ask.path.contains(':') {
            return gemini::answer(ask);
        }
        if ends("/api/chat") || ends("/api/generate") || ends("/api/embed") {
            return ollama::answer(ask);
        }
        if ends("/responses") && ask.method == "POST" {
            return responses::answer(ask);
        }
        openai::answer(ask)
    }

    /// A counted JSON body.
    pub fn json(status: u16, body: &Value) -> Self {
        Self {
            status,
            headers: vec![("content-type".to_owned(), "application/json".to_owned())],
            frames: vec![body.to_string().into_bytes()],
            ..Self::default()
        }
    }

    /// A stream of server-sent events.
    pub(crate) fn events(frames: Vec<Vec<u8>>, error: Vec<u8>, repeats: usize) -> Self {
        Self {
            status: 200,
            headers: vec![(
                "content-type".to_owned(),
                "text/event-stream; charset=utf-8".to_owned(),
            )],
            frames,
            error_frame: error,
            repeats,
            streamed: true,
            ..Self::default()
        }
    }

    /// With one more header.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Stating this usage, unless the play keeps it.
    pub(crate) fn saying(mut self, said: Said, ask: &Ask) -> Self {
        self.said = (!ask.play.no_usage).then_some(said);
        self
    }
}

/// An event without a name.
pub(crate) fn data(value: &Value) -> Vec<u8> {
    format!("data: {value}\n\n").into_bytes()
}

/// An event named by its own `type`.
pub(crate) fn named(value: &Value) -> Vec<u8> {
    format!("event: {}\ndata: {value}\n\n", value["type"].as_str().unwrap_or_default()).into_bytes()
}

fn spoil(frame: &mut Vec<u8>) {
    let mark = NOT_UTF8.to_string();
    while let Some(at) = frame.windows(mark.len()).position(|w| w == mark.as_bytes()) {
        frame.splice(at..at + mark.len(), [0xff, 0xc3]);
    }
}
