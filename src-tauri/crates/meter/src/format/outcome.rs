//! What an answer came to: its status, and lines for what nobody reported.

use super::answer::{Answer, Call};
use super::framing::Framing;
use super::{End, Guess, Reader, Reading, openai_usage};
use crate::receipt::{Anomaly, Status, UsageState};
use crate::request::{Asked, TextCount};
use crate::usage::{Basis, Bound, Factor, UsageLine};

/// Puts the reading together.
pub(super) fn reading(mut reader: Reader, end: End, asked: &Asked) -> Reading {
    let status = background(status(&mut reader, end), &reader, asked);
    let usage_state = bill(&mut reader, status, asked);
    // Some formats never name the model that served: then it is the one in path or body.
    let is_complete = status == Status::Succeeded && reader.read > 0;
    let mut answer = reader.answer;
    let usage_raw = answer.take_raw();
    let failure = answer.failure.clone().filter(|_| status == Status::Error).unwrap_or_default();
    Reading {
        status,
        stream: reader.is_stream,
        finish_reason: answer.finish_reason(),
        model: answer.model.or_else(|| asked.model.clone().filter(|_| is_complete)),
        response_id: answer.id.or_else(|| asked.job.clone()),
        service_tier: answer.service_tier,
        region: answer.region,
        error_type: failure.word,
        error_message: failure.sentence,
        upstream_request_id: answer.request_id,
        lines: answer.lines,
        usage_raw,
        usage_state,
        reported_cost: answer.reported_cost,
        anomalies: answer.anomalies,
    }
}

fn status(reader: &mut Reader, end: End) -> Status {
    let is_sse = matches!(reader.framing, Framing::Sse(_));
    let is_cut = !is_sse && !reader.scanner.is_fresh();
    if reader.unreadable > 0 || is_cut && end == End::Complete {
        reader.answer.flag(Anomaly::Unreadable);
    }
    if reader.is_refused() || reader.answer.failure.is_some() {
        // A refusal whose document was cut may have told enough.
        if let Some(failure) = reader.answer.trouble.take() {
            reader.answer.fail(failure);
        }
        return Status::Error;
    }
    let seen = reader.answer.seen;
    let is_stream = is_sse || reader.is_stream;
    match end {
        End::ClientLeft if seen.usage || seen.terminal => settled(&reader.answer),
        End::ClientLeft => Status::Cancelled,
        // A whole document has no marker to go by: it is there when all of it is.
        End::Broken if seen.terminal && is_stream && !is_cut => settled(&reader.answer),
        End::Broken => Status::Error,
        End::Complete if is_stream && reader.shape.marks_its_end() && !seen.terminal => {
            reader.answer.flag(Anomaly::UnterminatedStream);
            Status::Error
        }
        End::Complete if is_cut => Status::Error,
        End::Complete => settled(&reader.answer),
    }
}

/// A job in the background goes on when the stream that shows it ends early.
fn background(status: Status, reader: &Reader, asked: &Asked) -> Status {
    let answer = &reader.answer;
    let is_early = answer.failure.is_none() && !reader.is_refused() && !answer.seen.terminal;
    let is_cut = matches!(status, Status::Cancelled | Status::Error);
    let goes_on = is_cut && is_early && asked.is_background && answer.id.is_some();
    if goes_on { Status::Pending } else { status }
}

fn settled(answer: &Answer) -> Status {
    answer.outcome.unwrap_or(Status::Succeeded)
}

/// Makes lines of what was reported, then of what can be guessed.
fn bill(reader: &mut Reader, status: Status, asked: &Asked) -> UsageState {
    if reader.is_refused() {
        return UsageState::None;
    }
    let answer = &mut reader.answer;
    if let Some(cached) = reader.cached.filter(|_| !reader.is_stream) {
        openai_usage::note_cached(answer, cached);
    }
    reader.shape.bill(answer, Call { asked, reasoning: reader.reasoning });
    let has_reported = answer.lines.iter().any(|line| line.basis == Basis::Reported);
    if has_reported && answer.seen.usage {
        return UsageState::Reported;
    }
    bound(answer);
    if matches!(status, Status::Succeeded | Status::Cancelled) && reader.status != 0 {
        guess(answer, reader.shape.guess(), status, asked);
    }
    match (has_reported, answer.lines.is_empty()) {
        (true, _) => UsageState::Partial,
        (false, false) => UsageState::Estimated,
        (false, true) if reader.shape.guess() == Guess::NothingToPay => UsageState::None,
        (false, true) => UsageState::Missing,
    }
}

/// A snapshot of an answer that went on: the prompt is known, of the output a part.
pub(super) fn bound(answer: &mut Answer) {
    if answer.seen.usage {
        return;
    }
    for line in answer.lines.iter_mut().filter(|line| line.factor.name().starts_with("output.")) {
        line.bound = Bound::Lower;
    }
}

fn guess(answer: &mut Answer, guess: Guess, status: Status, asked: &Asked) {
    let input = match guess {
        Guess::PromptAndAnswer => Factor::InputText,
        Guess::EmbeddedText => Factor::EmbeddingInput,
        Guess::Nothing | Guess::NothingToPay => return,
    };
    let has = |answer: &Answer, side: &str| {
        answer.lines.iter().any(|line| line.factor.name().starts_with(side))
    };
    if !has(answer, "input.") && !has(answer, "embedding.") && !asked.has_remote_history {
        let bound = if asked.has_media { Bound::Lower } else { Bound::Exact };
        answer.lines.extend(estimated(input, asked.text, bound));
    }
    if guess == Guess::PromptAndAnswer && !has(answer, "output.") {
        let bound = if status == Status::Cancelled { Bound::Lower } else { Bound::Exact };
        answer.lines.extend(estimated(Factor::OutputText, answer.text, bound));
    }
}

/// Never a zero: no text means nothing is known.
fn estimated(factor: Factor, text: TextCount, bound: Bound) -> Option<UsageLine> {
    let line = || UsageLine {
        basis: Basis::Estimated,
        bound,
        ..UsageLine::reported(factor, text.tokens())
    };
    (!text.is_empty()).then(line)
}
