//! How much disk a receipt takes.

use crate::made::{chat, id};
use crate::recording::record;

#[test]
fn a_chat_takes_at_most_four_hundred_bytes_all_told() {
    // Ninety-five calls a quarter of an hour, as in ten million over three years.
    const RECEIPTS: u64 = 20_000;
    let home = tempfile::tempdir().unwrap();
    record(home.path(), (0..RECEIPTS).map(|n| chat(id(n as i64 * 9474, n as u16), n * 7919)));
    let db = rusqlite::Connection::open(home.path().join("ledger.db")).unwrap();
    db.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    let bytes = std::fs::metadata(home.path().join("ledger.db")).unwrap().len();
    let average: f64 =
        db.query_row("SELECT avg(length(detail)) FROM receipt", [], |row| row.get(0)).unwrap();
    println!("{} bytes a receipt, {average:.0} of them detail", bytes / RECEIPTS);
    assert!(bytes / RECEIPTS <= 400, "{} bytes a receipt", bytes / RECEIPTS);
}
