//! Receipts as they are seen.

use meter::receipt::{
    Anomaly, Attempt, AttemptEnd, Billing, Capability, CostState, Kind, Line, Receipt, Status,
    UsageState,
};
use meter::usage::{Basis, Bound, Count, Factor};
use meter::{ReceiptId, Timestamp};

use super::{draw, wrapped};

fn line(factor: Factor, count: u64, rate: Option<&str>, amount: Option<&str>) -> Line {
    Line {
        unit: factor.unit(),
        factor,
        count: Count::whole(count),
        rate: rate.map(Into::into),
        amount: amount.map(|amount| amount.parse().unwrap()),
        tier: Some("standard".into()),
        price_version: Some("2026-11-18".into()),
        basis: Basis::Reported,
        bound: Bound::Exact,
        model: None,
        attributes: [].into(),
    }
}

fn begun() -> Receipt {
    let at = Timestamp::parse("2026-11-20T20:49:03.118Z").unwrap();
    Receipt::begun(ReceiptId::new(at, 1, 7), at, "anthropic", "https://api.anthropic.com")
}

fn drawn(receipt: &Receipt, width: usize) -> String {
    let text = draw(receipt, chrono_tz::Europe::Berlin, Some(width));
    anstream::adapter::strip_str(&text).to_string()
}

#[test]
fn a_receipt_is_itemised() {
    let mut receipt = begun();
    receipt.model_requested = Some("claude-sonnet-4-5".into());
    receipt.model = Some("claude-sonnet-4-5-20250929".into());
    receipt.kind = Kind::Chat;
    receipt.stream = true;
    receipt.status = Status::Succeeded;
    receipt.http_status = Some(200);
    receipt.finish_reason = Some("end_turn".into());
    receipt.usage_state = UsageState::Reported;
    receipt.lines = vec![
        line(Factor::InputText, 4530, Some("3 / 1M token"), Some("0.01359")),
        line(Factor::InputCacheRead, 33430, Some("0.3 / 1M token"), Some("0.010029")),
        line(Factor::InputCacheWrite5m, 873, Some("3.75 / 1M token"), Some("0.00327375")),
        line(Factor::OutputText, 1875, Some("15 / 1M token"), Some("0.028125")),
    ];
    receipt.cost = Some("0.05501775".parse().unwrap());
    receipt.cost_state = CostState::Priced;
    receipt.ttft_ms = Some(1440);
    receipt.latency_ms = 2470;
    receipt.overhead_us = Some(1800);
    receipt.request_bytes = 812;
    receipt.response_bytes = 4608;
    receipt.pass = Some("notebook".into());
    receipt.client = Some("claude-cli".into());
    receipt.billing = Billing::Byok;
    receipt.capabilities = vec![Capability::Tools, Capability::PromptCaching];
    receipt.tags.insert("env".into(), "dev".into());
    let want = "
                claude-sonnet-4-5-20250929
                asked for claude-sonnet-4-5
                anthropic · chat · streamed
              20 Nov 2026 21:49:03.118 +01:00
- - - - - - - - - - - - - - - - - - - - - - - - - - - - - -
Input, text                                       $0.013590
  4,530 tokens × $3 / 1M token
Input, cache read                                 $0.010029
  33,430 tokens × $0.3 / 1M token
Input, cache write 5m                             $0.003274
  873 tokens × $3.75 / 1M token
Output, text                                      $0.028125
  1,875 tokens × $15 / 1M token
- - - - - - - - - - - - - - - - - - - - - - - - - - - - - -
TOTAL                                             $0.055018
calculated: every line has a price · price list 2026-11-18
Tokens            38,833 input · 1,875 output
- - - - - - - - - - - - - - - - - - - - - - - - - - - - - -
Status            200 succeeded
Finished by       end_turn
First content     1.44 s
Total time        2.47 s
Tollgate added    1.8 ms
Body              812 B up · 4.5 KiB down
- - - - - - - - - - - - - - - - - - - - - - - - - - - - - -
Workspace         personal
Pass              notebook
Paid by           your own key, per use
Client            claude-cli
Tags              env=dev
Used              tools, prompt caching
Upstream          https://api.anthropic.com
- - - - - - - - - - - - - - - - - - - - - - - - - - - - - -
           01a1fab8-468e-7001-8000-000000000007
";
    let got = format!("\n{}", drawn(&receipt, 60));
    assert_eq!(got, want, "{got}");
}

#[test]
fn what_is_not_known_is_said_and_not_zero() {
    let mut receipt = begun();
    receipt.lines = vec![
        line(Factor::InputText, 10, Some("3 / 1M token"), Some("0.00003")),
        Line {
            basis: Basis::Estimated,
            bound: Bound::Lower,
            ..line(Factor::ToolWebSearch, 1, None, None)
        },
    ];
    receipt.cost_state = CostState::Partial;
    receipt.subtotal = Some("0.00003".parse().unwrap());
    receipt.usage_state = UsageState::Partial;
    let text = drawn(&receipt, 60);
    for line in [
        "Tool, web search                                    unknown\n",
        "  at least 1 call, no price known, estimated\n",
        "TOTAL                                               unknown\n",
        "  of it priced                                    $0.000030\n",
        "not every line has a price",
        "interrupted",
        "Tollgate ended while the call ran",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
}

#[test]
fn trouble_is_shown_with_its_attempts_and_oddities() {
    let mut receipt = begun();
    receipt.status = Status::Error;
    receipt.error_type = Some("overloaded_error".into());
    receipt.error_message =
        Some("Overloaded\x1b[2J, please wait a little while and try again".into());
    receipt.anomalies = vec![Anomaly::UnterminatedStream];
    let attempt = |ended, http_status| Attempt {
        provider: "anthropic".into(),
        model: None,
        http_status,
        started_ms: 0,
        duration_ms: 120,
        ended,
        cost: None,
        chosen: None,
    };
    receipt.attempts =
        vec![attempt(AttemptEnd::Refused, Some(529)), attempt(AttemptEnd::TimedOut, None)];
    let text = drawn(&receipt, 60);
    assert!(text.contains("Attempt 1         anthropic: 529 refused\n"), "{text}");
    assert!(text.contains("Attempt 2         anthropic: took too long\n"), "{text}");
    assert!(text.contains("! The stream ended without its closing marker.\n"), "{text}");
    assert!(!text.contains('\x1b') && text.contains("Overloaded\u{fffd}[2J,"), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 60), "{text}");
}

#[test]
fn long_words_are_broken_and_indents_stay() {
    assert_eq!(wrapped("ab cd ef", 5), ["ab cd", "ef"]);
    assert_eq!(wrapped("abcdefgh", 3), ["abc", "def", "gh"]);
    assert_eq!(wrapped("  ab cd", 4), ["  ab", "  cd"]);
    assert_eq!(wrapped("", 4), [""]);
}
