//! Settlements and passes: what is written besides receipts.

use std::time::Duration;

use meter::receipt::{CostState, Receipt, Settlement, Status, UsageState};
use meter::{ReceiptId, Timestamp};
use store::{
    Dimension, Filter, Ledger, NewPass, Questions, Scope, Settled, Standing, StatusFilter,
    StoreError,
};

use crate::made::{START, chat, id, money};
use crate::recording::record;

fn pending(id: ReceiptId) -> Receipt {
    let mut r = chat(id, 1);
    (r.status, r.response_id) = (Status::Pending, Some("resp_1".into()));
    r.lines.clear();
    (r.cost, r.cost_state) = (None, CostState::UsageMissing);
    r
}

fn outcome() -> Settlement {
    Settlement {
        at: Timestamp::from_millis(START + 60_000),
        reason: "job".into(),
        by: Some(id(60_000, 1)),
        status: Some(Status::Succeeded),
        usage_raw: None,
        usage_state: Some(UsageState::Reported),
        lines: chat(id(0, 0), 2).lines,
        cost: Some(money("0.25")),
        cost_state: CostState::Priced,
        subtotal: None,
        book_hash: None,
        note: None,
    }
}

#[test]
fn a_jobs_outcome_is_appended_once_and_counts_from_then_on() {
    let home = tempfile::tempdir().unwrap();
    let began = pending(id(0, 0));
    record(home.path(), [began.clone()]);
    let ledger = Ledger::open(home.path()).unwrap();
    assert_eq!(ledger.settle("groq", "resp_1", outcome()).unwrap(), Settled::Nothing);
    let settled = ledger.settle("openai", "resp_1", outcome()).unwrap();
    assert_eq!(settled, Settled::Receipt(began.id));
    assert_eq!(ledger.settle("openai", "resp_1", outcome()).unwrap(), Settled::Nothing);

    let questions = Questions::open(home.path()).unwrap();
    let now = questions.receipt(began.id).unwrap().unwrap();
    let want = Receipt { settlements: vec![outcome()], ..began };
    assert_eq!(now, want);
    assert_eq!(Standing::of(&now).status, Status::Succeeded);
    let totals = questions.usage(&Filter::default(), None, None).unwrap().totals;
    assert_eq!((totals.requests, totals.cost, totals.unpriced), (1, money("0.25"), 0));
    assert_eq!(totals.statuses, [(Status::Succeeded, 1)].into());
    let pending = vec![StatusFilter::Word(Status::Pending)];
    assert_eq!(questions.count(&Filter { statuses: pending, ..Filter::default() }).unwrap(), 0);
    assert!(questions.verify().unwrap().is_sound());
}

#[test]
fn an_outcome_counts_for_the_tags_of_a_day_that_is_summed_up() {
    const DAY: i64 = 24 * 60 * 60 * 1000;
    let home = tempfile::tempdir().unwrap();
    let mut began = pending(id(DAY, 0));
    began.tags = [("team".into(), "red".into())].into();
    // What comes later seals the day before.
    record(home.path(), [began.clone(), chat(id(9 * DAY, 0), 1)]);
    let ledger = Ledger::open(home.path()).unwrap();
    while ledger.health().catching_up {
        std::thread::yield_now();
    }
    let day = |day: i64| Timestamp::from_millis((START / DAY + day) * DAY);
    let whole_days = Filter { from: Some(day(0)), to: Some(day(3)), ..Filter::default() };
    let of_red = || {
        let questions = Questions::open(home.path()).unwrap();
        assert!(questions.verify().unwrap().is_sound());
        let by = Dimension::Tag("team".into());
        let rows = questions.usage_by_day(&whole_days, Some(&by), None).unwrap().rows;
        let [(Some(value), figures)] = &*rows else { panic!("{rows:?}") };
        assert_eq!(value, "red");
        (figures.statuses.clone(), figures.cost, figures.costs_by_day.len())
    };
    assert_eq!(of_red(), ([(Status::Pending, 1)].into(), money("0"), 0));
    ledger.settle("openai", "resp_1", outcome()).unwrap();
    assert_eq!(of_red(), ([(Status::Succeeded, 1)].into(), money("0.25"), 1));
    ledger.rebuild().unwrap();
    assert_eq!(of_red(), ([(Status::Succeeded, 1)].into(), money("0.25"), 1));
    ledger.close(Duration::from_secs(20));
}

#[test]
fn an_outcome_handed_off_behind_its_receipt_finds_it() {
    let home = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(home.path()).unwrap();
    let recorder = ledger.recorder();
    let began = pending(id(0, 0));
    recorder.open(&began).finish(began.clone());
    recorder.settle("openai", "resp_1", outcome());
    recorder.settle("openai", "resp_1", outcome());
    ledger.close(Duration::from_secs(20));
    let now = Questions::open(home.path()).unwrap().receipt(began.id).unwrap().unwrap();
    assert_eq!(now.settlements, [outcome()]);
}

fn laptop() -> NewPass {
    NewPass {
        label: "laptop".into(),
        workspace: "acme".into(),
        scopes: vec![Scope::Call, Scope::UsageRead],
        allowance: meter::Allowance::default(),
        expires: Some(Timestamp::from_millis(START + 1000)),
    }
}

#[test]
fn a_pass_opens_until_it_expires_or_is_revoked() {
    let home = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(home.path()).unwrap();
    let now = Timestamp::from_millis(START);
    let (pass, secret) = ledger.add_pass(laptop(), now).unwrap();
    assert!(secret.expose().starts_with("tg_") && secret.expose().len() == 43);
    assert_eq!(format!("{secret:?}"), "•••");
    assert!(matches!(ledger.add_pass(laptop(), now), Err(StoreError::PassExists { .. })));
    let book = ledger.pass_book().unwrap();
    assert_eq!(book.find(secret.expose(), now), Some(&pass));
    assert_eq!(book.find("tg_guess", now), None);
    assert_eq!(book.find(secret.expose(), Timestamp::from_millis(START + 1000)), None);

    let mut receipt = chat(id(0, 0), 1);
    receipt.pass = Some("laptop".into());
    ledger.recorder().open(&receipt).finish(receipt);
    ledger.revoke_pass("laptop", now).unwrap();
    assert!(matches!(ledger.revoke_pass("nobody", now), Err(StoreError::NoSuchPass { .. })));
    let listed = &Questions::open(home.path()).unwrap().passes().unwrap()[0];
    assert_eq!((listed.last_used, listed.revoked), (Some(now), Some(now)));
    assert_eq!(ledger.pass_book().unwrap().find(secret.expose(), now), None);
    ledger.close(Duration::from_secs(10));
}

#[test]
fn no_file_holds_a_passes_secret() {
    let home = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(home.path()).unwrap();
    let (_, secret) = ledger.add_pass(laptop(), Timestamp::from_millis(START)).unwrap();
    ledger.close(Duration::from_secs(10));
    let mut files = 0;
    for file in std::fs::read_dir(home.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        let found = bytes.windows(secret.expose().len()).any(|w| w == secret.expose().as_bytes());
        assert!(!found);
        files += 1;
    }
    assert!(files >= 2);
}
