//! What a path says: which provider, which workspace, and the path that goes on, byte for byte.
//! It does not know whether the provider can be reached or the caller may call.

use http::HeaderMap;
use meter::provider::percent_decode;
use meter::receipt::workspace_name;

use crate::snapshot::Snapshot;

/// A path, taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Address<'t, 's> {
    /// From `/w/{workspace}`.
    pub(crate) workspace: Option<Box<str>>,
    /// The provider's id; not looked up yet, except that bare paths name one that we chose.
    pub(crate) provider: &'s str,
    /// The provider's prefix for bare paths goes before the rest.
    pub(crate) is_bare: bool,
    /// Path and query that go on, as sent.
    pub(crate) rest: &'t str,
}

/// Takes a request target apart. `None`: it names no provider.
pub(crate) fn read<'t, 's>(
    target: &'t str,
    headers: &HeaderMap,
    snapshot: &'s Snapshot,
) -> Option<Address<'t, 's>> {
    let (workspace, target) = match target.strip_prefix("/w/") {
        Some(named) => {
            // A slash in the query belongs to no path.
            let end = named.find(['/', '?']).filter(|end| named[*end..].starts_with('/'))?;
            (Some(workspace_name(&percent_decode(&named[..end]))?), &named[end..])
        }
        None => (None, target),
    };
    let path = target.split('?').next().unwrap_or_default();
    let (segment, _) = path.strip_prefix('/')?.split_once('/').unwrap_or((&path[1..], ""));
    let bare =
        |provider| Address { workspace: workspace.clone(), provider, is_bare: true, rest: target };
    match bare_provider(segment, path, headers, snapshot) {
        Some(provider) => Some(bare(provider)),
        None if segment == "v1" => Some(bare(&*snapshot.default_provider)),
        None => {
            let id = segment;
            let provider = &*snapshot.providers.get(id)?.id;
            Some(Address { workspace, provider, is_bare: false, rest: &target[1 + id.len()..] })
        }
    }
}

/// Whose a bare path is besides the default provider's: some paths have one owner, and so has
/// a `/v1` path with that owner's header.
fn bare_provider<'s>(
    segment: &str,
    path: &str,
    headers: &HeaderMap,
    snapshot: &'s Snapshot,
) -> Option<&'s str> {
    let owner = snapshot.providers.iter().find(|provider| {
        let header = provider.bare_header.as_deref().filter(|_| segment == "v1");
        provider.owns_bare(path) || header.is_some_and(|name| headers.contains_key(name))
    });
    owner.map(|provider| &*provider.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_to(target: &str, headers: &HeaderMap) -> Option<(String, Option<String>, String)> {
        let snapshot = Snapshot::default();
        let address = read(target, headers, &snapshot)?;
        let workspace = address.workspace.map(String::from);
        Some((address.provider.to_owned(), workspace, address.rest.to_owned()))
    }

    #[test]
    fn a_path_names_its_provider_and_keeps_every_byte_behind_it() {
        let none = HeaderMap::new();
        for (target, provider, rest) in [
            ("/v1/chat/completions?a=%2f", "openai", "/v1/chat/completions?a=%2f"),
            ("/v1/messages?beta=true", "anthropic", "/v1/messages?beta=true"),
            ("/v1beta/models/m%3Ax:y", "gemini", "/v1beta/models/m%3Ax:y"),
            ("/upload/v1beta/files", "gemini", "/upload/v1beta/files"),
            ("/groq//openai/v1/%7e?", "groq", "//openai/v1/%7e?"),
            ("/ollama", "ollama", ""),
            ("/ollama?x=/a", "ollama", "?x=/a"),
        ] {
            let read = read_to(target, &none);
            assert_eq!(read, Some((provider.into(), None, rest.into())), "{target}");
        }
        for nobody in ["/", "/nobody/v1", "*", "/w/", "/w/me", "/w//openai/v1", "/api/v1/usage"] {
            assert_eq!(read_to(nobody, &none), None, "{nobody}");
        }
    }

    #[test]
    fn a_workspace_in_front_is_taken_off() {
        let read = read_to("/w/my%20lab/v1/models", &HeaderMap::new());
        assert_eq!(read, Some(("openai".into(), Some("my lab".into()), "/v1/models".into())));
    }

    #[test]
    fn an_anthropic_version_makes_a_bare_path_anthropics() {
        let mut headers = HeaderMap::new();
        headers.insert("anthropic-version", "2023-06-01".parse().unwrap());
        assert_eq!(read_to("/v1/models", &headers).unwrap().0, "anthropic");
        assert_eq!(read_to("/groq/v1/models", &headers).unwrap().0, "groq");
    }
}
