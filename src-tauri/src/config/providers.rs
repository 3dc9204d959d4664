//! What `config.toml` says about providers: changes to those that are known, and the user's own.

use anyhow::bail;
use meter::provider::{Auth, Hosting, Provider, Providers};
use meter::route::Family;
use serde::Deserialize;

use crate::pages;

/// First path segments that can be no provider's id, besides those of the pages.
pub(super) const RESERVED: &[&str] =
    &["api", "w", "v1", "v1beta", "healthz", "metrics", "assets", "open"];

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ProviderEntry {
    base_url: Option<Box<str>>,
    name: Option<Box<str>>,
    auth: Option<Auth>,
    kind: Option<Hosting>,
    bare_prefix: Option<Box<str>>,
    usage_assist: Option<bool>,
    /// The wire formats in which routes may call it.
    speaks: Option<Vec<Family>>,
    /// Graphics processors that all its models share.
    pub(super) gpus: Option<u32>,
}

pub(super) fn provider(
    known: &Providers,
    id: &str,
    entry: &ProviderEntry,
) -> anyhow::Result<Provider> {
    let well_formed = !id.is_empty()
        && id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(&b));
    if !well_formed || RESERVED.contains(&id) || pages::ROUTES.contains(&id) {
        bail!(
            "[providers.{id}]: the id cannot be used\nallowed: lower-case letters, digits, `-`, `_`, `.`, and none of: {}",
            [RESERVED, pages::ROUTES].concat().join(", ")
        );
    }
    if let Some(url) = entry.base_url.as_deref() {
        check_origin(id, url)?;
    }
    let mut provider = match (known.get(id), entry.base_url.as_deref()) {
        (Some(built_in), _) => built_in.clone(),
        (None, Some(url)) => Provider::declared(id, url),
        (None, None) => bail!(
            "[providers.{id}]: a provider Tollgate does not know needs a `base_url` such as `http://10.0.0.7:8000`"
        ),
    };
    if let Some(url) = &entry.base_url {
        provider.base_url = Some(url.trim_end_matches('/').into());
    }
    if let Some(name) = &entry.name {
        provider.name = name.clone();
    }
    if let Some(prefix) = &entry.bare_prefix {
        provider.bare_prefix = prefix.clone();
    }
    provider.auth = entry.auth.unwrap_or(provider.auth);
    provider.hosting = entry.kind.unwrap_or(provider.hosting);
    if let Some(speaks) = &entry.speaks {
        provider.speaks.clone_from(speaks);
    }
    provider.usage_assist = entry.usage_assist.unwrap_or(provider.usage_assist);
    Ok(provider)
}

/// A base URL is an origin: what stands before the path as the client sends it.
pub(super) fn check_origin(id: &str, url: &str) -> anyhow::Result<()> {
    let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
    let is_origin = rest
        .and_then(|rest| rest.trim_end_matches('/').parse::<http::uri::Authority>().ok())
        .is_some_and(|authority| !authority.host().is_empty() && !authority.as_str().contains('@'));
    if !is_origin {
        bail!(
            "[providers.{id}]: base_url = `{url}` is not an origin\nallowed: `http://HOST:PORT` or `https://HOST`, without path, query or credentials; the path comes from each request"
        );
    }
    Ok(())
}
