//! What a pass is limited to: nothing else leaves under it, however the request is written.

mod rig;

use std::time::Duration;

use gateway::listener::Limits;
use gateway::{PassInfo, StoredKey};
use meter::Allowance;
use meter::receipt::{AttemptEnd, Status, UsageState};
use rig::{Got, PATIENCE, Rig, STREAM, answering, chunk, json, upstream};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

fn allowed(providers: &[&str], models: &[&str]) -> Allowance {
    Allowance {
        providers: providers.iter().map(|id| Box::from(*id)).collect(),
        models: models.iter().map(|name| name.parse().expect("a pattern")).collect(),
    }
}

/// A gateway whose providers all are this upstream, with stored keys for a pass `tg_ci` that is
/// limited to this.
async fn house(
    upstream: std::net::SocketAddr,
    allowance: Allowance,
    cut: CancellationToken,
) -> Rig {
    Rig::with(Limits::default(), |snapshot| {
        let origin = format!("http://{upstream}");
        for id in ["openai", "anthropic", "gemini", "azure"] {
            let mut provider = snapshot.providers.get(id).expect("built in").clone();
            provider.base_url = Some(origin.as_str().into());
            snapshot.providers.insert(provider);
            let secret = format!("sk-{id}").into();
            let key = StoredKey { label: id.into(), secret, origin: origin.as_str().into() };
            snapshot.keys.insert(id, key);
        }
        let (label, workspace) = ("ci".into(), "lab".into());
        let pass =
            PassInfo { label, workspace, may_call: true, allowance, cut, ..PassInfo::default() };
        snapshot.passes.insert(Sha256::digest("tg_ci").into(), pass);
    })
    .await
}

async fn limited(allowance: Allowance) -> (Rig, mpsc::UnboundedReceiver<Got>) {
    let (address, got) = answering(json("200 OK", "{}")).await;
    (house(address, allowance, CancellationToken::new()).await, got)
}

fn post(path: &str, body: &str) -> String {
    with_type(path, "application/json", body)
}

fn with_type(path: &str, kind: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: HOST\r\nconnection: close\r\nauthorization: Bearer tg_ci\r\n\
         content-type: {kind}\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

#[tokio::test]
async fn another_provider_is_denied_in_the_clients_own_format() {
    let (mut rig, mut got) = limited(allowed(&["openai"], &[])).await;
    let answer = rig.exchange(post("/v1/chat/completions", r#"{"model":"m"}"#)).await;
    assert_eq!(answer.status(), 200);
    rig.receipt().await;
    got.recv().await.unwrap();
    for (path, pointer, word) in [
        ("/v1/messages", "/error/type", "permission_error"),
        ("/v1beta/models/m:generateContent", "/error/status", "PERMISSION_DENIED"),
        ("/demo/v1/chat/completions", "/error/code", "pass_limit"),
    ] {
        let answer = rig.exchange(post(path, r#"{"model":"m"}"#)).await;
        assert_eq!(answer.status(), 403, "{path}");
        assert_eq!(answer.json().pointer(pointer), Some(&word.into()), "{path}");
        let receipt = rig.receipt().await;
        let said = receipt.error_message.unwrap();
        assert!(
            said.contains("`ci`") && said.contains("`openai`") && said.contains("passes edit ci"),
            "{said}"
        );
        assert_eq!(
            (receipt.status, receipt.error_type.as_deref()),
            (Status::Denied, Some("pass_limit"))
        );
        assert_eq!((receipt.pass.as_deref(), &*receipt.workspace), (Some("ci"), "lab"));
    }
    assert!(got.try_recv().is_err(), "something reached upstream");
}

#[tokio::test]
async fn only_an_allowed_model_leaves_wherever_it_is_named() {
    let (mut rig, mut got) = limited(allowed(&[], &["gpt-4o*", "gemini-2.5-flash"])).await;
    let form = "--b\r\ncontent-disposition: form-data; name=\"model\"\r\n\r\ngpt-4o-transcribe\r\n--b--\r\n";
    let late =
        format!(r#"{{"messages":[{{"content":"{}"}}],"model":"gpt-4o"}}"#, "x".repeat(3 << 20));
    for request in [
        post("/v1/chat/completions", r#"{"model":"gpt-4o"}"#),
        post("/v1/chat/completions", r#"{"messages":[],"mod\u0065l":"gpt-4o-mini"}"#),
        post("/v1/chat/completions", &late),
        post("/v1beta/models/gemini-2.5-flash:generateContent", r#"{"contents":[]}"#),
        post("/azure/openai/deployments/gpt-4o/chat/completions", r#"{"model":"whatever"}"#),
        with_type("/v1/audio/transcriptions", "multipart/form-data; boundary=b", form),
        "GET /v1/models HTTP/1.1\r\nhost: HOST\r\nconnection: close\r\nx-api-key: tg_ci\r\n\r\n"
            .into(),
    ] {
        let head = request.lines().next().unwrap().to_owned();
        assert_eq!(rig.exchange(request).await.status(), 200, "{head}");
        assert_eq!(rig.receipt().await.status, Status::Succeeded);
        got.recv().await.unwrap();
    }
}

#[tokio::test]
async fn no_other_model_and_no_unclear_request_leaves() {
    let (mut rig, mut got) = limited(allowed(&[], &["gpt-4o*"])).await;
    let form =
        "--b\r\ncontent-disposition: form-data; name=\"model\"\r\n\r\nwhisper-1\r\n--b--\r\n";
    let two = "--b\r\ncontent-disposition: form-data; name=\"model\"\r\n\r\ngpt-4o\r\n\
               --b\r\ncontent-disposition: form-data; name=\"model\"\r\n\r\nwhisper-1\r\n--b--\r\n";
    let chat = "/v1/chat/completions";
    let never =
        format!(r#"{{"messages":[{{"content":"{}"}}],"model":"gpt-4o"}}"#, "x".repeat(9 << 20));
    for request in [
        post(chat, r#"{"model":"gpt-5.1"}"#),
        post(chat, r#"{"model":"GPT-4o"}"#),
        post(chat, r#"{"messages":[]}"#),
        post(chat, r#"{"model":["gpt-4o"]}"#),
        post(chat, r#"{"model":"gpt-4o","model":"gpt-5.1"}"#),
        post(chat, r#"{"model":"gpt-5.1","model":"gpt-4o"}"#),
        post(chat, r#"{"model":"gpt-4o","Model":"gpt-5.1"}"#),
        post(chat, r#"{"model":"gpt-4o","mod\u0065l":"gpt-5.1"}"#),
        post(chat, r#"{"model":"gpt-4o","model":null}"#),
        post(chat, r#"{"model":"gpt-4o","models":["gpt-5.1"]}"#),
        post(chat, r#"{"model":"gpt-4o","x":NaN,"model":"gpt-5.1"}"#),
        post(chat, r#"{"model":"gpt-4o"}{"model":"gpt-5.1"}"#),
        post(chat, ""),
        post(chat, "not json"),
        post(chat, &never),
        post("/v1/batches", r#"{"input_file_id":"f"}"#),
        post("/v1beta/models/gemini-2.5-pro:generateContent", r#"{"model":"gpt-4o"}"#),
        post("/azure/openai/deployments/secret/chat/completions", r#"{"model":"gpt-4o"}"#),
        post("/azure/x/../openai/deployments/gpt-4o/chat/completions", r#"{"model":"gpt-4o"}"#),
        post("/azure/x/%2e%2e/openai/deployments/gpt-4o/chat/completions", "{}"),
        with_type("/v1/audio/transcriptions", "multipart/form-data; boundary=b", form),
        with_type("/v1/audio/transcriptions", "multipart/form-data; boundary=b", two),
        post("/demo/v1/chat/completions", r#"{"model":"demo"}"#),
    ] {
        let shown: String = request.chars().filter(|c| *c != 'x').take(400).collect();
        let answer = rig.exchange(request).await;
        assert_eq!(answer.status(), 403, "{shown}");
        let receipt = rig.receipt().await;
        assert_eq!(
            (receipt.status, receipt.error_type.as_deref()),
            (Status::Denied, Some("pass_limit")),
            "{shown}"
        );
        assert!(receipt.error_message.unwrap().contains("`gpt-4o*`"), "{shown}");
        assert!(receipt.attempts.is_empty() && receipt.usage_state == UsageState::None);
    }
    assert!(got.try_recv().is_err(), "something reached upstream");
}

#[tokio::test]
async fn a_second_model_behind_megabytes_breaks_the_request_before_its_end() {
    let (whole, mut told) = mpsc::unbounded_channel();
    let address = upstream(move |mut stream| {
        let whole = whole.clone();
        async move {
            let is_whole = Got::read(&mut stream).await.is_ok_and(|got| got.is_some());
            let _ = whole.send(is_whole);
            Ok(())
        }
    })
    .await;
    let allowance = allowed(&[], &["gpt-4o"]);
    let mut rig = house(address, allowance, CancellationToken::new()).await;
    let long = "x".repeat(4 << 20);
    let body =
        format!(r#"{{"model":"gpt-4o","messages":["{long}"],"model":"gpt-5.1","x":"{long}"}}"#);
    let answer = rig.exchange(post("/v1/chat/completions", &body)).await;
    assert_eq!(answer.status(), 403);
    let receipt = rig.receipt().await;
    assert_eq!(
        (receipt.status, receipt.error_type.as_deref()),
        (Status::Denied, Some("pass_limit"))
    );
    let got = tokio::time::timeout(PATIENCE, told.recv()).await.expect("upstream is told");
    assert_eq!(got, Some(false), "upstream got a whole request");
}

#[tokio::test]
async fn a_pass_that_is_revoked_and_cut_ends_its_streams_at_once() {
    let words = "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi\"},\"finish_reason\":null}]}\n\n";
    let (gone, mut told) = mpsc::unbounded_channel();
    let address = upstream(move |mut stream| {
        let gone = gone.clone();
        async move {
            Got::read(&mut stream).await?;
            stream.write_all(STREAM.as_bytes()).await?;
            stream.write_all(&chunk(words)).await?;
            while stream.read(&mut [0; 16]).await.is_ok_and(|n| n > 0) {}
            let _ = gone.send(());
            Ok(())
        }
    })
    .await;
    let cut = CancellationToken::new();
    let mut rig = house(address, Allowance::default(), cut.clone()).await;
    let mut client = rig.connect().await;
    let request = post("/v1/chat/completions", r#"{"model":"m","stream":true}"#);
    client.write_all(&rig.addressed(request.as_bytes())).await.unwrap();
    let mut seen = Vec::new();
    while !String::from_utf8_lossy(&seen).contains("Hi") {
        assert_ne!(client.read_buf(&mut seen).await.unwrap(), 0);
    }
    cut.cancel();
    // The connection ends without the last chunk: no client takes that for a whole answer.
    let rest = tokio::time::timeout(PATIENCE, client.read_to_end(&mut seen)).await;
    assert!(rest.is_ok(), "the stream goes on");
    assert!(!seen.ends_with(b"0\r\n\r\n"));
    tokio::time::timeout(PATIENCE, told.recv()).await.expect("upstream is let go").unwrap();
    let receipt = rig.receipt().await;
    assert_eq!(
        (receipt.status, receipt.error_type.as_deref()),
        (Status::Cancelled, Some("pass_revoked"))
    );
    assert!(receipt.note.unwrap().contains("revoked"));
    assert_eq!(receipt.attempts[0].ended, AttemptEnd::Abandoned);
}

#[tokio::test]
async fn a_pass_that_is_cut_before_an_answer_began_hears_why() {
    let (asked, mut told) = mpsc::unbounded_channel();
    let address = upstream(move |mut stream| {
        let asked = asked.clone();
        async move {
            Got::read(&mut stream).await?;
            let _ = asked.send(());
            while stream.read(&mut [0; 16]).await.is_ok_and(|n| n > 0) {}
            Ok(())
        }
    })
    .await;
    let cut = CancellationToken::new();
    let mut rig = house(address, Allowance::default(), cut.clone()).await;
    let mut client = rig.connect().await;
    client
        .write_all(&rig.addressed(post("/v1/messages", r#"{"model":"m"}"#).as_bytes()))
        .await
        .unwrap();
    tokio::time::timeout(PATIENCE, told.recv()).await.expect("it left").unwrap();
    cut.cancel();
    let answer = rig::Answer::read(&mut client).await;
    assert_eq!(
        (answer.status(), &answer.json()["error"]["type"]),
        (403, &"permission_error".into())
    );
    let receipt = rig.receipt().await;
    assert_eq!((receipt.status, receipt.usage_state), (Status::Cancelled, UsageState::Missing));
    assert!(Duration::from_millis(receipt.latency_ms) < PATIENCE);
}
