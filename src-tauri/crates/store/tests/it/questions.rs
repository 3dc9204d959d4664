//! What the log shows for which filter.

use std::ops::ControlFlow;

use meter::receipt::{Billing, Kind, Receipt, Status};
use store::{Demo, Filter, Ledger, Questions, StatusFilter};

use crate::made::{chat, id};
use crate::recording::record;

/// Two hundred receipts that differ in everything one can filter by.
fn various() -> Vec<Receipt> {
    let one = |n: u64| {
        let mut r = chat(id(n as i64 * 60_000, n as u16), n);
        r.model = (!n.is_multiple_of(3)).then(|| ["gpt-5.1", "o4"][(n % 2) as usize].into());
        r.provider = ["openai", "groq", "azure"][(n % 3) as usize].into();
        r.key = (!n.is_multiple_of(5)).then(|| "work".into());
        r.pass = n.is_multiple_of(7).then(|| "ci".into());
        r.workspace = ["personal", "acme"][(n % 4 / 3) as usize].into();
        r.client = n.is_multiple_of(2).then(|| "curl".into());
        r.kind = if n.is_multiple_of(11) { Kind::Embedding } else { Kind::Chat };
        r.stream = n % 3 == 1;
        (r.status, r.http_status) = match n % 10 {
            0 => (Status::Error, Some(429)),
            1 => (Status::Error, Some(503)),
            2 => (Status::Cancelled, Some(200)),
            _ => (Status::Succeeded, Some(200)),
        };
        if n.is_multiple_of(6) {
            r.tags = [("team".into(), ["red", "blue"][(n / 6 % 2) as usize].into())].into();
        }
        if n % 20 == 19 {
            (r.billing, r.workspace) = (Billing::Demo, "demo".into());
        }
        r
    };
    (0..200).map(one).collect()
}

fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

/// A filter, and which receipts it means in plain Rust.
type Case = (Filter, fn(&Receipt) -> bool);

fn cases() -> Vec<Case> {
    let all = || Filter { demo: Demo::With, ..Filter::default() };
    vec![
        (Filter::default(), |r| !r.is_demo()),
        (all(), |_| true),
        (Filter { demo: Demo::Only, ..all() }, |r| r.is_demo()),
        (Filter { models: strings(&["o4"]), ..all() }, |r| r.model.as_deref() == Some("o4")),
        // Where no model is known to have served, the one requested counts.
        (Filter { models: strings(&["gpt-5.1"]), ..all() }, |r| {
            r.model.as_deref().or(r.model_requested.as_deref()) == Some("gpt-5.1")
        }),
        (Filter { providers: strings(&["groq", "azure"]), ..all() }, |r| *r.provider != *"openai"),
        (Filter { keys: strings(&["work"]), ..all() }, |r| r.key.is_some()),
        (Filter { passes: strings(&["ci", "nobody"]), ..all() }, |r| r.pass.is_some()),
        (Filter { workspaces: strings(&["acme"]), ..all() }, |r| *r.workspace == *"acme"),
        (Filter { clients: strings(&["curl"]), ..all() }, |r| r.client.is_some()),
        (Filter { kinds: vec![Kind::Embedding], ..all() }, |r| r.kind == Kind::Embedding),
        (Filter { stream: Some(true), ..all() }, |r| r.stream),
        (Filter { statuses: vec![StatusFilter::Code(429)], ..all() }, |r| {
            r.http_status == Some(429)
        }),
        (
            Filter {
                statuses: vec![StatusFilter::Class(5), StatusFilter::Word(Status::Cancelled)],
                ..all()
            },
            |r| r.http_status == Some(503) || r.status == Status::Cancelled,
        ),
        (Filter { tags: vec![("team".into(), "red".into())], ..all() }, |r| {
            r.tags.get("team").is_some_and(|team| **team == *"red")
        }),
        (
            Filter {
                tags: vec![("team".into(), "red".into())],
                providers: strings(&["openai"]),
                from: Some(id(30 * 60_000, 0).minted_at()),
                to: Some(id(150 * 60_000, 0).minted_at()),
                ..Filter::default()
            },
            |r| {
                r.tags.get("team").is_some_and(|team| **team == *"red")
                    && *r.provider == *"openai"
                    && !r.is_demo()
                    && r.id >= id(30 * 60_000, 0)
                    && r.id < id(150 * 60_000, 0)
            },
        ),
        (Filter { ids: vec![id(60_000, 1), id(0, 99)], ..all() }, |r| r.id == id(60_000, 1)),
        (Filter { models: strings(&["never seen"]), ..all() }, |_| false),
        (Filter { tags: vec![("no".into(), "such".into())], ..all() }, |_| false),
    ]
}

#[test]
fn every_filter_means_what_it_says_in_every_direction() {
    let home = tempfile::tempdir().unwrap();
    let receipts = various();
    record(home.path(), receipts.clone());
    let questions = Questions::open(home.path()).unwrap();
    for (number, (filter, means)) in cases().into_iter().enumerate() {
        let want: Vec<Receipt> = receipts.iter().filter(|r| means(r)).cloned().collect();
        let backwards: Vec<Receipt> = want.iter().rev().cloned().collect();
        assert_eq!(questions.requests(&filter, None, 1000).unwrap(), backwards, "{number}");
        assert_eq!(questions.requests_after(&filter, None, 1000).unwrap(), want, "{number}");
        assert_eq!(questions.count(&filter).unwrap(), want.len() as u64, "{number}");
        let mut each = Vec::new();
        let visit = |receipt| {
            each.push(receipt);
            ControlFlow::Continue(())
        };
        questions.each(&filter, visit).unwrap();
        assert_eq!(each, want, "{number}");
    }
}

#[test]
fn pages_follow_one_another_without_gap_or_overlap() {
    let home = tempfile::tempdir().unwrap();
    record(home.path(), various());
    let questions = Questions::open(home.path()).unwrap();
    let filter = Filter { providers: strings(&["groq"]), ..Filter::default() };
    let all = questions.requests(&filter, None, 1000).unwrap();
    let (mut paged, mut before) = (Vec::new(), None);
    loop {
        let page = questions.requests(&filter, before, 7).unwrap();
        let Some(last) = page.last() else { break };
        before = Some(last.id);
        paged.extend(page);
    }
    assert_eq!(paged, all);
    let after = all[5].id;
    let newer: Vec<_> = all[..5].iter().rev().cloned().collect();
    assert_eq!(questions.requests_after(&filter, Some(after), 1000).unwrap(), newer);
}

#[test]
fn a_rare_combination_is_found_behind_many_thousand_others() {
    let home = tempfile::tempdir().unwrap();
    let others = (0..9000_u64).map(|n| chat(id(10 + n as i64, 0), n));
    let rare = (0..3_u64).map(|n| {
        let mut r = chat(id(n as i64, 0), n);
        r.key = Some("rare".into());
        r
    });
    record(home.path(), rare.chain(others));
    let questions = Questions::open(home.path()).unwrap();
    let filter = Filter { keys: strings(&["rare"]), ..Filter::default() };
    let found = questions.requests(&filter, None, 2).unwrap();
    assert_eq!(found.iter().map(|r| r.id).collect::<Vec<_>>(), [id(2, 0), id(1, 0)]);
    let next = questions.requests(&filter, Some(found[1].id), 2).unwrap();
    assert_eq!(next.iter().map(|r| r.id).collect::<Vec<_>>(), [id(0, 0)]);
}

#[test]
fn a_follower_hears_of_a_long_call_that_began_before_what_it_has_seen() {
    let home = tempfile::tempdir().unwrap();
    record(home.path(), [chat(id(1000, 0), 1)]);
    let questions = Questions::open(home.path()).unwrap();
    let before = questions.last_arrival().unwrap();
    record(home.path(), [chat(id(500, 0), 2), chat(id(2000, 0), 3)]);
    let (came, last) = questions.arrived(&Filter::default(), before, 100).unwrap();
    assert_eq!(came.iter().map(|r| r.id).collect::<Vec<_>>(), [id(500, 0), id(2000, 0)]);
    assert_eq!(questions.arrived(&Filter::default(), last, 100).unwrap().0, []);
}

#[test]
fn a_home_without_a_ledger_answers_like_an_empty_one() {
    let home = tempfile::tempdir().unwrap();
    let questions = Questions::open(home.path()).unwrap();
    assert_eq!(questions.requests(&Filter::default(), None, 10).unwrap(), []);
    assert_eq!(questions.usage(&Filter::default(), None, None).unwrap(), store::Usage::default());
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0);
}

#[test]
fn questions_are_answered_while_a_process_records() {
    let home = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(home.path()).unwrap();
    let (changed, heard) = std::sync::mpsc::channel();
    ledger.on_changed(move || {
        let _ = changed.send(());
    });
    let questions = Questions::open(home.path()).unwrap();
    let receipt = chat(id(0, 0), 0);
    ledger.recorder().open(&receipt).finish(receipt.clone());
    heard.recv().unwrap();
    assert_eq!(questions.receipt(receipt.id).unwrap(), Some(receipt));
    assert_eq!(ledger.health().recorded, 1);
}
