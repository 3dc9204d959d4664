//! A receipt on paper: what was used, line by line, what it came to, and what else is known.
//! Only lays out what it is given; adds nothing up.

use anstyle::Style;
use api::standing::Standing;
use chrono_tz::Tz;
use meter::receipt::{CostState, Line, Receipt, Settlement, Status};
use meter::usage::{Basis, Bound};
use meter::{Currency, Money};
use unicode_width::UnicodeWidthStr as _;

use super::figure::{
    bytes, count, duration, full_instant, grouped, in_currency, line_money, microseconds, unit,
};
use super::screen::{BAD, FAINT, GOOD, ODD, PLAIN, STRONG, harmless, painted};
use super::table::cut;
use super::words;

/// The widest a receipt gets, whatever the terminal.
const WIDEST: usize = 71;

/// Where the values of named facts begin.
const VALUES: usize = 18;

/// Draws `receipt` at most `width` columns wide, times by the clock of `zone`.
pub(crate) fn draw(receipt: &Receipt, zone: Tz, width: Option<usize>) -> String {
    // Odd, so that the dashes of a rule end where amounts do.
    let width = (width.unwrap_or(WIDEST).min(WIDEST) - 1) | 1;
    let mut paper = Paper { width, text: String::new() };
    head(&mut paper, receipt, zone);
    paper.rule();
    items(&mut paper, receipt);
    paper.rule();
    outcome(&mut paper, receipt);
    paper.rule();
    facts(&mut paper, receipt);
    attempts(&mut paper, receipt);
    remarks(&mut paper, receipt, zone);
    paper.rule();
    paper.centre(&receipt.id.to_string(), FAINT);
    paper.text
}

fn head(paper: &mut Paper, receipt: &Receipt, zone: Tz) {
    let model = receipt.model.as_deref().or(receipt.model_requested.as_deref());
    paper.centre(model.unwrap_or("no model"), STRONG);
    if let (Some(asked), Some(served)) = (&receipt.model_requested, &receipt.model)
        && asked != served
    {
        paper.centre(&format!("asked for {asked}"), FAINT);
    }
    let stream = if receipt.stream { " · streamed" } else { "" };
    paper.centre(&format!("{} · {}{stream}", receipt.provider, receipt.kind), PLAIN);
    paper.centre(&full_instant(receipt.started_at, zone), PLAIN);
}

fn items(paper: &mut Paper, receipt: &Receipt) {
    let standing = Standing::of(receipt);
    // What was counted as none is in the JSON; on paper it would only be in the way.
    for line in standing.lines.iter().filter(|line| !line.count.is_zero()) {
        item(paper, line, receipt.currency);
    }
    if standing.lines.is_empty() {
        paper.plain(words::usage_state(standing.usage_state));
    }
    paper.rule();
    let total = match (standing.cost, standing.cost_state) {
        (Some(cost), _) => in_currency(&line_money(cost), receipt.currency),
        (None, CostState::Free) => "free".to_owned(),
        (None, _) => "unknown".to_owned(),
    };
    let known = standing.cost.is_some() || standing.cost_state == CostState::Free;
    paper.pair("TOTAL", &total, if known { STRONG } else { ODD });
    if let (None, Some(subtotal)) = (standing.cost, standing.subtotal) {
        paper.pair("  of it priced", &in_currency(&line_money(subtotal), receipt.currency), PLAIN);
    }
    paper.faint(&cost_words(receipt, &standing));
    let tokens = api::standing::tokens(receipt);
    if tokens.input != 0 || tokens.output != 0 {
        let both = format!("{} input · {} output", grouped(tokens.input), grouped(tokens.output));
        paper.fact("Tokens", &both, PLAIN);
    }
}

fn item(paper: &mut Paper, line: &Line, currency: Currency) {
    let amount = line
        .amount
        .map_or_else(|| "unknown".to_owned(), |amount| in_currency(&line_money(amount), currency));
    let style = if line.amount.is_some() { PLAIN } else { ODD };
    let on = line.model.as_deref().map(|model| format!(" · {model}")).unwrap_or_default();
    paper.pair(&format!("{}{on}", words::factor(&line.factor)), &amount, style);
    let bound = match line.bound {
        Bound::Exact => "",
        Bound::Lower => "at least ",
        Bound::Upper => "at most ",
    };
    let basis = match line.basis {
        Basis::Reported => "",
        Basis::Derived => ", derived",
        Basis::Estimated => ", estimated",
    };
    let many = format!("{bound}{} {}", count(line.count), unit(line.unit, line.count));
    let rate = match line.rate.as_deref() {
        Some(rate) if rate.starts_with(|c: char| c.is_ascii_digit()) => {
            format!(" × {}", in_currency(&format!("${rate}"), currency))
        }
        Some(rate) => format!(", {rate}"),
        None => ", no price known".to_owned(),
    };
    let tier = match line.tier.as_deref() {
        None | Some("standard") => String::new(),
        Some(tier) => format!(", {tier}"),
    };
    paper.faint(&format!("  {many}{rate}{tier}{basis}"));
}

/// What stands behind the total, in words.
fn cost_words(receipt: &Receipt, standing: &Standing<'_>) -> String {
    let mut text = words::cost_state(standing.cost_state).to_owned();
    if standing.cost_state == CostState::ProviderReported
        && let Some(stated) = &receipt.reported_cost
    {
        text.push_str(&format!(" in {}", stated.source));
    }
    if standing.lines.iter().any(|line| line.basis == Basis::Estimated) {
        text.push_str(", from estimated usage");
    }
    let mut versions: Vec<&str> =
        standing.lines.iter().filter_map(|line| line.price_version.as_deref()).collect();
    versions.dedup();
    if let [first, ..] = *versions {
        text.push_str(&format!(" · price list {first}"));
    }
    text
}

fn outcome(paper: &mut Paper, receipt: &Receipt) {
    let status = Standing::of(receipt).status;
    let style = match status {
        Status::Succeeded => GOOD,
        Status::Pending | Status::Cancelled => ODD,
        Status::Error | Status::Denied | Status::Interrupted => BAD,
    };
    let code = receipt.http_status.map(|code| format!("{code} ")).unwrap_or_default();
    paper.fact("Status", &format!("{code}{status}"), style);
    if let Some(why) = words::status(status) {
        paper.fact("", why, FAINT);
    }
    paper.optional("Error", receipt.error_type.as_deref());
    paper.optional("", receipt.error_message.as_deref());
    paper.optional("Finished by", receipt.finish_reason.as_deref());
    if let Some(ms) = receipt.ttft_ms {
        paper.fact("First content", &duration(ms), PLAIN);
    }
    paper.fact("Total time", &duration(receipt.latency_ms), PLAIN);
    if let Some(us) = receipt.overhead_us {
        paper.fact("Tollgate added", &microseconds(us), PLAIN);
    }
    let sizes =
        format!("{} up · {} down", bytes(receipt.request_bytes), bytes(receipt.response_bytes));
    paper.fact("Body", &sizes, PLAIN);
    if receipt.client_left_early {
        paper.fact("", "the client hung up before the last byte", FAINT);
    }
}

fn facts(paper: &mut Paper, receipt: &Receipt) {
    let joined = |all: Vec<String>| (!all.is_empty()).then(|| all.join(", "));
    paper.fact("Workspace", &receipt.workspace, PLAIN);
    paper.optional("Pass", receipt.pass.as_deref());
    paper.optional("Key", receipt.key.as_deref());
    paper.fact("Paid by", words::billing(receipt.billing), PLAIN);
    paper.optional("Client", receipt.client.as_deref());
    let tags = receipt.tags.iter().map(|(name, value)| format!("{name}={value}")).collect();
    paper.optional("Tags", joined(tags).as_deref());
    let used = receipt.capabilities.iter().map(|c| c.as_str().replace('_', " ")).collect();
    paper.optional("Used", joined(used).as_deref());
    let route = receipt.route.as_deref().map(|route| match receipt.profile {
        Some(profile) => format!("{route} ({profile})"),
        None => route.to_owned(),
    });
    paper.optional("Route", route.as_deref());
    paper.optional("Tier", receipt.service_tier.as_deref());
    paper.optional("Region", receipt.region.as_deref());
    paper.fact("Upstream", &receipt.upstream, PLAIN);
    paper.optional("Format", receipt.format.map(meter::format::Format::as_str));
    paper.optional("Answer id", receipt.response_id.as_deref());
    paper.optional("Provider's id", receipt.upstream_request_id.as_deref());
    paper.optional("Trace", receipt.trace_id.as_deref());
}

fn attempts(paper: &mut Paper, receipt: &Receipt) {
    if receipt.attempts.len() < 2 && receipt.route.is_none() {
        return;
    }
    paper.rule();
    for (at, attempt) in receipt.attempts.iter().enumerate() {
        let name = format!("Attempt {}", at + 1);
        let code = attempt.http_status.map(|code| format!(" {code}")).unwrap_or_default();
        let model = attempt.model.as_deref().map(|model| format!(" {model}")).unwrap_or_default();
        let ended = words::attempt_end(attempt.ended);
        paper.fact(&name, &format!("{}{model}:{code} {ended}", attempt.provider), PLAIN);
        let (begun, took) = (duration(attempt.started_ms), duration(attempt.duration_ms));
        let cost = match (attempt.cost, &receipt.route) {
            (Some(cost), _) => format!(", {}", in_currency(&line_money(cost), receipt.currency)),
            (None, Some(_)) => ", cost unknown".to_owned(),
            (None, None) => String::new(),
        };
        paper.fact("", &format!("after {begun}, for {took}{cost}"), FAINT);
        if let Some(chosen) = &attempt.chosen {
            paper.fact("", chosen, FAINT);
        }
    }
}

fn remarks(paper: &mut Paper, receipt: &Receipt, zone: Tz) {
    let has_any =
        !receipt.anomalies.is_empty() || !receipt.settlements.is_empty() || receipt.note.is_some();
    if has_any || receipt.assisted {
        paper.rule();
    }
    if receipt.assisted {
        paper.faint("Tollgate asked for the usage and took its frame out again.");
    }
    for anomaly in &receipt.anomalies {
        paper.painted(&format!("! {}", words::anomaly(*anomaly)), ODD);
    }
    if Standing::of(receipt).is_repriced() {
        first(paper, receipt);
    }
    for settlement in &receipt.settlements {
        settled(paper, receipt, settlement, zone);
    }
    if let Some(note) = &receipt.note {
        paper.plain(note);
    }
}

fn settled(paper: &mut Paper, receipt: &Receipt, settlement: &Settlement, zone: Tz) {
    let status = settlement.status.map(|status| format!(" {status},")).unwrap_or_default();
    let cost = came_to(receipt.currency, settlement.cost, settlement.cost_state);
    let at = full_instant(settlement.at, zone);
    let book = settlement.book_hash.as_deref().map(|hash| format!(", price book {hash}"));
    let book = book.unwrap_or_default();
    let why = settlement.note.as_deref().map(|note| format!(": {note}")).unwrap_or_default();
    if settlement.is_second_look() {
        let is_read = *settlement.reason == *Settlement::REREAD;
        let done = if is_read { "Read again and re-priced" } else { "Re-priced" };
        paper.plain(&format!("{done} {at}: {cost}{book}{why}"));
    } else {
        paper.plain(&format!("Settled {at} ({}):{status} {cost}{why}", settlement.reason));
    }
}

/// What the receipt came to before any settlement.
fn first(paper: &mut Paper, receipt: &Receipt) {
    let cost = came_to(receipt.currency, receipt.cost, receipt.cost_state);
    let book = receipt.book_hash.as_deref().map(|hash| format!(", price book {hash}"));
    paper.plain(&format!("First valuation: {cost}{}", book.unwrap_or_default()));
    for line in receipt.lines.iter().filter(|line| !line.count.is_zero()) {
        let (rate, amount) = (line.rate.as_deref(), line.amount);
        let amount = came_to(receipt.currency, amount, CostState::Unknown);
        let rate = rate.map_or_else(|| "no price known".to_owned(), |rate| format!("at {rate}"));
        let (many, factor) = (count(line.count), words::factor(&line.factor));
        paper.faint(&format!("  {factor}, {many} {rate}: {amount}"));
    }
}

fn came_to(currency: Currency, cost: Option<Money>, state: CostState) -> String {
    cost.map_or_else(
        || words::cost_state(state).to_owned(),
        |cost| in_currency(&line_money(cost), currency),
    )
}

/// Lines of text of one width.
struct Paper {
    width: usize,
    text: String,
}

impl Paper {
    fn push(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn rule(&mut self) {
        let dashes = "- ".repeat(self.width.div_ceil(2));
        let line = painted(FAINT, dashes.trim_end());
        self.push(&line);
    }

    fn centre(&mut self, text: &str, style: Style) {
        let text = cut(&harmless(text), self.width);
        let before = " ".repeat((self.width - text.width()) / 2);
        self.push(&format!("{before}{}", painted(style, &text)));
    }

    /// A text at the left, an amount at the right.
    fn pair(&mut self, left: &str, right: &str, style: Style) {
        let right = harmless(right);
        let left = cut(&harmless(left), self.width.saturating_sub(right.width() + 2));
        let gap = " ".repeat(self.width.saturating_sub(left.width() + right.width()));
        let (left, right) = (painted(style, &left), painted(style, &right));
        self.push(&format!("{left}{gap}{right}"));
    }

    /// A named fact; a long one goes on under itself.
    fn fact(&mut self, name: &str, value: &str, style: Style) {
        let room = self.width.saturating_sub(VALUES).max(10);
        let name = format!("{name:<VALUES$}");
        for (at, line) in wrapped(&harmless(value), room).iter().enumerate() {
            let before = if at == 0 { painted(FAINT, &name) } else { " ".repeat(VALUES) };
            let line = format!("{before}{}", painted(style, line));
            self.push(line.trim_end());
        }
    }

    fn optional(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.fact(name, value, PLAIN);
        }
    }

    fn plain(&mut self, text: &str) {
        self.painted(text, PLAIN);
    }

    fn faint(&mut self, text: &str) {
        self.painted(text, FAINT);
    }

    fn painted(&mut self, text: &str, style: Style) {
        for line in wrapped(&harmless(text), self.width) {
            self.push(&painted(style, &line));
        }
    }
}

/// The text in lines of at most `width`, broken at spaces where there are any; spaces at its
/// beginning stay.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let indent = text.len() - text.trim_start().len();
    let mut lines = vec![" ".repeat(indent)];
    for word in text.split_whitespace() {
        for piece in pieces(word, width.saturating_sub(indent).max(1)) {
            let line = lines.last_mut().expect("there is always a first line");
            let is_fresh = line.trim().is_empty();
            if !is_fresh && line.width() + 1 + piece.width() > width {
                lines.push(format!("{}{piece}", " ".repeat(indent)));
            } else {
                line.push_str(if is_fresh { "" } else { " " });
                line.push_str(&piece);
            }
        }
    }
    lines
}

/// A word, cut where it is longer than a line.
fn pieces(word: &str, width: usize) -> Vec<String> {
    let mut pieces = vec![String::new()];
    for c in word.chars() {
        let piece = pieces.last_mut().expect("there is always a first piece");
        if piece.width() >= width {
            pieces.push(c.to_string());
        } else {
            piece.push(c);
        }
    }
    pieces
}

#[cfg(test)]
mod tests;
