//! `money_sum(amount)`: the exact sum of amounts in SQL. Absent amounts do not count; the
//! sum of none is absent.

use rusqlite::functions::{Aggregate, Context, FunctionFlags};
use rusqlite::{Connection, Error};

struct MoneySum;

impl Aggregate<Option<i128>, Option<i128>> for MoneySum {
    fn init(&self, _: &mut Context<'_>) -> rusqlite::Result<Option<i128>> {
        Ok(None)
    }

    fn step(&self, ctx: &mut Context<'_>, sum: &mut Option<i128>) -> rusqlite::Result<()> {
        if let Some(amount) = ctx.get::<Option<i128>>(0)? {
            let wider = sum.unwrap_or(0).checked_add(amount);
            *sum = Some(wider.ok_or_else(|| Error::UserFunctionError("money overflow".into()))?);
        }
        Ok(())
    }

    fn finalize(
        &self,
        _: &mut Context<'_>,
        sum: Option<Option<i128>>,
    ) -> rusqlite::Result<Option<i128>> {
        Ok(sum.flatten())
    }
}

/// Makes the function known to a connection.
pub(crate) fn register(db: &Connection) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    db.create_aggregate_function("money_sum", 1, flags, MoneySum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_sum_is_exact(amounts in proptest::collection::vec(any::<Option<i64>>(), 0..40)) {
            let db = Connection::open_in_memory().unwrap();
            register(&db).unwrap();
            db.execute_batch("CREATE TABLE t (amount BLOB) STRICT").unwrap();
            // Far beyond what fits a double: a digit lost anywhere would show.
            let amounts: Vec<Option<i128>> = amounts
                .into_iter()
                .map(|a| a.map(|a| i128::from(a) * 1_000_000_007_000_003))
                .collect();
            for amount in &amounts {
                db.execute("INSERT INTO t VALUES (?1)", [amount]).unwrap();
            }
            let sum: Option<i128> =
                db.query_row("SELECT money_sum(amount) FROM t", [], |row| row.get(0)).unwrap();
            let known: Vec<i128> = amounts.into_iter().flatten().collect();
            let want = (!known.is_empty()).then(|| known.iter().sum());
            prop_assert_eq!(sum, want);
        }
    }

    #[test]
    fn a_sum_that_does_not_fit_is_an_error_and_not_a_number() {
        let db = Connection::open_in_memory().unwrap();
        register(&db).unwrap();
        let sum = db.query_row(
            "SELECT money_sum(column1) FROM (VALUES (?1), (?1))",
            [i128::MAX],
            |row| row.get::<_, Option<i128>>(0),
        );
        assert!(sum.is_err());
    }
}
