//! The base: the data module of the `genai-prices` wheel, with its history and matching rules.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};

use crate::decimal::Decimal;
use crate::literal::{Node, assigned};

/// One rate and what it becomes beyond thresholds (strictly greater).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tiered {
    pub(crate) base: Decimal,
    pub(crate) above: Vec<(u64, Decimal)>,
}

/// Rates by the library's own price key, such as `input_mtok`.
pub(crate) type Prices = BTreeMap<String, Tiered>;

/// What holds from a day on; absent is always.
pub(crate) type Dated = Vec<(Option<String>, Prices)>;

/// One model of the library.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) id: String,
    matches: Node,
    pub(crate) standard: Dated,
    /// By tier; rates that a tier does not name are the standard ones.
    pub(crate) tiers: BTreeMap<String, Dated>,
    /// Some prices depend on the hour, which the importer leaves to a decision.
    pub(crate) hourly: bool,
    /// The library says that the batch table has no cached rate, so that the standard one holds.
    pub(crate) batch_cache_is_standard: bool,
}

/// One provider of the library, models in matching order.
#[derive(Debug)]
pub(crate) struct Provider {
    pub(crate) id: String,
    pub(crate) models: Vec<Model>,
}

pub(crate) fn read(source: &str) -> Result<Vec<Provider>> {
    let providers = assigned(source, "providers")?;
    providers.items().iter().map(provider).collect()
}

fn provider(node: &Node) -> Result<Provider> {
    let id = node.get("id").and_then(Node::text).context("a provider without id")?.to_owned();
    let models = node.get("models").map_or(&[][..], Node::items);
    let models = models.iter().map(model).collect::<Result<_>>();
    Ok(Provider { models: models.with_context(|| format!("provider `{id}`"))?, id })
}

fn model(node: &Node) -> Result<Model> {
    let id = node.get("id").and_then(Node::text).context("a model without id")?.to_owned();
    let note = node.get("price_comments").and_then(Node::text).unwrap_or_default();
    let inside = || -> Result<Model> {
        let mut hourly = false;
        let mut tiers: BTreeMap<String, Dated> = BTreeMap::new();
        for variant in node.get("price_variants").map_or(&[][..], Node::items) {
            let Some(tier) = tier(variant)? else { continue };
            let from = start(variant, &mut hourly)?;
            tiers.entry(tier).or_default().push((from, prices(variant.get("prices"))?));
        }
        // Of variants with one condition the library takes the first that is in force.
        tiers.values_mut().for_each(|dated| dated.sort_by(|a, b| a.0.cmp(&b.0)));
        Ok(Model {
            id: id.clone(),
            matches: node.get("match").context("no match")?.clone(),
            standard: standard(node.get("prices"), &mut hourly)?,
            tiers,
            hourly,
            batch_cache_is_standard: note.contains("cached input keeps the standard rate"),
        })
    };
    inside().with_context(|| format!("model `{id}`"))
}

fn standard(node: Option<&Node>, hourly: &mut bool) -> Result<Dated> {
    let Some(Node::List(items)) = node else {
        return Ok(vec![(None, prices(node)?)]);
    };
    let mut dated: Dated = Vec::new();
    for item in items {
        let mut by_hour = false;
        let from = start(item, &mut by_hour)?;
        *hourly |= by_hour;
        if by_hour {
            continue;
        }
        if dated.last().is_some_and(|(last, _)| *last >= from) {
            bail!("prices are not in order of time");
        }
        dated.push((from, prices(item.get("prices"))?));
    }
    Ok(dated)
}

/// The tier a variant is for; nothing for standard and for what is no tier.
fn tier(variant: &Node) -> Result<Option<String>> {
    let Some(Node::Dict(when)) = variant.get("when") else { bail!("a variant without condition") };
    let [(key, value)] = &when[..] else { bail!("a variant with several conditions") };
    let value = value.text().context("no text")?;
    Ok(match key.text() {
        Some("service_tier") if value == "default" => None,
        Some("processing" | "service_tier" | "speed") => Some(value.to_owned()),
        _ => None,
    })
}

fn start(node: &Node, hourly: &mut bool) -> Result<Option<String>> {
    let Some(constraint) = node.get("constraint") else { return Ok(None) };
    if constraint.name() != "StartDateConstraint" {
        *hourly = true;
        return Ok(None);
    }
    let Some(Node::Call { plain, .. }) = constraint.get("start_date") else { bail!("no date") };
    let part = |at: usize| plain.get(at).and_then(Node::text).unwrap_or_default();
    Ok(Some(format!("{:0>4}-{:0>2}-{:0>2}", part(0), part(1), part(2))))
}

fn prices(node: Option<&Node>) -> Result<Prices> {
    let Some(Node::Call { named, .. }) = node else { bail!("no prices") };
    let given = named.iter().filter(|(_, node)| node.text() != Some("None"));
    // A rate that is no price (such as a twelfth of an hourly storage fee) is left out.
    let clean = |node: &Node| tiered(node).transpose();
    given.filter_map(|(key, node)| Some(clean(node)?.map(|rate| (key.clone(), rate)))).collect()
}

/// Nothing for a rate with more decimals than a price has.
fn tiered(node: &Node) -> Result<Option<Tiered>> {
    if let Some(text) = node.text() {
        let base = text.parse::<Decimal>()?.without_dust().ok();
        return Ok(base.map(|base| Tiered { base, above: Vec::new() }));
    }
    let base = decimal(node.get("base").and_then(Node::text).context("no base")?)?;
    let above = node.get("tiers").map_or(&[][..], Node::items).iter().map(|tier| {
        let start = tier.get("start").and_then(Node::text).context("no start")?;
        Ok((start.parse()?, decimal(tier.get("price").and_then(Node::text).context("no price")?)?))
    });
    Ok(Some(Tiered { base, above: above.collect::<Result<_>>()? }))
}

fn decimal(text: &str) -> Result<Decimal> {
    text.parse::<Decimal>()?.without_dust()
}

impl Provider {
    /// The model that the library itself would take for an id.
    pub(crate) fn find(&self, id: &str) -> Result<Option<&Model>> {
        for model in &self.models {
            if fits(&model.matches, id)? {
                return Ok(Some(model));
            }
        }
        Ok(None)
    }
}

impl Model {
    /// The ids that the rules spell out in full, and whether one has to be exactly that.
    pub(crate) fn spelled(&self) -> Vec<String> {
        let mut ids = Vec::new();
        spelled(&self.matches, &mut ids);
        ids
    }
}

fn spelled(node: &Node, ids: &mut Vec<String>) {
    for (key, list) in [("or_", true), ("and_", true), ("equals", false), ("starts_with", false)] {
        match node.get(key) {
            Some(inner) if list => inner.items().iter().for_each(|node| spelled(node, ids)),
            Some(inner) => ids.extend(inner.text().map(str::to_lowercase)),
            None => {}
        }
    }
}

fn fits(node: &Node, id: &str) -> Result<bool> {
    let text = |key| node.get(key).and_then(Node::text).unwrap_or_default().to_lowercase();
    Ok(match node.name() {
        "ClauseEquals" => id == text("equals"),
        "ClauseStartsWith" => id.starts_with(&text("starts_with")),
        "ClauseEndsWith" => id.ends_with(&text("ends_with")),
        "ClauseContains" => id.contains(&text("contains")),
        "ClauseRegex" => {
            let pattern = node.get("regex").and_then(Node::text).unwrap_or_default();
            fancy_regex::Regex::new(pattern)?.is_match(id)?
        }
        "ClauseOr" => {
            for inner in node.get("or_").map_or(&[][..], Node::items) {
                if fits(inner, id)? {
                    return Ok(true);
                }
            }
            false
        }
        "ClauseAnd" => {
            for inner in node.get("and_").map_or(&[][..], Node::items) {
                if !fits(inner, id)? {
                    return Ok(false);
                }
            }
            true
        }
        other => bail!("`{other}` is no rule"),
    })
}
