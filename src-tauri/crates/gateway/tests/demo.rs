//! The demonstration answers in the shapes of real providers and leaves receipts like theirs.

mod rig;

use gateway::listener::Limits;
use meter::receipt::{Billing, Status};
use rig::Rig;

fn post(path: &str, body: &str) -> String {
    rig::post(path, body).replace("/up/", "/demo/")
}

#[tokio::test]
async fn every_shape_is_answered_whole_and_streamed_and_metered() {
    let mut rig = Rig::with(Limits::default(), |_| {}).await;
    for (path, ask, end) in [
        (
            "/v1/chat/completions",
            r#""messages":[{"role":"user","content":"hi"}]"#,
            "data: [DONE]\n\n",
        ),
        (
            "/v1/messages",
            r#""max_tokens":9,"messages":[{"role":"user","content":"hi"}]"#,
            "\"type\":\"message_stop\"}\n\n",
        ),
        ("/v1/responses", r#""input":"hi""#, "}\n\n"),
    ] {
        let whole = rig.exchange(post(path, &format!(r#"{{"model":"m",{ask}}}"#))).await;
        assert_eq!((whole.status(), &whole.json()["model"]), (200, &"m".into()), "{path}");
        let first = rig.receipt().await;
        let streamed =
            rig.exchange(post(path, &format!(r#"{{"model":"m","stream":true,{ask}}}"#))).await;
        assert!(String::from_utf8(streamed.content()).unwrap().ends_with(end), "{path}");
        let second = rig.receipt().await;
        for receipt in [&first, &second] {
            assert_eq!((receipt.status, receipt.billing), (Status::Succeeded, Billing::Demo));
            assert_eq!((&*receipt.workspace, &*receipt.provider), ("demo", "demo"));
            assert_eq!(receipt.output_tokens(), 12, "{path}");
            assert!(receipt.input_tokens() > 0);
        }
        assert!(second.stream && second.ttft_ms.is_some() && !first.stream);
    }
}

#[tokio::test]
async fn what_the_demonstration_does_not_know_is_a_404() {
    let mut rig = Rig::with(Limits::default(), |_| {}).await;
    assert_eq!(rig.exchange(post("/v1/images/generations", "{}")).await.status(), 404);
    assert_eq!(rig.receipt().await.status, Status::Error);
}
