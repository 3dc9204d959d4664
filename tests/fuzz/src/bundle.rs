//! Price bundles: the envelope, and what a publisher may have written into a signed one.

use meter::Timestamp;
use meter::price::{Book, Bundle, PublicKey};

/// After every instant in the seeds.
const NOW: Timestamp = Timestamp::from_millis(1_795_132_800_000);
/// A small book that the seeds' books come after.
const BEFORE: &str = r#"{"provider":"acme","currency":"USD","models":[{"id":"big-4","versions":[
    {"to":"2026-01-01","rates":{"input.text":"5"}},
    {"from":"2026-01-01","rates":{"input.text":"3"},"above":{">200000":{"input.text":"6"}}}]}]}"#;

/// No bytes may do more than be refused; nobody's unsigned bytes are ever a bundle.
pub fn check(input: &[u8]) {
    let key: PublicKey = "11".repeat(32).parse().expect("64 hexadecimal digits");
    assert!(Bundle::open(input, &key).is_err(), "nobody has that key");
    let text = &*String::from_utf8_lossy(input);
    let contents = text.splitn(3, '\n').last().unwrap_or_default();
    let before = Book::read("before", [("acme", BEFORE)]).expect("a book");
    for contents in [text, contents] {
        let Ok(bundle) = Bundle::read(contents) else { continue };
        if let Ok(book) = bundle.succeed(&before, None, NOW) {
            assert_eq!(book.hash(), bundle.book_hash());
        }
        assert_eq!(bundle.book().edition(), bundle.edition());
    }
}
