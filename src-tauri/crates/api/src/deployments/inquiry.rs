//! What a self-hosted server is asked about its models, path by path, and what its answers mean.
//! Only paths that load nothing and keep nothing loaded. Servers may lie: whatever they say is
//! bounded here and believed no further than that some model is ready.

use std::collections::{BTreeMap, BTreeSet};

use meter::provider::ServerStatus;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// The most models of one server that are told apart.
pub const MOST_MODELS: usize = 1000;
/// The longest name of a model, in bytes.
const LONGEST_NAME: usize = 300;

/// What came back for one path.
#[derive(Clone, Copy, Debug)]
pub enum Heard<'a> {
    /// An answer, whole.
    Answer {
        /// Its HTTP status.
        status: u16,
        /// Its body.
        body: &'a [u8],
    },
    /// It was longer than anybody waits for.
    TooLong,
    /// Nothing, in time.
    Silence,
}

/// How a server stood when it was asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ServerState {
    /// It answers.
    Up,
    /// It answers, and has put its model away until somebody needs it.
    Asleep,
    /// It answers that it is not ready yet.
    Loading,
    /// Nobody answers there.
    #[default]
    Unreachable,
    /// Its answers make no sense.
    Unclear,
}

/// A model that a server holds ready.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReadyModel {
    /// Whether any of it is on a graphics processor, where the server says so.
    pub on_gpu: Option<bool>,
}

/// What a server said of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerReading {
    /// How it stands.
    pub state: ServerState,
    /// Models it holds ready.
    pub ready: BTreeMap<Box<str>, ReadyModel>,
    /// Whether it has one model, and answers with that whatever it is asked for; or does not tell
    /// strangers which models it has.
    pub serves_any: bool,
    /// Models it could load, where it said so.
    pub installed: Option<BTreeSet<Box<str>>>,
    /// Requests it works on.
    pub running: Option<u64>,
    /// Requests that wait for it.
    pub waiting: Option<u64>,
}

/// An inquiry under way: what to ask next, as long as there is something.
#[derive(Debug)]
pub struct Inquiry {
    next: Option<Step>,
    reading: ServerReading,
}

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    OllamaLoaded,
    OllamaInstalled,
    VllmHealth,
    VllmModels,
    VllmMetrics,
    LlamaHealth,
    LlamaProps,
    LlamaModels,
    LlamaSlots,
    LlamaMetrics,
    LmStudioModels,
    OpenaiModels,
}

impl Step {
    const fn path(self) -> &'static str {
        match self {
            Self::OllamaLoaded => "/api/ps",
            Self::OllamaInstalled => "/api/tags",
            Self::VllmHealth | Self::LlamaHealth => "/health",
            Self::VllmModels | Self::LlamaModels | Self::OpenaiModels => "/v1/models",
            Self::VllmMetrics | Self::LlamaMetrics => "/metrics",
            Self::LlamaProps => "/props",
            Self::LlamaSlots => "/slots",
            Self::LmStudioModels => "/api/v0/models",
        }
    }
}

impl Inquiry {
    /// One of a server that can be asked so.
    pub fn of(shape: ServerStatus) -> Self {
        let next = match shape {
            ServerStatus::Ollama => Some(Step::OllamaLoaded),
            ServerStatus::Vllm => Some(Step::VllmHealth),
            ServerStatus::Llamacpp => Some(Step::LlamaHealth),
            ServerStatus::Lmstudio => Some(Step::LmStudioModels),
            ServerStatus::Openai => Some(Step::OpenaiModels),
            ServerStatus::None => None,
        };
        Self { next, reading: ServerReading::default() }
    }

    /// The path to ask for; absent: there is nothing more to ask.
    pub fn next(&self) -> Option<&'static str> {
        self.next.map(Step::path)
    }

    /// Takes what came of that.
    pub fn hear(&mut self, heard: Heard<'_>) {
        let Some(step) = self.next.take() else { return };
        let (status, body) = match heard {
            Heard::Answer { status, body } => (status, body),
            Heard::TooLong => return self.unless_known(ServerState::Unclear),
            Heard::Silence => return self.unless_known(ServerState::Unreachable),
        };
        self.next = match step {
            Step::OllamaLoaded => self.ollama_loaded(status, body),
            Step::OllamaInstalled => self.ollama_installed(status, body),
            Step::VllmHealth => self.health(status).then_some(Step::VllmModels),
            Step::VllmModels => {
                self.listed(status, body);
                Some(Step::VllmMetrics)
            }
            Step::VllmMetrics => {
                let counts = ["vllm:num_requests_running", "vllm:num_requests_waiting"];
                self.counted(status, body, counts)
            }
            Step::LlamaHealth => self.health(status).then_some(Step::LlamaProps),
            Step::LlamaProps => self.llama_props(status, body),
            Step::LlamaModels => self.llama_models(status, body),
            Step::LlamaSlots => self.llama_slots(status, body),
            Step::LlamaMetrics => {
                let counts = ["llamacpp:requests_processing", "llamacpp:requests_deferred"];
                self.counted(status, body, counts)
            }
            Step::LmStudioModels => self.lm_studio(status, body),
            Step::OpenaiModels => {
                self.listed(status, body);
                None
            }
        };
    }

    /// What is known in the end.
    pub fn end(self) -> ServerReading {
        self.reading
    }

    /// A later question that goes wrong takes nothing from what the first answers said.
    fn unless_known(&mut self, state: ServerState) {
        if self.reading.state == ServerState::Unreachable {
            self.reading.state = state;
        }
    }

    fn health(&mut self, status: u16) -> bool {
        self.reading.state = match status {
            200..=299 => ServerState::Up,
            503 => ServerState::Loading,
            _ => ServerState::Unclear,
        };
        self.reading.state == ServerState::Up
    }

    fn ollama_loaded(&mut self, status: u16, body: &[u8]) -> Option<Step> {
        let Some(list) = read::<Named>(status, body) else {
            self.reading.state = ServerState::Unclear;
            return None;
        };
        self.reading.state = ServerState::Up;
        for model in list.models {
            // A size that is missing or makes no sense tells nothing.
            let on_gpu = model.size_vram.map(|bytes| bytes > 0);
            self.ready(model.name.or(model.model), on_gpu);
        }
        Some(Step::OllamaInstalled)
    }

    fn ollama_installed(&mut self, status: u16, body: &[u8]) -> Option<Step> {
        let list = read::<Named>(status, body)?;
        let names = list.models.into_iter().filter_map(|model| model.name.or(model.model));
        self.reading.installed = Some(names.filter_map(fit).take(MOST_MODELS).collect());
        None
    }

    /// The list of a server that has everything loaded that it lists.
    fn listed(&mut self, status: u16, body: &[u8]) {
        // It is there, and wants a key that no status is worth.
        if matches!(status, 401 | 403) {
            self.reading.state = ServerState::Up;
            self.reading.serves_any = true;
            return;
        }
        match read::<Listed>(status, body) {
            Some(list) => {
                self.reading.state = ServerState::Up;
                list.data.into_iter().for_each(|model| self.ready(model.id, None));
            }
            None => self.unless_known(ServerState::Unclear),
        }
    }

    fn llama_props(&mut self, status: u16, body: &[u8]) -> Option<Step> {
        let Some(props) = read::<Props>(status, body) else {
            // Healthy, and tells nothing more: then it is not asked what might wake it.
            self.reading.serves_any = true;
            return None;
        };
        if props.is_sleeping == Some(true) {
            self.reading.state = ServerState::Asleep;
            return None;
        }
        if props.role.as_deref() == Some("router") {
            return Some(Step::LlamaModels);
        }
        self.reading.serves_any = true;
        self.ready(props.model_alias, None);
        Some(Step::LlamaSlots)
    }

    fn llama_models(&mut self, status: u16, body: &[u8]) -> Option<Step> {
        let list = read::<Listed>(status, body)?;
        let mut installed = BTreeSet::new();
        for model in list.data {
            let is_loaded = model.status.as_ref().is_some_and(|status| status.value == "loaded");
            installed
                .extend(model.id.clone().and_then(fit).filter(|_| installed.len() < MOST_MODELS));
            if is_loaded {
                self.ready(model.id, None);
            }
        }
        self.reading.installed = Some(installed);
        None
    }

    fn llama_slots(&mut self, status: u16, body: &[u8]) -> Option<Step> {
        let Some(slots) = read::<Vec<Slot>>(status, body) else { return Some(Step::LlamaMetrics) };
        let busy = slots.iter().filter(|slot| slot.is_processing).count();
        self.reading.running = Some(busy as u64);
        None
    }

    fn lm_studio(&mut self, status: u16, body: &[u8]) -> Option<Step> {
        let Some(list) = read::<Listed>(status, body) else {
            self.reading.state = ServerState::Unclear;
            return None;
        };
        self.reading.state = ServerState::Up;
        let mut installed = BTreeSet::new();
        for model in list.data {
            installed
                .extend(model.id.clone().and_then(fit).filter(|_| installed.len() < MOST_MODELS));
            if model.state.as_deref() == Some("loaded") {
                self.ready(model.id, None);
            }
        }
        self.reading.installed = Some(installed);
        None
    }

    fn counted(&mut self, status: u16, body: &[u8], names: [&str; 2]) -> Option<Step> {
        if status == 200 {
            let text = String::from_utf8_lossy(body);
            [self.reading.running, self.reading.waiting] = names.map(|name| gauge(&text, name));
        }
        None
    }

    fn ready(&mut self, name: Option<String>, on_gpu: Option<bool>) {
        let Some(name) = name.and_then(fit) else { return };
        if self.reading.ready.len() < MOST_MODELS {
            self.reading.ready.insert(name, ReadyModel { on_gpu });
        }
    }
}

/// A name that may be a model's.
fn fit(name: String) -> Option<Box<str>> {
    let is_fit = !name.trim().is_empty()
        && name.len() <= LONGEST_NAME
        && !name.chars().any(char::is_control);
    is_fit.then(|| name.into())
}

fn read<T: DeserializeOwned>(status: u16, body: &[u8]) -> Option<T> {
    (200..300).contains(&status).then(|| serde_json::from_slice(body).ok()).flatten()
}

/// The sum of a whole and positive measure over its labels; absent where any of them is no such
/// number, or there is none.
fn gauge(text: &str, name: &str) -> Option<u64> {
    let mut sum = None;
    for line in text.lines() {
        let Some(rest) = line.strip_prefix(name) else { continue };
        let value = match rest.split_once('}') {
            Some((labels, value)) if labels.starts_with('{') => value,
            None if rest.starts_with(' ') => rest,
            Some(_) | None => continue,
        };
        let value = value.split_whitespace().next()?;
        let whole = value.strip_suffix(".0").unwrap_or(value);
        let count = whole.parse::<u64>().ok().filter(|count| *count <= MOST_REQUESTS)?;
        sum = Some(sum.unwrap_or(0).min(MOST_REQUESTS) + count);
    }
    sum
}

/// More at the same time than this, and it is no number of requests.
const MOST_REQUESTS: u64 = 1_000_000;

#[derive(Deserialize)]
struct Named {
    models: Vec<NamedModel>,
}

#[derive(Deserialize)]
struct NamedModel {
    name: Option<String>,
    model: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    size_vram: Option<u64>,
}

#[derive(Deserialize)]
struct Listed {
    data: Vec<ListedModel>,
}

#[derive(Deserialize)]
struct ListedModel {
    id: Option<String>,
    /// Whether it is loaded, in one server's words.
    #[serde(default, deserialize_with = "lenient")]
    state: Option<String>,
    /// The same in another's.
    #[serde(default, deserialize_with = "lenient")]
    status: Option<ModelStatus>,
}

#[derive(Deserialize)]
struct ModelStatus {
    value: String,
}

#[derive(Deserialize)]
struct Props {
    #[serde(default, deserialize_with = "lenient")]
    is_sleeping: Option<bool>,
    #[serde(default, deserialize_with = "lenient")]
    role: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    model_alias: Option<String>,
}

#[derive(Deserialize)]
struct Slot {
    #[serde(default)]
    is_processing: bool,
}

/// A field that is not what it should be says nothing.
fn lenient<'de, T: DeserializeOwned, D: serde::Deserializer<'de>>(
    input: D,
) -> Result<Option<T>, D::Error> {
    let value = serde_json::Value::deserialize(input)?;
    Ok(serde_json::from_value(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a server came to that answers so, and what it was asked.
    fn asked(
        shape: ServerStatus,
        answers: &[(&str, u16, &str)],
    ) -> (ServerReading, Vec<&'static str>) {
        let (mut inquiry, mut paths) = (Inquiry::of(shape), Vec::new());
        while let Some(path) = inquiry.next() {
            paths.push(path);
            let found = answers.iter().find(|(known, ..)| *known == path);
            inquiry.hear(match found {
                Some((_, 0, _)) => Heard::TooLong,
                Some((_, status, body)) => Heard::Answer { status: *status, body: body.as_bytes() },
                None => Heard::Silence,
            });
        }
        (inquiry.end(), paths)
    }

    fn names(reading: &ServerReading) -> Vec<&str> {
        reading.ready.keys().map(|name| &**name).collect()
    }

    #[test]
    fn loaded_models_are_told_from_installed_ones() {
        let ps = r#"{"models":[{"name":"a:latest","size_vram":5},{"model":"b","size_vram":0},
            {"name":"c","size_vram":-7}]}"#;
        let tags = r#"{"models":[{"name":"a:latest"},{"name":"b"},{"name":"d"}]}"#;
        let answers = [("/api/ps", 200, ps), ("/api/tags", 200, tags)];
        let (reading, paths) = asked(ServerStatus::Ollama, &answers);
        assert_eq!(paths, ["/api/ps", "/api/tags"]);
        assert_eq!((reading.state, names(&reading)), (ServerState::Up, vec!["a:latest", "b", "c"]));
        let on_gpu: Vec<_> = reading.ready.values().map(|model| model.on_gpu).collect();
        assert_eq!(on_gpu, [Some(true), Some(false), None]);
        assert_eq!(reading.installed.unwrap().len(), 3);
    }

    #[test]
    fn a_server_of_one_model_is_up_when_it_says_so_and_counts_what_it_works_on() {
        let metrics = "# HELP vllm:num_requests_running x\nvllm:num_requests_running{model_name=\"m\"} 3.0\n\
            vllm:num_requests_running{model_name=\"n\"} 1\nvllm:num_requests_waiting{model_name=\"m\"} NaN\n";
        let models = r#"{"object":"list","data":[{"id":"m"},{"id":"n"}]}"#;
        let mut answers =
            vec![("/health", 200, ""), ("/v1/models", 200, models), ("/metrics", 200, metrics)];
        let (reading, paths) = asked(ServerStatus::Vllm, &answers);
        assert_eq!(paths, ["/health", "/v1/models", "/metrics"]);
        assert_eq!(
            (names(&reading), reading.running, reading.waiting),
            (vec!["m", "n"], Some(4), None)
        );
        // A list that wants a key is no reason to show one.
        answers[1].1 = 401;
        let (reading, _) = asked(ServerStatus::Vllm, &answers);
        assert_eq!((reading.state, reading.serves_any), (ServerState::Up, true));
        answers[0].1 = 503;
        let (reading, paths) = asked(ServerStatus::Vllm, &answers);
        assert_eq!((reading.state, &*paths), (ServerState::Loading, &["/health"][..]));
    }

    #[test]
    fn a_server_that_sleeps_is_not_asked_what_could_wake_it() {
        let props = r#"{"is_sleeping":true,"model_alias":"m"}"#;
        let mut answers = vec![("/health", 200, "{}"), ("/props", 200, props)];
        let (reading, paths) = asked(ServerStatus::Llamacpp, &answers);
        assert_eq!((reading.state, &*paths), (ServerState::Asleep, &["/health", "/props"][..]));
        assert!(reading.ready.is_empty() && !reading.serves_any);
        answers[1].2 = r#"{"is_sleeping":false,"model_alias":"m"}"#;
        answers.push(("/slots", 200, r#"[{"is_processing":true},{"is_processing":false},{}]"#));
        let (reading, paths) = asked(ServerStatus::Llamacpp, &answers);
        assert_eq!(paths, ["/health", "/props", "/slots"]);
        assert_eq!(
            (reading.running, reading.serves_any, names(&reading)),
            (Some(1), true, vec!["m"])
        );
        answers[2].1 = 501;
        let (_, paths) = asked(ServerStatus::Llamacpp, &answers);
        assert_eq!(paths.last(), Some(&"/metrics"));
        answers[1].2 = r#"{"role":"router"}"#;
        let list = r#"{"data":[{"id":"x","status":{"value":"unloaded"}},{"id":"y","status":{"value":"loaded"}},{"id":"z","status":7}]}"#;
        answers.push(("/v1/models", 200, list));
        let (reading, _) = asked(ServerStatus::Llamacpp, &answers);
        assert_eq!((names(&reading), reading.installed.as_ref().unwrap().len()), (vec!["y"], 3));
    }

    #[test]
    fn a_desktop_server_says_itself_what_is_loaded() {
        let list =
            r#"{"data":[{"id":"a","state":"loaded"},{"id":"b","state":"not-loaded"},{"id":"c"}]}"#;
        let (reading, paths) = asked(ServerStatus::Lmstudio, &[("/api/v0/models", 200, list)]);
        assert_eq!((&*paths, names(&reading)), (&["/api/v0/models"][..], vec!["a"]));
    }

    #[test]
    fn whatever_a_server_says_wrong_it_is_only_unclear() {
        use ServerState::{Unclear, Unreachable, Up};
        for (body, state) in [
            ("", Unclear),
            ("<html>", Unclear),
            (r#"{"models":7}"#, Unclear),
            (r#"{"models":[]}"#, Up),
            (r#"{"models":[{}]}"#, Up),
            (r#"{"models":[{"name":" "},{"name":"a\u001b[2J"}]}"#, Up),
        ] {
            let (reading, _) = asked(ServerStatus::Ollama, &[("/api/ps", 200, body)]);
            assert_eq!((reading.state, reading.ready.len()), (state, 0), "{body}");
        }
        let (reading, paths) = asked(ServerStatus::Ollama, &[]);
        assert_eq!((reading.state, paths.len()), (Unreachable, 1));
        assert_eq!(asked(ServerStatus::Openai, &[("/v1/models", 0, "")]).0.state, Unclear);
        assert_eq!(asked(ServerStatus::Openai, &[("/v1/models", 302, "")]).0.state, Unclear);
        assert!(asked(ServerStatus::None, &[]).1.is_empty());
        let many: Vec<String> = (0..5000).map(|n| format!(r#"{{"id":"m{n}"}}"#)).collect();
        let list = format!(r#"{{"data":[{}]}}"#, many.join(","));
        let (reading, _) = asked(ServerStatus::Openai, &[("/v1/models", 200, &list)]);
        assert_eq!(reading.ready.len(), MOST_MODELS);
        let deep = "[".repeat(100_000);
        assert_eq!(asked(ServerStatus::Openai, &[("/v1/models", 200, &deep)]).0.state, Unclear);
    }

    #[test]
    fn a_measure_that_is_no_number_of_requests_is_none() {
        for (text, count) in [
            ("m 3", Some(3)),
            ("m{a=\"}\"} 3", None),
            ("m -1", None),
            ("m 1e9", None),
            ("m NaN", None),
            ("m 99999999999999999999", None),
            ("m_total 5", None),
            ("m", None),
            ("m{a=\"b\"} 2.0 1732\nm{a=\"c\"} 1", Some(3)),
        ] {
            assert_eq!(gauge(text, "m"), count, "{text}");
        }
    }
}
