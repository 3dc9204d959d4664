//! What a client that asks for it is told behind its answer, and that nothing else changes.

mod rig;

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use gateway::listener::Limits;
use meter::Receipt;
use meter::format::Format;
use meter::provider::Auth;
use rig::{Answer, Rig, STREAM, answering, chunk, json, keyless, post, upstream};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;

const CHAT: &str = r#"{"id":"c1", "model":"gpt-4o-mini","choices":[{"index":0,"message":{"role":"assistant","content":"}"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1000,"completion_tokens":10,"total_tokens":1010}}"#;

/// A chat call with these lines in its head.
fn ask(more: &str) -> String {
    let body = r#"{"model":"gpt-4o-mini","messages":[{"role":"user","content":"hi"}]}"#;
    with(&post("/v1/chat/completions", body), more)
}

fn with(request: &str, more: &str) -> String {
    request.replacen("\r\n\r\n", &format!("\r\n{more}\r\n\r\n"), 1)
}

/// What a client that asks is told of this answer.
async fn told(answer: impl Into<Vec<u8>>, request: &str) -> (Answer, Receipt) {
    let (upstream, _got) = answering(answer).await;
    let mut rig = Rig::before(upstream).await;
    let answer = rig.exchange(request).await;
    let receipt = rig.receipt().await;
    (answer, receipt)
}

#[tokio::test]
async fn a_json_answer_gains_a_last_member_that_says_what_the_receipt_says() {
    let (upstream, mut got) = answering(json("200 OK", CHAT)).await;
    let mut rig = Rig::with(Limits::default(), |snapshot| {
        let mut openai = snapshot.providers.get("openai").expect("built in").clone();
        (openai.auth, openai.base_url) = (Auth::None, Some(format!("http://{upstream}").into()));
        openai.usage_assist = false;
        snapshot.providers.insert(openai);
    })
    .await;
    let request = ask(
        "x-tollgate-meta: 1\r\naccept-encoding: gzip\r\nx-tollgate-tag-workflow: nightly\r\nx-tollgate-customer-data: {\"order\":7} \u{1f6aa}",
    );
    let answer = rig.exchange(request.replace("/up/", "/openai/")).await;
    let receipt = rig.receipt().await;
    let body = String::from_utf8(answer.content()).unwrap();
    let (before, _) = body.split_once(r#","meta":"#).expect("a member");
    assert_eq!(before, &CHAT[..CHAT.len() - 1], "all else stays");
    assert_eq!(answer.header("content-length"), None);
    assert_eq!(answer.header("x-tollgate-meta"), Some("member"));
    let meta = &serde_json::from_str::<Value>(&body).unwrap()["meta"];
    assert_eq!(meta["receipt"], receipt.id.to_string());
    assert_eq!(meta["status"], "succeeded");
    assert_eq!(meta["workspace"], "personal");
    assert_eq!(meta["workflow"], "nightly");
    assert_eq!(meta["customer_data"], "{\"order\":7} \u{1f6aa}");
    assert_eq!(meta["used_provider"], "openai");
    assert_eq!(meta["used_model"], "gpt-4o-mini");
    assert_eq!(meta["duration_ms"], receipt.latency_ms);
    assert_eq!(meta["usage"]["input_tokens"], 1000);
    assert_eq!(meta["usage"]["output_tokens"], 10);
    assert_eq!(meta["usage"]["lines"].as_array().unwrap().len(), 2);
    // 1000 at 0.15 and 10 at 0.60 dollars a million.
    assert_eq!(meta["cost"], "0.000156");
    assert_eq!((&meta["currency"], &meta["cost_state"]), (&json!("USD"), &json!("priced")));
    assert_eq!(meta["attempts"][0]["ended"], "completed");
    assert_eq!(receipt.cost.unwrap().to_string(), "0.000156");
    assert_eq!(receipt.response_bytes, CHAT.len() as u64, "what upstream sent");
    assert!(receipt.note.unwrap().contains("metadata"));
    let head = got.recv().await.unwrap().head;
    assert!(head.contains("accept-encoding: identity") && !head.contains("tollgate"), "{head}");
}

#[tokio::test]
async fn who_does_not_ask_or_may_not_is_told_nothing() {
    for more in ["x-tollgate-customer-data: 7", "x-tollgate-meta: 0", "x-tollgate-meta: please"] {
        let (answer, receipt) = told(json("200 OK", CHAT), &ask(more)).await;
        assert_eq!(answer.content(), CHAT.as_bytes(), "{more}");
        assert_eq!(answer.header("content-length"), Some(&*CHAT.len().to_string()));
        assert_eq!((answer.header("x-tollgate-meta"), receipt.note), (None, None));
    }
    let (upstream, _got) = answering(json("200 OK", CHAT)).await;
    let rig = Rig::with(Limits::default(), |snapshot| {
        snapshot.providers.insert(keyless("up", &format!("http://{upstream}")));
        snapshot.response_meta = false;
    })
    .await;
    assert_eq!(rig.exchange(ask("x-tollgate-meta: 1")).await.content(), CHAT.as_bytes());
}

#[tokio::test]
async fn a_providers_own_meta_is_not_overwritten() {
    let cohere = r#"{"id":"r1","results":[],"meta":{"billed_units":{"search_units":1}}}"#;
    let (answer, _) = told(json("200 OK", cohere), &ask("x-tollgate-meta: 1")).await;
    let told: Value = serde_json::from_slice(&answer.content()).unwrap();
    assert_eq!(told["meta"]["billed_units"]["search_units"], 1);
    assert_eq!(told["tollgate_meta"]["status"], "succeeded");
    let both = r#"{"meta":1,"tollgate_meta":2}"#;
    let (answer, receipt) = told_of(both).await;
    assert_eq!((answer.content(), receipt.note), (both.into(), None));
}

async fn told_of(body: &str) -> (Answer, Receipt) {
    told(json("200 OK", body), &ask("x-tollgate-meta: 1")).await
}

#[tokio::test]
async fn what_has_no_place_for_it_comes_as_it_was_sent() {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(CHAT.as_bytes()).unwrap();
    let gzip = gzip.finish().unwrap();
    let typed = |head: &str, body: &[u8]| {
        let length = body.len();
        let head = format!("HTTP/1.1 {head}\r\ncontent-length: {length}\r\n\r\n");
        [head.as_bytes(), body].concat()
    };
    let object = b"{\"a\":1}";
    let json_of = |body| typed("200 OK\r\ncontent-type: application/json", body);
    for (sent, body, place) in [
        (json_of(b"[{\"a\":1}]"), &b"[{\"a\":1}]"[..], "member"),
        (json_of(b"{\"a\":1"), b"{\"a\":1", "member"),
        (typed("200 OK\r\ncontent-type: text/plain", object), object, "none; type"),
        (typed("200 OK\r\ncontent-type: application/x-ndjson", object), object, "none; type"),
        (typed("200 OK", object), object, "none; type"),
        (typed("429 Slow\r\ncontent-type: application/json", object), object, "none; status"),
        (
            typed("200 OK\r\ncontent-type: application/json\r\ncontent-encoding: gzip", &gzip),
            &gzip,
            "none; compressed",
        ),
        (
            typed("200 OK\r\ncontent-type: application/json\r\ncontent-md5: x", object),
            object,
            "none; digest",
        ),
        (
            typed("206 Part\r\ncontent-type: application/json", object),
            object,
            "none; partial",
        ),
        (json_of(b""), b"", "none; empty"),
        (b"HTTP/1.1 204 No Content\r\n\r\n".to_vec(), b"", "none; empty"),
        (b"HTTP/1.1 304 Not Modified\r\netag: \"x\"\r\n\r\n".to_vec(), b"", "none; status"),
        (
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n".to_vec(),
            b"",
            "member",
        ),
    ] {
        let (answer, receipt) = told(sent, &ask("x-tollgate-meta: 1")).await;
        assert_eq!(answer.content(), body, "{place}: {}", answer.head);
        assert_eq!(answer.header("x-tollgate-meta"), Some(place));
        assert_eq!(receipt.note, None, "nothing was added");
        assert_eq!(receipt.response_bytes, body.len() as u64);
        assert!(answer.closed_cleanly);
    }
}

#[tokio::test]
async fn an_answer_to_head_keeps_the_length_it_names() {
    let request = "HEAD /up/v1/models HTTP/1.1\r\nhost: HOST\r\nconnection: close\r\nx-tollgate-meta: 1\r\n\r\n";
    let sent = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 70\r\n\r\n";
    let (answer, _) = told(sent, request).await;
    assert_eq!(answer.header("content-length"), Some("70"));
    assert_eq!(answer.header("x-tollgate-meta"), Some("none; empty"));
}

const EVENTS: [&str; 3] = [
    "data: {\"id\":\"c1\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\"},\"finish_reason\":null}]}\n\n",
    "data: {\"id\":\"c1\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2,\"total_tokens\":5}}\n\n",
    "data: [DONE]\n\n",
];

fn streamed() -> Vec<u8> {
    let chunks: Vec<u8> = EVENTS.iter().flat_map(chunk).collect();
    [STREAM.as_bytes(), &chunks, b"0\r\n\r\n"].concat()
}

#[tokio::test]
async fn a_stream_ends_with_a_comment_that_readers_of_events_skip() {
    let (answer, receipt) = told(streamed(), &ask("x-tollgate-meta: 1")).await;
    let body = String::from_utf8(answer.content()).unwrap();
    let comment = body.strip_prefix(&EVENTS.concat()).expect("all else stays");
    let line = comment.strip_prefix(": tollgate-meta ").and_then(|c| c.strip_suffix("\n"));
    let meta: Value = serde_json::from_str(line.expect("one comment")).unwrap();
    assert_eq!(answer.header("x-tollgate-meta"), Some("comment"));
    assert_eq!(meta["receipt"], receipt.id.to_string());
    assert_eq!(meta["usage"]["output_tokens"], 2);
    assert_eq!(meta["ttft_ms"].as_u64(), receipt.ttft_ms);
    assert_eq!(receipt.response_bytes, EVENTS.concat().len() as u64);
}

#[tokio::test]
async fn a_stream_of_googles_has_no_comment_because_its_sdks_know_none() {
    let event = "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"x\"}]},\"finishReason\":\"STOP\"}]}\r\n\r\n";
    let request = post("/v1beta/models/m:streamGenerateContent?alt=sse", "{\"contents\":[]}");
    let sent = [STREAM.as_bytes(), &chunk(event), b"0\r\n\r\n"].concat();
    let (answer, receipt) = told(sent, &with(&request, "x-tollgate-meta: 1")).await;
    assert_eq!(answer.content(), event.as_bytes());
    assert_eq!(answer.header("x-tollgate-meta"), Some("none; format"));
    assert_eq!((receipt.format, receipt.note), (Some(Format::GeminiGenerate), None));
}

#[tokio::test]
async fn the_frame_that_assist_asked_for_is_taken_out_and_the_comment_stays() {
    let usage = "data: {\"id\":\"c1\",\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2,\"total_tokens\":5}}\n\n";
    let finish = "data: {\"id\":\"c1\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
    let chunks: Vec<u8> = [EVENTS[0], finish, usage, EVENTS[2]].iter().flat_map(chunk).collect();
    let (upstream, _got) = answering([STREAM.as_bytes(), &chunks, b"0\r\n\r\n"].concat()).await;
    let rig = Rig::with(Limits::default(), |snapshot| {
        let mut provider = keyless("up", &format!("http://{upstream}"));
        provider.usage_assist = true;
        snapshot.providers.insert(provider);
    })
    .await;
    let body = r#"{"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]}"#;
    let answer =
        rig.exchange(with(&post("/v1/chat/completions", body), "x-tollgate-meta: 1")).await;
    let told = String::from_utf8(answer.content()).unwrap();
    let comment = told.strip_prefix(&[EVENTS[0], finish, EVENTS[2]].concat()).expect("no usage");
    assert!(comment.starts_with(": tollgate-meta {") && comment.contains(r#""output_tokens":2"#));
}

#[tokio::test]
async fn an_answer_that_breaks_off_keeps_every_byte_and_is_told_nothing() {
    for (head, piece) in [
        (STREAM.to_owned(), EVENTS[0]),
        (STREAM.replace("text/event-stream", "application/json"), "{\"a\":1} "),
    ] {
        let upstream = upstream(move |mut stream| {
            let sent = [head.as_bytes(), &chunk(piece)].concat();
            async move {
                rig::Got::read(&mut stream).await?;
                stream.write_all(&sent).await
            }
        })
        .await;
        let mut rig = Rig::before(upstream).await;
        let answer = rig.exchange(ask("x-tollgate-meta: 1")).await;
        let receipt = rig.receipt().await;
        assert_eq!(String::from_utf8(answer.content()).unwrap(), piece);
        assert_eq!(receipt.status, meter::receipt::Status::Error);
        assert_eq!(receipt.error_type.as_deref(), Some("upstream_broken"));
    }
}

#[tokio::test]
async fn the_demonstration_tells_too() {
    let rig = Rig::with(Limits::default(), |_| {}).await;
    let request = ask("x-tollgate-meta: true").replace("/up/", "/demo/");
    let answer = rig.exchange(request).await;
    let told: Value = serde_json::from_slice(&answer.content()).unwrap();
    assert_eq!(told["meta"]["workspace"], "demo");
    assert_eq!(told["meta"]["attempts"][0]["provider"], "demo");
}
