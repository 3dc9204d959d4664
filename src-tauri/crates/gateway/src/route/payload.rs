//! What is sent to each target: the client's request with the target's model in the place of the
//! one that asked for the route. Nothing else of it changes.

use std::ops::Range;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, StatusCode, Uri, header};
use meter::provider::Provider;
use meter::route::{Family, Target, model_span};

use super::look::KEPT;
use crate::address::Address;
use crate::refusal::Refusal;
use crate::request_body::{Upload, UploadFailed};

/// A request's body, ready to be sent more than once if it is small enough.
pub(super) enum Payload {
    /// All of it, and where the model stands.
    Whole(Bytes, Option<Range<usize>>),
    /// The beginning, and where the model stands in it; the rest comes once.
    Passing(Bytes, Option<Range<usize>>),
}

/// Why there is none.
pub(super) enum NoPayload {
    /// The request cannot be routed.
    Refused(Refusal),
    /// Its body did not come.
    Client(UploadFailed),
}

impl Payload {
    /// Waits for the body as far as it is kept, and finds the model in it.
    pub(super) async fn read(
        upload: &Upload,
        family: Family,
        parts: &Parts,
    ) -> Result<Self, NoPayload> {
        let refused = |sentence: &str| NoPayload::Refused(bad(sentence));
        let whole = upload.collect(KEPT).await.map_err(NoPayload::Client)?;
        let beginning = || upload.beginning().unwrap_or_default();
        if family.names_model_in_path() {
            return Ok(match whole {
                Some(whole) => Self::Whole(whole, None),
                None => Self::Passing(beginning(), None),
            });
        }
        if parts.headers.contains_key(header::CONTENT_ENCODING) {
            return Err(refused("a route cannot read a compressed request: send it as it is"));
        }
        // A form is read by its fields, but the model would be replaced where JSON names it.
        if parts.headers.get_all(header::CONTENT_TYPE).iter().any(is_multipart) {
            return Err(refused("a request on a route must be one JSON object, not a form"));
        }
        match upload.asked(|asked| asked.model_names) {
            0 => {
                return Err(refused("a route needs a JSON body with a `model` near its beginning"));
            }
            1 => {}
            _ => return Err(refused("a request on a route must name its model exactly once")),
        }
        let kept = whole.clone().unwrap_or_else(beginning);
        let span = model_span(&kept).ok_or_else(|| {
            refused("a route replaces `model`, which must be text in the outermost object")
        })?;
        if whole.is_none() {
            upload.hold_to_one_model();
            return Ok(Self::Passing(kept, Some(span)));
        }
        if !upload.asked(|asked| asked.is_complete_object) {
            return Err(refused("a request on a route must be one JSON object"));
        }
        Ok(Self::Whole(kept, Some(span)))
    }

    /// Whether it can be sent only once.
    pub(super) fn is_for_one_try(&self) -> bool {
        matches!(self, Self::Passing(..))
    }

    /// The bytes at hand with this model in them, and how many more they are than the client's.
    pub(super) fn with(&self, model: &str) -> (Bytes, isize) {
        let (Self::Whole(bytes, span) | Self::Passing(bytes, span)) = self;
        let Some(span) = span else { return (bytes.clone(), 0) };
        let name = serde_json::Value::from(model).to_string();
        let renamed = [&bytes[..span.start], name.as_bytes(), &bytes[span.end..]].concat();
        let more = renamed.len().cast_signed() - bytes.len().cast_signed();
        (renamed.into(), more)
    }
}

/// The request's head as if the client had called this target.
pub(super) fn head_for(
    parts: &Parts,
    address: &Address<'_, '_>,
    asked: &Provider,
    to: (&Provider, &Target),
    family: Family,
) -> Option<Parts> {
    let (provider, target) = to;
    // Behind its own prefix every provider has the same paths.
    let path = address.rest.strip_prefix(&*asked.bare_prefix).filter(|_| !address.is_bare);
    let path = path.unwrap_or(address.rest);
    let path = match family.names_model_in_path() {
        true => path_with(path, &target.model)?,
        false => path.to_owned(),
    };
    let mut parts = parts.clone();
    parts.uri = Uri::try_from(format!("/{}{}{path}", provider.id, provider.bare_prefix)).ok()?;
    Some(parts)
}

/// Writes a route that a path names as one segment, where an SDK made two of it.
pub(super) fn join_route_in_path(parts: &mut Parts) {
    let whole = parts.uri.to_string();
    let (path, query) = whole.split_at(whole.find('?').unwrap_or(whole.len()));
    let joined = path.replacen("/models/route/", "/models/route%2F", 1) + query;
    if let Ok(uri) = Uri::try_from(joined) {
        parts.uri = uri;
    }
}

fn is_multipart(content_type: &HeaderValue) -> bool {
    let kind = content_type.as_bytes().trim_ascii().get(..10);
    kind.is_some_and(|kind| kind.eq_ignore_ascii_case(b"multipart/"))
}

/// Says how long the body is, where that was said.
pub(super) fn lengthen(parts: &mut Parts, more: isize) {
    let Some(length) = parts.headers.get_mut(header::CONTENT_LENGTH) else { return };
    let announced = length.to_str().ok().and_then(|length| length.parse::<u64>().ok());
    let longer = announced.and_then(|length| length.checked_add_signed(more as i64));
    if let Some(longer) = longer {
        *length = HeaderValue::from(longer);
    }
}

/// A path with this model in the place of the one it names.
fn path_with(path: &str, model: &str) -> Option<String> {
    let (path, query) = path.split_once('?').map_or((path, None), |(path, q)| (path, Some(q)));
    let (before, behind) = path.rsplit_once("/models/")?;
    let colon = behind.find(':').or_else(|| behind.to_ascii_lowercase().find("%3a"))?;
    let mut with = format!("{before}/models/{}{}", escaped(model), &behind[colon..]);
    if let Some(query) = query {
        with = format!("{with}?{query}");
    }
    Some(with)
}

/// What may not stand in a segment of a path, escaped.
fn escaped(model: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let escape = |byte: u8| match is_plain(byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    model.bytes().map(escape).collect()
}

/// A request that no target can be sent.
pub(super) fn bad(sentence: impl Into<String>) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, "cannot_be_routed", sentence)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_model_in_a_path_is_replaced() {
        let with = |path: &str| path_with(path, "tuned/x y").unwrap();
        assert_eq!(
            with("/v1beta/models/route/fast:generateContent?alt=sse&k=%2F"),
            "/v1beta/models/tuned%2Fx%20y:generateContent?alt=sse&k=%2F"
        );
        assert_eq!(
            with("/v1beta/models/a%2Fb%3AcountTokens"),
            "/v1beta/models/tuned%2Fx%20y%3AcountTokens"
        );
        assert_eq!(path_with("/v1beta/models", "m"), None);
        assert_eq!(path_with("/v1beta/models/x", "m"), None);
    }

    #[test]
    fn a_route_is_joined_in_the_path_and_nowhere_else() {
        let joined = |uri: &str| {
            let mut parts = http::Request::get(uri).body(()).unwrap().into_parts().0;
            join_route_in_path(&mut parts);
            parts.uri.to_string()
        };
        assert_eq!(joined("/v1/models/route/a:b?x=1"), "/v1/models/route%2Fa:b?x=1");
        let elsewhere = "/v1/models/route%2Fa:b?see=/models/route/c";
        assert_eq!(joined(elsewhere), elsewhere);
    }

    #[test]
    fn only_the_bytes_of_the_models_value_are_replaced() {
        let body = "{ \"a\":1.50,\r\n \"model\" :\t\"route/x\" ,\"b\":\"\\u00e4 ü\" }  ";
        let span = model_span(body.as_bytes());
        let payload = Payload::Whole(Bytes::from(body), span);
        let (renamed, more) = payload.with("say \"hi\"");
        let expected = body.replace("\"route/x\"", r#""say \"hi\"""#);
        assert_eq!(renamed, expected.as_bytes());
        assert_eq!(more, 3);
    }
}
