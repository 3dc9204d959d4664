//! How much one client can take up: connections, time, memory. Whoever dawdles is let go in the
//! end, and whoever is merely slow is not.

mod rig;

use std::net::SocketAddr;
use std::time::Duration;

use gateway::listener::Limits;
use meter::receipt::Status;
use rig::{Answer, Got, PATIENCE, Rig, answering, chunk, json, keyless, post, upstream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};

/// An upstream that tells when a call came and answers once it may.
async fn patient() -> (SocketAddr, mpsc::UnboundedReceiver<()>, watch::Sender<bool>) {
    let (came, calls) = mpsc::unbounded_channel();
    let (may, wait) = watch::channel(false);
    let address = upstream(move |mut stream| {
        let (came, mut wait) = (came.clone(), wait.clone());
        async move {
            while Got::read(&mut stream).await?.is_some() {
                let _ = came.send(());
                let _ = wait.wait_for(|may| *may).await;
                stream.write_all(json("200 OK", "{}").as_bytes()).await?;
            }
            Ok(())
        }
    })
    .await;
    (address, calls, may)
}

async fn before(address: SocketAddr, limits: Limits, silence: Duration) -> Rig {
    Rig::with(limits, |snapshot| {
        snapshot.providers.insert(keyless("up", &format!("http://{address}")));
        snapshot.timeouts.client_silence = silence;
    })
    .await
}

async fn within<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("in time")
}

#[tokio::test]
async fn the_idle_give_way_and_one_too_many_is_told_so() {
    let (address, mut calls, may) = patient().await;
    let limits = Limits { connections: 2, ..Limits::default() };
    let mut rig = before(address, limits, PATIENCE).await;
    let call = rig.addressed(post("/v1/chat/completions", "{}").as_bytes());
    let begin = async |calls: &mut mpsc::UnboundedReceiver<()>| -> TcpStream {
        let mut client = rig.connect().await;
        client.write_all(&call).await.unwrap();
        within(calls.recv()).await.unwrap();
        client
    };
    let mut idle = rig.connect().await;
    idle.write_all(b"POST /up/v1 HTTP/1.1\r\nhost: ").await.unwrap();
    let mut first = begin(&mut calls).await;
    let mut second = begin(&mut calls).await;
    assert_eq!(within(idle.read(&mut [0; 16])).await.unwrap_or(0), 0, "half a head holds a place");

    let told = rig.exchange(&call).await;
    assert_eq!((told.status(), told.header("retry-after")), (503, Some("1")));
    assert_eq!(told.json()["error"]["code"], "crowded");
    may.send(true).unwrap();
    for client in [&mut first, &mut second] {
        assert_eq!(Answer::read(client).await.status(), 200, "those that ran went on");
    }
    assert_eq!(rig.exchange(&call).await.status(), 200, "there is room again");
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(rig.receipt().await.status);
    }
    assert_eq!(statuses[0], Status::Denied);
    assert_eq!(statuses[1..], [Status::Succeeded; 3]);
}

#[tokio::test]
async fn a_connection_that_is_idle_too_long_is_let_go() {
    let (address, _got) = answering(json("200 OK", "{}")).await;
    let limits = Limits { header_read: Duration::from_millis(200), ..Limits::default() };
    let rig = before(address, limits, PATIENCE).await;
    let mut client = rig.connect().await;
    let call = post("/v1/chat/completions", "{}").replace("connection: close\r\n", "");
    client.write_all(&rig.addressed(call.as_bytes())).await.unwrap();
    assert_eq!(Answer::read_one(&mut client).await.status(), 200);
    assert_eq!(within(client.read(&mut [0; 16])).await.unwrap_or(0), 0);
}

const UPLOAD: &str = "POST /up/v1/x HTTP/1.1\r\nhost: HOST\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n";

#[tokio::test]
async fn a_body_that_dribbles_for_ever_is_given_up() {
    let (address, mut got) = answering(json("200 OK", "{}")).await;
    let mut rig = before(address, Limits::default(), Duration::from_millis(400)).await;
    let (mut read, mut write) = rig.connect().await.into_split();
    write.write_all(&rig.addressed(UPLOAD.as_bytes())).await.unwrap();
    // Each byte comes in time, all of them together do not.
    let dribbling = tokio::spawn(async move {
        while write.write_all(&chunk("x")).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(40)).await;
        }
    });
    let mut answer = Vec::new();
    within(read.read_to_end(&mut answer)).await.unwrap_or(0);
    assert!(answer.starts_with(b"HTTP/1.1 408"), "{}", String::from_utf8_lossy(&answer));
    assert_eq!(rig.receipt().await.status, Status::Cancelled);
    assert!(got.try_recv().is_err(), "upstream was never given a whole request");
    dribbling.abort();
}

#[tokio::test]
async fn a_body_that_comes_slowly_but_steadily_arrives() {
    let (address, mut got) = answering(json("200 OK", "{}")).await;
    let rig = before(address, Limits::default(), Duration::from_millis(400)).await;
    let mut client = rig.connect().await;
    client.write_all(&rig.addressed(UPLOAD.as_bytes())).await.unwrap();
    for _ in 0..30 {
        client.write_all(&chunk([b'x'; 64])).await.unwrap();
        tokio::time::sleep(Duration::from_millis(40)).await;
    }
    client.write_all(&chunk("")).await.unwrap();
    assert_eq!(Answer::read(&mut client).await.status(), 200);
    assert_eq!(got.recv().await.unwrap().body.len(), 30 * 64);
}

#[tokio::test]
async fn a_stream_that_pauses_for_longer_than_its_client_may_goes_on() {
    let address = upstream(|mut stream| async move {
        Got::read(&mut stream).await?;
        stream.write_all(rig::STREAM.as_bytes()).await?;
        for _ in 0..4 {
            tokio::time::sleep(Duration::from_millis(300)).await;
            stream.write_all(&chunk("data: {}\n\n")).await?;
        }
        stream.write_all(&chunk("")).await
    })
    .await;
    let short = Duration::from_millis(100);
    let limits = Limits { header_read: short, write_stall: short, ..Limits::default() };
    let rig = before(address, limits, short).await;
    let answer = rig.exchange(post("/v1/chat/completions", r#"{"stream":true}"#)).await;
    assert_eq!(answer.content(), "data: {}\n\n".repeat(4).as_bytes());
}
