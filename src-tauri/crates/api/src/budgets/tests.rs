use meter::budget::{Budget, BudgetAction, Limit, Span};
use meter::{Money, Timestamp};

use super::*;

fn read(json: &str) -> Result<Budget, String> {
    let rule = BudgetRule::read(json.as_bytes()).and_then(|rule| rule.check());
    rule.map_err(|problem| format!("{} {}", problem.message, problem.hint.unwrap_or_default()))
}

#[test]
fn one_limit_is_given_and_the_rest_goes_without_saying() {
    let budget = read(r#"{"name":" CI ","spend":"5","only":{"pass":"ci"}}"#).unwrap();
    assert_eq!(&*budget.name, "CI");
    let most: Money = "5".parse().unwrap();
    assert_eq!(budget.limit, Limit::Spend { most, per: Span::Day });
    assert_eq!((budget.action, &*budget.warn_at), (BudgetAction::Hard, &[50_u8, 80, 100][..]));
    let many = r#"{"name":"a","tokens_per_minute":9,"only":{"model":["m*","n"]},"action":"soft"}"#;
    let budget = read(many).unwrap();
    assert_eq!((budget.limit, budget.scope.models.len()), (Limit::Tokens { most: 9 }, 2));
}

#[test]
fn what_is_written_out_reads_the_same() {
    for json in [
        r#"{"name":"a","spend":"0.5","per":"total","warn_at":[10],"unpriced":"allow","action":"ask"}"#,
        r#"{"name":"a","requests_per_minute":0,"only":{"key":"k","workspace":"w","provider":"p"}}"#,
        r#"{"name":"a","concurrent":3,"enabled":false,"assumed_output":9}"#,
    ] {
        let budget = read(json).unwrap();
        assert_eq!(BudgetRule::from(&budget).check().unwrap(), budget);
    }
}

#[test]
fn what_cannot_be_is_refused_with_what_can() {
    for (json, said) in [
        (r#"{"name":"a"}"#, "exactly one limit"),
        (r#"{"name":"a","spend":"1","concurrent":1}"#, "exactly one limit"),
        (r#"{"name":"a","spend":"-1"}"#, "dollars"),
        (r#"{"name":"a","spend":"much"}"#, "dollars"),
        (r#"{"name":"a","concurrent":-1}"#, "whole number"),
        (r#"{"name":"a","concurrent":1,"per":"day"}"#, "`per`"),
        (r#"{"name":"a","concurrent":1,"action":"ask"}"#, "`soft` or `hard`"),
        (r#"{"name":"a","spend":"1","warn_at":[0]}"#, "`warn_at`"),
        (r#"{"name":"a","spend":"1","only":{"status":"error"}}"#, "`workspace`"),
        (r#"{"name":"a","spend":"1","only":{"model":[]}}"#, "no value"),
        (r#"{"name":"a","spend":"1","limit":2}"#, "limit"),
        (r#"{"name":"\u0007","spend":"1"}"#, "visible"),
        (r#"["a"]"#, "not a budget"),
    ] {
        let refusal = read(json).unwrap_err();
        assert!(refusal.contains(said), "{json}: {refusal}");
    }
}

#[test]
fn a_standing_says_what_it_is_about_and_where_its_requests_are() {
    let json =
        r#"{"name":"a","spend":"2","only":{"pass":"c i","model":["m*","n"]},"action":"ask"}"#;
    let budget = read(json).unwrap();
    let stand = |share: u64, released_until: Option<Timestamp>| {
        let spent = Money::from_attos(i128::from(share) * 20_000_000_000_000_000);
        let from = Timestamp::from_millis(1);
        let used = Used { share, spent, released_until, from, ..Used::default() };
        Budgets::of(std::iter::once((&budget, used))).budgets.remove(0)
    };
    let fine = stand(10, None);
    assert_eq!(fine.says, "$2.00 a day, pass c i, model m* or n; then deny calls until released");
    assert_eq!(fine.state, BudgetState::Fine);
    assert_eq!(fine.page, "/requests?from=1970-01-01T00%3A00%3A00.001Z&pass=c%20i&model=n");
    assert_eq!(fine.money.unwrap().left.to_string(), "1.8");
    assert_eq!(stand(80, None).state, BudgetState::Near);
    let over = stand(110, None);
    assert_eq!((over.state, over.money.unwrap().left), (BudgetState::Stopping, Money::ZERO));
    assert_eq!(stand(110, Some(Timestamp::from_millis(9))).state, BudgetState::Released);
}
