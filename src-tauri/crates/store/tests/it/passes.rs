//! Passes that are limited, changed and renamed.

use meter::{Allowance, Timestamp};
use store::{Dimension, Filter, Ledger, NewPass, PassTerms, Questions, Scope, StoreError};

use crate::made::{START, chat, id};

fn now() -> Timestamp {
    Timestamp::from_millis(START)
}

fn some() -> Allowance {
    let providers = vec!["anthropic".into(), "openai".into()];
    Allowance { providers, models: vec!["gpt-4o*".parse().unwrap()] }
}

fn laptop(label: &str, allowance: Allowance) -> NewPass {
    let (workspace, scopes) = ("lab".into(), vec![Scope::Call]);
    NewPass { label: label.into(), workspace, scopes, allowance, expires: None }
}

fn terms(label: &str) -> PassTerms {
    let (workspace, expires) = ("other".into(), Some(Timestamp::from_millis(START + 5)));
    PassTerms { label: label.into(), workspace, allowance: Allowance::default(), expires }
}

#[test]
fn limits_are_kept_and_every_term_can_be_changed() {
    let home = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(home.path()).unwrap();
    let (made, secret) = ledger.add_pass(laptop("ci", some()), now()).unwrap();
    ledger.add_pass(laptop("free", Allowance::default()), now()).unwrap();
    assert_eq!(made.allowance, some());
    let book = ledger.pass_book().unwrap();
    assert_eq!(book.find(secret.expose(), now()).unwrap().allowance, some());
    let changed = ledger.change_pass("ci", terms("build")).unwrap();
    assert_eq!((&*changed.label, &*changed.workspace), ("build", "other"));
    assert!(changed.allowance.is_unlimited());
    let listed = Questions::open(home.path()).unwrap().passes().unwrap();
    assert_eq!((&listed[0], listed[1].allowance.is_unlimited()), (&changed, true));
    let book = ledger.pass_book().unwrap();
    assert_eq!(book.find(secret.expose(), now()), Some(&changed), "its secret stays");
    assert_eq!(book.find(secret.expose(), Timestamp::from_millis(START + 5)), None, "its end came");

    ledger.revoke_pass("build", now()).unwrap();
    let refused = ledger.change_pass("build", terms("x"));
    assert!(matches!(refused, Err(StoreError::PassRevoked { .. })));
    let refused = ledger.change_pass("nobody", terms("x"));
    assert!(matches!(refused, Err(StoreError::NoSuchPass { .. })));
}

#[test]
fn a_renamed_pass_keeps_its_receipts_and_its_old_label_is_never_anothers() {
    let home = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(home.path()).unwrap();
    ledger.add_pass(laptop("ci", Allowance::default()), now()).unwrap();
    ledger.add_pass(laptop("other", Allowance::default()), now()).unwrap();
    let call = |ms, label: &str| {
        let mut receipt = chat(id(ms, 0), 1);
        receipt.pass = Some(label.into());
        ledger.recorder().open(&receipt).finish(receipt);
    };
    call(0, "ci");
    ledger.change_pass("ci", terms("build")).unwrap();
    // This one began under the old label.
    call(120_000, "ci");
    call(240_000, "build");
    let passes = ledger.passes().unwrap();
    assert_eq!(passes[0].last_used, Some(Timestamp::from_millis(START + 240_000)));
    let questions = Questions::open(home.path()).unwrap();
    let usage = questions.usage(&Filter::default(), Some(&Dimension::Pass), None).unwrap();
    assert_eq!((usage.rows.len(), usage.rows[0].0.as_deref()), (1, Some("build")));
    for label in ["ci", "build"] {
        let filter = Filter { passes: vec![label.into()], ..Filter::default() };
        let receipts = questions.requests(&filter, None, 9).unwrap();
        assert_eq!(receipts.len(), 3, "{label}");
        assert!(receipts.iter().all(|r| r.pass.as_deref() == Some("build")));
    }
    assert!(questions.verify().unwrap().is_sound());
    let taken =
        |result: Result<_, StoreError>| matches!(result, Err(StoreError::PassExists { .. }));
    assert!(taken(ledger.add_pass(laptop("ci", Allowance::default()), now()).map(drop)));
    assert!(taken(ledger.change_pass("other", terms("ci")).map(drop)));
    assert!(taken(ledger.change_pass("other", terms("build")).map(drop)));
    let back = ledger.change_pass("build", terms("ci")).unwrap();
    assert_eq!(&*back.label, "ci");
    assert_eq!(
        questions.count(&Filter { passes: vec!["build".into()], ..Filter::default() }).unwrap(),
        3
    );
}
