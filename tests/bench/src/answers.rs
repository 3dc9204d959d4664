//! Whether a subject answers with what the upstream said, asked before it is measured: a server
//! that answers something else quickly has no place in the table.

use anyhow::{Context, ensure};
use serde_json::Value;

use crate::case::Case;
use crate::run::PAUSE;
use crate::subject::Subject;
use crate::upstream::{CHUNKS, OUTPUT_TOKENS, PROMPT_TOKENS, STAMP, streamed_text, whole_text};
use crate::wire::Connection;

/// Asks one call of each sort; returns how many those were.
pub(crate) fn check(subject: &Subject) -> anyhow::Result<usize> {
    let cases = [Case::Call, Case::Stream, Case::AssistedStream, Case::Paced(PAUSE)];
    for case in cases {
        let answer = ask(subject, case)?;
        is_upstreams(case, &answer).with_context(|| {
            format!("{} does not pass on the upstream's answer:\n{answer}", subject.name)
        })?;
    }
    Ok(cases.len())
}

fn ask(subject: &Subject, case: Case) -> anyhow::Result<String> {
    let mut body = Vec::new();
    Connection::open(subject.address)?
        .call(&subject.request(case), &mut |bytes| body.extend_from_slice(bytes))
        .with_context(|| format!("{} was asked for {case:?}", subject.name))?;
    Ok(String::from_utf8(body)?)
}

fn is_upstreams(case: Case, answer: &str) -> anyhow::Result<()> {
    let events = match case {
        Case::Call => vec![serde_json::from_str(answer)?],
        Case::Stream | Case::AssistedStream | Case::Paced(_) => events(answer)?,
    };
    let text: String = events.iter().filter_map(said).collect();
    match case {
        Case::Call => ensure!(text == whole_text(), "it says something else"),
        Case::Stream | Case::AssistedStream => {
            ensure!(text == streamed_text(), "it says something else");
        }
        Case::Paced(_) => {
            let stamps = text.matches(STAMP).count();
            ensure!(stamps == CHUNKS as usize, "{stamps} of {CHUNKS} chunks were paced");
        }
    }
    match case {
        // Only some put in what was not asked for.
        Case::AssistedStream => Ok(()),
        Case::Call | Case::Stream | Case::Paced(_) => {
            let usage = events.iter().map(|event| &event["usage"]).rfind(|usage| usage.is_object());
            let usage = usage.context("it has no usage")?;
            let exact = usage["prompt_tokens"] == PROMPT_TOKENS
                && usage["completion_tokens"] == OUTPUT_TOKENS;
            ensure!(exact, "its usage is another: `{usage}`");
            Ok(())
        }
    }
}

/// What a whole answer's or an event's first choice says.
fn said(event: &Value) -> Option<&str> {
    let choice = &event["choices"][0];
    choice["message"]["content"].as_str().or_else(|| choice["delta"]["content"].as_str())
}

fn events(stream: &str) -> anyhow::Result<Vec<Value>> {
    let data = stream.lines().filter_map(|line| line.strip_prefix("data:")).map(str::trim);
    let objects = data.filter(|data| *data != "[DONE]");
    Ok(objects.map(serde_json::from_str).collect::<Result<_, _>>()?)
}
