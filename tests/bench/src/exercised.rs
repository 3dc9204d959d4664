//! What a heavy user's calls exercise: agents their tools, programs mostly nothing.

use meter::ReceiptId;
use meter::receipt::Capability::{PromptCaching, Reasoning, StructuredOutputs, Tools, Vision};
use meter::receipt::{Capability, Kind, Technology};

/// Sets of capabilities, and up to which of a hundred chats have each.
type Sets = &'static [(u64, &'static [Capability])];

/// An agent shows pictures now and then, and asks for titles without its tools.
const OF_AGENTS: Sets = &[
    (82, &[Tools, Reasoning, PromptCaching]),
    (88, &[Tools, Reasoning, PromptCaching, Vision]),
    (100, &[]),
];
const OF_PROGRAMS: Sets = &[(68, &[]), (94, &[StructuredOutputs]), (100, &[Vision])];

/// What a call of a client exercised, the same for the same id.
pub(crate) fn exercised(
    kind: Kind,
    client: &str,
    id: ReceiptId,
) -> (&'static [Capability], Option<Technology>) {
    match kind {
        Kind::Chat => {
            // 2^64 divided by the golden ratio: neighbours fall far apart.
            let mixed = id.ordinal().unsigned_abs().wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
            let is_agent = ["claude", "codex", "cursor", "aider", "cline", "opencode"]
                .iter()
                .any(|agent| client.to_ascii_lowercase().contains(agent));
            let sets = if is_agent { OF_AGENTS } else { OF_PROGRAMS };
            let set = sets.iter().find(|(below, _)| mixed % 100 < *below);
            let set = set.map_or(&[][..], |(_, set)| set);
            let sees = set.contains(&Vision);
            (set, Some(if sees { Technology::Vlm } else { Technology::Llm }))
        }
        Kind::Embedding => (&[], Some(Technology::Embedding)),
        Kind::Image => (&[], Some(Technology::Image)),
        _ => (&[], None),
    }
}
