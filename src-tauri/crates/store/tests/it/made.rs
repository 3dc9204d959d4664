//! Receipts made up for tests.

use meter::receipt::{
    Anomaly, Attempt, AttemptEnd, Billing, Capability, CostState, Kind, Line, RawUsage, Receipt,
    ReportedCost, Settlement, Status, Technology, UsageState,
};
use meter::usage::{Basis, Bound, Count, Factor, Unit};
use meter::{Money, ReceiptId, Timestamp, format::Format};

/// 2025-11-21T02:40:00Z, on a quarter of an hour.
pub(crate) const START: i64 = 1_763_692_800_000;

/// An id minted so many milliseconds after [`START`].
pub(crate) fn id(ms: i64, counter: u16) -> ReceiptId {
    ReceiptId::new(Timestamp::from_millis(START + ms), counter, 0x0123_4567_89ab_cdef)
}

pub(crate) fn money(text: &str) -> Money {
    text.parse().unwrap()
}

fn line(factor: Factor, count: u64, rate: &str, per_token: &str) -> Line {
    let amount = money(per_token).attos() * i128::from(count);
    Line {
        unit: factor.unit(),
        factor,
        count: Count::whole(count),
        rate: Some(rate.into()),
        amount: Some(Money::from_attos(amount)),
        tier: Some("standard".into()),
        price_version: Some("openai/gpt-5.1@2025-11-13".into()),
        basis: Basis::Reported,
        bound: Bound::Exact,
        model: None,
        attributes: [].into(),
    }
}

/// A streamed chat as everybody has thousands of. `n` makes it differ from the others.
pub(crate) fn chat(id: ReceiptId, n: u64) -> Receipt {
    let at = id.minted_at();
    let (fresh, cached, out, thought) = (400 + n * 7 % 5000, n * 13 % 9000, 20 + n % 900, n % 300);
    let hex = |salt: u64| format!("{:016x}", (n + salt).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let mut r = Receipt::begun(id, at, "openai", "https://api.openai.com");
    r.latency_ms = 900 + n * 31 % 9000;
    r.ended_at = Timestamp::from_millis(at.millis() + r.latency_ms as i64);
    r.pass = Some("laptop".into());
    r.key = Some(["work", "private"][(n % 2) as usize].into());
    r.client = Some("openai-python/2.8.1".into());
    r.format = Some(Format::OpenaiChat);
    (r.kind, r.technology) = (Kind::Chat, Some(Technology::Llm));
    r.model_requested = Some("gpt-5.1".into());
    r.model = Some("gpt-5.1-2025-11-13".into());
    (r.stream, r.status, r.http_status) = (true, Status::Succeeded, Some(200));
    r.response_id = Some(format!("chatcmpl-{}{}", hex(1), &hex(2)[..13]).into());
    r.assisted = true;
    r.finish_reason = Some("stop".into());
    (r.ttft_ms, r.overhead_us) = (Some(150 + n % 700), Some(60 + n % 40));
    (r.request_bytes, r.response_bytes) = (4000 + n % 30_000, 90_000 + n % 70_000);
    r.upstream_request_id = Some(format!("req_{}{}", hex(3), hex(4)).into());
    r.service_tier = Some("default".into());
    r.capabilities = vec![Capability::Tools, Capability::Reasoning];
    r.attempts = vec![Attempt {
        provider: "openai".into(),
        model: Some("gpt-5.1".into()),
        http_status: Some(200),
        started_ms: 0,
        duration_ms: r.latency_ms,
        ended: AttemptEnd::Completed,
        cost: None,
        chosen: None,
    }];
    r.lines = vec![
        line(Factor::InputText, fresh, "1.25 / 1M token", "0.00000125"),
        line(Factor::InputCacheRead, cached, "0.125 / 1M token", "0.000000125"),
        line(Factor::OutputText, out, "10 / 1M token", "0.00001"),
        line(Factor::OutputReasoning, thought, "10 / 1M token", "0.00001"),
    ];
    let cost = r.lines.iter().filter_map(|l| l.amount).map(Money::attos).sum();
    r.usage_raw = RawUsage::new(&format!(
        r#"{{"prompt_tokens":{},"completion_tokens":{},"total_tokens":{},"prompt_tokens_details":{{"cached_tokens":{cached},"audio_tokens":0}},"completion_tokens_details":{{"reasoning_tokens":{thought},"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}}}"#,
        fresh + cached,
        out + thought,
        fresh + cached + out + thought,
    ));
    r.usage_state = UsageState::Reported;
    (r.cost, r.cost_state) = (Some(Money::from_attos(cost)), CostState::Priced);
    r.book_hash = Some("b3f1c0de5a17".into());
    r
}

/// A receipt with every field set, and every field to something unusual.
pub(crate) fn full(id: ReceiptId) -> Receipt {
    let mut r = chat(id, 3);
    let odd = Line {
        factor: Factor::InputCacheWriteFor("2h".into()),
        count: Count::from_millionths(1_500_001),
        unit: Unit::Page,
        rate: None,
        amount: Some(money("-0.000000000000000001")),
        tier: Some("batch".into()),
        price_version: Some("v".into()),
        basis: Basis::Estimated,
        bound: Bound::Lower,
        model: Some("other-model".into()),
        attributes: [("quality".into(), "hd".into()), ("size".into(), "1024x1792".into())].into(),
    };
    let settlement = Settlement {
        at: Timestamp::from_millis(START + 99_999),
        reason: "reprice".into(),
        by: Some(ReceiptId::new(Timestamp::from_millis(START), 7, u64::MAX)),
        status: Some(Status::Error),
        usage_raw: RawUsage::new("{\"a\":[2,0.5]}"),
        usage_state: Some(UsageState::Partial),
        lines: vec![odd.clone()],
        cost: Some(money("0.5")),
        cost_state: CostState::Disputed,
        subtotal: Some(money("0.25")),
        book_hash: Some("other".into()),
        note: Some("a list was wrong".into()),
    };
    r.started_at = Timestamp::from_millis(id.minted_at().millis() - 5);
    r.ended_at = Timestamp::from_millis(id.minted_at().millis() - 77_000);
    r.workspace = "acme".into();
    r.tags = [("team", "blue"), ("a=b", "ünï\n")].map(|(k, v)| (k.into(), v.into())).into();
    r.trace_id = Some("4bf92f3577b34da6a3ce929d0e0e4736".into());
    r.region = Some("eu-west-1".into());
    r.client_left_early = true;
    (r.error_type, r.error_message) = (Some("overloaded".into()), Some("Übervoll: 3 wait".into()));
    r.upstream_request_id = Some("not only letters: ✓".into());
    r.capabilities = Capability::ALL.to_vec();
    r.route = Some("cheap".into());
    r.attempts.push(Attempt {
        provider: "azure".into(),
        model: None,
        http_status: None,
        started_ms: 12,
        duration_ms: 0,
        ended: AttemptEnd::Unreachable,
        cost: Some("0.5".parse().expect("an amount")),
        chosen: Some("cost: $2.00 per 1M tokens".into()),
    });
    r.profile = Some(meter::receipt::Profile::Cost);
    r.billing = Billing::Subscription;
    r.lines.push(odd);
    r.usage_raw = RawUsage::new("{\"a\": 1.50, \"b\" :[null,-3,1e5]}");
    r.anomalies = Anomaly::ALL.iter().rev().copied().collect();
    (r.cost, r.currency) = (Some(Money::from_attos(i128::MIN)), "EUR".parse().unwrap());
    r.subtotal = Some(money("1.000000000000000001"));
    r.reported_cost = Some(ReportedCost {
        amount: money("0.07"),
        currency: "CNY".parse().unwrap(),
        source: "usage.cost".into(),
    });
    r.settlements = vec![Settlement { status: None, by: None, ..settlement.clone() }, settlement];
    r.note = Some("a sentence".into());
    r
}
