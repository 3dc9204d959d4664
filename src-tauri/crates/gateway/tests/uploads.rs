//! Request bodies go up as they arrive, whatever their size, and are read by the way.

mod rig;

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use gateway::listener::Limits;
use meter::receipt::Status;
use rig::{Answer, Got, PATIENCE, Rig, answering, chunk, json, keyless, upstream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;

#[tokio::test]
async fn a_large_body_is_held_back_by_a_slow_upstream_and_arrives_whole() {
    const SIZE: usize = 64 * 1024 * 1024;
    let go = Arc::new(Notify::new());
    let received = Arc::new(AtomicUsize::new(0));
    let (start, count) = (Arc::clone(&go), Arc::clone(&received));
    let address = upstream(move |mut stream| {
        let (start, count) = (Arc::clone(&start), Arc::clone(&count));
        async move {
            let (_, body) = rig::read_head(&mut stream).await?.expect("a request");
            start.notified().await;
            count.fetch_add(body.len(), Ordering::SeqCst);
            let mut block = vec![0; 1 << 20];
            while count.load(Ordering::SeqCst) < SIZE {
                let read = stream.read(&mut block).await?;
                assert!(block[..read].iter().all(|byte| *byte == b'x'));
                count.fetch_add(read, Ordering::SeqCst);
            }
            stream.write_all(json("200 OK", "{}").as_bytes()).await
        }
    })
    .await;
    let mut rig = Rig::before(address).await;
    let (mut read, mut write) = rig.connect().await.into_split();
    let head = format!(
        "POST /up/v1/files HTTP/1.1\r\nhost: HOST\r\ncontent-type: application/octet-stream\r\ncontent-length: {SIZE}\r\n\r\n"
    );
    write.write_all(&rig.addressed(head.as_bytes())).await.unwrap();
    let sent = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&sent);
    let sending = tokio::spawn(async move {
        let block = vec![b'x'; 1 << 20];
        for _ in 0..SIZE >> 20 {
            write.write_all(&block).await.unwrap();
            count.fetch_add(block.len(), Ordering::SeqCst);
        }
        write
    });
    // While upstream reads nothing, sending comes to a stop well before the end.
    let mut last = usize::MAX;
    while sent.load(Ordering::SeqCst) != last || last == 0 {
        last = sent.load(Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert!(last < SIZE / 2, "{last} bytes were taken before upstream read any");
    go.notify_one();
    let mut answer = Vec::new();
    while !answer.ends_with(b"{}") {
        let read = tokio::time::timeout(PATIENCE, read.read_buf(&mut answer)).await;
        assert_ne!(read.expect("in time").unwrap(), 0);
    }
    assert_eq!(received.load(Ordering::SeqCst), SIZE);
    let receipt = rig.receipt().await;
    assert_eq!((receipt.request_bytes, receipt.http_status), (SIZE as u64, Some(200)));
    drop((sending.await.unwrap(), read));
    rig.stop(&[receipt]).await;
}

#[tokio::test]
async fn a_client_that_expects_100_continue_gets_it_and_upstream_does_not_hear_of_it() {
    let (address, mut got) = answering(json("200 OK", "{}")).await;
    let mut rig = Rig::before(address).await;
    let mut client = rig.connect().await;
    let head = "POST /up/v1/chat/completions HTTP/1.1\r\nhost: HOST\r\nexpect: 100-continue\r\ncontent-length: 13\r\n\r\n";
    client.write_all(&rig.addressed(head.as_bytes())).await.unwrap();
    let (interim, rest) = rig::read_head(&mut client).await.unwrap().unwrap();
    assert_eq!((interim.as_str(), rest.len()), ("HTTP/1.1 100 Continue\r\n\r\n", 0));
    client.write_all(br#"{"model":"m"}"#).await.unwrap();
    assert_eq!(Answer::read_one(&mut client).await.status(), 200);
    let got = got.recv().await.unwrap();
    assert!(
        !got.head.to_lowercase().contains("expect") && got.body == br#"{"model":"m"}"#,
        "{}",
        got.head
    );
    let receipt = rig.receipt().await;
    assert_eq!(receipt.model_requested.as_deref(), Some("m"));
}

#[tokio::test]
async fn a_chunked_body_goes_up_in_chunks_and_its_model_is_found_behind_the_messages() {
    let (address, mut got) = answering(json("200 OK", "{}")).await;
    let mut rig = Rig::before(address).await;
    let long = "x".repeat(200_000);
    let body = format!(r#"{{"messages":[{{"role":"user","content":"{long}"}}],"model":"m"}}"#);
    let mut request = b"POST /up/v1/chat/completions HTTP/1.1\r\nhost: HOST\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    for part in body.as_bytes().chunks(7_919) {
        request.extend(chunk(part));
    }
    request.extend(b"0\r\n\r\n");
    assert_eq!(rig.exchange(request).await.status(), 200);
    let got = got.recv().await.unwrap();
    assert_eq!(got.body, body.as_bytes());
    assert!(rig::header(&got.head, "content-length").is_none());
    assert_eq!(rig.receipt().await.model_requested.as_deref(), Some("m"));
}

#[tokio::test]
async fn a_compressed_body_goes_up_as_it_is_and_its_model_is_found() {
    let body = br#"{"messages":[{"role":"user","content":"hello hello hello"}],"model":"m"}"#;
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(body).unwrap();
    let zstd = zstd::bulk::compress(body, 3).unwrap();
    for (coding, bytes, model) in [
        ("gzip", gzip.finish().unwrap(), Some("m")),
        ("zstd", zstd.clone(), Some("m")),
        ("zstd", zstd[..zstd.len() / 2].to_vec(), None),
        ("gzip", b"not gzip at all".to_vec(), None),
        ("snappy", body.to_vec(), None),
    ] {
        let (address, mut got) = answering(json("200 OK", "{}")).await;
        let mut rig = Rig::before(address).await;
        let head = format!(
            "POST /up/v1/chat/completions HTTP/1.1\r\nhost: HOST\r\nconnection: close\r\ncontent-encoding: {coding}\r\ncontent-length: {}\r\n\r\n",
            bytes.len()
        );
        assert_eq!(rig.exchange([head.as_bytes(), &bytes].concat()).await.status(), 200);
        assert_eq!(got.recv().await.unwrap().body, bytes, "{coding}");
        assert_eq!(rig.receipt().await.model_requested.as_deref(), model, "{coding}");
    }
}

#[tokio::test]
async fn a_client_that_stops_sending_is_told_so_and_leaves_a_receipt() {
    let address = upstream(|mut stream| async move {
        Got::read(&mut stream).await?;
        Ok(())
    })
    .await;
    for sent in ["", "half"] {
        let mut rig = Rig::with(Limits::default(), |snapshot| {
            snapshot.providers.insert(keyless("up", &format!("http://{address}")));
            snapshot.timeouts.client_silence = Duration::from_millis(300);
        })
        .await;
        let mut client = rig.connect().await;
        let head = format!(
            "POST /up/v1/x HTTP/1.1\r\nhost: HOST\r\nconnection: close\r\ncontent-length: 100\r\n\r\n{sent}"
        );
        client.write_all(&rig.addressed(head.as_bytes())).await.unwrap();
        assert_eq!(Answer::read(&mut client).await.status(), 408);
        let receipt = rig.receipt().await;
        assert_eq!(receipt.status, Status::Cancelled);
        assert!(receipt.note.is_some());
    }
}

#[tokio::test]
async fn a_large_request_that_is_refused_still_hears_why() {
    let (address, _got) = answering("").await;
    let mut rig = Rig::before(address).await;
    let body = "x".repeat(3 << 20);
    for (path, status) in [("/nobody/v1/x", 404), ("/v1/chat/completions", 401)] {
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: HOST\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let answer = rig.exchange(request).await;
        assert_eq!((answer.status(), answer.closed_cleanly), (status, true));
        assert_eq!(rig.receipt().await.status, Status::Denied);
    }
}

#[tokio::test]
async fn a_large_request_to_nobody_still_hears_why() {
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let mut rig = Rig::before(nobody).await;
    let body = "x".repeat(3 << 20);
    let request = format!(
        "POST /up/v1/x HTTP/1.1\r\nhost: HOST\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = rig.exchange(request).await;
    assert_eq!((answer.status(), answer.closed_cleanly), (502, true));
    let receipt = rig.receipt().await;
    assert_eq!(receipt.error_type.as_deref(), Some("upstream_unreachable"));
}
