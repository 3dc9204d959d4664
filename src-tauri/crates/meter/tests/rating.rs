//! What the rating does with a small book of an invented provider: arithmetic by hand.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use meter::price::{Book, BookError, Overrides, Query, Valuation, again, rate};
use meter::receipt::{CostState, Kind, Receipt, ReportedCost, UsageState};
use meter::usage::{Basis, Factor, UsageLine};
use meter::{Currency, Money, ReceiptId, Timestamp};
use proptest::prelude::*;

const ACME: &str = r#"{
 "provider": "acme", "maker": true, "hosts": ["api.acme.test"],
 "other_prices_at": ["api.acme.cn.test"],
 "tier_names": {"on_demand": "standard", "turbo": "fast"},
 "billed_as": {"output.reasoning": "output.text", "input.image": "input.text",
               "input.cache_write": "input.cache_write_5m"},
 "multipliers": {"us": {"by": "11/10", "region": ["us"], "host": ["us.api.acme.test"]}},
 "holidays": {"cn": ["2026-10-01"]},
 "names": {"prefixes": ["models/"], "fine_tunes": "ft:"},
 "models": [
  {"id": "big-4", "aliases": ["big-4-latest"], "multiply": ["us"], "versions": [
    {"to": "2026-01-01", "rates": {"input.text": "5", "output.text": "15"}},
    {"from": "2026-01-01",
     "rates": {"input.text": "3", "input.cache_read": "0.3", "input.cache_write_5m": "3.75",
               "input.cache_write_1h": "6", "output.text": "15", "tool.web_search": "10"},
     "above": {">200000": {"input.text": "6", "input.cache_read": "0.6", "output.text": "22.5"}}}],
   "tiers": {
    "batch": [{"from": "2026-10-14", "rates": {"input.text": "1.5", "output.text": "7.5"}}],
    "fast": [{"rates": {"input.text": "6", "output.text": "30", "tool.web_search": "20"}}]}},
  {"id": "loud-1", "versions": [{"rates": {"input.text": "1", "input.image": "3"}}],
   "tiers": {"batch": [{"rates": {"input.text": "0.5"}}]}},
  {"id": "edge-1", "versions": [
    {"rates": {"input.text": "1"}, "above": {">=200000": {"input.text": "2"}}}]},
  {"id": "ft:big-4", "versions": [{"rates": {"input.text": "4"}}]},
  {"id": "night-1", "versions": [{"rates": {"input.text": "1", "output.text": "2"}, "windows": [
    {"name": "peak", "zone": "Asia/Shanghai", "days": "Mon-Fri", "hours": ["09:00-12:00"],
     "not_on": "cn", "rates": {"input.text": "2"}}]}]},
  {"id": "paint-1", "versions": [{"rates": {
    "images.generated": "0.04", "images.generated[size=1024x1792]": "0.08",
    "images.generated[size=1024x1792,quality=hd]": "0.12"}}]},
  {"id": "token-paint-1", "versions": [{"rates": {
    "output.image": "30", "images.generated": "within output.image"}}]},
  {"id": "ear-1", "versions": [{"rates": {"audio.input_seconds": "0.36/h"},
    "at_least": {"audio.input_seconds": 10}}]},
  {"id": "search-1", "versions": [{"rates": {"input.text": "1", "request.fee": "5..12"}}]},
  {"id": "fee-1", "versions": [{"rates": {"input.text": "1", "request.fee": "0.005"}}]},
  {"id": "gift-1", "free": true, "versions": [{"rates": {"input.text": "0", "output.text": "0"}}]}
 ]}"#;

const RENTED: &str = r#"{"provider": "rented", "user_named": true,
  "also": [{"book": "acme", "tiers": ["fast"]}], "models": []}"#;

fn book() -> Book {
    Book::read("test", [("acme", ACME), ("rented", RENTED)]).unwrap()
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

/// A chat with a model on a Tuesday noon in November 2026.
fn query<'a>(model: &'a str, lines: &'a [UsageLine]) -> Query<'a> {
    Query {
        provider: "acme",
        host: Some("api.acme.test"),
        model_requested: Some(model),
        model_served: None,
        kind: Kind::Chat,
        at: at("2026-11-17T12:00:00Z"),
        took_ms: None,
        service_tier: None,
        region: None,
        local: false,
        reported_cost: None,
        lines,
    }
}

fn lines(of: &[(&str, u64)]) -> Vec<UsageLine> {
    of.iter().map(|(name, n)| UsageLine::reported(name.parse().unwrap(), *n)).collect()
}

fn rated(query: &Query<'_>) -> Valuation {
    rate(&book(), query)
}

fn cost(query: &Query<'_>) -> String {
    let rated = rated(query);
    rated.cost.map_or_else(|| rated.state.to_string(), |cost| cost.to_string())
}

#[test]
fn every_line_shows_count_rate_tier_and_version() {
    let used = lines(&[("input.text", 1000), ("output.reasoning", 10), ("tool.web_search", 2)]);
    let got = rated(&query("big-4", &used));
    // 1000 × 3/M + 10 × 15/M + 2 × 10/K
    assert_eq!(got.cost.unwrap().to_string(), "0.02315");
    assert_eq!(got.state, CostState::Priced);
    let shown = |at: usize| {
        let line = &got.lines[at];
        (line.rate.as_deref(), line.tier.as_deref(), line.amount.unwrap().to_string())
    };
    assert_eq!(shown(0), (Some("3 / 1M token"), Some("standard"), "0.003".into()));
    assert_eq!(shown(1), (Some("15 / 1M token"), Some("standard"), "0.00015".into()));
    assert_eq!(shown(2), (Some("10 / 1K call"), Some("standard"), "0.02".into()));
    assert_eq!(got.lines[0].price_version.as_deref(), Some("big-4@2026-01-01"));
}

#[test]
fn the_whole_request_moves_to_the_long_context_rate() {
    let used = lines(&[("input.text", 1), ("input.cache_read", 199_999), ("output.text", 1)]);
    // Exactly 200,000 is not above: 3/M + 199999 × 0.3/M + 15/M
    assert_eq!(cost(&query("big-4", &used)), "0.0600177");
    let used = lines(&[("input.text", 2), ("input.cache_read", 199_999), ("output.text", 1)]);
    // 2 × 6/M + 199999 × 0.6/M + 22.5/M
    let got = rated(&query("big-4", &used));
    assert_eq!(got.cost.unwrap().to_string(), "0.1200339");
    assert_eq!(got.lines[0].tier.as_deref(), Some("standard >200000"));
    // Another provider's edge is "at least".
    assert_eq!(cost(&query("edge-1", &lines(&[("input.text", 200_000)]))), "0.4");
    assert_eq!(cost(&query("edge-1", &lines(&[("input.text", 199_999)]))), "0.199999");
}

#[test]
fn the_version_at_the_start_of_the_request_holds() {
    let used = lines(&[("input.text", 1_000_000)]);
    let early = Query { at: at("2025-12-31T23:59:59.999Z"), ..query("big-4", &used) };
    assert_eq!(cost(&early), "5");
    let late = Query { at: at("2026-01-01T00:00:00Z"), ..early };
    // 1,000,000 tokens are above 200,000.
    assert_eq!(cost(&late), "6");
}

#[test]
fn a_tier_is_priced_by_its_own_rates_or_not_at_all() {
    let used = lines(&[("input.text", 1000), ("tool.web_search", 1)]);
    let of = |tier| Query { service_tier: Some(tier), ..query("big-4", &used) };
    assert_eq!(cost(&of("default")), "0.013");
    assert_eq!(cost(&of("on_demand")), "0.013");
    // A tool's fee is the same in all tiers unless the tier has one.
    assert_eq!(cost(&of("batch")), "0.0115");
    assert_eq!(cost(&of("TURBO")), "0.026");
    assert_eq!(cost(&of("gold")), "unknown");
    let job = Query { kind: Kind::Batch, ..query("big-4", &used) };
    assert_eq!(cost(&job), "0.0115");
    let before = Query { at: at("2026-10-13T23:59:59Z"), ..of("batch") };
    assert_eq!(cost(&before), "unknown");
    let cached = lines(&[("input.cache_read", 10)]);
    assert_eq!(cost(&Query { lines: &cached, ..of("batch") }), "unknown");
}

#[test]
fn a_tier_without_a_factor_s_own_rate_does_not_bill_it_as_another() {
    let seen = lines(&[("input.image", 1000)]);
    assert_eq!(cost(&query("loud-1", &seen)), "0.003");
    let batch = Query { service_tier: Some("batch"), ..query("loud-1", &seen) };
    assert_eq!(cost(&batch), "unknown");
    // Where images are text everywhere, they are text in the tier too.
    let batch = Query { service_tier: Some("batch"), ..query("big-4", &seen) };
    assert_eq!(cost(&batch), "0.0015");
    // Shouted or not, it is the same tier.
    assert_eq!(cost(&Query { service_tier: Some("BATCH"), ..batch }), "0.0015");
}

#[test]
fn a_place_multiplies_token_rates_and_leaves_fees() {
    let used = lines(&[("input.text", 1000), ("tool.web_search", 1)]);
    let us = Query { region: Some("us"), ..query("big-4", &used) };
    let got = rated(&us);
    // 1000 × 3.3/M + 10/K
    assert_eq!(got.cost.unwrap().to_string(), "0.0133");
    assert_eq!(got.lines[0].rate.as_deref(), Some("3.3 / 1M token"));
    assert_eq!(got.lines[0].tier.as_deref(), Some("standard × 11/10 us"));
    let host = Query { host: Some("US.api.acme.test"), ..query("big-4", &used) };
    assert_eq!(cost(&host), "0.0133");
    let not = Query { host: Some("bus.api.acme.test"), ..query("big-4", &used) };
    assert_eq!(cost(&not), "0.013");
    let china = Query { host: Some("api.acme.cn.test"), ..query("big-4", &used) };
    assert_eq!(cost(&china), "unknown");
}

#[test]
fn peak_hours_follow_the_calendar_of_the_provider() {
    let used = lines(&[("input.text", 1_000_000), ("output.text", 1_000_000)]);
    let at_hour = |text| cost(&Query { at: at(text), ..query("night-1", &used) });
    assert_eq!(at_hour("2026-11-17T00:59:59Z"), "3");
    assert_eq!(at_hour("2026-11-17T01:00:00Z"), "4");
    assert_eq!(at_hour("2026-11-21T01:00:00Z"), "3");
    assert_eq!(at_hour("2026-10-01T01:00:00Z"), "3");
}

#[test]
fn cache_writes_have_a_rate_per_lifetime() {
    let of = |factor| cost(&query("big-4", &lines(&[(factor, 1_000)])));
    assert_eq!(of("input.cache_write_5m"), "0.00375");
    assert_eq!(of("input.cache_write"), "0.00375");
    assert_eq!(of("input.cache_write_1h"), "0.006");
    assert_eq!(of("input.cache_write_12h"), "unknown");
}

#[test]
fn a_receipt_is_valued_again_by_the_sort_of_image_it_was_for() {
    let mut used = UsageLine::reported(Factor::ImagesGenerated, 2);
    used.attributes = vec![("size".into(), "1024x1792".into()), ("quality".into(), "hd".into())];
    let started = at("2026-11-17T12:00:00Z");
    let mut receipt = Receipt::begun(ReceiptId::new(started, 0, 1), started, "acme", "");
    receipt.model = Some("paint-1".into());
    receipt.lines = rated(&query("paint-1", &[used])).lines;
    let again = again(&book(), &receipt, &receipt.lines, UsageState::Reported).unwrap();
    // 2 × 0.12
    assert_eq!(again.cost.unwrap().to_string(), "0.24");
    assert_eq!(again.lines, receipt.lines);
}

#[test]
fn a_server_of_one_s_own_costs_its_hours_while_it_works() {
    let own = "[[price]]\nprovider = 'acme'\nrates = { 'server.seconds' = '3.6/h' }\n";
    let own = Overrides::read(own, &book(), |_| true).unwrap();
    let book = book().with(own);
    let used = lines(&[("input.text", 1000), ("output.text", 10)]);
    let query = Query { local: true, took_ms: Some(2_500), ..query("anything", &used) };
    let got = rate(&book, &query);
    // 2.5 seconds at 3.60 an hour: 2.5 × 0.001. What it did in them costs nothing more.
    assert_eq!((got.cost.unwrap().to_string(), got.state), ("0.0025".into(), CostState::Priced));
    let shown: Vec<_> = got.lines.iter().map(|line| line.rate.as_deref().unwrap()).collect();
    assert_eq!(shown, ["within server.seconds", "within server.seconds", "3.6 / hour"]);
    assert_eq!(got.lines[2].basis, Basis::Derived);
    // It took that long whatever is known about tokens.
    assert_eq!(rate(&book, &Query { lines: &[], ..query }).cost.unwrap().to_string(), "0.0025");
    assert_eq!(got.clone().of_partial_usage(), got);
    let untimed = rate(&book, &Query { took_ms: None, ..query });
    assert_eq!((untimed.cost, untimed.state), (None, CostState::Unknown));
    let given = lines(&[("server.seconds", 10)]);
    assert_eq!(rate(&book, &Query { lines: &given, ..query }).cost.unwrap().to_string(), "0.01");
}

#[test]
fn amounts_of_two_currencies_are_never_one_sum() {
    let yuan = r#"{"provider": "rented", "currency": "CNY", "also": [{"book": "acme"}],
      "models": [{"id": "ear-2", "versions": [{"rates": {"input.text": "7"}}]}]}"#;
    let book = Book::read("test", [("acme", ACME), ("rented", yuan)]).unwrap();
    let mut used = lines(&[("input.text", 1000), ("input.text", 1000)]);
    used[1].model = Some("ear-2".into());
    let got = rate(&book, &Query { provider: "rented", ..query("big-4", &used) });
    // 1000 × 3/M in dollars; the 7/M are yuan.
    assert_eq!((got.subtotal.unwrap().to_string(), got.currency), ("0.003".into(), Currency::USD));
    assert_eq!((got.cost, got.state), (None, CostState::Partial));
}

#[test]
fn images_are_priced_by_what_they_are() {
    let image = |attributes: &[(&str, &str)]| {
        let mut line = UsageLine::reported(Factor::ImagesGenerated, 2);
        line.attributes = attributes.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
        cost(&query("paint-1", &[line]))
    };
    assert_eq!(image(&[("size", "512x512")]), "0.08");
    assert_eq!(image(&[("size", "1024x1792")]), "0.16");
    assert_eq!(image(&[("quality", "hd"), ("size", "1024x1792")]), "0.24");
    let tokens = lines(&[("output.image", 1000), ("images.generated", 1)]);
    assert_eq!(cost(&query("token-paint-1", &tokens)), "0.03");
    assert_eq!(cost(&query("token-paint-1", &lines(&[("images.generated", 1)]))), "unknown");
}

#[test]
fn short_audio_counts_as_the_least_that_is_billed() {
    let heard = |seconds| cost(&query("ear-1", &lines(&[("audio.input_seconds", seconds)])));
    // 0.36 an hour is 0.0001 a second.
    assert_eq!((heard(30), heard(3), heard(0)), ("0.003".into(), "0.001".into(), "0".into()));
}

#[test]
fn a_meter_without_a_rate_makes_the_receipt_partial() {
    let used = lines(&[("input.text", 1000), ("audio.input_seconds", 5), ("output.audio", 0)]);
    let got = rated(&query("big-4", &used));
    assert_eq!((got.cost, got.state), (None, CostState::Partial));
    assert_eq!(got.subtotal.unwrap().to_string(), "0.003");
    assert_eq!(got.lines[1].amount, None);
    let zero = lines(&[("input.text", 1000), ("audio.input_seconds", 0)]);
    assert_eq!(cost(&query("big-4", &zero)), "0.003");
}

#[test]
fn what_the_book_does_not_know_is_unknown() {
    let used = lines(&[("input.text", 1000)]);
    for model in ["big-4-made-up", "big-5", "big", "models/big-44", ""] {
        assert_eq!(cost(&query(model, &used)), "unknown", "{model}");
    }
    assert_eq!(cost(&query("nobody", &lines(&[("input.text", 0)]))), "unknown");
    assert_eq!(cost(&Query { provider: "x", ..query("big-4", &used) }), "unknown");
    let served = Query { model_served: Some("big-9"), ..query("big-4", &used) };
    assert_eq!(cost(&served), "unknown");
    assert_eq!(cost(&query("big-4", &[])), "usage_missing");
}

#[test]
fn a_name_the_user_chose_says_nothing_about_the_model() {
    let used = lines(&[("input.text", 1000)]);
    let deployment = Query { provider: "rented", ..query("big-4", &used) };
    assert_eq!(cost(&deployment), "unknown");
    let served = Query { model_served: Some("big-4-2026-03-01"), ..deployment };
    assert_eq!(cost(&served), "0.003");
    // Only the tiers the renting provider is known to offer.
    assert_eq!(cost(&Query { service_tier: Some("fast"), ..served }), "0.006");
    assert_eq!(cost(&Query { service_tier: Some("batch"), ..served }), "unknown");
}

#[test]
fn fine_tunes_have_records_of_their_own() {
    let used = lines(&[("input.text", 1000)]);
    assert_eq!(cost(&query("ft:big-4-2025-04-14:acme::Ab1", &used)), "0.004");
    assert_eq!(cost(&query("ft:edge-1:acme::Ab1", &used)), "unknown");
}

#[test]
fn a_line_of_another_model_is_priced_by_that_model() {
    let mut used = lines(&[("input.text", 1000), ("input.text", 1000)]);
    used[1].model = Some("edge-1".into());
    assert_eq!(cost(&query("big-4", &used)), "0.004");
}

#[test]
fn a_cost_that_the_provider_stated_wins() {
    let used = lines(&[("input.text", 1000)]);
    let stated = ReportedCost {
        amount: "0.0025".parse().unwrap(),
        currency: Currency::USD,
        source: "usage.cost".into(),
    };
    let got = rated(&Query { reported_cost: Some(&stated), ..query("big-4", &used) });
    assert_eq!(got.cost, Some(stated.amount));
    assert_eq!(got.state, CostState::ProviderReported);
    assert_eq!(got.lines[0].amount.unwrap().to_string(), "0.003");
    let empty = rated(&Query { reported_cost: Some(&stated), ..query("nobody", &[]) });
    assert_eq!(empty.cost, Some(stated.amount));
}

#[test]
fn free_local_and_disputed_are_three_different_things() {
    let used = lines(&[("input.text", 1000), ("output.text", 5)]);
    let gift = rated(&query("gift-1", &used));
    assert_eq!((gift.cost, gift.state), (Some(Money::ZERO), CostState::Free));
    let own = rated(&Query { local: true, ..query("whatever", &used) });
    assert_eq!((own.cost, own.state), (Some(Money::ZERO), CostState::Free));
    assert_eq!(own.lines[0].rate.as_deref(), Some("no charge"));
    let asked = lines(&[("input.text", 1000)]);
    let torn = rated(&query("search-1", &asked));
    assert_eq!((torn.cost, torn.state), (None, CostState::Disputed));
    assert_eq!(torn.lines[1].rate.as_deref(), Some("5..12 / request"));
    assert_eq!(torn.subtotal.unwrap().to_string(), "0.001");
}

#[test]
fn a_flat_fee_is_a_line_of_its_own() {
    let asked = lines(&[("input.text", 1000)]);
    let got = rated(&query("fee-1", &asked));
    assert_eq!(got.cost.unwrap().to_string(), "0.006");
    assert_eq!((&got.lines[1].factor, got.lines[1].basis), (&Factor::RequestFee, Basis::Derived));
}

#[test]
fn amounts_that_do_not_fit_are_unknown() {
    let dear = r#"{"provider":"acme","models":[{"id":"m","versions":[{"rates":
        {"images.generated":"100000000000000"}}]}]}"#;
    let book = Book::read("t", [("acme", dear)]).unwrap();
    let used = lines(&[("images.generated", u64::MAX)]);
    assert_eq!(rate(&book, &query("m", &used)).state, CostState::Unknown);
}

#[test]
fn a_file_that_contradicts_itself_is_refused() {
    let model = |model: &str| {
        let file = format!(r#"{{"provider":"acme","models":[{model}]}}"#);
        Book::read("t", [("acme", &*file)]).map(|_| ())
    };
    for wrong in [
        r#"{"id":"a","versions":[{"rates":{"input.smell":"1"}}]}"#,
        r#"{"id":"a","versions":[{"rates":{"input.text":"-1"}}]}"#,
        r#"{"id":"a","versions":[{"rates":{"images.generated[size":"1"}}]}"#,
        r#"{"id":"a","versions":[{"rates":{}},{"rates":{}}]}"#,
        r#"{"id":"a","versions":[{"to":"2026-01-02","rates":{}},{"from":"2026-01-01","rates":{}}]}"#,
        r#"{"id":"a","versions":[{"from":"2026-01-01","to":"2026-01-01","rates":{}},{"from":"2026-01-01","rates":{}}]}"#,
        r#"{"id":"a","versions":[{"from":"soon","rates":{}}]}"#,
        r#"{"id":"a","versions":[{"rates":{},"above":{"200000":{}}}]}"#,
        r#"{"id":"a","multiply":["us"],"versions":[]}"#,
        r#"{"id":"a","aliases":["A"],"versions":[]}"#,
    ] {
        assert!(matches!(model(wrong), Err(BookError::BadRecord { .. })), "{wrong}");
    }
    assert!(matches!(model("{"), Err(BookError::Unreadable { .. })));
    assert!(model(r#"{"id":"a","versions":[]}"#).is_ok());
}

const PRICED: [&str; 6] = [
    "input.text",
    "input.cache_read",
    "input.cache_write_5m",
    "output.text",
    "output.reasoning",
    "tool.web_search",
];

proptest! {
    #[test]
    fn the_sum_of_the_lines_is_the_cost(counts in prop::array::uniform6(0..5_000_000u64)) {
        let used = lines(&PRICED.iter().copied().zip(counts).collect::<Vec<_>>());
        let got = rated(&query("big-4", &used));
        let sum = got.lines.iter().map(|l| l.amount.unwrap().attos()).sum::<i128>();
        prop_assert_eq!(got.cost.unwrap().attos(), sum);
        prop_assert_eq!(rated(&query("big-4", &used)), got);
    }

    #[test]
    fn more_usage_never_costs_less(
        counts in prop::array::uniform6(0..300_000u64), at in 0..6usize, more in 0..300_000u64,
    ) {
        let mut pairs: Vec<_> = PRICED.iter().copied().zip(counts).collect();
        let less = rated(&query("big-4", &lines(&pairs))).cost.unwrap();
        pairs[at].1 += more;
        prop_assert!(rated(&query("big-4", &lines(&pairs))).cost.unwrap() >= less);
    }

    #[test]
    fn two_halves_of_one_call_cost_what_the_call_costs(
        a in prop::array::uniform6(0..30_000u64), b in prop::array::uniform6(0..30_000u64),
    ) {
        let of = |n: &[u64]| lines(&PRICED.iter().copied().zip(n.iter().copied()).collect::<Vec<_>>());
        let both: Vec<u64> = a.iter().zip(&b).map(|(a, b)| a + b).collect();
        let cost = |n: &[u64]| rated(&query("big-4", &of(n))).cost.unwrap();
        prop_assert_eq!(cost(&a).checked_add(cost(&b)), Some(cost(&both)));
    }
}
