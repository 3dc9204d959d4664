//! Price questions (`tollgate prices rate`), price files and the user's own prices.

use std::sync::LazyLock;

use meter::Timestamp;
use meter::price::{Book, Overrides, ask};
use meter::provider::Providers;
use serde_json::Value;

/// Some instant for questions that name none.
const NOW: Timestamp = Timestamp::from_millis(1_795_132_800_000);

/// Reads the text as a question, as a price file and as the user's own prices; none may do
/// more than refuse it.
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
    match Overrides::read(text, &BOOK, |_| true) {
        Ok(own) => {
            let book = Book::default().with(own);
            let question = r#"{"provider":"openai","model":"gpt-5","lines":{"input.text":1000}}"#;
            assert!(ask::answer(&book, Providers::built_in(), NOW, question).is_ok());
        }
        Err(wrong) => assert!((1..=text.lines().count() + 1).contains(&wrong.line), "{wrong}"),
    }
}
