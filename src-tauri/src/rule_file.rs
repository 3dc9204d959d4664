//! `[[alerts]]`, `[quiet_hours]`, `[[budgets]]`, `[[routes]]` and `[[deployments]]` in `config.toml`, changed by commands and pages. What else
//! the user wrote there (order, comments, spelling) stays as it was.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, anyhow, bail};
use api::alerts::{AlertChange, AlertPlan, AlertRule, QuietHours};
use api::budgets::{BudgetChange, BudgetRule};
use api::deployments::{DeploymentChange, DeploymentRule};
use api::routes::{RouteChange, RouteRule};
use meter::budget::Budget;
use meter::route::NamedRoute;
use toml_edit::{Array, ArrayOfTables, DocumentMut, InlineTable, Item, Table, Value, value};

use crate::config::Config;
use crate::home::Home;

/// Writes a change of the alert rules into the file and reads all of it again.
///
/// # Errors
/// When the file is wrong as it stands, when there is no such rule, or it cannot be written.
pub(crate) fn change(home: &Home, change: &AlertChange) -> anyhow::Result<AlertPlan> {
    Ok(rewrite_file(home, |text, config| changed(text, &config.alerts, change))?.alerts)
}

/// Writes a change of the budgets into the file and reads all of it again.
///
/// # Errors
/// When the file is wrong as it stands, when there is no such budget, or it cannot be written.
pub(crate) fn change_budgets(home: &Home, change: &BudgetChange) -> anyhow::Result<Vec<Budget>> {
    Ok(rewrite_file(home, |text, config| budgets_changed(text, &config.budgets, change))?.budgets)
}

/// Writes a change of what is declared of servers into the file and reads all of it again.
///
/// # Errors
/// When the file is wrong as it stands, when nothing of that name is declared, or it cannot be
/// written.
pub(crate) fn change_deployments(home: &Home, change: &DeploymentChange) -> anyhow::Result<Config> {
    rewrite_file(home, |text, config| {
        deployments_changed(text, &config.deployments.declared, change)
    })
}

/// Writes a change of the routes into the file and reads all of it again.
///
/// # Errors
/// When the file is wrong as it stands, when there is no such route, or it cannot be written.
pub(crate) fn change_routes(home: &Home, change: &RouteChange) -> anyhow::Result<Vec<NamedRoute>> {
    Ok(rewrite_file(home, |text, config| routes_changed(text, &config.routes, change))?.routes)
}

/// Held while the file is read and written again: two changes never lose one of them.
static WRITING: Mutex<()> = Mutex::new(());

fn rewrite_file(
    home: &Home,
    rewrite: impl FnOnce(&str, &Config) -> anyhow::Result<String>,
) -> anyhow::Result<Config> {
    let _writing = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
    // A link leads to the file that is meant, such as one among a person's dotfiles.
    let path = fs::canonicalize(home.config()).unwrap_or_else(|_| home.config());
    let before = Config::load(&path)?;
    let text = match fs::read_to_string(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        read => read.with_context(|| format!("could not read `{}`", path.display()))?,
    };
    let changed = rewrite(&text, &before)?;
    let after = Config::parse(&changed)?;
    let folder = path.parent().context("the configuration is in no folder")?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(changed.as_bytes())?;
    if let Ok(before) = fs::metadata(&path) {
        file.as_file().set_permissions(before.permissions())?;
    }
    file.as_file().sync_all()?;
    file.persist(&path).with_context(|| format!("could not write `{}`", path.display()))?;
    Ok(after)
}

fn changed(text: &str, plan: &AlertPlan, change: &AlertChange) -> anyhow::Result<String> {
    let mut file: DocumentMut = text.parse()?;
    match change {
        AlertChange::Add(rule) => {
            if plan.rules.iter().any(|known| known.name == rule.1.name) {
                bail!(
                    "there is a rule `{}` already\nhint: change that one, or give this one another name",
                    rule.1.name
                );
            }
            alert_tables(&mut file, plan)?.push(table(fields(&rule.0)));
        }
        AlertChange::Replace(name, rule) => {
            let is_taken = |known: &api::alerts::Rule| known.name == rule.1.name;
            if rule.1.name != *name && plan.rules.iter().any(is_taken) {
                bail!("there is a rule `{}` already\nhint: choose another name", rule.1.name);
            }
            let before = plan.rules.iter().find(|known| known.name == *name);
            let before = before.map(AlertRule::from).ok_or_else(|| unknown(name))?;
            let at = place(plan, name)?;
            let rules = alert_tables(&mut file, plan)?;
            let table = rules.get_mut(at).ok_or_else(|| unknown(name))?;
            rewrite(table, fields(&before), fields(&rule.0));
        }
        AlertChange::Remove(name) => {
            let at = place(plan, name)?;
            alert_tables(&mut file, plan)?;
            // Without the word the ready rules would come back.
            if remove(&mut file, "alerts", at)? {
                file.insert("alerts", value(Array::new()));
            }
        }
        AlertChange::QuietHours(None) => drop(file.remove("quiet_hours")),
        AlertChange::QuietHours(Some(hours)) => {
            let table = file.entry("quiet_hours").or_insert_with(|| {
                let mut table = Table::new();
                table.decor_mut().set_prefix("\n");
                Item::Table(table)
            });
            let table = table.as_table_like_mut().context("`quiet_hours` is no table")?;
            for (name, time) in [("from", hours.from), ("to", hours.to)] {
                set(table, name, Some(time.to_string().into()));
            }
        }
        AlertChange::Snooze(..) | AlertChange::Pause(_) | AlertChange::Resume => {}
    }
    Ok(file.to_string())
}

/// The rules' tables; those that are ready are written out before anything is changed.
fn alert_tables<'a>(
    file: &'a mut DocumentMut,
    plan: &AlertPlan,
) -> anyhow::Result<&'a mut ArrayOfTables> {
    tables(file, "alerts", || plan.rules.iter().map(|rule| table(fields(&rule.into()))).collect())
}

/// The tables of a list; what is there without being written is written out first.
fn tables<'a>(
    file: &'a mut DocumentMut,
    list: &str,
    unwritten: impl FnOnce() -> ArrayOfTables,
) -> anyhow::Result<&'a mut ArrayOfTables> {
    let written = file.remove(list).map(Item::into_array_of_tables);
    let entries = match written {
        Some(Ok(entries)) => entries,
        // `alerts = []`.
        Some(Err(_)) => ArrayOfTables::new(),
        None => unwritten(),
    };
    let item = file.entry(list).or_insert(Item::ArrayOfTables(entries));
    item.as_array_of_tables_mut().with_context(|| format!("`{list}` is no list of tables"))
}

/// Takes an entry away with the comment that stands directly above it; says whether the list is
/// empty then.
fn remove(file: &mut DocumentMut, list: &str, at: usize) -> anyhow::Result<bool> {
    let entries = tables(file, list, ArrayOfTables::new)?;
    let above = entries.get(at).and_then(|one| one.decor().prefix()?.as_str()).unwrap_or_default();
    let kept = above.rfind("\n\n").map_or_else(String::new, |end| above[..=end].to_owned());
    entries.remove(at);
    let is_empty = entries.is_empty();
    match entries.get_mut(at) {
        Some(next) => {
            let own = next.decor().prefix().and_then(|own| own.as_str()).unwrap_or_default();
            let both = format!("{kept}{own}");
            next.decor_mut().set_prefix(both);
        }
        None if !kept.trim().is_empty() => {
            let own = file.trailing().as_str().unwrap_or_default();
            let both = format!("{kept}{own}");
            file.set_trailing(both);
        }
        None => {}
    }
    Ok(is_empty)
}

fn budgets_changed(
    text: &str,
    budgets: &[Budget],
    change: &BudgetChange,
) -> anyhow::Result<String> {
    let mut file: DocumentMut = text.parse()?;
    let place = |name: &str| budgets.iter().position(|budget| *budget.name == *name);
    let is_free = |name: &str| match place(name) {
        None => Ok(()),
        Some(_) => Err(anyhow!(
            "there is a budget `{name}` already\nhint: change that one, or choose another name"
        )),
    };
    match change {
        BudgetChange::Add(budget) => {
            is_free(&budget.1.name)?;
            let entries = tables(&mut file, "budgets", ArrayOfTables::new)?;
            entries.push(table(budget_fields(&budget.0)));
        }
        BudgetChange::Replace(name, budget) => {
            let at = place(name).ok_or_else(|| unknown_budget(name))?;
            if *budget.1.name != **name {
                is_free(&budget.1.name)?;
            }
            let before = budget_fields(&(&budgets[at]).into());
            let entries = tables(&mut file, "budgets", ArrayOfTables::new)?;
            let table = entries.get_mut(at).ok_or_else(|| unknown_budget(name))?;
            rewrite(table, before, budget_fields(&BudgetRule::from(&budget.1)));
        }
        BudgetChange::Remove(name) => {
            let at = place(name).ok_or_else(|| unknown_budget(name))?;
            if remove(&mut file, "budgets", at)? {
                file.remove("budgets");
            }
        }
        BudgetChange::Release(..) => {}
    }
    Ok(file.to_string())
}

fn deployments_changed(
    text: &str,
    declared: &[DeploymentRule],
    change: &DeploymentChange,
) -> anyhow::Result<String> {
    let mut file: DocumentMut = text.parse()?;
    let place = |name: &str| declared.iter().position(|rule| rule.name == *name);
    match change {
        DeploymentChange::Add(rule) => {
            let entries = tables(&mut file, "deployments", ArrayOfTables::new)?;
            entries.push(table(deployment_fields(rule)?));
        }
        DeploymentChange::Replace(name, rule) => {
            let at = place(name).ok_or_else(|| undeclared(name))?;
            let before = deployment_fields(&declared[at])?;
            let entries = tables(&mut file, "deployments", ArrayOfTables::new)?;
            let table = entries.get_mut(at).ok_or_else(|| undeclared(name))?;
            rewrite(table, before, deployment_fields(rule)?);
        }
        DeploymentChange::Remove(name) => {
            let at = place(name).ok_or_else(|| undeclared(name))?;
            if remove(&mut file, "deployments", at)? {
                file.remove("deployments");
            }
        }
    }
    Ok(file.to_string())
}

fn routes_changed(
    text: &str,
    routes: &[NamedRoute],
    change: &RouteChange,
) -> anyhow::Result<String> {
    let mut file: DocumentMut = text.parse()?;
    let place = |name: &str| routes.iter().position(|route| *route.name == *name);
    let is_free = |name: &str| match place(name) {
        None => Ok(()),
        Some(_) => Err(anyhow!(
            "there is a route `{name}` already\nhint: change that one, or choose another name"
        )),
    };
    match change {
        RouteChange::Add(route) => {
            is_free(&route.1.name)?;
            let entries = tables(&mut file, "routes", ArrayOfTables::new)?;
            entries.push(table(route_fields(&route.0)));
        }
        RouteChange::Replace(name, route) => {
            let at = place(name).ok_or_else(|| unknown_route(name))?;
            if *route.1.name != **name {
                is_free(&route.1.name)?;
            }
            let before = route_fields(&RouteRule::from(&routes[at]));
            let entries = tables(&mut file, "routes", ArrayOfTables::new)?;
            let table = entries.get_mut(at).ok_or_else(|| unknown_route(name))?;
            rewrite(table, before, route_fields(&RouteRule::from(&route.1)));
        }
        RouteChange::Remove(name) => {
            let at = place(name).ok_or_else(|| unknown_route(name))?;
            if remove(&mut file, "routes", at)? {
                file.remove("routes");
            }
        }
    }
    Ok(file.to_string())
}

/// Nothing of that name is declared.
pub(crate) fn undeclared(name: &str) -> anyhow::Error {
    let name: String = name.chars().take(80).collect();
    anyhow!("no deployment `{name}` is declared\nhint: `tollgate deployments` lists them")
}

fn deployment_fields(rule: &DeploymentRule) -> anyhow::Result<Fields> {
    let status = rule.status.map(serde_json::to_value).transpose()?;
    Ok(vec![
        ("name", Some(rule.name.trim().into())),
        ("provider", Some(rule.provider.trim().into())),
        ("model", rule.model.as_deref().map(Value::from)),
        ("gpus", rule.gpus.map(Value::from)),
        ("status", status.as_ref().and_then(|status| status.as_str()).map(Value::from)),
        ("versus", rule.versus.as_deref().map(Value::from)),
    ])
}

/// There is no such route.
pub(crate) fn unknown_route(name: &str) -> anyhow::Error {
    let name: String = name.chars().take(80).collect();
    anyhow!("there is no route `{name}`\nhint: `tollgate routes` lists them")
}

fn route_fields(route: &RouteRule) -> Fields {
    let number = |number: Option<i64>| number.map(Value::from);
    let targets: Array = route.targets.iter().map(|target| target.trim()).collect();
    let statuses = route.retry_on.as_ref();
    vec![
        ("name", Some(route.name.trim().into())),
        ("targets", Some(Value::Array(targets))),
        ("profile", route.profile.map(|profile| profile.as_str().into())),
        ("retry_on", statuses.map(|all| Value::Array(all.iter().copied().collect()))),
        ("attempts", number(route.attempts)),
        ("first_byte_ms", number(route.first_byte_ms)),
        ("longest_wait_ms", number(route.longest_wait_ms)),
        ("rest_after", number(route.rest_after)),
        ("rest_seconds", number(route.rest_seconds)),
        ("enabled", route.enabled.map(Value::from)),
    ]
}

/// There is no such budget.
pub(crate) fn unknown_budget(name: &str) -> anyhow::Error {
    let name: String = name.chars().take(80).collect();
    anyhow!("there is no budget `{name}`\nhint: `tollgate budgets` lists them")
}

fn budget_fields(budget: &BudgetRule) -> Fields {
    let number = |number: Option<i64>| number.map(Value::from);
    let shares =
        budget.warn_at.as_ref().map(|shares| Value::Array(shares.iter().copied().collect()));
    vec![
        ("name", Some(budget.name.trim().into())),
        ("spend", budget.spend.as_deref().map(Value::from)),
        ("per", budget.per.map(|per| per.as_str().into())),
        ("requests_per_minute", number(budget.requests_per_minute)),
        ("tokens_per_minute", number(budget.tokens_per_minute)),
        ("concurrent", number(budget.concurrent)),
        ("only", (!budget.only.is_empty()).then(|| only(&budget.only))),
        ("action", budget.action.map(|action| action.as_str().into())),
        ("warn_at", shares),
        ("unpriced", budget.unpriced.map(|unpriced| unpriced.as_str().into())),
        ("assumed_output", number(budget.assumed_output)),
        ("enabled", budget.enabled.map(Value::from)),
    ]
}

fn place(plan: &AlertPlan, name: &str) -> anyhow::Result<usize> {
    plan.rules.iter().position(|rule| rule.name == name).ok_or_else(|| unknown(name))
}

/// There is no such rule.
pub(crate) fn unknown(name: &str) -> anyhow::Error {
    let name: String = name.chars().take(80).collect();
    anyhow!("there is no rule `{name}`\nhint: `tollgate alerts` lists them")
}

/// What an entry may have, in this order.
type Fields = Vec<(&'static str, Option<Value>)>;

fn table(fields: Fields) -> Table {
    let mut table = Table::new();
    table.decor_mut().set_prefix("\n");
    for (name, value) in fields {
        set(&mut table, name, value);
    }
    table
}

/// Changes what differs, and leaves the rest as the user spelled it.
fn rewrite(table: &mut Table, before: Fields, after: Fields) {
    for ((name, old), (_, new)) in before.into_iter().zip(after) {
        let is_same = match (&old, &new) {
            (Some(old), Some(new)) => old.to_string() == new.to_string(),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        if !is_same {
            set(table, name, new);
        }
    }
}

/// Sets a field or takes it away; a comment behind it stays.
fn set(table: &mut dyn toml_edit::TableLike, name: &str, value: Option<Value>) {
    let Some(mut value) = value else {
        table.remove(name);
        return;
    };
    match table.get_mut(name).and_then(Item::as_value_mut) {
        Some(old) => {
            *value.decor_mut() = old.decor().clone();
            *old = value;
        }
        None => drop(table.insert(name, Item::Value(value))),
    }
}

fn fields(rule: &AlertRule) -> Fields {
    let text = |text: &Option<String>| text.as_deref().map(Value::from);
    let number = |number: Option<i64>| number.map(Value::from);
    let only = (!rule.only.is_empty()).then(|| only(&rule.only));
    vec![
        ("name", Some(rule.name.trim().into())),
        ("spend_above", text(&rule.spend_above)),
        ("forecast_above", text(&rule.forecast_above)),
        ("error_rate_above", number(rule.error_rate_above)),
        ("rate_limited_above", number(rule.rate_limited_above)),
        ("availability_below", text(&rule.availability_below)),
        ("latency_above_ms", number(rule.latency_above_ms)),
        ("ttft_above_ms", number(rule.ttft_above_ms)),
        ("cache_hits_below", number(rule.cache_hits_below)),
        ("unpriced_above", number(rule.unpriced_above)),
        ("calls_above", number(rule.calls_above)),
        ("loop_above", number(rule.loop_above)),
        ("per", rule.per.map(|per| per.as_str().into())),
        ("after_percent", number(rule.after_percent)),
        ("percentile", number(rule.percentile)),
        ("within", text(&rule.within)),
        ("compared_with", text(&rule.compared_with)),
        ("at_least", number(rule.at_least)),
        ("at_least_tokens", number(rule.at_least_tokens)),
        ("only", only),
        ("quiet_hours", rule.quiet_hours.map(hours)),
        ("enabled", rule.enabled.map(Value::from)),
    ]
}

fn only(scope: &BTreeMap<String, Vec<String>>) -> Value {
    let value = |values: &Vec<String>| match &values[..] {
        [one] => Value::from(one.as_str()),
        many => Value::Array(many.iter().map(String::as_str).collect()),
    };
    let pairs = scope.iter().map(|(name, values)| (name.as_str(), value(values)));
    Value::InlineTable(pairs.collect::<InlineTable>())
}

fn hours(hours: QuietHours) -> Value {
    let pairs = [("from", hours.from.to_string()), ("to", hours.to.to_string())];
    Value::InlineTable(pairs.into_iter().collect::<InlineTable>())
}

#[cfg(test)]
mod tests {
    use super::*;

    const WRITTEN: &str = "# my gate
listen = \"127.0.0.1:8655\"   # only here

[providers.openai]
base_url = 'http://127.0.0.1:9'

# All about money.

# The big one.
[[alerts]]
name = 'Spend'
spend_above = '20' # dollars
per = \"day\"

[[alerts]] # errors
name = \"Errors\"
error_rate_above = 20
only = { model = 'm' }

# The end.
";

    fn rule(json: &str) -> Box<(AlertRule, api::alerts::Rule)> {
        let written = AlertRule::read(json.as_bytes()).unwrap();
        let rule = written.check().unwrap();
        Box::new((written, rule))
    }

    fn after(text: &str, change: &AlertChange) -> String {
        let changed = changed(text, &Config::parse(text).unwrap().alerts, change).unwrap();
        Config::parse(&changed).unwrap();
        changed
    }

    #[test]
    fn a_new_rule_comes_last_and_the_rest_stays() {
        let add = AlertChange::Add(rule(
            r#"{"name":"<b>\"Burst\"","rate_limited_above":5,"only":{"model":["a","b"]}}"#,
        ));
        let new = "\n[[alerts]]\nname = '<b>\"Burst\"'\nrate_limited_above = 5\nonly = { model = [\"a\", \"b\"] }\n";
        let expected = WRITTEN.replace("\n# The end.\n", &format!("{new}\n# The end.\n"));
        assert_eq!(after(WRITTEN, &add), expected);
    }

    #[test]
    fn an_edit_touches_only_what_differs() {
        let spend = r#"{"name":"Spend","spend_above":"25.50","per":"day"}"#;
        let edit = AlertChange::Replace("Spend".to_owned(), rule(spend));
        assert_eq!(after(WRITTEN, &edit), WRITTEN.replace("'20'", "\"25.50\""));
        let other = r#"{"name":"Slow","latency_above_ms":900,"only":{"model":"m"}}"#;
        let edit = AlertChange::Replace("Errors".to_owned(), rule(other));
        let text = after(WRITTEN, &edit);
        assert!(text.contains("[[alerts]] # errors\nname = \"Slow\"\n"), "{text}");
        assert!(text.contains("latency_above_ms = 900\n") && !text.contains("error_rate"));
        assert!(text.contains("only = { model = 'm' }"), "{text}");
    }

    #[test]
    fn a_removed_rule_takes_only_its_own_comment_along() {
        let text = after(WRITTEN, &AlertChange::Remove("Spend".to_owned()));
        assert!(text.contains("# All about money.") && !text.contains("# The big one."), "{text}");
        assert!(text.starts_with("# my gate\nlisten = \"127.0.0.1:8655\"   # only here\n"));
        let text = after(&text, &AlertChange::Remove("Errors".to_owned()));
        assert!(Config::parse(&text).unwrap().alerts.rules.is_empty(), "{text}");
        assert!(text.contains("alerts = []") && text.contains("# The end."), "{text}");
        assert!(text.contains("# All about money."), "{text}");
        let add = AlertChange::Add(rule(r#"{"name":"a","calls_above":5}"#));
        let text = after(&text, &add);
        assert_eq!(Config::parse(&text).unwrap().alerts.rules.len(), 1, "{text}");
    }

    #[test]
    fn the_ready_rules_are_written_out_before_they_are_changed() {
        let text = after("", &AlertChange::Remove("Errors".to_owned()));
        assert_eq!(
            text,
            "\n[[alerts]]\nname = \"Daily spend\"\nspend_above = \"20\"\nper = \"day\"\n"
        );
        let inline = "alerts = [{ name = 'a', calls_above = 5 }]\n[providers.openai]\nusage_assist = false\n";
        let text = after(inline, &AlertChange::Add(rule(r#"{"name":"b","calls_above":5}"#)));
        let names: Vec<_> = Config::parse(&text).unwrap().alerts.rules;
        assert_eq!(names.len(), 2, "{text}");
    }

    #[test]
    fn quiet_hours_come_change_and_go() {
        let hours = |from: &str| {
            let (from, to) = (from.parse().unwrap(), "07:00".parse().unwrap());
            AlertChange::QuietHours(Some(QuietHours { from, to }))
        };
        let text = after(WRITTEN, &hours("22:00"));
        assert!(text.contains("[quiet_hours]\nfrom = \"22:00\"\nto = \"07:00\"\n"), "{text}");
        let text = after(&text, &hours("23:30"));
        assert!(text.contains("from = \"23:30\""), "{text}");
        let text = after(&text, &AlertChange::QuietHours(None));
        assert_eq!(text, WRITTEN);
    }

    #[test]
    fn budgets_come_change_and_go_and_the_rest_stays() {
        let budget = |json: &str| {
            let written = BudgetRule::read(json.as_bytes()).unwrap();
            let budget = written.check().unwrap();
            Box::new((written, budget))
        };
        let after = |text: &str, change: &BudgetChange| {
            let changed = budgets_changed(text, &Config::parse(text).unwrap().budgets, change);
            changed.inspect(|changed| {
                Config::parse(changed).unwrap();
            })
        };
        let ci = r#"{"name":"ci","spend":"5.00","only":{"pass":"ci"}}"#;
        let text = after(WRITTEN, &BudgetChange::Add(budget(ci))).unwrap();
        let new = "\n[[budgets]]\nname = \"ci\"\nspend = \"5.00\"\nonly = { pass = \"ci\" }\n";
        assert_eq!(text, WRITTEN.replace("\n# The end.\n", &format!("{new}\n# The end.\n")));
        assert!(after(&text, &BudgetChange::Add(budget(ci))).is_err());
        let text = text.replace("\"5.00\"", "'5.00' # dollars");
        let dearer = r#"{"name":"all","spend":"7","only":{"pass":"ci"},"action":"ask"}"#;
        let edit = BudgetChange::Replace("ci".to_owned(), budget(dearer));
        let edited = after(&text, &edit).unwrap();
        assert!(edited.contains("name = \"all\"\nspend = \"7\" # dollars\n"), "{edited}");
        assert!(edited.contains("action = \"ask\"\n"), "{edited}");
        assert_eq!(edited.matches("per =").count(), WRITTEN.matches("per =").count(), "{edited}");
        let gone = after(&edited, &BudgetChange::Remove("all".to_owned())).unwrap();
        assert_eq!(gone, WRITTEN);
        assert!(after(&gone, &BudgetChange::Remove("all".to_owned())).is_err());
    }

    #[test]
    fn routes_come_change_and_go_and_the_rest_stays() {
        let route = |json: &str| {
            let written = RouteRule::read(json.as_bytes()).unwrap();
            let route = written.check(meter::provider::Providers::built_in()).unwrap();
            Box::new((written, route))
        };
        let after = |text: &str, change: &RouteChange| {
            let changed = routes_changed(text, &Config::parse(text).unwrap().routes, change);
            changed.inspect(|changed| {
                Config::parse(changed).unwrap();
            })
        };
        let fast = r#"{"name":"fast","targets":["groq/a","openai/b"]}"#;
        let text = after(WRITTEN, &RouteChange::Add(route(fast))).unwrap();
        let new = "\n[[routes]]\nname = \"fast\"\ntargets = [\"groq/a\", \"openai/b\"]\n";
        assert_eq!(text, WRITTEN.replace("\n# The end.\n", &format!("{new}\n# The end.\n")));
        assert!(after(&text, &RouteChange::Add(route(fast))).is_err());
        let text = text.replace("name = \"fast\"", "name = 'fast' # mine");
        let cheap = r#"{"name":"fast","targets":["groq/a","openai/b"],"profile":"cost"}"#;
        let edit = RouteChange::Replace("fast".to_owned(), route(cheap));
        let edited = after(&text, &edit).unwrap();
        assert!(edited.contains("name = 'fast' # mine\n"), "{edited}");
        assert!(edited.contains("profile = \"cost\"\n"), "{edited}");
        let gone = after(&edited, &RouteChange::Remove("fast".to_owned())).unwrap();
        assert_eq!(gone, WRITTEN);
    }

    #[test]
    fn a_change_of_nothing_is_refused_in_words() {
        let refusal = |change: &AlertChange| {
            let plan = Config::parse(WRITTEN).unwrap().alerts;
            format!("{:#}", changed(WRITTEN, &plan, change).unwrap_err())
        };
        assert!(refusal(&AlertChange::Remove("x".to_owned())).contains("no rule `x`"));
        let same = rule(r#"{"name":"Spend","calls_above":5}"#);
        assert!(refusal(&AlertChange::Add(same.clone())).contains("already"));
        assert!(refusal(&AlertChange::Replace("Errors".to_owned(), same)).contains("already"));
    }
}
