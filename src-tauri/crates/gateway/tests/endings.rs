//! However a call ends, its receipt says so, once; and upstream is not kept working for nobody.

mod rig;

use std::time::Duration;

use gateway::listener::Limits;
use meter::receipt::{AttemptEnd, Status};
use rig::{Answer, Got, PATIENCE, Rig, STREAM, answering, chunk, json, keyless, post, upstream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

const WORDS: &str = "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi\"},\"finish_reason\":null}]}\n\n";
const LAST: &str = "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
const USAGE: &str = "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"model\":\"m\",\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2,\"total_tokens\":5}}\n\n";
const DONE: &str = "data: [DONE]\n\n";

fn chat() -> String {
    post(
        "/v1/chat/completions",
        r#"{"model":"m","stream":true,"stream_options":{"include_usage":true}}"#,
    )
}

/// An upstream that sends `first`, tells when its client is gone, and meanwhile sends what it is told to.
async fn streaming(
    first: &'static [&'static str],
) -> (std::net::SocketAddr, mpsc::UnboundedReceiver<()>) {
    let (gone, told) = mpsc::unbounded_channel();
    let address = upstream(move |mut stream| {
        let gone = gone.clone();
        async move {
            Got::read(&mut stream).await?;
            stream.write_all(STREAM.as_bytes()).await?;
            for frame in first {
                stream.write_all(&chunk(frame)).await?;
            }
            // Nothing more comes from the gateway: this ends when it hangs up.
            while stream.read(&mut [0; 16]).await.is_ok_and(|n| n > 0) {}
            let _ = gone.send(());
            Ok(())
        }
    })
    .await;
    (address, told)
}

/// Starts a call and waits until the client has got this much of the answer's content.
async fn begin(rig: &Rig, request: String, content: &str) -> TcpStream {
    let mut client = rig.connect().await;
    client.write_all(&rig.addressed(request.as_bytes())).await.expect("sent");
    let head = rig::read_head(&mut client).await.expect("read");
    let (head, mut body) = head.expect("an answer");
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    while !String::from_utf8_lossy(&rig::unchunked(&body)).contains(content) {
        assert_ne!(client.read_buf(&mut body).await.expect("read"), 0);
    }
    client
}

async fn within<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("in time")
}

#[tokio::test]
async fn a_client_that_hangs_up_cancels_upstream_at_once_and_leaves_a_receipt() {
    let (address, mut gone) = streaming(&[WORDS]).await;
    let mut rig = Rig::before(address).await;
    drop(begin(&rig, chat(), "Hi").await);
    within(gone.recv()).await.unwrap();
    let receipt = rig.receipt().await;
    assert_eq!(receipt.status, Status::Cancelled);
    assert_eq!(receipt.attempts[0].ended, AttemptEnd::Abandoned);
    assert!(receipt.stream && receipt.ttft_ms.is_some());
    rig.stop(&[receipt]).await;
}

#[tokio::test]
async fn a_client_that_hangs_up_before_the_answer_leaves_a_receipt() {
    let (sender, mut events) = mpsc::unbounded_channel();
    let address = upstream(move |mut stream| {
        let sender = sender.clone();
        async move {
            Got::read(&mut stream).await?;
            let _ = sender.send("got it");
            while stream.read(&mut [0; 16]).await.is_ok_and(|n| n > 0) {}
            let _ = sender.send("gone");
            Ok(())
        }
    })
    .await;
    let mut rig = Rig::before(address).await;
    let mut client = rig.connect().await;
    client.write_all(&rig.addressed(chat().as_bytes())).await.unwrap();
    assert_eq!(within(events.recv()).await, Some("got it"));
    drop(client);
    assert_eq!(within(events.recv()).await, Some("gone"));
    let receipt = rig.receipt().await;
    assert_eq!((receipt.status, receipt.http_status), (Status::Cancelled, None));
    assert_eq!(receipt.model_requested.as_deref(), Some("m"));
    assert!(receipt.note.is_some() && receipt.cost.is_none());
    rig.stop(&[receipt]).await;
}

#[tokio::test]
async fn a_client_that_hangs_up_within_its_request_leaves_a_receipt() {
    let (address, mut got) = answering("").await;
    let mut rig = Rig::before(address).await;
    let mut client = rig.connect().await;
    let head =
        "POST /up/v1/x HTTP/1.1\r\nhost: HOST\r\nexpect: 100-continue\r\ncontent-length: 9\r\n\r\n";
    client.write_all(&rig.addressed(head.as_bytes())).await.unwrap();
    within(rig::read_head(&mut client)).await.unwrap();
    drop(client);
    let receipt = rig.receipt().await;
    assert_eq!(receipt.status, Status::Cancelled);
    assert!(got.try_recv().is_err());
    rig.stop(&[receipt]).await;
}

#[tokio::test]
async fn usage_is_still_read_when_the_client_leaves_right_after_the_content() {
    let (go, wait) = mpsc::unbounded_channel::<()>();
    let wait = std::sync::Arc::new(tokio::sync::Mutex::new(wait));
    let address = upstream(move |mut stream| {
        let wait = std::sync::Arc::clone(&wait);
        async move {
            Got::read(&mut stream).await?;
            stream.write_all(&[STREAM.as_bytes(), &chunk(WORDS), &chunk(LAST)].concat()).await?;
            wait.lock().await.recv().await;
            stream.write_all(&[chunk(USAGE), chunk(DONE), chunk("")].concat()).await
        }
    })
    .await;
    let mut rig = Rig::before(address).await;
    drop(begin(&rig, chat(), "stop").await);
    // The gateway notices, and waits for the tail.
    within(async {
        while rig.lifetime.tasks.is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    go.send(()).unwrap();
    let receipt = rig.receipt().await;
    assert_eq!(receipt.status, Status::Succeeded);
    assert!(receipt.client_left_early);
    assert_eq!((receipt.input_tokens(), receipt.output_tokens()), (3, 2));
    rig.stop(&[receipt]).await;
}

#[tokio::test]
async fn an_upstream_that_breaks_off_is_an_error_and_the_client_sees_the_break() {
    let (address, _gone) = streaming_then_closing(&[WORDS]).await;
    let mut rig = Rig::before(address).await;
    let answer = rig.exchange(chat()).await;
    assert_eq!(rig::unchunked(&answer.body), WORDS.as_bytes());
    assert!(!answer.body.ends_with(b"0\r\n\r\n"), "a broken stream must not look complete");
    let receipt = rig.receipt().await;
    assert_eq!((receipt.status, receipt.http_status), (Status::Error, Some(200)));
    assert_eq!(receipt.attempts[0].ended, AttemptEnd::Broken);
    rig.stop(&[receipt]).await;
}

async fn streaming_then_closing(first: &'static [&'static str]) -> (std::net::SocketAddr, ()) {
    let address = upstream(move |mut stream| async move {
        Got::read(&mut stream).await?;
        stream.write_all(STREAM.as_bytes()).await?;
        for frame in first {
            stream.write_all(&chunk(frame)).await?;
        }
        Ok(())
    })
    .await;
    (address, ())
}

#[tokio::test]
async fn an_upstream_that_closes_without_an_answer_is_a_502() {
    let address = upstream(|mut stream| async move {
        Got::read(&mut stream).await?;
        Ok(())
    })
    .await;
    let mut rig = Rig::before(address).await;
    let answer = rig.exchange(chat()).await;
    assert_eq!(answer.status(), 502);
    assert_eq!(answer.json()["error"]["code"], "upstream_broken");
    let receipt = rig.receipt().await;
    assert_eq!(
        (receipt.status, receipt.error_type.as_deref()),
        (Status::Error, Some("upstream_broken"))
    );
    assert_eq!(receipt.cost, None);
    rig.stop(&[receipt]).await;
}

#[tokio::test]
async fn a_silent_upstream_is_given_up_before_and_within_its_answer() {
    let (never, _got) = answering("").await;
    let (stalls, _gone) = streaming(&[WORDS]).await;
    let mut rig = Rig::with(Limits::default(), |snapshot| {
        snapshot.providers.insert(keyless("never", &format!("http://{never}")));
        snapshot.providers.insert(keyless("up", &format!("http://{stalls}")));
        snapshot.timeouts.upstream_silence = Duration::from_millis(300);
    })
    .await;
    let answer = rig.exchange(chat().replace("/up/", "/never/")).await;
    assert_eq!(
        (answer.status(), &answer.json()["error"]["code"]),
        (504, &"upstream_timeout".into())
    );
    let first = rig.receipt().await;
    assert_eq!(
        (first.status, first.error_type.as_deref()),
        (Status::Error, Some("upstream_timeout"))
    );
    assert_eq!(first.attempts[0].ended, AttemptEnd::TimedOut);
    let answer = rig.exchange(chat()).await;
    assert_eq!(rig::unchunked(&answer.body), WORDS.as_bytes());
    let second = rig.receipt().await;
    assert_eq!((second.status, second.attempts[0].ended), (Status::Error, AttemptEnd::TimedOut));
    rig.stop(&[first, second]).await;
}

#[tokio::test]
async fn an_upstream_that_is_not_there_is_a_502_that_says_where_to_look() {
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let mut rig = Rig::with(Limits::default(), |snapshot| {
        snapshot.providers.insert(keyless("up", &format!("http://{nobody}")));
        snapshot.providers.insert(keyless("noname", "http://nothing.invalid"));
        snapshot.providers.insert(keyless("notls", &format!("https://{nobody}")));
    })
    .await;
    for (provider, code) in [
        ("up", "upstream_unreachable"),
        ("noname", "upstream_dns"),
        ("notls", "upstream_unreachable"),
    ] {
        let answer = rig.exchange(chat().replace("/up/", &format!("/{provider}/"))).await;
        assert_eq!((answer.status(), &answer.json()["error"]["code"]), (502, &code.into()));
        let receipt = rig.receipt().await;
        assert_eq!(answer.header("x-tollgate-receipt"), Some(&*receipt.id.to_string()));
        assert_eq!((receipt.status, receipt.error_type.as_deref()), (Status::Error, Some(code)));
        assert_eq!(receipt.attempts[0].ended, AttemptEnd::Unreachable);
    }
}

#[tokio::test]
async fn an_upstream_that_speaks_no_tls_is_told_apart() {
    let address =
        upstream(|mut stream| async move { stream.write_all(b"HTTP/1.1 400 Bad\r\n\r\n").await })
            .await;
    let mut rig = Rig::with(Limits::default(), |snapshot| {
        snapshot.providers.insert(keyless("up", &format!("https://{address}")));
    })
    .await;
    let answer = rig.exchange(chat()).await;
    assert_eq!((answer.status(), &answer.json()["error"]["code"]), (502, &"upstream_tls".into()));
    let receipt = rig.receipt().await;
    assert_eq!(receipt.error_type.as_deref(), Some("upstream_tls"));
}

#[tokio::test]
async fn stopping_lets_streams_end_by_themselves() {
    let (go, wait) = mpsc::unbounded_channel::<()>();
    let wait = std::sync::Arc::new(tokio::sync::Mutex::new(wait));
    let address = upstream(move |mut stream| {
        let wait = std::sync::Arc::clone(&wait);
        async move {
            Got::read(&mut stream).await?;
            stream.write_all(&[STREAM.as_bytes(), &chunk(WORDS)].concat()).await?;
            wait.lock().await.recv().await;
            stream.write_all(&[chunk(LAST), chunk(USAGE), chunk(DONE), chunk("")].concat()).await
        }
    })
    .await;
    let rig = Rig::before(address).await;
    let mut client = begin(&rig, chat(), "Hi").await;
    rig.lifetime.stop.cancel();
    go.send(()).unwrap();
    let mut rest = Vec::new();
    within(client.read_to_end(&mut rest)).await.unwrap();
    assert!(rest.ends_with(b"0\r\n\r\n"), "the stream was cut");
    let receipts = rig.stop(&[]).await;
    assert_eq!(receipts[0].status, Status::Succeeded);
}

#[tokio::test]
async fn stopping_cuts_what_does_not_end_and_the_receipt_says_why() {
    let (address, mut gone) = streaming(&[WORDS]).await;
    let limits = Limits { grace: Duration::from_millis(100), ..Limits::default() };
    let rig = Rig::with(limits, |snapshot| {
        snapshot.providers.insert(keyless("up", &format!("http://{address}")));
    })
    .await;
    let client = begin(&rig, chat(), "Hi").await;
    let receipts = rig.stop(&[]).await;
    within(gone.recv()).await.unwrap();
    assert_eq!(receipts.len(), 1);
    assert_eq!(receipts[0].status, Status::Error);
    assert_eq!(receipts[0].error_type.as_deref(), Some("tollgate_stopped"));
    assert!(receipts[0].note.is_some());
    drop(client);
}

#[tokio::test]
async fn a_client_that_stops_reading_is_given_up_and_upstream_waits_meanwhile() {
    let sent = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = std::sync::Arc::clone(&sent);
    let (stopped, mut told) = mpsc::unbounded_channel();
    let address = upstream(move |mut stream| {
        let (count, stopped) = (std::sync::Arc::clone(&count), stopped.clone());
        async move {
            Got::read(&mut stream).await?;
            stream.write_all(STREAM.as_bytes()).await?;
            let block = chunk(vec![b'x'; 64 * 1024]);
            // An upstream that never ends.
            while stream.write_all(&block).await.is_ok() {
                count.fetch_add(block.len(), std::sync::atomic::Ordering::SeqCst);
            }
            let _ = stopped.send(());
            Ok(())
        }
    })
    .await;
    let limits = Limits { write_stall: Duration::from_millis(500), ..Limits::default() };
    let mut rig = Rig::with(limits, |snapshot| {
        snapshot.providers.insert(keyless("up", &format!("http://{address}")));
    })
    .await;
    let mut client = rig.connect().await;
    client.write_all(&rig.addressed(chat().as_bytes())).await.unwrap();
    within(told.recv()).await.unwrap();
    let receipt = rig.receipt().await;
    assert_eq!(receipt.status, Status::Cancelled);
    // Socket buffers, and no more: nothing of the answer was collected.
    let sent = sent.load(std::sync::atomic::Ordering::SeqCst);
    assert!(sent < 32 * 1024 * 1024, "{sent} bytes were taken for a client that read none");
    rig.stop(&[receipt]).await;
}

#[tokio::test]
async fn every_one_of_many_hurried_calls_has_exactly_one_receipt() {
    let address = upstream(|mut stream| async move {
        let mut turn = 0;
        while Got::read(&mut stream).await?.is_some() {
            turn += 1;
            match turn % 4 {
                0 => {
                    stream
                        .write_all(
                            &[STREAM.as_bytes(), &chunk(WORDS), &chunk(DONE), &chunk("")].concat(),
                        )
                        .await?
                }
                1 => stream.write_all(json("200 OK", "{}").as_bytes()).await?,
                2 => {
                    stream
                        .write_all(
                            json("429 Too Many Requests", r#"{"error":{"message":"slow down"}}"#)
                                .as_bytes(),
                        )
                        .await?
                }
                _ => return stream.write_all(&[STREAM.as_bytes(), &chunk(WORDS)].concat()).await,
            }
        }
        Ok(())
    })
    .await;
    let mut rig = Rig::before(address).await;
    let mut calls = tokio::task::JoinSet::new();
    for number in 0..120_u64 {
        let request = rig.addressed(chat().as_bytes());
        let mut stream = rig.connect().await;
        calls.spawn(async move {
            if number % 5 == 0 {
                // Some send half of it and go, some go without reading.
                let _ = stream.write_all(&request[..request.len() / 2]).await;
            } else if number % 7 == 0 {
                let _ = stream.write_all(&request).await;
            } else {
                let _ = stream.write_all(&request).await;
                Answer::read(&mut stream).await;
            }
        });
    }
    while let Some(done) = calls.join_next().await {
        done.unwrap();
    }
    let receipt = rig.receipt().await;
    // Counts and compares ids.
    let rest = rig.stop(&[receipt]).await;
    assert!(rest.len() >= 80, "{}", rest.len());
}
