//! Asks a provider, by a call that costs nothing, whether a key works. The key goes to the origin
//! it is bound to and no further: redirects are not followed, and what the answer says is kept
//! only without secrets.

use std::error::Error as _;
use std::time::Duration;

use api::keys::{KeyCheck, Verdict};
use api::problem::{Code, Problem};
use http::header::{HeaderMap, HeaderName, HeaderValue};
use meter::format::{End, Reader};
use meter::provider::{FreeCheck, Provider};
use meter::request::Asked;
use reqwest::redirect::Policy;
use zeroize::Zeroizing;

/// For name, connection and TLS handshake.
const CONNECT: Duration = Duration::from_secs(10);
/// For all of it.
const PATIENCE: Duration = Duration::from_secs(20);
/// As much of an answer as is looked at for the sentence of an error.
const LOOKED_AT: usize = 64 << 10;

/// A key, and the only place it may be shown to.
pub(crate) struct BoundKey {
    pub(crate) provider: Provider,
    pub(crate) label: String,
    pub(crate) origin: String,
    pub(crate) secret: Zeroizing<String>,
}

/// What an answer came to.
struct Heard {
    status: u16,
    sentence: Option<String>,
}

/// What the provider says of the key.
///
/// # Errors
/// When the question cannot be put at all.
pub(crate) async fn ask(key: &BoundKey) -> Result<KeyCheck, Problem> {
    let said = |verdict, http_status, message| KeyCheck {
        provider: key.provider.id.to_string(),
        label: key.label.clone(),
        origin: key.origin.clone(),
        verdict,
        http_status,
        message,
    };
    let Some(check) = &key.provider.free_check else {
        let none = format!("{} documents no call that tells for free", key.provider.name);
        return Ok(said(Verdict::Untested, None, Some(none)));
    };
    let headers = headers(key, check).ok_or_else(unsendable)?;
    Ok(match answer(key, check, headers).await {
        Ok(Heard { status, sentence }) => said(verdict(status), Some(status), sentence),
        Err(error) => said(Verdict::Unreachable, None, Some(why(&error))),
    })
}

/// What a status says of the key. Some providers call a wrong key a wrong request.
fn verdict(status: u16) -> Verdict {
    match status {
        200..=299 => Verdict::Works,
        400 | 401 | 403 => Verdict::Refused,
        _ => Verdict::Unclear,
    }
}

fn headers(key: &BoundKey, check: &FreeCheck) -> Option<HeaderMap> {
    let mut headers = HeaderMap::new();
    for (name, value) in &check.headers {
        headers.insert(HeaderName::try_from(&**name).ok()?, HeaderValue::try_from(&**value).ok()?);
    }
    gateway::put_key_in(&mut headers, key.provider.auth, &key.secret).then_some(headers)
}

fn unsendable() -> Problem {
    Problem::new(Code::Conflict, "the key cannot stand in a header")
        .hint("Store it again: `tollgate keys add PROVIDER`.")
}

async fn answer(key: &BoundKey, check: &FreeCheck, headers: HeaderMap) -> reqwest::Result<Heard> {
    let client = reqwest::Client::builder()
        .user_agent(concat!("tollgate/", env!("CARGO_PKG_VERSION")))
        .https_only(key.origin.starts_with("https:"))
        .redirect(Policy::none())
        .referer(false)
        .connect_timeout(CONNECT)
        .timeout(PATIENCE)
        .build()?;
    let url = format!("{}{}", key.origin, check.path);
    let mut answer = client.get(url).headers(headers).send().await?;
    let status = answer.status();
    let sentence = if status.is_success() {
        None
    } else if status.is_redirection() {
        Some("it points somewhere else, where no key is shown".to_owned())
    } else {
        sentence(key, &mut answer).await
    };
    Ok(Heard { status: status.as_u16(), sentence })
}

/// The provider's own words, if they can be had: the status says enough without them.
async fn sentence(key: &BoundKey, answer: &mut reqwest::Response) -> Option<String> {
    let mut reader = Reader::new(None, &key.provider);
    let head = answer.headers().clone();
    reader.head(answer.status().as_u16(), &|name| head.get(name)?.to_str().ok());
    let mut seen = 0;
    while seen < LOOKED_AT
        && let Ok(Some(piece)) = answer.chunk().await
    {
        seen += piece.len();
        reader.push(&piece);
    }
    let said = reader.finish(End::Complete, &Asked::default()).error_message?;
    Some(gateway::scrub(&said, &[key.secret.as_str().into()]).into())
}

/// Why there was no answer; the innermost cause tells most, and none of them knows a header.
fn why(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return format!("there was no answer within {} seconds", PATIENCE.as_secs());
    }
    let mut cause = error.source();
    while let Some(deeper) = cause.and_then(std::error::Error::source) {
        cause = Some(deeper);
    }
    cause.map_or_else(|| "the connection broke".to_owned(), ToString::to_string)
}
