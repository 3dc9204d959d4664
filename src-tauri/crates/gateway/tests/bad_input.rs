//! What nobody should send and somebody will: a clear error or a degraded receipt, nothing lost.

mod rig;

use std::time::Duration;

use gateway::listener::Limits;
use meter::receipt::{Anomaly, Status};
use rig::{Answer, Got, Rig, STREAM, answering, chunk, json, keyless, post, upstream};
use tokio::io::AsyncWriteExt;

#[tokio::test]
async fn a_request_that_is_no_request_is_refused_by_its_shape() {
    let (address, mut got) = answering(json("200 OK", "{}")).await;
    let rig = Rig::before(address).await;
    let bomb: String = (0..200).map(|n| format!("x-{n}: y\r\n")).collect();
    let huge = "y".repeat(1 << 20);
    for (request, status) in [
        (format!("GET /up/x HTTP/1.1\r\nhost: HOST\r\n{bomb}\r\n"), 431),
        (format!("GET /up/x HTTP/1.1\r\nhost: HOST\r\nx: {huge}\r\n\r\n"), 431),
        ("POST /up/x HTTP/1.1\r\nhost: HOST\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabc".into(), 400),
        ("POST /up/x HTTP/1.1\r\nhost: HOST\r\ncontent-length: -3\r\n\r\nabc".into(), 400),
        ("nonsense\r\n\r\n".into(), 400),
    ] {
        let answer = rig.exchange(&request).await;
        assert_eq!(answer.status(), status, "{}", &request[..request.len().min(80)]);
    }
    assert!(got.try_recv().is_err());
}

#[tokio::test]
async fn two_equal_lengths_go_on_as_one() {
    let (address, mut got) = answering(json("200 OK", "{}")).await;
    let rig = Rig::before(address).await;
    let request = "POST /up/x HTTP/1.1\r\nhost: HOST\r\nconnection: close\r\ncontent-length: 3\r\ncontent-length: 3\r\n\r\nabc";
    let answer = rig.exchange(request).await;
    if answer.status() == 200 {
        let head = got.recv().await.unwrap().head;
        assert_eq!(head.matches("content-length").count(), 1, "{head}");
    } else {
        assert_eq!(answer.status(), 400);
    }
}

#[tokio::test]
async fn a_client_that_never_ends_its_head_is_let_go() {
    let (address, _got) = answering("").await;
    let limits = Limits { header_read: Duration::from_millis(300), ..Limits::default() };
    let rig = Rig::with(limits, |snapshot| {
        snapshot.providers.insert(keyless("up", &format!("http://{address}")));
    })
    .await;
    let mut client = rig.connect().await;
    client.write_all(b"POST /up/x HTTP/1.1\r\nhost: 127").await.unwrap();
    let answer = Answer::read(&mut client).await;
    assert!(answer.head.is_empty() || answer.status() == 408, "{}", answer.head);
}

#[tokio::test]
async fn a_clients_broken_chunks_end_in_a_400_and_a_receipt() {
    let address = upstream(|mut stream| async move {
        Got::read(&mut stream).await?;
        Ok(())
    })
    .await;
    let mut rig = Rig::before(address).await;
    for body in ["zz\r\nabc\r\n0\r\n\r\n", "3\r\nabc\r\nzz\r\n"] {
        let request = format!(
            "POST /up/v1/x HTTP/1.1\r\nhost: HOST\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n{body}"
        );
        let answer = rig.exchange(request).await;
        assert!(matches!(answer.status(), 0 | 400), "{}", answer.head);
        assert_eq!(rig.receipt().await.status, Status::Cancelled);
    }
}

#[tokio::test]
async fn an_upstream_that_is_no_http_server_is_a_502() {
    for raw in [
        "SSH-2.0-OpenSSH_9\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabcd",
        "HTTP/1.1 banana\r\n\r\n",
    ] {
        let (address, _got) = answering(raw).await;
        let mut rig = Rig::before(address).await;
        let answer = rig.exchange(post("/v1/chat/completions", "{}")).await;
        assert_eq!(answer.status(), 502, "{raw}");
        assert_eq!(rig.receipt().await.error_type.as_deref(), Some("upstream_invalid"), "{raw}");
    }
}

#[tokio::test]
async fn broken_chunks_of_an_upstream_break_the_answer_and_the_receipt_says_so() {
    let (address, _got) = answering(format!("{STREAM}5\r\nhello\r\nzz\r\n")).await;
    let mut rig = Rig::before(address).await;
    let answer = rig.exchange(post("/v1/chat/completions", r#"{"model":"m","stream":true}"#)).await;
    assert_eq!(rig::unchunked(&answer.body), b"hello");
    assert!(!answer.body.ends_with(b"0\r\n\r\n"));
    assert_eq!(rig.receipt().await.status, Status::Error);
}

#[tokio::test]
async fn garbage_in_an_answer_is_passed_on_and_flagged() {
    for (coding, body) in [
        ("gzip", &b"this is not gzip"[..]),
        ("br", &b"\xff\xff\xff\xff neither is this brotli"[..]),
        ("snappy", &b"who knows"[..]),
    ] {
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-encoding: {coding}\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let (address, _got) = answering([head.as_bytes(), body].concat()).await;
        let mut rig = Rig::before(address).await;
        let answer = rig.exchange(post("/v1/chat/completions", r#"{"model":"m"}"#)).await;
        assert_eq!((answer.header("content-encoding"), &*answer.body), (Some(coding), body));
        let receipt = rig.receipt().await;
        assert!(
            receipt.anomalies.contains(&Anomaly::Unreadable),
            "{coding}: {:?}",
            receipt.anomalies
        );
        assert_eq!(receipt.cost, None);
    }
}

#[tokio::test]
async fn invalid_utf8_in_a_stream_is_passed_on() {
    let frames = [
        &b"data: {\"choices\":[{\"delta\":{\"content\":\"\xff\xfe\"}}]}\n\n"[..],
        b"data: [DONE]\n\n",
    ];
    let raw = [STREAM.as_bytes(), &chunk(frames[0]), &chunk(frames[1]), &chunk("")].concat();
    let (address, _got) = answering(raw).await;
    let mut rig = Rig::before(address).await;
    let answer = rig.exchange(post("/v1/chat/completions", r#"{"model":"m","stream":true}"#)).await;
    assert_eq!(answer.content(), frames.concat());
    rig.receipt().await;
}

#[tokio::test]
async fn an_event_of_40_mib_passes_and_its_usage_is_found() {
    const SIZE: usize = 40 << 20;
    let address = upstream(|mut stream| async move {
        Got::read(&mut stream).await?;
        stream.write_all(STREAM.as_bytes()).await?;
        let start = "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"";
        stream.write_all(&chunk(start)).await?;
        let block = chunk(vec![b'x'; 1 << 20]);
        for _ in 0..SIZE >> 20 {
            stream.write_all(&block).await?;
        }
        let end = "\"},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2,\"total_tokens\":5}}\n\ndata: [DONE]\n\n";
        stream.write_all(&[chunk(end), chunk("")].concat()).await
    })
    .await;
    let mut rig = Rig::before(address).await;
    let answer = rig.exchange(post("/v1/chat/completions", r#"{"model":"m","stream":true}"#)).await;
    assert!(answer.content().len() > SIZE);
    let receipt = rig.receipt().await;
    assert_eq!(receipt.status, Status::Succeeded);
    assert_eq!((receipt.input_tokens(), receipt.output_tokens()), (3, 2));
}

#[tokio::test]
async fn a_secret_that_a_provider_repeats_is_not_kept() {
    let said = r#"{"error":{"message":"Incorrect API key provided: my-own-secret-word. You can find your key at example.test","type":"invalid_request_error"}}"#;
    let (address, _got) = answering(json("401 Unauthorized", said)).await;
    let mut rig = Rig::before(address).await;
    let request = post("/v1/chat/completions", r#"{"model":"m"}"#).replace(
        "connection: close",
        "connection: close\r\nauthorization: Bearer my-own-secret-word",
    );
    let answer = rig.exchange(request).await;
    assert_eq!(answer.body, said.as_bytes());
    let receipt = rig.receipt().await;
    assert!(!format!("{receipt:?}").contains("my-own-secret-word"));
    let kept = receipt.error_message.expect("the provider's sentence");
    assert!(kept.contains("Incorrect API key") && kept.contains("•••"), "{kept}");
}
