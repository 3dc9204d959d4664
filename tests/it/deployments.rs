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

#[test]
fn running_time_survives_a_kill_and_does_not_count_while_nobody_looked() {
    let mut gate = Gate::open_with(Setup { top: OFTEN, ..Setup::default() });
    speak(&gate.standin);
    call(&gate);
    let ran = |gate: &Gate| {
        let row = row(&listed(gate, &[]), "ollama/llama");
        row["running_seconds"].as_u64().unwrap_or(0)
    };
    wait_until("it was seen to run for a while", || ran(&gate) >= 2);
    let before = ran(&gate);
    gate.kill();
    // Nobody to ask: the ledger tells.
    let answer = listed(&gate, &[]);
    let kept = row(&answer, "ollama/llama");
    assert!(kept["running_seconds"].as_u64() >= Some(before), "{kept}");
    assert_eq!((&kept["state"], &answer["totals"]["active"]), (&json!("unknown"), &json!(0)));
    gate.start();
    wait_until("it goes on", || ran(&gate) > before);
    // From now on it is not loaded any more.
    let nothing = json!({"models": []}).to_string();
    gate.standin.says("/api/ps", Status::Says(200, nothing));
    let state = |gate: &Gate| row(&listed(gate, &[]), "ollama/llama")["state"].clone();
    wait_until("it is seen to be idle", || state(&gate) == "idle");
    let asked =
        |gate: &Gate| gate.standin.seen().iter().filter(|seen| seen.target == "/api/ps").count();
    let (stopped, looks) = (ran(&gate), asked(&gate));
    wait_until("it was asked some more", || asked(&gate) >= looks + 3);
    assert_eq!(ran(&gate), stopped);
}

#[test]
fn an_hour_has_one_price_and_what_a_paid_model_would_have_cost_is_rated_by_the_receipt() {
    let mut gate = Gate::open_with(Setup { top: OFTEN, ..Setup::default() });
    speak(&gate.standin);
    let own = "[[price]]\nprovider = 'openai'\nmodel = 'paid'\n[price.rates]\n'input.text' = '2'\n\
         'input.cache_read' = '2'\n'input.cache_write' = '2'\n'output.text' = '10'\n'output.reasoning' = '10'\n";
    std::fs::write(gate.home().join("prices.toml"), own).expect("a file");
    gate.says(&["prices", "override", "--check"]);
    gate.says(&[
        "deployments",
        "add",
        "studio",
        "--provider",
        "vllm",
        "--gpus",
        "2",
        "--versus",
        "openai/paid",
        "--cost-per-hour",
        "3.60",
    ]);
    let config = std::fs::read_to_string(gate.home().join("config.toml")).expect("a file");
    assert!(
        config.contains("[[deployments]]\nname = \"studio\"\nprovider = \"vllm\"\ngpus = 2\n"),
        "{config}"
    );
    call(&gate);
    wait_until("it is known to run", || {
        let row = row(&listed(&gate, &[]), "studio");
        row["requests"] == 1 && row["running_seconds"].as_u64() >= Some(2)
    });
    gate.kill();
    let answer = listed(&gate, &[]);
    let studio = row(&answer, "studio");
    // 3.60 an hour is a thousandth a second.
    let cost = dollars(&studio["running_cost"]);
    let seconds = studio["running_seconds"].as_u64().expect("a number");
    assert_eq!(studio["cost_per_hour"], "3.6");
    assert!((seconds * 1_000..(seconds + 1) * 1_000).contains(&cost), "{studio}");
    let (tokens_in, tokens_out) =
        (studio["input_tokens"].as_u64(), studio["output_tokens"].as_u64());
    let there = tokens_in.expect("a number") * 2 + tokens_out.expect("a number") * 10;
    let versus = &studio["versus"];
    assert_eq!((dollars(&versus["cost"]), &versus["requests"]), (there, &json!(1)), "{versus}");
    let saved = versus["saved"].as_str().expect("an amount");
    let signed = i64::try_from(there).expect("small") - i64::try_from(cost).expect("small");
    assert_eq!(saved.starts_with('-'), signed < 0, "{versus}");
    assert_eq!(dollars(&json!(saved.trim_start_matches('-'))), signed.unsigned_abs());
    // The price per hour is that of the calls as well: it is one price.
    let call = gate.receipts().into_iter().find(|one| one["provider"] == "vllm").expect("one");
    let latency = call["latency_ms"].as_u64().expect("a duration");
    assert_eq!(dollars(&call["cost"]), latency, "{call}");
    let unknown = row(&listed(&gate, &["--versus", "openai/nobody-knows"]), "studio");
    assert_eq!(
        (&unknown["versus"]["cost"], &unknown["versus"]["unpriced"]),
        (&Value::Null, &json!(1))
    );
    let refused = gate.command(&["deployments", "--versus", "paid"]);
    assert_eq!(refused.status.code(), Some(2));
}

/// Millionths of a dollar.
fn dollars(amount: &Value) -> u64 {
    let text = amount.as_str().expect("an amount");
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    format!("{whole}{:0<6}", &part[..part.len().min(6)]).parse().expect("digits")
}

#[test]
fn a_declaration_comes_changes_and_goes_and_a_wrong_one_changes_nothing() {
    let gate = Gate::open();
    let config = || std::fs::read_to_string(gate.home().join("config.toml")).expect("a file");
    let before = config();
    for (order, says) in [
        (&["add", "a", "--provider", "openai"][..], "no server of your own"),
        (&["add", "a", "--provider", "vllm", "--gpus", "-1"], "`gpus`"),
        (&["add", "a", "--provider", "vllm", "--versus", "x"], "`versus`"),
        (&["edit", "a", "--gpus", "1"], "no deployment `a`"),
        (&["remove", "a"], "no deployment `a`"),
    ] {
        let refused = gate.command(&[&["deployments"], order].concat());
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success() && said.contains(says), "{order:?}: {said}");
        assert_eq!(config(), before);
    }
    gate.says(&["deployments", "add", "a", "--provider", "vllm", "--model", "m"]);
    let twice = gate.command(&["deployments", "add", "b", "--provider", "vllm", "--model", "m"]);
    assert!(String::from_utf8_lossy(&twice.stderr).contains("same provider and model"));
    gate.says(&["deployments", "edit", "a", "--rename", "b", "--gpus", "4", "--model", ""]);
    let b = row(&listed(&gate, &[]), "b");
    assert_eq!((&b["gpus"], &b["model"], &b["requests"]), (&json!(4), &Value::Null, &json!(0)));
    gate.says(&["deployments", "remove", "b"]);
    assert_eq!(config(), before);
    assert_eq!(listed(&gate, &[])["totals"]["deployments"], 0);
}

#[test]
fn servers_that_lie_hang_or_point_elsewhere_harm_nobody() {
    let elsewhere = Standin::start().expect("a free port");
    let liars = [("hangs", Status::Nothing), ("floods", Status::Endless)];
    let liars = liars.map(|(name, status)| {
        let standin = Standin::start().expect("a free port");
        standin.says("/v1/models", status);
        (name, standin)
    });
    let moved = Standin::start().expect("a free port");
    moved.says("/v1/models", Status::Elsewhere(format!("{}/v1/models", elsewhere.origin())));
    let mad = Standin::start().expect("a free port");
    let many: Vec<Value> = (0..3000).map(|n| json!({"id": format!("m{n}")})).collect();
    mad.says(
        "/api/ps",
        Status::Says(
            200,
            json!({"models": [
        {"name": "\u{1b}[2J", "size_vram": "NaN"}, {"name": 7}, {"name": "sane", "size_vram": -1}]})
            .to_string(),
        ),
    );
    mad.says("/v1/models", Status::Says(200, json!({"data": many}).to_string()));
    let gone = Standin::start().expect("a free port").origin();
    let mut more = String::new();
    let servers = [
        ("hangs", liars[0].1.origin()),
        ("floods", liars[1].1.origin()),
        ("moved", moved.origin()),
        ("mad", mad.origin()),
        ("gone", gone),
    ];
    for (id, origin) in &servers {
        let status = if *id == "mad" { "ollama" } else { "openai" };
        more += &format!("[providers.{id}]\nbase_url = '{origin}'\nkind = 'local'\n");
        more += &format!(
            "[[deployments]]\nname = '{id}'\nprovider = '{id}'\nmodel = 'm1'\nstatus = '{status}'\n"
        );
    }
    let gate = Gate::open_with(Setup { top: OFTEN, more, ..Setup::default() });
    let state = |name: &str| row(&listed(&gate, &[]), name)["state"].clone();
    // One that hangs keeps nobody else waiting for more than its turn.
    wait_until("all of them were asked", || state("hangs") != "unknown");
    for (name, expected) in [
        ("hangs", "unreachable"),
        ("gone", "unreachable"),
        ("floods", "unclear"),
        ("moved", "unclear"),
        ("mad", "unclear"),
    ] {
        assert_eq!(state(name), expected, "{name}");
    }
    assert!(elsewhere.seen().is_empty(), "a redirect was followed");
    mad.says("/api/ps", Status::Says(200, json!({"models": [{"name": "m1"}]}).to_string()));
    wait_until("it came to its senses", || state("mad") == "active");
    call(&gate);
    assert_eq!(gate.receipts_of(2).len(), 2);
}

#[test]
fn the_driver_is_asked_only_while_something_runs_here() {
    use std::os::unix::fs::PermissionsExt as _;
    let tools = tempfile::tempdir().expect("a folder");
    let program = tools.path().join("nvidia-smi");
    let asked = tools.path().join("asked");
    let script = format!("#!/bin/sh\necho \"$*\" >> {}\nprintf '40\\n60\\n'\n", asked.display());
    std::fs::write(&program, script).expect("a file");
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("ours");
    let path = std::env::var("PATH").unwrap_or_default();
    let launcher = format!("PATH={}:{path} exec \"$0\" \"$@\"", tools.path().display());
    let launcher: &'static [&'static str] =
        Box::leak(Box::new(["sh", "-c", Box::leak(launcher.into_boxed_str())]));
    let more =
        "[[deployments]]\nname = 'studio'\nprovider = 'ollama'\nmodel = 'llama'\n".to_owned();
    let gate = Gate::open_with(Setup { top: OFTEN, more, launcher, ..Setup::default() });
    let nothing = json!({"models": []}).to_string();
    gate.standin.says("/api/ps", Status::Says(200, nothing));
    let state = || row(&listed(&gate, &[]), "studio");
    wait_until("it was asked", || state()["state"] == "idle" || state()["state"] == "absent");
    assert!(!asked.exists(), "the driver was asked for nothing");
    speak(&gate.standin);
    wait_until("it runs on two of them", || state()["gpu_seconds"].as_u64() >= Some(4));
    let studio = state();
    assert_eq!((&studio["gpus"], &studio["gpus_from"]), (&json!(2), &json!("driver")));
    assert_eq!(studio["busy_percent"], 50);
    assert!(listed(&gate, &[])["totals"]["gpu_seconds"].as_u64() >= studio["gpu_seconds"].as_u64());
}

#[test]
fn a_fine_tuning_is_followed_by_what_the_clients_own_calls_show_and_by_nothing_else() {
    let gate = Gate::open();
    let own = "[[price]]\nprovider = 'openai'\nmodel = 'small'\nrates = { 'train.tokens' = '3' }\n";
    std::fs::write(gate.home().join("prices.toml"), own).expect("a file");
    gate.says(&["prices", "override", "--check"]);
    let job = |status: &str, trained: Value| {
        let job = json!({"object": "fine_tuning.job", "id": "ftjob-1", "model": "small", "status": status,
            "trained_tokens": trained, "training_file": "file-planted-name"});
        Status::Says(200, job.to_string())
    };
    gate.standin.says("POST /v1/fine_tuning/jobs", job("validating_files", Value::Null));
    let begin =
        Call::post("/v1/fine_tuning/jobs", &json!({"model": "small", "training_file": "file-1"}));
    gate.send(&begin.bearer("planted")).body().expect("whole");
    let tuning = || {
        let answer = listed(&gate, &[]);
        (answer["fine_tunings"][0].clone(), answer["totals"].clone())
    };
    wait_until("the job is known", || tuning().0["job"] == "ftjob-1");
    let (begun, totals) = tuning();
    assert_eq!(
        (&begun["status"], &begun["trained_tokens"], &begun["ended"]),
        (&json!("pending"), &Value::Null, &Value::Null)
    );
    assert_eq!((&totals["fine_tunings"], &totals["fine_tunings_running"]), (&json!(1), &json!(1)));
    let look = || {
        let look = Call::get("/v1/fine_tuning/jobs/ftjob-1").bearer("planted");
        gate.send(&look).body().expect("whole")
    };
    for (status, trained) in
        [("running", Value::Null), ("succeeded", json!(2_000_000)), ("succeeded", json!(9))]
    {
        gate.standin.says("/v1/fine_tuning/jobs/ftjob-1", job(status, trained));
        look();
    }
    wait_until("the job is over", || tuning().0["status"] == "succeeded");
    gate.receipts_of(4);
    let (over, totals) = tuning();
    // Two million at $3 a million; whoever looks again changes nothing.
    assert_eq!((&over["cost"], &over["cost_state"]), (&json!("6"), &json!("priced")), "{over}");
    assert_eq!(over["trained_tokens"].to_string().trim_matches('"'), "2000000");
    assert_eq!((&totals["fine_tunings_running"], over["seconds"].is_u64()), (&json!(0), true));
    // One call began it, three looked; nobody else did.
    assert_eq!(gate.upstream_saw(4).len(), 4);
    let told = gate.says(&["deployments"]);
    assert!(
        told.contains("ftjob-1") && told.contains("1 fine-tunings, 0 of them under way"),
        "{told}"
    );
}
