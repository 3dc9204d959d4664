//! Lines by hand arithmetic, rules as they are written, and at most one notification an episode.

use std::collections::BTreeMap;

use meter::receipt::Status;
use meter::usage::{Count, Factor};
use meter::{Money, Timestamp};
use proptest::prelude::*;

use super::*;
use crate::answer::{Figures, Period, Row, Spread, Usage};
use crate::period::Here;

fn here(now: &str) -> Here {
    Here { now: Timestamp::parse(now).unwrap(), zone: chrono_tz::Europe::Berlin }
}

/// Noon in Berlin, on a Saturday, the 21st of November.
fn noon() -> Here {
    here("2026-11-21T11:00:00Z")
}

fn figures(requests: u64, cost: Option<&str>) -> Figures {
    Figures {
        requests,
        statuses: BTreeMap::new(),
        cost: cost.map(|cost| cost.parse().unwrap()),
        other_costs: BTreeMap::new(),
        subtotal: Money::ZERO,
        saved: Money::ZERO,
        unpriced: 0,
        estimated: 0,
        input_tokens: 0,
        output_tokens: 0,
        factors: BTreeMap::new(),
        units: BTreeMap::new(),
        latency: None,
        ttft: None,
        overhead: None,
        converted: None,
    }
}

fn usage(totals: Figures) -> Usage {
    Usage {
        period: Period { from: None, to: None, tz: "UTC".to_owned() },
        totals,
        by: None,
        overlapping: false,
        sorting_from: None,
        rows: Vec::new(),
        granularity: None,
        series: Vec::new(),
        exchange: Vec::new(),
    }
}

fn of_models(rows: &[(&str, Figures)]) -> Usage {
    let row = |(name, figures): &(&str, Figures)| Row {
        name: Some((*name).to_owned()),
        names: Vec::new(),
        figures: figures.clone(),
    };
    Usage { rows: rows.iter().map(row).collect(), ..usage(figures(0, None)) }
}

/// The rule of `json`, which is written without its braces and name.
fn rule(json: &str) -> Rule {
    AlertRule::read(format!("{{\"name\":\"r\",{json}}}").as_bytes()).unwrap().check().unwrap()
}

fn refusal(json: &str) -> String {
    let read = AlertRule::read(json.as_bytes()).and_then(|written| written.check());
    read.expect_err(json).to_string()
}

fn judged(rule: &Rule, here: Here, totals: Figures) -> Verdict {
    rule.judge(here, &usage(totals), None)
}

fn crossed(verdict: Verdict) -> Crossing {
    match verdict {
        Verdict::Crossed(crossing) => *crossing,
        Verdict::Back | Verdict::Between => panic!("{verdict:?}"),
    }
}

#[test]
fn spend_is_crossed_above_the_line_and_not_on_it() {
    let daily = &Rule::ready()[0];
    assert_eq!(judged(daily, noon(), figures(1, Some("20"))), Verdict::Back);
    assert_eq!(judged(daily, noon(), figures(1, None)), Verdict::Back);
    let over = crossed(judged(daily, noon(), figures(3, Some("20.005"))));
    assert_eq!(over.said, "$20.01 spent today, over the line of $20.00; 3 requests.");
    let Reading { value, threshold, unit, requests, from, to, .. } = over.reading;
    assert_eq!((&*value, &*threshold, unit, requests), ("20.005", "20", MeasureUnit::Usd, 3));
    let partly = crossed(judged(daily, noon(), Figures { unpriced: 1, ..figures(3, Some("21")) }));
    assert!(partly.said.ends_with("; 3 requests; 1 request without known cost not counted."));
    let tiny = rule(r#""spend_above":"0.000014""#);
    assert_eq!(tiny.to_string(), "more than $0.000014 a day");
    // Berlin's Saturday began at eleven in the evening of Friday.
    assert_eq!(from.to_string(), "2026-11-20T23:00:00.000Z");
    assert_eq!(to, noon().now);
}

#[test]
fn a_forecast_goes_by_the_share_of_the_period_that_is_over() {
    let daily = rule(r#""forecast_above":"20","per":"day","after_percent":25"#);
    // At noon half the day is over: $10 become $20, which is on the line, $10.01 become $20.02.
    assert_eq!(judged(&daily, noon(), figures(1, Some("10"))), Verdict::Between);
    let over = crossed(judged(&daily, noon(), figures(1, Some("10.01"))));
    assert_eq!(over.reading.value, "20.02");
    assert_eq!(
        over.said,
        "$10.01 spent in 50 % of this day: on course for $20.02, over the line of $20.00."
    );
    // Nine tenths of the line are clearly back.
    assert_eq!(judged(&daily, noon(), figures(1, Some("9"))), Verdict::Back);
    // At half past five not a quarter of the day is over, and nothing is said of $15.
    let early = here("2026-11-21T04:30:00Z");
    assert_eq!(judged(&daily, early, figures(1, Some("15"))), Verdict::Back);
    // At six exactly a quarter is.
    let six = here("2026-11-21T05:00:00Z");
    assert_eq!(crossed(judged(&daily, six, figures(1, Some("15")))).reading.value, "60");
    // No amount overflows.
    let rich = figures(1, Some("100000000000000000000"));
    crossed(judged(&rule(r#""forecast_above":"1","per":"month""#), noon(), rich));
}

#[test]
fn few_calls_say_nothing_and_half_the_line_is_back() {
    let errors = &Rule::ready()[1];
    let failing = |requests, failed| {
        let statuses = BTreeMap::from([(Status::Error, failed)]);
        judged(errors, noon(), Figures { statuses, ..figures(requests, None) })
    };
    assert_eq!(failing(9, 9), Verdict::Back);
    assert_eq!(failing(10, 2), Verdict::Between);
    let over = crossed(failing(10, 3));
    assert_eq!(over.said, "3 of 10 requests failed within 5m: 30 %, over the line of 20 %.");
    // 41 of 200 are 20.5 %.
    assert_eq!(crossed(failing(200, 41)).reading.value, "20.5");
    assert_eq!(failing(100, 11), Verdict::Between);
    assert_eq!(failing(100, 10), Verdict::Back);
    assert_eq!(failing(0, 0), Verdict::Back);
}

#[test]
fn numbers_of_calls_swing_back_at_half_their_line() {
    for json in [r#""rate_limited_above":4"#, r#""calls_above":4"#] {
        let rule = rule(json);
        assert_eq!(crossed(judged(&rule, noon(), figures(5, None))).reading.value, "5");
        assert_eq!(judged(&rule, noon(), figures(4, None)), Verdict::Between);
        assert_eq!(judged(&rule, noon(), figures(2, None)), Verdict::Back);
    }
    let any = rule(r#""rate_limited_above":0"#);
    assert_eq!(judged(&any, noon(), figures(0, None)), Verdict::Back);
    crossed(judged(&any, noon(), figures(1, None)));
}

#[test]
fn availability_is_what_succeeded_of_what_the_provider_ended() {
    let sla = rule(r#""availability_below":"99.5","at_least":100"#);
    assert_eq!(sla.to_string(), "less than 99.5 % of at least 100 calls succeed within 30d");
    let ended = |succeeded, failed| {
        let of = [
            (Status::Succeeded, succeeded),
            (Status::Error, failed),
            (Status::Denied, 500),
            (Status::Cancelled, 70),
            (Status::Pending, 3),
        ];
        Figures { statuses: of.into(), ..figures(succeeded + failed + 573, None) }
    };
    // Half a percent of 1,000 calls: five may fail.
    let broken = crossed(judged(&sla, noon(), ended(994, 6)));
    assert_eq!((&*broken.reading.value, &*broken.reading.threshold), ("99.4", "99.5"));
    assert_eq!(
        broken.said,
        "994 of 1000 calls within 30d succeeded: 99.4 %, below the line of 99.5 %. 6 failed, where 5 calls may."
    );
    assert_eq!(judged(&sla, noon(), ended(995, 5)), Verdict::Between);
    assert_eq!(judged(&sla, noon(), ended(996, 4)), Verdict::Back);
    assert_eq!(judged(&sla, noon(), ended(0, 99)), Verdict::Back);
    for wrong in ["100", "0", "99.9999", "most"] {
        let said = refusal(&format!(r#"{{"name":"r","availability_below":"{wrong}"}}"#));
        assert!(said.contains("availability_below") && said.contains("99.5"), "{said}");
    }
}

#[test]
fn a_duration_may_be_watched_at_another_percentile() {
    let spread = Spread { mean_ms: 1, p50_ms: 10, p95_ms: 100, p99_ms: 1_000 };
    let calls = || Figures { latency: Some(spread), ..figures(50, None) };
    for (percentile, value) in [("50", "10"), ("95", "100"), ("99", "1000")] {
        let slow = rule(&format!(r#""latency_above_ms":9,"percentile":{percentile}"#));
        assert_eq!(crossed(judged(&slow, noon(), calls())).reading.value, value);
        assert!(slow.to_string().starts_with(&format!("p{percentile} latency above 9 ms")));
    }
    let said = refusal(r#"{"name":"r","latency_above_ms":9,"percentile":90}"#);
    assert!(said.contains("percentile") && said.contains("50, 95 or 99"), "{said}");
    let said = refusal(r#"{"name":"r","calls_above":9,"percentile":95}"#);
    assert!(said.contains("percentile"), "{said}");
}

#[test]
fn durations_are_those_of_enough_calls() {
    let spread = |p95_ms| Some(Spread { mean_ms: 1, p50_ms: 1, p95_ms, p99_ms: 99_999 });
    let slow = rule(r#""latency_above_ms":4000,"at_least":20"#);
    let latency = |requests, p95| Figures { latency: spread(p95), ..figures(requests, None) };
    assert_eq!(crossed(judged(&slow, noon(), latency(20, 4001))).reading.value, "4001");
    assert_eq!(judged(&slow, noon(), latency(19, 9000)), Verdict::Back);
    assert_eq!(judged(&slow, noon(), latency(20, 3201)), Verdict::Between);
    assert_eq!(judged(&slow, noon(), latency(20, 3200)), Verdict::Back);
    let late = rule(r#""ttft_above_ms":500"#);
    let ttft = |p95| Figures { ttft: spread(p95), ..figures(10, None) };
    let over = crossed(judged(&late, noon(), ttft(501)));
    assert_eq!(over.reading.measure, Measure::Ttft);
    assert_eq!(judged(&late, noon(), figures(10, None)), Verdict::Back);
}

#[test]
fn a_cache_collapses_against_what_was_usual() {
    let cache = rule(r#""cache_hits_below":50,"at_least_tokens":1000"#);
    let cached = |input, read| {
        let factors = BTreeMap::from([(Factor::InputCacheRead, Count::whole(read))]);
        usage(Figures { input_tokens: input, factors, ..figures(5, None) })
    };
    let usual = cached(10_000, 8_000);
    let judged = |now: &Usage, before: &Usage| cache.judge(noon(), now, Some(before));
    // 80 % was usual: 40 % is half of that, and on the line; 39.9 % is below.
    assert_eq!(judged(&cached(1000, 400), &usual), Verdict::Between);
    let over = crossed(judged(&cached(1000, 399), &usual));
    assert_eq!((&*over.reading.value, &*over.reading.threshold), ("49.8", "50"));
    assert_eq!(
        over.said,
        "39.9 % of the input came from a cache within 1h, after 80 % in the 7d before: below 50 % of that."
    );
    // Back is three quarters of what is usual: 60 %.
    assert_eq!(judged(&cached(1000, 599), &usual), Verdict::Between);
    assert_eq!(judged(&cached(1000, 600), &usual), Verdict::Back);
    // Too little input, now or before, and a cache that never was say nothing.
    assert_eq!(judged(&cached(999, 0), &usual), Verdict::Back);
    assert_eq!(judged(&cached(1000, 0), &cached(999, 999)), Verdict::Back);
    assert_eq!(judged(&cached(1000, 0), &cached(10_000, 999)), Verdict::Back);
    crossed(judged(&cached(1000, 0), &cached(10_000, 1000)));
    assert_eq!(cache.judge(noon(), &cached(1000, 0), None), Verdict::Back);
}

#[test]
fn calls_without_a_known_cost_are_a_share_of_all() {
    let unpriced = rule(r#""unpriced_above":10"#);
    let of = |unpriced, requests| Figures { unpriced, ..figures(requests, None) };
    assert_eq!(judged(&unpriced, noon(), of(1, 10)), Verdict::Between);
    let over = crossed(judged(&unpriced, noon(), of(2, 10)));
    assert_eq!(
        over.said,
        "2 of 10 requests within 1h have no known cost: 20 %, over the line of 10 %."
    );
    assert_eq!(judged(&unpriced, noon(), of(9, 9)), Verdict::Back);
}

#[test]
fn a_loop_is_one_model_called_fast_at_rising_spend() {
    let runaway = rule(r#""loop_above":30"#);
    let judged = |now: &Usage, before: &Usage| runaway.judge(noon(), now, Some(before));
    let paid = |requests, cost| figures(requests, Some(cost));
    let nothing = of_models(&[]);
    // 31 calls of one model and nothing before.
    let over = crossed(judged(&of_models(&[("m", paid(31, "0.40"))]), &nothing));
    assert_eq!(
        over.said,
        "31 requests to m within 1m, over the line of 30, and rising; cost $0.4000."
    );
    assert_eq!(over.reading.model.as_deref(), Some("m"));
    // Two models share 40 calls: neither is a loop.
    let two = of_models(&[("m", paid(20, "1")), ("n", paid(20, "1"))]);
    assert_eq!(judged(&two, &nothing), Verdict::Between);
    // As much as before is steady work, and free calls spend nothing.
    let steady = of_models(&[("m", paid(31, "0.40"))]);
    assert_eq!(judged(&steady, &steady), Verdict::Between);
    assert_eq!(judged(&of_models(&[("m", paid(31, "0"))]), &nothing), Verdict::Between);
    crossed(judged(&of_models(&[("m", paid(31, "0.41"))]), &steady));
    // Where costs are not known, tokens tell.
    let tokens = |input_tokens| Figures { input_tokens, unpriced: 3, ..figures(31, Some("0")) };
    crossed(judged(&of_models(&[("m", tokens(5))]), &of_models(&[("m", tokens(4))])));
    let same = of_models(&[("m", tokens(5))]);
    assert_eq!(judged(&same, &same), Verdict::Between);
    assert_eq!(judged(&of_models(&[("m", paid(15, "9"))]), &nothing), Verdict::Back);
}

#[test]
fn a_rule_asks_for_its_own_period_and_what_it_compares() {
    let asked = |json: &str| rule(json).questions(noon()).unwrap();
    let from = |json| asked(json).now.filter.from.unwrap().to_string();
    assert_eq!(from(r#""spend_above":"1","per":"hour""#), "2026-11-21T11:00:00.000Z");
    assert_eq!(from(r#""spend_above":"1","per":"week""#), "2026-11-15T23:00:00.000Z");
    assert_eq!(from(r#""forecast_above":"1","per":"month""#), "2026-10-31T23:00:00.000Z");
    assert_eq!(from(r#""calls_above":1,"within":"90m""#), "2026-11-21T09:30:00.000Z");
    let cache = asked(r#""cache_hits_below":50,"within":"2h","compared_with":"1d""#);
    let before = cache.before.unwrap().filter;
    assert_eq!(before.from.unwrap().to_string(), "2026-11-20T11:00:00.000Z");
    assert_eq!(before.to, cache.now.filter.from);
    let burst = asked(r#""rate_limited_above":1,"only":{"model":["a","b"],"tag":"team=x"}"#);
    assert_eq!(burst.now.filter.statuses, [store::StatusFilter::Code(429)]);
    assert_eq!(burst.now.filter.models, ["a", "b"]);
}

#[test]
fn a_rule_leads_to_what_it_looked_at() {
    let rule = rule(r#""error_rate_above":20,"only":{"model":"a b&c"}"#);
    let at = |text: &str| Timestamp::parse(text).unwrap();
    let [from, to] = ["2026-11-21T10:55:00Z", "2026-11-21T11:00:00Z"].map(at);
    assert_eq!(
        rule.page(from, to, None),
        "/activity?from=2026-11-21T10%3A55%3A00.000Z&to=2026-11-21T11%3A00%3A00.000Z&status=error&model=a%20b%26c"
    );
}

#[test]
fn what_is_written_survives_being_written_out() {
    for json in [
        r#""spend_above":"20.5","per":"week""#,
        r#""forecast_above":"100","after_percent":5"#,
        r#""error_rate_above":20,"within":"10m","at_least":3"#,
        r#""rate_limited_above":5"#,
        r#""latency_above_ms":4000"#,
        r#""ttft_above_ms":900,"only":{"stream":"true"}"#,
        r#""cache_hits_below":50,"compared_with":"2w""#,
        r#""unpriced_above":1"#,
        r#""calls_above":120,"within":"1m""#,
        r#""loop_above":30,"quiet_hours":{"from":"22:00","to":"07:00"},"enabled":false"#,
    ] {
        let rule = rule(json);
        let written = AlertRule::from(&rule);
        assert_eq!(written.check().unwrap(), rule, "{json}");
        assert_eq!(AlertRule::read(&serde_json::to_vec(&written).unwrap()).unwrap(), written);
    }
}

#[test]
fn a_wrong_rule_is_refused_by_its_field_and_with_what_to_write() {
    let markup = format!("<img src=x onerror=alert(1)>{}", "x".repeat(10_240));
    for (json, field, hint) in [
        ("", "not a rule", "Send such as"),
        ("[]", "not a rule", "Send such as"),
        (r#"{"name":"a"}"#, "exactly one line", "`spend_above`"),
        (r#"{"name":"a","spend_above":"1","calls_above":2}"#, "exactly one line", "`loop_above`"),
        (r#"{"spend_above":"1"}"#, "missing field `name`", "Send such as"),
        (r#"{"name":" ","spend_above":"1"}"#, "`name`", "1 to 80"),
        (r#"{"name":"history","spend_above":"1"}"#, "`name`", "another"),
        (r#"{"name":"a\u0007","spend_above":"1"}"#, "`name`", "visible"),
        (&format!(r#"{{"name":"{markup}","spend_above":"1"}}"#), "`name`", "1 to 80"),
        (r#"{"name":"a","spend_above":"-1"}"#, "`spend_above` cannot be `-1`", "from \"0\""),
        (r#"{"name":"a","spend_above":"1e99"}"#, "`spend_above`", "such as \"20.00\""),
        (r#"{"name":"a","spend_above":20}"#, "`spend_above`", "as text"),
        (r#"{"name":"a","spend_above":"1","per":"year"}"#, "`per`", "`month`"),
        (r#"{"name":"a","error_rate_above":-5}"#, "`error_rate_above` cannot be -5", "0 to 99"),
        (r#"{"name":"a","error_rate_above":100}"#, "`error_rate_above`", "0 to 99"),
        (r#"{"name":"a","error_rate_above":2.5}"#, "`error_rate_above`", "whole number"),
        (r#"{"name":"a","latency_above_ms":0}"#, "`latency_above_ms`", "1 to 86400000"),
        (r#"{"name":"a","calls_above":99999999999}"#, "`calls_above`", "1000000000"),
        (r#"{"name":"a","calls_above":1,"within":"soon"}"#, "`within`", "`5m`"),
        (r#"{"name":"a","calls_above":1,"within":"0m"}"#, "`within`", "`1m`"),
        (r#"{"name":"a","calls_above":1,"within":"9999999w"}"#, "`within`", "a year"),
        (r#"{"name":"a","calls_above":1,"per":"day"}"#, "`per` says nothing", "`within`"),
        (r#"{"name":"a","spend_above":"1","at_least":3}"#, "`at_least`", "`per`"),
        (
            r#"{"name":"a","cache_hits_below":50,"within":"7d"}"#,
            "`compared_with` `7d` is not longer",
            "longer",
        ),
        (r#"{"name":"a","calls_above":1,"only":{"modle":"m"}}"#, "no filter `modle`", "`model`"),
        (r#"{"name":"a","calls_above":1,"only":{"last":"7d"}}"#, "no filter `last`", "`model`"),
        (r#"{"name":"a","calls_above":1,"only":{"model":[]}}"#, "`model` without value", "Leave"),
        (r#"{"name":"a","calls_above":1,"only":{"status":"6xx"}}"#, "`only`", "`4xx`"),
        (r#"{"name":"a","calls_above":1,"only":{"tag":"team"}}"#, "`only`", "NAME=VALUE"),
        (r#"{"name":"a","rate_limited_above":1,"only":{"status":"5xx"}}"#, "always 429", "Leave"),
        (r#"{"name":"a","calls_above":1,"spend_over":"1"}"#, "`spend_over`", "Leave it out"),
        (
            r#"{"name":"a","calls_above":1,"quiet_hours":{"from":"25:00","to":"07:00"}}"#,
            "`25:00`",
            "22:00",
        ),
    ] {
        let said = refusal(json);
        assert!(said.contains(field) && said.contains(hint), "{json}: {said}");
        assert!(said.len() < 600, "{said}");
    }
}

#[test]
fn quiet_hours_go_over_midnight_and_by_the_users_clock() {
    let hours =
        |from: &str, to: &str| QuietHours { from: from.parse().unwrap(), to: to.parse().unwrap() };
    let night = hours("22:00", "07:00");
    let end = |hours: QuietHours, now| hours.end(here(now)).map(|at| at.to_string());
    // 21:59, 22:00, 06:59 and 07:00 in Berlin.
    assert_eq!(end(night, "2026-11-21T20:59:00Z"), None);
    let seven = Some("2026-11-22T06:00:00.000Z".to_owned());
    assert_eq!(end(night, "2026-11-21T21:00:00Z"), seven);
    assert_eq!(end(night, "2026-11-22T05:59:00Z"), seven);
    assert_eq!(end(night, "2026-11-22T06:00:00Z"), None);
    let lunch = hours("12:00", "13:00");
    assert_eq!(end(lunch, "2026-11-21T11:30:00Z").as_deref(), Some("2026-11-21T12:00:00.000Z"));
    assert_eq!(end(lunch, "2026-11-21T12:00:00Z"), None);
    assert_eq!(end(hours("08:00", "08:00"), "2026-11-21T07:00:00Z"), None);
    // The night in which clocks go back ends at seven all the same.
    assert_eq!(end(night, "2026-10-24T22:00:00Z").as_deref(), Some("2026-10-25T06:00:00.000Z"));
}

#[test]
fn a_snooze_lasts_as_it_was_said() {
    let until = |text: &str| until(text, noon()).map(|at| at.to_string());
    assert_eq!(until("1h").unwrap(), "2026-11-21T12:00:00.000Z");
    assert_eq!(until("tomorrow").unwrap(), "2026-11-21T23:00:00.000Z");
    assert_eq!(until("2026-11-25").unwrap(), "2026-11-24T23:00:00.000Z");
    assert_eq!(until("now").unwrap(), "2026-11-21T11:00:00.000Z");
    for wrong in ["", "soon", "yesterday", "2020-01-01", "9999w", "2030-01-01", "-1h"] {
        assert!(until(wrong).unwrap_err().to_string().contains("`until`"), "{wrong}");
    }
}

#[test]
fn a_history_is_read_page_by_page_without_gap_or_repeat() {
    let mut memory = Memory::default();
    let mut events = Vec::new();
    for _ in 0..7 {
        let event = memory.next(Occurrence::plain(Turn::Paused, "x".to_owned()), noon().now);
        memory.take_in(&event);
        events.push(event);
    }
    let mut seen = Vec::new();
    let mut before = None;
    loop {
        let page = AlertHistory::page(events.clone(), before, 3, None);
        seen.extend(page.events.iter().map(|event| event.number));
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    assert_eq!(seen, [7, 6, 5, 4, 3, 2, 1]);
}

/// What may happen to a rule between two looks at it.
#[derive(Clone, Debug)]
enum Step {
    /// So many calls are counted in its window.
    Calls(u64),
    /// So many hours pass.
    Pass(u8),
    Snooze(u8),
    Pause(Option<u8>),
    Resume,
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0_u64..12).prop_map(Step::Calls),
        2 => (0_u8..9).prop_map(Step::Pass),
        1 => (0_u8..9).prop_map(Step::Snooze),
        1 => proptest::option::of(0_u8..9).prop_map(Step::Pause),
        1 => Just(Step::Resume),
        1 => Just(Step::Restart),
    ]
}

proptest! {
    /// Any sequence of totals gives at most one notification an episode, whatever else
    /// happens, and none while it must be still.
    #[test]
    fn an_episode_is_told_at_most_once(steps in prop::collection::vec(step(), 0..60)) {
        let watched = rule(r#""calls_above":6,"quiet_hours":{"from":"22:00","to":"07:00"}"#);
        let plan = AlertPlan { rules: vec![watched.clone()], ..AlertPlan::default() };
        let (mut here, mut memory, mut events) = (noon(), Memory::default(), Vec::new());
        let mut calls = 0;
        for step in steps {
            let later = |hours: u8| Timestamp::from_millis(here.now.millis() + i64::from(hours) * 3_600_000);
            let mut done = match step {
                Step::Calls(now) => { calls = now; None }
                Step::Pass(hours) => { here.now = later(hours); None }
                Step::Snooze(hours) => Some(Occurrence {
                    until: Some(later(hours)),
                    ..Occurrence::of(Turn::Snoozed, &watched, String::new())
                }),
                Step::Pause(hours) => Some(Occurrence {
                    until: hours.map(later),
                    ..Occurrence::plain(Turn::Paused, String::new())
                }),
                Step::Resume => Some(Occurrence::plain(Turn::Resumed, String::new())),
                Step::Restart => { memory = Memory::recall(&events); None }
            };
            loop {
                if let Some(occurrence) = done.take() {
                    let event = memory.next(occurrence, here.now);
                    if event.is_to_be_told() {
                        prop_assert!(memory.hush(&plan, &watched, here).is_none());
                    }
                    memory.take_in(&event);
                    events.push(event);
                }
                let verdict = judged(&watched, here, figures(calls, None));
                done = memory.news(&plan, &watched, verdict, here);
                if done.is_none() { break; }
            }
            // What is remembered is what the events say, also when only their essence is left.
            prop_assert_eq!(&memory, &Memory::recall(&events));
            let essence: Vec<AlertEvent> = memory.essence().into_iter().cloned().collect();
            let recalled = Memory::recall(&essence);
            prop_assert_eq!(memory.active(), recalled.active());
            prop_assert_eq!(memory.is_held("r"), recalled.is_held("r"));
        }
        let mut told = 0;
        for event in &events {
            match event.occurrence.turn {
                Turn::Began => told = u32::from(event.is_to_be_told()),
                Turn::Told => told += 1,
                Turn::Ended => told = 0,
                Turn::Snoozed | Turn::Woken | Turn::Paused | Turn::Resumed | Turn::Budget => {}
            }
            prop_assert!(told <= 1);
        }
        // Above the line and nothing in the way: it was told.
        if calls > 6 && memory.hush(&plan, &watched, here).is_none() {
            prop_assert!(!memory.is_held("r") && memory.is_active("r"));
        }
    }
}

#[test]
fn periods_of_the_calendar_are_written_as_words() {
    let written: AlertRule =
        serde_json::from_str(r#"{"name":"a","spend_above":"1","per":"hour"}"#).unwrap();
    assert_eq!(written.per, Some(Per::Hour));
    assert_eq!(written.check().unwrap().to_string(), "more than $1.00 an hour");
}
