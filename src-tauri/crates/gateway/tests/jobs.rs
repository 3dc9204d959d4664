//! A job in the background: the call that begins it waits for its outcome, calls that ask about
//! it cost nothing themselves and hand its outcome off.

mod rig;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use gateway::{Finished, Outcome};
use meter::Receipt;
use meter::receipt::{CostState, Kind, Status, UsageState};
use meter::usage::{Count, Factor};
use rig::{Got, Rig, json, post, upstream};
use tokio::io::AsyncWriteExt;

const QUEUED: &str = r#"{"id":"resp_1","object":"response","background":true,"status":"queued","model":"m-1","output":[],"usage":null}"#;
const RUNNING: &str = r#"{"id":"resp_1","object":"response","background":true,"status":"in_progress","model":"m-1","output":[],"usage":null}"#;
const FAILED: &str = r#"{"id":"resp_1","object":"response","background":true,"status":"failed","error":{"code":"server_error","message":"Sorry."},"model":"m-1","output":[],"usage":null}"#;
const COMPLETED: &str = r#"{"id":"resp_1","object":"response","background":true,"status":"completed","model":"m-1","output":[{"type":"message","content":[{"type":"output_text","text":"Hi"}]}],"usage":{"input_tokens":15,"output_tokens":9,"total_tokens":24}}"#;
/// The end of a stream that is read again.
const REPLAYED: &str = "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"id\":\"resp_1\",\"status\":\"completed\",\"model\":\"m-1\",\"usage\":{\"input_tokens\":15,\"output_tokens\":9,\"total_tokens\":24}}}\n\n";

fn ask() -> String {
    "GET /up/v1/responses/resp_1 HTTP/1.1\r\nhost: HOST\r\nconnection: close\r\n\r\n".into()
}

/// A gateway before an upstream that gives these answers in turn.
async fn before(answers: Vec<String>) -> Rig {
    let (answers, next) = (Arc::new(answers), Arc::new(AtomicUsize::new(0)));
    let address = upstream(move |mut stream| {
        let (answers, next) = (Arc::clone(&answers), Arc::clone(&next));
        async move {
            while Got::read(&mut stream).await?.is_some() {
                let answer = &answers[next.fetch_add(1, Ordering::SeqCst)];
                stream.write_all(answer.as_bytes()).await?;
            }
            Ok(())
        }
    })
    .await;
    Rig::before(address).await
}

/// What the call that begins a job and those that ask about it leave behind.
async fn play(answers: Vec<String>) -> (Receipt, Vec<Finished>) {
    let polls = answers.len() - 1;
    let mut rig = before(answers).await;
    rig.exchange(post("/v1/responses", r#"{"model":"m-1","background":true,"input":"Hi"}"#)).await;
    let began = rig.receipt().await;
    let mut told = Vec::new();
    for _ in 0..polls {
        rig.exchange(ask()).await;
        told.push(rig.finished().await);
    }
    let taken: Vec<Receipt> =
        told.iter().map(|poll| poll.receipt.clone()).chain([began.clone()]).collect();
    assert_eq!(rig.stop(&taken).await, []);
    for poll in &told {
        let poll = &poll.receipt;
        assert_eq!(
            (poll.kind, poll.status, &*poll.lines),
            (Kind::Poll, Status::Succeeded, &[][..])
        );
        assert_eq!((poll.usage_state, poll.cost_state), (UsageState::None, CostState::Free));
        assert_eq!((&poll.usage_raw, poll.model.as_deref()), (&None, Some("m-1")));
    }
    (began, told)
}

fn outcomes(told: &[Finished]) -> Vec<&Outcome> {
    told.iter().filter_map(|poll| poll.outcome.as_ref()).collect()
}

#[tokio::test]
async fn whoever_asks_about_a_finished_job_brings_its_outcome_and_pays_nothing() {
    let stream = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: {}\r\n\r\n{REPLAYED}",
        REPLAYED.len()
    );
    let whole = |body| json("200 OK", body);
    let answers = vec![
        whole(QUEUED),
        whole(QUEUED),
        whole(RUNNING),
        whole(RUNNING),
        whole(COMPLETED),
        stream,
    ];
    let (began, told) = play(answers).await;
    assert_eq!((began.kind, began.status), (Kind::Chat, Status::Pending));
    assert_eq!((began.usage_state, &began.cost), (UsageState::Missing, &None));
    assert_eq!(began.response_id.as_deref(), Some("resp_1"));
    assert_eq!(told.iter().filter(|poll| poll.outcome.is_none()).count(), 3);
    for (outcome, poll) in outcomes(&told).into_iter().zip(&told[3..]) {
        let settled = &outcome.settlement;
        assert_eq!((&*outcome.response_id, settled.by), ("resp_1", Some(poll.receipt.id)));
        assert_eq!((&*settled.reason, settled.status), ("job", Some(Status::Succeeded)));
        let lines: Vec<_> = settled.lines.iter().map(|line| (&line.factor, line.count)).collect();
        let want = [(&Factor::InputText, Count::whole(15)), (&Factor::OutputText, Count::whole(9))];
        assert_eq!(lines, want);
    }
    assert_eq!(outcomes(&told).len(), 2);
}

#[tokio::test]
async fn a_job_that_failed_is_no_failure_of_the_call_that_asks() {
    let whole = |body| json("200 OK", body);
    let (_, told) = play(vec![whole(QUEUED), whole(FAILED)]).await;
    let outcome = outcomes(&told)[0];
    assert_eq!(outcome.settlement.status, Some(Status::Error));
    assert_eq!(outcome.settlement.cost_state, CostState::UsageMissing);
}

#[tokio::test]
async fn a_call_that_asks_in_vain_says_nothing_about_the_job() {
    let mut rig =
        before(vec![json("404 Not Found", r#"{"error":{"message":"No such id."}}"#)]).await;
    rig.exchange(ask()).await;
    let poll = rig.finished().await;
    assert_eq!((poll.receipt.status, &poll.outcome), (Status::Error, &None));
    assert_eq!(poll.receipt.error_message.as_deref(), Some("No such id."));
}

#[tokio::test]
async fn a_batch_is_settled_by_whoever_downloads_its_results() {
    const BEGUN: &str = r#"{"id":"b_1","type":"message_batch","processing_status":"in_progress","results_url":null}"#;
    const RESULT: &str = r#"{"custom_id":"a","result":{"type":"succeeded","message":{"model":"m-1","usage":{"input_tokens":15,"output_tokens":9}}}}"#;
    let mut rig = before(vec![json("200 OK", BEGUN), json("200 OK", RESULT)]).await;
    rig.exchange(post("/v1/messages/batches", r#"{"requests":[]}"#)).await;
    let began = rig.receipt().await;
    assert_eq!((began.kind, began.status), (Kind::Batch, Status::Pending));
    assert_eq!(began.response_id.as_deref(), Some("b_1"));
    rig.exchange(ask().replace("responses/resp_1", "messages/batches/b_1/results")).await;
    let outcome = rig.finished().await.outcome.expect("the results say what was used");
    assert_eq!(&*outcome.response_id, "b_1");
    let lines: Vec<_> = outcome.settlement.lines.iter().map(|line| line.count).collect();
    assert_eq!(lines, [Count::whole(15), Count::whole(9)]);
}
