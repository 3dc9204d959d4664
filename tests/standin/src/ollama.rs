//! Ollama's own API: lines of JSON, streamed unless the request says no.

use serde_json::{Value, json};

use crate::answer::{Answer, Ask, Said};

pub(crate) fn answer(ask: &Ask) -> Answer {
    if let Some(status) = ask.play.status {
        let message = format!("the stand-in was asked for status {status}");
        return Answer::json(status, &json!({"error": message}));
    }
    let usage = ask.usage(String::new(), 0);
    let said = Said { fresh: usage.fresh + 300, cache_read: 0, cache_write: 0, ..usage };
    if ask.path.ends_with("/embed") {
        let body = json!({"model": ask.model(), "embeddings": [[0.5, -0.25]],
            "total_duration": 14_000_000, "prompt_eval_count": said.fresh});
        return Answer::json(200, &body).saying(Said { output: 0, ..said }, ask);
    }
    let last = last(ask, &said);
    if ask.body["stream"] == json!(false) {
        let mut body = last;
        say(ask, &mut body, &ask.text());
        return Answer::json(200, &body).saying(said, ask);
    }
    let line = |value: &Value| format!("{value}\n").into_bytes();
    let mut frames: Vec<Vec<u8>> = ask
        .pieces()
        .iter()
        .map(|p| {
            let mut body =
                json!({"model": ask.model(), "created_at": "2026-11-20T10:00:00Z", "done": false});
            say(ask, &mut body, p);
            line(&body)
        })
        .collect();
    frames.push(line(&last));
    let error = line(&json!({"error": "the stand-in was asked to fail"}));
    let mut answer = Answer::events(frames, error, 0).saying(said, ask);
    answer.headers = vec![("content-type".to_owned(), "application/x-ndjson".to_owned())];
    answer
}

fn say(ask: &Ask, body: &mut Value, text: &str) {
    if ask.path.ends_with("/chat") {
        body["message"] = json!({"role": "assistant", "content": text});
    } else {
        body["response"] = json!(text);
    }
}

fn last(ask: &Ask, said: &Said) -> Value {
    let mut body = json!({"model": ask.model(), "created_at": "2026-11-20T10:00:01Z", "done": true,
        "done_reason": "stop", "total_duration": 1_000_000_000, "load_duration": 5_000_000});
    say(ask, &mut body, "");
    if !ask.play.no_usage {
        body["prompt_eval_count"] = json!(said.fresh);
        body["eval_count"] = json!(said.output);
    }
    body
}
