//! The contract as an OpenAPI document, written from the types that answer:
//! `UPDATE_TYPES=1 cargo test -p api`. What types cannot say, the addresses and their parameters,
//! stands here; a test holds it against the routes in the source.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use meter::receipt::{Capability, Kind, Technology};
use serde_json::{Map, Value, json};
use specta::Format as _;
use specta::Types;
use specta::datatype::{DataType, Fields, NamedReferenceType, Primitive, Reference};

use crate::typescript;

/// One thing that can be asked.
struct Operation {
    method: &'static str,
    path: &'static str,
    says: &'static str,
    /// Names of its query parameters.
    query: &'static [&'static str],
    body: Option<&'static str>,
    status: &'static str,
    answer: Answer,
}

/// What comes back.
#[derive(Clone, Copy)]
enum Answer {
    /// A named type.
    One(&'static str),
    /// A list of them.
    Many(&'static str),
    /// Something else than JSON.
    Other(&'static [&'static str]),
}

use Answer::{Many, One, Other};

const FILTERS: [&str; 18] = [
    "from",
    "to",
    "last",
    "tz",
    "model",
    "provider",
    "key",
    "pass",
    "workspace",
    "client",
    "status",
    "kind",
    "technology",
    "capability",
    "stream",
    "id",
    "tag",
    "demo",
];
const USAGE: [&str; 3] = ["by", "granularity", "currency"];
const PERFORMANCE: [&str; 1] = ["by"];
const REQUESTS: [&str; 3] = ["limit", "before", "currency"];
const EXPORT: [&str; 3] = ["format", "form", "currency"];
const DEPLOYMENTS: [&str; 1] = ["versus"];
const FILES: &[&str] = &[
    "application/x-ndjson",
    "text/csv",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
];

const fn read(path: &'static str, says: &'static str, answer: Answer) -> Operation {
    Operation { method: "get", path, says, query: &[], body: None, status: "200", answer }
}

const fn write(
    method: &'static str,
    path: &'static str,
    says: &'static str,
    body: Option<&'static str>,
    answer: Answer,
) -> Operation {
    Operation { method, path, says, query: &[], body, status: "200", answer }
}

const fn make(
    path: &'static str,
    says: &'static str,
    body: &'static str,
    answer: Answer,
) -> Operation {
    Operation { method: "post", path, says, query: &[], body: Some(body), status: "201", answer }
}

fn operations() -> Vec<Operation> {
    let asked = |one: Operation, query| Operation { query, ..one };
    vec![
        read("usage", "Totals, a table and a series over a period", One("Usage")),
        read("performance", "Rates, and how durations are spread", One("Performance")),
        read("requests", "Receipts, newest first, a page at a time", One("Requests")),
        read("requests/{id}", "One receipt; the beginning of its id will do", One("Receipt")),
        read("export", "Receipts as a file", Other(FILES)),
        asked(
            read("exports", "Exports, newest first", One("ExportJobs")),
            &["numbered_before", "limit"],
        ),
        make("exports", "Orders an export", "ExportOrder", One("ExportJob")),
        read("exports/{id}", "One export and how far it is", One("ExportJob")),
        write("delete", "exports/{id}", "Forgets an export and its file", None, One("ExportJobs")),
        write("post", "exports/{id}/cancel", "Ends an export", None, One("ExportJob")),
        read("exports/{id}/file", "An export's file, whole or a part of it", Other(FILES)),
        read("report", "A filtered view as one HTML file", Other(&["text/html"])),
        read("events", "An event each time the ledger changed", Other(&["text/event-stream"])),
        read("status", "What this Tollgate is and how it is doing", One("GateStatus")),
        read("limits", "What the providers still allow", One("KnownLimits")),
        read("openapi.json", "This document", Other(&["application/json"])),
        read("workspaces", "Every workspace", Many("Workspace")),
        write(
            "post",
            "workspaces/rename",
            "Gives one another name",
            Some("RenameWorkspace"),
            Many("Workspace"),
        ),
        write(
            "post",
            "workspaces/merge",
            "Adds one to another",
            Some("MergeWorkspace"),
            Many("Workspace"),
        ),
        write(
            "post",
            "workspaces/archive",
            "Puts one aside",
            Some("NamedWorkspace"),
            Many("Workspace"),
        ),
        write(
            "post",
            "workspaces/restore",
            "Takes one back",
            Some("NamedWorkspace"),
            Many("Workspace"),
        ),
        read("prices", "The prices in force", One("PriceList")),
        write("put", "prices/own", "Tells a price", Some("TellPrice"), One("PricesInForce")),
        write("post", "prices/override", "Reads `prices.toml` anew", None, One("PricesInForce")),
        write("post", "prices/refresh", "Fetches newer prices", None, One("Refreshed")),
        write(
            "post",
            "prune",
            "Removes old receipts and keeps their sums",
            Some("PruneOrder"),
            One("Pruned"),
        ),
        write(
            "post",
            "reprice",
            "Values receipts once more",
            Some("RepriceOrder"),
            One("Repriced"),
        ),
        read("alerts", "The rules and what goes on", One("Alerts")),
        make("alerts", "Adds a rule", "AlertRule", One("AlertStanding")),
        asked(
            read("alerts/history", "What there was, newest first", One("AlertHistory")),
            &["numbered_before", "limit", "rule", "tz"],
        ),
        asked(
            read(
                "alerts/compliance",
                "How rules of availability and durations were kept, day by day",
                One("Compliance"),
            ),
            &["tz"],
        ),
        write(
            "post",
            "alerts/pause",
            "Pauses all rules, or resumes them",
            Some("PauseOrder"),
            One("Alerts"),
        ),
        write(
            "put",
            "alerts/quiet-hours",
            "Sets the quiet hours, or `null`",
            Some("QuietHours?"),
            One("Alerts"),
        ),
        write("put", "alerts/{name}", "Replaces a rule", Some("AlertRule"), One("AlertStanding")),
        write("delete", "alerts/{name}", "Removes a rule", None, One("Alerts")),
        write(
            "post",
            "alerts/{name}/snooze",
            "Snoozes a rule",
            Some("SnoozeOrder"),
            One("AlertStanding"),
        ),
        read("budgets", "The budgets and how they stand", One("Budgets")),
        make("budgets", "Adds a budget", "BudgetRule", One("BudgetStanding")),
        write(
            "put",
            "budgets/{name}",
            "Replaces a budget",
            Some("BudgetRule"),
            One("BudgetStanding"),
        ),
        write("delete", "budgets/{name}", "Removes a budget", None, One("Budgets")),
        write(
            "post",
            "budgets/{name}/release",
            "Lets a budget deny nothing for a while",
            Some("ReleaseOrder"),
            One("BudgetStanding"),
        ),
        read("deployments", "Models on servers of one's own, and fine-tunings", One("Deployments")),
        make("deployments", "Declares a deployment", "DeploymentRule", One("DeploymentRule")),
        write(
            "put",
            "deployments/{name}",
            "Replaces a declaration",
            Some("DeploymentRule"),
            One("DeploymentRule"),
        ),
        write("delete", "deployments/{name}", "Removes a declaration", None, One("DeploymentRule")),
        read("routes", "The routes and who would be called", One("Routes")),
        make("routes", "Adds a route", "RouteRule", One("RouteStanding")),
        write("put", "routes/{name}", "Replaces a route", Some("RouteRule"), One("RouteStanding")),
        write("delete", "routes/{name}", "Removes a route", None, One("Routes")),
        read(
            "inspector/{pass}",
            "The last calls under a pass that is looked at",
            One("Inspection"),
        ),
        read("inspector/{pass}/{id}", "One of them with its content", One("InspectedCall")),
        write("post", "inspector/{pass}", "Begins to look at a pass", None, One("Inspection")),
        write("delete", "inspector/{pass}", "Forgets what was seen of it", None, One("Inspection")),
        read("passes", "Every pass, never its secret", Many("Pass")),
        make("passes", "Makes a pass and shows its secret, this once", "NewPass", One("MadePass")),
        write("put", "passes/{label}", "Changes a pass", Some("PassTerms"), One("Pass")),
        asked(
            write("delete", "passes/{label}", "Takes a pass back", None, One("Pass")),
            &["streams"],
        ),
        read("keys", "Every stored key, never its secret", Many("Key")),
        make("keys", "Stores a key", "NewKey", One("Key")),
        write("delete", "keys/{provider}/{label}", "Removes a key", None, Many("Key")),
        write(
            "post",
            "keys/{provider}/{label}/use",
            "Makes it the one that is used",
            None,
            Many("Key"),
        ),
        write(
            "post",
            "keys/{provider}/{label}/test",
            "Asks the provider whether it works",
            None,
            One("KeyCheck"),
        ),
    ]
}

impl Operation {
    /// The scope that its caller needs.
    fn scope(&self) -> &'static str {
        let is_reading = self.method == "get"
            && !["passes", "keys"].contains(&self.path)
            && !self.path.starts_with("inspector/");
        if is_reading { "usage:read" } else { "manage" }
    }

    fn queries(&self) -> Vec<&'static str> {
        let own: &[&str] = match self.path {
            "usage" => &USAGE,
            "performance" => &PERFORMANCE,
            "requests" => &REQUESTS,
            "export" => &EXPORT,
            "deployments" if self.method == "get" => &DEPLOYMENTS,
            "report" => &["granularity", "currency"],
            _ => return self.query.to_vec(),
        };
        FILTERS.iter().chain(own).copied().collect()
    }

    fn errors(&self) -> &'static [&'static str] {
        match (self.method, self.path.contains('{')) {
            ("get", false) => &["400", "401", "403", "404", "429", "500", "503"],
            ("get", true) if self.path.ends_with("/file") => {
                &["400", "401", "403", "404", "409", "416", "429", "500", "503"]
            }
            ("get", true) => &["400", "401", "403", "404", "409", "429", "500", "503"],
            _ => &["400", "401", "403", "404", "409", "413", "415", "429", "500", "502", "503"],
        }
    }

    fn written(&self) -> Value {
        let named = |part: &str| part.strip_prefix('{')?.strip_suffix('}').map(str::to_owned);
        let in_path = self.path.split('/').filter_map(named).map(|name| {
            json!({"name": name, "in": "path", "required": true,
                   "schema": {"type": "string", "minLength": 1}})
        });
        let range = self.path.ends_with("/file").then(|| {
            json!({"name": "Range", "in": "header",
                   "schema": {"type": "string", "pattern": "^bytes=[0-9]*-[0-9]*$"}})
        });
        let queries = self.queries().into_iter().map(parameter);
        let parameters: Vec<Value> = in_path.chain(queries).chain(range).collect();
        let errors = self.errors().iter().map(|status| {
            ((*status).to_owned(), json!({"$ref": "#/components/responses/Problem"}))
        });
        let mut responses: Map<String, Value> = errors.collect();
        let fine = json!({"description": self.says, "content": self.answer.content()});
        responses.insert(self.status.to_owned(), fine);
        if self.path.ends_with("/file") {
            let part = json!({"description": "The part that was asked for", "content": self.answer.content()});
            responses.insert("206".to_owned(), part);
            responses.insert("304".to_owned(), json!({"description": "It is what you have"}));
        }
        let id = format!("{} {}", self.method, self.path);
        let mut written = json!({
            "operationId": id, "summary": self.says, "parameters": parameters,
            "responses": responses, "security": [{"pass": []}],
            "description": format!("Needs a pass with the scope `{}`.", self.scope()),
        });
        if let Some(body) = self.body {
            let schema = match body.strip_suffix('?') {
                Some(name) => json!({"anyOf": [reference(name), {"type": "null"}]}),
                None => reference(body),
            };
            let content = json!({"application/json": {"schema": schema}});
            let required = !["alerts/pause", "budgets/{name}/release"].contains(&self.path);
            written["requestBody"] = json!({"required": required, "content": content});
        }
        written
    }
}

impl Answer {
    fn content(self) -> Value {
        match self {
            One(name) => json!({"application/json": {"schema": reference(name)}}),
            Many(name) => {
                let schema = json!({"type": "array", "items": reference(name)});
                json!({"application/json": {"schema": schema}})
            }
            Other(kinds) => kinds.iter().map(|kind| ((*kind).to_owned(), json!({}))).collect(),
        }
    }
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

/// A query parameter; those that may repeat are lists.
fn parameter(name: &str) -> Value {
    let text = json!({"type": "string", "minLength": 1});
    let words = |words: &[&str]| json!({"type": "string", "enum": words});
    let many = |of: Value| json!({"type": "array", "items": of});
    let schema = match name {
        "model" | "provider" | "key" | "pass" | "workspace" | "client" => many(text),
        "status" => many(json!({"type": "string",
            "pattern": "^(succeeded|error|denied|cancelled|interrupted|pending|[1-5]xx|[1-5][0-9]{2})$"})),
        "kind" => many(words(&Kind::ALL.iter().map(|kind| kind.as_str()).collect::<Vec<_>>())),
        "technology" => {
            many(words(&Technology::ALL.iter().map(|one| one.as_str()).collect::<Vec<_>>()))
        }
        "capability" => {
            many(words(&Capability::ALL.iter().map(|one| one.as_str()).collect::<Vec<_>>()))
        }
        "id" => many(json!({"type": "string", "format": "uuid"})),
        "tag" => many(json!({"type": "string", "pattern": "^[^=:]+[=:]"})),
        "stream" => words(&["true", "false"]),
        "demo" => words(&["with", "without", "only"]),
        "format" => words(&["csv", "jsonl", "xlsx"]),
        "form" => words(&["requests", "hourly"]),
        "granularity" => words(&["15m", "hour", "day", "week", "month"]),
        "streams" => words(&["cut"]),
        "currency" => json!({"type": "string", "pattern": "^[A-Za-z]{3}$"}),
        "limit" => json!({"type": "integer", "minimum": 1, "maximum": 1000}),
        "numbered_before" => json!({"type": "integer", "minimum": 0}),
        "before" => json!({"type": "string", "format": "uuid"}),
        "versus" => json!({"type": "string", "pattern": "^[^/]+/.+$"}),
        "from" | "to" => json!({"type": "string", "minLength": 1,
            "description": "An RFC 3339 instant, a date, `today`, `yesterday`"}),
        "last" => json!({"type": "string", "pattern": "^[0-9]{1,4}(m|h|d|w|mo|y)$"}),
        _ => text,
    };
    json!({"name": name.trim_start_matches("numbered_"), "in": "query", "schema": schema})
}

/// The types as JSON Schema.
struct Schemas {
    types: Types,
    /// Those that come in: an absent field is one that says nothing, an unknown one is refused.
    bodies: BTreeSet<&'static str>,
}

impl Schemas {
    fn all() -> Self {
        let types =
            specta_serde::Format.map_types(&typescript::types()).expect("known types").into_owned();
        let bodies = operations().into_iter().filter_map(|one| one.body);
        let bodies = bodies.map(|body| body.trim_end_matches('?')).collect();
        Self { types, bodies }
    }

    fn written(&self) -> BTreeMap<String, Value> {
        let named = self.types.into_sorted_iter().filter_map(|named| {
            let is_body = self.bodies.contains(&*named.name);
            let mut schema = self.schema(named.ty.as_ref()?, is_body);
            let docs = named.docs.trim();
            if !docs.is_empty() {
                schema["description"] = docs.into();
            }
            Some((named.name.to_string(), schema))
        });
        named.collect()
    }

    fn schema(&self, of: &DataType, is_body: bool) -> Value {
        match of {
            DataType::Primitive(primitive) => self::primitive(primitive),
            DataType::List(list) => {
                json!({"type": "array", "items": self.schema(&list.ty, is_body)})
            }
            DataType::Map(map) => {
                json!({"type": "object", "additionalProperties": self.schema(map.value_ty(), is_body)})
            }
            DataType::Nullable(of) => {
                json!({"anyOf": [self.schema(of, is_body), {"type": "null"}]})
            }
            DataType::Struct(of) => self.fields(&of.fields, is_body),
            DataType::Enum(of) => {
                let variants = of.variants.iter().filter(|(_, variant)| !variant.skip);
                let shapes: Vec<Value> = variants
                    .map(|(name, variant)| match &variant.fields {
                        Fields::Unit => json!({"const": name}),
                        fields => self.fields(fields, is_body),
                    })
                    .collect();
                let words: Option<Vec<&Value>> =
                    shapes.iter().map(|shape| shape.get("const")).collect();
                match words {
                    Some(words) => json!({"type": "string", "enum": words}),
                    None => json!({"anyOf": shapes}),
                }
            }
            DataType::Tuple(tuple) if tuple.elements.is_empty() => json!({"type": "null"}),
            DataType::Tuple(tuple) => {
                let items: Vec<Value> =
                    tuple.elements.iter().map(|one| self.schema(one, is_body)).collect();
                json!({"type": "array", "prefixItems": items, "minItems": items.len(), "maxItems": items.len()})
            }
            DataType::Intersection(parts) => {
                let parts: Vec<Value> = parts.iter().map(|part| self.schema(part, false)).collect();
                json!({"allOf": parts})
            }
            DataType::Reference(Reference::Named(named)) => match &named.inner {
                NamedReferenceType::Inline { dt, .. } => self.schema(dt, is_body),
                NamedReferenceType::Reference { .. } | NamedReferenceType::Recursive(_) => {
                    let named = self.types.get(named).expect("every type is registered");
                    reference(&named.name)
                }
            },
            DataType::Reference(Reference::Opaque(_)) | DataType::Generic(_) => json!({}),
        }
    }

    fn fields(&self, fields: &Fields, is_body: bool) -> Value {
        match fields {
            Fields::Unit => json!({"type": "null"}),
            Fields::Unnamed(fields) => match &*fields.fields {
                [one] => one.ty.as_ref().map_or(json!({}), |of| self.schema(of, is_body)),
                _ => json!({"type": "array"}),
            },
            Fields::Named(fields) => {
                let (mut properties, mut required) = (Map::new(), Vec::new());
                for (name, field) in &fields.fields {
                    let Some(of) = &field.ty else { continue };
                    let may_miss = is_body && matches!(of, DataType::Nullable(_));
                    if !field.optional && !may_miss {
                        required.push(name.to_string());
                    }
                    let mut schema = self.schema(of, is_body);
                    let docs = field.docs.trim();
                    if !docs.is_empty() {
                        schema["description"] = docs.into();
                    }
                    properties.insert(name.to_string(), schema);
                }
                let mut written =
                    json!({"type": "object", "properties": properties, "required": required});
                if is_body {
                    written["additionalProperties"] = false.into();
                }
                written
            }
        }
    }
}

fn primitive(of: &Primitive) -> Value {
    match of {
        Primitive::bool => json!({"type": "boolean"}),
        Primitive::str | Primitive::char => json!({"type": "string"}),
        Primitive::f16 | Primitive::f32 | Primitive::f64 | Primitive::f128 => {
            json!({"type": "number"})
        }
        Primitive::u8
        | Primitive::u16
        | Primitive::u32
        | Primitive::u64
        | Primitive::u128
        | Primitive::usize => json!({"type": "integer", "minimum": 0}),
        Primitive::i8
        | Primitive::i16
        | Primitive::i32
        | Primitive::i64
        | Primitive::i128
        | Primitive::isize => json!({"type": "integer"}),
    }
}

/// What the Rust types do not say.
fn better_known(schemas: &mut BTreeMap<String, Value>) {
    // The provider's own fields, and seconds and some providers' tokens are fractional.
    if let Some(receipt) = schemas.get_mut("Receipt") {
        receipt["properties"]["usage_raw"] = json!({"type": ["object", "null"]});
    }
    if let Some(settlement) = schemas.get_mut("Settlement") {
        settlement["properties"]["usage_raw"] = json!({"type": ["object", "null"]});
    }
    // Filters stand beside the order's own fields.
    for name in ["RepriceOrder", "ExportOrder"] {
        if let Some(order) = schemas.get_mut(name) {
            let own = order["allOf"][0].take();
            *order = own;
            order["additionalProperties"] = reference("Values");
        }
    }
}

fn written() -> String {
    let mut paths = Map::new();
    for one in operations() {
        let path = paths.entry(format!("/api/v1/{}", one.path)).or_insert_with(|| json!({}));
        path[one.method] = one.written();
    }
    let mut schemas = Schemas::all().written();
    better_known(&mut schemas);
    let document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Tollgate", "version": "1",
            "description": "What a local Tollgate can be asked. Amounts are decimal text, instants RFC 3339.",
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": {"Problem": {
                "description": "What went wrong, in words for people and a code for programs",
                "content": {"application/json": {"schema": reference("ErrorBody")}},
            }},
            "securitySchemes": {"pass": {"type": "http", "scheme": "bearer",
                "description": "A pass: `tollgate passes add NAME --scope usage:read`."}},
        },
    });
    let mut text = serde_json::to_string_pretty(&document).expect("JSON");
    text.push('\n');
    text
}

#[test]
fn the_document_is_written_from_the_types() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/openapi.json");
    let written = written();
    if std::env::var_os("UPDATE_TYPES").is_some() {
        std::fs::write(&path, &written).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap();
    assert!(kept == written, "openapi.json is old: run `UPDATE_TYPES=1 cargo test -p api openapi`");
}

#[test]
fn every_route_is_in_the_document() {
    let mut routes = BTreeSet::new();
    for file in sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")) {
        let text = std::fs::read_to_string(file).unwrap();
        for part in text.split(".route(\"/api/v1/").skip(1) {
            routes.insert(part.split('"').next().unwrap_or_default().to_owned());
        }
    }
    let told: BTreeSet<String> = operations().iter().map(|one| one.path.to_owned()).collect();
    assert_eq!(routes, told);
}

fn sources(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let entries = entries.map(|entry| entry.expect("an entry").path());
    let files = entries.flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] });
    files.filter(|path| path.extension().is_some_and(|end| end == "rs")).collect()
}
