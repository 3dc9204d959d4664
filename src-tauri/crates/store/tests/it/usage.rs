//! Figures, with numbers one can add in one's head, and against plain sums over receipts.

use std::collections::BTreeMap;
use std::path::Path;

use meter::receipt::{Billing, Capability, CostState, Receipt, Status, Technology, UsageState};
use meter::usage::{Basis, Count, Factor};
use meter::{Money, Timestamp};
use proptest::prelude::*;
use store::{Busiest, Demo, Dimension, Figures, Filter, Ledger, Peaks, Questions, Usage};

use crate::made::{START, chat, id, money};
use crate::recording::record;

fn priced(ms: i64, n: u16, model: &str, cost: &str) -> Receipt {
    let mut r = chat(id(ms, n), 1);
    r.model = Some(model.into());
    r.lines.truncate(1);
    (r.lines[0].count, r.lines[0].factor) = (Count::whole(10), Factor::InputText);
    (r.cost, r.latency_ms, r.ttft_ms) = (Some(money(cost)), 40, Some(10));
    r
}

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(START + ms)
}

fn row<'a>(usage: &'a Usage, name: Option<&str>) -> &'a Figures {
    &usage.rows.iter().find(|(row, _)| row.as_deref() == name).unwrap().1
}

#[test]
fn totals_rows_and_series_are_what_the_receipts_say() {
    const HOUR: i64 = 3_600_000;
    let home = tempfile::tempdir().unwrap();
    let mut unpriced = priced(HOUR, 1, "b", "0");
    (unpriced.cost, unpriced.cost_state) = (None, CostState::Partial);
    (unpriced.subtotal, unpriced.status) = (Some(money("7")), Status::Error);
    unpriced.lines[0].basis = Basis::Estimated;
    let mut euros = priced(2 * HOUR, 2, "b", "5");
    euros.currency = "EUR".parse().unwrap();
    let mut denied = priced(2 * HOUR + 1, 3, "b", "0");
    (denied.cost, denied.status, denied.usage_state) = (None, Status::Denied, UsageState::None);
    (denied.lines, denied.latency_ms, denied.ttft_ms) = (vec![], 9999, None);
    denied.tags = [("team".into(), "red".into())].into();
    let mut demo = priced(0, 9, "a", "100");
    demo.billing = Billing::Demo;
    let first = priced(0, 0, "a", "0.1");
    record(home.path(), [first, priced(HOUR - 1, 0, "a", "0.2"), unpriced, euros, denied, demo]);

    let questions = Questions::open(home.path()).unwrap();
    let edges = [at(0), at(HOUR), at(2 * HOUR), at(3 * HOUR)];
    let by =
        |dimension| questions.usage(&Filter::default(), Some(&dimension), Some(&edges)).unwrap();
    let usage = by(Dimension::Model);
    let t = &usage.totals;
    assert_eq!((t.requests, t.priced, t.unpriced, t.estimated), (5, 3, 1, 1));
    assert_eq!((t.cost, t.subtotal), (money("0.3"), money("7")));
    assert_eq!(t.other_costs, [("EUR".parse().unwrap(), money("5"))].into());
    assert_eq!((t.input_tokens, t.output_tokens), (40, 0));
    assert_eq!(t.factors, [(Factor::InputText, Count::whole(40))].into());
    let statuses = [(Status::Succeeded, 3), (Status::Error, 1), (Status::Denied, 1)];
    assert_eq!(t.statuses, BTreeMap::from(statuses));
    // The denial's 9999 ms say nothing about a provider.
    let spread = t.latency.unwrap();
    assert_eq!((spread.mean, spread.p50, spread.p95), (40, 40, 40));
    assert_eq!(t.ttft.unwrap().p95, 10);
    assert_eq!((row(&usage, Some("a")).requests, row(&usage, Some("b")).requests), (2, 3));
    assert_eq!(usage.series.iter().map(|f| f.requests).collect::<Vec<_>>(), [2, 1, 2]);
    assert_eq!(usage.series[0].cost, money("0.3"));

    let usage = by(Dimension::Tag("team".into()));
    assert_eq!((row(&usage, Some("red")).requests, row(&usage, None).requests), (1, 4));
    assert_eq!(row(&by(Dimension::Status), Some("denied")).requests, 1);
    let demo = Filter { demo: Demo::Only, ..Filter::default() };
    assert_eq!(questions.usage(&demo, None, None).unwrap().totals.cost, money("100"));
}

#[test]
fn costs_of_each_utc_day_are_kept_apart_where_that_is_asked_for() {
    // START is 2:40 in the morning of this UTC day.
    const DAY: i64 = START / 86_400_000;
    const LATER: i64 = 86_400_000;
    let home = tempfile::tempdir().unwrap();
    let mut euros = priced(LATER, 0, "b", "5");
    euros.currency = "EUR".parse().unwrap();
    euros.tags = [("team".into(), "red".into())].into();
    // Twenty minutes before midnight, and at midnight.
    let late = priced(21 * 3_600_000, 0, "a", "0.2");
    let next = priced(21 * 3_600_000 + 1_200_000, 0, "a", "0.4");
    record(home.path(), [priced(0, 0, "a", "0.1"), late, next, euros]);
    let questions = Questions::open(home.path()).unwrap();
    let by =
        |dimension| questions.usage_by_day(&Filter::default(), Some(&dimension), None).unwrap();
    let (usd, eur) = ("USD".parse().unwrap(), "EUR".parse().unwrap());
    let dollars = [((usd, DAY), money("0.3")), ((usd, DAY + 1), money("0.4"))];
    let all = [dollars[0], dollars[1], ((eur, DAY + 1), money("5"))];
    let usage = by(Dimension::Model);
    assert_eq!(usage.totals.costs_by_day, all.into());
    assert_eq!(row(&usage, Some("a")).costs_by_day, dollars.into());
    let usage = by(Dimension::Tag("team".into()));
    assert_eq!(row(&usage, Some("red")).costs_by_day, [all[2]].into());
    assert_eq!(row(&usage, None).costs_by_day, dollars.into());
    let usage = questions.usage(&Filter::default(), None, None).unwrap();
    assert!(usage.totals.costs_by_day.is_empty());
}

/// A receipt somewhere within six weeks, of one of a few kinds.
fn any_receipt() -> impl Strategy<Value = Receipt> {
    let day = 86_400_000_i64;
    (-20 * day..22 * day, any::<u16>(), 0..5_u64, any::<u64>(), any::<Option<i64>>()).prop_map(
        |(ms, counter, kind, n, cost)| {
            let mut r = chat(id(ms, counter), n % 1000);
            r.model = Some(["a", "b", "c", "d", "e"][kind as usize].into());
            r.status = [Status::Succeeded, Status::Error][(kind % 2) as usize];
            r.cost = cost.map(|c| Money::from_attos(i128::from(c) * 1_000_000_007));
            r.tags = [("kind".into(), kind.to_string().into())].into();
            r.client = Some(format!("client-{}", n % 3).into());
            r
        },
    )
}

fn plain_sum(receipts: &[Receipt], from: Option<i64>, to: Option<i64>) -> (u64, i128, u64) {
    let within = |r: &&Receipt| {
        let ms = r.id.minted_at().millis();
        from.is_none_or(|from| ms >= START + from) && to.is_none_or(|to| ms < START + to)
    };
    receipts.iter().filter(within).fold((0, 0, 0), |(n, cost, out), r| {
        (n + 1, cost + r.cost.map_or(0, Money::attos), out + r.output_tokens())
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn any_window_is_the_exact_sum_of_its_receipts_and_rollups_equal_a_rebuild(
        receipts in proptest::collection::vec(any_receipt(), 1..120),
        late in 0..120_usize,
        windows in proptest::collection::vec((any::<Option<i32>>(), any::<Option<i32>>()), 4),
        midnight in 0..86_400_000_i64,
    ) {
        let receipts: BTreeMap<i64, Receipt> =
            receipts.into_iter().map(|r| (r.id.ordinal(), r)).collect();
        let receipts: Vec<Receipt> = receipts.into_values().collect();
        let home = tempfile::tempdir().unwrap();
        // Half of them come when most of their time is sealed.
        let late = |at: &usize| at.is_multiple_of(2) && *at < late;
        for come in [false, true] {
            let some = receipts.iter().enumerate().filter(|(at, _)| late(at) == come);
            record(home.path(), some.map(|(_, receipt)| receipt.clone()));
        }
        let questions = Questions::open(home.path()).unwrap();
        for (from, to) in windows {
            let (from, to) = (from.map(i64::from), to.map(i64::from));
            let filter = Filter { from: from.map(at), to: to.map(at), ..Filter::default() };
            let usage = questions.usage(&filter, Some(&Dimension::Model), None).unwrap();
            let sum = |f: &Figures| (f.requests, f.cost.attos(), f.output_tokens);
            prop_assert_eq!(sum(&usage.totals), plain_sum(&receipts, from, to));
            let apart = questions.usage_by_day(&filter, None, None).unwrap().totals;
            let days: i128 = apart.costs_by_day.values().map(|cost| cost.attos()).sum();
            prop_assert_eq!(days, usage.totals.cost.attos());
            let rows = usage.rows.iter().map(|(_, f)| sum(f));
            let rows = rows.fold((0, 0, 0), |a, b| (a.0 + b.0, a.1 + b.1, a.2 + b.2));
            prop_assert_eq!(rows, sum(&usage.totals));
            let tagged = questions.usage(&filter, Some(&Dimension::Tag("kind".into())), None).unwrap();
            // The tag says which model it was, so that both tables are the same.
            for (model, figures) in &usage.rows {
                let kind = ["a", "b", "c", "d", "e"].iter().position(|name| model.as_deref() == Some(name));
                let kind = kind.map(|kind| kind.to_string());
                prop_assert_eq!(row(&tagged, kind.as_deref()), figures);
            }
            prop_assert_eq!(tagged.rows.len(), usage.rows.len());
            // Through sums that tell lanes apart, and through receipts alone.
            let by_client = questions.usage(&filter, Some(&Dimension::Client), None).unwrap();
            prop_assert_eq!(&by_client.totals, &usage.totals);
            let ids = receipts.iter().map(|r| r.id).collect();
            let slow = questions.usage(&Filter { ids, ..filter }, Some(&Dimension::Model), None).unwrap();
            prop_assert_eq!(&slow.totals, &usage.totals);
        }
        // Days that begin at any time of the UTC day, of one key and of all.
        let edges: Vec<i64> = (-21..23).map(|day| day * 86_400_000 + midnight).collect();
        let buckets: Vec<Timestamp> = edges.iter().map(|ms| at(*ms)).collect();
        let key = |receipt: &&Receipt| receipt.key.as_deref() == Some("work");
        let of_key: Vec<Receipt> = receipts.iter().filter(key).cloned().collect();
        let of_work = Filter { keys: vec!["work".into()], ..Filter::default() };
        let tagged = |receipt: &&Receipt| receipt.tags.values().any(|kind| &**kind == "0");
        let of_tag: Vec<Receipt> = receipts.iter().filter(tagged).cloned().collect();
        let of_kind = Filter { tags: vec![("kind".into(), "0".into())], ..Filter::default() };
        let asked = [(Filter::default(), &receipts), (of_work, &of_key), (of_kind, &of_tag)];
        for (filter, receipts) in asked {
            let days = questions.usage_by_day(&filter, Some(&Dimension::Client), Some(&buckets)).unwrap();
            for (edge, figures) in edges.windows(2).zip(&days.series) {
                let sum = (figures.requests, figures.cost.attos(), figures.output_tokens);
                prop_assert_eq!(sum, plain_sum(receipts, Some(edge[0]), Some(edge[1])));
                let apart: i128 = figures.costs_by_day.values().map(|cost| cost.attos()).sum();
                prop_assert_eq!(apart, figures.cost.attos());
            }
        }
        let verified = questions.verify().unwrap();
        prop_assert!(verified.is_sound(), "{verified:?}");
        prop_assert_eq!(verified.receipts, receipts.len() as u64);
        let before = questions.usage(&Filter::default(), Some(&Dimension::Model), None).unwrap();
        let ledger = Ledger::open(home.path()).unwrap();
        ledger.rebuild().unwrap();
        prop_assert!(questions.verify().unwrap().is_sound());
        prop_assert_eq!(questions.usage(&Filter::default(), Some(&Dimension::Model), None).unwrap(), before);
    }
}

#[test]
fn a_rollup_that_was_tampered_with_is_found_and_made_anew() {
    let home = tempfile::tempdir().unwrap();
    record(home.path(), (0..20).map(|n| chat(id(n, 0), n as u64)));
    let db = rusqlite::Connection::open(home.path().join("ledger.db")).unwrap();
    db.execute("UPDATE rollup SET requests = requests + 1 WHERE span = 0", []).unwrap();
    drop(db);
    let questions = Questions::open(home.path()).unwrap();
    assert!(questions.verify().unwrap().wrong_cells > 0);
    Ledger::open(home.path()).unwrap().rebuild().unwrap();
    assert!(questions.verify().unwrap().is_sound());
}

/// Forgets what is sealed by road.
const FORMER_SEALS: &str = "DELETE FROM sealed_rollup WHERE place >= 5 * (1 << 40);
    DELETE FROM sealed WHERE span >= 5; DROP TABLE tag_sum;";

/// Winds the lanes back to those that told nothing of what calls exercised.
const FORMER_LANES: &str = "CREATE TABLE former (
        id INTEGER PRIMARY KEY, model INTEGER NOT NULL, provider INTEGER NOT NULL,
        key INTEGER NOT NULL, pass INTEGER NOT NULL, workspace INTEGER NOT NULL,
        client INTEGER NOT NULL, currency INTEGER NOT NULL, kind INTEGER NOT NULL,
        status INTEGER NOT NULL, http_status INTEGER NOT NULL, stream INTEGER NOT NULL,
        demo INTEGER NOT NULL, settled INTEGER NOT NULL) STRICT;
    INSERT INTO former SELECT id, model, provider, key, pass, workspace, client, currency, kind,
        status, http_status, stream, demo, settled FROM lane;
    DROP TABLE lane; ALTER TABLE former RENAME TO lane;";

#[test]
fn a_ledger_of_the_first_layout_is_backed_up_and_answers_the_same() {
    let home = tempfile::tempdir().unwrap();
    record(home.path(), (0..20).map(|n| chat(id(n, 0), n as u64)));
    let usage = || {
        let questions = Questions::open(home.path()).unwrap();
        questions.usage(&Filter::default(), Some(&Dimension::Model), None).unwrap()
    };
    let before = usage();
    // That layout had a day's cell beside each quarter's, nothing sealed, and sums of its own.
    let db = rusqlite::Connection::open(home.path().join("ledger.db")).unwrap();
    db.execute_batch(FORMER_LANES).unwrap();
    db.execute_batch(
        "UPDATE rollup SET requests = requests + 1;
         INSERT INTO rollup SELECT 1, start / 96, lane, requests, cost, sums FROM rollup;
         DROP TABLE sealed_rollup; DROP TABLE sealed; DROP TABLE rebuild;
         DROP TABLE pass_limit; DROP TABLE alias; DROP TABLE archived; DROP TABLE reservation;
         DROP TABLE running; DROP TABLE running_until;
         DROP TABLE pruned; DROP TABLE tag_sum;
         PRAGMA user_version = 1",
    )
    .unwrap();
    drop(db);
    migrate(home.path());
    assert_eq!(usage(), before);
    assert!(home.path().join("ledger.db.layout-1").exists());
    // What comes much later seals what was there, and nothing is lost by that.
    let month = 31 * 24 * 3_600_000;
    record(home.path(), [chat(id(month, 0), 1)]);
    assert_eq!(usage().totals.requests, before.totals.requests + 1);
    assert!(Questions::open(home.path()).unwrap().verify().unwrap().is_sound());
}

#[test]
fn a_ledger_of_the_third_layout_gets_its_months_and_answers_the_same() {
    let home = tempfile::tempdir().unwrap();
    let day = 24 * 3_600_000;
    record(home.path(), (0..100).map(|n| chat(id(n * day, 0), n as u64)));
    let usage = || {
        let questions = Questions::open(home.path()).unwrap();
        questions.usage(&Filter::default(), Some(&Dimension::Model), None).unwrap()
    };
    let before = usage();
    let months = "FROM sealed_rollup WHERE place >= 4 * (1 << 40) AND place < 5 * (1 << 40)";
    let db = rusqlite::Connection::open(home.path().join("ledger.db")).unwrap();
    db.execute_batch(FORMER_LANES).unwrap();
    db.execute_batch(&format!(
        "{FORMER_SEALS} DELETE {months}; DELETE FROM sealed WHERE span = 4; DROP TABLE rebuild;
         DROP TABLE reservation; DROP TABLE running; DROP TABLE running_until;
         DROP TABLE pruned;
         PRAGMA user_version = 3"
    ))
    .unwrap();
    migrate(home.path());
    assert_eq!(usage(), before);
    let sealed: i64 =
        db.query_row(&format!("SELECT count(*) {months}"), [], |row| row.get(0)).unwrap();
    assert_eq!(sealed, 3);
}

#[test]
fn a_ledger_of_the_eighth_layout_gets_its_roads_and_answers_the_same() {
    let home = tempfile::tempdir().unwrap();
    let day = 24 * 3_600_000;
    record(home.path(), (0..100).map(|n| chat(id(n * day, 0), n as u64)));
    migrate(home.path());
    let usage = || {
        let questions = Questions::open(home.path()).unwrap();
        questions.usage(&Filter::default(), Some(&Dimension::Key), None).unwrap()
    };
    let before = usage();
    let db = rusqlite::Connection::open(home.path().join("ledger.db")).unwrap();
    let roads = || -> i64 {
        let count = "SELECT count(*) FROM sealed_rollup WHERE place >= 5 * (1 << 40)";
        db.query_row(count, [], |row| row.get(0)).unwrap()
    };
    let there_were = roads();
    assert!(there_were > 99 + 13 + 2, "days, weeks and months: {there_were}");
    db.execute_batch(FORMER_SEALS).unwrap();
    db.execute_batch("PRAGMA user_version = 8").unwrap();
    migrate(home.path());
    assert_eq!(usage(), before);
    assert_eq!(roads(), there_were);
}

#[test]
fn what_tells_no_lanes_of_a_road_apart_is_answered_without_reading_them() {
    let home = tempfile::tempdir().unwrap();
    let day = 24 * 3_600_000;
    // Six weeks; calls of each day differ in their client, and half in how they came.
    let calls = (0..168_i64).map(|n| {
        let mut r = priced(n / 4 * day + n % 4, 0, "m", "0.5");
        r.client = Some(format!("client-{}", n % 4).into());
        (r.stream, r.http_status) = (n % 2 == 0, Some(if n % 2 == 0 { 200 } else { 201 }));
        if n % 4 == 3 {
            r.capabilities = vec![Capability::Vision];
        }
        r
    });
    record(home.path(), calls);
    migrate(home.path());
    let start = START - START.rem_euclid(day);
    let whole_days = Filter {
        from: Some(Timestamp::from_millis(start + day)),
        to: Some(Timestamp::from_millis(start + 40 * day)),
        ..Filter::default()
    };
    let ask = |filter: &Filter, dimension: &Dimension| {
        let questions = Questions::open(home.path()).unwrap();
        questions.usage_by_day(filter, Some(dimension), None).unwrap()
    };
    let of_roads = [Dimension::Model, Dimension::Workspace, Dimension::Status, Dimension::Kind];
    let before = of_roads.clone().map(|dimension| ask(&whole_days, &dimension));
    assert_eq!(before[0].totals.requests, 39 * 4);
    // Lanes and roads come to the same.
    for dimension in [Dimension::Client, Dimension::Technology, Dimension::Capability] {
        assert_eq!(ask(&whole_days, &dimension).totals, before[0].totals, "{dimension:?}");
    }
    let streams = Filter { stream: Some(true), ..whole_days.clone() };
    assert_eq!(ask(&streams, &Dimension::Model).totals.requests, 39 * 2);

    // Without days, weeks and months of lanes, roads still answer, and nothing else does.
    let db = rusqlite::Connection::open(home.path().join("ledger.db")).unwrap();
    let lanes = "DELETE FROM sealed_rollup WHERE place >= 1 << 40 AND place < 5 * (1 << 40)";
    db.execute_batch(lanes).unwrap();
    assert!(of_roads.map(|dimension| ask(&whole_days, &dimension)) == before);
    assert_eq!(ask(&whole_days, &Dimension::Client).totals.requests, 0);
    assert_eq!(ask(&streams, &Dimension::Model).totals.requests, 0);
}

#[test]
fn a_tag_of_many_values_has_a_row_for_each() {
    let home = tempfile::tempdir().unwrap();
    // The first thousand values are looked for one by one, the others in one go.
    let tagged = (0..2_400_i64).map(|n| {
        let mut r = priced(n, 0, "m", "0.5");
        if n < 2_300 {
            r.tags = [("session".into(), (n / 2).to_string().into())].into();
        }
        r
    });
    record(home.path(), tagged);
    let filter = Filter { to: Some(at(2_350)), ..Filter::default() };
    let questions = Questions::open(home.path()).unwrap();
    let by = Dimension::Tag("session".into());
    let usage = questions.usage(&filter, Some(&by), None).unwrap();
    assert_eq!(usage.rows.len(), 1_151);
    assert_eq!(row(&usage, None).requests, 50);
    for value in ["0", "999", "1000", "1149"] {
        let figures = row(&usage, Some(value));
        assert_eq!((figures.requests, figures.cost), (2, money("1")), "{value}");
    }
}

/// Opens the ledger and waits until all is sealed and what a migration left to do is done.
fn migrate(home: &Path) {
    let ledger = Ledger::open(home).unwrap();
    while ledger.health().catching_up {
        std::thread::yield_now();
    }
    assert!(Questions::open(home).unwrap().verify().unwrap().is_sound());
}

fn using(n: u16, cost: &str, technology: Technology, capabilities: &[Capability]) -> Receipt {
    let mut r = priced(i64::from(n) * 3_600_000, n, "m", cost);
    (r.technology, r.capabilities) = (Some(technology), capabilities.to_vec());
    r
}

/// Requests and cost of each row.
fn rows_of(home: &Path, filter: &Filter, by: &Dimension) -> BTreeMap<Option<String>, (u64, Money)> {
    let usage = Questions::open(home).unwrap().usage(filter, Some(by), None).unwrap();
    let rows = usage.rows.into_iter().map(|(name, f)| (name, (f.requests, f.cost)));
    rows.collect()
}

fn expected_rows(rows: &[(Option<&str>, u64, &str)]) -> BTreeMap<Option<String>, (u64, Money)> {
    let row = |(name, requests, cost): &(Option<&str>, u64, &str)| {
        (name.map(str::to_owned), (*requests, money(cost)))
    };
    rows.iter().map(row).collect()
}

/// 1, 2, 4 and 8 dollars, so that every sum says what is in it.
fn four_uses() -> [Receipt; 4] {
    use Capability::{Tools, Vision};
    let mut bare = using(3, "8", Technology::Image, &[]);
    bare.technology = None;
    [
        using(0, "1", Technology::Llm, &[Tools]),
        using(1, "2", Technology::Vlm, &[Tools, Vision]),
        using(2, "4", Technology::Vlm, &[Vision]),
        bare,
    ]
}

#[test]
fn a_call_that_exercised_two_capabilities_counts_in_both_rows_and_once_in_the_total() {
    let home = tempfile::tempdir().unwrap();
    record(home.path(), four_uses());
    let all = Filter::default();
    let capabilities = rows_of(home.path(), &all, &Dimension::Capability);
    let want = [(Some("tools"), 2, "3"), (Some("vision"), 2, "6"), (None, 1, "8")];
    assert_eq!(capabilities, expected_rows(&want));
    let technologies = rows_of(home.path(), &all, &Dimension::Technology);
    assert_eq!(
        technologies,
        expected_rows(&[(Some("llm"), 1, "1"), (Some("vlm"), 2, "6"), (None, 1, "8")])
    );
    let questions = Questions::open(home.path()).unwrap();
    let usage = questions.usage(&all, Some(&Dimension::Capability), None).unwrap();
    assert_eq!((usage.totals.requests, usage.totals.cost), (4, money("15")));

    let by = [&Dimension::Model, &Dimension::Capability];
    let table = questions.table(&all, &by, None).unwrap();
    let found =
        table.iter().map(|row| (row.names[1].clone(), (row.figures.requests, row.figures.cost)));
    assert_eq!(found.collect::<BTreeMap<_, _>>(), expected_rows(&want));

    let seeing = Filter { capabilities: vec![Capability::Vision], ..all.clone() };
    assert_eq!(questions.count(&seeing).unwrap(), 2);
    assert_eq!(questions.requests(&seeing, None, 10).unwrap().len(), 2);
    let images = Filter { technologies: vec![Technology::Llm], ..all };
    assert_eq!(questions.requests(&images, None, 10).unwrap()[0].cost, Some(money("1")));
}

#[test]
fn receipts_of_an_earlier_ledger_are_told_apart_by_what_they_exercised() {
    const DAY: i64 = 24 * 3_600_000;
    let home = tempfile::tempdir().unwrap();
    // Over two months, so that days, weeks and months are sealed.
    let mut receipts = Vec::new();
    for day in 0..60_i64 {
        for (n, mut receipt) in (0..).zip(four_uses()) {
            receipt.id = id(day * DAY + n * 60_000, 0);
            receipts.push(receipt);
        }
    }
    record(home.path(), receipts);
    let all = Filter::default();
    let want = [(Some("tools"), 120, "180"), (Some("vision"), 120, "360"), (None, 60, "480")];
    assert_eq!(rows_of(home.path(), &all, &Dimension::Capability), expected_rows(&want));

    // As that ledger had it: one lane for all of them.
    let db = rusqlite::Connection::open(home.path().join("ledger.db")).unwrap();
    db.execute_batch("UPDATE receipt SET lane = (SELECT min(id) FROM lane)").unwrap();
    db.execute_batch(FORMER_LANES).unwrap();
    db.execute_batch(FORMER_SEALS).unwrap();
    db.execute_batch("DELETE FROM lane WHERE id > 1; DROP TABLE pruned; PRAGMA user_version = 6")
        .unwrap();
    drop(db);
    migrate(home.path());
    assert_eq!(rows_of(home.path(), &all, &Dimension::Capability), expected_rows(&want));
    let questions = Questions::open(home.path()).unwrap();
    assert_eq!(questions.sorting_from().unwrap(), None);
    assert_eq!(questions.usage(&all, None, None).unwrap().totals.cost, money("900"));
}

#[test]
fn what_tollgate_itself_took_is_spread_like_other_durations() {
    let home = tempfile::tempdir().unwrap();
    let calls = (1..=100_u16).map(|n| {
        let mut r = priced(i64::from(n), n, "m", "1");
        r.overhead_us = Some(if n == 100 { 5000 } else { 100 });
        r
    });
    record(home.path(), calls);
    let totals = Questions::open(home.path()).unwrap().performance(&Filter::default(), None);
    let overhead = totals.unwrap().totals.overhead.unwrap();
    // 99 times 100 and once 5000 microseconds are 149 on average.
    assert_eq!(overhead.mean, 149);
    assert!(overhead.p50.abs_diff(100) <= 4 && overhead.p99.abs_diff(100) <= 4, "{overhead:?}");
}

/// A call at a second of the day, of so many tokens.
fn at_second(second: i64, n: u16, model: &str, tokens: u64) -> Receipt {
    let mut r = priced(second * 1000 + i64::from(n), n, model, "1");
    r.lines.truncate(1);
    r.lines[0].count = Count::whole(tokens);
    r
}

#[test]
fn the_busiest_minute_and_second_are_found_in_long_and_short_periods() {
    const DAY: i64 = 24 * 3_600;
    let home = tempfile::tempdir().unwrap();
    // Each of 70 days one call at noon; on the 41st day three within a second, a fourth in the
    // same minute; on the 60th two calls of many tokens.
    let mut calls: Vec<Receipt> =
        (0..70).map(|day| at_second(day * DAY + 43_200, 0, "often", 10)).collect();
    let busy = 40 * DAY + 50_040;
    calls.extend((1..4).map(|n| at_second(busy, n, "often", 10)));
    calls.push(at_second(busy + 59, 4, "often", 10));
    calls.push(at_second(busy + 60, 5, "often", 10));
    let long = 59 * DAY + 60_000;
    calls.extend((6..8).map(|n| at_second(long, n, "wordy", 500)));
    record(home.path(), calls);
    // Seals all that is over, so that a long period is one of days.
    Ledger::open(home.path()).unwrap().rebuild().unwrap();
    let questions = Questions::open(home.path()).unwrap();
    let busiest =
        |count, second: i64| Some(Busiest { count, from: at(second * 1000), is_exact: true });
    let all = questions.peaks(&Filter::default()).unwrap();
    assert_eq!(all.requests_a_minute, busiest(4, busy));
    assert_eq!(all.requests_a_second, busiest(3, busy));
    assert_eq!(
        all.tokens_a_minute,
        Some(Busiest { is_exact: false, ..busiest(1000, long).unwrap() })
    );
    // A week is looked into as a whole.
    let from = Some(at(long * 1000 - 3 * DAY * 1000));
    let week = Filter { from, to: Some(at((long + 3 * DAY) * 1000)), ..Filter::default() };
    let peaks = questions.peaks(&week).unwrap();
    assert_eq!(peaks.requests_a_minute, busiest(2, long));
    assert_eq!(peaks.tokens_a_minute, busiest(1000, long));
    let wordy = Filter { models: vec!["wordy".into()], ..Filter::default() };
    assert_eq!(questions.peaks(&wordy).unwrap().tokens_a_minute, busiest(1000, long));
    let none = Filter { models: vec!["nobody".into()], ..Filter::default() };
    assert_eq!(questions.peaks(&none).unwrap(), Peaks::default());
}

#[test]
fn a_peak_of_few_calls_in_a_busy_time_is_only_exact_when_all_their_quarters_were_looked_into() {
    let home = tempfile::tempdir().unwrap();
    let rare = [(0, 1), (60, 2), (120, 3), (86_400, 4), (86_400, 5)];
    let rare = rare.map(|(second, n)| at_second(second, n, "rare", 10));
    record(home.path(), rare.into_iter().chain([at_second(1, 9, "noise", 10)]));
    // Another call of the noise in each of the next 200,000 milliseconds, of one quarter.
    let noise = "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n LIMIT 200000)
        INSERT INTO receipt (ordinal, lane, cost, detail)
        SELECT ordinal + 4096 * n, lane, cost, detail FROM receipt, n WHERE ordinal & 4095 = 9";
    let db = rusqlite::Connection::open(home.path().join("ledger.db")).unwrap();
    assert_eq!(db.execute(noise, []).unwrap(), 200_000);
    let questions = Questions::open(home.path()).unwrap();
    let rare = Filter { models: vec!["rare".into()], ..Filter::default() };
    let peaks = questions.peaks(&rare).unwrap();
    let first = Busiest { count: 1, from: at(0), is_exact: false };
    assert_eq!(peaks.requests_a_minute, Some(first));
    assert_eq!(peaks.tokens_a_minute, Some(Busiest { count: 10, ..first }));
    let quiet = Filter { from: Some(at(DAY_MS - 1)), ..rare };
    let two = Busiest { count: 2, from: at(DAY_MS), is_exact: true };
    assert_eq!(questions.peaks(&quiet).unwrap().requests_a_minute, Some(two));
}

const DAY_MS: i64 = 86_400_000;

#[test]
fn days_of_very_many_values_of_a_tag_are_left_to_their_receipts() {
    const DAY: i64 = 24 * 3_600_000;
    let home = tempfile::tempdir().unwrap();
    // On the first day each of 600 calls has a value of its own, on the next two share one.
    let calls = (0..604_i64).map(|n| {
        let mut r = priced(if n < 600 { n } else { DAY + n }, 0, "m", "0.5");
        let value = if n < 600 { n.to_string() } else { "shared".to_owned() };
        r.tags = [("session".into(), value.into())].into();
        r
    });
    record(home.path(), calls.chain([priced(9 * DAY, 0, "m", "1")]));
    migrate(home.path());
    let db = rusqlite::Connection::open(home.path().join("ledger.db")).unwrap();
    let mut lengths = db.prepare("SELECT length(sums) > 0 FROM tag_sum ORDER BY day").unwrap();
    let lengths = lengths.query_map([], |row| row.get::<_, bool>(0)).unwrap();
    assert_eq!(lengths.map(|one| one.unwrap()).collect::<Vec<_>>(), [false, true]);
    let questions = Questions::open(home.path()).unwrap();
    let by = Dimension::Tag("session".into());
    let usage = questions.usage(&Filter::default(), Some(&by), None).unwrap();
    assert_eq!(usage.rows.len(), 602);
    assert_eq!(row(&usage, Some("599")).cost, money("0.5"));
    assert_eq!((row(&usage, Some("shared")).requests, row(&usage, None).requests), (4, 1));
}
