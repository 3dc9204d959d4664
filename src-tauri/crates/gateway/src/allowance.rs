//! What a pass allows, held against a request: its provider by the head, its model as soon as the
//! request names it, and before anything of it has left. It does not know where passes are kept.

use http::Method;
use http::StatusCode;
use http::request::Parts;
use meter::Allowance;
use meter::provider::{Provider, Route, percent_decode};

use crate::refusal::Refusal;
use crate::request_body::{Upload, UploadFailed};
use crate::snapshot::PassInfo;

/// The word for machines.
pub(crate) const CODE: &str = "pass_limit";

/// Under a limit a body up to this size is read whole before any of it leaves, in bytes.
const WHOLE: usize = 1024 * 1024;
/// A larger one must name its model within so many bytes. The SDKs write long messages first.
const NAMED_WITHIN: usize = 8 * 1024 * 1024;
/// So many allowed names are told in a refusal.
const MOST_TOLD: usize = 6;

/// Why a request under a limit goes no further.
pub(crate) enum Stopped {
    /// The pass does not allow it.
    Refused(Refusal),
    /// Its body did not come.
    Client(UploadFailed),
}

/// Checks what the head tells: the provider, and the model where the path names it.
pub(crate) fn of_head(pass: &PassInfo, provider: &Provider, route: &Route) -> Result<(), Refusal> {
    if !pass.allowance.has_provider(&provider.id) {
        return Err(refusal(format!(
            "the pass `{}` is for {} only, not for `{}`: {}",
            pass.label,
            told(pass.allowance.providers.iter().map(|id| &**id)),
            provider.id,
            change(pass, "provider"),
        )));
    }
    match &route.model {
        Some(model) if !pass.allowance.has_model(model) => Err(other_model(pass, model)),
        Some(_) | None => Ok(()),
    }
}

/// Checks what the body tells, waiting for it as far as it takes to be sure. What comes after that
/// is held to the same pass while it leaves.
pub(crate) async fn of_body(
    pass: &PassInfo,
    route: &Route,
    parts: &Parts,
    upload: &Upload,
) -> Result<(), Stopped> {
    let only_reads =
        matches!(parts.method, Method::GET | Method::HEAD) && route.kind.is_never_billed();
    if pass.allowance.models.is_empty() || only_reads {
        return Ok(());
    }
    if has_dot_segment(parts.uri.path()) {
        return Err(Stopped::Refused(unclear(pass, "its path can be read in more than one way")));
    }
    if route.model.is_some() {
        return Ok(());
    }
    for limit in [WHOLE, NAMED_WITHIN] {
        let whole = upload.collect(limit).await.map_err(Stopped::Client)?;
        if whole.is_some() || upload.asked(|asked| asked.model.is_some()) {
            break;
        }
    }
    upload.hold_to(pass.allowance.clone());
    if upload.keeps_to_allowance() {
        return Ok(());
    }
    let named = upload.asked(|asked| (asked.model_names == 1).then(|| asked.model.clone()));
    Err(Stopped::Refused(match named {
        Some(Some(model)) if !pass.allowance.has_model(&model) => other_model(pass, &model),
        Some(_) => unclear(pass, "it does not say which model it is for"),
        None => unclear(pass, "it does not name one model"),
    }))
}

/// Checks a target that a route chose: a pass reaches no more through a route than without.
pub(crate) fn of_target(pass: &PassInfo, model: &str, path: &str) -> Result<(), Refusal> {
    if pass.allowance.models.is_empty() {
        return Ok(());
    }
    if has_dot_segment(path) {
        return Err(unclear(pass, "its path can be read in more than one way"));
    }
    if !pass.allowance.has_model(model) {
        return Err(other_model(pass, model));
    }
    Ok(())
}

/// The "no" to a request that turned out to name another model while it left.
pub(crate) fn of_rest() -> Refusal {
    refusal("the request names a model that its pass does not allow, behind one that it does")
}

/// Whether a body that was read so far names one allowed model.
pub(crate) fn is_kept(allowance: &Allowance, asked: &meter::request::Asked) -> bool {
    asked.model_names == 1 && asked.model.as_deref().is_some_and(|model| allowance.has_model(model))
}

fn other_model(pass: &PassInfo, model: &str) -> Refusal {
    let model: String = model.chars().take(100).collect();
    refusal(format!(
        "the pass `{}` is for {} only, not for the model `{model}`: {}",
        pass.label,
        models(pass),
        change(pass, "model")
    ))
}

fn unclear(pass: &PassInfo, why: &str) -> Refusal {
    refusal(format!(
        "the pass `{}` is for {} only, and this request cannot be told to be: {why}; {}",
        pass.label,
        models(pass),
        change(pass, "model")
    ))
}

fn models(pass: &PassInfo) -> String {
    told(pass.allowance.models.iter().map(|pattern| pattern.as_str()))
}

/// What is given there takes the place of what there was, so it is not spelled out to be pasted.
fn change(pass: &PassInfo, what: &str) -> String {
    format!("`tollgate passes edit {} --{what} …` changes that", pass.label)
}

fn told<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> String {
    let more = names.len().saturating_sub(MOST_TOLD);
    let told: Vec<String> = names.take(MOST_TOLD).map(|name| format!("`{name}`")).collect();
    match more {
        0 => told.join(", "),
        more => format!("{} and {more} more", told.join(", ")),
    }
}

fn refusal(sentence: impl Into<String>) -> Refusal {
    Refusal::new(StatusCode::FORBIDDEN, CODE, sentence)
}

/// Servers resolve `..`; what the path seems to name need not be what is called.
fn has_dot_segment(path: &str) -> bool {
    percent_decode(path).split('/').any(|segment| matches!(segment, "." | ".."))
}
