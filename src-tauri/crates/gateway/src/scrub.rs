//! Masks whatever looks like a secret in a provider's sentence before it is kept.

use crate::headers::cut;

/// Longest sentence kept, in bytes.
const LIMIT: usize = 300;
const MASK: &str = "•••";
/// How the secrets of known services begin, Tollgate's own included.
const PREFIXES: [&str; 16] = [
    "sk-", "sk_", "tg_", "AIza", "AQ.", "ya29.", "eyJ", "xai-", "gsk_", "hf_", "pplx-", "nvapi-",
    "AKIA", "ASIA", "ABSK", "csk-",
];
/// A run of letters and digits this long that mixes both is taken for a secret.
const LONG: usize = 24;

/// The sentence without secrets, bounded. `sent` are the credentials of this very request.
pub fn scrub(sentence: &str, sent: &[Box<str>]) -> Box<str> {
    // Bounded generously first: a secret cut in half must still be found.
    let mut text = cut(sentence, 8 * LIMIT).to_owned();
    for secret in sent.iter().filter(|secret| secret.len() >= 6) {
        text = text.replace(&**secret, MASK);
    }
    let mut out = String::with_capacity(text.len());
    let mut word = String::new();
    for letter in text.chars() {
        if letter.is_ascii_alphanumeric() || "-_.+/=*~".contains(letter) {
            word.push(letter);
        } else {
            out.push_str(masked(&word));
            word.clear();
            out.push(if letter.is_control() { ' ' } else { letter });
        }
    }
    out.push_str(masked(&word));
    cut(&out, LIMIT).into()
}

fn masked(word: &str) -> &str {
    if looks_secret(word) { MASK } else { word }
}

fn looks_secret(word: &str) -> bool {
    // `token=…` and `key=…` arrive as one word.
    let value = word.trim_end_matches('=').rsplit('=').next().unwrap_or(word);
    let begins = |prefix: &&str| value.len() > prefix.len() + 3 && value.starts_with(*prefix);
    PREFIXES.iter().any(begins) || value.split(['-', '.', '/']).any(is_random)
}

/// A long run of letters and digits, mixed as no word or date is.
fn is_random(run: &str) -> bool {
    let has = |is: fn(&u8) -> bool| run.bytes().any(|b| is(&b));
    run.len() >= LONG && has(u8::is_ascii_digit) && has(u8::is_ascii_alphabetic)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_go_and_words_stay() {
        for (said, kept) in [
            ("Incorrect API key provided: sk-proj-ab**cd.", "Incorrect API key provided: •••"),
            ("bad Bearer abc-def-ghi here", "bad Bearer ••• here"),
            ("key=AIzaSyA1234 is not valid", "••• is not valid"),
            (
                "model claude-3-5-sonnet-20241022 not found",
                "model claude-3-5-sonnet-20241022 not found",
            ),
            ("(0123456789abcdef0123456789abcdef)", "(•••)"),
            ("max_tokens_to_sample_is_too_large", "max_tokens_to_sample_is_too_large"),
            ("tg_1234567890", "•••"),
        ] {
            assert_eq!(&*scrub(said, &["abc-def-ghi".into()]), kept, "{said}");
        }
    }

    #[test]
    fn a_sentence_is_bounded_between_characters() {
        let kept = scrub(&"ä".repeat(5_000), &[]);
        assert!(kept.len() <= LIMIT && kept.chars().all(|c| c == 'ä'));
    }
}
