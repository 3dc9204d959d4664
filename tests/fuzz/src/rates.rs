//! Exchange rates: the file in the home and the European Central Bank's table.

use chrono::NaiveDate;
use meter::exchange::{ExchangeRates, read_ecb};

/// What can be read must survive being written, and a refusal names a line that is there.
pub fn check(input: &[u8]) {
    let text = &*String::from_utf8_lossy(input);
    let lines = 1..=text.lines().count().max(1);
    match ExchangeRates::read(text) {
        Ok(rates) => assert_eq!(ExchangeRates::read(&rates.write()), Ok(rates), "rates"),
        Err(wrong) => assert!(lines.contains(&wrong.line), "{wrong}"),
    }
    match read_ecb(text, NaiveDate::MIN) {
        Ok(quotes) => {
            let mut rates = ExchangeRates::default();
            quotes.iter().for_each(|quote| rates.put(quote.clone()));
            assert_eq!(ExchangeRates::read(&rates.write()), Ok(rates), "the bank's");
        }
        Err(wrong) => assert!(lines.contains(&wrong.line), "{wrong}"),
    }
}
