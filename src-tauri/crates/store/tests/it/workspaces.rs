//! Workspaces that are renamed, merged and put away: no receipt changes, every figure follows.

use std::collections::BTreeMap;
use std::time::Duration;

use meter::Timestamp;
use meter::receipt::{Billing, Receipt, Status};
use proptest::prelude::*;
use store::{
    Dimension, Figures, Filter, Ledger, NewPass, Questions, Scope, StoreError, Usage, Workspace,
};

use crate::made::{START, chat, id};
use crate::recording::record;

const DAY: i64 = 86_400_000;

fn of(workspace: &str, ms: i64, counter: u16) -> Receipt {
    let mut receipt = chat(id(ms, counter), u64::from(counter) + 1);
    receipt.workspace = workspace.into();
    receipt
}

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(START + ms)
}

fn by_workspace(questions: &Questions, filter: &Filter) -> Usage {
    questions.usage(filter, Some(&Dimension::Workspace), None).unwrap()
}

fn counted(questions: &Questions) -> BTreeMap<String, u64> {
    let usage = by_workspace(questions, &Filter::default());
    usage.rows.into_iter().map(|(name, f)| (name.unwrap(), f.requests)).collect()
}

fn names(all: &[Workspace]) -> Vec<&str> {
    all.iter().map(|workspace| &*workspace.name).collect()
}

#[test]
fn a_renamed_workspace_has_one_name_everywhere_and_its_old_one_leads_to_it() {
    let home = tempfile::tempdir().unwrap();
    let mut demo = of("demo", 3, 0);
    demo.billing = Billing::Demo;
    let mut job = of("work", 4, 1);
    (job.status, job.kind) = (Status::Pending, meter::receipt::Kind::Batch);
    job.response_id = Some("job".into());
    record(home.path(), [of("work", 0, 2), of("acme", 1, 3), demo, job.clone()]);
    let questions = Questions::open(home.path()).unwrap();
    assert_eq!(counted(&questions), [("work".into(), 2), ("acme".into(), 1)].into());
    let ledger = Ledger::open(home.path()).unwrap();
    ledger.rename_workspace("work", "Größe & <b>").unwrap();
    // A client that was not told goes on as before, and so does what was under way.
    let late = of("work", 5, 4);
    ledger.recorder().open(&late).finish(late.clone());
    let settlement = meter::receipt::Settlement {
        at: at(9),
        reason: "job".into(),
        by: None,
        status: Some(Status::Succeeded),
        usage_raw: None,
        usage_state: None,
        lines: vec![],
        cost: None,
        cost_state: meter::receipt::CostState::Free,
        subtotal: None,
        book_hash: None,
        note: None,
    };
    ledger.settle("openai", "job", settlement).unwrap();
    // The same questions, over a connection that had read the old names.
    let now: BTreeMap<String, u64> = [("Größe & <b>".into(), 3), ("acme".into(), 1)].into();
    assert_eq!(counted(&questions), now);
    for name in ["work", "Größe & <b>"] {
        let filter = Filter { workspaces: vec![name.into()], ..Filter::default() };
        assert_eq!(questions.count(&filter).unwrap(), 3, "{name}");
        let shown = questions.requests(&filter, None, 9).unwrap();
        assert!(shown.iter().all(|r| &*r.workspace == "Größe & <b>"));
    }
    assert_eq!(&*questions.receipt(late.id).unwrap().unwrap().workspace, "Größe & <b>");
    let all = questions.workspaces().unwrap();
    assert_eq!(names(&all), ["Größe & <b>", "acme", "personal"]);
    assert_eq!((&*all[0].former_names, all[0].last_used), (&["work".into()][..], Some(at(5))));
    assert_eq!(ledger.workspace_names().unwrap()["work"], "Größe & <b>".into());
    assert!(questions.verify().unwrap().is_sound());

    // It can have its old name back, and the name in between still leads to it.
    ledger.rename_workspace("Größe & <b>", "work").unwrap();
    assert_eq!(counted(&questions)["work"], 3);
    assert_eq!(ledger.workspace_names().unwrap(), [("Größe & <b>".into(), "work".into())].into());
    ledger.rename_workspace("work", "work").unwrap();
    ledger.rebuild().unwrap();
    assert!(questions.verify().unwrap().is_sound());
    assert_eq!(counted(&questions)["work"], 3);
}

#[test]
fn what_cannot_be_renamed_or_merged_says_why_and_changes_nothing() {
    let home = tempfile::tempdir().unwrap();
    record(home.path(), [of("a", 0, 0), of("b", 1, 1), of("c", 2, 2)]);
    let ledger = Ledger::open(home.path()).unwrap();
    ledger.merge_workspace("b", "c").unwrap();
    let before = ledger.workspace_names().unwrap();
    use StoreError::{
        DemoWorkspace, FormerWorkspace, MergedIntoItself, NoSuchWorkspace, WorkspaceExists,
    };
    let rename = |from, to| ledger.rename_workspace(from, to).unwrap_err();
    assert!(matches!(rename("nobody", "x"), NoSuchWorkspace { .. }));
    assert!(matches!(rename("b", "x"), FormerWorkspace { now, .. } if &*now == "c"));
    for taken in ["c", "personal", "b"] {
        assert!(matches!(rename("a", taken), WorkspaceExists { .. }), "{taken}");
    }
    assert!(matches!(rename("demo", "x"), DemoWorkspace));
    assert!(matches!(rename("a", "demo"), DemoWorkspace));
    let merge = |from, into| ledger.merge_workspace(from, into).unwrap_err();
    assert!(matches!(merge("c", "c"), MergedIntoItself { .. }));
    assert!(matches!(merge("c", "b"), MergedIntoItself { .. }), "a circle");
    assert!(matches!(merge("b", "a"), FormerWorkspace { .. }));
    assert!(matches!(merge("a", "nobody"), NoSuchWorkspace { .. }));
    assert!(matches!(merge("a", "demo"), DemoWorkspace));
    assert!(matches!(merge("demo", "a"), DemoWorkspace));
    assert!(matches!(ledger.archive_workspace("nobody", at(9)), Err(NoSuchWorkspace { .. })));
    assert!(matches!(ledger.archive_workspace("demo", at(9)), Err(DemoWorkspace)));
    assert_eq!(ledger.workspace_names().unwrap(), before);
    assert_eq!(
        counted(&Questions::open(home.path()).unwrap()),
        [("a".into(), 1), ("c".into(), 2)].into()
    );
}

#[test]
fn a_merge_takes_passes_and_former_names_along() {
    let home = tempfile::tempdir().unwrap();
    record(home.path(), [of("a", 0, 0), of("b", 1, 1)]);
    let ledger = Ledger::open(home.path()).unwrap();
    let new = |label: &str, workspace: &str| NewPass {
        label: label.into(),
        workspace: workspace.into(),
        scopes: vec![Scope::Call],
        allowance: meter::Allowance::default(),
        expires: None,
    };
    ledger.add_pass(new("ci", "a"), at(0)).unwrap();
    ledger.rename_workspace("a", "a2").unwrap();
    ledger.merge_workspace("a2", "b").unwrap();
    // A pass for a name that leads elsewhere is one for where it leads.
    ledger.add_pass(new("late", "a"), at(0)).unwrap();
    let passes = ledger.passes().unwrap();
    assert!(passes.iter().all(|pass| &*pass.workspace == "b"), "{passes:?}");
    let all = Questions::open(home.path()).unwrap().workspaces().unwrap();
    assert_eq!(names(&all), ["b", "personal"]);
    assert_eq!(&*all[0].former_names, ["a".into(), "a2".into()]);
    // Merged on, everything follows.
    ledger.rename_workspace("b", "z").unwrap();
    let leads = ledger.workspace_names().unwrap();
    assert!(["a", "a2", "b"].iter().all(|name| &*leads[*name] == "z"), "{leads:?}");
}

#[test]
fn an_archived_workspace_counts_and_comes_back_with_its_next_call() {
    let home = tempfile::tempdir().unwrap();
    record(home.path(), [of("old", 0, 0), of("b", 1, 1)]);
    let ledger = Ledger::open(home.path()).unwrap();
    let questions = Questions::open(home.path()).unwrap();
    let archived = || {
        let all = questions.workspaces().unwrap();
        let put_away = all.into_iter().filter(|one| one.archived.is_some());
        put_away.map(|one| (one.name, one.archived.unwrap())).collect::<Vec<_>>()
    };
    ledger.archive_workspace("old", at(10)).unwrap();
    ledger.archive_workspace("old", at(99)).unwrap();
    assert_eq!(archived(), [("old".into(), at(10))]);
    assert_eq!(counted(&questions), [("old".into(), 1), ("b".into(), 1)].into());
    let arrive = |receipt: Receipt| {
        ledger.recorder().open(&receipt).finish(receipt);
        ledger.workspace_names().unwrap();
    };
    // Neither what began before nor what nobody let in brings it back.
    arrive(of("old", 9, 2));
    let mut denied = of("old", 11, 3);
    denied.status = Status::Denied;
    arrive(denied);
    assert_eq!(archived().len(), 1);
    ledger.rename_workspace("old", "older").unwrap();
    assert_eq!(archived(), [("older".into(), at(10))]);
    arrive(of("old", 12, 4));
    assert!(archived().is_empty(), "a call by its former name brings it back");

    ledger.archive_workspace("older", at(20)).unwrap();
    ledger.restore_workspace("older").unwrap();
    ledger.restore_workspace("older").unwrap();
    assert!(archived().is_empty());
    // Of two that are merged the one in use decides.
    ledger.archive_workspace("b", at(30)).unwrap();
    ledger.merge_workspace("older", "b").unwrap();
    assert!(archived().is_empty());
    ledger.close(Duration::from_secs(10));
}

/// What people do to workspaces, and calls that come in between.
#[derive(Clone, Debug)]
enum Deed {
    Record(u8, i64, u16),
    Rename(u8, u8),
    Merge(u8, u8),
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        4 => (0..5_u8, -20 * DAY..22 * DAY, any::<u16>()).prop_map(|(w, ms, n)| Deed::Record(w, ms, n)),
        1 => (0..5_u8, 0..8_u8).prop_map(|(from, to)| Deed::Rename(from, to)),
        1 => (0..5_u8, 0..8_u8).prop_map(|(from, to)| Deed::Merge(from, to)),
    ]
}

fn word(n: u8) -> String {
    format!("w{n}")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// Beside the ledger each receipt is kept with the name it came by, and each change as a
    /// plain walk over a table of names.
    #[test]
    fn figures_follow_every_name_and_rollups_equal_a_rebuild(
        deeds in proptest::collection::vec(deed(), 1..80),
        window in (any::<Option<i32>>(), any::<Option<i32>>()),
    ) {
        let home = tempfile::tempdir().unwrap();
        let mut leads: BTreeMap<String, String> = BTreeMap::new();
        let mut receipts: BTreeMap<i64, Receipt> = BTreeMap::new();
        let ledger = Ledger::open(home.path()).unwrap();
        let questions = Questions::open(home.path()).unwrap();
        let end = |leads: &BTreeMap<String, String>, name: String| leads.get(&name).cloned().unwrap_or(name);
        let lead = |leads: &mut BTreeMap<String, String>, from: String, to: String| {
            leads.values_mut().for_each(|now| if *now == from { now.clone_from(&to) });
            leads.insert(from, to.clone());
            leads.remove(&to);
        };
        for deed in deeds {
            match deed {
                Deed::Record(name, ms, counter) => {
                    let receipt = of(&word(name), ms, counter);
                    let at = receipt.id.ordinal();
                    ledger.recorder().open(&receipt).finish(receipt.clone());
                    receipts.entry(at).or_insert(receipt);
                }
                Deed::Rename(from, to) => {
                    if ledger.rename_workspace(&word(from), &word(to)).is_ok() && from != to {
                        lead(&mut leads, word(from), word(to));
                    }
                }
                Deed::Merge(from, into) => {
                    if ledger.merge_workspace(&word(from), &word(into)).is_ok() {
                        let into = end(&leads, word(into));
                        lead(&mut leads, word(from), into);
                    }
                }
            }
        }
        ledger.workspace_names().unwrap();
        let (from, to) = (window.0.map(i64::from), window.1.map(i64::from));
        let filter = Filter { from: from.map(at), to: to.map(at), ..Filter::default() };
        let within = |r: &&Receipt| {
            let ms = r.id.minted_at().millis() - START;
            from.is_none_or(|from| ms >= from) && to.is_none_or(|to| ms < to)
        };
        let mut expected: BTreeMap<String, (u64, i128)> = BTreeMap::new();
        for receipt in receipts.values().filter(within) {
            let sum = expected.entry(end(&leads, receipt.workspace.to_string())).or_default();
            *sum = (sum.0 + 1, sum.1 + receipt.cost.unwrap().attos());
        }
        let sums = |usage: Usage| -> BTreeMap<String, (u64, i128)> {
            let sum = |f: Figures| (f.requests, f.cost.attos());
            usage.rows.into_iter().map(|(name, f)| (name.unwrap(), sum(f))).collect()
        };
        prop_assert_eq!(&sums(by_workspace(&questions, &filter)), &expected);
        for (name, sum) in &expected {
            let only = Filter { workspaces: vec![name.clone()], ..filter.clone() };
            prop_assert_eq!(questions.count(&only).unwrap(), sum.0);
        }
        let verified = questions.verify().unwrap();
        prop_assert!(verified.is_sound(), "{verified:?}");
        ledger.rebuild().unwrap();
        prop_assert!(questions.verify().unwrap().is_sound());
        prop_assert_eq!(&sums(by_workspace(&questions, &filter)), &expected);
    }
}
