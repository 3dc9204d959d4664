//! What a client sends is what upstream gets, and what upstream answers is what the client gets.

mod rig;

use meter::receipt::{Kind, Status};
use rig::{Got, Rig, STREAM, answering, chunk, json, post, upstream};
use tokio::io::AsyncWriteExt;

#[tokio::test]
async fn path_headers_and_body_arrive_as_they_were_sent() {
    let (address, mut got) = answering(json("200 OK", "{}")).await;
    let mut rig = Rig::before(address).await;
    let body = r#"{"model":"m","messages":[]}"#;
    let answer = rig
        .exchange(format!(
            "POST /up//v1/a%2Fb/../%7euser/chat/completions?x=%20&y=a+b HTTP/1.1\r\nHost: HOST\r\nX-Zebra: 1\r\n\
             User-Agent: Test/1.0 (x)\r\nConnection: close, X-Hop\r\nX-Hop: gone\r\naccept: a\r\nX-TOLLGATE-TAG-Team: core\r\n\
             X-Alpha:  two  words \r\naccept: b\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ))
        .await;
    assert_eq!(answer.status(), 200);
    let got = got.recv().await.unwrap();
    assert_eq!(
        got.head,
        format!(
            "POST //v1/a%2Fb/../%7euser/chat/completions?x=%20&y=a+b HTTP/1.1\r\nHost: {address}\r\nX-Zebra: 1\r\n\
             User-Agent: Test/1.0 (x)\r\naccept: a\r\naccept: b\r\nX-Alpha: two  words\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        )
    );
    assert_eq!(got.body, body.as_bytes());
    let receipt = rig.receipt().await;
    assert_eq!(receipt.client.as_deref(), Some("Test/1.0"));
    assert_eq!(receipt.tags.get("team").map(|tag| &**tag), Some("core"));
    assert_eq!((&*receipt.provider, receipt.kind), ("up", Kind::Chat));
    assert_eq!(receipt.model_requested.as_deref(), Some("m"));
    assert_eq!(&*receipt.upstream, format!("http://{address}"));
    assert_eq!(receipt.request_bytes, body.len() as u64);
    assert_eq!(receipt.attempts.len(), 1);
    rig.stop(&[receipt]).await;
}

#[tokio::test]
async fn status_headers_and_bytes_come_back_as_they_were_sent() {
    let raw = "HTTP/1.1 418 I Am A Teapot\r\nX-Request-ID: req_1\r\nConnection: close, x-hop\r\nx-hop: gone\r\n\
               Set-Cookie: a\r\nset-cookie: b\r\nContent-Length: 5\r\n\r\n\x01\x02\u{7f}ab";
    let (address, _got) = answering(raw).await;
    let mut rig = Rig::before(address).await;
    let answer =
        rig.exchange("GET /up/x HTTP/1.1\r\nhost: HOST\r\nconnection: close\r\n\r\n").await;
    let receipt = rig.receipt().await;
    assert_eq!(
        answer.head,
        format!(
            "HTTP/1.1 418 I Am A Teapot\r\nX-Request-ID: req_1\r\nSet-Cookie: a\r\nset-cookie: b\r\n\
             Content-Length: 5\r\nx-tollgate-receipt: {}\r\nConnection: close\r\n\r\n",
            receipt.id
        )
    );
    assert_eq!(answer.body, b"\x01\x02\x7fab");
    assert_eq!(receipt.upstream_request_id.as_deref(), Some("req_1"));
    assert_eq!((receipt.http_status, receipt.status), (Some(418), Status::Error));
    assert_eq!(receipt.response_bytes, 5);
}

#[tokio::test]
async fn answers_without_a_body_end_and_leave_receipts() {
    for (status, extra) in [
        ("204 No Content", ""),
        ("304 Not Modified", "etag: x\r\n"),
        ("200 OK", "content-length: 0\r\n"),
    ] {
        let (address, _got) = answering(format!("HTTP/1.1 {status}\r\n{extra}\r\n")).await;
        let mut rig = Rig::before(address).await;
        let answer = rig
            .exchange("GET /up/v1/models HTTP/1.1\r\nhost: HOST\r\nconnection: close\r\n\r\n")
            .await;
        assert!(answer.head.starts_with(&format!("HTTP/1.1 {status}")), "{}", answer.head);
        assert!(answer.body.is_empty());
        let receipt = rig.receipt().await;
        assert_eq!(receipt.status, Status::Succeeded, "{status}");
        rig.stop(&[receipt]).await;
    }
}

#[tokio::test]
async fn a_head_request_keeps_the_length_of_what_it_did_not_get() {
    let (address, mut got) = answering("HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n").await;
    let mut rig = Rig::before(address).await;
    let answer = rig
        .exchange("HEAD /up/v1/files/1 HTTP/1.1\r\nhost: HOST\r\nconnection: close\r\n\r\n")
        .await;
    assert_eq!(answer.header("content-length"), Some("1234"));
    assert!(answer.body.is_empty());
    assert!(got.recv().await.unwrap().head.starts_with("HEAD /v1/files/1 "));
    let receipt = rig.receipt().await;
    rig.stop(&[receipt]).await;
}

#[tokio::test]
async fn frames_are_passed_on_when_they_come_not_when_they_are_enough() {
    let (send, receive) = tokio::sync::mpsc::unbounded_channel::<&'static str>();
    let receive = std::sync::Arc::new(tokio::sync::Mutex::new(receive));
    let address = upstream(move |mut stream| {
        let receive = std::sync::Arc::clone(&receive);
        async move {
            Got::read(&mut stream).await?;
            stream.write_all(STREAM.as_bytes()).await?;
            while let Some(frame) = receive.lock().await.recv().await {
                stream.write_all(&chunk(frame)).await?;
            }
            stream.write_all(b"0\r\n\r\n").await
        }
    })
    .await;
    let mut rig = Rig::before(address).await;
    let mut client = rig.connect().await;
    let request = post("/v1/chat/completions", r#"{"model":"m","stream":true}"#);
    client.write_all(&rig.addressed(request.as_bytes())).await.unwrap();
    let (head, mut body) = rig::read_head(&mut client).await.unwrap().unwrap();
    assert!(head.contains("transfer-encoding: chunked"), "{head}");
    let frames = ["data: {\"a\":", "1}\n\ndata: \u{e9}", "\n", "\ndata: [DONE]\n\n"];
    for (at, frame) in frames.iter().enumerate() {
        send.send(frame).unwrap();
        let so_far = frames[..=at].concat();
        while rig::unchunked(&body) != so_far.as_bytes() {
            let read = tokio::io::AsyncReadExt::read_buf(&mut client, &mut body);
            assert_ne!(
                tokio::time::timeout(rig::PATIENCE, read).await.expect("not held back").unwrap(),
                0
            );
        }
    }
    drop(send);
    let receipt = rig.receipt().await;
    assert!(receipt.stream || receipt.format.is_some());
    assert_eq!(receipt.response_bytes, frames.concat().len() as u64);
    rig.stop(&[receipt]).await;
}

#[tokio::test]
async fn connections_are_kept_and_used_again_on_both_legs() {
    let (address, connections) = rig::keeping_alive().await;
    let mut rig = Rig::before(address).await;
    let mut client = rig.connect().await;
    let mut receipts = Vec::new();
    for _ in 0..5 {
        let request =
            "POST /up/v1/embeddings HTTP/1.1\r\nhost: HOST\r\ncontent-length: 2\r\n\r\n{}";
        client.write_all(&rig.addressed(request.as_bytes())).await.unwrap();
        let answer = rig::Answer::read_one(&mut client).await;
        assert_eq!((answer.status(), &*answer.body), (200, &b"{}"[..]));
        receipts.push(rig.receipt().await);
    }
    assert_eq!(connections.load(std::sync::atomic::Ordering::SeqCst), 1);
    drop(client);
    rig.stop(&receipts).await;
}

#[tokio::test]
async fn redirects_are_handed_to_the_client() {
    let (address, mut got) = answering("HTTP/1.1 307 Temporary Redirect\r\nlocation: http://elsewhere.test/\r\ncontent-length: 0\r\n\r\n").await;
    let mut rig = Rig::before(address).await;
    let answer = rig.exchange(post("/v1/chat/completions", "{}")).await;
    assert_eq!((answer.status(), answer.header("location")), (307, Some("http://elsewhere.test/")));
    got.recv().await.unwrap();
    assert!(got.try_recv().is_err());
    let receipt = rig.receipt().await;
    rig.stop(&[receipt]).await;
}
