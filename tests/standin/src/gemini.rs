//! Gemini's generateContent: one JSON object, events with CRLF, or one growing JSON array.

use serde_json::{Value, json};

use crate::answer::{Answer, Ask, Said};

/// Thought tokens that every answer claims; they stand beside the candidates' tokens.
const THOUGHTS: u64 = 7;

pub(crate) fn answer(ask: &Ask) -> Answer {
    let verb = ask.path.rsplit(':').next().unwrap_or_default();
    if let Some(status) = ask.play.status {
        let body = error_body(status);
        let in_array = verb == "streamGenerateContent" && !ask.query.contains("alt=sse");
        return Answer::json(status, &if in_array { json!([body]) } else { body });
    }
    let said = Said { cache_write: 0, ..ask.usage(ask.id("gem-"), THOUGHTS) };
    match verb {
        "generateContent" => {
            let (part, _) = part(ask, &ask.text());
            Answer::json(200, &chunk(ask, &said, &part, Some("STOP"))).saying(said, ask)
        }
        "streamGenerateContent" => stream(ask, said),
        "countTokens" => Answer::json(200, &json!({"totalTokens": 900 + ask.number})),
        "embedContent" => Answer::json(200, &json!({"embedding": {"values": [0.5, -0.25]}})),
        "batchEmbedContents" => {
            Answer::json(200, &json!({"embeddings": [{"values": [0.5, -0.25]}]}))
        }
        _ => Answer::json(404, &error_body(404)),
    }
}

fn error_body(status: u16) -> Value {
    let name = match status {
        400 => "INVALID_ARGUMENT",
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        429 => "RESOURCE_EXHAUSTED",
        503 => "UNAVAILABLE",
        _ => "INTERNAL",
    };
    let message = format!("The stand-in was asked for status {status}");
    json!({"error": {"code": status, "message": message, "status": name}})
}

/// A part of the answer, and whether it is the tool call that makes all others superfluous.
fn part(ask: &Ask, text: &str) -> (Value, bool) {
    match ask.tool_call() {
        Some((name, args)) => (json!({"functionCall": {"name": name, "args": args}}), true),
        None => (json!({"text": text}), false),
    }
}

fn chunk(ask: &Ask, said: &Said, part: &Value, finish: Option<&str>) -> Value {
    let model = ask.path.split("/models/").nth(1).and_then(|m| m.split(':').next());
    let mut candidate = json!({"index": 0, "content": {"role": "model", "parts": [part]}});
    if let Some(finish) = finish {
        candidate["finishReason"] = json!(finish);
    }
    let mut chunk =
        json!({"candidates": [candidate], "modelVersion": model, "responseId": said.id});
    if !ask.play.no_usage {
        let prompt = said.fresh + said.cache_read;
        // Cumulative while it streams, so only the last chunk holds the whole output.
        let output = if finish.is_some() { said.output } else { 1 };
        chunk["usageMetadata"] = json!({
            "promptTokenCount": prompt, "cachedContentTokenCount": said.cache_read,
            "candidatesTokenCount": output, "thoughtsTokenCount": said.reasoning,
            "totalTokenCount": prompt + output + said.reasoning,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": prompt}],
            "cacheTokensDetails": [{"modality": "TEXT", "tokenCount": said.cache_read}],
        });
    }
    chunk
}

fn stream(ask: &Ask, said: Said) -> Answer {
    let mut chunks = Vec::new();
    for piece in ask.pieces() {
        let (part, alone) = part(ask, &piece);
        chunks.push(chunk(ask, &said, &part, None));
        if alone {
            break;
        }
    }
    chunks.push(chunk(ask, &said, &json!({"text": ""}), Some("STOP")));
    let error = error_body(503);
    if ask.query.contains("alt=sse") {
        let event = |value: &Value| format!("data: {value}\r\n\r\n").into_bytes();
        let frames = chunks.iter().map(event).collect();
        return Answer::events(frames, event(&error), 0).saying(said, ask);
    }
    let mut frames: Vec<Vec<u8>> =
        chunks.iter().map(|c| format!(",\r\n{c:#}").into_bytes()).collect();
    frames[0].splice(..3, *b"[");
    frames.push(b"\r\n]\r\n".to_vec());
    let mut answer =
        Answer::events(frames, format!(",\r\n{error}]").into_bytes(), 1).saying(said, ask);
    answer.headers =
        vec![("content-type".to_owned(), "application/json; charset=UTF-8".to_owned())];
    answer
}
