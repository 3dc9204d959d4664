//! Routes at the gateway's own edge: what a failed try cost, what budgets set aside, and when a
//! target is tried again.

mod rig;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use gateway::listener::Limits;
use meter::Money;
use meter::provider::Hosting;
use meter::receipt::{AttemptEnd, CostState, Status, UsageState};
use meter::route::{Failover, Family, NamedRoute};
use rig::{Rig, STREAM, chunk, json, keyless, post, upstream};
use tokio::io::AsyncWriteExt as _;

use crate::rig::Got;

/// $3 and $15 a million tokens.
const MODEL: &str = "claude-sonnet-4-5";

/// A rig with these upstreams as `anthropic` (which is `up` for the client's path) and `b`, on
/// one route.
async fn routed(first: SocketAddr, second: SocketAddr, targets: &[&str]) -> Rig {
    let targets = targets.iter().map(|target| target.parse().expect("a target")).collect();
    let failover = Failover { tries: Some(3), ..Failover::default() };
    let route = NamedRoute { name: "r".into(), targets, profile: None, failover, is_enabled: true };
    Rig::with(Limits::default(), |snapshot| {
        let anthropic = |id: &str, at: SocketAddr| {
            let mut provider = keyless(id, &format!("http://{at}"));
            provider.speaks = vec![Family::Anthropic];
            provider
        };
        snapshot.providers.insert(anthropic("up", first));
        snapshot.providers.insert(anthropic("anthropic", first));
        snapshot.providers.insert(anthropic("b", second));
        snapshot.routes.experience.watch([&route].into_iter());
        snapshot.routes.named.push(Arc::new(route));
    })
    .await
}

async fn answering(bytes: Vec<u8>) -> SocketAddr {
    upstream(move |mut stream| {
        let bytes = bytes.clone();
        async move {
            while Got::read(&mut stream).await?.is_some() {
                stream.write_all(&bytes).await?;
            }
            Ok(())
        }
    })
    .await
}

fn event(name: &str, data: &str) -> String {
    format!("event: {name}\ndata: {data}\n\n")
}

fn started(input: u64) -> String {
    let data = format!(
        r#"{{"type":"message_start","message":{{"id":"m","type":"message","model":"{MODEL}","usage":{{"input_tokens":{input},"output_tokens":1}}}}}}"#
    );
    event("message_start", &data)
}

fn whole(input: u64, output: u64) -> Vec<u8> {
    let delta = format!(
        r#"{{"type":"message_delta","delta":{{"stop_reason":"end_turn"}},"usage":{{"output_tokens":{output}}}}}"#
    );
    let text =
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"hi"}}"#;
    let stop = event("message_stop", r#"{"type":"message_stop"}"#);
    let events =
        [started(input), event("content_block_delta", text), event("message_delta", &delta), stop]
            .concat();
    [STREAM.as_bytes(), &chunk(events), b"0\r\n\r\n"].concat()
}

fn call() -> String {
    post("/v1/messages", r#"{"model":"route/r","max_tokens":9,"stream":true,"messages":[]}"#)
}

fn dollars(text: &str) -> Option<Money> {
    Some(text.parse().expect("an amount"))
}

#[tokio::test]
async fn what_a_failed_try_said_it_used_is_on_the_receipt_and_in_its_sum() {
    let error = event(
        "error",
        r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#,
    );
    let failing =
        [STREAM.as_bytes(), &chunk([started(1000), error].concat()), b"0\r\n\r\n"].concat();
    let first = answering(failing).await;
    let second = answering(whole(2000, 100)).await;
    let targets = [&*format!("anthropic/{MODEL}"), &*format!("b/{MODEL}")];
    let mut rig = routed(first, second, &targets).await;
    let answer = rig.exchange(call()).await;
    assert_eq!(answer.status(), 200);
    let text = String::from_utf8(answer.content()).expect("text");
    assert!(text.contains("message_stop") && !text.contains("overloaded"), "{text}");
    let receipt = rig.receipt().await;
    let ends: Vec<_> = receipt.attempts.iter().map(|one| one.ended).collect();
    assert_eq!(ends, [AttemptEnd::Refused, AttemptEnd::Completed]);
    // `b` has no prices; what `anthropic` told of its prompt has: 1000 × $3 / 1M, and a token out.
    let known = receipt.subtotal.or(receipt.cost);
    assert!(known >= dollars("0.003"), "{receipt:#?}");
    assert_eq!(receipt.cost, None);
    assert!(receipt.lines.iter().any(|line| line.model.as_deref() == Some(MODEL)), "{receipt:#?}");
    rig.stop(&[receipt]).await;
}

#[tokio::test]
async fn a_try_that_nobody_can_tell_the_cost_of_makes_the_sum_unknown_and_a_no_makes_it_nothing() {
    let silent = upstream(|mut stream| async move {
        Got::read(&mut stream).await?;
        // And closes.
        Ok(())
    })
    .await;
    let second = answering(whole(2000, 100)).await;
    let good = format!("anthropic/{MODEL}");
    let mut rig = routed(second, silent, &["b/x", &good]).await;
    assert_eq!(rig.exchange(call()).await.status(), 200);
    let receipt = rig.receipt().await;
    let costs: Vec<_> = receipt.attempts.iter().map(|one| one.cost).collect();
    // 2000 × $3 and 100 × $15 a million.
    assert_eq!(costs, [None, dollars("0.0075")]);
    assert_eq!((receipt.cost, receipt.subtotal), (None, dollars("0.0075")));
    assert_eq!(
        (receipt.cost_state, receipt.usage_state),
        (CostState::Partial, UsageState::Partial)
    );
    assert!(receipt.note.as_deref().is_some_and(|note| note.contains("may bill")), "{receipt:#?}");
    rig.stop(&[receipt]).await;

    let refusing = answering(
        json(
            "529 Overloaded",
            r#"{"type":"error","error":{"type":"overloaded_error","message":"x"}}"#,
        )
        .into_bytes(),
    )
    .await;
    let mut rig = routed(second, refusing, &["b/x", &good]).await;
    assert_eq!(rig.exchange(call()).await.status(), 200);
    let receipt = rig.receipt().await;
    assert_eq!((receipt.cost, receipt.status), (dollars("0.0075"), Status::Succeeded));
    assert_eq!(receipt.attempts[0].cost, Some(Money::ZERO));
    rig.stop(&[receipt]).await;
}

#[tokio::test]
async fn a_short_wait_that_is_asked_for_is_waited_out_and_a_long_one_is_not() {
    for (asked, tries) in [("retry-after-ms: 20", 3), ("retry-after: 60", 1)] {
        let calls = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&calls);
        let refusing = upstream(move |mut stream| {
            let count = Arc::clone(&count);
            async move {
                while Got::read(&mut stream).await?.is_some() {
                    count.fetch_add(1, Ordering::SeqCst);
                    let head =
                        format!("HTTP/1.1 429 Slow\r\n{asked}\r\ncontent-length: 2\r\n\r\n{{}}");
                    stream.write_all(head.as_bytes()).await?;
                }
                Ok(())
            }
        })
        .await;
        let mut rig = routed(refusing, refusing, &["b/x"]).await;
        let answer = rig.exchange(call()).await;
        // The last answer as it came, with what it asks for.
        assert_eq!((answer.status(), &*answer.content()), (429, &b"{}"[..]));
        assert_eq!(calls.load(Ordering::SeqCst), tries, "{asked}");
        let receipt = rig.receipt().await;
        assert_eq!(receipt.attempts.len(), tries);
        rig.stop(&[receipt]).await;
    }
}

#[tokio::test]
async fn a_form_that_begins_like_json_does_not_reach_a_target() {
    let at = answering(json("200 OK", "{}").into_bytes()).await;
    let mut rig = routed(at, at, &["anthropic/allowed"]).await;
    // Before its first delimiter a form may say anything, and nobody reads it. The rest is more
    // than what is kept.
    let fill = "x".repeat(1 << 20);
    let body = format!(
        "{{\"model\":\"route/r\"}}\r\n--b\r\ncontent-disposition: form-data; name=\"model\"\r\n\r\n\
         other\r\n--b\r\ncontent-disposition: form-data; name=\"fill\"\r\n\r\n{fill}\r\n--b--\r\n"
    );
    let mut receipts = Vec::new();
    for kind in ["multipart/form-data; boundary=b", "Multipart/Mixed; boundary=b"] {
        let request = format!(
            "POST /up/v1/messages HTTP/1.1\r\nhost: HOST\r\nx-tollgate-route: r\r\nconnection: close\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let answer = rig.exchange(request).await;
        let text = String::from_utf8(answer.content()).expect("text");
        assert_eq!(answer.status(), 400, "{text}");
        assert!(text.contains("not a form"), "{text}");
        let receipt = rig.receipt().await;
        assert_eq!((receipt.status, receipt.attempts.len()), (Status::Denied, 0));
        receipts.push(receipt);
    }
    rig.stop(&receipts).await;
}

#[tokio::test]
async fn who_leaves_between_two_tries_is_not_charged_for_the_one_that_never_left() {
    let (told, mut failed) = tokio::sync::mpsc::unbounded_channel();
    let refusing = upstream(move |mut stream| {
        let told = told.clone();
        async move {
            while Got::read(&mut stream).await?.is_some() {
                let head = "HTTP/1.1 429 Slow\r\nretry-after: 8\r\ncontent-length: 2\r\n\r\n{}";
                stream.write_all(head.as_bytes()).await?;
                let _ = told.send(());
            }
            Ok(())
        }
    })
    .await;
    let mut rig = routed(refusing, refusing, &["b/x"]).await;
    let mut client = rig.connect().await;
    client.write_all(&rig.addressed(call().as_bytes())).await.expect("sent");
    failed.recv().await.expect("a first try");
    drop(client);
    let receipt = rig.receipt().await;
    assert_eq!(receipt.attempts.len(), 1);
    assert_eq!((receipt.cost, receipt.reserved), (Some(Money::ZERO), None), "{receipt:#?}");
    assert_eq!(receipt.usage_state, UsageState::None);
    rig.stop(&[receipt]).await;
}

#[tokio::test]
async fn a_failed_answer_that_broke_off_is_not_told_as_complete() {
    let breaking = upstream(|mut stream| async move {
        Got::read(&mut stream).await?;
        let head = "HTTP/1.1 529 Overloaded\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
        let half = chunk(r#"{"type":"error","#);
        stream.write_all(&[head.as_bytes(), &half].concat()).await?;
        // And closes.
        Ok(())
    })
    .await;
    // Nobody else is there, but that is known only after the first has failed.
    let mut rig = routed(breaking, breaking, &["b/x", "nobody/x"]).await;
    let answer = rig.exchange(call()).await;
    assert_eq!(answer.status(), 529);
    let ends = answer.body.ends_with(b"0\r\n\r\n");
    assert!(!ends, "a chunked body that ends says that it is complete");
    let receipt = rig.receipt().await;
    let ended = receipt.attempts.last().map(|one| one.ended);
    assert_eq!(ended, Some(AttemptEnd::Broken), "{receipt:#?}");
    rig.stop(&[receipt]).await;
}

#[tokio::test]
async fn a_lost_try_at_the_users_own_server_costs_nothing() {
    let silent = upstream(|mut stream| async move {
        Got::read(&mut stream).await?;
        // And closes.
        Ok(())
    })
    .await;
    let good = answering(whole(2000, 100)).await;
    let targets = ["local/x".to_owned(), format!("anthropic/{MODEL}")];
    let targets = targets.iter().map(|target| target.parse().expect("a target")).collect();
    let failover = Failover { tries: Some(2), ..Failover::default() };
    let route = NamedRoute { name: "r".into(), targets, profile: None, failover, is_enabled: true };
    let mut rig = Rig::with(Limits::default(), |snapshot| {
        let places = [("up", good), ("anthropic", good), ("local", silent)];
        for (id, at) in places {
            let mut provider = keyless(id, &format!("http://{at}"));
            provider.speaks = vec![Family::Anthropic];
            if id == "local" {
                provider.hosting = Hosting::Local;
            }
            snapshot.providers.insert(provider);
        }
        snapshot.routes.experience.watch([&route].into_iter());
        snapshot.routes.named.push(Arc::new(route));
    })
    .await;
    assert_eq!(rig.exchange(call()).await.status(), 200);
    let receipt = rig.receipt().await;
    let costs: Vec<_> = receipt.attempts.iter().map(|one| one.cost).collect();
    // 2000 × $3 and 100 × $15 a million.
    assert_eq!(costs, [Some(Money::ZERO), dollars("0.0075")]);
    assert_eq!((receipt.cost, receipt.note.as_deref()), (dollars("0.0075"), None));
    rig.stop(&[receipt]).await;
}
