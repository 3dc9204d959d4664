//! OpenAI's Responses: one JSON object, or named events without a `[DONE]`.

use serde_json::{Value, json};

use crate::answer::{Answer, Ask, Said, named};
use crate::openai;

/// Reasoning tokens that every answer claims.
const REASONING: u64 = 10;

pub(crate) fn answer(ask: &Ask) -> Answer {
    if let Some(status) = ask.play.status {
        return openai::error(ask, status).with("x-request-id", &ask.id("req_"));
    }
    let said = ask.usage(ask.id("resp_"), REASONING);
    let answer = if ask.streams() {
        stream(ask, &said)
    } else {
        Answer::json(200, &response(ask, &said, "completed", &json!([item(ask, "completed")])))
    };
    answer.saying(said, ask).with("x-request-id", &ask.id("req_"))
}

fn usage(said: &Said) -> Value {
    let (input, output) =
        (said.fresh + said.cache_read + said.cache_write, said.output + said.reasoning);
    json!({
        "input_tokens": input,
        "input_tokens_details": {
            "cached_tokens": said.cache_read, "cache_write_tokens": said.cache_write},
        "output_tokens": output,
        "output_tokens_details": {"reasoning_tokens": said.reasoning},
        "total_tokens": input + output,
    })
}

fn response(ask: &Ask, said: &Said, status: &str, output: &Value) -> Value {
    let done = status == "completed" && !ask.play.no_usage;
    json!({
        "id": said.id, "object": "response", "created_at": 1_790_000_000, "status": status,
        "background": false, "error": null, "incomplete_details": null, "instructions": null,
        "max_output_tokens": null, "metadata": {}, "model": ask.model(), "output": output,
        "parallel_tool_calls": true, "previous_response_id": null,
        "reasoning": {"effort": null, "summary": null}, "service_tier": "default", "store": false,
        "temperature": 1.0, "text": {"format": {"type": "text"}}, "tool_choice": "auto",
        "tools": ask.body["tools"].as_array().cloned().unwrap_or_default(),
        "top_p": 1.0, "truncation": "disabled",
        "usage": if done { usage(said) } else { Value::Null },
    })
}

/// The one item of the answer: a tool call or a message.
fn item(ask: &Ask, status: &str) -> Value {
    let done = status == "completed";
    match ask.tool_call() {
        Some((name, arguments)) => json!({
            "id": ask.id("fc_"), "type": "function_call", "status": status, "name": name,
            "call_id": ask.id("call_"),
            "arguments": if done { arguments.to_string() } else { String::new() },
        }),
        None => json!({
            "id": ask.id("msg_"), "type": "message", "status": status, "role": "assistant",
            "content": if done { json!([part(&ask.text())]) } else { json!([]) },
        }),
    }
}

fn part(text: &str) -> Value {
    json!({"type": "output_text", "annotations": [], "logprobs": [], "text": text})
}

fn stream(ask: &Ask, said: &Said) -> Answer {
    let running = response(ask, said, "in_progress", &json!([]));
    let mut events = vec![
        json!({"type": "response.created", "response": running}),
        json!({"type": "response.in_progress", "response": running}),
        json!({"type": "response.output_item.added", "output_index": 0, "item": item(ask, "in_progress")}),
    ];
    events.extend(content(ask));
    let done = item(ask, "completed");
    let complete = response(ask, said, "completed", &json!([done]));
    events.push(json!({"type": "response.output_item.done", "output_index": 0, "item": done}));
    events.push(json!({"type": "response.completed", "response": complete}));
    for (sequence, event) in events.iter_mut().enumerate() {
        event["sequence_number"] = json!(sequence);
    }
    let error = json!({"type": "error", "code": "server_error", "param": null,
        "message": "The stand-in was asked to fail", "sequence_number": events.len()});
    Answer::events(events.iter().map(named).collect(), named(&error), 4)
}

fn content(ask: &Ask) -> Vec<Value> {
    if let Some((_, arguments)) = ask.tool_call() {
        let (at, text) = (ask.id("fc_"), arguments.to_string());
        return vec![
            json!({"type": "response.function_call_arguments.delta", "item_id": at,
                "output_index": 0, "delta": text}),
            json!({"type": "response.function_call_arguments.done", "item_id": at,
                "output_index": 0, "arguments": text}),
        ];
    }
    let at = |kind: &str| {
        json!({"type": format!("response.{kind}"), "item_id": ask.id("msg_"),
            "output_index": 0, "content_index": 0})
    };
    let with = |kind: &str, name: &str, value: Value| {
        let mut event = at(kind);
        event[name] = value;
        event
    };
    let mut events = vec![with("content_part.added", "part", part(""))];
    for piece in ask.pieces() {
        let mut delta = with("output_text.delta", "delta", json!(piece));
        delta["logprobs"] = json!([]);
        events.push(delta);
    }
    let mut done = with("output_text.done", "text", json!(ask.text()));
    done["logprobs"] = json!([]);
    events.push(done);
    events.push(with("content_part.done", "part", part(&ask.text())));
    events
}
