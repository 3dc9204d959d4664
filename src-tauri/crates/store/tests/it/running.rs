use meter::Timestamp;
use proptest::prelude::*;
use store::{Arrival, Ledger, Questions, Run};

use crate::made::START;

fn run(model: &str, from: i64, to: i64) -> Run {
    let at = |ms| Timestamp::from_millis(START + ms);
    Run { server: "lab".into(), model: model.into(), from: at(from), to: at(to), gpus: 0 }
}

/// What is known after these were noted one after the other, in milliseconds after the start.
fn known(notes: &[Run], from: Option<i64>, to: Option<i64>) -> Vec<(String, i64, i64)> {
    let home = tempfile::tempdir().unwrap();
    for note in notes {
        // Each by a process of its own.
        let ledger = Ledger::open(home.path()).unwrap();
        ledger.ran(vec![note.clone()], Arrival::default()).unwrap();
        ledger.close(std::time::Duration::from_secs(60));
    }
    let at = |ms: i64| Timestamp::from_millis(START + ms);
    let runs = Questions::open(home.path()).unwrap().runs(from.map(at), to.map(at)).unwrap();
    let ms = |at: Timestamp| at.millis() - START;
    runs.into_iter().map(|run| (run.model.into(), ms(run.from), ms(run.to))).collect()
}

#[test]
fn what_overlaps_or_touches_is_one_run_and_noting_it_twice_changes_nothing() {
    let notes = [
        run("a", 0, 10),
        run("a", 30, 40),
        run("b", 5, 6),
        run("a", 10, 20),
        run("a", 10, 20),
        run("a", 50, 50),
        run("a", 35, 60),
    ];
    let all = [("a", 0, 20), ("a", 30, 60), ("b", 5, 6)].map(|(m, f, t)| (m.to_owned(), f, t));
    assert_eq!(known(&notes, None, None), all);
    // A period cuts them: 15 to 20 and 30 to 31.
    let cut = [("a".to_owned(), 15, 20), ("a".to_owned(), 30, 31)];
    assert_eq!(known(&notes, Some(15), Some(31)), cut);
    assert!(known(&notes, Some(20), Some(30)).is_empty());
}

#[test]
fn how_far_receipts_are_counted_is_kept_with_the_runs() {
    let home = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(home.path()).unwrap();
    let questions = Questions::open(home.path()).unwrap();
    assert_eq!(questions.runs_counted().unwrap(), None);
    ledger.ran(vec![run("a", 0, 1)], Arrival::default()).unwrap();
    ledger.ran(vec![], Arrival::default()).unwrap();
    assert_eq!(questions.runs_counted().unwrap(), Some(Arrival::default()));
    assert_eq!(questions.runs(None, None).unwrap().len(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_time_that_is_kept_is_the_time_that_was_seen(
        notes in proptest::collection::vec((0..60_i64, 0..12_i64), 0..24)
    ) {
        let mut seen = [false; 80];
        for (from, length) in &notes {
            (*from..from + length).for_each(|ms| seen[ms as usize] = true);
        }
        let notes: Vec<Run> = notes.iter().map(|(f, l)| run("a", *f, f + l)).collect();
        let home = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(home.path()).unwrap();
        ledger.ran(notes, Arrival::default()).unwrap();
        let runs = Questions::open(home.path()).unwrap().runs(None, None).unwrap();
        let mut kept = [false; 80];
        for run in &runs {
            let range = run.from.millis() - START..run.to.millis() - START;
            range.for_each(|ms| kept[ms as usize] = true);
        }
        prop_assert_eq!(seen, kept);
        prop_assert!(runs.windows(2).all(|pair| pair[0].to < pair[1].from));
    }
}
