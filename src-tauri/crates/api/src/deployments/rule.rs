//! A deployment as it is written: an entry of `[[deployments]]`, the body of a request, a form.

use meter::provider::ServerStatus;
use serde::{Deserialize, Serialize};

use super::versus::PaidModel;
use crate::alerts::written::{visible, whole, wrong};
use crate::problem::{Code, Problem};

/// A deployment as it is written. Calls of `provider`, which is a server of the user's own, count
/// in it, those of one `model` alone if that is given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
#[serde(deny_unknown_fields)]
pub struct DeploymentRule {
    /// What the user calls it; up to 80 characters.
    pub name: String,
    /// The server: the id of a provider whose `kind` is `local`.
    pub provider: String,
    /// Its model, as it stands on receipts; left out: whatever no other deployment has.
    pub model: Option<String>,
    /// Graphics processors that are set aside for it.
    pub gpus: Option<i64>,
    /// What the server can be asked; left out: what its provider is known for.
    pub status: Option<ServerStatus>,
    /// The paid model it is compared with: `provider/model`.
    pub versus: Option<String>,
}

/// A server of the user's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnServer {
    /// The provider's id.
    pub id: Box<str>,
    /// Where it is.
    pub origin: Box<str>,
    /// What it can be asked.
    pub status: ServerStatus,
    /// Graphics processors that all its models share, as configured.
    pub gpus: Option<u32>,
    /// Whether it runs on this machine.
    pub is_here: bool,
}

/// What is known of servers and deployments before anybody asked them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeploymentPlan {
    /// The servers.
    pub servers: Vec<OwnServer>,
    /// What the user declared, in the order of the file.
    pub declared: Vec<DeploymentRule>,
}

/// The longest name of a model or provider.
const LONGEST: usize = 300;
const MOST_GPUS: i64 = 100_000;

impl DeploymentRule {
    /// Reads the body of a request.
    ///
    /// # Errors
    /// Says what cannot be read.
    pub fn read(body: &[u8]) -> Result<Self, Problem> {
        // An object: a list would be read as fields without names.
        let fields: Result<serde_json::Map<_, _>, _> = serde_json::from_slice(body);
        let rule = fields.and_then(|fields| serde_json::from_value(fields.into()));
        rule.map_err(|error| {
            Problem::new(Code::BadBody, format!("this is not a deployment: {error}"))
                .hint("Send such as {\"name\":\"studio\",\"provider\":\"ID\",\"gpus\":2}.")
        })
    }

    /// The same, checked, without space around its words.
    ///
    /// # Errors
    /// Names the field that is wrong and says what may stand there.
    pub fn check(&self) -> Result<Self, Problem> {
        let model = self.model.as_deref().map(str::trim).filter(|model| !model.is_empty());
        for (field, text) in [("provider", Some(self.provider.trim())), ("model", model)] {
            let Some(text) = text else { continue };
            let is_fit = !text.is_empty() && text.len() <= LONGEST;
            if !is_fit || text.chars().any(char::is_control) {
                let hint = format!("Write 1 to {LONGEST} visible characters.");
                return Err(wrong(field, "cannot be that", &hint));
            }
        }
        let versus = self.versus.as_deref().map(str::trim).filter(|versus| !versus.is_empty());
        if let Some(versus) = versus {
            versus.parse::<PaidModel>().map_err(|hint| wrong("versus", "names no model", hint))?;
        }
        if let Some(gpus) = self.gpus {
            whole("gpus", gpus, 0, MOST_GPUS)?;
        }
        Ok(Self {
            name: visible(&self.name)?.to_owned(),
            provider: self.provider.trim().to_owned(),
            model: model.map(str::to_owned),
            versus: versus.map(str::to_owned),
            ..self.clone()
        })
    }

    pub(super) fn gpu_count(&self) -> Option<u32> {
        self.gpus.and_then(|gpus| u32::try_from(gpus).ok())
    }
}

/// A model's name with what servers take for granted left out, so that it is one deployment.
pub fn canonical(status: ServerStatus, model: &str) -> &str {
    match status {
        ServerStatus::Ollama => model.strip_suffix(":latest").unwrap_or(model),
        ServerStatus::Vllm
        | ServerStatus::Llamacpp
        | ServerStatus::Lmstudio
        | ServerStatus::Openai
        | ServerStatus::None => model,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(json: &str) -> String {
        let checked = DeploymentRule::read(json.as_bytes()).and_then(|rule| rule.check());
        checked.unwrap_err().message
    }

    #[test]
    fn a_deployment_is_refused_by_the_field_that_is_wrong() {
        let fine =
            r#"{"name":" studio ","provider":"lab","model":" ","gpus":2,"versus":"shop/a/b"}"#;
        let rule = DeploymentRule::read(fine.as_bytes()).unwrap().check().unwrap();
        assert_eq!((&*rule.name, rule.model, rule.gpus), ("studio", None, Some(2)));
        for (json, field) in [
            ("[]", "not a deployment"),
            (r#"{"name":"a"}"#, "provider"),
            (r#"{"name":"a","provider":"b","gpu":1}"#, "`gpu`"),
            (r#"{"name":"a","provider":"b","gpus":-1}"#, "`gpus`"),
            (r#"{"name":"a","provider":"b","gpus":1.5}"#, "1.5"),
            (r#"{"name":"","provider":"b"}"#, "`name`"),
            (r#"{"name":"a","provider":" "}"#, "`provider`"),
            (r#"{"name":"a","provider":"b","model":"x\u0007"}"#, "`model`"),
            (r#"{"name":"a","provider":"b","versus":"gpt"}"#, "`versus`"),
            (r#"{"name":"a","provider":"b","status":"magic"}"#, "magic"),
        ] {
            assert!(refusal(json).contains(field), "{json}: {}", refusal(json));
        }
    }
}
