//! The pages' types are written from these, by this test: `UPDATE_TYPES=1 cargo test -p api`.

use std::path::Path;

use api::alerts::{AlertHistory, AlertRule, Alerts, Compliance, PauseOrder, SnoozeOrder};
use api::answer::{Requests, Usage};
use api::budgets::{BudgetRule, Budgets, ReleaseOrder};
use api::deployments::{DeploymentRule, Deployments};
use api::exports::{ExportJob, ExportJobs, ExportOrder};
use api::inspector::{InspectedCall, Inspection};
use api::keys::{Key, KeyCheck, NewKey};
use api::limits::KnownLimits;
use api::passes::{MadePass, NewPass, Pass, PassTerms};
use api::performance::Performance;
use api::prices::{PriceList, PricesInForce, Refreshed, TellPrice};
use api::problem::ErrorBody;
use api::prune::{LedgerCopy, PruneOrder, Pruned};
use api::reprice::{RepriceOrder, Repriced};
use api::routes::{RouteRule, Routes};
use api::status::GateStatus;
use api::workspaces::{MergeWorkspace, NamedWorkspace, RenameWorkspace, Workspace};
use specta::Types;
use specta::datatype::{DataType, Fields, NamedReferenceType, Primitive, Reference};
use specta_typescript::Typescript;

const HEADER: &str =
    "// The JSON of /api/v1. Written by a test of `crates/api`; change the types there.\n";

/// Every type of the contract.
pub(crate) fn types() -> Types {
    Types::default()
        .register::<Usage>()
        .register::<Performance>()
        .register::<Requests>()
        .register::<GateStatus>()
        .register::<ErrorBody>()
        .register::<Key>()
        .register::<NewKey>()
        .register::<KeyCheck>()
        .register::<KnownLimits>()
        .register::<Inspection>()
        .register::<InspectedCall>()
        .register::<Pass>()
        .register::<NewPass>()
        .register::<MadePass>()
        .register::<PassTerms>()
        .register::<Workspace>()
        .register::<RenameWorkspace>()
        .register::<MergeWorkspace>()
        .register::<NamedWorkspace>()
        .register::<PriceList>()
        .register::<PricesInForce>()
        .register::<TellPrice>()
        .register::<Refreshed>()
        .register::<PruneOrder>()
        .register::<Pruned>()
        .register::<LedgerCopy>()
        .register::<RepriceOrder>()
        .register::<Repriced>()
        .register::<AlertRule>()
        .register::<Alerts>()
        .register::<AlertHistory>()
        .register::<Compliance>()
        .register::<SnoozeOrder>()
        .register::<PauseOrder>()
        .register::<BudgetRule>()
        .register::<Budgets>()
        .register::<RouteRule>()
        .register::<Routes>()
        .register::<ReleaseOrder>()
        .register::<ExportOrder>()
        .register::<ExportJob>()
        .register::<ExportJobs>()
        .register::<DeploymentRule>()
        .register::<Deployments>()
}

fn written() -> String {
    let mut types = types();
    types.iter_mut(|named| {
        if let Some(of) = &mut named.ty {
            numbers(of);
        }
    });
    let text = Typescript::default().header(HEADER).export(&types, specta_serde::Format);
    let mut text = text.unwrap_or_else(|error| panic!("{error}"));
    for (said, is) in BETTER_KNOWN {
        assert!(text.contains(said), "{said}");
        text = text.replace(said, is);
    }
    text
}

/// What the Rust types do not say.
const BETTER_KNOWN: [(&str, &str); 2] = [
    // Every status is there, with zero if need be.
    ("statuses: Partial<{ [key in Status]: number }>", "statuses: { [key in Status]: number }"),
    // The provider's own fields.
    (
        "usage_raw: { [key in string]: string } | null",
        "usage_raw: { [key in string]: unknown } | null",
    ),
];

/// Counts stay below 2^53, which JavaScript's numbers hold exactly.
fn numbers(of: &mut DataType) {
    match of {
        DataType::Primitive(number @ (Primitive::u64 | Primitive::i64 | Primitive::usize)) => {
            *number = Primitive::u32;
        }
        DataType::Primitive(_) | DataType::Generic(_) => {}
        DataType::List(list) => numbers(&mut list.ty),
        DataType::Map(map) => numbers(map.value_ty_mut()),
        DataType::Struct(of) => in_fields(&mut of.fields),
        DataType::Enum(of) => of.variants.iter_mut().for_each(|(_, v)| in_fields(&mut v.fields)),
        DataType::Tuple(tuple) => tuple.elements.iter_mut().for_each(numbers),
        DataType::Nullable(of) => numbers(of),
        DataType::Intersection(parts) => parts.iter_mut().for_each(numbers),
        DataType::Reference(Reference::Named(named)) => match &mut named.inner {
            NamedReferenceType::Inline { dt, .. } => numbers(dt),
            NamedReferenceType::Reference { generics, .. } => {
                generics.iter_mut().for_each(|(_, of)| numbers(of));
            }
            NamedReferenceType::Recursive(_) => {}
        },
        DataType::Reference(Reference::Opaque(_)) => {}
    }
}

fn in_fields(fields: &mut Fields) {
    let all: Vec<&mut specta::datatype::Field> = match fields {
        Fields::Unit => Vec::new(),
        Fields::Unnamed(fields) => fields.fields.iter_mut().collect(),
        Fields::Named(fields) => fields.fields.iter_mut().map(|(_, field)| field).collect(),
    };
    all.into_iter().filter_map(|field| field.ty.as_mut()).for_each(numbers);
}

#[test]
fn the_pages_know_the_types_of_the_answers() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../ui/src/api/types.ts");
    let written = written();
    if std::env::var_os("UPDATE_TYPES").is_some() {
        std::fs::write(&path, &written).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap();
    assert!(kept == written, "types.ts is old: run `UPDATE_TYPES=1 cargo test -p api typescript`");
}
