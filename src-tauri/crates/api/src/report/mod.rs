//! Any filtered view as one HTML file that stands by itself: figures, pictures and tables, no
//! script, nothing from elsewhere. Owns what is in it; escaping is [`html`]'s, pictures are
//! [`chart`]'s. Everything in it is a sum of the ledger's own or a receipt's; no content, no key.

mod chart;
mod html;

use chrono_tz::Tz;
use meter::receipt::{Receipt, Status};
use meter::{Money, Timestamp};
use store::{Demo, Dimension, Filter, Questions};

use self::chart::Bar;
use self::html::{Html, tag};
use crate::answer::{Figures, Requests, Usage};
use crate::period::{self, Granularity};
use crate::problem::Problem;
use crate::query::{By, Query};
use crate::question;
use crate::standing::{Standing, tokens};
use crate::workbook::filters;

/// The media type of a report.
pub const MEDIA_TYPE: &str = "text/html; charset=utf-8";

/// What a report may do: show itself in its own style. A test holds the hash against the style.
pub const POLICY: &str = concat!(
    "default-src 'none'; style-src 'sha256-",
    "sSjZgrwbSDxs3HVWIs/E7OtFYXHN75DGPXZgd6rZFF4=",
    "'; base-uri 'none'; form-action 'none'"
);

const STYLE: &str = include_str!("style.css");

/// Rows of a table; what is behind them is said.
const MOST_ROWS: usize = 100;

/// Requests that are shown one by one, the newest.
const REQUESTS: usize = 50;

/// Writes the report.
///
/// # Errors
/// When the ledger cannot be read.
pub fn report(ledger: &Questions, query: &Query, now: Timestamp) -> Result<String, Problem> {
    let view = ledger.at_one_instant(|| View::read(ledger, query, now))?;
    Ok(html::document(&view.page(query, now)))
}

/// Everything a report shows, of one instant.
struct View {
    series: Usage,
    granularity: Granularity,
    tables: Vec<(&'static str, &'static str, Usage)>,
    requests: Requests,
}

impl View {
    fn read(ledger: &Questions, query: &Query, now: Timestamp) -> Result<Self, Problem> {
        let usage = |by: Option<By>| {
            question::usage(ledger, &Query { by, granularity: None, ..query.clone() }, now)
        };
        let (filter, granularity) = readable(ledger, query, now)?;
        let series = Query { filter, by: None, granularity: Some(granularity), ..query.clone() };
        let series = question::usage(ledger, &series, now)?;
        let dimensions = [
            ("By model", "Model", Dimension::Model),
            ("By provider", "Provider", Dimension::Provider),
            ("By workspace", "Workspace", Dimension::Workspace),
            ("By pass", "Pass", Dimension::Pass),
            ("By key", "Key", Dimension::Key),
            ("By status", "Status", Dimension::Status),
        ];
        let mut tables = Vec::new();
        for (title, of, dimension) in dimensions {
            tables.push((title, of, usage(Some(By::Dimension(dimension)))?));
        }
        let newest = Query { limit: REQUESTS, before: None, ..query.clone() };
        Ok(Self { series, granularity, tables, requests: question::requests(ledger, &newest)? })
    }

    fn page(&self, query: &Query, now: Timestamp) -> Html {
        let title = format!("Tollgate usage, {}", days(query, now));
        let head = tag("head", &[])
            .with(tag("meta", &[("charset", "utf-8")]))
            .with(tag("meta", &[("http-equiv", "Content-Security-Policy"), ("content", POLICY)]))
            .with(tag("meta", &[("name", "referrer"), ("content", "no-referrer")]))
            .with(tag("meta", &[("name", "color-scheme"), ("content", "light dark")]))
            .with(tag(
                "meta",
                &[("name", "viewport"), ("content", "width=device-width, initial-scale=1")],
            ))
            .with(tag("title", &[]).text_in(&title))
            .with(tag("style", &[]).own_text(STYLE));
        let mut main = tag("main", &[]);
        main = main.with(self.header(query, now)).with(self.headline());
        if self.series.totals.requests == 0 {
            let nothing = "No request fits these filters in this period.";
            main = main.with(tag("p", &[("class", "note")]).text_in(nothing));
        } else {
            main = main.with(self.pictures(query));
            // Where nothing has a name there is nothing to tell apart.
            let tells = |usage: &Usage| usage.rows.iter().any(|row| row.name.is_some());
            for (title, of, usage) in self.tables.iter().filter(|(.., usage)| tells(usage)) {
                main = main.with(table(title, of, usage));
            }
            main = main.with(self.newest(query));
        }
        let body = tag("body", &[]).with(main).with(footer());
        tag("html", &[("lang", "en")]).with(head).with(body)
    }

    fn header(&self, query: &Query, now: Timestamp) -> Html {
        let said = filters(&query.filter);
        let said = if said == "none" { "all requests".to_owned() } else { said };
        let demo = match query.filter.demo {
            Demo::Without => "",
            Demo::With => ", with the demonstration",
            Demo::Only => ", only the demonstration",
        };
        let facts = [
            ("Period", period(&query.filter, query.zone)),
            ("Filters", format!("{said}{demo}")),
            ("Written", instant(now, query.zone)),
        ];
        let mut list = tag("dl", &[]);
        for (name, value) in facts {
            let value = tag("dd", &[]).with(tag("bdi", &[]).text_in(&value));
            list = list.with(tag("div", &[]).with(tag("dt", &[]).text_in(name)).with(value));
        }
        tag("header", &[]).with(tag("h1", &[]).text_in("Tollgate usage")).with(list)
    }

    fn headline(&self) -> Html {
        let totals = &self.series.totals;
        let errors = totals.statuses.get(&Status::Error).copied().unwrap_or(0);
        let exactly = match totals.cost {
            Some(cost) => format!("exactly {cost} USD"),
            None => "of no request is the cost known".to_owned(),
        };
        let mut beside = vec![exactly];
        beside.extend(totals.other_costs.iter().map(|(of, sum)| format!("and {sum} {of}")));
        if totals.unpriced != 0 {
            let sentence = format!("{} of unknown cost, not counted", grouped(totals.unpriced));
            beside.push(sentence);
        }
        if let Some(converted) = &totals.converted {
            let all = converted.cost.map_or("unknown".to_owned(), |cost| cost.to_string());
            beside.push(format!("converted {all} {}", converted.currency));
        }
        let cards = [
            ("Cost", totals.cost.map_or("unknown".to_owned(), shown), beside.join("; ")),
            ("Requests", grouped(totals.requests), format!("{} ended in errors", grouped(errors))),
            (
                "Tokens",
                grouped(totals.input_tokens + totals.output_tokens),
                format!(
                    "{} in, {} out",
                    grouped(totals.input_tokens),
                    grouped(totals.output_tokens)
                ),
            ),
            (
                "Latency",
                totals.latency.map_or("none".to_owned(), |spread| duration(spread.p50_ms)),
                totals.latency.map_or(String::new(), |spread| {
                    format!("half of them; 95 of 100 within {}", duration(spread.p95_ms))
                }),
            ),
            ("Saved by caching", shown(totals.saved), format!("exactly {} USD", totals.saved)),
        ];
        let mut list = tag("dl", &[("class", "cards")]);
        for (name, value, note) in cards {
            let value = tag("dd", &[]).with(tag("strong", &[]).text_in(&value));
            let note = tag("dd", &[("class", "faint")]).text_in(&note);
            list = list
                .with(tag("div", &[]).with(tag("dt", &[]).text_in(name)).with(value).with(note));
        }
        let heading = tag("h2", &[("class", "unseen")]).text_in("Totals");
        tag("section", &[]).with(heading).with(list)
    }

    fn pictures(&self, query: &Query) -> Html {
        let label = |at: Timestamp| period::label(self.granularity, query.zone, at);
        let bars = |of: &dyn Fn(&Figures) -> (i128, String)| -> Vec<Bar> {
            let bars = self.series.series.iter().map(|bucket| {
                let (height, says) = of(&bucket.figures);
                Bar { label: label(bucket.from), height, says }
            });
            bars.collect()
        };
        let cost = bars(&|figures| {
            let cost = figures.cost.unwrap_or(Money::ZERO);
            (cost.attos(), figures.cost.map_or("unknown".to_owned(), |cost| format!("{cost} USD")))
        });
        let requests =
            bars(&|figures| (figures.requests.into(), format!("{} requests", figures.requests)));
        let each = self.granularity.as_str();
        let cost_of = |attos: i128| shown(Money::from_attos(attos));
        let count_of = |count: i128| grouped(u64::try_from(count).unwrap_or(u64::MAX));
        tag("section", &[("class", "pictures")])
            .with(chart::bars(&format!("Cost by {each}"), &cost, &cost_of))
            .with(chart::bars(&format!("Requests by {each}"), &requests, &count_of))
    }

    fn newest(&self, query: &Query) -> Html {
        let all = self.series.totals.requests;
        let shown_here = self.requests.requests.len();
        let caption = match u64::try_from(shown_here) {
            Ok(here) if here < all => format!("The newest {here} of {} requests", grouped(all)),
            _ => "All requests, newest first".to_owned(),
        };
        let names = ["Time", "Model", "Provider", "Workspace", "Pass", "Status"];
        let numbers = ["Tokens in", "Tokens out", "Cost", "Latency"];
        let mut body = tag("tbody", &[]);
        for receipt in &self.requests.requests {
            body = body.with(request_row(receipt, query.zone));
        }
        let table = tag("table", &[])
            .with(tag("caption", &[]).text_in(&caption))
            .with(heading(&names, &numbers))
            .with(body);
        section("Requests", table)
    }
}

fn request_row(receipt: &Receipt, zone: Tz) -> Html {
    let standing = Standing::of(receipt);
    let tokens = tokens(receipt);
    let model = receipt.model.as_deref().or(receipt.model_requested.as_deref());
    let code = receipt.http_status.map_or(String::new(), |code| format!(" {code}"));
    let names = [
        instant(receipt.id.minted_at(), zone),
        model.unwrap_or("none").to_owned(),
        receipt.provider.to_string(),
        receipt.workspace.to_string(),
        receipt.pass.as_deref().unwrap_or("none").to_owned(),
        format!("{}{code}", standing.status),
    ];
    let cost = match standing.cost {
        Some(cost) => exact_money(cost, receipt.currency.as_str()),
        None => tag("td", &[("class", "number")]).text_in("unknown"),
    };
    let mut row = tag("tr", &[]);
    for name in names {
        row = row.with(tag("td", &[]).with(tag("bdi", &[]).text_in(&name)));
    }
    row.with(number(&grouped(tokens.input)))
        .with(number(&grouped(tokens.output)))
        .with(cost)
        .with(number(&duration(receipt.latency_ms)))
}

fn table(title: &str, of: &str, usage: &Usage) -> Html {
    let numbers = ["Requests", "Errors", "Tokens in", "Tokens out", "Cost", "Unknown cost"];
    let mut body = tag("tbody", &[]);
    for row in usage.rows.iter().take(MOST_ROWS) {
        body = body.with(figures_row(row.name.as_deref().unwrap_or("none"), &row.figures));
    }
    let left = usage.rows.len().saturating_sub(MOST_ROWS);
    let caption = match left {
        0 => "The dearest first".to_owned(),
        left => format!("The dearest {MOST_ROWS} first; {left} more are in the total"),
    };
    let total = tag("tfoot", &[]).with(figures_row("Total", &usage.totals));
    let table = tag("table", &[])
        .with(tag("caption", &[]).text_in(&caption))
        .with(heading(&[of], &numbers))
        .with(body)
        .with(total);
    section(title, table)
}

fn figures_row(name: &str, figures: &Figures) -> Html {
    let errors = figures.statuses.get(&Status::Error).copied().unwrap_or(0);
    let name = tag("th", &[("scope", "row")]).with(tag("bdi", &[]).text_in(name));
    let cost = match figures.cost {
        Some(cost) => exact_money(cost, "USD"),
        None => tag("td", &[("class", "number")]).text_in("unknown"),
    };
    tag("tr", &[])
        .with(name)
        .with(number(&grouped(figures.requests)))
        .with(number(&grouped(errors)))
        .with(number(&grouped(figures.input_tokens)))
        .with(number(&grouped(figures.output_tokens)))
        .with(cost)
        .with(number(&grouped(figures.unpriced)))
}

fn section(title: &str, table: Html) -> Html {
    // What is wider than the page scrolls by itself, by keys too.
    let scrolling = [("class", "scrolling"), ("tabindex", "0"), ("role", "region")];
    let mut around = Vec::from(scrolling);
    around.push(("aria-label", title));
    let table = tag("div", &around).with(table);
    tag("section", &[]).with(tag("h2", &[]).text_in(title)).with(table)
}

fn heading(names: &[&str], numbers: &[&str]) -> Html {
    let mut row = tag("tr", &[]);
    for name in names {
        row = row.with(tag("th", &[("scope", "col")]).text_in(name));
    }
    for name in numbers {
        row = row.with(tag("th", &[("scope", "col"), ("class", "number")]).text_in(name));
    }
    tag("thead", &[]).with(row)
}

fn number(text: &str) -> Html {
    tag("td", &[("class", "number")]).text_in(text)
}

/// An amount as one reads it, with all its digits behind.
fn exact_money(amount: Money, currency: &str) -> Html {
    let exact = format!("{amount} {currency}");
    let text = match currency {
        "USD" => shown(amount),
        other => format!("{other} {amount}"),
    };
    let data = tag("data", &[("value", &*amount.to_string()), ("title", &*exact)]);
    tag("td", &[("class", "number")]).with(data.text_in(&text))
}

fn footer() -> Html {
    let text = format!(
        "Written by Tollgate {} from its own receipts, which hold no prompt and no reply. An \
         unknown cost is never counted as zero.",
        env!("CARGO_PKG_VERSION")
    );
    tag("footer", &[]).with(tag("p", &[]).text_in(&text))
}

/// The period that a picture shows and how wide its buckets are: the one that was asked for,
/// unless that is so long that only the years with receipts can be seen.
fn readable(
    ledger: &Questions,
    query: &Query,
    now: Timestamp,
) -> Result<(Filter, Granularity), Problem> {
    const HOUR_MS: i64 = 3_600_000;
    const LONG: i64 = 20 * 366 * 24;
    let mut filter = query.filter.clone();
    let extent = ledger.extent(&filter)?;
    let begin = filter.from.unwrap_or(extent.start);
    let hours = (filter.to.unwrap_or(now).millis() - begin.millis()) / HOUR_MS;
    if hours > LONG {
        (filter.from, filter.to) = (Some(extent.start), Some(extent.end));
    }
    let hours = if hours > LONG { LONG } else { hours };
    let width = [(49, Granularity::Hour), (2_300, Granularity::Day), (17_600, Granularity::Week)];
    let width = width.into_iter().find(|(most, _)| hours <= *most);
    let readable = width.map_or(Granularity::Month, |(_, granularity)| granularity);
    Ok((filter, query.granularity.unwrap_or(readable)))
}

fn period(filter: &Filter, zone: Tz) -> String {
    let from = filter.from.map_or("the first request".to_owned(), |at| instant(at, zone));
    let to = filter.to.map_or("the last request".to_owned(), |at| instant(at, zone));
    format!("from {from} to {to}, days of {}", zone.name())
}

/// `2026-11-01 to 2026-11-30`, for the title.
fn days(query: &Query, now: Timestamp) -> String {
    let day = |at: Timestamp| period::label(Granularity::Day, query.zone, at);
    let from = query.filter.from.map_or("the beginning".to_owned(), day);
    let last = query.filter.to.map_or(now, |to| Timestamp::from_millis(to.millis() - 1));
    format!("{from} to {}", day(last))
}

fn instant(at: Timestamp, zone: Tz) -> String {
    at.utc().with_timezone(&zone).format("%Y-%m-%d %H:%M").to_string()
}

/// `$1.24`; what costs less than nothing says so.
fn shown(amount: Money) -> String {
    let sign = if amount.attos() < 0 { "−" } else { "" };
    format!("{sign}{}", amount.as_dollars())
}

fn duration(ms: u64) -> String {
    match ms {
        ..1_000 => format!("{ms} ms"),
        _ => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
    }
}

/// A whole number with its thousands set apart.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at != 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}
