//! Usage assist: asked for where it helps, taken out again without a trace, left alone elsewhere.

mod rig;

use gateway::listener::Limits;
use meter::receipt::Status;
use rig::{Got, Rig, STREAM, answering, chunk, json, keyless};
use tokio::sync::mpsc;

const HELLO: &str = "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi\"},\"finish_reason\":null}],\"usage\":null}\n\n";
const STOP: &str = "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":null}\n\n";
const USAGE: &str = "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"model\":\"m\",\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2,\"total_tokens\":5}}\n\n";
const DONE: &str = "data: [DONE]\n\n";

async fn house(answer: Vec<u8>) -> (Rig, mpsc::UnboundedReceiver<Got>) {
    let (address, got) = answering(answer).await;
    let rig = Rig::with(Limits::default(), |snapshot| {
        let mut provider = keyless("up", &format!("http://{address}"));
        provider.usage_assist = true;
        snapshot.providers.insert(provider);
    })
    .await;
    (rig, got)
}

fn streamed(frames: &[&str]) -> Vec<u8> {
    let mut all = STREAM.as_bytes().to_vec();
    all.extend(frames.iter().flat_map(chunk));
    all.extend(chunk(""));
    all
}

fn post(extra: &str, body: &str) -> String {
    rig::post("/v1/chat/completions", body)
        .replace("connection: close\r\n", &format!("connection: close\r\n{extra}"))
}

#[tokio::test]
async fn a_stream_that_would_hide_its_usage_is_asked_and_the_client_does_not_notice() {
    let (mut rig, mut got) = house(streamed(&[HELLO, STOP, USAGE, DONE])).await;
    let answer =
        rig.exchange(post("accept-encoding: gzip, br\r\n", r#"{"model":"m","stream":true}"#)).await;
    let got = got.recv().await.unwrap();
    let sent: serde_json::Value = serde_json::from_slice(&got.body).unwrap();
    assert_eq!(sent["stream_options"]["include_usage"], true);
    assert_eq!(rig::header(&got.head, "content-length"), Some(&*got.body.len().to_string()));
    assert_eq!(rig::header(&got.head, "accept-encoding"), Some("identity"));
    let expected = [HELLO, STOP, DONE].concat();
    assert_eq!(answer.content(), expected.as_bytes());
    let receipt = rig.receipt().await;
    assert!(receipt.assisted);
    assert_eq!(receipt.status, Status::Succeeded);
    assert_eq!((receipt.input_tokens(), receipt.output_tokens()), (3, 2));
    assert_eq!(receipt.response_bytes, expected.len() as u64);
}

#[tokio::test]
async fn frames_cut_anywhere_still_lose_exactly_the_asked_for_one() {
    let all = [HELLO, STOP, USAGE, DONE].concat();
    let pieces: Vec<&str> = (0..all.len()).map(|at| &all[at..=at]).collect();
    let (mut rig, _got) = house(streamed(&pieces)).await;
    let answer = rig.exchange(post("", r#"{"model":"m","stream":true}"#)).await;
    assert_eq!(answer.content(), [HELLO, STOP, DONE].concat().as_bytes());
    assert_eq!(rig.receipt().await.output_tokens(), 2);
}

#[tokio::test]
async fn who_did_not_qualify_is_left_alone() {
    let large = format!(r#"{{"model":"m","stream":true,"x":"{}"}}"#, "x".repeat(1 << 20));
    for (extra, body) in [
        ("", r#"{"model":"m"}"#),
        ("", r#"{"model":"m","stream":true,"stream_options":{"include_usage":false}}"#),
        ("", r#"{"model":"m","stream":true,"stream_options":null}"#),
        ("", r#"{"model":"m","stream":true"#),
        ("", &large),
        ("content-encoding: gzip\r\n", "not really"),
    ] {
        let (mut rig, mut got) = house(json("200 OK", "{}").into()).await;
        rig.exchange(post(extra, body)).await;
        let got = got.recv().await.unwrap();
        assert_eq!(got.body, body.as_bytes());
        assert!(rig::header(&got.head, "accept-encoding").is_none());
        assert!(!rig.receipt().await.assisted);
    }
}

#[tokio::test]
async fn an_error_to_an_asked_question_comes_back_as_it_is() {
    let (mut rig, _got) =
        house(json("400 Bad Request", r#"{"error":{"message":"no"}}"#).into()).await;
    let answer = rig.exchange(post("", r#"{"model":"m","stream":true}"#)).await;
    assert_eq!((answer.status(), &*answer.body), (400, &br#"{"error":{"message":"no"}}"#[..]));
    assert_eq!(answer.header("content-length"), Some("26"));
    assert_eq!(rig.receipt().await.status, Status::Error);
}
