use std::collections::BTreeMap;

use meter::Currency;
use meter::budget::{ASSUMED_OUTPUT, BudgetAction, Limit, Scope, Unpriced};
use proptest::prelude::*;

use super::*;

const CENT: i128 = 10_000_000_000_000_000;
const HOUR: i64 = 3_600_000;

fn cents(cents: i128) -> Money {
    Money::from_attos(cents * CENT)
}

fn budget(limit: Limit) -> Budget {
    Budget {
        name: "b".into(),
        scope: Scope::default(),
        limit,
        action: BudgetAction::Hard,
        warn_at: vec![50, 100],
        unpriced: Unpriced::Deny,
        assumed_output: ASSUMED_OUTPUT,
        is_enabled: true,
    }
}

fn dollar() -> Limit {
    Limit::Spend { most: cents(100), per: Span::Hour }
}

/// Hours since 1970, whatever the span.
fn hourly() -> Arc<Budgets> {
    Arc::new(Budgets::new(Arc::new(|_, at| {
        let hour = at.millis().div_euclid(HOUR);
        let [from, to] = [hour, hour + 1].map(|hour| Timestamp::from_millis(hour * HOUR));
        Period { from, to: Some(to) }
    })))
}

fn book(limit: Limit) -> Arc<Budgets> {
    let budgets = hourly();
    budgets.put(&[budget(limit)]);
    budgets
}

fn facets() -> Facets<'static> {
    Facets {
        pass: Some("p"),
        key: None,
        workspace: "w",
        provider: "x",
        model: Some("m"),
        served: None,
        may_be_any: false,
    }
}

fn call(at: i64, random: u64) -> Candidate<'static> {
    Candidate { id: ReceiptId::new(Timestamp::from_millis(at), 0, random), facets: facets() }
}

fn wants(tokens: u64, cost: i128) -> Outlook {
    Outlook { tokens, cost: Foreseen::About(cents(cost), Currency::USD) }
}

fn why(stopped: Result<Hold, Box<Stop>>) -> Why {
    stopped.map(drop).unwrap_err().why
}

#[test]
fn what_runs_counts_with_what_was_set_aside_until_its_receipt_tells() {
    let budgets = book(dollar());
    let first = budgets.admit(call(0, 1), wants(0, 60)).unwrap();
    let second = budgets.admit(call(0, 2), wants(0, 60));
    let Why::SetAside { spent, held, running, wanted } = why(second) else { panic!() };
    assert_eq!((spent, held, running, wanted), (Money::ZERO, cents(60), 1, cents(60)));
    first.settle(Some(cents(10)), None, None);
    let second = budgets.admit(call(0, 3), wants(0, 60)).unwrap();
    // Nobody knows what it cost: what was set aside counts.
    second.settle(None, None, None);
    let standing = budgets.standing(Timestamp::from_millis(1)).remove(0);
    assert_eq!((standing.spent, standing.held, standing.share), (cents(70), Money::ZERO, 70));
    assert_eq!((standing.running, standing.denied), (0, 1));
}

#[test]
fn one_call_that_is_too_large_runs_alone_and_none_does_at_the_limit() {
    let budgets = book(dollar());
    budgets.admit(call(0, 1), wants(0, 99)).unwrap().settle(Some(cents(99)), None, None);
    let large = budgets.admit(call(0, 2), wants(0, 500)).unwrap();
    assert!(matches!(why(budgets.admit(call(0, 3), wants(0, 1))), Why::SetAside { .. }));
    large.settle(Some(cents(1)), None, None);
    let stop = budgets.admit(call(HOUR - 90_000, 4), wants(0, 1)).map(drop).unwrap_err();
    assert_eq!(stop.why, Why::Reached { spent: cents(100) });
    assert_eq!(stop.retry_after, Some(Duration::from_secs(90)));
    assert_eq!(
        stop.to_string(),
        "the budget `b` allows $1.00 an hour, and $1.00 are spent; the next hour begins in 1 min. The user can raise it with `tollgate budgets edit 'b' --spend AMOUNT` or on the Budgets page"
    );
    let free = Outlook { tokens: 0, cost: Foreseen::Nothing };
    assert!(budgets.admit(call(0, 5), free).is_ok());
    assert!(budgets.admit(call(HOUR, 6), wants(0, 1)).is_ok(), "a new hour");
}

#[test]
fn a_call_counts_in_the_period_it_was_let_in_in() {
    let budgets = book(dollar());
    let late = budgets.admit(call(HOUR - 1, 1), wants(0, 90)).unwrap();
    let early = budgets.admit(call(HOUR, 2), wants(0, 90)).unwrap();
    late.settle(Some(cents(90)), None, None);
    early.settle(Some(cents(5)), None, None);
    // Read before midnight, let in after: no way back.
    drop(budgets.admit(call(HOUR - 2, 3), wants(0, 5)).unwrap());
    let standing = budgets.standing(Timestamp::from_millis(HOUR + 1)).remove(0);
    assert_eq!(standing.spent, cents(10));
    // The clock was wrong by years, and is set right.
    let year = 365 * 24 * HOUR;
    budgets.standing(Timestamp::from_millis(year));
    let standing = budgets.standing(Timestamp::from_millis(HOUR + 1)).remove(0);
    assert_eq!(standing.period.unwrap().from.millis(), HOUR);
}

#[test]
fn what_has_no_price_is_denied_unless_allowed() {
    let budgets = book(dollar());
    let unknown = Outlook { tokens: 0, cost: Foreseen::Unpriced };
    assert_eq!(why(budgets.admit(call(0, 1), unknown)), Why::Unpriced);
    let euros = Foreseen::About(cents(1), Currency::EUR);
    assert_eq!(why(budgets.admit(call(0, 1), Outlook { tokens: 0, cost: euros })), Why::Unpriced);
    budgets.put(&[Budget { unpriced: Unpriced::Allow, ..budget(dollar()) }]);
    assert!(budgets.admit(call(0, 2), unknown).is_ok());
    // A price without a bound: a quarter at first, then what the dearest has cost.
    let open = Outlook { tokens: 0, cost: Foreseen::Open(1) };
    let hold = budgets.admit(call(0, 3), open).unwrap();
    assert_eq!(hold.money(), Some(cents(25)));
    hold.settle(Some(cents(7)), None, None);
    let hold = budgets.admit(call(0, 4), open).unwrap();
    assert_eq!(hold.money(), Some(cents(7)));
    // One that was refused says nothing of the next one.
    hold.settle(Some(Money::ZERO), None, None);
    let three = Outlook { tokens: 0, cost: Foreseen::Open(3) };
    assert_eq!(budgets.admit(call(0, 5), three).unwrap().money(), Some(cents(21)));
}

#[test]
fn a_soft_budget_and_a_released_one_stop_nothing_and_count() {
    let budgets = hourly();
    budgets.put(&[Budget { action: BudgetAction::Soft, ..budget(dollar()) }]);
    for random in 0..3 {
        budgets.admit(call(0, random), wants(0, 90)).unwrap().settle(Some(cents(90)), None, None);
    }
    assert_eq!(budgets.standing(Timestamp::from_millis(1))[0].spent, cents(270));
    budgets.put(&[Budget { action: BudgetAction::Ask, ..budget(dollar()) }]);
    assert!(matches!(why(budgets.admit(call(0, 4), wants(0, 1))), Why::Reached { .. }));
    budgets.release("b", Some(Timestamp::from_millis(10)));
    assert!(budgets.admit(call(9, 5), wants(0, 1)).is_ok());
    assert!(budgets.admit(call(10, 6), wants(0, 1)).is_err());
}

#[test]
fn paces_are_kept_by_the_minute_and_by_what_runs() {
    let requests = book(Limit::Requests { most: 2 });
    let _one = requests.admit(call(0, 1), wants(0, 0)).unwrap();
    requests.admit(call(0, 2), wants(0, 0)).unwrap().settle(None, None, None);
    let stop = requests.admit(call(0, 3), wants(0, 0)).map(drop).unwrap_err();
    assert!(stop.is_about_pace() && stop.code() == "rate_limited");
    let wait = stop.retry_after.unwrap().as_secs();
    assert!((55..=60).contains(&wait), "{wait}");
    let tokens = book(Limit::Tokens { most: 1000 });
    let large = tokens.admit(call(0, 1), wants(5000, 0)).unwrap();
    assert_eq!(why(tokens.admit(call(0, 2), wants(1, 0))), Why::Busy);
    large.settle(None, Some(400), None);
    assert!(tokens.admit(call(0, 3), wants(600, 0)).is_ok());
    let two = book(Limit::Concurrent { most: 2 });
    let held: Vec<Hold> =
        (0..2).map(|random| two.admit(call(0, random), wants(0, 0)).unwrap()).collect();
    assert_eq!(why(two.admit(call(0, 9), wants(0, 0))), Why::Busy);
    drop(held);
    assert!(two.admit(call(0, 9), wants(0, 0)).is_ok());
    let none = book(Limit::Requests { most: 0 });
    assert!(none.admit(call(0, 1), wants(0, 0)).is_err());
}

#[test]
fn a_stop_by_one_budget_takes_nothing_of_the_others() {
    let budgets = hourly();
    let narrow = Scope { models: vec!["m".into()], ..Scope::default() };
    let other = Scope { providers: vec!["y".into()], ..Scope::default() };
    let named = |name: &str, scope: &Scope, limit| Budget {
        name: name.into(),
        scope: scope.clone(),
        ..budget(limit)
    };
    budgets.put(&[
        named("wide", &Scope::default(), Limit::Spend { most: cents(1000), per: Span::Total }),
        named("narrow", &narrow, dollar()),
        named("other", &other, Limit::Concurrent { most: 0 }),
    ]);
    let hold = budgets.admit(call(0, 1), wants(0, 90)).unwrap();
    assert!(budgets.admit(call(0, 2), wants(0, 90)).is_err());
    hold.settle(Some(cents(90)), None, None);
    let spent: Vec<Money> =
        budgets.standing(Timestamp::from_millis(1)).iter().map(|one| one.spent).collect();
    assert_eq!(spent, [cents(90), cents(90), Money::ZERO]);
    let standing = budgets.standing(Timestamp::from_millis(1));
    assert!(standing.iter().all(|one| one.held == Money::ZERO && one.running == 0));
}

#[test]
fn a_changed_limit_keeps_what_was_counted_and_another_scope_begins_anew() {
    let budgets = book(dollar());
    let running = budgets.admit(call(0, 1), wants(0, 90)).unwrap();
    budgets.put(&[budget(Limit::Spend { most: cents(200), per: Span::Hour })]);
    running.settle(Some(cents(80)), None, None);
    assert_eq!(budgets.standing(Timestamp::from_millis(1))[0].spent, cents(80));
    let running = budgets.admit(call(0, 2), wants(0, 90)).unwrap();
    let scope = Scope { workspaces: vec!["w".into()], ..Scope::default() };
    budgets.put(&[Budget { scope, ..budget(dollar()) }]);
    running.settle(Some(cents(80)), None, None);
    assert_eq!(budgets.standing(Timestamp::from_millis(1))[0].spent, Money::ZERO);
    budgets.put(&[]);
    assert!(budgets.is_empty());
}

/// What a ledger would hold.
#[derive(Default)]
struct Ledger {
    /// Sent, and committed a little later.
    sent: Vec<(ReceiptId, Money)>,
    committed: BTreeMap<ReceiptId, Money>,
}

impl Ledger {
    fn commit(&mut self) {
        self.committed.extend(self.sent.drain(..));
    }

    fn total(&self) -> Money {
        self.committed.values().fold(Money::ZERO, |sum, cost| sum.saturating_add(*cost))
    }
}

fn recount(budgets: &Budgets, ledger: &std::cell::RefCell<Ledger>, meanwhile: impl FnOnce()) {
    let caught_up = || {
        ledger.borrow_mut().commit();
        Ok::<(), ()>(())
    };
    let ask = |accounts: &[Account], ended: &dyn Fn() -> Vec<ReceiptId>| {
        // Calls end while the ledger is being asked, before and after its answer's state.
        meanwhile();
        let ledger = ledger.borrow();
        let ended = ended();
        Ok(Counted {
            spent: vec![ledger.total(); accounts.len()],
            known: ended.into_iter().filter(|id| ledger.committed.contains_key(id)).collect(),
        })
    };
    budgets.recount(Timestamp::from_millis(1), caught_up, ask).unwrap();
}

proptest! {
    #[test]
    fn whatever_happens_in_whatever_order_the_limit_is_overshot_by_one_call_at_most(
        steps in prop::collection::vec((0..7_u8, any::<prop::sample::Index>(), 1..40_i128, 0..=100_i128), 1..120),
    ) {
        let ledger = std::cell::RefCell::new(Ledger::default());
        let mut budgets = book(dollar());
        let mut running: Vec<(ReceiptId, Hold, i128, i128)> = Vec::new();
        let (mut random, mut largest) = (0, 0);
        let end = |running: &mut Vec<(ReceiptId, Hold, i128, i128)>, at: prop::sample::Index| {
            if !running.is_empty() {
                let (id, hold, foreseen, percent) = running.swap_remove(at.index(running.len()));
                let cost = Money::from_attos(foreseen * percent * CENT / 100);
                ledger.borrow_mut().sent.push((id, cost));
                hold.settle(Some(cost), None, None);
            }
        };
        for (step, at, foreseen, percent) in steps {
            match step {
                0..=2 => {
                    random += 1;
                    if let Ok(hold) = budgets.admit(call(0, random), wants(0, foreseen)) {
                        running.push((call(0, random).id, hold, foreseen, percent));
                        largest = largest.max(foreseen);
                    }
                }
                3 => end(&mut running, at),
                4 => ledger.borrow_mut().commit(),
                5 => recount(&budgets, &ledger, || {
                    end(&mut running, at);
                    if percent % 2 == 0 {
                        ledger.borrow_mut().commit();
                    }
                    end(&mut running, at);
                }),
                _ => {
                    // Killed: what runs leaves a receipt of unknown cost with what was set aside.
                    for (id, hold, foreseen, _) in running.drain(..) {
                        ledger.borrow_mut().sent.push((id, cents(foreseen)));
                        std::mem::forget(hold);
                    }
                    budgets = book(dollar());
                    recount(&budgets, &ledger, || ());
                }
            }
            let mut everything = ledger.borrow().total();
            for (_, cost) in &ledger.borrow().sent {
                everything = everything.saturating_add(*cost);
            }
            let standing = budgets.standing(Timestamp::from_millis(1)).remove(0);
            // Nothing is counted twice and nothing is forgotten.
            prop_assert_eq!(standing.spent, everything);
            let held: i128 = running.iter().map(|(_, _, foreseen, _)| foreseen).sum();
            prop_assert_eq!(standing.held, cents(held));
            let most = cents(100 + largest);
            prop_assert!(everything.saturating_add(standing.held) <= most);
        }
    }
}

#[test]
fn what_nobody_has_read_runs_alone_and_not_at_the_limit() {
    let budgets = book(dollar());
    let unseen = Outlook { tokens: 0, cost: Foreseen::Unseen };
    let large = budgets.admit(call(0, 1), unseen).unwrap();
    assert!(matches!(why(budgets.admit(call(0, 2), wants(0, 1))), Why::SetAside { .. }));
    assert!(matches!(why(budgets.admit(call(0, 3), unseen)), Why::SetAside { .. }));
    large.settle(None, None, None);
    assert_eq!(budgets.standing(Timestamp::from_millis(1))[0].spent, OPEN);
    budgets.admit(call(0, 4), wants(0, 75)).unwrap().settle(Some(cents(75)), None, None);
    assert!(matches!(why(budgets.admit(call(0, 5), unseen)), Why::Reached { .. }));
}

#[test]
fn a_model_is_known_by_the_name_that_served_once_it_did() {
    let budgets = book(dollar());
    let hold = budgets.admit(call(0, 1), wants(0, 1)).unwrap();
    hold.settle(Some(cents(1)), None, Some("served".into()));
    assert_eq!(budgets.served("m").as_deref(), Some("served"));
}

#[test]
fn under_new_names_everything_goes_on_counting() {
    let budgets = hourly();
    let of = |name: &str| Scope { workspaces: vec![name.into()], ..Scope::default() };
    budgets.put(&[Budget { scope: of("w"), ..budget(dollar()) }]);
    let running = budgets.admit(call(0, 1), wants(0, 90)).unwrap();
    budgets.rename(&[Budget { scope: of("new"), ..budget(dollar()) }]);
    let facets = Facets { workspace: "new", ..facets() };
    let named = Candidate { facets, ..call(0, 2) };
    assert!(matches!(why(budgets.admit(named, wants(0, 20))), Why::SetAside { .. }));
    running.settle(Some(cents(90)), None, None);
    assert_eq!(budgets.standing(Timestamp::from_millis(1))[0].spent, cents(90));
}
