//! Models on servers of one's own: seen by their calls and by what the servers say, and never at
//! the price of waking one.

use serde_json::{Value, json};
use standin::Standin;
use standin::client::Call;
use standin::status::Status;

use crate::contract::bearer;
use crate::gate::{Gate, Setup, wait_until};

const OFTEN: &str = "server_status_seconds = 1";

/// A stand-in that says of itself what these servers do.
fn speak(standin: &Standin) {
    let says = |path, body: Value| standin.says(path, Status::Says(200, body.to_string()));
    says("/api/ps", json!({"models": [{"name": "llama:latest", "size_vram": 5}]}));
    says("/api/tags", json!({"models": [{"name": "llama:latest"}, {"name": "other"}]}));
    standin.says("/health", Status::Says(200, String::new()));
    says("/v1/models", json!({"object": "list", "data": [{"id": "big"}]}));
    let metrics =
        "vllm:num_requests_running{model_name=\"big\"} 2.0\nvllm:num_requests_waiting 1.0\n";
    standin.says("/metrics", Status::Says(200, metrics.to_owned()));
}

fn listed(gate: &Gate, more: &[&str]) -> Value {
    let told = gate.says(&[&["deployments", "--json"], more].concat());
    serde_json::from_str(&told).expect("one object")
}

fn row(answer: &Value, name: &str) -> Value {
    let rows = answer["deployments"].as_array().expect("a list");
    rows.iter().find(|row| row["name"] == name).cloned().unwrap_or_default()
}

/// Calls a model of Ollama's and one of vLLM's.
fn call(gate: &Gate) {
    let chat = json!({"model": "llama", "messages": [], "stream": false});
    gate.send(&Call::post("/ollama/api/chat", &chat)).body().expect("whole");
    let chat = json!({"model": "big", "messages": []});
    gate.send(&Call::post("/vllm/v1/chat/completions", &chat)).body().expect("whole");
}

fn is_status(target: &str) -> bool {
    ["/api/ps", "/api/tags", "/health", "/metrics", "/v1/models", "/props", "/slots"]
        .contains(&target)
}

#[test]
fn a_model_that_is_called_or_declared_is_listed_with_what_it_did_and_whether_it_runs() {
    let declared = "[[deployments]]\nname = 'studio'\nprovider = 'vllm'\nmodel = 'big'\ngpus = 2\n";
    let gate = Gate::open_with(Setup { top: OFTEN, more: declared.to_owned(), ..Setup::default() });
    speak(&gate.standin);
    // Nobody called Ollama and nobody declared it: it is left alone.
    wait_until("the declared server is asked", || {
        row(&listed(&gate, &[]), "studio")["state"] == "active"
    });
    assert!(gate.standin.seen().iter().all(|seen| !seen.target.starts_with("/api/")));
    call(&gate);
    let tokens = |n: usize| {
        let said = gate.standin.seen().into_iter().filter_map(|seen| seen.said).nth(n);
        let said = said.expect("an answer with usage");
        (said.fresh + said.cache_read + said.cache_write, said.output + said.reasoning)
    };
    wait_until("both are known to run", || {
        let answer = listed(&gate, &[]);
        let ran = |name| row(&answer, name)["running_seconds"].as_u64().unwrap_or(0);
        answer["totals"]["active"] == 2 && ran("studio") >= 2 && ran("ollama/llama") >= 2
    });
    let answer = listed(&gate, &[]);
    let (ollama, vllm) = (row(&answer, "ollama/llama"), row(&answer, "studio"));
    for (row, n) in [(&ollama, 0), (&vllm, 1)] {
        assert_eq!((row["requests"].as_u64(), row["state"].as_str()), (Some(1), Some("active")));
        let got = (row["input_tokens"].as_u64(), row["output_tokens"].as_u64());
        assert_eq!(got, (Some(tokens(n).0), Some(tokens(n).1)), "{row}");
        assert_eq!((&row["errors"], &row["requests_cost"]), (&json!(0), &json!("0")));
    }
    assert_eq!((&vllm["working_on"], &vllm["waiting"]), (&json!(2), &json!(1)));
    assert_eq!((&vllm["gpus"], &vllm["gpus_from"]), (&json!(2), &json!("declared")));
    let seconds = |row: &Value, what: &str| row[what].as_u64().expect("a number");
    let (ran, gpu) = (seconds(&vllm, "running_seconds"), seconds(&vllm, "gpu_seconds"));
    assert!(gpu == 2 * ran || gpu == 2 * ran + 1, "{vllm}");
    assert_eq!((&ollama["gpus"], &answer["totals"]["requests"]), (&Value::Null, &json!(2)));
    // The other one that Ollama could load is not loaded by being asked about.
    assert_eq!(row(&answer, "ollama/other"), Value::Null);
    for seen in gate.standin.seen() {
        let is_asked = seen.method == "GET" && is_status(&seen.target);
        assert!(is_asked || seen.method == "POST", "{seen:?}");
        let secrets = ["authorization", "x-api-key", "api-key", "cookie", "x-goog-api-key"];
        assert!(!is_asked || secrets.iter().all(|name| seen.header(name).is_none()), "{seen:?}");
    }
    let reader = bearer(&gate, "usage:read");
    let reply = gate.send(&Call::get("/api/v1/deployments?provider=vllm").bearer(&reader));
    let over_http = reply.json().expect("JSON");
    assert_eq!(over_http["deployments"][0]["name"], "studio");
    assert_eq!(over_http["totals"]["deployments"], 1);
    let told = gate.says(&["deployments"]);
    assert!(told.contains("2 of 2 deployments run") && told.contains("studio"), "{told}");
}
