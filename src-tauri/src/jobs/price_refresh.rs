//! Fetches a bundle of newer prices. Off unless the configuration says where from; what it
//! must look like to come into force is `meter`'s business.

use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use api::problem::{Code, Problem};
use api::router::Refresh;
use meter::Timestamp;
use meter::price::{Book, Bundle, BundleError, LARGEST_BUNDLE};
use reqwest::redirect::Policy;

use crate::config::PriceRefresh;
use crate::home::Home;
use crate::price_list;

/// For name, connection and TLS handshake.
const CONNECT: Duration = Duration::from_secs(10);
/// A release page points somewhere else, and that perhaps once more.
const REDIRECTS: usize = 3;

/// Looks for newer prices now and then.
pub(crate) async fn keep_fresh(every: Duration, refresh: Refresh) {
    loop {
        match refresh().await {
            Ok(done) if done.renewed => {
                let (sequence, book) = (done.sequence, done.book_hash);
                tracing::info!(sequence, %book, "newer prices are in force");
            }
            Ok(_) => {}
            Err(problem) => tracing::warn!("{}", problem.message),
        }
        tokio::time::sleep(every).await;
    }
}

/// A bundle that may come into force.
pub(crate) struct Accepted {
    /// As it was signed.
    pub(crate) bundle: Bundle,
    /// Its prices.
    pub(crate) list: Book,
    /// Whether it came into force before.
    pub(crate) is_known: bool,
}

/// Fetches the bundle.
///
/// # Errors
/// Says why there is none.
pub(crate) async fn fetched(from: &PriceRefresh) -> Result<Vec<u8>, Problem> {
    fetch(from).await.map_err(|error| {
        Problem::new(Code::Unreachable, format!("there are no newer prices: {error:#}"))
            .hint("The prices in force stay so.")
    })
}

/// Opens the bundle and lays it beside the list in force.
///
/// # Errors
/// Says why it may not come into force.
pub(crate) fn accept(
    home: &Home,
    from: &PriceRefresh,
    bytes: &[u8],
    now: Timestamp,
) -> Result<Accepted, Problem> {
    let opened = Bundle::open(bytes, &from.public_key).and_then(|bundle| {
        let in_force = price_list::newest(home, Some(from));
        // One that cannot be opened, perhaps of another publisher, holds nothing back.
        let last = price_list::kept(home, &from.public_key).ok().flatten();
        let last = last.map(|kept| kept.sequence());
        let list = bundle.succeed(&in_force, last, now)?;
        let is_known = last == Some(bundle.sequence());
        Ok(Accepted { bundle, list, is_known })
    });
    opened.map_err(|why: BundleError| refused(from, &why.to_string()))
}

/// Why what was fetched does not come into force.
pub(crate) fn refused(from: &PriceRefresh, why: &str) -> Problem {
    Problem::new(Code::Conflict, format!("the bundle from `{}` is refused: {why}", from.url))
        .hint("The prices in force stay so.")
}

/// No address was configured.
pub(crate) fn nowhere() -> Problem {
    Problem::new(Code::Conflict, "prices come only with the program: no refresh is configured").hint(
        "Whoever publishes prices for you names `url` and `public_key`: write them into config.toml under [price_refresh].",
    )
}

/// The bytes at the configured address: never more than a bundle may have, never later than
/// its patience.
///
/// # Errors
/// Says in a sentence why there are none.
async fn fetch(from: &PriceRefresh) -> anyhow::Result<Vec<u8>> {
    let client = reqwest::Client::builder()
        .user_agent(concat!("tollgate/", env!("CARGO_PKG_VERSION")))
        .https_only(from.url.scheme() == "https")
        .redirect(Policy::limited(REDIRECTS))
        .connect_timeout(CONNECT)
        .timeout(from.patience)
        .build()
        .context("could not set up the connection")?;
    let told = |error: reqwest::Error| said(from, &error);
    let mut answer = client.get(from.url.clone()).send().await.map_err(told)?;
    if answer.status() != reqwest::StatusCode::OK {
        bail!("`{}` answers with {}", from.url, answer.status());
    }
    let mut bytes = Vec::new();
    while let Some(piece) = answer.chunk().await.map_err(told)? {
        if bytes.len() + piece.len() > LARGEST_BUNDLE {
            bail!("`{}` sends more than {} MiB", from.url, LARGEST_BUNDLE >> 20);
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}

fn said(from: &PriceRefresh, error: &reqwest::Error) -> anyhow::Error {
    if error.is_timeout() {
        let seconds = from.patience.as_secs();
        return anyhow!("`{}` took longer than {seconds} seconds", from.url);
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    let what = if error.is_connect() { "could not be reached" } else { "could not be read" };
    anyhow!("`{}` {what}: {cause}", from.url)
}
