//! Who may call what: nothing that is refused reaches upstream, and every "no" has its receipt and
//! the shape that the client's own library reads.

mod rig;

use std::net::SocketAddr;

use gateway::listener::Limits;
use gateway::{PassInfo, StoredKey};
use meter::Timestamp;
use meter::provider::{Auth, Provider};
use meter::receipt::{Billing, CostState, Status};
use rig::{Answer, Got, Rig, answering, json, keyless};
use sha2::{Digest, Sha256};
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;
use zeroize::Zeroizing;

/// A gateway whose `openai`, `anthropic`, `gemini` and `bedrock` all are this upstream.
async fn house() -> (Rig, mpsc::UnboundedReceiver<Got>) {
    let (address, got) = answering(json("200 OK", "{}")).await;
    let rig = Rig::with(Limits::default(), |snapshot| {
        for id in ["openai", "anthropic", "gemini"] {
            let mut provider = snapshot.providers.get(id).expect("built in").clone();
            provider.base_url = Some(format!("http://{address}").into());
            snapshot.providers.insert(provider);
        }
        snapshot.providers.insert(keyless("ollama", &format!("http://{address}")));
        for (secret, label, may_call, expires_at) in [
            ("tg_good", "laptop", true, None),
            ("tg_old", "old", true, Some(Timestamp::from_millis(1))),
            ("tg_report", "report", false, None),
        ] {
            let (label, workspace) = (label.into(), "lab".into());
            let pass = PassInfo { label, workspace, may_call, expires_at, ..PassInfo::default() };
            snapshot.passes.insert(Sha256::digest(secret).into(), pass);
        }
        let here = format!("http://{address}");
        let other_port = format!("http://127.0.0.1:{}", address.port() ^ 1);
        for (provider, origin) in [("openai", &here), ("anthropic", &here), ("gemini", &other_port)]
        {
            let key = StoredKey {
                label: format!("{provider}-main").into(),
                secret: Zeroizing::new(format!("sk-stored-{provider}")),
                origin: origin.as_str().into(),
            };
            snapshot.keys.insert(provider, key);
        }
    })
    .await;
    (rig, got)
}

fn post(path: &str, headers: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nhost: HOST\r\nconnection: close\r\n{headers}content-length: 13\r\n\r\n{{\"model\":\"m\"}}"
    )
}

#[tokio::test]
async fn a_call_without_a_credential_is_denied_in_the_clients_own_format() {
    let (mut rig, mut got) = house().await;
    for (path, pointer) in [
        ("/v1/chat/completions", "/error/code"),
        ("/v1/messages", "/error/type"),
        ("/v1beta/models/m:generateContent", "/error/status"),
    ] {
        let answer = rig.exchange(post(path, "")).await;
        assert_eq!(answer.status(), 401, "{path}");
        assert!(answer.json().pointer(pointer).is_some(), "{path}: {}", answer.json());
        let receipt = rig.receipt().await;
        assert_eq!((receipt.status, receipt.http_status), (Status::Denied, Some(401)));
        assert_eq!(receipt.error_type.as_deref(), Some("no_credential"));
        assert_eq!((receipt.cost, receipt.cost_state), (Some(meter::Money::ZERO), CostState::Free));
        assert!(receipt.attempts.is_empty());
    }
    let answer = rig.exchange(post("/ollama/api/chat", "")).await;
    assert_eq!(answer.status(), 200, "a provider that needs no key is callable without one");
    assert!(got.recv().await.is_some() && got.try_recv().is_err());
}

#[tokio::test]
async fn a_credential_of_ones_own_goes_through_as_it_is() {
    let (mut rig, mut got) = house().await;
    for (path, header) in [
        ("/v1/chat/completions", "Authorization: Bearer sk-mine\r\n"),
        ("/v1/messages", "x-api-key: sk-ant-mine\r\n"),
        ("/v1beta/models/m:generateContent", "x-goog-api-key: AIzaMine\r\n"),
        ("/v1beta/models/m:generateContent?key=AIzaMine", ""),
    ] {
        assert_eq!(rig.exchange(post(path, header)).await.status(), 200, "{path}");
        let got = got.recv().await.unwrap();
        assert!(got.head.contains(path) && got.head.contains(header), "{}", got.head);
        let receipt = rig.receipt().await;
        assert_eq!((&*receipt.workspace, receipt.billing), ("personal", Billing::Byok));
    }
}

#[tokio::test]
async fn the_sign_in_of_a_flat_rate_plan_is_billed_as_one() {
    let (mut rig, _got) = house().await;
    let plan = "authorization: Bearer sk-ant-oat01-x\r\n";
    assert_eq!(rig.exchange(post("/v1/messages", plan)).await.status(), 200);
    assert_eq!(rig.receipt().await.billing, Billing::Subscription);
}

#[tokio::test]
async fn a_pass_is_exchanged_for_the_stored_key_and_never_seen_upstream() {
    let (mut rig, mut got) = house().await;
    for (path, shown, put_in) in [
        (
            "/v1/chat/completions",
            "authorization: Bearer tg_good\r\n",
            "authorization: Bearer sk-stored-openai",
        ),
        ("/v1/messages", "x-api-key: tg_good\r\n", "x-api-key: sk-stored-anthropic"),
        ("/v1/messages", "authorization: Bearer tg_good\r\n", "x-api-key: sk-stored-anthropic"),
    ] {
        assert_eq!(rig.exchange(post(path, shown)).await.status(), 200, "{path}");
        let head = got.recv().await.unwrap().head;
        assert!(head.contains(put_in) && !head.contains("tg_"), "{head}");
        let receipt = rig.receipt().await;
        assert_eq!((receipt.pass.as_deref(), &*receipt.workspace), (Some("laptop"), "lab"));
        assert!(receipt.key.as_deref().is_some_and(|key| key.ends_with("-main")));
        assert!(!format!("{receipt:?}").contains("sk-stored"));
    }
}

#[tokio::test]
async fn a_bad_pass_never_reaches_upstream() {
    let (mut rig, mut got) = house().await;
    for (secret, status, code) in [
        ("tg_nobody", 401, "unknown_pass"),
        ("tg_old", 401, "expired_pass"),
        ("tg_report", 403, "wrong_scope"),
    ] {
        for carrier in ["authorization: Bearer ", "x-api-key: ", "api-key: "] {
            let answer =
                rig.exchange(post("/v1/chat/completions", &format!("{carrier}{secret}\r\n"))).await;
            assert_eq!((answer.status(), &answer.json()["error"]["code"]), (status, &code.into()));
            let receipt = rig.receipt().await;
            assert_eq!(
                (receipt.status, receipt.error_type.as_deref()),
                (Status::Denied, Some(code))
            );
        }
    }
    // A key belongs to its origin; this provider's stands for another port of the same host.
    let answer =
        rig.exchange(post("/v1beta/models/m:generateContent", "x-goog-api-key: tg_good\r\n")).await;
    assert_eq!(answer.status(), 401);
    assert_eq!(rig.receipt().await.error_type.as_deref(), Some("no_key"));
    // A pass does not become a credential by standing in the query.
    let answer = rig.exchange(post("/v1beta/models/m:generateContent?key=tg_nobody", "")).await;
    assert_eq!(answer.status(), 401);
    assert!(got.try_recv().is_err(), "something reached upstream");
}

#[tokio::test]
async fn foreign_hosts_and_origins_never_reach_upstream() {
    let (mut rig, mut got) = house().await;
    let good = "authorization: Bearer sk-mine\r\n";
    for host in ["evil.test", "127.0.0.1", "127.0.0.1:1", "localhost.evil.test"] {
        let request = post("/v1/chat/completions", good).replace("HOST", host);
        assert_eq!(rig.exchange(request).await.status(), 403, "{host}");
        assert_eq!(rig.receipt().await.status, Status::Denied);
    }
    let none = post("/v1/chat/completions", good).replace("host: HOST\r\n", "");
    assert_eq!(rig.exchange(none).await.status(), 403);
    for origin in ["http://evil.test", "null", "https://127.0.0.1"] {
        let request = post("/v1/chat/completions", &format!("{good}origin: {origin}\r\n"));
        assert_eq!(rig.exchange(request).await.status(), 403, "{origin}");
    }
    assert!(got.try_recv().is_err(), "something reached upstream");
}

#[tokio::test]
async fn an_address_that_names_nobody_is_told_how_addresses_look() {
    let (mut rig, mut got) = house().await;
    let answer = rig
        .exchange(post("/nobody/v1/chat/completions", "authorization: Bearer sk-mine\r\n"))
        .await;
    assert_eq!(answer.status(), 404);
    let said = answer.json()["error"]["message"].to_string();
    assert!(said.contains("/PROVIDER/") && said.contains("anthropic"), "{said}");
    assert_eq!(rig.receipt().await.error_type.as_deref(), Some("unknown_address"));
    let answer = rig.exchange(post("/azure/openai/v1/chat/completions", "api-key: mine\r\n")).await;
    assert_eq!((answer.status(), &answer.json()["error"]["code"]), (404, &"not_configured".into()));
    assert_eq!(&*rig.receipt().await.provider, "azure");
    assert!(got.try_recv().is_err());
}

#[tokio::test]
async fn a_signed_request_is_passed_to_an_address_of_ones_own_and_denied_to_amazons() {
    let (address, mut got) = answering(json("200 OK", "{}")).await;
    let configured = |base_url: String| {
        move |snapshot: &mut gateway::Snapshot| {
            let mut bedrock: Provider = snapshot.providers.get("bedrock").unwrap().clone();
            bedrock.base_url = Some(base_url.into());
            snapshot.providers.insert(bedrock);
        }
    };
    let signed =
        "authorization: AWS4-HMAC-SHA256 Credential=AKIA/x, SignedHeaders=host, Signature=0\r\n";
    let path = "/bedrock/model/anthropic.claude%3A0/converse";
    let mut rig = Rig::with(Limits::default(), configured(format!("http://{address}"))).await;
    assert_eq!(rig.exchange(post(path, signed)).await.status(), 200);
    assert!(
        got.recv().await.unwrap().head.starts_with("POST /model/anthropic.claude%3A0/converse ")
    );
    rig.receipt().await;
    let amazon = "https://bedrock-runtime.us-east-1.amazonaws.com".to_owned();
    let mut rig = Rig::with(Limits::default(), configured(amazon)).await;
    assert_eq!(rig.exchange(post(path, signed)).await.status(), 403);
    assert_eq!(rig.receipt().await.error_type.as_deref(), Some("signed_request"));
}

#[tokio::test]
async fn a_websocket_is_refused_at_once() {
    let (mut rig, mut got) = house().await;
    let request = "GET /v1/responses HTTP/1.1\r\nhost: HOST\r\nauthorization: Bearer sk-mine\r\nconnection: Upgrade\r\n\
                   upgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: x\r\n\r\n";
    let mut client = rig.connect().await;
    client.write_all(&rig.addressed(request.as_bytes())).await.unwrap();
    let answer = Answer::read_one(&mut client).await;
    assert_eq!((answer.status(), answer.header("upgrade")), (426, Some("HTTP/1.1")));
    assert_eq!(rig.receipt().await.status, Status::Denied);
    assert!(got.try_recv().is_err());
}

#[tokio::test]
async fn calls_are_attributed_by_pass_then_path_then_header() {
    let (mut rig, mut got) = house().await;
    let own = "authorization: Bearer sk-mine\r\n";
    let named = format!("{own}x-tollgate-workspace: from-header\r\n");
    for (path, headers, workspace) in [
        ("/v1/chat/completions", named.as_str(), "from-header"),
        ("/w/from-path/openai/v1/chat/completions", &named, "from-path"),
        (
            "/w/from-path/v1/chat/completions",
            "authorization: Bearer tg_good\r\nx-tollgate-workspace: x\r\n",
            "lab",
        ),
    ] {
        assert_eq!(rig.exchange(post(path, headers)).await.status(), 200);
        assert_eq!(&*rig.receipt().await.workspace, workspace);
        let head = got.recv().await.unwrap().head;
        assert!(
            head.starts_with("POST /v1/chat/completions ") && !head.contains("tollgate"),
            "{head}"
        );
    }
}

#[tokio::test]
async fn a_workspace_by_its_former_name_is_counted_under_the_new_one() {
    let (address, _got) = answering(json("200 OK", "{}")).await;
    let mut rig = Rig::with(Limits::default(), |snapshot| {
        snapshot.providers.insert(keyless("up", &format!("http://{address}")));
        for (was, now) in [("old", "new"), ("personal", "home")] {
            snapshot.workspaces.insert(was.into(), now.into());
        }
    })
    .await;
    for (path, headers, workspace) in [
        ("/w/old/up/v1/chat/completions", "", "new"),
        ("/up/v1/chat/completions", "x-tollgate-workspace: old\r\n", "new"),
        ("/up/v1/chat/completions", "", "home"),
        ("/w/old/demo/v1/chat/completions", "", "demo"),
        ("/w/other/up/v1/chat/completions", "", "other"),
    ] {
        assert_eq!(rig.exchange(post(path, headers)).await.status(), 200);
        assert_eq!(&*rig.receipt().await.workspace, workspace, "{path}");
    }
}

#[tokio::test]
async fn where_a_pass_is_required_nothing_else_opens() {
    let (address, mut got): (SocketAddr, _) = answering(json("200 OK", "{}")).await;
    let mut rig = Rig::with(Limits::default(), |snapshot| {
        let mut provider = keyless("up", &format!("http://{address}"));
        provider.auth = Auth::Bearer;
        snapshot.providers.insert(provider);
        snapshot.require_pass = true;
        let pass = PassInfo {
            label: "p".into(),
            workspace: "w".into(),
            may_call: true,
            ..PassInfo::default()
        };
        snapshot.passes.insert(Sha256::digest("tg_p").into(), pass);
    })
    .await;
    let answer =
        rig.exchange(post("/up/v1/chat/completions", "authorization: Bearer sk-mine\r\n")).await;
    assert_eq!((answer.status(), &answer.json()["error"]["code"]), (401, &"pass_required".into()));
    assert_eq!(rig.receipt().await.status, Status::Denied);
    let both = "authorization: Bearer sk-mine\r\nx-api-key: tg_p\r\n";
    assert_eq!(rig.exchange(post("/up/v1/chat/completions", both)).await.status(), 200);
    let head = got.recv().await.unwrap().head;
    assert!(head.contains("Bearer sk-mine") && !head.contains("tg_p"), "{head}");
}
