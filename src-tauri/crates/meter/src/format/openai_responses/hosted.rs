//! Tools that the provider runs itself during a response, and what they are billed by.

use crate::format::answer::Answer;
use crate::format::members::Members;
use crate::format::reread::Recorded;
use crate::format::{NAME_LIMIT, USAGE_LIMIT};
use crate::json::{Kind, Want, plain};
use crate::leaves::Leaves;
use crate::usage::{Factor, UsageLine};

/// Containers told apart; more are counted as one.
const CONTAINER_LIMIT: usize = 16;
/// The older search tool, and the value that marks its calls for the price book.
const PREVIEW: &str = "web_search_preview";
/// What stands beside the usage of the response itself.
const USAGE: &str = "tool_usage";

/// What was called, as far as the output tells, and what the response says about it.
#[derive(Debug, Default)]
pub(super) struct Hosted {
    item: Item,
    /// The calls in the current document, and in the answer.
    current: Calls,
    all: Calls,
    tool: Tool,
    /// The model of the image tool, as configured.
    image_model: Option<Box<str>>,
    search: Search,
    usage: Leaves,
    /// The same, verbatim.
    told: Option<Box<str>>,
}

/// Which tool the web was searched with, as configured: their fees differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Search {
    #[default]
    Current,
    Preview,
}

#[derive(Debug, Default)]
struct Item {
    kind: Option<Box<str>>,
    action: Option<Box<str>>,
    container: Option<Box<str>>,
}

#[derive(Debug, Default)]
struct Tool {
    kind: Option<Box<str>>,
    model: Option<Box<str>>,
}

#[derive(Clone, Debug, Default)]
struct Calls {
    is_told: bool,
    searches: u64,
    file_searches: u64,
    images: u64,
    containers: Vec<Box<str>>,
}

impl Hosted {
    pub(super) fn want(&self, path: &[&str], kind: Kind) -> Want {
        match (path, kind) {
            ([USAGE], Kind::Object) => Want::Keep(USAGE_LIMIT),
            (["output" | "tools" | "item"] | ["output" | "tools", _], _) => Want::Walk,
            (["tools", _, "type" | "model"], Kind::String) => Want::Keep(NAME_LIMIT),
            (["output", _, field @ ..] | ["item", field @ ..], _) => match (field, kind) {
                (["action"], Kind::Object) => Want::Walk,
                (["type" | "container_id"] | ["action", "type"], Kind::String) => {
                    Want::Keep(NAME_LIMIT)
                }
                // Text may be inside.
                (["content" | "summary"] | ["content" | "summary", _], _) => Want::Walk,
                _ => Want::Skip,
            },
            _ => Want::Skip,
        }
    }

    pub(super) fn kept(&mut self, path: &[&str], json: &str) {
        let text = || Some(plain(json).into());
        match path {
            [USAGE] => {
                self.usage = Leaves::of(json);
                self.told = Some(json.into());
            }
            ["tools", _, "type"] => self.tool.kind = text(),
            ["tools", _, "model"] => self.tool.model = text(),
            ["output", _, "type"] | ["item", "type"] => self.item.kind = text(),
            [.., "action", "type"] => self.item.action = text(),
            [.., "container_id"] => self.item.container = text(),
            _ => {}
        }
    }

    pub(super) fn left(&mut self, path: &[&str]) {
        match path {
            ["tools", _] => {
                let tool = std::mem::take(&mut self.tool);
                match tool.kind.as_deref().unwrap_or_default() {
                    "image_generation" => self.image_model = tool.model,
                    // With or without a date behind it.
                    kind if kind.starts_with(PREVIEW) => self.search = Search::Preview,
                    _ => {}
                }
            }
            ["output", _] | ["item"] => {
                let item = std::mem::take(&mut self.item);
                self.current.add(item);
            }
            _ => {}
        }
    }

    /// The item of the current document is part of the answer.
    pub(super) fn keep_items(&mut self) {
        let current = std::mem::take(&mut self.current);
        self.all.is_told |= current.is_told;
        self.all.searches += current.searches;
        self.all.file_searches += current.file_searches;
        self.all.images += current.images;
        for container in current.containers {
            self.all.enter(container);
        }
    }

    /// The current document has all items, so it replaces what was gathered one by one.
    pub(super) fn replace_items(&mut self) {
        let current = std::mem::take(&mut self.current);
        if current.is_told {
            self.all = current;
        }
    }

    /// The items of the current document are not complete.
    pub(super) fn forget_items(&mut self) {
        self.current = Calls::default();
    }

    /// Takes what was recorded for what is told.
    pub(super) fn recall(&mut self, recorded: &Recorded<'_>) {
        let told = Members::of(recorded.usage.as_str());
        self.usage = told.get(USAGE).map(Leaves::of).unwrap_or_default();
        let drawn = recorded.lines.iter().find(|line| line.factor == Factor::OutputImage);
        self.image_model = drawn.and_then(|line| line.model.clone());
    }

    /// Makes lines: of what the response says was billed, else of the calls themselves.
    pub(super) fn bill(&self, answer: &mut Answer) {
        if let Some(told) = &self.told {
            answer.keep_beside(USAGE, told);
        }
        let is_told = |answer: &Answer, factor| answer.lines.iter().any(|l| l.factor == factor);
        match self.usage.count("web_search.num_requests") {
            Some(told) if !told.is_zero() => answer.reported(Factor::ToolWebSearch, Some(told)),
            None if self.all.searches > 0 && !is_told(answer, Factor::ToolWebSearch) => {
                answer.derived(Factor::ToolWebSearch, self.all.searches);
            }
            Some(_) | None => {}
        }
        if self.search == Search::Preview {
            let searches = answer.lines.iter_mut().filter(|l| l.factor == Factor::ToolWebSearch);
            searches.for_each(|line| line.attributes.push(("tool".into(), PREVIEW.into())));
        }
        if self.all.file_searches > 0 && !is_told(answer, Factor::ToolFileSearch) {
            answer.derived(Factor::ToolFileSearch, self.all.file_searches);
        }
        if !self.all.containers.is_empty() {
            answer.derived(Factor::ToolCodeSession, self.all.containers.len() as u64);
        }
        if !self.bill_images(answer) && self.all.images > 0 {
            answer.derived(Factor::ImagesGenerated, self.all.images);
        }
    }

    /// The image tool's own tokens: beside the response's usage, at its own model's price.
    fn bill_images(&self, answer: &mut Answer) -> bool {
        let count = |name: &str| self.usage.count(&format!("image_gen.{name}"));
        let (input, output) = (count("input_tokens"), count("output_tokens"));
        let cached = count("input_tokens_details.cached_tokens").or_else(|| count("cached_tokens"));
        let cached = cached.unwrap_or_default();
        let image_in = count("input_tokens_details.image_tokens").unwrap_or_default();
        let text_out = count("output_tokens_details.text_tokens").unwrap_or_default();
        let (input, output) = (input.unwrap_or_default(), output.unwrap_or_default());
        let fresh = input.less(cached).unwrap_or_default();
        let lines = [
            (Factor::InputText, fresh.less(image_in).unwrap_or_default()),
            (Factor::InputImage, image_in.min(fresh)),
            (Factor::InputCacheRead, cached),
            (Factor::OutputText, text_out),
            (Factor::OutputImage, output.less(text_out).unwrap_or_default()),
        ];
        for (factor, count) in lines.into_iter().filter(|(_, count)| !count.is_zero()) {
            let model = self.image_model.clone();
            answer.lines.push(UsageLine { model, ..UsageLine::reported(factor, count) });
        }
        !input.plus(output).is_zero()
    }
}

impl Calls {
    fn add(&mut self, item: Item) {
        self.is_told = true;
        match item.kind.as_deref() {
            // Opening a page or searching in it is not billed.
            Some("web_search_call") => {
                self.searches += u64::from(matches!(item.action.as_deref(), Some("search")));
            }
            Some("file_search_call") => self.file_searches += 1,
            Some("image_generation_call") => self.images += 1,
            Some("code_interpreter_call") => self.enter(item.container.unwrap_or_default()),
            Some(_) | None => {}
        }
    }

    fn enter(&mut self, container: Box<str>) {
        if !self.containers.contains(&container) && self.containers.len() < CONTAINER_LIMIT {
            self.containers.push(container);
        }
    }
}
