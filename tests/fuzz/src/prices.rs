//! Price questions (`tollgate prices rate`) and price files.

use std::sync::LazyLock;

use meter::Timestamp;
use meter::price::{Book, ask};
use meter::provider::Providers;
use serde_json::Value;

/// Some instant for questions that name none.
const NOW: Timestamp = Timestamp::from_millis(1_795_132_800_000);

/// Reads the text as a question and as a price file; neither may do more than refuse it.
pub fn check(input: &[u8]) {
    static BOOK: LazyLock<&'static Book> = LazyLock::new(Book::built_in);
    let text = &*String::from_utf8_lossy(input);
    if let Ok(answer) = ask::answer(&BOOK, Providers::built_in(), NOW, text) {
        let answer: Value = serde_json::from_str(&answer).expect("an answer is JSON");
        assert!(answer["cost_state"].is_string(), "{answer}");
    }
    if let Ok(book) = Book::read("fuzz", [("openai", text)]) {
        let question = r#"{"provider":"openai","model":"m","lines":{"input.text":1000}}"#;
        let asked = ask::answer(&book, Providers::built_in(), NOW, question);
        assert!(asked.is_ok());
    }
}
