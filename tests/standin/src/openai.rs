//! OpenAI-shaped chat, legacy completions, embeddings and the model list.

use serde_json::{Value, json};

use crate::answer::{Answer, Ask, Said, data};

/// Reasoning tokens that every answer claims.
const REASONING: u64 = 10;

pub(crate) fn answer(ask: &Ask) -> Answer {
    let answer = match ask.play.status {
        Some(status) => error(ask, status),
        None if ask.path.ends_with("/chat/completions") => chat(ask),
        None if ask.path.ends_with("/completions") => completion(ask),
        None if ask.path.ends_with("/embeddings") => embeddings(ask),
        None if ask.path.ends_with("/models") => models(),
        None if ask.path == "/" => Answer::json(200, &json!({})),
        None if ask.path.ends_with("/echo") => Answer::json(200, &json!({"ok": true})),
        None => error(ask, 404),
    };
    answer.with("x-request-id", &ask.id("req_"))
}

/// `{"error": …}` as OpenAI words it.
pub(crate) fn error(ask: &Ask, status: u16) -> Answer {
    let mut body = error_body(status);
    if ask.play.parrot && status == 422 {
        let fault = json!({"loc": ["body", "messages"], "msg": "Extra inputs are not permitted",
            "type": "extra_forbidden", "input": ask.body});
        body = json!({"detail": [fault]});
    } else if ask.play.parrot {
        let message = format!(
            "Incorrect API key provided: {}. It was asked for status {status}",
            ask.credential
        );
        body["error"]["message"] = json!(message);
    }
    Answer::json(status, &body)
}

pub(crate) fn error_body(status: u16) -> Value {
    let (kind, code) = match status {
        401 => ("invalid_request_error", "invalid_api_key"),
        429 => ("requests", "rate_limit_exceeded"),
        500.. => ("server_error", "server_error"),
        _ => ("invalid_request_error", "invalid_request"),
    };
    let message = format!("The stand-in was asked for status {status}");
    json!({"error": {"message": message, "type": kind, "param": null, "code": code}})
}

fn usage(said: &Said) -> Value {
    let (input, output) =
        (said.fresh + said.cache_read + said.cache_write, said.output + said.reasoning);
    json!({
        "prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output,
        "prompt_tokens_details": {
            "cached_tokens": said.cache_read, "cache_write_tokens": said.cache_write,
            "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": said.reasoning, "audio_tokens": 0,
            "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0},
    })
}

fn chat(ask: &Ask) -> Answer {
    let said = ask.usage(ask.id("chatcmpl-"), REASONING);
    if ask.streams() {
        return stream(ask, said, &chat_deltas(ask), "chat.completion.chunk");
    }
    let (message, finish) = match ask.tool_call() {
        Some((name, arguments)) => {
            let function = json!({"name": name, "arguments": arguments.to_string()});
            let call = json!({"id": ask.id("call_"), "type": "function", "function": function});
            (json!({"role": "assistant", "content": null, "tool_calls": [call]}), "tool_calls")
        }
        None => (json!({"role": "assistant", "content": ask.text(), "refusal": null}), "stop"),
    };
    let choice = json!({"index": 0, "message": message, "logprobs": null, "finish_reason": finish});
    whole(ask, said, "chat.completion", choice)
}

fn completion(ask: &Ask) -> Answer {
    let said = ask.usage(ask.id("cmpl-"), REASONING);
    let choice = |text: &str, finish: Option<&str>| json!({"index": 0, "text": text, "logprobs": null, "finish_reason": finish});
    if ask.streams() {
        let mut choices: Vec<Value> = ask.pieces().iter().map(|p| choice(p, None)).collect();
        choices.push(choice("", Some("stop")));
        return stream(ask, said, &choices, "text_completion");
    }
    whole(ask, said, "text_completion", choice(&ask.text(), Some("stop")))
}

fn whole(ask: &Ask, said: Said, object: &str, choice: Value) -> Answer {
    let mut body = json!({"id": said.id, "object": object, "created": 1_790_000_000,
        "model": ask.model(), "choices": [choice], "service_tier": "default"});
    if !ask.play.no_usage {
        body["usage"] = usage(&said);
    }
    Answer::json(200, &body).saying(said, ask)
}

fn chat_deltas(ask: &Ask) -> Vec<Value> {
    let choice = |delta: Value, finish: Option<&str>| json!({"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish});
    let mut deltas = vec![choice(json!({"role": "assistant", "content": ""}), None)];
    match ask.tool_call() {
        Some((name, arguments)) => {
            let call =
                |function: Value| json!({"tool_calls": [{"index": 0, "function": function}]});
            let mut first = call(json!({"name": name, "arguments": ""}));
            first["tool_calls"][0]["id"] = json!(ask.id("call_"));
            first["tool_calls"][0]["type"] = json!("function");
            deltas.push(choice(first, None));
            deltas.push(choice(call(json!({"arguments": arguments.to_string()})), None));
            deltas.push(choice(json!({}), Some("tool_calls")));
        }
        None => {
            let text = |piece: &String| choice(json!({"content": piece}), None);
            deltas.extend(ask.pieces().iter().map(text));
            deltas.push(choice(json!({}), Some("stop")));
        }
    }
    deltas
}

/// The chunks; with a usage chunk only if the request asks for it, as OpenAI does.
fn stream(ask: &Ask, said: Said, choices: &[Value], object: &str) -> Answer {
    let asked = ask.body["stream_options"]["include_usage"].as_bool().unwrap_or(false);
    let tells = (asked || ask.play.unasked_usage) && !ask.play.no_usage;
    let chunk = |choices: Value| {
        let mut chunk = json!({"id": said.id, "object": object, "created": 1_790_000_000,
            "model": ask.model(), "service_tier": "default", "system_fingerprint": "fp_standin",
            "choices": choices});
        if asked {
            chunk["usage"] = Value::Null;
        }
        chunk
    };
    let mut frames: Vec<Vec<u8>> = choices.iter().map(|c| data(&chunk(json!([c])))).collect();
    if tells {
        let mut last = chunk(json!([]));
        last["usage"] = usage(&said);
        frames.push(data(&last));
    }
    frames.push(b"data: [DONE]\n\n".to_vec());
    let answer = Answer::events(frames, data(&error_body(500)), 1);
    if tells { answer.saying(said, ask) } else { answer }
}

fn embeddings(ask: &Ask) -> Answer {
    let said = Said {
        cache_read: 0,
        cache_write: 0,
        output: 0,
        reasoning: 0,
        ..ask.usage(String::new(), 0)
    };
    let encoding = ask.body["encoding_format"].as_str();
    // 0.5, -0.25, 1.0 as little-endian floats, for SDKs that ask for base64.
    let vector = if encoding == Some("base64") {
        json!("AAAAPwAAgL4AAIA/")
    } else {
        json!([0.5, -0.25, 1.0])
    };
    let mut body = json!({"object": "list", "model": ask.model(),
        "data": [{"object": "embedding", "index": 0, "embedding": vector}]});
    if !ask.play.no_usage {
        body["usage"] = json!({"prompt_tokens": said.fresh, "total_tokens": said.fresh});
    }
    Answer::json(200, &body).saying(said, ask)
}

fn models() -> Answer {
    let model =
        json!({"id": "standin", "object": "model", "created": 1_790_000_000, "owned_by": "tests"});
    Answer::json(200, &json!({"object": "list", "data": [model]}))
}
