//! Routes: whatever their targets do, each call gets one answer, every try is on its receipt,
//! money adds up, and a pass reaches no further than without.

use std::collections::BTreeMap;
use std::env;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use standin::client::{Call, Reply};
use standin::seen::Seen;

use crate::gate::{Gate, Setup};

fn with_routes(toml: &str) -> Gate {
    // Nobody listens at `dead`; `lab` and `other` are the stand-in, and need no key.
    let dead = "[providers.dead]\nbase_url = 'http://127.0.0.1:1'\nauth = 'none'\n";
    Gate::open_with(Setup { more: format!("{dead}{toml}"), ..Setup::default() })
}

fn chat(model: &str, user: &str) -> Call {
    let messages = json!([{"role": "user", "content": "hello"}]);
    let body = json!({"messages": messages, "model": model, "user": user});
    Call::post("/v1/chat/completions", &body).bearer("sk-own")
}

fn models(receipt: &Value) -> Vec<(String, String)> {
    let attempts = receipt["attempts"].as_array().expect("a list");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    attempts.iter().map(|one| (text(&one["model"]), text(&one["ended"]))).collect()
}

fn pairs(all: &[(&str, &str)]) -> Vec<(String, String)> {
    all.iter().map(|(model, ended)| ((*model).to_owned(), (*ended).to_owned())).collect()
}

fn body_model(seen: &Seen) -> String {
    let body: Value = serde_json::from_slice(seen.body()).expect("JSON");
    body["model"].as_str().expect("text").to_owned()
}

#[test]
fn targets_are_tried_in_order_and_only_the_models_bytes_change() {
    let gate = with_routes(
        "[[routes]]\nname = 'fast'\ntargets = ['openai/standin+status=500', 'openai/standin+status=429', 'openai/gpt-4o']\n",
    );
    let body = "{ \"temperature\": 1.50,\r\n\t\"model\" :\"route/fast\", \"messages\":[{\"role\":\"user\",\"content\":\"caf\\u00e9 é\"}] }\n";
    let reply = gate.send(
        &Call::new("POST", "/v1/chat/completions", body)
            .header("content-type", "application/json")
            .bearer("sk-own"),
    );
    assert_eq!(reply.status(), 200);
    let answer = reply.body().expect("whole");
    let seen = gate.upstream_saw(3);
    for (seen, model) in seen.iter().zip(["standin+status=500", "standin+status=429", "gpt-4o"]) {
        let expected = body.replace("\"route/fast\"", &format!("\"{model}\""));
        assert_eq!(String::from_utf8_lossy(seen.body()), expected);
        assert_eq!(seen.header("content-length"), Some(&*expected.len().to_string()));
        assert_eq!(seen.header("authorization"), Some("Bearer sk-own"));
    }
    assert_eq!(seen[2].sent_sha256, Some(sha256(&answer)));
    let receipt = gate.receipt();
    let tries = [
        ("standin+status=500", "refused"),
        ("standin+status=429", "refused"),
        ("gpt-4o", "completed"),
    ];
    assert_eq!(models(&receipt), pairs(&tries));
    assert_eq!(
        (&receipt["route"], &receipt["model_requested"]),
        (&json!("fast"), &json!("gpt-4o"))
    );
    assert_eq!(receipt["attempts"][0]["http_status"], 500);
    assert_eq!(receipt["attempts"][0]["cost"], "0");
    assert_eq!(receipt["attempts"][0]["chosen"], "order: 1 of 3");
    assert_eq!(receipt["attempts"][2]["cost"], receipt["cost"]);
    let shown = gate.says(&["show", receipt["id"].as_str().expect("text")]);
    assert!(
        shown.contains("Attempt 1") && shown.contains("standin+status=500: 500 refused"),
        "{shown}"
    );
    let listed = gate.says(&["requests"]);
    assert!(listed.contains("3 tries"), "{listed}");
}

fn sha256(bytes: &[u8]) -> String {
    use sha2::{Digest as _, Sha256};
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_header_or_a_path_asks_for_a_route_too_and_a_call_without_one_is_never_tried_again() {
    let gate = with_routes(
        "[[routes]]\nname = 'r'\ntargets = ['openai/standin+status=500', 'openai/gpt-4o']\n\
         [[routes]]\nname = 'g'\ntargets = ['gemini/gemini-2.5-flash+status=503', 'gemini/gemini-2.5-pro']\n",
    );
    let by_header = chat("whatever", "a").header("x-tollgate-route", "r");
    assert_eq!(gate.send(&by_header).status(), 200);
    assert_eq!(gate.send(&chat("standin+status=500", "b")).status(), 500);
    let generate = json!({"contents": [{"parts": [{"text": "hello"}]}]});
    let path = "/v1beta/models/route/g:generateContent?alt=json";
    let call = Call::post(path, &generate).header("x-goog-api-key", "AIza-own");
    assert_eq!(gate.send(&call).status(), 200);
    let seen = gate.upstream_saw(5);
    assert_eq!(body_model(&seen[2]), "standin+status=500");
    assert!(seen.iter().all(|seen| seen.header("x-tollgate-route").is_none()));
    assert_eq!(
        seen[3].target,
        "/v1beta/models/gemini-2.5-flash%2Bstatus%3D503:generateContent?alt=json"
    );
    assert_eq!(seen[4].target, "/v1beta/models/gemini-2.5-pro:generateContent?alt=json");
    let receipts = gate.receipts_of(3);
    assert_eq!(receipts[1]["attempts"].as_array().expect("a list").len(), 1);
    assert_eq!(receipts[1]["route"], Value::Null);
    assert_eq!(receipts[2]["format"], "gemini-generate");
}

#[test]
fn when_all_targets_fail_the_last_answer_comes_unchanged_or_a_no_in_the_clients_format() {
    let gate = with_routes(
        "[[routes]]\nname = 'answers'\ntargets = ['openai/standin+status=500', 'openai/standin+status=429']\n\
         [[routes]]\nname = 'silent'\ntargets = ['ollama/standin+garbage', 'dead/x']\n\
         [[routes]]\nname = 'off'\ntargets = ['openai/gpt-4o']\nenabled = false\n",
    );
    let direct = gate.send(&chat("standin+status=429", "a"));
    let (status, direct) = (direct.status(), direct.body().expect("whole"));
    let routed = gate.send(&chat("route/answers", "a"));
    assert_eq!((routed.status(), routed.body().expect("whole").len()), (status, direct.len()));
    let body = json!({"model": "route/silent", "messages": []});
    let reply = gate.send(&Call::post("/ollama/v1/chat/completions", &body));
    assert_eq!(reply.status(), 502);
    let said = reply.json().expect("JSON")["error"]["message"].to_string();
    assert!(
        said.contains("route `silent`: all 2 tries failed") && said.contains("127.0.0.1:1"),
        "{said}"
    );
    let missing = gate.send(&chat("route/nobody", "c"));
    assert_eq!(missing.status(), 404);
    assert!(missing.json().expect("JSON").to_string().contains("answers, silent"));
    assert_eq!(gate.send(&chat("route/off", "c")).status(), 404);
    let receipts = gate.receipts_of(5);
    let tries = [("standin+garbage", "broken"), ("x", "unreachable")];
    assert_eq!(models(&receipts[2]), pairs(&tries));
    // The one that broke off ran at the user's own server, and nobody bills that.
    assert_eq!((&receipts[2]["cost"], &receipts[2]["status"]), (&json!("0"), &json!("error")));
    assert_eq!(
        (&receipts[3]["status"], &receipts[3]["route"]),
        (&json!("denied"), &json!("nobody"))
    );
}

#[test]
fn neither_a_credential_of_its_own_nor_a_limited_pass_gets_a_call_further() {
    let gate = with_routes(
        "[[routes]]\nname = 'two'\ntargets = ['groq/standin', 'openai/gpt-4o']\n\
         [[routes]]\nname = 'groq'\ntargets = ['groq/standin']\n\
         [[routes]]\nname = 'local'\ntargets = ['vllm/secret', 'ollama/fine', 'ollama/other']\n\
         [[budgets]]\nname = 'nothing'\nrequests_per_minute = 0\nonly = { model = 'other' }\n",
    );
    assert_eq!(gate.send(&chat("route/two", "a")).status(), 200);
    let only_groq = gate.send(&chat("route/groq", "b"));
    assert_eq!(only_groq.status(), 403);
    let said = only_groq.json().expect("JSON").to_string();
    assert!(said.contains("belongs to `openai`") && said.contains("passes add"), "{said}");
    let seen = gate.upstream_saw(1);
    assert_eq!(body_model(&seen[0]), "gpt-4o", "the key was shown to its own provider only");
    let pass = |more: &[&str], label: &str| {
        gate.says(&[&["passes", "add", label], more].concat()).trim().to_owned()
    };
    let call = |pass: &str| {
        let body = json!({"model": "route/local", "messages": []});
        gate.send(&Call::post("/ollama/v1/chat/completions", &body).bearer(pass))
    };
    let fine = pass(&["--model", "fine"], "fine");
    assert_eq!(call(&fine).status(), 200);
    let by_provider = pass(&["--provider", "ollama"], "ollama");
    assert_eq!(call(&by_provider).status(), 200);
    let models: Vec<_> = gate.upstream_saw(3).iter().skip(1).map(body_model).collect();
    assert_eq!(models, ["fine", "fine"]);
    let none = pass(&["--model", "gpt*"], "none");
    let refused = call(&none);
    assert_eq!(refused.status(), 403);
    assert!(refused.json().expect("JSON").to_string().contains("`gpt*`"));
    let other = pass(&["--model", "other"], "other");
    assert_eq!(call(&other).status(), 429, "a budget stands against that target");
    let lacks = pass(&[], "lacks");
    let body = json!({"model": "route/groq", "messages": []});
    let no_key = gate.send(&Call::post("/v1/chat/completions", &body).bearer(&lacks));
    assert_eq!(no_key.status(), 401);
    assert!(no_key.json().expect("JSON").to_string().contains("tollgate keys add groq"));
    assert_eq!(gate.standin.seen().len(), 3);
}

#[test]
fn a_large_request_gets_one_try_and_its_model_all_the_same() {
    let gate = with_routes(
        "[[routes]]\nname = 'r'\ntargets = ['openai/standin+status=500', 'openai/gpt-4o']\n\
         [[routes]]\nname = 'fine'\ntargets = ['openai/gpt-4o']\n",
    );
    let large = |route: &str| {
        let text = "word ".repeat(300_000);
        format!(r#"{{"messages":[{{"role":"user","content":"{text}"}}],"model":"{route}","n":1}}"#)
    };
    let send = |route: &str| {
        let call = Call::new("POST", "/v1/chat/completions", large(route)).bearer("sk-own");
        gate.send(&call.header("content-type", "application/json"))
    };
    assert_eq!(send("route/r").status(), 500);
    assert_eq!(send("route/fine").status(), 200);
    let seen = gate.upstream_saw(2);
    assert_eq!(seen[1].upload.as_ref().expect("whole").sha256, sha256(large("gpt-4o").as_bytes()));
    let twice = large("a").replace("\"n\":1", "\"model\":\"b\"");
    let twice = Call::new("POST", "/v1/chat/completions", twice).bearer("sk-own");
    let twice = twice.header("x-tollgate-route", "fine");
    let refused = gate.send(&twice.header("content-type", "application/json"));
    assert_eq!(refused.status(), 400, "which of two models is meant nobody can say");
}

/// $15 and $75 a million tokens.
const GOOD: &str = "claude-opus-4-1-20250805";

/// What a target may do, by its model's name.
const DOES: [&str; 7] = [
    "anthropic/claude-opus-4-1-20250805",
    "anthropic/standin+status=500",
    "anthropic/standin+status=429",
    "anthropic/standin+reset=0",
    "anthropic/standin+garbage",
    "anthropic/standin+ttfb=20000",
    // In the middle of its answer: the client has heard some of it.
    "anthropic/standin+reset=3",
];

/// Numbers that look like chance and are the same every time.
struct Dice(u64);

impl Dice {
    fn throw(&mut self, sides: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }
}

struct Played {
    user: String,
    route: String,
    status: u16,
    id: String,
    came: Vec<u8>,
    broke_off: bool,
}

fn play(reply: Reply, user: String, route: String) -> Played {
    let (status, id) = (reply.status(), reply.header("x-tollgate-receipt").map(str::to_owned));
    let (came, broken) = reply.remains();
    let id = id.expect("every answer names its receipt");
    Played { user, route, status, id, came, broke_off: broken.is_some() }
}

#[test]
fn under_fire_every_call_gets_one_answer_and_every_try_is_on_its_receipt() {
    let soaks = env::var_os("TOLLGATE_SOAK").is_some();
    let until = soaks.then(|| Instant::now() + Duration::from_secs(60));
    let mut dice = Dice(0x7011_6a7e);
    let mut toml = String::new();
    const ROUTES: usize = 40;
    for route in 0..ROUTES {
        let mut targets: Vec<&str> = Vec::new();
        for _ in 0..1 + dice.throw(4) {
            let next = DOES[dice.throw(DOES.len())];
            if !targets.contains(&next) {
                targets.push(next);
            }
        }
        toml += &format!(
            "[[routes]]\nname = 'r{route}'\ntargets = {targets:?}\nfirst_byte_ms = 250\nrest_after = 1000\n"
        );
    }
    let gate = with_routes(&toml);
    let address = gate.address();
    let clients = (0..8_u64).map(|client| {
        thread::spawn(move || {
            let mut dice = Dice(client);
            let mut played = Vec::new();
            for call in 0.. {
                let is_over = until.map_or(call >= 25, |until| Instant::now() >= until);
                if is_over {
                    break;
                }
                let (user, route) = (format!("{client}-{call}"), format!("route/r{}", dice.throw(ROUTES)));
                let body = json!({"messages": [{"role": "user", "content": "hi"}], "model": route, "max_tokens": 100, "user": user, "stream": true});
                let call = Call::post("/v1/messages", &body).header("x-api-key", "sk-own");
                let reply = call.send(address).expect("the gate answers");
                played.push(play(reply, user, route));
            }
            played
        })
    });
    let clients: Vec<_> = clients.collect();
    let played: Vec<Played> =
        clients.into_iter().flat_map(|client| client.join().expect("it only calls")).collect();
    let receipts: BTreeMap<String, Value> = gate
        .receipts_of(played.len())
        .into_iter()
        .map(|receipt| (receipt["id"].as_str().expect("text").to_owned(), receipt))
        .collect();
    assert_eq!(receipts.len(), played.len(), "each call has a receipt of its own");
    let mut by_user: BTreeMap<String, Vec<Seen>> = BTreeMap::new();
    for seen in gate.standin.seen() {
        let body: Value = serde_json::from_slice(seen.body()).expect("JSON");
        by_user.entry(body["user"].as_str().expect("text").to_owned()).or_default().push(seen);
    }
    for one in &played {
        held_against(one, &receipts[&one.id], &by_user[&one.user]);
    }
    let failed_over =
        receipts.values().filter(|r| r["attempts"].as_array().is_some_and(|a| a.len() > 1));
    assert!(failed_over.count() > played.len() / 4, "the dice were kind");
}

/// What the client got, what the receipt says and what upstream saw are one story.
fn held_against(played: &Played, receipt: &Value, seen: &[Seen]) {
    let what = || format!("{} {} {receipt:#}", played.user, played.route);
    let attempts = receipt["attempts"].as_array().expect("a list");
    let tried: Vec<String> = models(receipt).into_iter().map(|(model, _)| model).collect();
    assert_eq!(tried, seen.iter().map(body_model).collect::<Vec<_>>(), "{}", what());
    // All but the last failed before anything of their answer went to the client.
    let (last, before) = attempts.split_last().expect("at least one");
    let is_good = |model: &str| model == GOOD || model == "standin+reset=3";
    assert!(before.iter().all(|one| !is_good(one["model"].as_str().expect("text"))), "{}", what());
    let text = String::from_utf8_lossy(&played.came);
    match last["model"].as_str().expect("text") {
        GOOD => {
            assert_eq!((played.status, played.broke_off), (200, false), "{}", what());
            assert_eq!(last["ended"], "completed", "{}", what());
            assert_eq!(text.matches("event: message_stop").count(), 1, "{}", what());
            assert_eq!(text.matches("Hello").count(), 1, "no piece comes twice: {text}");
        }
        "standin+reset=3" => {
            assert_eq!((played.status, played.broke_off), (200, true), "{}", what());
            assert_eq!(last["ended"], "broken", "{}", what());
            assert!(text.matches("Hello").count() <= 1 && !text.contains("message_stop"), "{text}");
        }
        // Its head had come, and nobody was left to be tried.
        "standin+reset=0" => {
            assert_eq!((played.status, played.broke_off), (200, true), "{}", what())
        }
        "standin+status=500" => assert_eq!(played.status, 500, "{}", what()),
        "standin+status=429" => assert_eq!(played.status, 429, "{}", what()),
        "standin+ttfb=20000" => assert_eq!(played.status, 504, "{}", what()),
        _ => assert_eq!(played.status, 502, "{}", what()),
    }
    let attos =
        |amount: &Value| amount.as_str().map(|text| text.parse::<meter::Money>().expect("money"));
    let costs: Vec<Option<meter::Money>> = attempts.iter().map(|one| attos(&one["cost"])).collect();
    let sum =
        costs.iter().flatten().fold(meter::Money::ZERO, |sum, cost| sum.saturating_add(*cost));
    match costs.iter().all(Option::is_some) {
        true => assert_eq!(attos(&receipt["cost"]), Some(sum), "{}", what()),
        false => {
            assert_eq!(attos(&receipt["cost"]), None, "{}", what());
            let known = attos(&receipt["subtotal"]).unwrap_or_default();
            // What broke off in the middle told of its prompt.
            let is_part = last["ended"] == "broken" && last["http_status"] == 200;
            assert!(known == sum || (is_part && known > sum), "{known} {sum} {}", what());
        }
    }
}
