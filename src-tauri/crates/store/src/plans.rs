//! No statement that runs while somebody waits may read a whole table.

use rusqlite::{Connection, params_from_iter};

use crate::{
    books, lane, names, prune, questions, receipt_row, rollup, running, schema, seal, settlement,
    tag_sums, upkeep, usage, walk, workspaces,
};

/// How SQLite goes about a statement, a line a step.
fn plan(db: &Connection, sql: &str) -> String {
    let mut explain = db.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    let nothing = vec![0_i64; explain.parameter_count()];
    let steps = explain.query_map(params_from_iter(nothing), |row| row.get::<_, String>(3));
    steps.unwrap().map(|step| step.unwrap() + "\n").collect()
}

#[test]
fn no_question_and_no_write_scans_a_table_or_sorts() {
    let home = tempfile::tempdir().unwrap();
    let db = schema::open_for_writing(home.path()).unwrap();
    for sql in [
        walk::SCAN_DOWN,
        walk::SCAN_UP,
        walk::LANE_DOWN,
        walk::LANE_UP,
        walk::TAG_DOWN,
        walk::TAG_UP,
        walk::LANE_OF,
        walk::HAS_TAG,
        receipt_row::ONE,
        receipt_row::SETTLEMENTS,
        questions::ARRIVED,
        questions::LAST_ARRIVAL,
        questions::RESERVED,
        usage::ENDS,
        usage::tags::TAGGED,
        usage::tags::TAGGED_AFTER,
        usage::tags::NEXT_VALUE,
        rollup::READ,
        rollup::REMOVE,
        running::BEFORE,
        running::REMOVE,
        running::NEXT,
        running::SPANS,
        seal::UNTIL,
        seal::LIVE,
        seal::NEXT_LIVE,
        seal::FORGET_LIVE,
        seal::ROWS,
        seal::NEXT,
        seal::FORGET,
        lane::FIND,
        lane::AFTER,
        names::FIND,
        names::READ,
        settlement::AWAITED,
        settlement::ARRIVED,
        settlement::MOVE,
        books::TRIM_ARRIVALS,
        books::PASS_USED,
        workspaces::LAST_OF_LANE,
        workspaces::RESTORE,
        prune::PRUNED,
        prune::OLDEST,
        prune::REMOVE[0],
        prune::REMOVE[1],
        prune::RESERVED,
        prune::FORGET_RESERVATION,
        prune::REMOVE_TAG,
        upkeep::DAYS,
        upkeep::ROLLUP_ENDS,
        upkeep::OF_DAY,
        upkeep::STALE,
        upkeep::NEXT_RECEIPT,
        tag_sums::OF_NAME,
        tag_sums::ONE,
        tag_sums::OF_DAY,
        tag_sums::FORGET,
        tag_sums::FORGET_ONE,
    ] {
        let plan = plan(&db, sql);
        assert!(plan.contains("SEARCH"), "{sql}\n{plan}");
        assert!(!plan.contains("TEMP B-TREE"), "{sql}\n{plan}");
        let scans = plan.lines().filter(|step| step.starts_with("SCAN"));
        // A row made of subqueries is scanned; it is one row.
        assert!(scans.clone().all(|step| step == "SCAN CONSTANT ROW"), "{sql}\n{plan}");
    }
    for sql in [walk::LANE_DOWN, walk::LANE_UP] {
        assert!(plan(&db, sql).contains("COVERING INDEX receipt_of_lane"), "{sql}");
    }
}

#[test]
fn the_file_can_give_space_back_and_readers_do_not_wait() {
    let home = tempfile::tempdir().unwrap();
    let db = schema::open_for_writing(home.path()).unwrap();
    let pragma =
        |name| db.pragma_query_value(None, name, |row| row.get::<_, rusqlite::types::Value>(0));
    assert_eq!(pragma("auto_vacuum").unwrap(), 2.into());
    assert_eq!(pragma("journal_mode").unwrap(), "wal".to_owned().into());
}
