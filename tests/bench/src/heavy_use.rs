//! Receipts as a heavy user's years leave them: working hours, bursts of agents, models that
//! come and go, a few per cent of errors. The same seed gives the same receipts.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use meter::price::{Book, Query, rate};
use meter::receipt::{
    Attempt, AttemptEnd, CostState, Kind, RawUsage, Receipt, ReceiptId, Status, UsageState,
};
use meter::usage::{Factor, UsageLine};
use meter::{Money, Timestamp};
use store::Ledger;

use crate::exercised::exercised;

/// Receipts on their way to the writer; fewer than the register has slots.
const MOST_WAITING: u64 = 2_000;

/// The present, as receipts tell it.
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(since.as_millis() as i64)
}

/// Writes them into a home without a ledger, through the same door as the gateway.
///
/// # Errors
/// When there is a ledger already, or it cannot be written.
pub fn write_ledger(home: &Path, mut uses: HeavyUse) -> anyhow::Result<()> {
    std::fs::create_dir_all(home)?;
    anyhow::ensure!(
        !home.join("ledger.db").exists(),
        "`{}` has a ledger already\nhint: name an empty folder",
        home.display()
    );
    let ledger = Ledger::open(home)?;
    let recorder = ledger.recorder();
    let mut sent = 0;
    while let Some(receipt) = uses.next(|at| recorder.mint(at)) {
        recorder.open(&receipt).finish(receipt);
        sent += 1;
        while sent % 512 == 0 && sent - ledger.health().recorded > MOST_WAITING {
            std::thread::sleep(Duration::from_millis(2));
        }
    }
    ledger.close(Duration::from_secs(60));
    Ok(())
}

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// How likely each hour (UTC) of a working day is.
const HOURS: [u64; 24] =
    [2, 1, 1, 0, 0, 0, 1, 3, 7, 10, 11, 10, 7, 9, 11, 11, 10, 8, 5, 4, 5, 6, 5, 3];

/// A model: how often it is asked, of which provider, how long it takes for each token out.
struct Model {
    weight: u64,
    provider: &'static str,
    asked: &'static str,
    served: &'static str,
    /// What was asked and served in its place a year ago, two years ago.
    before: &'static [(&'static str, &'static str)],
    kind: Kind,
    /// Typical tokens in and out.
    tokens: (u64, u64),
    /// Percent of the input that comes from a cache.
    cached: u64,
    reasons: bool,
    ms_per_token: u64,
}

const fn chat(
    weight: u64,
    provider: &'static str,
    asked: &'static str,
    served: &'static str,
    tokens: (u64, u64),
    cached: u64,
    ms_per_token: u64,
) -> Model {
    Model {
        weight,
        provider,
        asked,
        served,
        before: &[],
        kind: Kind::Chat,
        tokens,
        cached,
        reasons: false,
        ms_per_token,
    }
}

const MODELS: &[Model] = &[
    Model {
        before: &[
            ("claude-sonnet-4-0", "claude-sonnet-4-20250514"),
            ("claude-3-5-sonnet-latest", "claude-3-5-sonnet-20241022"),
        ],
        ..chat(
            260,
            "anthropic",
            "claude-sonnet-4-5",
            "claude-sonnet-4-5-20250929",
            (24_000, 420),
            86,
            14,
        )
    },
    Model {
        before: &[
            ("claude-3-5-haiku-latest", "claude-3-5-haiku-20241022"),
            ("claude-3-haiku-20240307", "claude-3-haiku-20240307"),
        ],
        ..chat(
            110,
            "anthropic",
            "claude-haiku-4-5",
            "claude-haiku-4-5-20251001",
            (6_000, 260),
            60,
            6,
        )
    },
    Model {
        before: &[
            ("claude-opus-4-0", "claude-opus-4-20250514"),
            ("claude-3-opus-latest", "claude-3-opus-20240229"),
        ],
        ..chat(
            40,
            "anthropic",
            "claude-opus-4-5",
            "claude-opus-4-5-20251101",
            (30_000, 700),
            88,
            22,
        )
    },
    Model {
        reasons: true,
        before: &[("gpt-4o", "gpt-4o-2024-08-06"), ("gpt-4-turbo", "gpt-4-turbo-2024-04-09")],
        ..chat(150, "openai", "gpt-5", "gpt-5-2025-08-07", (9_000, 900), 55, 11)
    },
    Model {
        reasons: true,
        before: &[("o3-mini", "o3-mini-2025-01-31"), ("o1-mini", "o1-mini-2024-09-12")],
        ..chat(120, "openai", "gpt-5-mini", "gpt-5-mini-2025-08-07", (3_000, 500), 40, 7)
    },
    chat(70, "openai", "gpt-4o-mini", "gpt-4o-mini-2024-07-18", (1_200, 180), 20, 8),
    chat(25, "openai", "gpt-4.1", "gpt-4.1-2025-04-14", (4_000, 300), 35, 12),
    Model {
        reasons: true,
        before: &[
            ("gemini-2.0-flash", "gemini-2.0-flash"),
            ("gemini-1.5-flash", "gemini-1.5-flash-002"),
        ],
        ..chat(80, "gemini", "gemini-2.5-flash", "gemini-2.5-flash", (5_000, 350), 25, 4)
    },
    Model {
        reasons: true,
        before: &[
            ("gemini-1.5-pro", "gemini-1.5-pro-002"),
            ("gemini-1.5-pro", "gemini-1.5-pro-001"),
        ],
        ..chat(30, "gemini", "gemini-2.5-pro", "gemini-2.5-pro", (12_000, 800), 30, 9)
    },
    chat(40, "deepseek", "deepseek-chat", "deepseek-chat", (4_000, 400), 50, 18),
    chat(15, "mistral", "mistral-large-latest", "mistral-large-2411", (2_000, 300), 0, 13),
    chat(12, "groq", "llama-3.3-70b-versatile", "llama-3.3-70b-versatile", (1_500, 250), 0, 2),
    chat(6, "openrouter", "somebody/new-model", "somebody/new-model", (1_500, 250), 0, 15),
    Model {
        kind: Kind::Embedding,
        ..chat(40, "openai", "text-embedding-3-small", "text-embedding-3-small", (800, 0), 0, 0)
    },
    Model {
        kind: Kind::Image,
        ..chat(2, "openai", "gpt-image-1", "gpt-image-1", (60, 1_056), 0, 18)
    },
];

impl Model {
    /// What was asked and served so many years ago.
    fn names(&self, years_ago: usize) -> (&'static str, &'static str) {
        let before = self.before.get(..years_ago).unwrap_or(self.before);
        before.last().copied().unwrap_or((self.asked, self.served))
    }
}

/// What somebody works at: each piece of work has its client, its key and its pass, and
/// lasts for a while (first and last thousandth of the year).
struct Work {
    weight: u64,
    workspace: &'static str,
    client: &'static str,
    key: &'static str,
    pass: &'static str,
    lasts: (i64, i64),
}

const fn work(
    weight: u64,
    workspace: &'static str,
    client: &'static str,
    key: &'static str,
    pass: &'static str,
    lasts: (i64, i64),
) -> Work {
    Work { weight, workspace, client, key, pass, lasts }
}

const WORKS: &[Work] = &[
    work(30, "personal", "claude-cli", "own", "laptop", (0, 1000)),
    work(8, "personal", "curl", "own", "laptop", (0, 1000)),
    work(6, "personal", "aider", "own", "laptop", (0, 400)),
    work(9, "personal", "codex", "own", "laptop", (350, 1000)),
    work(20, "shop", "claude-cli", "work", "laptop", (100, 800)),
    work(12, "shop", "OpenAI/Python", "work", "shop-backend", (150, 1000)),
    work(6, "shop", "OpenAI/JS", "work", "shop-frontend", (200, 1000)),
    work(7, "shop", "OpenAI/Python", "work", "ci", (200, 1000)),
    work(10, "thesis", "OpenAI/Python", "own", "notebook", (0, 600)),
    work(3, "thesis", "claude-cli", "own", "laptop", (0, 600)),
    work(12, "client-a", "claude-cli", "client-a", "laptop", (500, 1000)),
    work(4, "client-a", "langchain", "client-a", "server", (600, 1000)),
    work(2, "client-b", "claude-cli", "trial", "laptop", (850, 1000)),
    work(1, "client-b", "curl", "trial", "laptop", (850, 1000)),
];

impl Work {
    /// A workspace or a key of the same sort of work so many years ago: what lasts the whole
    /// year stays for good, other work has a successor.
    fn name(&self, name: &str, years_ago: usize) -> Box<str> {
        match (self.lasts, years_ago) {
            ((0, 1000), _) | (_, 0) => name.into(),
            _ => format!("{name}-{years_ago}").into(),
        }
    }
}

const TEAMS: [(&str, u64); 3] = [("red", 50), ("blue", 40), ("green", 10)];

/// How calls end: status, HTTP code, the provider's word, per thousand.
const ENDS: [(Status, Option<u16>, Option<&str>, u64); 6] = [
    (Status::Succeeded, Some(200), None, 955),
    (Status::Error, Some(429), Some("rate_limit_error"), 18),
    (Status::Error, Some(500), Some("api_error"), 6),
    (Status::Error, Some(400), Some("invalid_request_error"), 8),
    (Status::Cancelled, Some(200), None, 10),
    (Status::Denied, Some(403), None, 3),
];

/// Receipts in the order of time.
pub struct HeavyUse {
    chance: Chance,
    days: i64,
    /// The instant after the last receipt, in milliseconds.
    until: i64,
    left: u64,
    day: i64,
    /// What is left of the day, latest first.
    instants: Vec<i64>,
}

impl HeavyUse {
    /// So many receipts over so many days, the last of them just before `until`.
    pub fn new(receipts: u64, days: u32, until: Timestamp, seed: u64) -> Self {
        let (chance, days) = (Chance(seed), i64::from(days.max(1)));
        Self { chance, days, until: until.millis(), left: receipts, day: 0, instants: Vec::new() }
    }

    /// The next receipt under an id that `mint` gives for its instant.
    pub fn next(&mut self, mint: impl FnOnce(Timestamp) -> ReceiptId) -> Option<Receipt> {
        while self.instants.is_empty() && self.day < self.days {
            self.fill_day();
        }
        let at = Timestamp::from_millis(self.instants.pop()?);
        Some(self.receipt(mint(at), at))
    }

    /// Weekends are a fifth of a working day; use doubles over the years.
    fn fill_day(&mut self) {
        let weight = |day: i64| {
            let growth = 100 + 100 * day / self.days;
            let midnight = self.until / DAY_MS - self.days + day;
            (growth * if (midnight + 3) % 7 >= 5 { 1 } else { 5 }) as u64
        };
        let rest: u64 = (self.day..self.days).map(weight).sum();
        let count = self.left * weight(self.day) / rest.max(1);
        let began = self.until - (self.days - self.day) * DAY_MS;
        let past_midnight = began.rem_euclid(DAY_MS);
        for _ in 0..count {
            let hour = self.chance.of(HOURS.iter().copied().zip(0_i64..).map(|(w, h)| (h, w)));
            let within = hour * 3_600_000 + self.chance.below(3_600_000) as i64;
            self.instants.push(began + (within - past_midnight).rem_euclid(DAY_MS));
        }
        self.instants.sort_unstable_by(|a, b| b.cmp(a));
        self.left -= count;
        self.day += 1;
    }

    fn receipt(&mut self, id: ReceiptId, at: Timestamp) -> Receipt {
        let chance = &mut self.chance;
        let year_ms = self.days.min(365) * DAY_MS;
        let ago = self.until - at.millis();
        let (years_ago, past) = ((ago / year_ms) as usize, 1000 - 1000 * (ago % year_ms) / year_ms);
        let lasts = |work: &&Work| (work.lasts.0..=work.lasts.1).contains(&past);
        let work = chance.of(WORKS.iter().filter(lasts).map(|work| (work, work.weight)));
        let model = chance.of(MODELS.iter().map(|model| (model, model.weight)));
        let upstream = format!("https://api.{}.example", model.provider);
        let mut receipt = Receipt::begun(id, at, model.provider, &upstream);
        receipt.workspace = work.name(work.workspace, years_ago);
        receipt.client = Some(work.client.into());
        receipt.key = Some(work.name(work.key, years_ago));
        receipt.pass = Some(work.pass.into());
        let team = chance.of(TEAMS.iter().copied());
        if chance.below(20) == 0 {
            receipt.tags = BTreeMap::from([("team".into(), team.into())]);
        }
        let (status, http_status, trouble) =
            chance.of(ENDS.iter().map(|(status, code, word, per)| ((*status, *code, *word), *per)));
        receipt.kind = model.kind;
        let (capabilities, technology) = exercised(model.kind, work.client, id);
        (receipt.capabilities, receipt.technology) = (capabilities.to_vec(), technology);
        receipt.stream = model.kind == Kind::Chat && chance.below(10) < 8;
        let (asked, served) = model.names(years_ago);
        receipt.model_requested = Some(asked.into());
        receipt.model = Some(served.into());
        (receipt.status, receipt.http_status) = (status, http_status);
        receipt.error_type = trouble.map(Into::into);
        receipt.response_id = Some(format!("resp_{:016x}", chance.next()).into());
        receipt.upstream_request_id = Some(format!("req_{:016x}", chance.next()).into());
        receipt.overhead_us = Some(90 + chance.below(120));
        receipt.request_bytes = 400 + chance.below(60_000);
        let lines = match status {
            Status::Succeeded | Status::Cancelled => lines(model, chance),
            Status::Error | Status::Denied | Status::Interrupted | Status::Pending => Vec::new(),
        };
        let output: u64 =
            lines.iter().filter(|l| l.factor.name().starts_with("output.")).map(whole).sum();
        receipt.latency_ms = 180 + chance.around(300) + output * model.ms_per_token;
        receipt.response_bytes = 200 + output * if receipt.stream { 160 } else { 4 };
        if receipt.stream && !lines.is_empty() {
            receipt.ttft_ms = Some(150 + chance.around(280));
        }
        receipt.ended_at = Timestamp::from_millis(at.millis() + receipt.latency_ms as i64);
        value(&mut receipt, &lines);
        receipt
    }
}

fn lines(model: &Model, chance: &mut Chance) -> Vec<UsageLine> {
    let (input, output) = (chance.around(model.tokens.0), chance.around(model.tokens.1));
    let cached = input * model.cached.min(chance.below(120)) / 100;
    let mut counts = match model.kind {
        Kind::Embedding => vec![(Factor::EmbeddingInput, input)],
        Kind::Image => vec![
            (Factor::InputText, input),
            (Factor::OutputImage, output),
            (Factor::ImagesGenerated, 1),
        ],
        _ => vec![
            (Factor::InputText, input - cached),
            (Factor::InputCacheRead, cached),
            (Factor::OutputText, output),
        ],
    };
    if model.provider == "anthropic" {
        counts.push((Factor::InputCacheWrite5m, chance.around(900)));
    }
    if model.reasons {
        counts.push((Factor::OutputReasoning, chance.around(output)));
    }
    let counts = counts.into_iter().filter(|(_, count)| *count > 0);
    counts.map(|(factor, count)| UsageLine::reported(factor, count)).collect()
}

fn whole(line: &UsageLine) -> u64 {
    line.count.millionths() / meter::usage::Count::ONE
}

/// As the gateway does it, with the book that is compiled in.
fn value(receipt: &mut Receipt, lines: &[UsageLine]) {
    let query = Query {
        provider: &receipt.provider,
        host: None,
        model_requested: receipt.model_requested.as_deref(),
        model_served: receipt.model.as_deref(),
        kind: receipt.kind,
        at: receipt.started_at,
        took_ms: Some(receipt.latency_ms),
        service_tier: None,
        region: None,
        local: false,
        reported_cost: None,
        lines,
    };
    let valuation = rate(Book::built_in(), &query);
    let usage: Vec<String> =
        lines.iter().map(|line| format!("\"{}_tokens\":{}", line.factor, whole(line))).collect();
    let ended = match receipt.status {
        Status::Succeeded => AttemptEnd::Completed,
        Status::Cancelled => AttemptEnd::Abandoned,
        Status::Error | Status::Denied | Status::Interrupted | Status::Pending => {
            AttemptEnd::Refused
        }
    };
    if receipt.status != Status::Denied {
        receipt.attempts = vec![Attempt {
            provider: receipt.provider.clone(),
            model: receipt.model_requested.clone(),
            http_status: receipt.http_status,
            started_ms: 0,
            duration_ms: receipt.latency_ms,
            ended,
            cost: None,
            chosen: None,
        }];
    }
    if lines.is_empty() {
        receipt.usage_state = UsageState::None;
        receipt.cost = Some(Money::ZERO);
        receipt.cost_state = CostState::Free;
        return;
    }
    receipt.usage_state = UsageState::Reported;
    receipt.usage_raw = RawUsage::new(&format!("{{{}}}", usage.join(",")));
    receipt.book_hash = Some(Book::built_in().hash().into());
    receipt.cost = valuation.cost;
    receipt.subtotal = valuation.subtotal;
    receipt.cost_state = valuation.state;
    receipt.currency = valuation.currency;
    receipt.lines = valuation.lines;
}

/// Numbers that only look random (SplitMix64).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    /// Mostly somewhat less than `typical`, now and then several times as much.
    fn around(&mut self, typical: u64) -> u64 {
        let wide = self.below(1000) * self.below(1000) / 1000;
        typical * (200 + wide * 2) / 1000 + if self.below(50) == 0 { typical * 3 } else { 0 }
    }

    fn of<T>(&mut self, choices: impl Iterator<Item = (T, u64)> + Clone) -> T {
        let all: u64 = choices.clone().map(|(_, weight)| weight).sum();
        let mut at = self.below(all);
        for (choice, weight) in choices {
            if at < weight {
                return choice;
            }
            at -= weight;
        }
        unreachable!("`at` is below the sum of the weights")
    }
}
