//! Who can be paid, and what their paths mean. All of it is data: one TOML file per
//! provider in `providers/`, and `providers/_paths.toml` for what paths mean everywhere.
//!
//! Adding a provider is adding a file there; see `src-tauri/ARCHITECTURE.md`.

mod pattern;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

use pattern::{Captured, Pattern};

use crate::format::Format;
use crate::receipt::Kind;
use crate::route::Family;

/// How a stored key is shown to a provider.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Auth {
    /// `authorization: Bearer …`
    #[default]
    Bearer,
    /// `x-api-key: …`
    XApiKey,
    /// `x-goog-api-key: …`
    XGoogApiKey,
    /// `api-key: …`
    ApiKey,
    /// Needs no key: callable without one.
    None,
}

impl Auth {
    /// The word for it in files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bearer => "bearer",
            Self::XApiKey => "x-api-key",
            Self::XGoogApiKey => "x-goog-api-key",
            Self::ApiKey => "api-key",
            Self::None => "none",
        }
    }
}

impl Hosting {
    /// The word for it in files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hosted => "hosted",
            Self::Local => "local",
        }
    }
}

/// Whose machines serve it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hosting {
    /// A company's, paid per use.
    #[default]
    Hosted,
    /// The user's own: free unless a rate per hour is given.
    Local,
}

/// What a self-hosted server can be asked about the models it holds ready, without loading one.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, Deserialize, specta::Type,
)]
#[serde(rename_all = "kebab-case")]
pub enum ServerStatus {
    /// `/api/ps` and `/api/tags`.
    Ollama,
    /// `/health`, `/v1/models` and `/metrics`.
    Vllm,
    /// `/health` and `/props`; `/slots` unless it sleeps.
    Llamacpp,
    /// `/api/v0/models`.
    Lmstudio,
    /// `/v1/models` alone, which most servers know.
    #[default]
    Openai,
    /// Nothing: it is not asked.
    None,
}

/// Whether `output` includes reasoning tokens when totals do not tell (wire-format fact).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reasoning {
    /// A part of the output count.
    #[default]
    Inside,
    /// Beside the output count.
    Outside,
}

/// Everything that is known about one provider.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// The first path segment and the word on receipts. Taken from the file's name.
    #[serde(skip)]
    pub id: Box<str>,
    /// For people.
    pub name: Box<str>,
    /// The origin: what stands before the path as sent. Absent: the user must configure it.
    pub base_url: Option<Box<str>>,
    /// What to tell the user who has not configured a `base_url`.
    pub configure: Option<Box<str>>,
    /// What stands between the origin and a bare `/v1/…` path, such as `/openai`.
    #[serde(default)]
    pub bare_prefix: Box<str>,
    /// Bare paths that are its own, whoever the default provider is, and all below them.
    #[serde(default)]
    pub bare_paths: Vec<Box<str>>,
    /// A request header that makes any bare path its own.
    pub bare_header: Option<Box<str>>,
    /// How a stored key is shown.
    #[serde(default)]
    pub auth: Auth,
    /// Whose machines.
    #[serde(default)]
    pub hosting: Hosting,
    /// What it can be asked about its models, where it is the user's own.
    #[serde(default)]
    pub status: ServerStatus,
    /// Whether it honours `stream_options.include_usage` on OpenAI-shaped streams.
    #[serde(default)]
    pub usage_assist: bool,
    /// Where reasoning is counted when totals do not tell.
    #[serde(default)]
    pub reasoning: Reasoning,
    /// Hosts that are this provider: exact names, `.suffix` for a registered suffix, or a name
    /// with `{region}` in it, such as `{region}.api.example.com`.
    #[serde(default)]
    pub hosts: Vec<Box<str>>,
    /// Response headers that may carry the provider's request id, best first.
    #[serde(default)]
    pub request_id_headers: Vec<Box<str>>,
    /// The response header that tells how much of a prompt was cached, where the usage of a whole
    /// answer leaves that out.
    pub cached_header: Option<Box<str>>,
    /// What OpenTelemetry's conventions call it, where that is not its id.
    pub otel_name: Option<Box<str>>,
    /// How credentials begin that belong to a flat-rate plan.
    #[serde(default)]
    pub subscription_tokens: Vec<Box<str>>,
    /// Environment variables in which its SDKs look for a key, the best known first.
    #[serde(default)]
    pub key_variables: Vec<Box<str>>,
    /// Those that hold other secrets of it, which cannot be used as a key.
    #[serde(default)]
    pub secret_variables: Vec<Box<str>>,
    /// A call that needs a valid key and costs nothing, if its documentation knows one.
    pub free_check: Option<FreeCheck>,
    /// The wire formats in which a route may call it, at the usual paths behind its prefix.
    #[serde(default = "openai")]
    pub speaks: Vec<Family>,
    /// What its paths mean, before the general table is asked.
    #[serde(default)]
    pub paths: Vec<PathRule>,
}

/// Most providers speak it.
fn openai() -> Vec<Family> {
    vec![Family::Openai]
}

/// A `GET` that tells whether a key works, free of charge.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FreeCheck {
    /// The path after the origin.
    pub path: Box<str>,
    /// What it must be told besides the key.
    #[serde(default)]
    pub headers: BTreeMap<Box<str>, Box<str>>,
}

/// What a path means.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PathRule {
    /// Such as `chat/completions` or `models/{model}:generateContent`.
    path: Pattern,
    /// Only for this method, such as `GET`.
    method: Option<Box<str>>,
    /// The wire format spoken there.
    format: Option<Format>,
    /// What sort of call it is.
    kind: Kind,
}

/// What one request's path means.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Route {
    /// The wire format, if a rule knows one.
    pub format: Option<Format>,
    /// What sort of call; `other` where no rule matches.
    pub kind: Kind,
    /// The model, where the path names it (percent-decoded).
    pub model: Option<Box<str>>,
    /// The id of a job, where only the path names it.
    pub job: Option<Box<str>>,
    /// The last path segment, such as a verb that tells whether the answer streams.
    pub verb: Box<str>,
}

#[expect(clippy::derivable_impls, reason = "the enum is made by a macro that knows no defaults")]
impl Default for Kind {
    fn default() -> Self {
        Self::Other
    }
}

impl Provider {
    /// A provider the user declared: an OpenAI-compatible server until its answers say otherwise.
    pub fn declared(id: &str, base_url: &str) -> Self {
        Self {
            id: id.into(),
            name: id.into(),
            base_url: Some(base_url.into()),
            configure: None,
            bare_prefix: "".into(),
            bare_paths: Vec::new(),
            bare_header: None,
            auth: Auth::Bearer,
            hosting: Hosting::Hosted,
            status: ServerStatus::default(),
            usage_assist: false,
            reasoning: Reasoning::Inside,
            hosts: Vec::new(),
            request_id_headers: Vec::new(),
            cached_header: None,
            otel_name: None,
            subscription_tokens: Vec::new(),
            key_variables: Vec::new(),
            secret_variables: Vec::new(),
            free_check: None,
            speaks: openai(),
            paths: Vec::new(),
        }
    }

    /// What `path` (without query) means with this provider.
    pub fn route(&self, method: &str, path: &str) -> Route {
        let segments: Vec<Cow<'_, str>> =
            path.split('/').filter(|s| !s.is_empty()).map(decoded).collect();
        let verb = decoded(path).rsplit(['/', ':']).next().unwrap_or_default().into();
        let rules = self.paths.iter().chain(GENERAL.iter());
        for rule in rules {
            if rule.method.as_deref().is_some_and(|m| m != method) {
                continue;
            }
            if let Some(Captured { model, job }) = rule.path.captures(&segments) {
                return Route { format: rule.format, kind: rule.kind, model, job, verb };
            }
        }
        Route { verb, ..Route::default() }
    }

    /// Whether a path without a provider in front is this one's.
    pub fn owns_bare(&self, path: &str) -> bool {
        self.bare_paths.iter().any(|own| {
            let rest = path.strip_prefix(&**own);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    }

    /// Whether `host` (no port) belongs to this provider.
    pub fn owns_host(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        self.hosts.iter().any(|known| match known.strip_prefix('.') {
            Some(_) => host.ends_with(&**known) && host.len() > known.len(),
            None => **known == *host || region_in(known, &host).is_some(),
        })
    }

    /// The region that the name of `host` (no port) tells.
    pub fn region_of(&self, host: &str) -> Option<Box<str>> {
        let host = host.to_ascii_lowercase();
        self.hosts.iter().find_map(|known| region_in(known, &host)).map(Into::into)
    }
}

/// What stands for `{region}` in a host of this pattern: never more than a part of a label, so
/// that nobody else's domain can end up in it.
fn region_in<'h>(pattern: &str, host: &'h str) -> Option<&'h str> {
    let (open, close) = pattern.split_once("{region}")?;
    let region = host.strip_prefix(open)?.strip_suffix(close)?;
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    (!region.is_empty() && region.bytes().all(is_word)).then_some(region)
}

/// Decodes `%XX`; leaves malformed escapes as they are, replaces invalid UTF-8.
pub fn percent_decode(text: &str) -> String {
    decoded(text).into_owned()
}

/// The same; nearly always there is nothing to decode.
fn decoded(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    if memchr::memchr(b'%', bytes).is_none() {
        return text.into();
    }
    let hex = |at: usize| bytes.get(at).and_then(|b| (*b as char).to_digit(16));
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        match (bytes[at], hex(at + 1), hex(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                at += 3;
            }
            (byte, _, _) => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned().into()
}

#[derive(Deserialize)]
struct PathFile {
    paths: Vec<PathRule>,
}

static GENERAL: LazyLock<Vec<PathRule>> = LazyLock::new(|| {
    let file: PathFile = toml::from_str(include_str!("../providers/_paths.toml"))
        .expect("a test reads the built-in path table");
    file.paths
});

/// The provider files, by id: made by the build script from the folder's listing.
const FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/provider_files.rs"));

static BUILT_IN: LazyLock<Providers> = LazyLock::new(|| {
    let read = |(id, text): &(&str, &str)| {
        let mut provider: Provider =
            toml::from_str(text).expect("a test reads every provider file");
        provider.id = (*id).into();
        (provider.id.clone(), provider)
    };
    Providers { by_id: FILES.iter().map(read).collect() }
});

/// All providers of one configuration.
#[derive(Clone, Debug)]
pub struct Providers {
    by_id: BTreeMap<Box<str>, Provider>,
}

impl Providers {
    /// Those that Tollgate knows without being told.
    pub fn built_in() -> &'static Self {
        &BUILT_IN
    }

    /// The provider with this id.
    pub fn get(&self, id: &str) -> Option<&Provider> {
        self.by_id.get(id)
    }

    /// Adds a provider, or replaces the one with its id.
    pub fn insert(&mut self, provider: Provider) {
        self.by_id.insert(provider.id.clone(), provider);
    }

    /// All of them, by id.
    pub fn iter(&self) -> impl Iterator<Item = &Provider> {
        self.by_id.values()
    }

    /// Environment variables that may hold a secret of any of them.
    pub fn secret_variables(&self) -> impl Iterator<Item = &str> {
        let lists = self.iter().flat_map(|one| [&one.key_variables, &one.secret_variables]);
        lists.flatten().map(|name| &**name)
    }

    /// The one that owns this host.
    pub fn by_host(&self, host: &str) -> Option<&Provider> {
        self.iter().find(|provider| provider.owns_host(host))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_provider_file_can_be_read() {
        assert!(GENERAL.len() > 5);
        assert_eq!(Providers::built_in().iter().count(), FILES.len());
    }

    #[test]
    fn what_reads_keys_is_a_variable_and_what_checks_them_is_a_path() {
        let built_in = Providers::built_in();
        let is_variable = |name: &str| {
            name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
        };
        assert!(built_in.secret_variables().all(is_variable));
        assert!(built_in.secret_variables().count() > 30);
        let mut keys: Vec<_> = built_in.iter().flat_map(|one| &one.key_variables).collect();
        keys.sort_unstable();
        let (total, ()) = (keys.len(), keys.dedup());
        assert_eq!(keys.len(), total, "one variable is the key of one provider");
        let checks: Vec<_> = built_in.iter().filter_map(|one| one.free_check.as_ref()).collect();
        assert!(checks.len() > 10);
        for check in checks {
            assert!(check.path.starts_with('/') && !check.path.contains(['?', '#']), "{check:?}");
        }
    }

    #[test]
    fn paths_are_matched_by_their_last_segments() {
        let any = Provider::declared("x", "http://x");
        let chat = any.route("POST", "/some/where/v1/chat/completions");
        assert_eq!((chat.format, chat.kind), (Some(Format::OpenaiChat), Kind::Chat));
        let gemini = any.route("POST", "/v1beta/models/some-model%3AgenerateContent");
        assert_eq!(gemini.model.as_deref(), Some("some-model"));
        assert_eq!(any.route("POST", "/nobody/knows").kind, Kind::Other);
    }

    #[test]
    fn hosts_are_anchored() {
        let mut provider = Provider::declared("x", "http://x");
        provider.hosts = vec!["api.x.test".into(), ".api.x.test".into()];
        assert!(provider.owns_host("api.x.test") && provider.owns_host("eu.api.x.test"));
        assert!(
            !provider.owns_host("api.x.test.evil.com") && !provider.owns_host("evilapi.x.test")
        );
    }

    #[test]
    fn a_region_is_a_part_of_a_label() {
        let mut provider = Provider::declared("x", "http://x");
        provider.hosts = vec!["{region}-api.x.test".into(), "api.{region}.x.test".into()];
        assert_eq!(provider.region_of("EU-west4-api.x.test").as_deref(), Some("eu-west4"));
        assert_eq!(provider.region_of("api.us.x.test").as_deref(), Some("us"));
        assert!(provider.owns_host("eu-west4-api.x.test"));
        for other in ["-api.x.test", "evil.test/-api.x.test", "a.b-api.x.test", "api..x.test"] {
            assert!(!provider.owns_host(other), "{other}");
        }
    }

    #[test]
    fn regional_hosts_tell_whose_they_are_and_where() {
        for (host, id, region) in [
            ("us-east5-aiplatform.googleapis.com", "vertex", Some("us-east5")),
            ("aiplatform.eu.rep.googleapis.com", "vertex", Some("eu")),
            ("aiplatform.googleapis.com", "vertex", None),
            ("bedrock-mantle.us-east-1.api.aws", "bedrock-mantle", Some("us-east-1")),
            ("bedrock-runtime.us-gov-west-1.amazonaws.com", "bedrock", Some("us-gov-west-1")),
        ] {
            let provider = Providers::built_in().by_host(host);
            assert_eq!(provider.map(|known| &*known.id), Some(id), "{host}");
            assert_eq!(provider.and_then(|known| known.region_of(host)).as_deref(), region);
        }
        assert!(Providers::built_in().by_host("evil-aiplatform.googleapis.com.x.test").is_none());
    }
}
