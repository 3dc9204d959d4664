//! Pruning: receipts go, sums stay.

use std::time::Duration;

use meter::{Money, Timestamp};
use store::{Busiest, Dimension, Filter, Ledger, Questions, StoreError};

use crate::made::{START, chat, id};
use crate::recording::record;

const DAY: i64 = 24 * 60 * 60 * 1000;

fn at(days: i64) -> Timestamp {
    Timestamp::from_millis(START + days * DAY)
}

/// Four receipts on each of 120 days, each with a tag, all days sealed.
fn four_months(home: &std::path::Path) {
    let receipts = (0..480).map(|n| {
        let mut receipt = chat(id(n * DAY / 4, 0), n as u64);
        receipt.tags = [("team".into(), "blue".into())].into();
        receipt
    });
    record(home, receipts);
}

fn usage(home: &std::path::Path, filter: &Filter) -> store::Usage {
    let questions = Questions::open(home).unwrap();
    questions.usage(filter, Some(&Dimension::Key), None).unwrap()
}

#[test]
fn pruned_receipts_are_gone_and_every_sum_is_what_it_was() {
    let home = tempfile::tempdir().unwrap();
    four_months(home.path());
    // From one quarter of an hour to another, in a year of whole days and a part of one.
    let odd = Filter {
        from: Some(Timestamp::from_millis(at(3).millis() + 15 * 60_000)),
        to: Some(Timestamp::from_millis(at(40).millis() + 45 * 60_000)),
        ..Filter::default()
    };
    let before = [Filter::default(), odd.clone()].map(|filter| usage(home.path(), &filter));
    let by_team = || {
        let questions = Questions::open(home.path()).unwrap();
        questions.usage(&Filter::default(), Some(&Dimension::Tag("team".into())), None).unwrap()
    };
    let teams_before = by_team();
    let ledger = Ledger::open(home.path()).unwrap();
    let cut = ledger.prune(at(60), at(120)).unwrap();
    // 02:40 on the sixtieth day is cut at its midnight: that day's receipts stay.
    assert_eq!(cut.millis() % DAY, 0);
    assert!(cut <= at(60) && at(59) < cut);
    ledger.close(Duration::from_secs(10));
    assert_eq!([Filter::default(), odd].map(|filter| usage(home.path(), &filter)), before);
    assert_eq!(by_team(), teams_before, "tags of pruned days are summed up");
    let questions = Questions::open(home.path()).unwrap();
    let left = questions.requests(&Filter::default(), None, 1000).unwrap();
    assert_eq!(left.len(), 480 - 240);
    assert!(left.iter().all(|receipt| receipt.id.minted_at() >= cut));
    assert_eq!(questions.pruned_before().unwrap(), Some(cut));
    let verified = questions.verify().unwrap();
    assert!(verified.is_sound(), "{verified:?}");
    assert_eq!((verified.receipts, verified.pruned_before), (240, Some(cut)));
    let db = rusqlite::Connection::open(home.path().join("ledger.db")).unwrap();
    let count = |sql: &str| db.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(count("SELECT count(*) FROM tag"), 240);
    assert_eq!(count("PRAGMA freelist_count"), 0, "space is given back");
}

#[test]
fn what_comes_late_into_pruned_time_counts_and_is_pruned_too() {
    let home = tempfile::tempdir().unwrap();
    four_months(home.path());
    let ledger = Ledger::open(home.path()).unwrap();
    ledger.prune(at(60), at(120)).unwrap();
    let late = chat(id(7 * DAY + 1, 1), 9999);
    ledger.recorder().open(&late).finish(late);
    ledger.caught_up().unwrap();
    assert_eq!(usage(home.path(), &Filter::default()).totals.requests, 481);
    ledger.close(Duration::from_secs(10));
    let ledger = Ledger::open(home.path()).unwrap();
    ledger.prune(at(60), at(120)).unwrap();
    ledger.rebuild().unwrap();
    ledger.close(Duration::from_secs(10));
    assert_eq!(usage(home.path(), &Filter::default()).totals.requests, 481);
    let verified = Questions::open(home.path()).unwrap().verify().unwrap();
    assert!(verified.is_sound(), "{verified:?}");
    assert_eq!(verified.receipts, 240);
}

#[test]
fn a_pruning_that_was_cut_short_is_finished_by_the_next_start() {
    let home = tempfile::tempdir().unwrap();
    four_months(home.path());
    let db = rusqlite::Connection::open(home.path().join("ledger.db")).unwrap();
    // As the first transaction leaves it.
    let day = at(60).millis() / DAY;
    db.execute("INSERT INTO pruned VALUES (?1)", [day]).unwrap();
    let ledger = Ledger::open(home.path()).unwrap();
    while ledger.health().catching_up {
        std::thread::yield_now();
    }
    ledger.close(Duration::from_secs(10));
    let questions = Questions::open(home.path()).unwrap();
    assert_eq!(questions.requests(&Filter::default(), None, 1000).unwrap().len(), 240);
    assert!(questions.verify().unwrap().is_sound());
    assert_eq!(usage(home.path(), &Filter::default()).totals.requests, 480);
}

#[test]
fn sums_of_pruned_days_count_while_days_are_still_to_be_sealed_anew() {
    let home = tempfile::tempdir().unwrap();
    four_months(home.path());
    let ledger = Ledger::open(home.path()).unwrap();
    ledger.prune(at(60), at(120)).unwrap();
    ledger.close(Duration::from_secs(10));
    // As a rebuild leaves it that is killed before it has sealed days again.
    let db = rusqlite::Connection::open(home.path().join("ledger.db")).unwrap();
    db.execute_batch(
        "DELETE FROM sealed_rollup WHERE place >= 1 << 40;
         UPDATE sealed SET until = 0 WHERE span != 0",
    )
    .unwrap();
    assert_eq!(usage(home.path(), &Filter::default()).totals.requests, 480);
    assert!(Questions::open(home.path()).unwrap().verify().unwrap().is_sound());
}

#[test]
fn the_last_month_and_what_is_awaited_stay() {
    let home = tempfile::tempdir().unwrap();
    four_months(home.path());
    let ledger = Ledger::open(home.path()).unwrap();
    let young = ledger.prune(at(100), at(120)).unwrap_err();
    assert!(matches!(young, StoreError::TooYoungToPrune { .. }), "{young}");
    let mut job = chat(id(80 * DAY + 1, 1), 5);
    job.status = meter::receipt::Status::Pending;
    ledger.recorder().open(&job).finish(job);
    ledger.caught_up().unwrap();
    let awaited = ledger.prune(at(85), at(120)).unwrap_err();
    assert!(matches!(awaited, StoreError::StillAwaited { jobs: 1 }), "{awaited}");
    ledger.prune(at(75), at(120)).unwrap();
    ledger.close(Duration::from_secs(10));
}

#[test]
fn a_peak_is_not_exact_where_a_busier_quarter_was_pruned() {
    let home = tempfile::tempdir().unwrap();
    let calls = [(3, 1), (3, 2), (10, 3), (100, 4)];
    record(
        home.path(),
        calls.map(|(day, n)| {
            let mut receipt = chat(id(day * DAY, n), 1);
            receipt.tags = [("team".into(), "blue".into())].into();
            receipt
        }),
    );
    let ledger = Ledger::open(home.path()).unwrap();
    ledger.prune(at(5), at(140)).unwrap();
    ledger.close(Duration::from_secs(10));
    let questions = Questions::open(home.path()).unwrap();
    let peaks = |filter: &Filter| {
        let peaks = questions.peaks(filter).unwrap();
        (peaks.requests_a_minute, peaks.tokens_a_minute.map(|most| most.is_exact))
    };
    let first = |is_exact| Some(Busiest { count: 1, from: at(10), is_exact });
    let short = Filter { to: Some(at(20)), ..Filter::default() };
    let tagged = Filter { tags: vec![("team".into(), "blue".into())], ..short.clone() };
    for filter in [&Filter::default(), &short, &tagged] {
        assert_eq!(peaks(filter), (first(false), Some(false)), "{filter:?}");
    }
    for filter in [Filter::default(), short, tagged] {
        let kept = Filter { from: Some(at(6)), ..filter };
        assert_eq!(peaks(&kept), (first(true), Some(true)), "{kept:?}");
    }
}

#[test]
fn what_was_set_aside_for_calls_of_unknown_cost_is_still_counted() {
    let home = tempfile::tempdir().unwrap();
    let calls = [(3, None), (4, Some(Money::from_attos(7))), (5, None), (100, None)];
    record(
        home.path(),
        calls.into_iter().enumerate().map(|(n, (day, cost))| {
            let mut receipt = chat(id(day * DAY, n as u16), 1);
            receipt.cost = cost;
            receipt.reserved = (day != 5).then_some(Money::from_attos(1000 + i128::from(day)));
            receipt
        }),
    );
    let set_aside = || {
        let reserved = Questions::open(home.path()).unwrap().reserved(&Filter::default()).unwrap();
        reserved.iter().map(|one| one.amount.attos()).collect::<Vec<_>>()
    };
    assert_eq!(set_aside(), [1003, 1100]);
    let prunable = Questions::open(home.path()).unwrap().prunable(at(10), at(140)).unwrap();
    assert_eq!((prunable.receipts, prunable.kept), (2, 1));
    let ledger = Ledger::open(home.path()).unwrap();
    ledger.prune(at(10), at(140)).unwrap();
    ledger.close(Duration::from_secs(10));
    assert_eq!(set_aside(), [1003, 1100]);
    let questions = Questions::open(home.path()).unwrap();
    assert_eq!(questions.requests(&Filter::default(), None, 10).unwrap().len(), 2);
    assert_eq!(questions.kept_in_pruned_time().unwrap(), 1);
    assert!(questions.verify().unwrap().is_sound());
}

#[test]
fn a_ledger_that_nothing_came_into_since_can_be_pruned() {
    let home = tempfile::tempdir().unwrap();
    record(home.path(), [chat(id(3 * DAY, 0), 1)]);
    let ledger = Ledger::open(home.path()).unwrap();
    ledger.prune(at(10), at(140)).unwrap();
    ledger.close(Duration::from_secs(10));
    let questions = Questions::open(home.path()).unwrap();
    assert_eq!(questions.requests(&Filter::default(), None, 10).unwrap(), []);
    assert_eq!(usage(home.path(), &Filter::default()).totals.requests, 1);
}
