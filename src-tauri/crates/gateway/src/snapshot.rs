//! What the gateway must know of settings, passes and keys: one immutable snapshot per request,
//! published by `app.rs`. It does not know where any of it is stored.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use meter::price::Book;
use meter::provider::Providers;
use meter::{Allowance, Timestamp};
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use crate::budget::Budgets;
use crate::inspect::Inspector;
use crate::route::Routes;

/// The settings in force while one request runs.
#[derive(Debug)]
pub struct Snapshot {
    /// Who can be called, with the user's own base URLs in place.
    pub providers: Providers,
    /// Where bare `/v1` goes.
    pub default_provider: Box<str>,
    /// The local access secrets that are known.
    pub passes: PassTable,
    /// What workspaces are called now that clients may still name as they were.
    pub workspaces: HashMap<Box<str>, Box<str>>,
    /// The provider secrets that may be put in for a pass.
    pub keys: KeyTable,
    /// Values of `Host` that are ours besides the loopback names, as `host:port`.
    pub allowed_hosts: Vec<Box<str>>,
    /// Refuse every call that shows no pass.
    pub require_pass: bool,
    /// Ask for usage where a stream would not carry it.
    pub usage_assist: bool,
    /// Take labels and user of request bodies for tags.
    pub metadata_tags: bool,
    /// Tell a client that asks what its receipt says, behind the answer.
    pub response_meta: bool,
    /// Tell upstream of the call's trace where the client says nothing of one.
    pub trace_upstream: bool,
    /// How long to wait for what.
    pub timeouts: Timeouts,
    /// The prices in force.
    pub book: Arc<Book>,
    /// What may be spent.
    pub budgets: Arc<Budgets>,
    /// What may be asked for by a name of the user's own.
    pub routes: Routes,
    /// Holds calls of passes that are looked at.
    pub inspector: Inspector,
}

impl Default for Snapshot {
    fn default() -> Self {
        Self {
            providers: Providers::built_in().clone(),
            default_provider: "openai".into(),
            passes: PassTable::default(),
            workspaces: HashMap::new(),
            keys: KeyTable::default(),
            allowed_hosts: Vec::new(),
            require_pass: false,
            usage_assist: true,
            metadata_tags: true,
            response_meta: true,
            trace_upstream: false,
            timeouts: Timeouts::default(),
            book: Arc::new(Book::default()),
            budgets: Arc::default(),
            routes: Routes::default(),
            inspector: Inspector::default(),
        }
    }
}

/// How long to wait for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For name, connection and TLS handshake. Read once, at the start.
    pub connect: Duration,
    /// For the next byte of an answer. Longer than the ten minutes that the providers' SDKs
    /// wait, so that it is the client's patience that decides.
    pub upstream_silence: Duration,
    /// For the next byte of a request's body.
    pub client_silence: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            upstream_silence: Duration::from_secs(20 * 60),
            client_silence: Duration::from_secs(5 * 60),
        }
    }
}

/// A pass as the gateway sees it; the secret itself is known by its hash only.
#[derive(Clone, Debug, Default)]
pub struct PassInfo {
    /// What people call it.
    pub label: Box<str>,
    /// The workspace it belongs to.
    pub workspace: Box<str>,
    /// It may be used for calls (and not only to read usage).
    pub may_call: bool,
    /// From then on it is worthless.
    pub expires_at: Option<Timestamp>,
    /// What it may be used for.
    pub allowance: Allowance,
    /// Cancelled: what runs under it is cut now.
    pub cut: CancellationToken,
}

/// Passes by the SHA-256 of their secret, so that looking one up compares no secret text.
#[derive(Clone, Debug, Default)]
pub struct PassTable {
    by_hash: HashMap<[u8; 32], PassInfo>,
}

impl PassTable {
    /// Adds the pass whose secret has this SHA-256.
    pub fn insert(&mut self, hash: [u8; 32], pass: PassInfo) {
        self.by_hash.insert(hash, pass);
    }

    /// The pass with this secret.
    pub fn find(&self, secret: &str) -> Option<&PassInfo> {
        self.by_hash.get(&<[u8; 32]>::from(Sha256::digest(secret.as_bytes())))
    }
}

/// A provider secret that the user stored.
pub struct StoredKey {
    /// What people call it.
    pub label: Box<str>,
    /// The secret.
    pub secret: Zeroizing<String>,
    /// The only origin it may be shown to, such as `https://api.openai.com`.
    pub origin: Box<str>,
}

impl fmt::Debug for StoredKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoredKey({}, •••)", self.label)
    }
}

/// Stored keys by provider.
#[derive(Debug, Default)]
pub struct KeyTable {
    by_provider: HashMap<Box<str>, Vec<StoredKey>>,
}

impl KeyTable {
    /// Adds a key of this provider; the first one of an origin is used.
    pub fn insert(&mut self, provider: &str, key: StoredKey) {
        self.by_provider.entry(provider.into()).or_default().push(key);
    }

    /// All secrets, and these.
    pub(crate) fn secrets_and(&self, shown: &[Box<str>]) -> Vec<Zeroizing<String>> {
        let kept = self.by_provider.values().flatten().map(|key| key.secret.clone());
        kept.chain(shown.iter().map(|secret| Zeroizing::new(String::from(&**secret)))).collect()
    }

    /// The key of `provider` that may be shown to `origin`.
    pub fn find(&self, provider: &str, origin: &str) -> Option<&StoredKey> {
        let of_origin = |key: &&StoredKey| key.origin.eq_ignore_ascii_case(origin);
        self.by_provider.get(provider)?.iter().find(of_origin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_of_a_snapshot_holds_no_secret() {
        let mut snapshot = Snapshot::default();
        let secret = Zeroizing::new("sk-PLANTED".to_owned());
        let key = StoredKey { label: "work".into(), secret, origin: "https://x.test".into() };
        snapshot.keys.insert("x", key);
        let printed = format!("{snapshot:?} {snapshot:#?}");
        assert!(printed.contains("work") && !printed.contains("PLANTED"), "{printed}");
    }
}
