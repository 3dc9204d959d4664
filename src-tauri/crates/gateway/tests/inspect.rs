//! What the inspector is shown of calls: both bodies, decoded, on a route too.

mod rig;

use std::io::Write as _;
use std::sync::Arc;

use flate2::Compression;
use flate2::write::GzEncoder;
use gateway::PassInfo;
use gateway::inspect::{Call, Inspector};
use gateway::listener::Limits;
use meter::route::{Failover, Family, NamedRoute};
use rig::{Rig, answering, json, keyless};
use sha2::{Digest as _, Sha256};

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).expect("memory");
    encoder.finish().expect("memory")
}

/// A call under the pass `laptop`, with a body in this coding.
fn call(path: &str, coding: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: HOST\r\nconnection: close\r\nauthorization: Bearer tg_laptop\r\ncontent-type: application/json\r\n{coding}content-length: {length}\r\n\r\n"
    );
    [head.as_bytes(), body].concat()
}

/// What is seen of a call to an upstream that answers so.
async fn seen(answer: Vec<u8>, request: Vec<u8>) -> Vec<Call> {
    let inspector = Inspector::default();
    assert!(inspector.open("laptop"));
    let (upstream, _got) = answering(answer).await;
    let mut rig = Rig::with(Limits::default(), |snapshot| {
        let mut provider = keyless("up", &format!("http://{upstream}"));
        provider.speaks = vec![Family::Openai];
        snapshot.providers.insert(provider);
        let targets = vec!["up/m".parse().expect("a target")];
        let failover = Failover::default();
        let route =
            NamedRoute { name: "r".into(), targets, profile: None, failover, is_enabled: true };
        snapshot.routes.experience.watch([&route].into_iter());
        snapshot.routes.named.push(Arc::new(route));
        let pass = PassInfo { label: "laptop".into(), may_call: true, ..PassInfo::default() };
        snapshot.passes.insert(Sha256::digest("tg_laptop").into(), pass);
        snapshot.inspector = inspector.clone();
    })
    .await;
    rig.exchange(request).await;
    rig.receipt().await;
    inspector.look("laptop", |view| view.calls.iter().cloned().collect()).expect("open")
}

const CHAT: &str = r#"{"model":"m","messages":[{"role":"user","content":"hello"}]}"#;
const ROUTED: &str = r#"{"model":"route/r","messages":[{"role":"user","content":"hello"}]}"#;
const PATH: &str = "/up/v1/chat/completions";

#[tokio::test]
async fn bodies_are_shown_decoded() {
    let zipped = gzip("{\"answer\":\"you sent tg_laptop\"}");
    let length = zipped.len();
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-encoding: gzip\r\ncontent-length: {length}\r\n\r\n"
    );
    let request = call(PATH, "content-encoding: gzip\r\n", &gzip(CHAT));
    let calls = seen([head.as_bytes(), &zipped].concat(), request).await;
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0].request_text(), CHAT);
    assert_eq!(calls[0].answer_text(), "{\"answer\":\"you sent •••\"}");
    assert_eq!((calls[0].status, calls[0].is_over), (Some(200), true));
    assert_eq!(&*calls[0].target, PATH);
}

#[tokio::test]
async fn a_call_on_a_route_is_one_call_with_all_that_its_client_sent() {
    let calls = seen(json("200 OK", "{\"x\":1}").into(), call(PATH, "", ROUTED.as_bytes())).await;
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0].request_text(), ROUTED);
    assert_eq!(calls[0].answer_text(), "{\"x\":1}");
    assert!(calls[0].is_over);
}
