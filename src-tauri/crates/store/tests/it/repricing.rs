//! Second valuations: appended, counted from then on, and only where money changes.

use std::sync::Arc;

use meter::format::Format;
use meter::price::{Book, PassedOver};
use meter::receipt::{CostState, RawUsage, Receipt, ReportedCost, Settlement};
use meter::usage::Count;
use meter::{Currency, Timestamp};
use store::{Change, Depth, Filter, Ledger, Questions, Reprice, Repricing, Standing, Sum};

use crate::made::{START, chat, id, money};
use crate::recording::record;

/// Two dollars a million tokens of whatever sort.
fn book() -> Arc<Book> {
    let model = |id: &str| {
        format!(
            r#"{{"id":"{id}","versions":[{{"rates":{{"input.text":"2","input.cache_read":"2","output.text":"2"}}}}]}}"#
        )
    };
    let models = [model("gpt-5"), model("known")].join(",");
    let file = format!(r#"{{"provider":"openai","models":[{models}]}}"#);
    Arc::new(Book::read("second", [("openai", &*file)]).unwrap())
}

/// Three tokens of input, one of output: by this book 0.000008.
fn known(n: u64) -> Receipt {
    let mut r = chat(id(n as i64, 1), 1);
    (r.model, r.model_requested) = (Some("known".into()), Some("known".into()));
    let line = r.lines[0].clone();
    r.lines = [("input.text", 3), ("output.text", 1)]
        .map(|(factor, count)| {
            let factor: meter::usage::Factor = factor.parse().unwrap();
            let count = Count::whole(count);
            meter::receipt::Line { factor, count, amount: None, ..line.clone() }
        })
        .to_vec();
    (r.cost, r.cost_state, r.subtotal) = (None, CostState::Unknown, None);
    r
}

fn reprice() -> Reprice {
    let at = Timestamp::from_millis(START + 1_000_000);
    Reprice { book: book(), depth: Depth::Valuation, at, note: "now it is known".into() }
}

#[test]
fn a_second_valuation_counts_from_then_on_and_the_first_stays() {
    let home = tempfile::tempdir().unwrap();
    let first: Vec<Receipt> = (0..600).map(known).collect();
    record(home.path(), first.clone());
    let ledger = Ledger::open(home.path()).unwrap();
    let questions = Questions::open(home.path()).unwrap();
    let preview = questions.repricing(&Filter::default(), &book(), Depth::Valuation).unwrap();
    let want = Change {
        receipts: 600,
        reread: 0,
        before: Sum { cost: money("0"), unpriced: 600, tokens: Count::whole(2400) },
        after: Sum { cost: money("0.0048"), unpriced: 0, tokens: Count::whole(2400) },
    };
    assert_eq!(preview.totals(), [(Currency::USD, want)].into());
    assert_eq!(questions.receipt(first[0].id).unwrap().unwrap(), first[0], "only looked at");

    let done = ledger.reprice(&questions, &Filter::default(), &reprice()).unwrap();
    assert_eq!(done, preview);
    let now = questions.receipt(first[7].id).unwrap().unwrap();
    assert_eq!(Receipt { settlements: Vec::new(), ..now.clone() }, first[7]);
    let standing = Standing::of(&now);
    assert_eq!((standing.cost, standing.valuation()), (Some(money("0.000008")), "reprice"));
    assert_eq!(standing.book_hash, Some("second"));
    let [Settlement { note, .. }] = &*now.settlements else { panic!("one settlement") };
    assert_eq!(note.as_deref(), Some("now it is known"));
    let totals = questions.usage(&Filter::default(), None, None).unwrap().totals;
    assert_eq!((totals.requests, totals.cost, totals.unpriced), (600, money("0.0048"), 0));
    assert!(questions.verify().unwrap().is_sound());

    let again = ledger.reprice(&questions, &Filter::default(), &reprice()).unwrap();
    assert_eq!(again, Repricing { unchanged: 600, ..Repricing::default() });
}

#[test]
fn what_cannot_be_valued_again_is_passed_over_and_counted() {
    let home = tempfile::tempdir().unwrap();
    let mut nameless = known(1);
    (nameless.model, nameless.model_requested) = (None, None);
    let mut stated = known(2);
    let (amount, source) = (money("0.5"), "usage.cost".into());
    stated.reported_cost = Some(ReportedCost { amount, currency: Currency::USD, source });
    let mut silent = known(3);
    silent.lines.clear();
    let mut euros = known(4);
    euros.currency = "EUR".parse().unwrap();
    record(home.path(), [nameless, stated, silent, euros]);
    let questions = Questions::open(home.path()).unwrap();
    let found = questions.repricing(&Filter::default(), &book(), Depth::Valuation).unwrap();
    let why = [
        PassedOver::NoModel,
        PassedOver::ProviderStated,
        PassedOver::NoUsage,
        PassedOver::OtherCurrency,
    ];
    assert_eq!(found.passed_over, why.map(|why| (why, 1)).into());
    assert_eq!((found.changed(), found.unchanged), (0, 0));
}

#[test]
fn usage_is_read_again_only_where_the_providers_words_are_kept() {
    let home = tempfile::tempdir().unwrap();
    let mut misread = known(1);
    misread.format = Some(Format::OpenaiChat);
    misread.usage_raw = RawUsage::new(
        r#"{"prompt_tokens":3,"completion_tokens":1,"prompt_tokens_details":{"cached_tokens":2}}"#,
    );
    let mut wordless = known(2);
    wordless.usage_raw = None;
    record(home.path(), [misread.clone(), wordless]);
    let ledger = Ledger::open(home.path()).unwrap();
    let questions = Questions::open(home.path()).unwrap();
    let order = Reprice { depth: Depth::Reading, ..reprice() };
    let done = ledger.reprice(&questions, &Filter::default(), &order).unwrap();
    assert_eq!(done.passed_over, [(PassedOver::UsageNotKept, 1)].into());
    let totals = done.totals()[&Currency::USD];
    assert_eq!((totals.receipts, totals.reread), (1, 1));
    let now = questions.receipt(misread.id).unwrap().unwrap();
    let standing = Standing::of(&now);
    let counts: Vec<_> =
        standing.lines.iter().map(|line| format!("{} {}", line.factor, line.count)).collect();
    assert_eq!(counts, ["input.text 1", "input.cache_read 2", "output.text 1"]);
    assert_eq!((standing.valuation(), standing.cost), ("reread", Some(money("0.000008"))));
    assert!(questions.verify().unwrap().is_sound());
    let again = ledger.reprice(&questions, &Filter::default(), &order).unwrap();
    assert_eq!((again.changed(), again.unchanged), (0, 1));
}
