//! A ledger with known receipts in it, and the router in front.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use api::alerts::{AlertDesk, AlertPlan, Alerts, Memory};
use api::auth::Local;
use api::budgets::{BudgetDesk, Budgets};
use api::deployments::DeploymentDesk;
use api::exports::Workshop;
use api::inspector::InspectDesk;
use api::period::Here;
use api::problem::{Code, Problem};
use api::prune::LedgerCopy;
use api::readers::Readers;
use api::router::{Desk, router};
use api::routes::{RouteDesk, Routes};
use api::status::{GateStatus, LedgerStatus, ProviderStatus};
use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use meter::price::Book;
use meter::provider::Providers;
use meter::receipt::{CostState, Kind, Line, Receipt, Status, UsageState};
use meter::usage::{Basis, Bound, Count, Factor};
use meter::{Money, Timestamp};
use serde_json::Value;
use store::{Ledger, Questions};
use tempfile::TempDir;
use tokio::sync::watch;
use tower_service::Service as _;

/// When these tests take place.
pub(crate) const NOW: &str = "2026-11-20T22:00:00Z";

pub(crate) fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).expect("tests write RFC 3339")
}

/// A home with a ledger, and the contract in front of it.
pub(crate) struct Office {
    pub(crate) home: TempDir,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) workshop: Arc<Workshop>,
    router: Router,
}

fn workshop(home: &Path, hold_up: impl Fn() + Send + Sync + 'static) -> Arc<Workshop> {
    let (exports, read) = (home.join("exports"), home.to_owned());
    let open = move || {
        hold_up();
        Questions::open(&read)
    };
    Workshop::new(exports, Box::new(open), Arc::new(|| at(NOW)))
}

impl Office {
    /// With these receipts written.
    pub(crate) fn with(receipts: impl FnOnce(&mut Vec<Receipt>, &dyn Fn(&str) -> Receipt)) -> Self {
        Self::held_up(receipts, || {})
    }

    /// The same where each background export calls this before it begins.
    pub(crate) fn held_up(
        receipts: impl FnOnce(&mut Vec<Receipt>, &dyn Fn(&str) -> Receipt),
        hold_up: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        let home = tempfile::tempdir().expect("a folder for temporary files");
        record(home.path(), receipts);
        let ledger = Arc::new(Ledger::open(home.path()).expect("a fresh ledger opens"));
        let workshop = workshop(home.path(), hold_up);
        let router = router(desk(home.path(), &ledger, Arc::clone(&workshop)));
        Self { home, ledger, workshop, router }
    }

    /// As after a restart: what was under way was not waited for.
    pub(crate) fn restarted(mut self) -> Self {
        self.workshop = workshop(self.home.path(), || {});
        let desk = desk(self.home.path(), &self.ledger, Arc::clone(&self.workshop));
        self.router = router(desk);
        self
    }

    /// As somebody from the network asks.
    pub(crate) async fn ask(
        &self,
        method: Method,
        path: &str,
        bearer: Option<&str>,
        body: &str,
    ) -> Answer {
        let request = Request::builder().method(method).uri(path);
        let request = match body {
            "" => request,
            _ => request.header("content-type", "application/json"),
        };
        let request = match bearer {
            Some(secret) => request.header("authorization", format!("Bearer {secret}")),
            None => request,
        };
        let request = request.body(Body::from(body.to_owned())).expect("a well-formed request");
        Answer::of(self.router.clone().call(request).await.expect("the router is infallible")).await
    }

    /// As our own process asks.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.act(Request::get(path).body(Body::empty()).expect("a well-formed request")).await
    }

    /// As our own process asks for more than that.
    pub(crate) async fn act(&self, mut request: Request<Body>) -> Answer {
        request.extensions_mut().insert(Local);
        Answer::of(self.router.clone().call(request).await.expect("the router is infallible")).await
    }

    pub(crate) fn questions(&self) -> Questions {
        Questions::open(self.home.path()).expect("the ledger is there")
    }
}

/// Writes and closes, so that everything is in the ledger before anything is asked.
fn record(home: &Path, receipts: impl FnOnce(&mut Vec<Receipt>, &dyn Fn(&str) -> Receipt)) {
    let ledger = Ledger::open(home).expect("a fresh ledger opens");
    let recorder = ledger.recorder();
    let mut made = Vec::new();
    receipts(&mut made, &|begun| {
        let begun = at(begun);
        let mut receipt = Receipt::begun(recorder.mint(begun), begun, "openai", "https://o.test");
        receipt.kind = Kind::Chat;
        receipt.status = Status::Succeeded;
        receipt.http_status = Some(200);
        receipt.usage_state = UsageState::Reported;
        receipt
    });
    for receipt in made {
        recorder.open(&receipt).finish(receipt);
    }
    ledger.close(Duration::from_secs(60));
}

fn a_status() -> GateStatus {
    GateStatus {
        version: "1".to_owned(),
        addresses: vec!["127.0.0.1:8655".to_owned()],
        home: "/home".to_owned(),
        ledger: LedgerStatus {
            bytes: 0,
            recorded: 0,
            waiting: 0,
            spilled: 0,
            lost: 0,
            unregistered: 0,
            problem: None,
        },
        default_provider: "openai".to_owned(),
        usage_assist: true,
        otlp: None,
        providers: vec![ProviderStatus {
            id: "openai".to_owned(),
            name: "OpenAI".to_owned(),
            base_url: None,
            auth: "bearer".to_owned(),
            kind: "hosted".to_owned(),
        }],
    }
}

fn desk(home: &Path, ledger: &Arc<Ledger>, workshop: Arc<Workshop>) -> Desk {
    let (home, copied, book) = (home.to_owned(), home.to_owned(), Arc::clone(ledger));
    let here = Here { now: at(NOW), zone: chrono_tz::Europe::Berlin };
    Desk {
        readers: Readers::new(Box::new(move || Questions::open(&home))),
        ledger: Arc::clone(ledger),
        on_change: Arc::new(|| {}),
        cut_pass: Arc::new(|_| {}),
        scopes: Arc::new(move |secret| {
            let book = book.pass_book().expect("the ledger answers");
            book.find(secret, at(NOW)).map(|pass| pass.scopes.clone())
        }),
        prices: Arc::new(|_| Ok(Arc::new(Book::default()))),
        exchange: Arc::new(|| Ok(Arc::default())),
        copy_first: Arc::new(move || {
            let made = Questions::open(&copied)?.back_up(&copied.join("backups"), at(NOW))?;
            Ok(made.map(|made| LedgerCopy {
                path: made.path.display().to_string(),
                bytes: made.bytes,
            }))
        }),
        keys: Arc::new(NoKeys),
        tell_price: Arc::new(|_| Err(Problem::new(Code::Conflict, "off"))),
        refresh: Arc::new(|| Box::pin(async { Err(Problem::new(Code::Conflict, "off")) })),
        alerts: AlertDesk {
            standing: Arc::new(move || Alerts::of(&AlertPlan::default(), &Memory::default(), here)),
            change: Arc::new(|_| Err(Problem::new(Code::Conflict, "off"))),
            history: Arc::new(Vec::new),
        },
        budgets: BudgetDesk {
            standing: Arc::new(Budgets::default),
            change: Arc::new(|_| Err(Problem::new(Code::Conflict, "off"))),
        },
        workshop,
        deployments: DeploymentDesk {
            plan: Arc::new(Arc::default),
            board: Arc::default(),
            change: Arc::new(|_| Err(Problem::new(Code::Conflict, "off"))),
        },
        routes: RouteDesk {
            standing: Arc::new(Routes::default),
            change: Arc::new(|_| Err(Problem::new(Code::Conflict, "off"))),
            providers: Arc::new(Providers::built_in().clone()),
        },
        inspector: InspectDesk {
            open: Arc::new(|_| Err(Problem::new(Code::NotFound, "off"))),
            look: Arc::new(|_| None),
            call: Arc::new(|_, _| None),
            close: Arc::new(|_| false),
        },
        meters: None,
        limits: Arc::default(),
        status: Arc::new(a_status),
        revision: watch::channel(0).1,
        clock: Arc::new(|| at(NOW)),
        zone: chrono_tz::Europe::Berlin,
    }
}

/// Keys are the program's; here there are none.
struct NoKeys;

impl api::keys::KeyRing for NoKeys {
    fn keys(&self) -> Vec<api::keys::Key> {
        Vec::new()
    }

    fn add(
        &self,
        _: &api::keys::NewKey,
        _: zeroize::Zeroizing<String>,
    ) -> Result<api::keys::Key, Problem> {
        Err(Problem::new(Code::Conflict, "off"))
    }

    fn choose(&self, _: &str, _: &str) -> Result<(), Problem> {
        Err(Problem::new(Code::NotFound, "off"))
    }

    fn remove(&self, _: &str, _: &str) -> Result<(), Problem> {
        Err(Problem::new(Code::NotFound, "off"))
    }

    fn check(self: Arc<Self>, _: &str, _: &str) -> api::keys::Checking {
        Box::pin(async { Err(Problem::new(Code::NotFound, "off")) })
    }
}

/// What came back.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: axum::http::HeaderMap,
    pub(crate) bytes: axum::body::Bytes,
    /// The same as text; empty if it is none.
    pub(crate) text: String,
}

impl Answer {
    async fn of(response: Response<Body>) -> Self {
        let (head, body) = response.into_parts();
        let body = body.collect().await.expect("the answer is whole").to_bytes();
        let text = String::from_utf8(body.to_vec()).unwrap_or_default();
        Self { status: head.status, headers: head.headers, bytes: body, text }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e}: {}", self.text))
    }

    /// The code of an error answer.
    pub(crate) fn code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap_or_default().to_owned()
    }
}

pub(crate) fn line(factor: Factor, count: u64, amount: Option<&str>) -> Line {
    Line {
        unit: factor.unit(),
        factor,
        count: Count::whole(count),
        rate: None,
        amount: amount.map(money),
        tier: None,
        price_version: None,
        basis: Basis::Reported,
        bound: Bound::Exact,
        model: None,
        attributes: [].into(),
    }
}

/// What `model` used, and what that came to if it is known.
pub(crate) fn used(receipt: &mut Receipt, model: &str, tokens: (u64, u64), cost: Option<&str>) {
    receipt.model = Some(model.into());
    receipt.lines =
        vec![line(Factor::InputText, tokens.0, cost), line(Factor::OutputText, tokens.1, None)];
    receipt.cost = cost.map(money);
    receipt.cost_state = if cost.is_some() { CostState::Priced } else { CostState::Unknown };
}

fn money(text: &str) -> Money {
    text.parse().expect("tests write decimal text")
}
