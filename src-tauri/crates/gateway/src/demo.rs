//! The built-in demonstration: answers here, without network or key, in the shapes of real
//! providers, and is metered by the very same path. What it says is made up.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use http_body::{Frame, SizeHint};
use meter::format::Format;
use meter::provider::Route;
use meter::receipt::Kind;
use serde_json::{Value, json};
use tokio::time::Sleep;

use crate::body::Body;
use crate::refusal::{Dialect, Refusal, stamp};
use crate::request_body::Upload;
use crate::response_body::{Metered, Source};
use crate::tally::Tally;
use crate::{Shared, meta};

/// The pause before each event of a streamed answer.
const PACE: Duration = Duration::from_millis(25);
/// What the demonstration always says, in the pieces it is streamed in.
const WORDS: [&str; 12] = [
    "This ",
    "call ",
    "went ",
    "through ",
    "Tollgate ",
    "and ",
    "left ",
    "a ",
    "receipt",
    ". ",
    "Nobody ",
    "was billed.",
];
const MODEL: &str = "demo";

/// A paced list of frames: the body of a demonstration's answer.
#[derive(Debug)]
pub(crate) struct Script {
    frames: VecDeque<Bytes>,
    pace: Duration,
    pause: Option<Pin<Box<Sleep>>>,
}

impl Script {
    pub(crate) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Frame<Bytes>>> {
        if self.frames.is_empty() {
            return Poll::Ready(None);
        }
        if !self.pace.is_zero() {
            let pause = self.pause.get_or_insert_with(|| Box::pin(tokio::time::sleep(self.pace)));
            std::task::ready!(pause.as_mut().poll(cx));
            self.pause = None;
        }
        Poll::Ready(self.frames.pop_front().map(Frame::data))
    }

    pub(crate) fn is_over(&self) -> bool {
        self.frames.is_empty()
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.frames.iter().map(|frame| frame.len() as u64).sum())
    }
}

/// What is known about one demonstration call.
struct Scene {
    model: String,
    id: String,
    prompt_tokens: u64,
    created: i64,
}

/// Answers a call to the demonstration.
pub(crate) async fn answer(
    shared: &Arc<Shared>,
    mut tally: Box<Tally>,
    route: &Route,
    upload: Arc<Upload>,
) -> Response<Body> {
    if let Err(failed) = upload.read_out().await {
        let refusal = Refusal::new(StatusCode::BAD_REQUEST, "broken_request", failed.to_string());
        let answer = refusal.answer(Dialect::Openai, tally.id());
        tally.abandon(&refusal.message);
        return answer;
    }
    let (stream, scene) = upload.asked(|asked| {
        let text = asked.text.spaced / 4 + asked.text.dense;
        let scene = Scene {
            model: asked.model.as_deref().unwrap_or(MODEL).to_owned(),
            id: tally.id().to_string().replace('-', ""),
            prompt_tokens: text.max(1) + 7,
            created: tally.id().minted_at().millis() / 1_000,
        };
        (asked.stream, scene)
    });
    let (status, content_type, script) = play(route, stream, &scene);
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    tally.answered(status, &headers);
    let postscript = meta::prepare(&tally, status, &mut headers, script.is_over());
    stamp(&mut headers, tally.id());
    let body = Metered::new(Source::Local(script), tally, None, shared.lifetime.tasks.clone())
        .with(postscript);
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

fn play(route: &Route, stream: bool, scene: &Scene) -> (StatusCode, &'static str, Script) {
    let whole = |value: Value| {
        let frames = VecDeque::from([Bytes::from(value.to_string())]);
        (StatusCode::OK, "application/json", Script { frames, pace: Duration::ZERO, pause: None })
    };
    let events = |frames: Vec<String>| {
        let frames = frames.into_iter().map(Bytes::from).collect();
        (
            StatusCode::OK,
            "text/event-stream; charset=utf-8",
            Script { frames, pace: PACE, pause: None },
        )
    };
    match route.format {
        Some(Format::OpenaiChat) if stream => events(scene.chat_stream()),
        Some(Format::OpenaiChat) => whole(scene.chat()),
        Some(Format::AnthropicMessages) if stream => events(scene.messages_stream()),
        Some(Format::AnthropicMessages) => {
            whole(scene.message(text_blocks(), "end_turn", output_tokens()))
        }
        Some(Format::OpenaiResponses) if stream => events(scene.responses_stream()),
        Some(Format::OpenaiResponses) => whole(scene.response("completed")),
        _ if route.kind == Kind::Meta => whole(json!({
            "object": "list",
            "data": [{"id": MODEL, "object": "model", "created": scene.created, "owned_by": "tollgate"}],
        })),
        _ => {
            let (_, content_type, script) = whole(json!({"error": {
                "message": "the demonstration answers /demo/v1/chat/completions, /demo/v1/messages and /demo/v1/responses",
                "type": "invalid_request_error", "param": null, "code": "unknown_url",
            }}));
            (StatusCode::NOT_FOUND, content_type, script)
        }
    }
}

fn output_tokens() -> u64 {
    WORDS.len() as u64
}

fn text_blocks() -> Value {
    json!([{"type": "text", "text": WORDS.concat()}])
}

/// One server-sent event without a name.
fn data(value: &Value) -> String {
    format!("data: {value}\n\n")
}

/// One server-sent event named by its own `type`.
fn event(value: &Value) -> String {
    format!("event: {}\ndata: {value}\n\n", value["type"].as_str().unwrap_or_default())
}

impl Scene {
    fn chat_usage(&self) -> Value {
        json!({
            "prompt_tokens": self.prompt_tokens, "completion_tokens": output_tokens(),
            "total_tokens": self.prompt_tokens + output_tokens(),
            "prompt_tokens_details": {"cached_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0},
        })
    }

    fn chat(&self) -> Value {
        json!({
            "id": format!("chatcmpl-{}", self.id), "object": "chat.completion",
            "created": self.created, "model": self.model,
            "choices": [{
                "index": 0, "finish_reason": "stop", "logprobs": null,
                "message": {"role": "assistant", "content": WORDS.concat(), "refusal": null},
            }],
            "usage": self.chat_usage(),
        })
    }

    /// Usage comes with the last piece, as some real servers do it: a client that did not ask
    /// for usage sees no chunk without choices.
    fn chat_stream(&self) -> Vec<String> {
        let chunk = |delta: Value, finish: Value, usage: Value| {
            let mut chunk = json!({
                "id": format!("chatcmpl-{}", self.id), "object": "chat.completion.chunk",
                "created": self.created, "model": self.model,
                "choices": [{"index": 0, "delta": delta, "finish_reason": finish, "logprobs": null}],
            });
            if !usage.is_null() {
                chunk["usage"] = usage;
            }
            data(&chunk)
        };
        let first = chunk(json!({"role": "assistant", "content": ""}), Value::Null, Value::Null);
        let words =
            WORDS.iter().map(|word| chunk(json!({"content": word}), Value::Null, Value::Null));
        let last = chunk(json!({}), json!("stop"), self.chat_usage());
        let mut frames = vec![first];
        frames.extend(words);
        frames.extend([last, "data: [DONE]\n\n".to_owned()]);
        frames
    }

    fn message(&self, content: Value, stop: &str, output: u64) -> Value {
        let stop = if stop.is_empty() { Value::Null } else { json!(stop) };
        json!({
            "id": format!("msg_{}", self.id), "type": "message", "role": "assistant",
            "model": self.model, "content": content, "stop_reason": stop, "stop_sequence": null,
            "usage": {
                "input_tokens": self.prompt_tokens, "cache_creation_input_tokens": 0,
                "cache_read_input_tokens": 0, "output_tokens": output, "service_tier": "standard",
            },
        })
    }

    fn messages_stream(&self) -> Vec<String> {
        let delta = |word: &&str| json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": word}});
        let block = json!({"type": "text", "text": ""});
        let mut events = vec![
            json!({"type": "message_start", "message": self.message(json!([]), "", 1)}),
            json!({"type": "content_block_start", "index": 0, "content_block": block}),
        ];
        events.extend(WORDS.iter().map(delta));
        events.extend([
            json!({"type": "content_block_stop", "index": 0}),
            json!({
                "type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": null},
                "usage": {"output_tokens": output_tokens()},
            }),
            json!({"type": "message_stop"}),
        ]);
        events.iter().map(event).collect()
    }

    fn response(&self, status: &str) -> Value {
        let done = status == "completed";
        let usage = json!({
            "input_tokens": self.prompt_tokens, "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": output_tokens(), "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": self.prompt_tokens + output_tokens(),
        });
        json!({
            "id": format!("resp_{}", self.id), "object": "response", "created_at": self.created,
            "status": status, "model": self.model, "error": null, "incomplete_details": null,
            "instructions": null, "metadata": {}, "parallel_tool_calls": true, "temperature": 1.0,
            "tool_choice": "auto", "tools": [], "top_p": 1.0,
            "output": if done { json!([self.item("completed")]) } else { json!([]) },
            "usage": if done { usage } else { Value::Null },
        })
    }

    fn item(&self, status: &str) -> Value {
        let part = json!({"type": "output_text", "text": WORDS.concat(), "annotations": []});
        let content = if status == "completed" { json!([part]) } else { json!([]) };
        json!({"id": format!("msg_{}", self.id), "type": "message", "role": "assistant", "status": status, "content": content})
    }

    fn responses_stream(&self) -> Vec<String> {
        let at =
            json!({"item_id": format!("msg_{}", self.id), "output_index": 0, "content_index": 0});
        let part = |text: &str| json!({"type": "output_text", "text": text, "annotations": []});
        let within = |kind: &str, field: &str, value: Value| {
            let mut event = at.clone();
            event["type"] = json!(kind);
            event[field] = value;
            event
        };
        let mut events = vec![
            json!({"type": "response.created", "response": self.response("in_progress")}),
            json!({"type": "response.output_item.added", "output_index": 0, "item": self.item("in_progress")}),
            within("response.content_part.added", "part", part("")),
        ];
        events.extend(
            WORDS.iter().map(|word| within("response.output_text.delta", "delta", json!(word))),
        );
        events.extend([
            within("response.output_text.done", "text", json!(WORDS.concat())),
            within("response.content_part.done", "part", part(&WORDS.concat())),
            json!({"type": "response.output_item.done", "output_index": 0, "item": self.item("completed")}),
            json!({"type": "response.completed", "response": self.response("completed")}),
        ]);
        for (number, event) in events.iter_mut().enumerate() {
            event["sequence_number"] = json!(number);
        }
        events.iter().map(event).collect()
    }
}
