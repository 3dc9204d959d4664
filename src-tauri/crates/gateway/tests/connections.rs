//! Connections to upstreams are used again, unless upstream has closed them.

mod rig;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use meter::receipt::Status;
use rig::{Answer, Got, PATIENCE, Rig, chunk, json, keeping_alive, post, upstream};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

#[tokio::test]
async fn calls_one_after_another_share_a_connection_however_their_answers_end() {
    let chunked = [
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec(),
        chunk("a"),
        chunk("b"),
        b"0\r\n\r\n".to_vec(),
    ];
    let answers = Arc::new([
        json("200 OK", "{}").into_bytes(),
        chunked.concat(),
        b"HTTP/1.1 204 No Content\r\n\r\n".to_vec(),
        json("429 Too Many Requests", "{}").into_bytes(),
        b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_vec(),
        json("200 OK", "{}").into_bytes(),
    ]);
    let opened = Arc::new(AtomicUsize::new(0));
    let (play, count) = (Arc::clone(&answers), Arc::clone(&opened));
    let address = upstream(move |mut stream| {
        count.fetch_add(1, Ordering::SeqCst);
        let play = Arc::clone(&play);
        async move {
            let mut answers = play.iter();
            while let (Some(_), Some(answer)) = (Got::read(&mut stream).await?, answers.next()) {
                stream.write_all(answer).await?;
            }
            Ok(())
        }
    })
    .await;
    let mut rig = Rig::before(address).await;
    let mut receipts = Vec::new();
    for status in [200, 200, 204, 429, 200, 200] {
        let answer = rig.exchange(post("/up/v1/chat/completions", r#"{"model":"m"}"#)).await;
        assert_eq!(answer.status(), status);
        receipts.push(rig.receipt().await);
    }
    assert_eq!(opened.load(Ordering::SeqCst), 1);
    rig.stop(&receipts).await;
}

#[tokio::test]
async fn a_body_in_chunks_leaves_its_connection_to_the_next_call() {
    let (address, opened) = keeping_alive().await;
    let mut rig = Rig::before(address).await;
    let head =
        "POST /up/v1/chat/completions HTTP/1.1\r\nhost: HOST\r\ntransfer-encoding: chunked\r\n\r\n";
    let request = [head.as_bytes(), &chunk(r#"{"model":"m"}"#), b"0\r\n\r\n"].concat();
    for _ in 0..4 {
        let mut client = rig.connect().await;
        client.write_all(&rig.addressed(&request)).await.unwrap();
        assert_eq!(Answer::read_one(&mut client).await.status(), 200);
        rig.receipt().await;
    }
    assert_eq!(opened.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_connection_that_upstream_closed_meanwhile_costs_no_call() {
    let address = upstream(|mut stream| async move {
        Got::read(&mut stream).await?;
        stream.write_all(json("200 OK", "{}").as_bytes()).await
        // And it is closed, without a word.
    })
    .await;
    let mut rig = Rig::before(address).await;
    for _ in 0..20 {
        let answer = rig.exchange(post("/up/v1/chat/completions", r#"{"model":"m"}"#)).await;
        assert_eq!(answer.status(), 200);
        assert_eq!(rig.receipt().await.status, Status::Succeeded);
        // Long enough for its end to be known here.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn an_answer_that_was_cut_short_takes_its_connection_with_it() {
    let opened = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&opened);
    let address = upstream(move |mut stream| {
        count.fetch_add(1, Ordering::SeqCst);
        async move {
            Got::read(&mut stream).await?;
            let part = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{";
            stream.write_all(part.as_bytes()).await?;
            // Until the gateway lets go of it.
            let _ = stream.read_u8().await;
            Ok(())
        }
    })
    .await;
    let mut rig = Rig::before(address).await;
    for calls in 1..=3 {
        let mut client = rig.connect().await;
        let request = rig.addressed(post("/up/v1/chat/completions", "{}").as_bytes());
        client.write_all(&request).await.unwrap();
        rig::read_head(&mut client).await.unwrap().expect("an answer begins");
        drop(client);
        rig.receipt().await;
        assert_eq!(opened.load(Ordering::SeqCst), calls);
    }
}

#[tokio::test]
async fn a_client_may_send_everything_before_it_reads_anything() {
    const SIZE: usize = 24 << 20;
    // Answers with every byte as it gets it, as an echo or a live transcription would.
    let address = upstream(|mut stream| async move {
        let (_, first) = rig::read_head(&mut stream).await?.expect("a request");
        let (mut read, mut write) = stream.split();
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {SIZE}\r\n\r\n");
        write.write_all(head.as_bytes()).await?;
        let noise = async {
            for _ in 0..SIZE >> 16 {
                write.write_all(&[b'y'; 1 << 16]).await?;
            }
            Ok(())
        };
        let taking = async {
            let (mut got, mut block) = (first.len(), vec![0; 1 << 16]);
            while got < SIZE {
                got += read.read(&mut block).await?;
            }
            Ok(())
        };
        tokio::try_join!(noise, taking).map(|_| ())
    })
    .await;
    let mut rig = Rig::before(address).await;
    let mut client = rig.connect().await;
    let head = format!(
        "POST /up/v1/files HTTP/1.1\r\nhost: HOST\r\ncontent-type: application/octet-stream\r\ncontent-length: {SIZE}\r\n\r\n"
    );
    let sending = async {
        client.write_all(&rig.addressed(head.as_bytes())).await.unwrap();
        for _ in 0..SIZE >> 16 {
            client.write_all(&[b'x'; 1 << 16]).await.unwrap();
        }
    };
    tokio::time::timeout(PATIENCE, sending).await.expect("all of it is taken");
    let answer = Answer::read_one(&mut client).await;
    assert_eq!((answer.status(), answer.body.len()), (200, SIZE));
    assert_eq!(rig.receipt().await.request_bytes, SIZE as u64);
}
