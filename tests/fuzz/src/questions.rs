//! What the management API is asked: the parameters of questions, alert rules, budgets.

use api::alerts::AlertRule;
use api::budgets::BudgetRule;
use api::period::Here;
use api::query::{Query, Question};
use meter::Timestamp;
use meter::provider::percent_decode;

/// When it is asked.
const NOW: Timestamp = Timestamp::from_millis(1_795_132_800_000);
const QUESTIONS: [Question; 4] =
    [Question::Usage, Question::Requests, Question::Export, Question::Reprice];

/// Reads the input as the parameters of each question, as a rule and as a budget.
pub fn check(input: &[u8]) {
    let text = &*String::from_utf8_lossy(input);
    let parameters: Vec<(String, String)> = text
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (percent_decode(name).into(), percent_decode(value).into()))
        .collect();
    let here = Here { now: NOW, zone: "Europe/Berlin".parse().expect("a zone") };
    for question in QUESTIONS {
        if let Ok(query) = Query::parse(question, &parameters, here) {
            assert!((1..=1000).contains(&query.limit), "{} rows", query.limit);
        }
    }
    // A rule that is in force must be one that can be written down and read again.
    if let Ok(rule) = AlertRule::read(input)
        && rule.check().is_ok()
    {
        let written = serde_json::to_vec(&rule).expect("a rule is JSON");
        let again = AlertRule::read(&written).expect("it was one");
        assert_eq!(serde_json::to_vec(&again).ok(), Some(written), "a rule");
    }
    if let Ok(rule) = BudgetRule::read(input)
        && rule.check().is_ok()
    {
        let written = serde_json::to_vec(&rule).expect("a budget is JSON");
        let again = BudgetRule::read(&written).expect("it was one");
        assert_eq!(serde_json::to_vec(&again).ok(), Some(written), "a budget");
    }
}
