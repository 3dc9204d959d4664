//! Who may call what: takes a request's head and says where it goes, or why it goes nowhere.
//! Nothing here waits; nothing has left for upstream yet.

use std::time::Duration;

use http::request::Parts;
use http::{Method, StatusCode, header};
use meter::provider::{Auth, Provider, Route};
use meter::receipt::{Billing, DEMO_WORKSPACE, Receipt, TraceParent, workspace_name};
use meter::{ReceiptId, Timestamp};

use crate::clock::Began;
use crate::credential::{self, Shown};
use crate::refusal::{Dialect, Refusal, Retry};
use crate::snapshot::{PassInfo, Snapshot, StoredKey};
use crate::upstream::Target;
use crate::{address, allowance, guard, headers, tally};

/// The built-in provider that answers here.
pub(crate) const DEMO: &str = "demo";
/// On receipts of requests that name no provider.
const NOBODY: &str = "unknown";
/// Hosts whose requests are signed with their own name inside.
const SIGNED_HOSTS: [&str; 3] = [".amazonaws.com", ".amazonaws.com.cn", ".api.aws"];

/// A request that may go on.
pub(crate) struct Admitted<'a> {
    pub(crate) receipt: Receipt,
    pub(crate) dialect: Dialect,
    pub(crate) provider: &'a Provider,
    pub(crate) route: Route,
    pub(crate) target: Target,
    /// The stored key to be put in for the pass that was shown.
    pub(crate) key: Option<&'a StoredKey>,
    /// The pass that was shown.
    pub(crate) pass: Option<&'a PassInfo>,
    /// Credentials that the request itself carries.
    pub(crate) secrets: Vec<Box<str>>,
    /// The span it was made from, if its client says so.
    pub(crate) parent: Option<TraceParent>,
}

/// A request that goes nowhere.
pub(crate) struct Denied {
    pub(crate) receipt: Receipt,
    pub(crate) dialect: Dialect,
    pub(crate) refusal: Refusal,
    pub(crate) parent: Option<TraceParent>,
}

/// A receipt with what the head of any request says.
pub(crate) fn draft(id: ReceiptId, began: &Began, parts: &Parts) -> Receipt {
    let mut receipt = Receipt::begun(id, began.wall(), NOBODY, "");
    receipt.client = headers::client(&parts.headers);
    receipt.trace_id = headers::trace_parent(&parts.headers).map(|of| of.trace_id_text().into());
    receipt.tags = headers::tags(&parts.headers).collect();
    let named = parts.headers.get(headers::WORKSPACE).and_then(|value| value.to_str().ok());
    if let Some(workspace) = named.and_then(workspace_name) {
        receipt.workspace = workspace;
    }
    receipt
}

/// The same of a request that was not meant for us: it names no workspaces and tags of ours.
pub(crate) fn stranger(id: ReceiptId, began: &Began, parts: &Parts) -> Receipt {
    let mut receipt = Receipt::begun(id, began.wall(), NOBODY, "");
    receipt.client = headers::client(&parts.headers);
    receipt
}

/// The "no" to a request that the guard refused.
pub(crate) fn foreign(receipt: Receipt, parts: &Parts, why: &guard::Foreign) -> Denied {
    let dialect = Dialect::of(None, parts.uri.path(), &parts.headers);
    let (status, code) = match why {
        guard::Foreign::Method => (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed"),
        guard::Foreign::Crowded => (StatusCode::SERVICE_UNAVAILABLE, "crowded"),
        guard::Foreign::NoHost
        | guard::Foreign::Host(_)
        | guard::Foreign::TwoHosts
        | guard::Foreign::Origin
        | guard::Foreign::Browser => (StatusCode::FORBIDDEN, "foreign_request"),
    };
    let mut refusal = Refusal::new(status, code, why.to_string());
    if status == StatusCode::SERVICE_UNAVAILABLE {
        refusal.retry = Retry::Soon(Duration::from_secs(1));
    }
    Denied { receipt, dialect, refusal, parent: headers::trace_parent(&parts.headers) }
}

/// Says where a request goes.
pub(crate) fn admit<'a>(
    snapshot: &'a Snapshot,
    parts: &Parts,
    receipt: Receipt,
) -> Result<Admitted<'a>, Box<Denied>> {
    let path = parts.uri.path();
    let target = parts.uri.path_and_query().map_or(path, |target| target.as_str());
    let parent = headers::trace_parent(&parts.headers);
    let mut case = Case { receipt, dialect: Dialect::of(None, path, &parts.headers), parent };
    if parts.headers.contains_key(header::UPGRADE) && is_websocket(parts) {
        return Err(case.denied(426, "websocket", WEBSOCKET));
    }
    let Some(address) = address::read(target, &parts.headers, snapshot) else {
        return Err(case.denied(404, "unknown_address", unknown(snapshot)));
    };
    let Some(provider) = snapshot.providers.get(address.provider) else {
        let sentence = format!(
            "there is no provider `{}`: see `default_provider` in config.toml",
            address.provider
        );
        return Err(case.denied(404, "unknown_address", sentence));
    };
    case.receipt.provider = provider.id.clone();
    case.receipt.billing = tally::billing(provider.hosting);
    if let Some(workspace) = address.workspace {
        case.receipt.workspace = workspace;
    }
    let rest = address.rest;
    let route = provider.route(parts.method.as_str(), rest.split('?').next().unwrap_or_default());
    case.receipt.format = route.format;
    case.receipt.kind = route.kind;
    case.dialect = Dialect::of(route.format, path, &parts.headers);
    let Some(base_url) = provider.base_url.as_deref() else {
        let hint = provider.configure.as_deref().unwrap_or("set its `base_url`");
        let sentence = format!(
            "{} has no address yet: in config.toml, under [providers.{}], {hint}",
            provider.name, provider.id
        );
        return Err(case.denied(404, "not_configured", sentence));
    };
    let query = rest.split_once('?').map(|(_, query)| query);
    let shown = credential::shown(&parts.headers, query);
    let cleaned = shown.pass.as_ref().map(|_| credential::without_pass(rest));
    let prefix = if address.is_bare { &*provider.bare_prefix } else { "" };
    let rest = format!("{prefix}{}", cleaned.as_deref().unwrap_or(rest));
    let Some(target) = Target::new(base_url, &rest) else {
        let sentence =
            format!("`{base_url}` is not an address that {} can be called at", provider.name);
        return Err(case.denied(404, "not_configured", sentence));
    };
    case.receipt.upstream = target.origin.clone();
    let pass = match &shown.pass {
        Some(secret) => Some(case.pass(snapshot, secret)?),
        None => None,
    };
    if let Some(pass) = pass {
        let refused = |refusal| case.refused(refusal);
        allowance::of_head(pass, provider, &route).map_err(refused)?;
    }
    let key = case.credential(snapshot, provider, &target, &shown)?;
    if case.receipt.billing == Billing::Byok && shown.begins_with_any(&provider.subscription_tokens)
    {
        case.receipt.billing = Billing::Subscription;
    }
    if let Some(now) = snapshot.workspaces.get(&case.receipt.workspace) {
        case.receipt.workspace = now.clone();
    }
    if provider.id.as_ref() == DEMO {
        case.receipt.workspace = DEMO_WORKSPACE.into();
        case.receipt.billing = Billing::Demo;
    }
    case.receipt.key = key.map(|key| key.label.clone());
    let Case { receipt, dialect, parent } = case;
    let secrets = shown.values;
    Ok(Admitted { receipt, dialect, provider, route, target, key, pass, secrets, parent })
}

/// A request while it is being judged.
struct Case {
    receipt: Receipt,
    dialect: Dialect,
    parent: Option<TraceParent>,
}

impl Case {
    fn denied(&self, status: u16, code: &'static str, sentence: impl Into<String>) -> Box<Denied> {
        let status = StatusCode::from_u16(status).expect("a status we wrote");
        self.refused(Refusal::new(status, code, sentence))
    }

    fn refused(&self, refusal: Refusal) -> Box<Denied> {
        let (receipt, dialect, parent) = (self.receipt.clone(), self.dialect, self.parent);
        Box::new(Denied { receipt, dialect, refusal, parent })
    }

    /// Which stored key is to be put in, if any; or why the caller may not call.
    fn credential<'a>(
        &self,
        snapshot: &'a Snapshot,
        provider: &Provider,
        target: &Target,
        shown: &Shown,
    ) -> Result<Option<&'a StoredKey>, Box<Denied>> {
        let has_pass = shown.pass.is_some();
        if !has_pass && snapshot.require_pass {
            return Err(self.denied(
                401,
                "pass_required",
                "this gateway asks for a pass: make one with `tollgate passes add`",
            ));
        }
        let host = target.host();
        if shown.signed && SIGNED_HOSTS.iter().any(|suffix| host.ends_with(suffix)) {
            return Err(self.denied(403, "signed_request", SIGNED));
        }
        if shown.own || provider.auth == Auth::None {
            return Ok(None);
        }
        if !has_pass {
            let sentence = format!(
                "the request shows no credential: send your {} key as your client always does, or a Tollgate pass (`tollgate passes add`)",
                provider.name
            );
            return Err(self.denied(401, "no_credential", sentence));
        }
        let key = snapshot.keys.find(&provider.id, &target.origin);
        key.map(Some).ok_or_else(|| {
            let sentence = format!(
                "the pass is fine, but no {} key is stored for `{}`: add one with `tollgate keys add {}`",
                provider.name, target.origin, provider.id
            );
            self.denied(401, "no_key", sentence)
        })
    }

    /// Checks a pass and takes over what it says.
    fn pass<'a>(
        &mut self,
        snapshot: &'a Snapshot,
        secret: &str,
    ) -> Result<&'a PassInfo, Box<Denied>> {
        let Some(pass) = snapshot.passes.find(secret) else {
            return Err(self.denied(
                401,
                "unknown_pass",
                "this pass is not known here: `tollgate passes list` shows those that are",
            ));
        };
        self.receipt.pass = Some(pass.label.clone());
        self.receipt.workspace = pass.workspace.clone();
        if pass.expires_at.is_some_and(|end: Timestamp| end <= self.receipt.started_at) {
            let sentence = format!(
                "the pass `{}` has expired: make a new one with `tollgate passes add`",
                pass.label
            );
            return Err(self.denied(401, "expired_pass", sentence));
        }
        if !pass.may_call {
            let sentence = format!(
                "the pass `{}` is not for calls: make one with `tollgate passes add`",
                pass.label
            );
            return Err(self.denied(403, "wrong_scope", sentence));
        }
        Ok(pass)
    }
}

fn is_websocket(parts: &Parts) -> bool {
    let asks = |value: &http::HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"websocket");
    parts.method == Method::GET && parts.headers.get_all(header::UPGRADE).iter().any(asks)
}

const WEBSOCKET: &str = "WebSocket is not passed on yet: use the same API over HTTP, where answers stream as server-sent events";

const SIGNED: &str = "a request signed by AWS SigV4 cannot be passed on, because its signature covers the host it was signed for: use a Bedrock API key as a bearer token instead";

fn unknown(snapshot: &Snapshot) -> String {
    let ids: Vec<&str> = snapshot.providers.iter().map(|provider| &*provider.id).collect();
    format!(
        "this address names no provider: addresses look like /v1/…, /v1beta/… or /PROVIDER/…, each optionally behind /w/WORKSPACE; PROVIDER is one of {}",
        ids.join(", ")
    )
}
