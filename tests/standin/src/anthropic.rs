//! Anthropic's Messages and its token counter.

use serde_json::{Value, json};

use crate::answer::{Answer, Ask, Said, named};

/// What `message_start` claims as output: a placeholder, as the real one is.
const PLACEHOLDER: u64 = 3;

pub(crate) fn answer(ask: &Ask) -> Answer {
    let answer = match ask.play.status {
        Some(status) => Answer::json(status, &error_body(ask, status)),
        None if ask.path.ends_with("/count_tokens") => {
            Answer::json(200, &json!({"input_tokens": 900 + ask.number}))
        }
        None if ask.streams() => stream(ask),
        None => whole(ask),
    };
    answer.with("request-id", &ask.id("req_"))
}

fn error_body(ask: &Ask, status: u16) -> Value {
    let kind = match status {
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        429 => "rate_limit_error",
        529 => "overloaded_error",
        500.. => "api_error",
        _ => "invalid_request_error",
    };
    let message = format!("The stand-in was asked for status {status}");
    json!({"type": "error", "error": {"type": kind, "message": message}, "request_id": ask.id("req_")})
}

fn said(ask: &Ask) -> Said {
    ask.usage(ask.id("msg_"), 0)
}

fn usage(said: &Said, output: u64) -> Value {
    let hour = said.cache_write / 4;
    json!({
        "input_tokens": said.fresh, "cache_read_input_tokens": said.cache_read,
        "cache_creation_input_tokens": said.cache_write,
        "cache_creation": {"ephemeral_5m_input_tokens": said.cache_write - hour,
            "ephemeral_1h_input_tokens": hour},
        "output_tokens": output, "service_tier": "standard",
    })
}

fn content(ask: &Ask) -> (Value, &'static str) {
    match ask.tool_call() {
        Some((name, input)) => {
            let block =
                json!({"type": "tool_use", "id": ask.id("toolu_"), "name": name, "input": input});
            (block, "tool_use")
        }
        None => (json!({"type": "text", "text": ask.text()}), "end_turn"),
    }
}

fn message(ask: &Ask, content: &Value, stop: Value, usage: Value) -> Value {
    json!({"id": ask.id("msg_"), "type": "message", "role": "assistant", "model": ask.model(),
        "content": content, "stop_reason": stop, "stop_sequence": null, "usage": usage})
}

fn whole(ask: &Ask) -> Answer {
    let said = said(ask);
    let (block, stop) = content(ask);
    let usage = if ask.play.no_usage { Value::Null } else { usage(&said, said.output) };
    Answer::json(200, &message(ask, &json!([block]), json!(stop), usage)).saying(said, ask)
}

fn stream(ask: &Ask) -> Answer {
    let said = said(ask);
    let (block, stop) = content(ask);
    let first = if ask.play.no_usage { json!({}) } else { usage(&said, PLACEHOLDER) };
    let last = if ask.play.no_usage { json!({}) } else { usage(&said, said.output) };
    let mut empty = block.clone();
    let deltas: Vec<Value> = match block["type"].as_str() {
        Some("tool_use") => {
            empty["input"] = json!({});
            vec![json!({"type": "input_json_delta", "partial_json": block["input"].to_string()})]
        }
        _ => {
            empty["text"] = json!("");
            ask.pieces().iter().map(|p| json!({"type": "text_delta", "text": p})).collect()
        }
    };
    let mut events = vec![
        json!({"type": "message_start", "message": message(ask, &json!([]), Value::Null, first)}),
        json!({"type": "content_block_start", "index": 0, "content_block": empty}),
        json!({"type": "ping"}),
    ];
    events.extend(
        deltas.iter().map(|d| json!({"type": "content_block_delta", "index": 0, "delta": d})),
    );
    events.extend([
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "message_delta", "delta": {"stop_reason": stop, "stop_sequence": null}, "usage": last}),
        json!({"type": "message_stop"}),
    ]);
    let error =
        json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}});
    Answer::events(events.iter().map(named).collect(), named(&error), 3).saying(said, ask)
}
