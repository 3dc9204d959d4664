//! Alerts of the real process: each line is told once, also over a kill; what is changed by
//! command counts at once, keeps what the user wrote, and survives a restart.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::Child;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use chrono::{TimeDelta, Timelike as _, Utc};
use meter::Receipt;
use meter::Timestamp;
use meter::receipt::{CostState, Kind, Line, Status, UsageState};
use meter::usage::{Basis, Bound, Count, Factor};
use serde_json::{Value, json};
use standin::client::Call;
use store::Ledger;

use crate::gate::{Gate, Setup, wait_until};

/// A dollar a million tokens.
const OWN: &str = "[[price]]\nprovider = 'openai'\n[price.rates]\n'input.text' = '1'\n\
     'input.cache_read' = '1'\n'output.text' = '1'\n'output.reasoning' = '1'\n\
     'input.cache_write' = '1'\n'input.cache_write_30m' = '1'\n";

/// One rule of each kind, each with a line that the traffic below crosses; the last one only
/// after a restart, so that whoever sees it knows that the others were judged again.
const KINDS: [(&str, &str); 10] = [
    ("spend", "spend_above = '0.005'\nper = 'PER'"),
    ("forecast", "forecast_above = '0.006'\nper = 'PER'\nafter_percent = 1"),
    ("errors", "error_rate_above = 10\nwithin = '1h'"),
    ("burst", "rate_limited_above = 2\nwithin = '1h'"),
    ("latency", "latency_above_ms = 20\nwithin = '1h'"),
    ("ttft", "ttft_above_ms = 20\nwithin = '1h'\nat_least = 3"),
    ("cache", "cache_hits_below = 50\nwithin = '1h'\ncompared_with = '1d'\nat_least_tokens = 1000"),
    ("unpriced", "unpriced_above = 5\nwithin = '1h'"),
    ("loop", "loop_above = 8\nwithin = '1h'\nonly = { workspace = 'personal' }"),
    ("calls", "calls_above = 30\nwithin = '1h'"),
];

/// A calendar period that is neither too young for a forecast nor about to end.
fn period() -> &'static str {
    let now = Utc::now();
    match (now.minute(), now.hour()) {
        (2..=56, _) => "hour",
        (_, 1..=22) => "day",
        _ => "month",
    }
}

fn rules() -> String {
    let rule = |(name, line): &(&str, &str)| format!("[[alerts]]\nname = '{name}'\n{line}\n");
    KINDS.iter().map(rule).collect::<String>().replace("PER", period())
}

/// Three hours ago nine tenths of the input came from a cache.
fn a_cache_that_worked(home: &Path) {
    let ledger = Ledger::open(home).expect("a fresh ledger");
    let recorder = ledger.recorder();
    let then = Timestamp::from(Utc::now() - TimeDelta::hours(3));
    let mut receipt = Receipt::begun(recorder.mint(then), then, "openai", "https://o.test");
    receipt.kind = Kind::Chat;
    receipt.status = Status::Succeeded;
    receipt.usage_state = UsageState::Reported;
    receipt.cost_state = CostState::Free;
    let line = |factor: Factor, count| Line {
        unit: factor.unit(),
        factor,
        count: Count::whole(count),
        rate: None,
        amount: None,
        tier: None,
        price_version: None,
        basis: Basis::Reported,
        bound: Bound::Exact,
        model: None,
        attributes: [].into(),
    };
    receipt.lines = vec![line(Factor::InputText, 1000), line(Factor::InputCacheRead, 9000)];
    recorder.open(&receipt).finish(receipt);
    ledger.close(Duration::from_secs(60));
    fs::write(home.join("prices.toml"), OWN).expect("the home is writable");
}

/// `tollgate alerts --follow --json`, and what it has said so far.
struct Follower {
    process: Child,
    events: Arc<Mutex<Vec<Value>>>,
}

impl Follower {
    fn of(gate: &Gate) -> Self {
        let mut process = gate.start_command(&["alerts", "--follow", "--json"]);
        let lines = BufReader::new(process.stdout.take().expect("piped")).lines();
        let events = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&events);
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let event = serde_json::from_str(&line).expect("one event a line");
                heard.lock().expect("nobody panics holding it").push(event);
            }
        });
        Self { process, events }
    }

    fn all(&self) -> Vec<Value> {
        self.events.lock().expect("nobody panics holding it").clone()
    }

    /// How often each rule did this.
    fn count(&self, turn: &str) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for event in self.all().iter().filter(|event| event["turn"] == turn) {
            *counts.entry(event["rule"].as_str().unwrap_or_default().to_owned()).or_default() += 1;
        }
        counts
    }

    fn wait_for(&self, rule: &str, turn: &str) -> Value {
        let find = || {
            let all = self.all().into_iter();
            all.rev().find(|event| event["rule"] == rule && event["turn"] == turn)
        };
        wait_until(&format!("`{rule}` {turn}"), || find().is_some());
        find().expect("it was there")
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn chat(gate: &Gate, path: &str, body: &Value, play: &str) {
    let call = Call::post(path, body).bearer("planted").header("x-api-key", "planted").play(play);
    gate.send(&call).body().expect("whole");
}

fn traffic(gate: &Gate) {
    let plain = json!({"model": "standin", "messages": []});
    let stream = json!({"model": "standin", "messages": [], "stream": true});
    let claude = json!({"model": "nobody-knows-it", "max_tokens": 64, "messages": []});
    for _ in 0..4 {
        chat(gate, "/v1/chat/completions", &plain, "ttfb=40");
        chat(gate, "/v1/chat/completions", &stream, "ttfb=40");
        chat(gate, "/v1/chat/completions", &plain, "status=429");
        chat(gate, "/v1/messages", &claude, "");
    }
}

fn error(gate: &Gate) {
    let plain = json!({"model": "standin", "messages": []});
    chat(gate, "/v1/chat/completions", &plain, "status=500");
}

#[test]
fn each_line_is_told_once_and_a_kill_tells_nothing_twice() {
    let mut gate = Gate::open_with(Setup {
        more: rules(),
        prepare: Some(a_cache_that_worked),
        ..Setup::default()
    });
    let follower = Follower::of(&gate);
    traffic(&gate);
    for (name, _) in &KINDS[..9] {
        let event = follower.wait_for(name, "began");
        assert_eq!(event["hush"], Value::Null, "{event}");
        let page = event["page"].as_str().expect("a page");
        assert!(page.starts_with("/activity?from="), "{page}");
        let reading = &event["reading"];
        assert!(reading["value"] != reading["threshold"] && reading["from"].is_string());
    }
    gate.kill();
    gate.start();
    traffic(&gate);
    follower.wait_for("calls", "began");
    let once: BTreeMap<String, usize> =
        KINDS.iter().map(|(name, _)| ((*name).to_owned(), 1)).collect();
    assert_eq!(follower.count("began"), once, "{:#?}", follower.all());
    assert!(follower.count("told").is_empty() && follower.count("ended").is_empty());
    // The list agrees with what was heard.
    let listed = gate.says(&["alerts", "list", "--json"]);
    for line in listed.lines() {
        let rule: Value = serde_json::from_str(line).expect("JSON");
        assert_eq!(rule["state"], "active", "{rule}");
        assert!(rule["told_at"].is_string(), "{rule}");
    }
}

const ONE: &str = "[[alerts]]\nname = 'Errors'\nerror_rate_above = 20\nat_least = 1\n";

#[test]
fn what_is_snoozed_or_paused_is_told_when_that_is_over_and_once() {
    for (still, again, hush) in [
        (
            &["alerts", "snooze", "Errors", "1h"][..],
            &["alerts", "snooze", "Errors", "now"][..],
            "snoozed",
        ),
        (&["alerts", "pause"], &["alerts", "resume"], "paused"),
    ] {
        let mut gate = Gate::open_with(Setup { more: ONE.to_owned(), ..Setup::default() });
        let follower = Follower::of(&gate);
        gate.says(still);
        // It outlives the process.
        gate.kill();
        gate.start();
        error(&gate);
        assert_eq!(follower.wait_for("Errors", "began")["hush"], hush);
        gate.says(again);
        follower.wait_for("Errors", "told");
        gate.says(&["alerts", "remove", "Errors"]);
        follower.wait_for("Errors", "ended");
        let counts = ["began", "told", "ended"].map(|turn| follower.count(turn)["Errors"]);
        assert_eq!(counts, [1, 1, 1]);
    }
}

#[test]
fn what_fires_in_quiet_hours_is_told_when_they_end() {
    let gate = Gate::open_with(Setup { more: ONE.to_owned(), ..Setup::default() });
    let follower = Follower::of(&gate);
    let [from, to] = [-60, 60]
        .map(|minutes| (Utc::now() + TimeDelta::minutes(minutes)).format("%H:%M").to_string());
    gate.says(&["alerts", "quiet-hours", &from, &to]);
    error(&gate);
    assert_eq!(follower.wait_for("Errors", "began")["hush"], "quiet_hours");
    gate.says(&["alerts", "quiet-hours", "off"]);
    follower.wait_for("Errors", "told");
}

#[test]
fn an_episode_that_ended_is_news_when_it_begins_again() {
    let config = "[[alerts]]\nname = 'Calls'\ncalls_above = 0\nonly = { status = 'error' }\n";
    let gate = Gate::open_with(Setup { more: config.to_owned(), ..Setup::default() });
    let follower = Follower::of(&gate);
    error(&gate);
    follower.wait_for("Calls", "began");
    // Another line ends what went on, and is judged anew.
    gate.says(&["alerts", "edit", "Calls", "--calls-above", "1"]);
    assert_eq!(follower.wait_for("Calls", "ended")["said"], "The rule was changed.");
    error(&gate);
    wait_until("it begins again", || follower.count("began")["Calls"] == 2);
}

#[test]
fn commands_change_rules_with_a_process_and_without_and_keep_what_the_user_wrote() {
    let config = "# About money.\n[[alerts]]\nname = \"Mine\"   # yes\nspend_above = '5'\n";
    let mut gate = Gate::open_with(Setup { more: config.to_owned(), ..Setup::default() });
    let text = |gate: &Gate| fs::read_to_string(gate.home().join("config.toml")).expect("text");
    let before = text(&gate);
    let names = |gate: &Gate| -> Vec<String> {
        let listed = gate.says(&["alerts", "--json"]);
        let name =
            |line: &str| serde_json::from_str::<Value>(line).expect("JSON")["rule"]["name"].clone();
        listed.lines().map(|line| name(line).as_str().unwrap_or_default().to_owned()).collect()
    };
    let markup = "<img src=x onerror=\"alert(1)\">'&/?#%";
    gate.says(&["alerts", "add", markup, "--calls-above", "5", "--only", "model=a\"b"]);
    assert!(text(&gate).starts_with(&before), "{}", text(&gate));
    assert_eq!(names(&gate), ["Mine", markup]);
    gate.says(&["alerts", "snooze", markup, "1h"]);
    gate.kill();
    gate.says(&["alerts", "edit", "Mine", "--spend-above", "7.50", "--per", "week"]);
    gate.says(&["alerts", "remove", markup]);
    let after = before.replace("'5'", "\"7.50\"");
    assert_eq!(text(&gate), format!("{after}per = \"week\"\n"));
    assert_eq!(names(&gate), ["Mine"]);
    gate.start();
    assert_eq!(names(&gate), ["Mine"]);
}

#[test]
fn a_wrong_rule_changes_nothing_and_is_refused_by_its_field() {
    let gate = Gate::open();
    let before = fs::read(gate.home().join("config.toml")).expect("a file");
    let long = "<b>".repeat(3500);
    for (arguments, field) in [
        (&["add", "a", "--spend-above=-1"][..], "`spend_above`"),
        (&["add", "a", "--error-rate-above=-5"], "`error_rate_above`"),
        (&["add", "a", "--error-rate-above", "400"], "`error_rate_above`"),
        (&["add", "a", "--calls-above", "5", "--within", "soon"], "`within`"),
        (&["add", "a", "--calls-above", "5", "--only", "modle=m"], "`modle`"),
        (&["add", "a", "--calls-above", "5", "--only", "status=6xx"], "`6xx`"),
        (&["add", &long, "--calls-above", "5"], "`name`"),
        (&["add", "a"], "`spend_above`"),
        (&["add", "a", "--calls-above", "5", "--spend-above", "1"], "one line"),
        (&["snooze", "Errors", "yesterday"], "`until`"),
        (&["snooze", "nobody", "1h"], "`nobody`"),
        (&["remove", "nobody"], "`nobody`"),
        (&["remove", &long], "no rule"),
        (&["add", "Errors", "--calls-above", "5"], "already"),
    ] {
        let refused = gate.command(&[&["alerts"], arguments].concat());
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success(), "{arguments:?}");
        assert!(said.contains(field) && said.contains("hint: ") && said.len() < 700, "{said}");
    }
    assert_eq!(fs::read(gate.home().join("config.toml")).expect("a file"), before);
}
